"""Drawn slices of one patient at full resolution, with the slices that the network sees beside each: what a later round
learns from, in this patient or in the next, when the volume itself is not at hand."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..annotations import IGNORE, Slice, SliceAnnotations, SliceStatus
from ..errors import GridError
from ..volumes.geometry import MAX_EXTENT_MM, MIN_SPACING_MM
from ..volumes.preprocess import WorkingVolume, plane_of_axis, within_ct
from ..volumes.volume import Grid, Volume

MAX_SLICES = 12
"""So many drawn slices of one structure are kept, evenly spread over more."""
MAX_PLANES, MAX_SIDE_MM = 400, 1000.0
_AROUND = 16
"""Working pixels beyond the part that is looked at: later rounds may look at a somewhat larger one."""
_STATUSES = (SliceStatus.DRAFT, SliceStatus.COMPLETE, SliceStatus.ABSENT)


@dataclass(frozen=True)
class _Stack(Volume):
    """Some slices of a volume, one behind the other, with the volume's own range of values."""

    tissue: tuple[float, float] = (-1000.0, 1500.0)

    @cached_property
    def tissue_hu(self) -> tuple[float, float]:
        """That of the whole volume: the part may show no air."""
        return self.tissue


class _WorkingStack(WorkingVolume):
    """A stack as the network sees it: neighbours are those of the volume that the slices came from."""

    def __init__(self, stack: Volume, axis: int, spacing: float, indices: Sequence[int]) -> None:
        self._native = np.asarray(indices)
        super().__init__(stack, axis=axis, spacing=spacing, crop=False, margin_mm=0.0)

    def neighbour(self, index: int, offset: int) -> int:
        return int(np.abs(self._native - (self._native[index] + offset)).argmin())


@dataclass(frozen=True)
class Excerpt:
    """``planes`` (n, rows, columns) int16 HU are the slices ``indices`` along ``axis`` of a volume on ``grid``, cut to
    the part that begins at ``low`` (row, column); ``drawn`` gives, by index, the status and the mask (rows, columns)
    of those that were drawn. ``tissue`` is the volume's least and greatest HU, ``identity`` tells the volume."""

    axis: int
    grid: Grid
    low: tuple[int, int]
    indices: tuple[int, ...]
    planes: np.ndarray
    drawn: Mapping[int, Slice]
    tissue: tuple[float, float]
    identity: str

    @classmethod
    def of(cls, work: WorkingVolume, annotations: SliceAnnotations, crop: tuple[slice, slice]) -> Excerpt | None:
        """What to keep of a volume and what was drawn in it; None for slices along another axis than ``work``'s.

        ``crop`` is the part (rows, columns) of ``work`` that is learned from."""
        used = annotations.used()
        if annotations.axis != work.axis or not used:
            return None
        chosen = _spread(used, MAX_SLICES)
        rows, columns = (
            slice(max(0, part.start - _AROUND), min(n, part.stop + _AROUND))
            for part, n in zip(crop, work.size, strict=True)
        )
        box = work.native_box(rows, columns)
        indices = sorted({work.neighbour(k, offset) for k in chosen for offset in work.offsets})
        voxels = np.moveaxis(work.volume.voxels, work.axis, 0)
        planes = np.stack([np.rint(within_ct(voxels[k][box].astype(np.float32))) for k in indices]).astype(np.int16)
        drawn = {}
        for k in chosen:
            one = annotations.slices[k]
            drawn[k] = Slice(one.status, np.ascontiguousarray(one.mask[box]))
        low, high = work.volume.tissue_hu
        return cls(
            work.axis, work.volume.grid, (box[0].start, box[1].start), tuple(indices), planes, drawn,
            (float(low), float(high)), identity_of(work.volume),
        )  # fmt: skip

    @property
    def plane(self) -> str:
        """The plane that the slices show, "axial" for example."""
        return plane_of_axis(self.grid, self.axis)

    def some(self, limit: int) -> Excerpt:
        """The same with at most so many drawn slices, evenly spread."""
        return Excerpt(
            self.axis, self.grid, self.low, self.indices, self.planes,
            {k: self.drawn[k] for k in _spread(sorted(self.drawn), limit)}, self.tissue, self.identity,
        )  # fmt: skip

    @cached_property
    def annotations(self) -> SliceAnnotations:
        """The drawn slices; they count as in :meth:`working`, from 0 on."""
        return SliceAnnotations(
            self.axis, self._stack.grid, {self.indices.index(k): one for k, one in self.drawn.items()}
        )

    def working(self, spacing: float) -> WorkingVolume:
        """The slices as the network sees them."""
        return _WorkingStack(self._stack, self.axis, spacing, self.indices)

    @cached_property
    def _stack(self) -> _Stack:
        voxels = np.moveaxis(self.planes, 0, self.axis)
        start = list(self.low)
        start.insert(self.axis, 0)
        matrix = self.grid.ijk_to_ras.copy()
        matrix[:3, 3] += matrix[:3, :3] @ np.array(start[::-1], float)
        return _Stack(voxels, Grid.from_ijk_to_ras(matrix, voxels.shape), "remembered", tissue=self.tissue)

    def to_json(self) -> dict[str, Any]:
        """All but the arrays."""
        grid = self.grid
        return {
            "axis": self.axis,
            "size": list(grid.size), "origin": list(grid.origin), "spacing": list(grid.spacing),
            "direction": list(grid.direction),
            "low": list(self.low), "indices": list(self.indices), "tissue": list(self.tissue),
            "slices": [[k, one.status.value] for k, one in self.drawn.items()], "identity": self.identity,
        }  # fmt: skip

    @property
    def masks(self) -> np.ndarray:
        """(slices, rows, columns) uint8, in the order of :attr:`drawn`."""
        return np.stack([one.mask for one in self.drawn.values()]).astype(np.uint8)

    @property
    def is_readable(self) -> bool:
        """Whether :meth:`from_parts` takes what would be written of it."""
        try:
            self.from_parts(json.loads(json.dumps(self.to_json())), self.planes, self.masks)
        except (ValueError, TypeError, KeyError, GridError):
            return False
        return True

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], planes: np.ndarray, masks: np.ndarray) -> Excerpt:
        """What :meth:`to_json` gave, with the arrays. Raises ``ValueError``, ``TypeError`` or ``KeyError`` for what
        makes no sense: it may be a stranger's."""
        axis, grid = values["axis"], _grid(values)
        (row, column), indices, slices = values["low"], values["indices"], values["slices"]
        if axis not in (0, 1, 2) or isinstance(axis, bool):
            raise ValueError("axis")
        shape = list(grid.shape)
        count = shape.pop(axis)
        mm = [s for a, s in enumerate(grid.spacing[::-1]) if a != axis]
        numbers = (*indices, row, column, *(k for k, _ in slices))
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**31 for n in numbers):
            raise ValueError("numbers")
        sides = zip((row, column), planes.shape[1:], shape, mm, strict=True)
        fits = all(low + n <= size and n * step <= MAX_SIDE_MM for low, n, size, step in sides)
        ordered = list(indices) == sorted(set(indices)) and len(indices) == len(planes) <= MAX_PLANES
        if not (planes.dtype == np.int16 and masks.dtype == np.uint8 and fits and ordered and indices[-1] < count):
            raise ValueError("planes")
        known = {k for k, _ in slices}
        if not known <= {*indices} or not known or masks.shape != (len(slices), *planes.shape[1:]):
            raise ValueError("slices")
        if len(known) < len(slices) or not np.isin(np.unique(masks), (0, 1, IGNORE)).all():
            raise ValueError("masks")
        low, high = (float(v) for v in values["tissue"])
        if not (-1e5 < low < high < 1e5):
            raise ValueError("range")
        identity = values["identity"]
        if not isinstance(identity, str) or len(identity) > 64:
            raise ValueError("identity")
        drawn = {}
        for (k, status), mask in zip(slices, masks, strict=True):
            drawn[k] = Slice(SliceStatus(status), mask)
            if drawn[k].status not in _STATUSES:
                raise ValueError("status")
        found = cls(axis, grid, (row, column), tuple(indices), planes, drawn, (low, high), identity)
        _ = found.annotations  # the part has a grid
        return found


