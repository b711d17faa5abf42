"""Make more patients of few: volumes of a data set deformed towards each other.

    python -m PromptSegTrain.deform DATASET.json -o FOLDER [--each 4]

Each volume that a run with the same --validation and --seed learns from is registered to those of other subjects
(:mod:`PromptSegLib.register`) and takes on their size, and part of the way to their shape, with its labels: real
differences between patients, through all slices, where ``datasets.groups`` bends slices one by one (cf. Zhao et al.,
"Data augmentation using learned transformations", arXiv 1902.09383). Nothing is registered to who is held out. The
data set that is written says whose subjects it holds, so that no split and no figure is misled by it; it is whole after
each pair, and the same command goes on where it was stopped. A pair of abdomens takes about half a minute of a core,
and memory does not grow with their number but by a picture of 3 mm for each.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from PromptSegLib.atomic import folder_for, replacing
from PromptSegLib.datasets.loading import Case, DataSet, read_dataset, split, subjects, values_in
from PromptSegLib.errors import InputError, OutputError
from PromptSegLib.locked import LOCK, locked
from PromptSegLib.register.picture import Picture, Region, picture_of
from PromptSegLib.register.register import Deformation, displaced, frame_of, register
from PromptSegLib.register.sampling import sample
from PromptSegLib.volumes.encode import write_nifti
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.volume import Grid, Volume
from PromptSegLib.volumes.write import write_labels

from .tools import share, status_of, whole

SHARE = (0.4, 0.9)
"""How far a volume goes to the other's shape; its size and place are always the other's."""
MIN_SHOWN = 0.75
"""Slices of which less of the other's body is seen in the volume are left out, at either end."""
MIN_SLICES = 16
_PLANES = 8


@dataclass(frozen=True)
class Target:
    """What others are deformed to: a volume's grid, and its picture for registration."""

    grid: Grid
    picture: Picture


def deformed(
    volume: Volume, labels: np.ndarray, target: Target, deformation: Deformation, part: float
) -> tuple[np.ndarray, np.ndarray, Grid] | None:
    """A volume and its ``labels`` (K, J, I) on the grid of ``target``, with a ``part`` (0..1) of the local deformation:
    values int16 and labels (K, J, I), and their grid, air where the volume has nothing. Only the slices that it shows;
    None if there are too few."""
    k, j, i = target.grid.shape
    image, map_of = (torch.from_numpy(np.ascontiguousarray(a, np.float32))[None, None] for a in (volume.voxels, labels))
    size = torch.tensor(volume.voxels.shape[::-1], dtype=torch.float32)
    to_voxels = torch.from_numpy(np.linalg.inv(volume.ijk_to_ras)).float()
    to_ras = torch.from_numpy(target.grid.ijk_to_ras).float()
    body, frame = torch.from_numpy(target.picture.body).float()[None], frame_of(target.picture)
    values, found = np.empty(target.grid.shape, np.int16), np.empty(target.grid.shape, labels.dtype)
    shown, air = np.empty(k), image.min()
    for first in range(0, k, _PLANES):
        planes = torch.arange(first, min(first + _PLANES, k), dtype=torch.float32)
        z, y, x = torch.meshgrid(planes, torch.arange(j).float(), torch.arange(i).float(), indexing="ij")
        points = (torch.stack([x, y, z], -1) @ to_ras[:3, :3].T + to_ras[:3, 3]).flip(-1)
        there = deformation.affine.apply(points + part * displaced(deformation.field, deformation.frame, points))
        index = there.flip(-1) @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        inside = ((index > -0.5) & (index < size - 0.5)).all(-1)
        where = (2 * index / (size - 1).clamp(min=1) - 1)[None]
        grey = _at(image, where, "bilinear").round().clamp(-32768, 32767)
        now = slice(first, first + len(planes))
        values[now] = torch.where(inside, grey, air).numpy()
        found[now] = (_at(map_of, where, "nearest") * inside).numpy()
        seen = sample(body, frame, points)[0] > 0.5
        shown[now] = ((inside & seen).sum((1, 2)) / seen.sum((1, 2)).clamp(min=1)).numpy()
    good = np.flatnonzero(shown >= MIN_SHOWN)
    if not len(good) or good[-1] - good[0] + 1 < MIN_SLICES:
        return None
    low, high = int(good[0]), int(good[-1]) + 1
    matrix = target.grid.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * low
    return values[low:high], found[low:high], Grid.from_ijk_to_ras(matrix, (high - low, j, i))


def _at(image: Tensor, where: Tensor, mode: str) -> Tensor:
    """An image (1, 1, K, J, I) at places (1, k, j, i, 3) as ``grid_sample`` has them: (k, j, i); its edge goes on."""
    return functional.grid_sample(image, where, mode=mode, padding_mode="border", align_corners=True)[0, 0]


def pairs(whose: Sequence[str], each: int, seed: int) -> Iterator[tuple[int, int, float]]:
    """Which volumes, by their subjects ``whose``, go to which of other subjects, ``each`` times at most, and how far:
    the same for the same subjects and seed."""
    rng = np.random.default_rng(seed)
    for n, own in enumerate(whose):
        for m in rng.permutation([m for m, other in enumerate(whose) if other != own])[:each]:
            yield n, int(m), float(rng.uniform(*SHARE))


