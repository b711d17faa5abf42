"""Prompt tuning: a structure's tokens learned by gradient on a frozen backbone, from a few drawn slices.

How many steps are best is found by leaving out one drawn slice at a time: the same leave-one-slice-out runs give the
honest figure that is shown to the user. Then the prompt is learned from all drawn slices for that many steps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import AnnotationError, Stopped
from ..model.backbone import Backbone
from ..model.losses import dice_of
from ..progress import OnProgress, Progress, ShouldStop, ignore, never
from ..prompts.promptset import Prompt
from ..prompts.structure import Structure
from ..volumes.preprocess import FULL_WINDOW, WorkingVolume, window_of
from .annotations import SliceAnnotations
from .descent import LeftOut, descend, folds_of, fused_dice, logits_of, marks_of
from .examples import Examples, make_examples
from .fusion import contour_prior, drawn_masks
from .initialise import propose


@dataclass(frozen=True)
class TuningRecipe:
    """What decides a tuning run."""

    steps: int = 30
    """Most steps; leave-one-slice-out may choose fewer."""
    lr: float = 0.2
    """Of Adam; tokens are of the order of 1, and few steps must be enough."""
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
    window = window_of(*work.volume.range_hu)
    if start_from is not None:
        low, high = start_from.card.get("window", FULL_WINDOW)
        window = float(low), float(high)
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
    folds = folds_of(examples, recipe.folds)
    masks = drawn_masks(work, annotations)
    left_out = LeftOut(marks_of(most, recipe.check_every))
    work_units = (len(folds) + 1) * max(1, most)
    chosen_steps, weight = left_out.choice()
    stopped = False

    def go(start_tensors: dict[str, Tensor], learn_from: Sequence[int], steps: int) -> Iterator:
        return descend(backbone, examples, start_tensors, learn_from, steps, recipe.lr, seed, should_stop)

    try:
        for number, fold in enumerate(folds):
            learn_from = [n for n in everything if n != fold]
            index = examples.indices[fold]
            others = {k: m for k, m in masks.items() if k != index}
            prior = contour_prior(others, work.slice_mm, work.spacing, [index]).get(index)
            curve = []
            for step, tensors, loss in go(start(learn_from), learn_from, most):
                report = {"step": step, "loss": loss, "fold": number + 1}
                if step in left_out.marks:
                    logits = logits_of(backbone, examples, tensors, [fold])[0]
                    curve.append(fused_dice(logits, prior, examples.target[0, fold], examples.valid[0, fold]))
                    report["left_out_dice"] = float(curve[-1][-1])
                share = 0.02 + 0.96 * (number * most + step) / work_units
                on_progress(Progress("leave one out", share, f"Without slice {index}", report))
            left_out.curves[index] = np.stack(curve)
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

    scores = left_out.scores(chosen_steps, weight)
    known = [v for v in scores.values() if v == v]
    mean_dice = sum(known) / len(known) if len(known) > 1 else None
    card = _card(annotations, work, window, mean_dice, start_from, best.steps, seed)
    card["outline_weight"] = weight
    tensors = {k: v.detach().cpu() for k, v in best.tensors.items()}
    on_progress(Progress("tune", 1.0, "Stopped, best so far kept" if stopped else "Done"))
    prompt = Prompt(structure, backbone.id, tensors, card)
    return TuningResult(prompt, scores, mean_dice, tuple(history), seconds, stopped)


def _dice(backbone: Backbone, examples: Examples, tensors: Mapping[str, Tensor], chosen: Sequence[int]) -> float:
    """The network's Dice on the unvaried slices ``chosen`` on the working grid, where they are labelled."""
    logits = logits_of(backbone, examples, tensors, chosen)
    return float(dice_of(logits, examples.target[0, list(chosen)], examples.valid[0, list(chosen)]))


@dataclass
class Best:
    """The prompt to keep when the user stops."""

    tensors: dict[str, Tensor]
    steps: int = 0


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
