"""Train the contour fusion network (:mod:`PromptSegLib.contours.fusion_net`).

    python -m PromptSegTrain.contour_fusion DATASET.json [DATASET.json ...] -o contour-fusion.safetensors

Every structure of the subjects to learn from is drawn in a few slices, evenly spaced and taken by chance; what the
network sees of the slices between is kept, and learned from. Subjects are held out by the same split as in
``promptseg pretrain``, and at the end say how good it is. One core needs about half an hour for 16
abdomens, and 2.4 GB of memory for what is kept of them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.contours.fusion import contours_of, slice_gaps
from PromptSegLib.contours.fusion_net import ContourFusionNet, write_contour_fusion_net
from PromptSegLib.datasets.loading import Case, DataSet, Part, read_dataset, split, subjects, values_in
from PromptSegLib.datasets.provenance import check_derived, data_entry
from PromptSegLib.errors import InputError
from PromptSegLib.inputs_stay import check_outputs
from PromptSegLib.progress import OnProgress, Progress, ignore
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.preprocess import WorkingVolume

from .simulate import evenly_spaced
from .tools import share, status_of, whole

DRAWN = (3, 5, 9)
"""Numbers of evenly spaced slices that structures are drawn in."""
ANYHOW, MAX_ANYHOW = 4, 8
"""To learn from, they are also drawn so often in slices taken by chance, at most so many between the outermost ones."""
GAPS = 3
"""In each step."""
SLICES = 8
"""Most slices of a gap that are learned from."""
RATE = 4e-3
DICE = 0.5
"""Weight of the Dice loss beside cross-entropy."""
FAINT = (0.5, 1.2, 0.08)
"""Grey values are made to tell less or more, by a factor from a range, and now and then nothing: another contrast."""


@dataclass(frozen=True)
class ContourSample:
    """Slices of one gap: maps (n, 8, H, W) fp16, scalars (n, 8), ``truth`` (n, H, W) bool; ``weight`` makes drawings
    count alike, however large the structure is and in however many gaps."""

    maps: Tensor
    scalars: Tensor
    truth: Tensor
    weight: float


def drawings(
    dataset: DataSet, case: Case, rng: random.Random | None = None
) -> Iterator[tuple[WorkingVolume, int, np.ndarray, SliceAnnotations]]:
    """A case's structures, each drawn in few and in more slices: (working volume, number of slices, mask, drawn).

    With ``rng``, also in slices taken by chance.
    """
    volume = read_volume(case.image)
    labels = read_labels(case.label, volume.grid, source=volume.source)
    work = WorkingVolume(volume)
    for value in values_in(dataset, case, labels).values():
        mask = labels.mask(value) if value in labels.values else np.zeros(volume.grid.shape, bool)
        there = [int(k) for k in np.flatnonzero(mask.any((1, 2)))]
        chosen = [evenly_spaced(mask, number) for number in DRAWN if len(there) > number]
        if rng is not None and len(there) > 2:
            for _ in range(ANYHOW):
                number = rng.randint(0, min(MAX_ANYHOW, len(there) - 3))
                chosen.append(sorted([there[0], there[-1], *rng.sample(there[1:-1], number)]))
        for slices in chosen:
            drawn = SliceAnnotations.from_labels(mask.astype(np.uint8), volume.grid, 1, slices)
            yield work, len(slices), mask, drawn
        work.kept.clear()


def samples_of(
    dataset: DataSet, cases: Sequence[Case], on_progress: OnProgress = ignore, seed: int = 1
) -> list[ContourSample]:
    """What there is to learn from ``cases``."""
    found: list[ContourSample] = []
    rng = random.Random(seed)
    for done, case in enumerate(cases, 1):
        for work, _, mask, drawn in drawings(dataset, case, rng):
            gaps = []
            # The same box for all drawings of a structure: what was registered for one serves the others.
            around = work.mask_to_working(np.any(mask, axis=0)) > 0
            for one in slice_gaps(work, drawn, around=around):
                features = one.features()
                if one.propagation is not None and features:
                    chosen = sorted(rng.sample(sorted(features), min(len(features), SLICES)))
                    truth = np.stack([work.mask_to_working(mask[k])[one.propagation.box] > 0.5 for k in chosen])
                    maps = torch.from_numpy(np.stack([features[k][0] for k in chosen])).half()
                    scalars = torch.tensor([features[k][1] for k in chosen], dtype=torch.float32)
                    gaps.append((maps, scalars, torch.from_numpy(truth), len(features) / len(chosen)))
            size = max(20.0, sum(share * int(truth.sum()) for _, _, truth, share in gaps))
            found += [ContourSample(maps, scalars, truth, share / size) for maps, scalars, truth, share in gaps]
        report = f"{dataset.name}: {done} of {len(cases)} subjects, {len(found)} gaps"
        on_progress(Progress("prepare", 0.5 * done / len(cases), report))
    return found


def learn(
    found: Sequence[ContourSample], epochs: float, seed: int, on_progress: OnProgress = ignore
) -> ContourFusionNet:
    """Train a new network; same seed, same network."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    net = ContourFusionNet().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-2)
    steps = max(1, math.ceil(epochs * len(found) / GAPS))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.05)
    order: list[int] = []
    mean = 0.0
    for step in range(steps):
        total = torch.zeros(())
        for _ in range(GAPS):
            order = order or rng.sample(range(len(found)), len(found))
            # In float32: torch 2.13 has NaN as a dilated bfloat16 convolution's gradient on AMD's Zen 4, or crashes.
            total = total + _loss(net, found[order.pop()], rng)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean += (float(total.detach()) - mean) / min(step + 1, 200)
        if step % 200 == 199 or step == steps - 1:
            where, now = f"step {step + 1} of {steps}: loss {mean:.4f}", {"loss": mean}
            on_progress(Progress("learn", 0.5 + 0.4 * (step + 1) / steps, where, now))
    return net.eval()


