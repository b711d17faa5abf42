"""A prompt learned from all drawn slices and, side by side with it, from all but one of them.

All go on by a few steps at a time, so that after each such stretch it is known how well the prompt of that many steps
finds slices that it was not shown. Whenever the user stops, the best prompt so far by that measure is there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..contours.fusion import PRIOR_LIMIT, WEIGHTS, contours_of
from ..errors import Stopped
from ..model.backbone import Backbone
from ..model.losses import dice_of
from ..progress import OnProgress, Progress, ShouldStop
from .examples import Drawing, Examples
from .initialise import propose
from .optimise import LeftOut, Tensors, evaluation_steps, first_weight, logits_of, optimise, scored

FIRST = 0.02
"""Share of the whole run that is done when the first mask is there."""
_ALL = 0.98
Optimisation = Iterator[tuple[int, dict[str, Tensor], float]]


@dataclass(frozen=True)
class Plan:
    """``steps`` gradient steps at most at the rate ``lr``, with a look at what was left out every ``check_every``;
    ``folds`` are the examples that are left out, one at a time, and ``gain`` is the Dice that these must gain for any
    step to be kept."""

    steps: int
    lr: float
    check_every: int
    folds: tuple[int, ...]
    seed: int
    gain: float = 0.0


class Fit:
    """One run. ``tensors`` after ``steps`` steps are the prompt to keep, from the first moment on."""

    def __init__(
        self,
        backbone: Backbone,
        drawings: Sequence[Drawing],
        examples: Examples,
        plan: Plan,
        start_from: Tensors | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        """Makes the first prompt, without a step: ``start_from`` as it is, else the proposer's."""
        self.backbone, self.drawings, self.examples, self.plan = backbone, drawings, examples, plan
        self._start_from, self._on_progress, self._should_stop = start_from, on_progress, should_stop
        self._everything = list(range(len(examples.places)))
        self.tensors = self._start(self._everything)
        self.steps, self.stopped = 0, False
        dice = self._dice(self.tensors)
        self.history: list[dict[str, float]] = [{"step": 0, "dice": dice}]
        self.left_out = LeftOut(
            evaluation_steps(plan.steps, plan.check_every),
            usual=first_weight(dice),
            slices=len(plan.folds),
            gain=plan.gain,
        )
        self.stages = {"leave one out": 0.0, "tune": 0.0}
        self._latest, self._best = (0, self.tensors), dice
        self._contours: dict[int, np.ndarray | None] = {}
        self._done = 0
        on_progress(Progress("first mask", FIRST, f"First mask: Dice {dice:.2f} on the drawn slices", self.history[0]))

    def run(self) -> None:
        """Go through all steps, or until the user stops."""
        try:
            fit = self._optimise(self.tensors, self._everything)
            others = {n: self._without(n) for n in self.plan.folds}
            for mark in self.left_out.marks:
                with self._timed("leave one out"):
                    for n, optimisation in others.items():
                        self._leave_out(n, optimisation, mark)
                with self._timed("tune"):
                    self._go_on(fit, mark)
                if self._is_best(mark):
                    self.steps, self.tensors = self._latest
            if not others:
                self.steps, self.tensors = self._latest  # nothing speaks for fewer steps than were asked for
        except Stopped:
            self.stopped = True
            step, tensors = self._latest
            if not self.plan.folds and step > self.steps and self._dice(tensors) >= self._best:
                self.steps, self.tensors = step, tensors

    @property
    def weight(self) -> float:
        """The contours' weight that goes with the prompt to keep."""
        return self.left_out.choice()[1]

    def _is_best(self, mark: int) -> bool:
        """Whether the prompt at ``mark`` is the best so far, or as good: on left-out slices, or, where there are none,
        on the drawn ones."""
        if self.plan.folds:
            return self.left_out.choice()[0] == mark
        better = self.history[-1]["dice"] >= self._best
        self._best = max(self._best, self.history[-1]["dice"])
        return better

    def _leave_out(self, n: int, optimisation: Optimisation, mark: int) -> None:
        """Go on to ``mark`` without example ``n``, and look how well it is found."""
        volume, index = self.examples.places[n]
        several = sum(not one.remembered for one in self.drawings) > 1
        where = f"Checking without slice {index}" + (f" of volume {volume + 1}" if several else "")
        for step, tensors, loss in _until(optimisation, mark):
            report: dict[str, float] = {"step": step, "loss": loss, "slice": index}
            if step == mark:
                found, contour = self._evaluate(n, tensors)
                self.left_out.add(n, found)
                alone, fused = (float(found[WEIGHTS.index(w), 0]) for w in (0.0, WEIGHTS[0]))
                report |= {"left_out_dice": alone, "fused_dice": fused if contour else alone}
            self._report("leave one out", where, report)

    def _go_on(self, fit: Optimisation, mark: int) -> None:
        """Learn from all drawn slices up to ``mark``."""
        for step, tensors, loss in _until(fit, mark):
            self._latest = step, tensors
            entry: dict[str, float] = {"step": step, "loss": loss}
            if step == mark:
                entry["dice"] = self._dice(tensors) if step else self.history[0]["dice"]
                if step:
                    self.history.append(entry)
            self._report("tune", f"Step {step} of {self.plan.steps}", entry)

    def _evaluate(self, n: int, tensors: Tensors) -> tuple[np.ndarray, bool]:
        """How well example ``n`` is found (see :func:`scored`), and whether there is a contour for it."""
        volume, _ = self.examples.places[n]
        rows, columns = self.drawings[volume].size
        contour = self._contour(n)
        logits = logits_of(self.backbone, self.examples, tensors, [n])[0][:rows, :columns]
        target, valid = (t[0, n, :rows, :columns] for t in (self.examples.target, self.examples.valid))
        return scored(logits, contour, target, valid), contour is not None

    def _contour(self, n: int) -> np.ndarray | None:
        """What the other drawn slices say about example ``n``, as the network sees it; None at the ends."""
        if n not in self._contours:
            volume, index = self.examples.places[n]
            drawing = self.drawings[volume]
            fine = drawing.fine or drawing.work
            found = contours_of(fine, drawing.annotations, [index], index, self._should_stop).get(index)
            self._contours[n] = (
                None if found is None else drawing.work.taken_from(fine, found, -PRIOR_LIMIT)[drawing.crop]
            )
        return self._contours[n]

    def _without(self, n: int) -> Optimisation:
        """Begins when it is asked for its first step."""
        rest = [other for other in self._everything if other != n]
        yield from self._optimise(self._start(rest), rest)

    def _optimise(self, start: Tensors, chosen: Sequence[int]) -> Optimisation:
        plan = self.plan
        return optimise(self.backbone, self.examples, start, chosen, plan.steps, plan.lr, plan.seed, self._should_stop)

    def _start(self, chosen: Sequence[int]) -> dict[str, Tensor]:
        if self._start_from is None:
            return propose(self.backbone, self.examples, chosen)
        return {k: v.to(self.backbone.device).float() for k, v in self._start_from.items()}

    def _dice(self, tensors: Tensors) -> float:
        """The network's Dice on all unvaried slices on the working grid, where they are labelled."""
        logits = logits_of(self.backbone, self.examples, tensors, self._everything)
        return float(dice_of(logits, self.examples.target[0], self.examples.valid[0]))

    def _report(self, stage: str, message: str, metrics: dict[str, float]) -> None:
        self._done += metrics["step"] > 0
        total = max(1, (len(self.plan.folds) + 1) * self.plan.steps)
        share = FIRST + (_ALL - FIRST) * self._done / total
        self._on_progress(Progress(stage, share, message, metrics))

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] += time.perf_counter() - began


def _until(optimisation: Optimisation, mark: int) -> Optimisation:
    """The next steps of a descent, up to ``mark``; it can be gone on with."""
    for found in optimisation:
        yield found
        if found[0] == mark:
            return
