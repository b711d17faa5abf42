"""Prompt tuning: a structure's tokens learned by gradient on a frozen backbone, from a few drawn slices.

How many steps are best is found by leaving out one drawn slice at a time; what those runs found is shown to the user.
Then the prompt is learned from all drawn slices for that many steps.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import torch
from torch import Tensor

from ..errors import AnnotationError, PromptError, Stopped
from ..model.backbone import Backbone
from ..model.losses import dice_of
from ..progress import OnProgress, Progress, ShouldStop, ignore, never
from ..prompts.card import Card
from ..prompts.promptset import Prompt
from ..prompts.structure import Structure, check_structure
from ..volumes.preprocess import FULL_WINDOW, window_of
from .advice import advice, components_of
from .descent import LeftOut, descend, first_weight, folds_of, judged, logits_of, marks_of
from .examples import Drawing, Examples, make_examples
from .fusion import PRIOR_LIMIT, WEIGHTS, outlines_of
from .initialise import propose


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
    learn: tuple[str, ...] = ("",)
    """What changes: the tensors whose names begin so, for example "head." or "decoder."; "" is all."""
    weight: float | None = None
    """The outlines' weight where it is not to be chosen by leaving slices out."""


@dataclass(frozen=True)
class LeftOutSlice:
    """What a drawn slice got when it was not learned from: ``volume`` counts from 0, ``dice`` is NaN where neither the
    drawing nor the network has anything."""

    volume: int
    index: int
    dice: float


