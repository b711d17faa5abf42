"""Prompt tuning on whole labelled volumes: the backbone stays as it is, one structure's tokens learn by gradient.

After "Prompt Tuning for Parameter-efficient Medical Image Segmentation" (Fischer, Bartler, Yang, arXiv 2211.09233).
Slices are drawn and varied as in pre-training; what is looked at on held-out subjects is the moving average of the
tokens, and the best of it is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..anatomy.structure import Structure, check_structure
from ..anatomy.terminology import find
from ..datasets.provenance import learned_from
from ..datasets.sample import RECIPE, Sample
from ..datasets.tasks import TaskSampler
from ..errors import OutputError, PromptSegError, Stopped
from ..model.backbone import Backbone
from ..model.losses import mask_loss
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..prompts.card import Card
from ..prompts.promptset import Prompt
from ..tune.examples import Examples
from ..tune.initialise import propose
from ..volumes.preprocess import hu_from_grey, window_of
from . import run_folder
from .checkpoint import LAST, LearningState
from .score import components_of, volume_dice
from .set_recipe import SetRecipe
from .subjects import Subjects, gathered_subjects, load_subjects

BALANCE = 0.5
"""As in pre-training: small structures would hardly be heard in a plain cross-entropy."""
LOADED = 0.02
"""Share of the whole run that is done when the volumes are there."""
MAX_LOST = 20
"""Steps in a row without a usable gradient that end a run."""


@dataclass(frozen=True)
class SetResult:
    """The learned ``prompt``; ``curve`` has step, loss and mean Dice of each look, ``dice`` that of each held-out
    subject at the step that was kept, ``notes`` sentences on what the figures are worth."""

    prompt: Prompt
    subjects: Subjects
    curve: Sequence[dict[str, float]]
    dice: dict[str, float]
    steps: int
    stopped: bool = False
    complete: bool = True
    """Whether nothing is left to do: False where the user or the time budget ended it."""
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def mean_dice(self) -> float | None:
        """The mean of the held-out subjects; None without any."""
        known = [d for d in self.dice.values() if d == d]
        return sum(known) / len(known) if known else None


def learn(
    backbone: Backbone,
    datasets: Sequence[Path],
    structure: str,
    folder: Path,
    *,
    recipe: SetRecipe | None = None,
    start_from: Prompt | None = None,
    resume: bool = False,
    time_budget: float | None = None,
    on_loaded: Callable[[Sequence[str]], None] | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SetResult:
    """Learn ``structure`` from all volumes of ``datasets`` that show it; without any, from those that were gathered in
    ``folder`` (:func:`PromptSegLib.labelled.gathered.gather`).

    ``on_loaded`` is told once when the volumes were read, with a sentence on each that is odd.
    ``folder`` keeps the prepared volumes and a checkpoint, from which ``resume`` goes on as if nothing had been.
    ``time_budget`` is in seconds, and the last look is within it as far as can be told. When stopped after the volumes
    were read, the best prompt so far comes back with ``stopped`` set; before anything that was learned was looked at,
    ``Stopped`` is raised, and a checkpoint may be there. Raises :class:`InputError`, :class:`OutputError` and
    :class:`PromptError`.
    """
    recipe, began = recipe or SetRecipe(), time.monotonic()
    if start_from is not None:
        start_from.check(backbone.shapes(), backbone.id, backbone.name)
    with run_folder.taken(folder):
        if (folder / LAST).is_file() and not resume:
            raise OutputError(f"{folder} already holds a run", "add --resume to go on with it, or remove the folder")
        cache = folder / run_folder.CACHE
        if datasets:
            subjects = load_subjects(
                datasets, structure, cache, validation=recipe.validation, seed=recipe.seed,
                learned=learned_from(backbone.card),
                on_progress=lambda p: on_progress(replace(p, fraction=LOADED * p.fraction)), should_stop=should_stop,
            )  # fmt: skip
        else:
            subjects = gathered_subjects(cache, structure, validation=recipe.validation, seed=recipe.seed)
        known = find(subjects.structure) or Structure(subjects.structure)
        check_structure(known)
        if on_loaded is not None:
            on_loaded(subjects.warnings)
        run = _Run(backbone, subjects, recipe, folder, start_from, began, time_budget, on_progress, should_stop)
        if resume and (folder / LAST).is_file():
            run.go_on()
        loaded = time.monotonic() - began
        run.loop()
        if run.stopped and not run.state.best_step and len(run.state.curve) < 2:
            raise Stopped
        result = run.result(known)
        return replace(result, seconds={"read": loaded, "learn": time.monotonic() - began - loaded})


class _Run:
    """The loop and what it needs at every step."""

    def __init__(
        self,
        backbone: Backbone,
        subjects: Subjects,
        recipe: SetRecipe,
        folder: Path,
        start_from: Prompt | None,
        began: float,
        budget: float | None,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self.backbone, self.subjects, self.recipe, self.folder = backbone, subjects, recipe, folder
        self.began, self.budget, self.on_progress, self.should_stop = began, budget, on_progress, should_stop
        self.stopped = False
        self.sampler = TaskSampler([subjects.training], [1.0], [subjects.structure], recipe.seed)
        first = {k: v.detach().to(backbone.device).float().clone() for k, v in self._first(start_from).items()}
        tensors = {k: v.clone().requires_grad_(True) for k, v in first.items()}
        optimiser = torch.optim.Adam(list(tensors.values()), lr=recipe.lr, betas=(0.9, 0.95))
        self.state = LearningState(tensors, {k: v.clone() for k, v in first.items()}, first, optimiser)
        self.looked_at = subjects.held_out[: recipe.looked_at]
        self._look_seconds, self._lost, self._shown = 0.0, 0, -math.inf

    def go_on(self) -> None:
        """Take up the checkpoint of the folder. Raises :class:`InputError` for one of another run."""
        self.sampler.random.bit_generator.state = self.state.read(self.folder / LAST, self._same())
        self.began -= self.state.seconds
        if self.budget is not None:
            self.budget += self.state.seconds  # it is this call's

    def loop(self) -> None:
        """From the state's step to the last, to the end of patience or of the time budget, or until the user stops;
        then the best is looked at on all held-out subjects."""
        state, recipe = self.state, self.recipe
        try:
            if not state.curve:
                self._look(math.nan)
            losses: list[float] = []
            while state.step < recipe.steps and not self._impatient() and not self._over():
                check(self.should_stop)
                losses.append(self._step())
                if state.step % recipe.look_every == 0 or state.step == recipe.steps:
                    self._look(_mean(losses))
                    losses = []
            if losses:  # the time was over between two looks
                self._look(_mean(losses))
            if not self.looked_at:
                self._keep()
            elif not state.examined:
                self._examine()
        except Stopped:
            self.stopped = True
            if not self.looked_at:
                self._keep()
        self._save()

    def result(self, structure: Structure) -> SetResult:
        """What came out."""
        state, subjects = self.state, self.subjects
        result = SetResult(
            Prompt(structure, self.backbone.id, {k: v.detach().cpu() for k, v in state.best.items()}, Card()),
            subjects, tuple(state.curve), dict(state.scores), state.best_step, self.stopped, self.complete,
            tuple(self._notes()),
        )  # fmt: skip
        return replace(result, prompt=replace(result.prompt, card=self._card(result)))

    @property
    def complete(self) -> bool:
        """Whether all steps were made, or patience had an end."""
        return not self.stopped and (self.state.step >= self.recipe.steps or self._impatient())

    def _first(self, start_from: Prompt | None) -> dict[str, Tensor]:
        """What is learned from: a prompt that is there, or what the backbone makes of a few slices."""
        if start_from is not None:
            return dict(start_from.tensors)
        batch = self.sampler.draw(4)
        masks = (batch.labels == 1).float().to(self.backbone.device)
        with torch.no_grad():
            encoded = self.backbone.net.encode(batch.images.to(self.backbone.device, self.backbone.dtype))
        shown = [bool(m.sum() > 8) for m in masks]
        places = [(0, n) for n in range(len(masks))]
        examples = Examples(places, shown, [encoded], masks[None], torch.ones_like(masks)[None])
        return propose(self.backbone, examples, list(range(len(masks))))

    def _step(self) -> float:
        """One optimiser step; a step whose gradient is not finite changes nothing."""
        state, recipe, backbone = self.state, self.recipe, self.backbone
        for group in state.optimiser.param_groups:
            group["lr"] = recipe.lr * self._rate()
        batch = self.sampler.draw(recipe.groups)
        with torch.no_grad():
            encoded = backbone.net.encode(batch.images.to(backbone.device, backbone.dtype))
        check(self.should_stop)
        logits = backbone.net.decode(encoded, {k: v.to(backbone.dtype) for k, v in state.tensors.items()})
        target = (batch.labels == 1).float().to(backbone.device)
        loss = mask_loss(logits, target, balance=BALANCE).mean()
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        value = float(loss.detach())
        gradients = [v.grad for v in state.tensors.values() if v.grad is not None]
        sound = math.isfinite(value) and all(bool(g.isfinite().all()) for g in gradients)
        self._lost = 0 if sound else self._lost + 1
        if self._lost >= MAX_LOST:
            raise PromptSegError(
                "The loss is not a number any more",
                f"remove {self.folder} and begin anew with another seed (--seed)",
            )
        if sound:
            state.optimiser.step()
        state.step += 1
        decay = min(recipe.ema, (1 + state.step) / (10 + state.step))
        with torch.no_grad():
            for name, tensor in state.tensors.items():
                state.average[name].lerp_(tensor, 1 - decay)
        self._tell(value)
        return value

    def _rate(self) -> float:
        """Share of the peak learning rate: a warm-up, then a cosine over steps or time, whichever ends sooner."""
        recipe, step = self.recipe, self.state.step
        done = step / max(1, recipe.steps)
        if self.budget:
            done = max(done, (time.monotonic() - self.began) / self.budget)
        fall = 0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, done)))
        return min(1.0, (step + 1) / max(1, recipe.warmup)) * fall

    def _look(self, loss: float) -> None:
        """Dice on a few held-out subjects; the best so far is kept, and a checkpoint is written."""
        state, since = self.state, time.monotonic()
        entry = {"step": float(state.step)} | ({} if math.isnan(loss) else {"loss": round(loss, 5)})
        if self.looked_at:
            scores = self._scores(self.looked_at, state.average, self.recipe.look_stride)
            dice = _mean(list(scores.values()))
            entry["dice"] = round(dice, 5)
            if dice > state.best_dice:
                state.best_dice, state.scores = dice, scores
                state.examined = self.recipe.look_stride == 1 and len(scores) == len(self.subjects.held_out)
                self._keep()
            self._look_seconds = time.monotonic() - since
        state.curve.append(entry)
        self._save()
        step, steps, best, count = state.step, self.recipe.steps, state.best_dice, len(self.looked_at)
        text = (
            f"step {step} of {steps}: Dice {entry['dice']:.3f} on {count} held-out volumes, best {best:.3f}"
            if count
            else f"step {step} of {steps}"
        )
        self.on_progress(Progress("validate", self._share(), text, entry))

    def _examine(self) -> None:
        """Dice of the best on all held-out subjects, whole volumes."""
        self.state.scores = self._scores(self.subjects.held_out, self.state.best, last=True)
        self.state.examined = True

    def _scores(
        self, samples: Sequence[Sample], tensors: dict[str, Tensor], every: int = 1, last: bool = False
    ) -> dict[str, float]:
        out, count = {}, len(samples)
        for n, sample in enumerate(samples, 1):
            text = (
                f"Last look at {sample.name} ({n} of {count})" if last else f"Looking at {sample.name} ({n} of {count})"
            )
            self.on_progress(Progress("validate", self._share(), text))
            out[sample.name] = volume_dice(
                self.backbone, sample, self.subjects.structure, tensors, every, self.should_stop
            )
        return out

    def _keep(self) -> None:
        self.state.best_step = self.state.step
        for name, tensor in self.state.average.items():
            self.state.best[name].copy_(tensor)

    def _impatient(self) -> bool:
        """Whether nothing was gained for too long."""
        looks = [one for one in self.state.curve if "dice" in one]
        since = sum(one["step"] > self.state.best_step for one in looks)
        return bool(self.looked_at) and since >= self.recipe.patience

    def _over(self) -> bool:
        """Whether the time budget leaves no more than the last looks take."""
        if not self.budget:
            return False
        left_to_see = 1 + self.recipe.look_stride * len(self.subjects.held_out) / max(1, len(self.looked_at))
        return time.monotonic() - self.began > self.budget - self._look_seconds * left_to_see

    def _share(self) -> float:
        done = self.state.step / max(1, self.recipe.steps)
        if self.budget:
            done = max(done, (time.monotonic() - self.began) / self.budget)
        return LOADED + (0.99 - LOADED) * min(1.0, done)

    def _tell(self, loss: float) -> None:
        now = time.monotonic()
        if now - self._shown < 0.5 and self.state.step != 1:
            return
        self._shown = now
        state, steps = self.state, self.recipe.steps
        text = (
            f"step {state.step} of {steps}, loss {loss:.3f}, best Dice {state.best_dice:.3f} (step {state.best_step})"
            if state.best_dice >= 0
            else f"step {state.step} of {steps}, loss {loss:.3f}"
        )
        self.on_progress(Progress("learn", self._share(), text, {"step": state.step, "loss": loss}))

    def _same(self) -> dict[str, Any]:
        """What must be as before to go on."""
        recipe = {k: v for k, v in asdict(self.recipe).items() if k not in ("steps", "patience")}
        subjects = self.subjects
        return {"backbone": self.backbone.id, "structure": subjects.structure, "split": subjects.split, **recipe}

    def _save(self) -> None:
        self.state.seconds = time.monotonic() - self.began
        self.state.write(self.folder / LAST, self._same(), self.sampler.random.bit_generator.state)

    def _notes(self) -> list[str]:
        notes = []
        if self.subjects.seen:
            notes.append(
                f"The backbone was pre-trained on {len(self.subjects.seen)} of the {self.subjects.subjects_held_out} "
                "held-out subjects: for others, expect less than the Dice here."
            )
        if not self.subjects.held_out:
            notes.append("No subject was held out: how good the prompt is in others is not known.")
        elif not self.state.examined:
            notes.append("The run ended before the last look: the Dice is that of some slices of some subjects.")
        elif self.subjects.subjects_held_out < 3:
            notes.append("With fewer than three held-out subjects the Dice says little of the next one.")
        return notes

    def _card(self, result: SetResult) -> Card:
        subjects, name = self.subjects, self.subjects.structure
        grey = [(int(s.grey.min()), int(s.grey.max())) for s in subjects.training]
        ends = np.array([min(low for low, _ in grey), max(high for _, high in grey)])
        low, high = (float(v) for v in hu_from_grey(ends).round())
        mean = result.mean_dice
        return Card(
            plane="axial",
            spacing=float(RECIPE["spacing"]),
            window=window_of(low, high),
            components=components_of(subjects.training, name),
            volumes=len(subjects.training),
            slices=sum(len(s.where[name]) for s in subjects.training),
            slice_mm=round(float(np.median([s.slice_mm for s in subjects.training])), 3),
            steps=result.steps,
            rounds=1,
            seed=self.recipe.seed,
            validation_dice=None if mean is None else round(mean, 4),
            data=subjects.data,
            licence=f"see the licences of the data: {'; '.join(subjects.licences)}"[:1000] if subjects.licences else "",
            date=date.today().isoformat(),
            extra={
                # Counts and figures alone: files are passed on, and volumes may be called after patients.
                "subjects": {part: len(names) for part, names in subjects.split.items()},
                "dice_by_subject": [round(v, 4) for _, v in sorted(result.dice.items()) if v == v],
                "curve": [dict(one) for one in result.curve],
                "pretrained_on": len(subjects.seen),
            },
        )


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if v == v]
    return sum(known) / len(known) if known else math.nan