def _loss(net: ContourFusionNet, sample: ContourSample, rng: random.Random) -> Tensor:
    """Of some slices of one gap, turned and made fainter by chance."""
    maps, scalars, truth = sample.maps.float(), sample.scalars, sample.truth.float()
    low, high, never = FAINT
    for some in ((3, 4), (5, 6, 7)):
        maps[:, some] *= 0.0 if rng.random() < never else rng.uniform(low, high)
    if rng.random() < 0.5:  # light and dark are the same to it
        maps[:, 5] = -maps[:, 5]
    turns = rng.randrange(4)
    maps, truth = torch.rot90(maps, turns, (2, 3)), torch.rot90(truth, turns, (1, 2))
    if rng.random() < 0.5:
        maps, truth = maps.flip(3), truth.flip(2)
    logits = net(maps.contiguous(memory_format=torch.channels_last), scalars).float()
    p, size = logits.sigmoid(), truth.sum() + 1
    overlap = (2 * (p * truth).sum() + 1) / (p.sum() + size)
    cross = functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
    return sample.weight * (cross + DICE * size * (1 - overlap))


def examine(dataset: DataSet, cases: Sequence[Case], net: ContourFusionNet) -> dict[int, float]:
    """Mean Dice between the drawn slices of held-out ``cases`` on the working grid, by number of drawn slices."""
    dice: dict[int, list[float]] = {n: [] for n in DRAWN}
    for case in cases:
        for work, number, mask, drawn in drawings(dataset, case):
            both = total = 0
            for k, contour in contours_of(work, drawn, net=net).items():
                inside, there = contour > 0, work.mask_to_working(mask[k]) > 0.5
                both += int(np.count_nonzero(inside & there))
                total += int(np.count_nonzero(inside) + np.count_nonzero(there))
            if total:
                dice[number].append(2 * both / total)
    return {n: round(float(np.mean(v)), 4) for n, v in dice.items() if v}


def train(
    datasets: Sequence[Path],
    output: Path,
    epochs: float = 4.0,
    validation: float = 0.25,
    seed: int = 1,
    limit: int | None = None,
    on_progress: OnProgress = ignore,
) -> dict[str, object]:
    """Learn from the data sets' training subjects and write the network; gives its card.

    ``limit`` is the most subjects of a data set to learn from, and to hold out. Raises ``InputError``, and
    ``OutputError`` before the work begins where the network could not be written or would take the place of an input.
    """
    check_outputs({"-o": (output, (".safetensors",))}, [(f"'{path}'", path) for path in datasets])
    found: list[ContourSample] = []
    parts = []
    for path in datasets:
        dataset = read_dataset(path)
        training, held_out = (_of_first(part, limit) for part in split(dataset, validation, seed))
        parts.append((Part(dataset, [], [], subjects(training), subjects(held_out)), training, held_out))
    check_derived([part for part, _, _ in parts])
    for part, training, _ in parts:
        found += samples_of(part.dataset, training, on_progress, seed)
    if not found:
        raise InputError("No structure shows in enough slices to learn from", "name data sets with larger structures")
    net = learn(found, epochs, seed, on_progress)
    data = [
        data_entry(part) | {"validation_dice": {str(n): v for n, v in examine(part.dataset, held_out, net).items()}}
        for part, _, held_out in parts
    ]
    card: dict[str, object] = {"data": data, "epochs": epochs, "seed": seed, "date": date.today().isoformat()}
    write_contour_fusion_net(output, net, card)
    return card


def _of_first(cases: Sequence[Case], limit: int | None) -> list[Case]:
    """The volumes of the first ``limit`` subjects."""
    first = subjects(cases)[:limit]
    return [case for case in cases if case.subject in first]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path, metavar="DATASET.json")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.safetensors")
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--validation", type=share, default=0.25, help="the share of the subjects that is held out")
    parser.add_argument("--limit", type=whole(1), metavar="N", help="at most N subjects of a data set, and N held out")
    parser.add_argument("--seed", type=whole(0), default=1)
    options = parser.parse_args(arguments)

    def say(progress: Progress) -> None:
        sys.stdout.write(f"{progress.message}\n")
        sys.stdout.flush()

    def work() -> None:
        card = train(
            options.datasets, options.output, options.epochs, options.validation, options.seed, options.limit, say
        )
        sys.stdout.write(json.dumps(card, indent=1) + "\n")

    return status_of(work)


if __name__ == "__main__":
    sys.exit(main())
