"""What the overview network sees of a volume, on the slices that PUNet is asked in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch.nn import functional

from ..model.overview_net import OverviewNet
from ..progress import ShouldStop, never
from ..volumes.preprocess import WorkingVolume

NOTHING = -6.0
"""Logit of what is surely not the structure, and of what lies outside the picture."""


class Overview:
    """A volume at 3 mm: ``grey`` (S, A, R) uint8 with the position ``origin`` of its first voxel along S, A, R in mm,
    as ``register.picture`` makes it, and what ``net`` finds in it, made when it is first asked for and kept."""

    def __init__(
        self, grey: np.ndarray, origin: Sequence[float], spacing: float, net: Callable[[], OverviewNet]
    ) -> None:
        self._grey, self._origin, self._spacing, self._net = grey, np.asarray(origin), spacing, net
        self._found: dict[str, np.ndarray] = {}

    def known(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that the network has learned. Raises :class:`BackboneError` for one that cannot be
        used."""
        return [name for name in names if name in self._net().structures]

    def find(self, names: Sequence[str], should_stop: ShouldStop = never) -> None:
        """Look for these structures, in one go for all that were not looked for before. Raises ``Stopped``."""
        wanted = [name for name in names if name not in self._found]
        if wanted:
            found = self._net().logits(self._grey, wanted, should_stop)
            self._found.update(zip(wanted, found, strict=True))

    def at(self, work: WorkingVolume, index: int, names: Sequence[str]) -> np.ndarray:
        """Logits (structures, rows, columns) float32 of a working slice, of structures that were looked for."""
        rows, columns = work.size
        # From (slice, row, column) to voxels (S, A, R) of the picture.
        to_voxel = work.to_ras[2::-1] / self._spacing
        to_voxel[:, 3] -= self._origin / self._spacing
        start = to_voxel[:, 0] * index + to_voxel[:, 3]
        r, c = np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32)
        where = [
            (start[a] + to_voxel[a, 1] * r).astype(np.float32)[:, None]
            + (to_voxel[a, 2] * c).astype(np.float32)[None, :]
            for a in range(3)
        ]
        depth = self._grey.shape[0]
        low = min(max(int(np.floor(where[0].min())), 0), depth - 1)
        high = max(min(int(np.ceil(where[0].max())) + 1, depth), low + 1)
        out = np.full((len(names), rows, columns), NOTHING, np.float32)
        slabs = [self._found[name][low:high] for name in names]
        shown = [n for n, slab in enumerate(slabs) if slab.max() > NOTHING]  # most slices show half of the structures
        if not shown:
            return out
        part = torch.from_numpy(np.stack([slabs[n] for n in shown]).astype(np.float32))
        where[0] = where[0] - low
        shape = part.shape[1:]
        points = torch.from_numpy(
            np.stack([2 * where[a] / max(1, shape[a] - 1) - 1 for a in (2, 1, 0)], -1).astype(np.float32)
        )
        # One voxel beyond the border is still the border's: the picture ends where the body does.
        inside = np.ones((rows, columns), bool)
        for a, n in enumerate((depth, *self._grey.shape[1:])):
            there = where[a] + (low if a == 0 else 0)
            inside &= (there > -1) & (there < n)
        found = functional.grid_sample(part[None], points[None, None], padding_mode="border", align_corners=True)
        out[shown] = np.where(inside, found[0, :, 0].numpy(), NOTHING)
        return out
