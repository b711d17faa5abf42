"""What the overview network sees of a volume, on the slices that PUNet is asked in: the whole at 3 mm and, where its
card names structures that gain by it, the part with these once more in finer voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch.nn import functional

from ..model.overview_net import FINE, OverviewNet
from ..progress import ShouldStop, check, never
from ..volumes.preprocess import WorkingVolume

NOTHING = -6.0
"""Logit of what is surely not the structure, and of what lies outside the picture."""
MARGIN_MM = 20.0
"""How far around what it found at first it looks again."""
OUTSIDE = 0.01
"""Share of what it found that may lie beyond either end of that part: a few lost voxels are none of the structure."""
MOST = 6_000_000
"""Voxels of the second look; a part that has more is not looked at again."""

Part = tuple[np.ndarray, Sequence[float]]
Closer = Callable[[Sequence[float], Sequence[float], float, ShouldStop], Part | None]
"""Of ``low`` and ``high`` along S, A, R in mm and the size of a voxel: grey (S, A, R) uint8, and where its first voxel
lies; None where there is nothing."""


class Overview:
    """A volume at 3 mm: ``grey`` (S, A, R) uint8 with the position ``origin`` of its first voxel along S, A, R in mm,
    as ``register.picture`` makes it, and what ``net`` finds in it, made when it is first asked for and kept. ``closer``
    makes pictures of its parts in finer voxels; without it, there is no second look."""

    def __init__(
        self,
        grey: np.ndarray,
        origin: Sequence[float],
        spacing: float,
        net: Callable[[], OverviewNet],
        closer: Closer | None = None,
    ) -> None:
        self._whole = _Found(grey, origin, spacing)
        self._near: _Found | None = None
        self._looked = False
        self._net, self._closer = net, closer

    def known(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that the network has learned. Raises :class:`BackboneError` for one that cannot be
        used."""
        return [name for name in names if name in self._net().structures]

    def find(self, names: Sequence[str], should_stop: ShouldStop = never) -> None:
        """Look for these structures, in one go for all that were not looked for before. Raises ``Stopped``."""
        net, whole = self._net(), self._whole
        wanted = [name for name in names if name not in whole.logits]
        if not wanted:
            return
        close = [name for name in wanted if name in net.closer] if self._closer is not None else []
        # Where it looks again is the same whatever is asked for: no structure's mask depends on another's being asked.
        first = not self._looked and bool(close)
        every = list(dict.fromkeys((*wanted, *(net.around if first else ()))))
        found = dict(zip(every, net.logits(whole.grey, every, should_stop), strict=True))
        if first:
            part = self._part([found[name] for name in net.around], should_stop)
            self._near = None if part is None else _Found(*part, FINE)
            self._looked = True
        if close and self._near is not None:
            near = net.logits(self._near.grey, close, should_stop)
            self._near.logits.update(zip(close, near, strict=True))
        whole.logits.update((name, found[name]) for name in wanted)

    def _part(self, logits: Sequence[np.ndarray], should_stop: ShouldStop) -> Part | None:
        """The part of the volume with what was found, in finer voxels."""
        whole, ends = self._whole, []
        for one in logits:
            check(should_stop)
            there = one > 0
            if there.any():
                ends.append([_ends(there.sum(tuple(a for a in range(3) if a != axis))) for axis in range(3)])
        if not ends or self._closer is None:
            return None
        first, last = np.min(ends, 0)[:, 0], np.max(ends, 0)[:, 1]
        low = whole.origin + whole.spacing * first - MARGIN_MM
        high = whole.origin + whole.spacing * last + MARGIN_MM
        if np.prod((high - low) / FINE) > MOST:
            return None
        return self._closer(low.tolist(), high.tolist(), FINE, should_stop)

    def at(self, work: WorkingVolume, index: int, names: Sequence[str]) -> np.ndarray:
        """Logits (structures, rows, columns) float32 of a working slice, of structures that were looked for; the mean
        of both looks where there are two."""
        out = np.full((len(names), *work.size), NOTHING, np.float32)
        self._whole.put(work, index, names, out, 1.0)
        if self._near is not None:
            self._near.put(work, index, names, out, 0.5)
        return out


def _ends(counts: np.ndarray) -> tuple[int, int]:
    """Between which places all but a few of the counted voxels lie."""
    share = np.cumsum(counts) / counts.sum()
    return int(np.searchsorted(share, OUTSIDE)), int(np.searchsorted(share, 1 - OUTSIDE))


class _Found:
    """Logits (S, A, R) float16 by structure on a picture, as :class:`Overview` has it."""

    def __init__(self, grey: np.ndarray, origin: Sequence[float], spacing: float) -> None:
        self.grey, self.origin, self.spacing = grey, np.asarray(origin, float), spacing
        self.logits: dict[str, np.ndarray] = {}

    def put(self, work: WorkingVolume, index: int, names: Sequence[str], out: np.ndarray, share: float) -> None:
        """Let them count with ``share`` in ``out`` (structures, rows, columns), the logits of a working slice, where
        the picture shows it."""
        asked = [(n, self.logits[name]) for n, name in enumerate(names) if name in self.logits]
        rows, columns = work.size
        # From (slice, row, column) to voxels (S, A, R) of the picture.
        to_voxel = work.to_ras[2::-1] / self.spacing
        to_voxel[:, 3] -= self.origin / self.spacing
        start = to_voxel[:, 0] * index + to_voxel[:, 3]
        r, c = np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32)
        where = [
            (start[a] + to_voxel[a, 1] * r).astype(np.float32)[:, None]
            + (to_voxel[a, 2] * c).astype(np.float32)[None, :]
            for a in range(3)
        ]
        shape = self.grey.shape
        # One voxel beyond the border is still the border's: the picture ends where the body does.
        inside = np.ones((rows, columns), bool)
        for a, n in enumerate(shape):
            inside &= (where[a] > -1) & (where[a] < n)
        if not inside.any():
            return
        low = min(max(int(np.floor(where[0].min())), 0), shape[0] - 1)
        high = max(min(int(np.ceil(where[0].max())) + 1, shape[0]), low + 1)
        slabs = [(n, found[low:high]) for n, found in asked]
        shown = [(n, slab) for n, slab in slabs if slab.max() > NOTHING]  # most slices show half of the structures
        weight = np.float32(share) * inside
        values = dict.fromkeys((n for n, _ in slabs), np.float32(NOTHING))
        if shown:
            part = torch.from_numpy(np.stack([slab for _, slab in shown]).astype(np.float32))
            where[0] = where[0] - low
            points = np.stack([2 * where[a] / max(1, part.shape[1 + a] - 1) - 1 for a in (2, 1, 0)], -1)
            there = torch.from_numpy(points.astype(np.float32))[None, None]
            found = functional.grid_sample(part[None], there, padding_mode="border", align_corners=True)[0, :, 0]
            values |= zip((n for n, _ in shown), found.clamp(NOTHING, -NOTHING).numpy(), strict=True)
        for n, value in values.items():
            out[n] += weight * (value - out[n])
