"""Prompt tuning: a structure's tokens learned by gradient on a frozen backbone, from a few drawn slices.

How many steps are best is found by leaving out one drawn slice at a time: the same leave-one-slice-out runs give the
honest figure that is shown to the user. Then the prompt is learned from all drawn slices for that many steps.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import torch
from torch import Tensor

from ..errors import AnnotationError, Stopped
from ..model.backbone import Backbone
from ..model.losses import dice_of, mask_loss
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..prompts.promptset import Prompt
from ..prompts.structure import Structure
from ..volumes.preprocess import FULL_WINDOW, WorkingVolume
from .annotations import SliceAnnotations
from .examples import Examples, make_examples
from .initialise import propose


@dataclass(frozen=True)
class TuningRecipe:
    """What decides a tuning run."""

    steps: int = 30
    """Most steps; leave-one-slice-out may choose fewer."""
    lr: float = 1e-2
    variants: int = 4
    """Varied copies of the drawn slices that are learned from beside the slices themselves."""
    folds: int = 5
    """Most leave-one-slice-out runs."""
    check_every: int = 5


@dataclass(frozen=True)
class TuningResult:
    """The learned ``prompt`` and what is known about it.

    ``leave_one_out`` maps drawn slices to the Dice that they got when they were not learned from, at the number of
    steps that was chosen; ``leave_one_out_dice`` is their mean, None with fewer than two. ``history`` lists steps with
    loss and Dice.
    """

    prompt: Prompt
    leave_one_out: Mapping[int, float]
    leave_one_out_dice: float | None
    history: Sequence[Mapping[str, float]] = field(default_factory=tuple)
    seconds: Mapping[str, float] = field(default_factory=dict)
    stopped: bool = False


def tune(
    backbone: Backbone,
    work: WorkingVolume,
    annotations: SliceAnnotations,
    structure: Structure,
    *,
    start_from: Prompt | None = None,
    steps: int | None = None,
    seed: int = 0,
    recipe: TuningRecipe | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TuningResult:
    """Learn ``structure`` from ``annotations``; see :meth:`PromptSegLib.session.Session.tune`."""
    recipe = recipe or TuningRecipe()
    if steps is not None and steps < 0:
        raise AnnotationError(f"The number of steps must not be negative, and {steps} is")
    most = recipe.steps if steps is None else steps
    if start_from is not None:
        start_from.check(backbone.shapes(), backbone.id, backbone.name)
        most = most if steps is not None else max(1, most // 2)  # a later round has less to learn
    if not annotations.drawn():
        raise AnnotationError("No drawn slice shows the structure", "draw it in at least one slice")
    began = time.perf_counter()
    seconds: dict[str, float] = {}
    window = FULL_WINDOW if start_from is None else tuple(start_from.card.get("window", FULL_WINDOW))
    examples = make_examples(
        backbone, work, annotations, window, variants=recipe.variants, seed=seed, should_stop=should_stop
    )
    everything = list(range(len(examples.indices)))

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
    folds = _folds(examples, recipe.folds)
    work_units = (len(folds) + 1) * max(1, most)
    left_out: dict[int, list[float]] = {}
    stopped = False
    chosen_steps = most
    try:
        marks = _marks(most, recipe.check_every)
        for number, fold in enumerate(folds):
            learn_from = [n for n in everything if n != fold]
            curve = []
            for step, tensors, loss in descend(
                backbone, examples, start(learn_from), learn_from, most, recipe.lr, seed, should_stop
            ):
                if step in marks:
                    curve.append(_dice(backbone, examples, tensors, [fold]))
                share = (number * most + step) / work_units
                report = {"step": step, "loss": loss, "fold": number + 1}
                if step in marks:
                    report["left_out_dice"] = curve[-1]
                on_progress(
                    Progress("leave one out", 0.02 + 0.96 * share, f"Without slice {examples.indices[fold]}", report)
                )
            left_out[examples.indices[fold]] = curve
        seconds["leave one out"] = time.perf_counter() - began - seconds["first mask"]
        if left_out:
            mean = torch.tensor(list(left_out.values())).nanmean(0)
            if float(mean.nan_to_num().max()) > 0:
                chosen_steps = marks[int(mean.nan_to_num().argmax())]
        for step, tensors, loss in descend(
            backbone, examples, first, everything, chosen_steps, recipe.lr, seed, should_stop
        ):
            best.tensors, best.steps = tensors, step
            entry: dict[str, float] = {"step": step, "loss": loss}
            if step in marks or step == chosen_steps:
                entry["dice"] = _dice(backbone, examples, tensors, everything)
                history.append(entry)
            share = (len(folds) * most + step * most / max(1, chosen_steps)) / work_units
            on_progress(Progress("tune", 0.02 + 0.96 * share, f"Step {step} of {chosen_steps}", entry))
    except Stopped:
        stopped = True
    seconds["all"] = time.perf_counter() - began

    at = (
        _marks(most, recipe.check_every).index(chosen_steps) if chosen_steps in _marks(most, recipe.check_every) else -1
    )
    scores = {k: v[at] for k, v in left_out.items()}
    known = [v for v in scores.values() if v == v]
    mean_dice = sum(known) / len(known) if len(known) > 1 else None
    card = _card(annotations, work, window, mean_dice, start_from, best.steps, seed)
    tensors = {k: v.detach().cpu() for k, v in best.tensors.items()}
    on_progress(Progress("tune", 1.0, "Stopped, best so far kept" if stopped else "Done"))
    return TuningResult(
        Prompt(structure, backbone.id, tensors, card), scores, mean_dice, tuple(history), seconds, stopped
    )


@dataclass
class Best:
    """The prompt to keep when the user stops."""

    tensors: dict[str, Tensor]
    steps: int = 0


def descend(backbone, examples, start, chosen, steps, lr, seed, should_stop):
    """Yield (step, tensors, loss) from ``start`` (step 0) on, learning from the slices ``chosen`` of ``examples``.

    Adam with a cosine to a tenth of the rate; the slices as they are and one varied copy take turns.
    """
    tensors = {k: v.detach().clone().requires_grad_(True) for k, v in start.items()}
    optimiser = torch.optim.Adam(tensors.values(), lr=lr, betas=(0.9, 0.95))
    index = torch.tensor(list(chosen))
    picked = [e.select(index) for e in examples.encoded]
    generator = torch.Generator().manual_seed(seed)
    yield 0, {k: v.detach().clone() for k, v in tensors.items()}, float("nan")
    for step in range(1, steps + 1):
        check(should_stop)
        for group in optimiser.param_groups:
            group["lr"] = lr * (0.55 + 0.45 * float(torch.cos(torch.tensor(torch.pi * (step - 1) / steps))))
        v = 0 if step % 2 or len(picked) == 1 else 1 + int(torch.randint(len(picked) - 1, (1,), generator=generator))
        logits = backbone.net.decode(picked[v], {k: t.to(backbone.dtype) for k, t in tensors.items()})
        check(should_stop)
        loss = mask_loss(logits, examples.target[v, index], examples.valid[v, index]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        yield step, {k: t.detach().clone() for k, t in tensors.items()}, float(loss.detach())


@torch.inference_mode()
def _dice(backbone: Backbone, examples: Examples, tensors: Mapping[str, Tensor], chosen: Sequence[int]) -> float:
    """Dice on the unvaried slices ``chosen`` on the working grid, where they are labelled."""
    encoded = examples.encoded[0].select(list(chosen))
    logits = backbone.net.decode(encoded, {k: v.to(backbone.dtype) for k, v in tensors.items()})
    return float(dice_of(logits, examples.target[0, list(chosen)], examples.valid[0, list(chosen)]))


def _folds(examples: Examples, most: int) -> list[int]:
    """Which slices to leave out: those that show the structure, evenly spread if there are more than ``most``."""
    shown = [n for n, there in enumerate(examples.shown) if there]
    if len(shown) < 2:
        return []
    if len(shown) <= most:
        return shown
    return [shown[round(i * (len(shown) - 1) / (most - 1))] for i in range(most)]


def _marks(steps: int, every: int) -> list[int]:
    """The steps at which Dice is measured: 0, every few, and the last."""
    return sorted({0, *range(every, steps + 1, every), steps})


def _card(annotations, work, window, dice, start_from, steps, seed) -> dict[str, Any]:
    former = dict(start_from.card) if start_from is not None else {}
    return {
        "plane": work.plane,
        "spacing": work.spacing,
        "window": list(window),
        "components": former.get("components", "substantial"),
        "volumes": max(1, int(former.get("volumes", 1))),
        "slices": len(annotations.used()),
        "leave_one_slice_out_dice": None if dice is None else round(dice, 4),
        "steps": steps,
        "rounds": int(former.get("rounds", 0)) + 1,
        "seed": seed,
        "date": date.today().isoformat(),
        "author": former.get("author", ""),
        "licence": former.get("licence", ""),
        "note": former.get("note", ""),
    }