def deform(dataset: DataSet, folder: Path, each: int, validation: float, seed: int) -> Iterator[str]:
    """Write the deformed volumes and their ``dataset.json``; gives a line on each pair. What ``folder`` holds of the
    same set is not made again.

    Raises :class:`InputError` if there are fewer than two subjects to learn from or no two of them fit, and
    :class:`OutputError` if ``folder`` holds anything else or cannot be written.
    """
    training, _ = split(dataset, validation, seed)
    if len(subjects(training)) < 2:
        raise InputError(f"{dataset.name} has one subject to learn from", "name a data set of more, or --validation 0")
    about = {
        "name": f"{dataset.name}-deformed",
        "derived_from": dataset.derived_from or dataset.name,
        "licence": dataset.licence,
        "absent_is_negative": dataset.absent_is_negative,
        "modality": {"0": "CT"},
        "labels": {"0": "background", **{str(value): label for value, label in dataset.labels.items()}},
        "deformed": {"each": each, "seed": seed, "volumes": [c.name for c in training]},
    }
    target = functools.cache(lambda n: _target(training[n]))
    busy = f"Another process is writing to {folder}", "wait until it has ended, or choose another folder"
    with folder_for(folder), locked(folder, *busy):
        made, left_out = _begun(folder, about)
        moving: tuple[int, Volume, np.ndarray] | None = None
        for n, m, part in pairs([c.subject for c in training], each, seed):
            name = f"{training[n].name}-as-{training[m].name}"
            if name in made or name in left_out:
                yield f"{name}: done before"
                continue
            if moving is None or moving[0] != n:
                moving = (n, *read_case(dataset, training[n]))
            own, other = target(n), target(m)
            region = Region.of(own.picture, own.picture.body.astype(np.float32))
            fits = register(other.picture, own.picture, region) if region else None
            found = deformed(*moving[1:], other, fits, part) if fits and fits.fit.fits else None
            if found is None:
                left_out[name] = (fits.fit.reason if fits else "") or "too few slices are shown"
                yield f"{name}: left out, {left_out[name]}"
            else:
                made[name] = _write_pair(folder, name, *found) | {"subject": training[n].subject}
                yield f"{name}: {len(found[0])} slices, {part:.2f} of the way"
            _describe(folder, about, made, left_out)
    if not made:
        raise InputError(f"No two volumes of {dataset.name} fit each other", "name a data set of one part of the body")


def _target(case: Case) -> Target:
    volume = read_volume(case.image)
    return Target(volume.grid, picture_of(volume))


def read_case(dataset: DataSet, case: Case) -> tuple[Volume, np.ndarray]:
    """A volume, and its labels (K, J, I) by the data set's values."""
    volume = read_volume(case.image)
    labels = read_labels(case.label, volume.grid, source=volume.source)
    painted = np.zeros(volume.grid.shape, np.uint8 if max(dataset.labels) < 256 else np.uint16)
    for value, there in values_in(dataset, case, labels).items():
        for k, plane in enumerate(painted):
            plane[labels.plane(there, k)] = value
    return volume, painted


def _write_pair(folder: Path, name: str, values: np.ndarray, labels: np.ndarray, grid: Grid) -> dict[str, str]:
    """Write a volume and its labels; gives their entry."""
    files = {"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"}
    for file in files.values():
        with folder_for((folder / file).parent):
            pass
    with replacing(folder / files["image"]) as handle:
        write_nifti(handle, values, grid, packed=True)
    write_labels(folder / files["label"], labels, grid, {})
    return files


def _begun(folder: Path, about: dict[str, Any]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The entries and the pairs left out, by name, of what ``folder`` holds of the same set; begins a new one where it
    is empty. Raises :class:`OutputError`."""
    if {one.name for one in folder.iterdir()} <= {LOCK}:
        _describe(folder, about, {}, {})
        return {}, {}
    try:
        values = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        if {key: values[key] for key in about} != about:
            raise ValueError
        entries = {entry["image"][len("imagesTr/") : -len(".nii.gz")]: entry for entry in values["training"]}
        left_out = dict(values["left_out"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise OutputError(
            f"{folder} holds something else than what was begun with this command", "choose another folder"
        ) from None
    there = {n: e for n, e in entries.items() if all((folder / e[what]).is_file() for what in ("image", "label"))}
    return there, left_out


def _describe(folder: Path, about: dict[str, Any], made: dict[str, dict[str, str]], left_out: dict[str, str]) -> None:
    values = {**about, "training": list(made.values()), "left_out": left_out}
    with replacing(folder / "dataset.json") as file:
        file.write(json.dumps(values, indent=1, ensure_ascii=False).encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, metavar="DATASET.json")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--each", type=whole(1), default=4, metavar="N", help="how many others each is deformed to")
    parser.add_argument("--validation", type=share, default=0.25, help="the share that the run holds out")
    parser.add_argument("--seed", type=whole(0), default=1)
    options = parser.parse_args(arguments)

    def work() -> None:
        dataset = read_dataset(options.dataset)
        for line in deform(dataset, options.output, options.each, options.validation, options.seed):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    return status_of(work)


if __name__ == "__main__":
    sys.exit(main())
