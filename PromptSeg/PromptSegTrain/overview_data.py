"""What the overview network learns from: CTs at 3 mm, and at 2 mm where they were scanned so finely, with their
labels, and crops of them that are varied by chance.

The arrays of a volume are kept in a cache beside those of slices; another version, label table or file makes them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from PromptSegLib.atomic import folder_for, replacing
from PromptSegLib.datasets.augment import window
from PromptSegLib.datasets.loading import Case, DataSet
from PromptSegLib.datasets.sample import UNIONS
from PromptSegLib.model.overview_net import FINE, inputs_of
from PromptSegLib.progress import OnProgress, Progress, ignore
from PromptSegLib.register.picture import SPACING, mask_in, picture_of
from PromptSegLib.volumes.preprocess import grey_from_hu

from .deform import read_case

VERSION = 2
Size = tuple[int, int, int]
CROPS: tuple[Size, ...] = ((48, 64, 80), (48, 64, 80), (64, 80, 96))
"""Voxels of 3 mm along S, A, R: 14 x 19 x 24 cm or, a third of the time, 19 x 24 x 29 cm. Small ones are twice as
fast."""
COVERED = 0.4
"""Share of a voxel from which on it is labelled: at one half, thin structures would break."""
ROTATION, SHEAR, SCALE, STRETCH = 0.2, 0.08, 0.18, 0.08
"""Standard deviations: radians about the long axis (half about the others), and of the logarithms of sizes."""
BEND, KNOTS = 2.5, 5
"""Voxels by which the knots of a coarse grid move (standard deviation), and how many there are along each axis."""
FINER = 0.5
"""Share of the crops that show a volume in voxels of the second look, where it was scanned finer than the overview."""
AROUND_STRUCTURE = 0.7
"""Share of the crops that are about a structure, taken by chance; others lie anywhere."""
PHASE = 8.0
"""By how many grey levels a structure is brighter or darker than it was (standard deviation), about 17 HU."""


UNENHANCED = 0.35
"""Share of the crops that are shown as if less contrast medium, or none, had been given."""
TISSUE_HU, BONE_HU = 45.0, 235.0
"""What has no contrast medium lies close to the first; the second and more is bone, which keeps its grey."""


@dataclass
class Scan:
    """One CT: ``grey`` and ``labels`` (S, A, R) uint8, the latter 1 + index into ``structures``; ``annotated`` are the
    structures of which every voxel is known, those of ``absent`` because they are not there."""

    name: str
    subject: str
    dataset: str
    grey: np.ndarray
    labels: np.ndarray
    structures: tuple[str, ...]
    annotated: tuple[str, ...]
    absent: tuple[str, ...] = ()
    fine: Scan | None = None
    """The same in voxels of :data:`FINE`, of volumes that were scanned finer than the overview is."""

    def values(self, name: str) -> list[int]:
        """The labels that make up a structure, itself or as the parts of a whole."""
        own = [n + 1 for n, s in enumerate(self.structures) if s == name]
        return own or [n + 1 for n, s in enumerate(self.structures) if s in UNIONS.get(name, ())]

    def mask(self, name: str) -> np.ndarray:
        """(S, A, R) bool."""
        return np.isin(self.labels, self.values(name))


def load_scans(
    dataset: DataSet,
    cases: Sequence[Case],
    cache: Path,
    absent: Sequence[str] = (),
    on_progress: OnProgress = ignore,
    *,
    fine: bool = False,
) -> list[Scan]:
    """The cases at 3 mm, from the cache where they are there. Structures in ``absent`` are in none of them; with
    ``fine``, those that were scanned so finely are there in voxels of :data:`FINE`, too.

    Raises :class:`InputError` for a case that cannot be read, and :class:`OutputError`.
    """
    names = tuple(dataset.labels.values())
    out = []
    for n, case in enumerate(cases):
        message = f"Preparing {dataset.name}, volume {n + 1} of {len(cases)}: {case.name}"

        def tell(share: float = n / len(cases), message: str = message) -> None:
            on_progress(Progress("cache", share, message))

        looks = []
        for spacing in (SPACING, FINE)[: 1 + fine]:
            grey, labels, scanned = _prepared(dataset, case, cache, spacing, tell)
            there = {names[v - 1] for v in np.unique(labels) if v}
            whole = [u for u, parts in UNIONS.items() if u not in names and {*parts} & there]
            not_there = tuple(a for a in absent if a not in there)
            annotated = (*sorted(there), *whole)
            looks.append(Scan(case.name, case.subject, dataset.name, grey, labels, names, annotated, not_there))
            if scanned > SPACING:
                break
        looks[0].fine = looks[1] if len(looks) > 1 else None
        out.append(looks[0])
    return out


def _prepared(
    dataset: DataSet, case: Case, cache: Path, spacing: float, tell: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Picture and labels of a case, and the mean spacing of its voxels; from the cache, or made and put there."""
    table = json.dumps([VERSION, dataset.name, sorted(dataset.labels.items())])
    digest = hashlib.sha256(table.encode()).hexdigest()[:12]
    folder = Path(cache) / f"{dataset.file_name}-{spacing:g}mm-{digest}"
    when = [(p.stat().st_size, p.stat().st_mtime_ns) for p in (case.image, case.label)]
    path = folder / f"{case.name}-{hashlib.sha256(repr(when).encode()).hexdigest()[:8]}.npz"
    if not path.exists():
        tell()
        _prepare(dataset, case, path, spacing)
    with np.load(path) as arrays:
        return arrays["grey"], arrays["labels"], float(arrays["scanned"])