@dataclass(frozen=True)
class TuningResult:
    """The learned ``prompt`` and what is known about it.

    ``left_out`` lists the drawn slices that were left out, with their Dice at the number of steps and the weight that
    were chosen; ``leave_one_out_dice`` is its mean, None with fewer than two, and ``network_dice`` the mean of what the
    network found there without outlines, as it has to on other volumes. None is left out where no step was asked for.
    ``history`` lists steps with loss and Dice, ``notes`` are sentences on what deserves a second look.
    """

    prompt: Prompt
    left_out: tuple[LeftOutSlice, ...]
    leave_one_out_dice: float | None
    network_dice: float | None = None
    history: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    seconds: Mapping[str, float] = field(default_factory=dict)
    stopped: bool = False
    notes: tuple[str, ...] = ()

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
    steps: int | None = None,
    seed: int = 0,
    recipe: TuningRecipe | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TuningResult:
    """Learn ``structure`` from one or several volumes; see :meth:`PromptSegLib.session.Session.tune`."""
    recipe = recipe or TuningRecipe()
    if steps is not None and steps < 0:
        raise AnnotationError(f"The number of steps must not be negative, and {steps} is")
    check_structure(structure)  # what cannot be written must not be learned first
    most = recipe.steps if steps is None else steps
    if start_from is not None:
        start_from.check(backbone.shapes(), backbone.id, backbone.name)
        if drawings and start_from.card.plane != drawings[0].work.plane:
            raise PromptError(
                f"{start_from.structure.name} was learned in {start_from.card.plane} slices, and these were drawn in "
                f"{drawings[0].work.plane} ones",
                "draw in the same plane, or teach it anew without going on from it",
            )
        most = most if steps is not None else max(1, most // 2)  # a later round has less to learn
    check_drawings(drawings)
    began = time.perf_counter()
    seconds: dict[str, float] = {}
    window = common_window(drawings)
    if start_from is not None:
        window = start_from.card.window or FULL_WINDOW
    examples = make_examples(backbone, drawings, window, variants=recipe.variants, seed=seed, should_stop=should_stop)
    everything = list(range(len(examples.places)))

    def start(chosen: Sequence[int]) -> dict[str, Tensor]:
        if start_from is None:
            return propose(backbone, examples, chosen)
        return {k: v.to(backbone.device, torch.float32) for k, v in start_from.tensors.items()}

    first = start(everything)
    dice = _dice(backbone, examples, first, everything)
    seconds["first mask"] = time.perf_counter() - began
    history: list[dict[str, float]] = [{"step": 0, "dice": dice}]
    on_progress(
        Progress("first mask", 0.02, f"First mask: Dice {dice:.2f} on the drawn slices", {"step": 0, "dice": dice})
    )

    best = Best(first)
    folds = folds_of(examples, recipe.folds) if most else []  # a first mask is wanted at once
    left_out = LeftOut(marks_of(most, recipe.check_every), usual=first_weight(dice))
    work_units = (len(folds) + 1) * max(1, most)
    chosen_steps, weight = left_out.choice()
    stopped = False

    def go(start_tensors: dict[str, Tensor], learn_from: Sequence[int], steps: int) -> Iterator:
        return descend(backbone, examples, start_tensors, learn_from, steps, recipe.lr, seed, should_stop, recipe.learn)

    try:
        for number, fold in enumerate(folds):
            learn_from = [n for n in everything if n != fold]
            volume, index = examples.places[fold]
            drawing = drawings[volume]
            outline = _left_out_outline(drawing, index, should_stop)
            curve = []
            for step, tensors, loss in go(start(learn_from), learn_from, most):
                report = {"step": step, "loss": loss, "slice": index}
                if step in left_out.marks:
                    rows, columns = drawing.size
                    logits = logits_of(backbone, examples, tensors, [fold])[0][:rows, :columns]
                    target, valid = (t[0, fold, :rows, :columns] for t in (examples.target, examples.valid))
                    curve.append(judged(logits, outline, target, valid))
                    alone, fused = (float(curve[-1][WEIGHTS.index(w), 0]) for w in (0.0, WEIGHTS[0]))
                    report |= {"left_out_dice": alone, "fused_dice": alone if outline is None else fused}
                share = 0.02 + 0.96 * (number * most + step) / work_units
                where = f"Without slice {index}" + (f" of volume {volume + 1}" if len(drawings) > 1 else "")
                on_progress(Progress("leave one out", share, where, report))
            left_out.curves[fold] = np.stack(curve)
        seconds["leave one out"] = time.perf_counter() - began - seconds["first mask"]
        chosen_steps, weight = left_out.choice()
        for step, tensors, loss in go(first, everything, chosen_steps):
            best.tensors, best.steps = tensors, step
            entry: dict[str, float] = {"step": step, "loss": loss}
            if step in left_out.marks:
                entry["dice"] = _dice(backbone, examples, tensors, everything)
                history.append(entry)
            share = 0.02 + 0.96 * (len(folds) * most + step * most / max(1, chosen_steps)) / work_units
            on_progress(Progress("tune", share, f"Step {step} of {chosen_steps}", entry))
    except Stopped:
        stopped = True
    seconds["all"] = time.perf_counter() - began

    if not most:
        former = None if start_from is None else start_from.card.outline_weight
        weight = (left_out.usual if start_from is None else WEIGHTS[0]) if former is None else former
    weight = weight if recipe.weight is None else recipe.weight
    at = weight if weight in WEIGHTS else WEIGHTS[0]
    scores = tuple(
        LeftOutSlice(examples.places[n][0], examples.places[n][1], v)
        for n, v in left_out.scores(chosen_steps, at).items()
    )
    mean_dice = _mean_of(s.dice for s in scores)
    network_dice = _mean_of(left_out.scores(chosen_steps, 0.0).values())
    if start_from is not None and any(start_from.card.taught_there(d.work.volume.grid) for d in drawings):
        network_dice = start_from.card.network_dice  # that round had not learned from these slices yet
    card = replace(
        _card(drawings, window, mean_dice, start_from, best.steps, seed),
        network_dice=None if network_dice is None else round(network_dice, 4),
        outline_weight=weight,
    )
    tensors = {k: v.detach().cpu() for k, v in best.tensors.items()}
    on_progress(Progress("tune", 1.0, "Stopped, best so far kept" if stopped else "Done"))
    prompt = Prompt(structure, backbone.id, tensors, card)
    notes = advice([d.annotations for d in drawings], scores)
    return TuningResult(prompt, scores, mean_dice, network_dice, tuple(history), seconds, stopped, notes)


def _mean_of(dice: Iterable[float]) -> float | None:
    """The mean of what is known; None with fewer than two."""
    known = [d for d in dice if d == d]
    return sum(known) / len(known) if len(known) > 1 else None


def check_drawings(drawings: Sequence[Drawing]) -> None:
    """Raise :class:`AnnotationError` for drawings that one prompt cannot be learned from."""
    if not drawings:
        raise AnnotationError("There is no volume to learn from", "name at least one with what was drawn in it")
    if not any(d.annotations.drawn() for d in drawings):
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


def _left_out_outline(drawing: Drawing, index: int, should_stop: ShouldStop) -> np.ndarray | None:
    """What the other drawn slices say about one of them, as the network sees it; None at the ends."""
    fine = drawing.fine or drawing.work
    outline = outlines_of(fine, drawing.annotations, [index], index, should_stop).get(index)
    if outline is None:
        return None
    return drawing.work.taken_from(fine, outline, -PRIOR_LIMIT)[drawing.crop]


def _dice(backbone: Backbone, examples: Examples, tensors: Mapping[str, Tensor], chosen: Sequence[int]) -> float:
    """The network's Dice on the unvaried slices ``chosen`` on the working grid, where they are labelled."""
    logits = logits_of(backbone, examples, tensors, chosen)
    return float(dice_of(logits, examples.target[0, list(chosen)], examples.valid[0, list(chosen)]))


@dataclass
class Best:
    """The prompt to keep when the user stops."""

    tensors: dict[str, Tensor]
    steps: int = 0


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
    for grid in (d.work.volume.grid for d in drawings):
        if not any(grid.digest == one if isinstance(one, str) else one.matches(grid) for one in seen):
            seen.append(grid)
    low, high = window
    return Card(
        plane=drawings[0].work.plane,
        spacing=drawings[0].work.spacing,
        window=(max(low, -1e9), min(high, 1e9)),
        components=components_of([d.annotations for d in drawings]),
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