def identity_of(volume: Volume) -> str:
    """Tells a volume, however it was read: from its grid and some of its voxels."""
    steps = [max(1, n // 24) for n in volume.voxels.shape]
    some = volume.voxels[:: steps[0], :: steps[1], :: steps[2]].astype(np.float32)
    text = repr((volume.grid.size, np.round(volume.grid.ijk_to_ras + 0.0, 1).tolist()))
    return hashlib.sha256(text.encode() + np.rint(within_ct(some)).astype(np.int16).tobytes()).hexdigest()[:32]


def _grid(values: Mapping[str, Any]) -> Grid:
    size, origin, spacing, direction = (values[name] for name in ("size", "origin", "spacing", "direction"))
    counts = all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**31 for n in size)
    numbers = [float(v) for v in (*origin, *spacing, *direction)]
    if not counts or len(size) != 3 or not all(math.isfinite(v) and abs(v) < 1e6 for v in numbers):
        raise ValueError("grid")
    if (
        len(origin) != 3
        or len(spacing) != 3
        or len(direction) != 9
        or not all(MIN_SPACING_MM <= v <= MAX_EXTENT_MM for v in spacing)
    ):
        raise ValueError("grid")
    turn = np.array(direction, float).reshape(3, 3)
    if np.abs(turn.T @ turn - np.eye(3)).max() > 1e-3:
        raise GridError("The grid is sheared")
    (i, j, k), (x, y, z), (a, b, c) = size, numbers[:3], numbers[3:6]
    return Grid((i, j, k), (x, y, z), (a, b, c), tuple(numbers[6:]))


def _spread(values: Sequence[int], limit: int) -> list[int]:
    """At most so many of them, the first and the last among them."""
    if len(values) <= limit:
        return list(values)
    if limit < 2:
        return [values[len(values) // 2]][:limit]
    return sorted({values[round(n * (len(values) - 1) / (limit - 1))] for n in range(limit)})
