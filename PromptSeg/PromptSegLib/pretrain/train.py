"""Pre-training: one loop that reads from top to bottom.

Weights are kept in float32; where the hardware has bf16, each step runs on a bf16 copy. The exponential moving average
of the weights is what is evaluated and shipped. Checkpoints are safetensors, written to a temporary file and renamed,
so that a killed run loses at most one save interval.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import OutputError, Stopped
from ..model.config import PUNetConfig
from ..model.precision import fast_dtype, pick_device
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from .checkpoint import Log, State, write_validation
from .data import Sample, load_part, read_datasets
from .recipe import Recipe
from .ship import ship
from .tasks import Batch, TaskSampler
from .trainee import Trainee, quick_dice


def pretrain(
    datasets: Sequence[Path],
    folder: Path,
    *,
    config: PUNetConfig | None = None,
    recipe: Recipe | None = None,
    name: str = "punet-ct",
    resume: bool = False,
    time_budget: float | None = None,
    device: str = "auto",
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Path:
    """Train a backbone on Decathlon data sets.

    However the run ends, but for a kill, ``folder`` then holds ``last.safetensors`` to go on from with ``resume``, the
    backbone ``NAME.safetensors``, and for each data set a ``.promptset``. ``time_budget`` is in seconds. Gives the path
    of ``last.safetensors``. Raises :class:`InputError`, :class:`OutputError` or, after saving, ``Stopped``.
    """
    began = time.monotonic()
    config, recipe, place = config or PUNetConfig(), recipe or Recipe(), pick_device(device)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made", "choose another one") from error
    last = folder / "last.safetensors"
    if last.is_file() and not resume:
        raise OutputError(f"{folder} already holds a run", "add --resume to go on with it, or choose another folder")
    parts = [
        load_part(d, recipe.validation, recipe.seed, folder / "cache", on_progress=on_progress, should_stop=should_stop)
        for d in read_datasets(datasets)
    ]
    held_out = [s for p in parts for s in p.validation]
    names = list(dict.fromkeys(n for p in parts for n in p.dataset.labels.values()))

    torch.manual_seed(recipe.seed)
    trainee = Trainee(config, names).to(place)
    ema = copy.deepcopy(trainee).requires_grad_(False)
    optimiser = torch.optim.AdamW(trainee.groups(recipe.weight_decay, recipe.lr, recipe.prompt_lr), betas=(0.9, 0.98))
    sampler = TaskSampler([p.training for p in parts], recipe.weights or [1.0] * len(parts), names, recipe.seed)
    state = State(config, names, trainee, ema, optimiser, sampler)
    if resume and last.is_file():
        state.read(last)
    earlier = state.seconds
    dtype = fast_dtype(place)
    fast = trainee if dtype == torch.float32 else copy.deepcopy(trainee).to(dtype)
    log = Log(folder / "metrics.csv", state.step)

    def seconds() -> float:
        return earlier + time.monotonic() - began

    def save() -> None:
        state.seconds = seconds()
        state.write(last, recipe)

    def finish() -> None:
        log.write(state.step, seconds(), recipe.lr * recipe.rate(state.step))
        save()
        if state.step:
            ship(last, folder, name, parts)

    trainee.train()
    try:
        while state.step < recipe.steps:
            check(should_stop)
            if time_budget and time.monotonic() - began > time_budget:
                break
            rate = recipe.rate(state.step)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate
            batch = _to(sampler.draw(recipe.groups, recipe.learned_per_slice), place)
            losses = train_step(trainee, fast, optimiser, batch, dtype, recipe)
            average(ema, trainee, min(recipe.ema, (1 + state.step) / (10 + state.step)))
            state.step += 1
            log.add(losses)
            share = state.step / recipe.steps
            if state.step % recipe.log_every == 0:
                means = log.write(state.step, seconds(), recipe.lr * rate)
                message = f"step {state.step} of {recipe.steps}, loss {means['loss']:.3f}"
                on_progress(Progress("train", share, message, means))
            if state.step % recipe.save_every == 0:
                save()
            if held_out and state.step % recipe.validate_every == 0:
                scores = validate(ema, held_out, names, place, should_stop=should_stop)
                write_validation(folder, state.step, scores)
                means = {"dice": _mean(scores, 0), "shown_dice": _mean(scores, 1)}
                log.write(state.step, seconds(), recipe.lr * rate, means)
                on_progress(Progress("validate", share, f"Dice {means['dice']:.3f} on held-out volumes", means))
    except (Stopped, KeyboardInterrupt):
        finish()
        raise
    finish()
    return last


def train_step(
    trainee: nn.Module,
    fast: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    dtype: torch.dtype,
    recipe: Recipe,
) -> dict[str, float]:
    """One optimiser step; ``fast`` is ``trainee`` itself or its bf16 copy. Gives the parts of the loss."""
    if fast is not trainee:
        with torch.no_grad():
            torch._foreach_copy_(list(fast.parameters()), list(trainee.parameters()))
    parts = fast(batch, dtype)
    loss = parts["learned"] + recipe.dense * parts["dense"] + recipe.aid * parts["aid"]
    loss = loss + recipe.shown * parts.get("shown", torch.zeros(()))
    fast.zero_grad(set_to_none=True)
    loss.backward()
    if fast is not trainee:
        for p, f in zip(trainee.parameters(), fast.parameters(), strict=True):
            p.grad = None if f.grad is None else f.grad.float()
        with torch.no_grad():
            for b, f in zip(trainee.buffers(), fast.buffers(), strict=True):
                b.copy_(f)
    nn.utils.clip_grad_norm_(trainee.parameters(), recipe.clip)
    optimiser.step()
    return {"loss": float(loss.detach()), **{k: float(v.detach()) for k, v in parts.items()}}


@torch.no_grad()
def average(ema: nn.Module, trainee: nn.Module, decay: float) -> None:
    """Move the moving average of the weights on by one step; statistics of a normalisation are taken as they are."""
    torch._foreach_lerp_(list(ema.parameters()), list(trainee.parameters()), 1 - decay)
    for mean, now in zip(ema.buffers(), trainee.buffers(), strict=True):
        mean.copy_(now)


def validate(
    trainee: Trainee,
    samples: Sequence[Sample],
    names: Sequence[str],
    device: torch.device,
    every: int = 3,
    should_stop: ShouldStop = never,
) -> dict[str, list[float]]:
    """Per structure: mean Dice by its own prompt and, from three shown slices of the same volume, by the proposer; NaN
    where there is none.

    Every ``every``-th slice on the working grid: a quick figure to steer training by, not the one to quote.
    """
    trainee.eval()
    scores: dict[str, list[list[float]]] = {n: [[], []] for n in names}
    for sample in samples:
        picked = np.arange(0, len(sample.grey), every)
        stride = max(1, round(3.0 / sample.slice_mm))
        around = np.clip(picked[:, None] + np.array([-stride, 0, stride]), 0, len(sample.grey) - 1)
        inputs = torch.from_numpy(sample.grey[around].astype(np.float32) / 127.5 - 1)
        grey = inputs.permute(0, 2, 3, 1).contiguous().to(device)
        for name in sample.where:
            check(should_stop)
            masks = torch.from_numpy(sample.labels[picked] == sample.structures.index(name) + 1).to(device)
            if not masks.any():
                continue
            number = list(names).index(name)
            scores[name][0].append(quick_dice(trainee, grey, masks, number))
            there = torch.nonzero(masks.flatten(1).any(1))[:, 0].tolist()
            if trainee.net.proposer is not None and len(there) >= 5:
                check(should_stop)
                support = [there[round(q * (len(there) - 1))] for q in (0.15, 0.5, 0.85)]
                scores[name][1].append(quick_dice(trainee, grey, masks, number, support))
    trainee.train()
    return {n: [float(np.nanmean(v)) if v else math.nan for v in pair] for n, pair in scores.items()}


def _mean(table: dict[str, list[float]], column: int) -> float:
    values = [v[column] for v in table.values() if not math.isnan(v[column])]
    return float(np.mean(values)) if values else float("nan")


def _to(batch: Batch, device: torch.device) -> Batch:
    for name, value in vars(batch).items():
        if isinstance(value, Tensor) and name != "support":
            setattr(batch, name, value.to(device))
    return batch