def _prepare(dataset: DataSet, case: Case, path: Path, spacing: float) -> None:
    volume, labels = read_case(dataset, case)
    picture = picture_of(volume, spacing=spacing)
    best = np.full(picture.grey.shape, COVERED, np.float32)
    found = np.zeros(picture.grey.shape, np.uint8)
    for n, value in enumerate(dataset.labels):
        mask = labels == value
        if mask.any():
            covered = mask_in(picture, mask, volume.grid)
            found[covered > best] = n + 1
            best = np.maximum(best, covered)
    with folder_for(path.parent):
        pass
    with replacing(path) as file:
        np.savez_compressed(file, grey=picture.grey, labels=found, scanned=np.cbrt(np.prod(volume.grid.spacing)))


def structures_in(scans: Sequence[Scan], least: int) -> list[str]:
    """The structures that are annotated in at least so many subjects, in order of their names."""
    subjects: dict[str, set[str]] = {}
    for scan in scans:
        for name in scan.annotated:
            subjects.setdefault(name, set()).add(scan.subject)
    return sorted(name for name, some in subjects.items() if len(some) >= least)


@dataclass
class Crop:
    """``picture`` (1, 2, S, A, R) as the network takes it, and ``masks`` (structures, S, A, R) bool of the structures
    that ``channels`` numbers."""

    picture: Tensor
    masks: Tensor
    channels: Tensor


class Crops:
    """Crops of scans, one after the other, varied by chance: the same for the same seed."""

    def __init__(
        self,
        scans: Mapping[str, Sequence[Scan]],
        structures: Sequence[str],
        weights: Mapping[str, float],
        seed: int,
        sizes: Sequence[Size] = CROPS,
    ) -> None:
        self.structures, self.sizes = list(structures), list(sizes)
        self.scans = {n: [s for s in some if {*s.annotated, *s.absent} & {*structures}] for n, some in scans.items()}
        self._sets = [name for name in self.scans if self.scans[name] and weights.get(name, 1.0) > 0]
        shares = np.array([weights.get(name, 1.0) for name in self._sets])
        self._shares = shares / shares.sum()
        self.random = np.random.default_rng(seed)

    def draw(self) -> Crop:
        """The next crop."""
        random = self.random
        some = self.scans[self._sets[int(random.choice(len(self._sets), p=self._shares))]]
        scan = some[int(random.integers(len(some)))]
        if scan.fine is not None and random.random() < FINER:
            scan = scan.fine
        size = self.sizes[int(random.integers(len(self.sizes)))]
        own = [name for name in scan.annotated if name in self.structures]
        centre = _centre(scan, own, size, random)
        points = _points(scan.grey.shape, centre, size, random)
        grey = torch.from_numpy(scan.grey)[None, None].float()
        seen = functional.grid_sample(grey, points, padding_mode="zeros", align_corners=True)
        labels = functional.grid_sample(
            torch.from_numpy(scan.labels)[None, None].float(), points, mode="nearest", align_corners=True
        )[0, 0].long()
        # What is half outside is neither air nor tissue.
        inside = functional.grid_sample((grey > 0).float(), points, mode="nearest", align_corners=True)[0, 0] > 0
        picture = _varied(seen[0, 0], labels, inside, random)
        names = [n for n in (*own, *scan.absent) if n in self.structures]
        masks = torch.stack([_is_one_of(labels, scan.values(n)) for n in names])
        channels = torch.tensor([self.structures.index(n) for n in names])
        return Crop(inputs_of(picture, inside), masks, channels)


