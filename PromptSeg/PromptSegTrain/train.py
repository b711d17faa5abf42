"""Pre-training: one loop that reads from top to bottom.

Weights are kept in float32; where the hardware has bf16, each step runs on a bf16 copy. The exponential moving average
of the weights is what is evaluated and shipped, and the teacher of contrastive prototype assignment. Checkpoints are
safetensors, written to a temporary file and renamed, so that a killed run loses at most one save interval. Started by
``torchrun``, the same loop runs in each process (see :mod:`~PromptSegTrain.distributed`).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from PromptSegLib.datasets.loading import Part, Sample, leave_out, load_part, mark_absent, read_datasets, structures_of
from PromptSegLib.datasets.provenance import check_derived, check_held_out, learned_from, steps_so_far
from PromptSegLib.datasets.sample import warnings_of_samples
from PromptSegLib.datasets.tasks import Batch, TaskSampler
from PromptSegLib.errors import DeviceError, InputError, OutputError, PromptSegError, Stopped, quoted
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.config import PUNetConfig
from PromptSegLib.model.precision import fast_dtype
from PromptSegLib.progress import OnProgress, Progress, ShouldStop, ignore, never
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.threads import without_denormals

from .checkpoint import BEST, LAST, RunState, read_settings, remove_leftovers
from .curves import Log, curves_of_others
from .distributed import Ranks, joined
from .loader import batches
from .pretraining_model import PretrainingModel
from .recipe import Recipe
from .ship import ship
from .step import average, copy_weights, optimiser_of, train_step
from .validate import mean_dice, read_validation, validate, write_validation
from .warm import warm_start

MAX_LOST = 20
"""Steps in a row without a usable gradient that end a run."""


def _check_apart(folder: Path, name: str) -> None:
    """Raise :class:`OutputError` where a new run would take the place of a file that no run has left there: one that
    was killed early leaves curves, and nothing else."""
    made = [folder / one for one in (f"{name}.safetensors", f"{name}.json", "validation.json")]
    foreign = next((path for path in (*made, *sorted(folder.glob("*.promptset"))) if path.exists()), None)
    foreign = foreign or curves_of_others(folder)
    if foreign is not None:
        raise OutputError(f"{foreign} is there already, and no run has left it", "choose another folder")


@without_denormals()
def pretrain(
    datasets: Sequence[Path],
    folder: Path,
    *,
    config: PUNetConfig | None = None,
    in_channels: int | None = None,
    recipe: Recipe | None = None,
    name: str = "punet-ct",
    resume: bool = False,
    start_from: Path | str | None = None,
    prompts: Sequence[PromptSet] = (),
    time_budget: float | None = None,
    paced: bool = False,
    workers: int = 0,
    device: str = "auto",
    on_loaded: Callable[[Sequence[str]], None] | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Path:
    """Train a backbone on data sets.

    However the run ends, but for a kill, ``folder`` then holds ``last.safetensors`` to go on from with ``resume``, the
    backbone ``NAME.safetensors``, and for each data set a ``.promptset``; ``folder/best`` has the same of the step with
    the best mean Dice on held-out volumes. ``start_from`` is a backbone to start from, with ``prompts`` made for it.
    ``config`` and ``recipe`` default to those of the checkpoint or of ``start_from``; ``in_channels`` takes its place
    in the configuration, and a backbone to start from that sees fewer neighbours of a slice is widened.
    ``time_budget`` is in seconds; where the run is ``paced`` by it, the learning rate falls to nothing as it ends,
    however many steps there were. ``workers`` processes draw batches ahead. ``on_loaded`` hears once what is odd about
    the volumes. Gives the path of ``last.safetensors``. Raises :class:`InputError`, :class:`OutputError` or, after
    saving, ``Stopped``.
    """
    began = time.monotonic()
    folder = Path(folder)
    last = folder / LAST
    going_on = resume and last.is_file()
    if last.is_file() and not resume:
        raise OutputError(f"{folder} already holds a run", "add --resume to go on with it, or choose another folder")
    if not last.is_file():
        _check_apart(folder, name)
    if prompts and start_from is None:
        raise InputError("Prompts to start from need the backbone that they were made for", "add --start-from")
    if going_on and (config is None or recipe is None):
        saved = read_settings(last)
        config, recipe = config or saved[0], recipe or saved[1]
    source = None if start_from is None or going_on else load_backbone(start_from, "cpu", torch.float32)
    if config is None:
        config = PUNetConfig() if source is None else source.net.config
    if in_channels is not None:
        config = replace(config, in_channels=in_channels)
    recipe = recipe or Recipe()
    if source:
        origin = f"{source.name} {source.id[:12]}"
        learned, steps = learned_from(source.card), steps_so_far(source.card)
        recipe = replace(recipe, start_from=origin, earlier=learned, steps_before=steps)

    with joined(device) as (ranks, place):
        if ranks.rank:
            on_progress = ignore

        def loading(report: Progress) -> None:
            on_progress(replace(report, fraction=0.01 * report.fraction))  # of the whole run

        def load() -> list[Part]:
            split = recipe.validation, recipe.seed, folder / "cache"
            more: dict[str, Any] = {"regions": recipe.pseudo > 0, "on_progress": loading, "should_stop": should_stop}
            return [load_part(d, *split, **more) for d in read_datasets(datasets)]

        ranks.alone(lambda: _make(folder))
        parts = leave_out(ranks.first(load), recipe.leave_out)
        if on_loaded is not None and not ranks.rank:
            on_loaded(warnings_of_samples([s for p in parts for s in (*p.training, *p.validation)]))
        names = structures_of(parts)
        check_derived(parts)
        if source:
            check_held_out(recipe.earlier, parts, source.name)
        mark_absent(parts, recipe.absent, names)
        weights = recipe.weights or (1.0,) * len(parts)
        if len(weights) != len(parts):
            raise InputError(
                f"There are {len(parts)} data sets, but {len(weights)} numbers say how often each is drawn",
                "give --draw one number for each data set",
            )
        unknown = sorted({*recipe.own} - {*names})
        if unknown:
            raise InputError(f"No data set annotates {quoted(unknown)}", f"choose of {quoted(names, 120)}")
        torch.manual_seed(recipe.seed)
        model = PretrainingModel(config, names)
        if source:
            warm_start(model, source, prompts)
        if recipe.own or not recipe.prompt_tasks:
            model.bank.share(recipe.own)
        model.to(place)
        ema = copy.deepcopy(model).requires_grad_(False)
        optimiser = optimiser_of(model, recipe)
        sampler = TaskSampler(
            [p.training for p in parts],
            weights,
            names,
            recipe.seed,
            place,
            pseudo=recipe.pseudo,
            elsewhere=recipe.elsewhere,
            apart=recipe.apart,
            own=recipe.own,
        )
        state = RunState(config, names, model, ema, optimiser, sampler)
        if going_on:
            state.read(last)
            before = read_settings(last)[1]
            if (recipe.seed, recipe.validation) != (before.seed, before.validation):
                raise InputError(
                    f"{folder} goes on with the subjects that it holds out",
                    f"leave --seed and --validation as they were ({before.seed} and {before.validation:g})",
                )
        run = _Run(state, recipe, folder, name, parts, place, ranks, on_progress, should_stop)
        run.loop(began, time_budget, paced, workers)
    return last


class _Run:
    """The loop and what it needs at every step."""

    def __init__(
        self,
        state: RunState,
        recipe: Recipe,
        folder: Path,
        name: str,
        parts: Sequence[Part],
        place: torch.device,
        ranks: Ranks,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> None:
        self.state, self.recipe, self.folder, self.name, self.parts = state, recipe, folder, name, parts
        self.place, self.ranks, self.on_progress, self.should_stop = place, ranks, on_progress, should_stop
        # Without annotations, prompts learn nothing and there is no Dice to look at.
        self.supervised = recipe.mode != "self"
        self.held_out: list[Sample] = [s for p in parts for s in p.validation] if self.supervised else []
        self.dtype = fast_dtype(place)

    def loop(self, began: float, budget: float | None, paced: bool = False, workers: int = 0) -> None:
        """From the state's step to the recipe's last; ``budget`` in seconds since ``began``."""
        state, recipe, ranks = self.state, self.recipe, self.ranks
        exact = self.dtype == torch.float32
        fast = state.model if exact else copy.deepcopy(state.model).to(self.dtype)
        teacher = None
        if recipe.mode != "supervised":
            teacher = (state.ema if exact else copy.deepcopy(state.ema).to(self.dtype)).eval()
        self.log = Log(self.folder, state.step) if ranks.rank == 0 else None
        self.began = began - state.seconds
        first, reported, lost = state.step, -math.inf, 0
        since = time.monotonic()
        state.model.train()
        fast.train()

        def stopping() -> bool:
            """Asked during validation, which the time budget cuts short too."""
            return self.should_stop() or bool(budget and time.monotonic() - began > budget)

        source = self._batches(workers)
        try:
            while state.step < recipe.steps:
                over = bool(budget and time.monotonic() - began > budget)
                stop, over = ranks.any(self.should_stop(), over)
                if stop:
                    raise Stopped
                if over:
                    break
                rate = recipe.rate(state.step, (time.monotonic() - began) / budget if paced and budget else 0.0)
                for group in state.optimiser.param_groups:
                    group["lr"] = group["peak"] * rate
                batch = ranks.share(next(source))
                if teacher is not None and teacher is not state.ema:
                    copy_weights(teacher, state.ema)
                arguments = (state.model, fast, state.optimiser, batch.to(self.place), self.dtype, recipe)
                losses = train_step(*arguments, teacher, ranks)
                lost = 0 if math.isfinite(losses["loss"]) else lost + 1
                if lost >= MAX_LOST:
                    raise PromptSegError("The loss is not a number any more", "go on with --resume and a lower --lr")
                average(state.ema, state.model, recipe.ema_decay(state.step))
                state.step += 1
                if self.log and not lost:
                    self.log.add(losses)
                now = time.monotonic()
                if state.step % recipe.log_every == 0:
                    losses = self._write_line(rate) or losses
                if now - reported >= 1 or state.step % recipe.log_every == 0:
                    reported = now
                    left = (now - since) / (state.step - first) * (recipe.steps - state.step)
                    if budget:
                        left = min(left, max(0.0, budget - (now - began)))
                    text = f"step {state.step} of {recipe.steps}, loss {losses['loss']:.3f}, {_duration(left)} left"
                    self.on_progress(Progress("train", state.step / recipe.steps, text, losses))
                if state.step % recipe.save_every == 0:
                    self.save()
                if state.step % recipe.validate_every == 0 and state.step < recipe.steps:
                    self.validate(rate, stopping)
            if state.step >= recipe.steps and self._not_validated():
                self.validate(recipe.rate(state.step), stopping)
        except (Stopped, KeyboardInterrupt, DeviceError):
            self._finish()
            raise
        finally:
            source.close()
            if self.log:
                self.log.close()
        ranks.alone(self._finish)

    def validate(self, rate: float, should_stop: ShouldStop) -> None:
        """Dice on the held-out volumes; the best step so far is kept. What the time budget cuts is left out."""
        state, recipe = self.state, self.recipe
        if not self.held_out:
            return
        # In the precision in which it will be used; much faster where the hardware has bf16.
        ema = state.ema if self.dtype == torch.float32 else copy.deepcopy(state.ema).to(self.dtype)
        share = state.step / recipe.steps
        self.on_progress(Progress("validate", share, f"step {state.step}: looking at {len(self.held_out)} volumes"))
        try:
            stride = recipe.validate_stride
            scores = validate(ema, self.held_out, state.names, self.place, stride, should_stop, self.ranks)
        except Stopped:
            if self.ranks.any(self.should_stop())[0]:
                raise
            return
        means = {"dice": mean_dice(scores), "few_shot_dice": mean_dice(scores, 1)}
        better = means["dice"] > state.best
        if better:
            state.best = means["dice"]

        def write() -> None:
            write_validation(self.folder, state.step, scores)
            if better:
                state.write_average(self.folder / BEST, recipe)
                best = _make(self.folder / "best")
                write_validation(best, state.step, scores)
                ship(self.folder / BEST, best, self.name, self.parts)
            if self.log:
                self.log.write(state.step, self._seconds(), recipe.lr * rate, means)

        self.ranks.alone(write)
        self.on_progress(Progress("validate", share, f"Dice {means['dice']:.3f} on held-out volumes", means))

    def save(self) -> None:
        """Write the checkpoint, in the first process."""
        self.ranks.alone(self._save)

    def _save(self) -> None:
        self.state.seconds = self._seconds()
        self.state.write(self.folder / LAST, self.recipe)

    def _finish(self) -> None:
        """Save, and write what ships: without waiting for others, so that it also works when they have gone."""
        if self.ranks.rank:
            return
        self._write_line(self.recipe.rate(self.state.step))
        self._save()
        if self.state.step:
            ship(self.folder / LAST, self.folder, self.name, self.parts, prompts=self.supervised)

    def _batches(self, workers: int) -> Generator[Batch, None, None]:
        """The batches of the steps that are left, for all processes."""
        recipe, ranks = self.recipe, self.ranks.count
        draw = partial(
            TaskSampler.draw,
            groups=recipe.groups * ranks,
            prompt_tasks=recipe.prompt_tasks,
            views=recipe.mode != "supervised",
            tasks=self.supervised,
            ranks=ranks,
        )
        steps = range(self.state.step, recipe.steps)
        pin = self.place.type == "cuda"
        return batches(self.state.sampler, draw, steps, workers=workers, seed=recipe.seed, pin=pin)

    def _write_line(self, rate: float) -> dict[str, float]:
        return self.log.write(self.state.step, self._seconds(), self.recipe.lr * rate) if self.log else {}

    def _seconds(self) -> float:
        return time.monotonic() - self.began

    def _not_validated(self) -> bool:
        seen = self.ranks.sums(float(read_validation(self.folder).get("step") == self.state.step))
        return bool(self.held_out) and not any(seen)


def _make(folder: Path) -> Path:
    """The folder, without what a killed run left half-written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made", "choose another one") from error
    return folder


def _duration(seconds: float) -> str:
    """As people say it: 2 h 10 min, 12 min or 40 s."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
