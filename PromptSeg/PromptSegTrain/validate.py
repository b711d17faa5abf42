"""How good a network is on volumes that it did not learn from: Dice of each structure, by whole volumes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from PromptSegLib.atomic import replacing
from PromptSegLib.datasets.sample import Sample, stacked
from PromptSegLib.errors import Stopped
from PromptSegLib.progress import ShouldStop, check, never

from .distributed import Ranks
from .pretraining_model import PretrainingModel

CHUNK = 8
"""Slices that are encoded together."""
SUPPORT_AT = (0.15, 0.5, 0.85)
"""Which of a structure's slices are shown to the proposer."""
Scores = dict[str, list[float]]


@torch.no_grad()
def validate(
    model: PretrainingModel,
    samples: Sequence[Sample],
    names: Sequence[str],
    device: torch.device,
    every: int = 1,
    should_stop: ShouldStop = never,
    ranks: Ranks | None = None,
) -> Scores:
    """Per structure: mean Dice by its own prompt and, from three shown slices of the same volume, by the proposer; NaN
    where there is none.

    Dice is that of the whole volume on the working grid, or of every ``every``-th of its slices; shown slices are left
    out of the second. Volumes are shared out among ``ranks``. Raises ``Stopped``.
    """
    ranks = ranks or Ranks()
    was_training = model.training
    model.eval()
    table = np.zeros((len(names), 2, 2))  # structure; own prompt or few-shot; sum of Dice or number of volumes
    for first in range(0, len(samples), ranks.count):
        stopped = False
        try:
            for sample in samples[first + ranks.rank : first + ranks.rank + 1]:
                for name, column, dice in volume_dice(model, sample, names, device, every, should_stop):
                    table[list(names).index(name), column] += (dice, 1)
        except Stopped:
            stopped = True
        if ranks.any(stopped)[0]:
            model.train(was_training)
            raise Stopped
    model.train(was_training)
    total = np.reshape(ranks.sums(*table.ravel().tolist()), table.shape)
    return {
        name: [float(total[n, k, 0] / total[n, k, 1]) if total[n, k, 1] else math.nan for k in (0, 1)]
        for n, name in enumerate(names)
    }


def volume_dice(
    model: PretrainingModel,
    sample: Sample,
    names: Sequence[str],
    device: torch.device,
    every: int = 1,
    should_stop: ShouldStop = never,
) -> Iterator[tuple[str, int, float]]:
    """(structure, 0 by its own prompt or 1 few-shot, Dice) of what is annotated in one volume."""
    net = model.net
    picked = np.arange(0, len(sample.grey), every)
    values = np.asarray(sample.labels[picked])
    tasks: list[tuple[str, int, dict[str, Tensor], set[int]]] = []
    for name in sample.where:
        masks = np.isin(values, sample.values(name))
        there = np.flatnonzero(masks.any((1, 2)))
        if not len(there):
            continue
        check(should_stop)
        number = torch.tensor([list(names).index(name)], device=device)
        tasks.append((name, 0, model.bank(number), set()))
        if net.proposer is not None and len(there) >= 5:
            support = [int(there[round(q * (len(there) - 1))]) for q in SUPPORT_AT]
            memory = net.proposer.memory(net.encode(inputs(model, sample, picked[support], device)))
            inside = torch.from_numpy(masks[support]).to(memory.device, memory.dtype)
            tasks.append((name, 1, net.proposer(memory[None], inside[None], 1 - inside[None]), set(support)))
    overlap, size = np.zeros(len(tasks)), np.zeros(len(tasks))
    for start in range(0, len(picked), CHUNK):
        numbers = range(start, min(start + CHUNK, len(picked)))
        encoded = net.encode(inputs(model, sample, picked[numbers.start : numbers.stop], device))
        labels = torch.from_numpy(values[numbers.start : numbers.stop]).to(device)
        for n, (name, _, prompts, left_out) in enumerate(tasks):
            check(should_stop)
            counts = torch.tensor([k not in left_out for k in numbers], device=device)[:, None, None]
            found = (net.decode(encoded, prompts) > 0) & counts
            there = torch.isin(labels, torch.tensor(sample.values(name), device=device)) & counts
            overlap[n] += float((found & there).sum())
            size[n] += float(found.sum() + there.sum())
    for n, (name, column, _, _) in enumerate(tasks):
        if size[n]:
            yield name, column, 2 * overlap[n] / size[n]


def inputs(model: PretrainingModel, sample: Sample, slices: np.ndarray, device: torch.device) -> Tensor:
    """What the network sees of some slices, where it is."""
    return torch.from_numpy(stacked(sample, slices)).to(device, next(model.parameters()).dtype)


def mean_dice(scores: Mapping[str, Sequence[float]], column: int = 0) -> float:
    """The mean over the structures that have one: by their own prompts, or (1) few-shot; NaN if none has."""
    values = [v[column] for v in scores.values() if not math.isnan(v[column])]
    return float(np.mean(values)) if values else math.nan


def write_validation(folder: Path, step: int, scores: Mapping[str, Sequence[float]]) -> None:
    """Keep the last Dice of each structure, by its own prompt and few-shot, in ``folder/validation.json``."""

    def known(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 4)

    dice = {name: {"prompt": known(own), "few_shot": known(few_shot)} for name, (own, few_shot) in scores.items()}
    with replacing(folder / "validation.json") as file:
        file.write(json.dumps({"step": step, "mean": known(mean_dice(scores)), "dice": dice}, indent=1).encode())


def read_validation(folder: Path) -> dict[str, Any]:
    """What :func:`write_validation` kept; empty if there was no validation yet, or its file is damaged."""
    try:
        found = json.loads((folder / "validation.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