def _is_one_of(labels: Tensor, values: Sequence[int]) -> Tensor:
    out = torch.zeros_like(labels, dtype=torch.bool)
    for value in values:
        out |= labels == value
    return out


def _centre(scan: Scan, own: Sequence[str], size: Size, random: np.random.Generator) -> np.ndarray:
    """Where a crop is taken, in voxels."""
    shape = np.array(scan.grey.shape)
    if own and random.random() < AROUND_STRUCTURE:
        value = int(random.choice(scan.values(own[int(random.integers(len(own)))])))
        places = np.flatnonzero(scan.labels.ravel() == value)
        if len(places):
            place = np.array(np.unravel_index(places[int(random.integers(len(places)))], scan.labels.shape))
            place = place + random.uniform(-0.4, 0.4, 3) * size
            return np.clip(
                place, np.minimum(shape / 2, np.array(size) / 3), np.maximum(shape / 2, shape - np.array(size) / 3)
            )
    low = np.minimum(np.array(size) / 2.5, shape / 2)
    return random.uniform(low, np.maximum(shape - low, low + 1e-3))


def _points(shape: Sequence[int], centre: np.ndarray, size: Size, random: np.random.Generator) -> Tensor:
    """(1, S, A, R, 3) positions in -1..1, in torch's order (R, A, S): turned, stretched, sheared and bent."""
    a, b, c = random.normal(0, ROTATION, 3) * (1.0, 0.5, 0.5)
    about = [
        np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]),
        np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]]),
        np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]),
    ]
    matrix = about[0] @ about[1] @ about[2] @ (np.eye(3) + random.normal(0, SHEAR, (3, 3)) * (1 - np.eye(3)))
    matrix = matrix * np.exp(random.normal(0, SCALE) + random.normal(0, STRETCH, 3))[None, :]
    grid = torch.stack(
        torch.meshgrid(*(torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size), indexing="ij"), -1
    )
    knots = torch.from_numpy(random.normal(0, BEND, (1, 3, KNOTS, KNOTS, KNOTS))).float()
    bent = functional.interpolate(knots, size=size, mode="trilinear", align_corners=True)[0].permute(1, 2, 3, 0)
    where = (grid + bent) @ torch.from_numpy(matrix.T).float() + torch.from_numpy(centre).float()
    scale = torch.tensor([max(1, n - 1) / 2 for n in shape])
    return (where / scale - 1).flip(-1)[None]


def unenhanced(x: Tensor, kept: float) -> Tensor:
    """Grey (S, A, R) with a share ``kept`` of what soft tissue is brighter than without contrast medium; what touches
    bone stays as it is."""
    tissue, bone = (float(grey_from_hu(np.array(hu))) for hu in (TISSUE_HU, BONE_HU))
    soft = functional.max_pool3d(x[None, None], 3, 1, 1)[0, 0] < bone
    return torch.where(soft & (x > tissue), tissue + kept * (x - tissue), x)


def _varied(x: Tensor, labels: Tensor, inside: Tensor, random: np.random.Generator) -> Tensor:
    """Grey 0..255 (S, A, R) as another scanner, phase and window would show it."""
    steps = random.normal(0, PHASE, int(labels.max()) + 1)
    steps[0] = 0
    change = torch.from_numpy(steps).float()[labels]
    x = x + functional.avg_pool3d(change[None, None], 3, 1, 1)[0, 0]
    if random.random() < UNENHANCED:
        x = unenhanced(x, float(random.uniform(0.1, 0.8)))
    x = window(x, random)
    if random.random() < 0.3:
        x = functional.avg_pool3d(x[None, None], 3, 1, 1, count_include_pad=False)[0, 0] * 0.6 + x * 0.4
    if random.random() < 0.5:
        middle = 127.5
        x = (x - middle) * float(random.uniform(0.8, 1.25)) + middle + float(random.normal(0, 8))
    if random.random() < 0.3:
        x = 255 * (x.clamp(0, 255) / 255) ** float(np.exp(random.normal(0, 0.2)))
    if random.random() < 0.5:
        noise = torch.Generator().manual_seed(int(random.integers(2**62)))
        x = x + torch.randn(x.shape, generator=noise) * float(random.uniform(1, 12))
    return torch.where(inside, x.clamp(0, 255), torch.zeros_like(x))
