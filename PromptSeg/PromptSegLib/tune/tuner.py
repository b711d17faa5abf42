"""Prompt tuning: a structure's tokens learned by gradient on a frozen backbone, from a few drawn slices.

How many steps are best is found by leaving out one drawn slice at a time, beside learning from all of them; what those
runs found is shown to the user.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ..anatomy.structure import Structure, check_structure
from ..contours.fusion import WEIGHTS
from ..errors import AnnotationError, PromptError
from ..model.backbone import Backbone
from ..model.encoded import Encoded
from ..progress import OnProgress, Progress, ShouldStop, ignore, never
from ..prompts.card import Card
from ..prompts.promptset import Prompt
from ..volumes.preprocess import FULL_WINDOW, window_of
from .advice import advice, components_of
from .examples import Drawing, make_examples
from .fit import Fit, Plan
from .optimise import folds_of
from .outcome import LeftOutSlice, Outcome
from .recognise import Recognised, recognise


@dataclass(frozen=True)
class TuningRecipe:
    """What decides a tuning run."""

    steps: int = 30
    """Most steps; leave-one-slice-out may choose fewer."""
    lr: float = 0.1
    """Of Adam; tokens are of the order of 1, and few steps must be enough."""
    variants: int = 4
    """Varied copies of the drawn slices that are learned from beside the slices themselves."""
    folds: int = 5
    """Most leave-one-slice-out runs."""
    check_every: int = 5
    gain: float = 0.1
    """What steps must gain of the Dice of left-out slices where a known prompt finds them: it was learned from many
    patients, and steps on slices of one cost more in others (docs/experiments.md)."""


MAX_STEPS = 100_000


@dataclass(frozen=True)
class TuningResult:
    """The learned ``prompt``, and what is known about it as an :class:`~PromptSegLib.tune.outcome.Outcome`."""

    prompt: Prompt
    outcome: Outcome

    @property
    def left_out(self) -> tuple[LeftOutSlice, ...]:
        """The drawn slices that were left out. None is where no step was asked for."""
        return self.outcome.left_out

    @property
    def leave_one_out_dice(self) -> float | None:
        """The mean of their Dice, None with fewer than two."""
        return self.outcome.leave_one_slice_out_dice

    @property
    def network_dice(self) -> float | None:
        """The same of the network without contours."""
        return self.outcome.network_dice

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """Steps with loss and Dice on the drawn slices."""
        return self.outcome.history

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each stage."""
        return self.outcome.stages

    @property
    def steps(self) -> int:
        """How many the prompt has learned."""
        return self.outcome.steps

    @property
    def stopped(self) -> bool:
        """Whether the user stopped: then the prompt is the best so far."""
        return self.outcome.stopped

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what needs review."""
        return self.outcome.notes

    @property
    def leave_one_out(self) -> dict[int, float]:
        """Dice by slice, of the first volume."""
        return {one.index: one.dice for one in self.left_out if one.volume == 0}


def tune(
    backbone: Backbone,
    drawings: Sequence[Drawing],
    structure: Structure,
    *,
    start_from: Prompt | None = None,
    known: Iterable[Prompt] = (),
    steps: int | None = None,
    seed: int = 0,
    recipe: TuningRecipe | None = None,
    preview: dict[bytes, Encoded] | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TuningResult:
    """Learn ``structure`` from one or several volumes; see :meth:`PromptSegLib.session.Session.tune`. Without
    ``start_from`` it begins with that of the prompts ``known`` which finds what was drawn, if one does. ``preview``
    keeps what a run without steps encoded for the next one. Raises :class:`AnnotationError` for drawings or numbers of
    steps that cannot be learned from, :class:`PromptError` for a former prompt that does not fit, and ``Stopped``
    before the first mask."""
    recipe = recipe or TuningRecipe()
    check_structure(structure)  # what cannot be written must not be learned first
    max_steps = recipe.steps if steps is None else steps
    if not 0 <= max_steps <= MAX_STEPS:
        raise AnnotationError(
            f"The number of steps must not be {'negative' if max_steps < 0 else f'greater than {MAX_STEPS}'}, and "
            f"{max_steps} is"
        )
    if start_from is not None:
        start_from.check(backbone.shapes(), backbone.id, backbone.name)
        if drawings and start_from.card.plane != drawings[0].work.plane:
            raise PromptError(
                f"{start_from.structure.name} was learned in {start_from.card.plane} slices, and these were drawn in "
                f"{drawings[0].work.plane} ones",
                "draw in the same plane, or teach it anew without going on from it",
            )
    check_drawings(drawings)
    began = time.perf_counter()
    recognised = None if start_from is not None else recognise(backbone, drawings, known, should_stop)
    first = start_from if recognised is None else recognised.prompt
    window = common_window(drawings)
    if first is not None:
        window = first.card.window or FULL_WINDOW
        max_steps = max_steps if steps is not None else max(1, max_steps // 2)  # there is less to learn
    if recognised is not None and steps is None and sum(len(d.annotations.drawn()) for d in drawings) < 2:
        max_steps = 0  # what a step is worth, no slice tells
    variants = recipe.variants if max_steps else 0  # a first mask is wanted at once
    examples = make_examples(
        backbone, drawings, window, variants=variants, seed=seed, should_stop=should_stop, preview=preview
    )
    remembered = {n for n, one in enumerate(drawings) if one.remembered}
    folds = tuple(folds_of(examples, recipe.folds, remembered)) if max_steps else ()
    of_many = recognised is not None or (start_from is not None and start_from.card.begun_dice is not None)
    gain = recipe.gain if of_many else 0.0
    plan = Plan(max_steps, recipe.lr, recipe.check_every, folds, seed, gain)
    former = None if first is None else first.tensors
    fit = Fit(backbone, drawings, examples, plan, former, on_progress, should_stop)
    stages = {"first mask": time.perf_counter() - began}
    fit.run()
    result = _result(structure, fit, window, start_from, recognised)
    on_progress(Progress("tune", 1.0, f"Stopped; step {fit.steps} of {max_steps} is kept" if fit.stopped else "Done"))
    stages |= fit.stages
    total = time.perf_counter() - began
    stages["conclude"] = max(0.0, total - sum(stages.values()))
    return replace(result, outcome=replace(result.outcome, stages=stages, seconds=total))


def _result(
    structure: Structure,
    fit: Fit,
    window: tuple[float, float],
    start_from: Prompt | None,
    recognised: Recognised | None,
) -> TuningResult:
    """What a run came to: the prompt to keep with its card, and what is known of it."""
    drawings, examples = fit.drawings, fit.examples
    own = [d for d in drawings if not d.remembered]
    left_out, weight = fit.left_out, fit.weight
    if not fit.plan.steps:
        former = None if start_from is None else start_from.card.contour_weight
        weight = (left_out.usual if start_from is None else WEIGHTS[0]) if former is None else former
    at = weight if weight in WEIGHTS else WEIGHTS[0]
    scores = tuple(LeftOutSlice(*examples.places[n], v) for n, v in left_out.scores(fit.steps, at).items())
    mean_dice = _mean_of(s.dice for s in scores)
    network_dice = _mean_of(left_out.scores(fit.steps, 0.0).values())
    if start_from is not None and any(start_from.card.taught_there(d.work.volume.grid) for d in own):
        network_dice = start_from.card.network_dice  # that round had not learned from these slices yet
    card = replace(
        _card(drawings, window, mean_dice, start_from, fit.steps, fit.plan.seed),
        network_dice=None if network_dice is None else round(network_dice, 4),
        contour_weight=weight,
        begun_dice=_begun_dice(start_from, recognised, fit.steps),
    )
    first = start_from if recognised is None else recognised.prompt
    if first is not None and not fit.steps:  # as it was, it sees as it did
        card = replace(card, shared_tokens=first.card.shared_tokens, shared_pass=first.card.shared_pass)
    if first is not None and (start_from is not None or not fit.steps):
        # Corrected or not, it is the same structure; one that steps were better for may be another.
        card = replace(card, overview=first.card.overview)
    tensors = {k: v.detach().cpu() for k, v in fit.tensors.items()}
    prompt = Prompt(structure, fit.backbone.id, tensors, card)
    corrections = any(d.corrects for d in own)
    notes = (
        *advice([d.annotations for d in own], scores, corrections),
        *_learned_elsewhere(drawings),
        *_known_already(recognised),
    )
    outcome = Outcome(scores, mean_dice, network_dice, tuple(fit.history), notes, steps=fit.steps, stopped=fit.stopped)
    return TuningResult(prompt, outcome)


def _learned_elsewhere(drawings: Sequence[Drawing]) -> tuple[str, ...]:
    """A sentence on the slices of earlier patients, if there are any."""
    counts = [len(d.annotations.used()) for d in drawings if d.remembered]
    if not counts:
        return ()
    patients = f"{len(counts)} earlier patients" if len(counts) > 1 else "an earlier patient"
    slices = f"{sum(counts)} slices" if sum(counts) > 1 else "one slice"
    return (f"Learned from {slices} of {patients}, too.",)


def _known_already(recognised: Recognised | None) -> tuple[str, ...]:
    """A sentence on the prompt that found the drawn slices, if one did."""
    if recognised is None:
        return ()
    name, dice = recognised.prompt.structure.name, f"{recognised.dice:.2f}"
    return (
        f"PromptSeg knows this as {name}: that prompt found the drawn slices with a Dice of {dice}, and learning began "
        "there.",
    )


def _begun_dice(start_from: Prompt | None, recognised: Recognised | None, steps: int) -> float | None:
    """What other patients are known to have of a prompt that steps left as it was."""
    if steps:
        return None
    if recognised is not None:
        return recognised.prompt.card.validation_dice
    return None if start_from is None else start_from.card.begun_dice


def _mean_of(dice: Iterable[float]) -> float | None:
    """The mean of what is known; None with fewer than two."""
    known = [d for d in dice if d == d]
    return sum(known) / len(known) if len(known) > 1 else None


def check_drawings(drawings: Sequence[Drawing]) -> None:
    """Raise :class:`AnnotationError` for drawings that one prompt cannot be learned from."""
    if not drawings:
        raise AnnotationError("There is no volume to learn from", "name at least one with what was drawn in it")
    if not any(d.annotations.drawn() for d in drawings if not d.remembered):
        raise AnnotationError("No drawn slice shows the structure", "draw it in at least one slice")
    planes = sorted({d.work.plane for d in drawings})
    if len(planes) > 1:
        raise AnnotationError(
            f"The volumes were drawn in {planes[0]} and in {planes[1]} slices", "draw in one plane in all of them"
        )


def common_window(drawings: Sequence[Drawing]) -> tuple[float, float]:
    """The HU window that all volumes can show; that of the first if they have none in common."""
    windows = [window_of(*d.work.volume.tissue_hu) for d in drawings]
    low, high = max(w[0] for w in windows), min(w[1] for w in windows)
    return (low, high) if low < high else windows[0]


def _card(
    drawings: Sequence[Drawing],
    window: tuple[float, float],
    dice: float | None,
    start_from: Prompt | None,
    steps: int,
    seed: int,
) -> Card:
    former = Card() if start_from is None else start_from.card
    seen = list(former.taught_on)
    for grid in (d.work.volume.grid for d in drawings if not d.remembered):
        if not any(grid.digest == one if isinstance(one, str) else one.matches(grid) for one in seen):
            seen.append(grid)
    low, high = window
    corrects = any(d.corrects for d in drawings)
    return Card(
        plane=drawings[0].work.plane,
        spacing=drawings[0].work.spacing,
        window=(max(low, -1e9), min(high, 1e9)),
        components=former.components if corrects else components_of([d.annotations for d in drawings]),
        corrects=corrects,
        volumes=max(len(drawings), len(seen), former.volumes or 1),
        taught_on=tuple(seen),
        slice_mm=round(float(np.median([d.work.slice_mm for d in drawings])), 3),
        slices=sum(len(d.annotations.used()) for d in drawings),
        leave_one_slice_out_dice=None if dice is None else round(dice, 4),
        steps=steps,
        rounds=(former.rounds or 0) + 1,
        seed=seed,
        date=date.today().isoformat(),
        author=former.author,
        licence=former.licence,
        note=former.note,
    )
