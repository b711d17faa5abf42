"""A CT as registration sees it: 3 mm voxels along the patient's axes, 8 bits, with the body found.

Whatever grid a volume lies on (oblique, flipped, slices of 1 to 8 mm), two of them can be compared here, and one can be
kept beside a taught prompt in few bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..progress import ShouldStop, check, never
from ..volumes.body_parts import body_parts
from ..volumes.preprocess import grey_from_hu
from ..volumes.volume import Grid, Volume

SPACING = 3.0
"""Millimetres of a voxel."""
UNSEEN = 0
"""The grey level of what lies outside the field of view; air is 1."""
BODY_HU = -400.0
MAX_VOXELS = 60_000_000
_MARGIN = 4


@dataclass(frozen=True)
class Picture:
    """``grey`` (S, A, R) uint8: along each axis towards superior, anterior, right; :data:`UNSEEN` outside the field of
    view, else 1..255 by :func:`~PromptSegLib.volumes.preprocess.grey_from_hu`. ``origin`` is the position of the first
    voxel's centre along S, A, R in mm (RAS, reversed), ``spacing`` in mm."""

    grey: np.ndarray
    origin: tuple[float, float, float]
    spacing: float = SPACING

    @property
    def seen(self) -> np.ndarray:
        """(S, A, R) bool: inside the field of view."""
        return self.grey != UNSEEN

    @cached_property
    def range(self) -> tuple[int, int]:
        """Least and greatest grey level that is seen; a CT that was clipped to a window has a narrow one."""
        found = np.flatnonzero(np.bincount(self.grey.ravel(), minlength=256)[1:])
        return (int(found[0]) + 1, int(found[-1]) + 1) if len(found) else (1, 1)

    @cached_property
    def body(self) -> np.ndarray:
        """(S, A, R) bool: the patient with all cavities, without table and air."""
        return body_of(self.grey, self.range, self.spacing)

    @cached_property
    def digest(self) -> str:
        """Tells one picture from another."""
        text = repr((self.grey.shape, np.round(self.origin, 2).tolist(), self.spacing))
        return hashlib.sha256(text.encode() + self.grey.tobytes()).hexdigest()[:16]

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) from voxel indices (r, a, s, 1) to RAS mm, for a :class:`Grid` of the same voxels."""
        out = np.diag([self.spacing, self.spacing, self.spacing, 1.0])
        out[:3, 3] = self.origin[::-1]
        return out

    @property
    def grid(self) -> Grid:
        """The grid of the voxels, as volumes have it."""
        return Grid.from_ijk_to_ras(self.matrix, self.grey.shape)

    def cut(self, box: tuple[slice, slice, slice]) -> Picture:
        """A part of it."""
        first = [part.start for part in box]
        origin = tuple(o + n * self.spacing for o, n in zip(self.origin, first, strict=True))
        return replace(self, grey=np.ascontiguousarray(self.grey[box]), origin=origin)


@dataclass(frozen=True)
class Region:
    """A box in a picture: ``low`` and ``high`` along S, A, R in mm."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @classmethod
    def of(cls, picture: Picture, mask: np.ndarray, level: float | None = None) -> Region | None:
        """Around what is above ``level``, or else :func:`there_from`, of a map (S, A, R) on a picture; None if nothing
        is."""
        ends, level = [], there_from(mask) if level is None else level
        for axis in range(3):
            there = np.flatnonzero((mask > level).any(tuple(a for a in range(3) if a != axis)))
            if not len(there):
                return None
            o = picture.origin[axis]
            ends.append((o + picture.spacing * int(there[0]), o + picture.spacing * int(there[-1])))
        (a, b), (c, d), (e, f) = ends
        return cls((a, c, e), (b, d, f))

    def joined(self, other: Region) -> Region:
        """The smallest region that holds both."""
        a, b, c = (min(x, y) for x, y in zip(self.low, other.low, strict=True))
        d, e, f = (max(x, y) for x, y in zip(self.high, other.high, strict=True))
        return Region((a, b, c), (d, e, f))

    def holds(self, other: Region) -> bool:
        """Whether the other lies within this."""
        return all(x <= y for x, y in zip(self.low, other.low, strict=True)) and all(
            x >= y for x, y in zip(self.high, other.high, strict=True)
        )


def picture_of(volume: Volume, should_stop: ShouldStop = never, spacing: float = SPACING) -> Picture:
    """The picture of a volume, cut to the body. Raises ``Stopped``, and ``InputError`` for a volume too large."""
    found = _whole_picture(volume, should_stop, spacing)
    return found.cut(_body_box(found.body, found.grey.shape))


def part_of(volume: Volume, region: Region, spacing: float, should_stop: ShouldStop = never) -> Picture | None:
    """The picture of the part of a volume that holds ``region``; None where they have nothing in common. Raises as
    :func:`picture_of`."""
    corners = np.array([[*point[::-1], 1.0] for point in product(*zip(region.low, region.high, strict=True))])
    index = (corners @ np.linalg.inv(volume.ijk_to_ras).T)[:, 2::-1]
    low = np.maximum(np.floor(index.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(index.max(0)).astype(int) + 1, volume.voxels.shape)
    if np.any(high <= low):
        return None
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = volume.voxels[box]
    return _whole_picture(Volume(part, _part_grid(volume.grid, box, part.shape)), should_stop, spacing)


def _whole_picture(volume: Volume, should_stop: ShouldStop, spacing: float) -> Picture:
    values, matrix = _shrunk(volume, spacing, should_stop)
    matrix, shape, origin = _straight(matrix, values.shape, spacing)
    if int(np.prod(shape)) > MAX_VOXELS:
        raise InputError(f"{volume.name} is too large to be registered", "crop it to the region of interest")
    grey = np.empty(shape, np.uint8)
    for first in range(0, shape[0], 8):
        check(should_stop)
        count = min(8, shape[0] - first)
        offset = matrix[:3, :3] @ np.array([first, 0, 0]) + matrix[:3, 3]
        part = ndimage.affine_transform(
            values, matrix[:3, :3], offset, (count, *shape[1:]), np.float32, order=1, mode="nearest"
        )
        code = np.clip(np.rint(grey_from_hu(part)), 1, 255).astype(np.uint8)
        code[~_inside(matrix, offset, (count, *shape[1:]), values.shape)] = UNSEEN
        grey[first : first + count] = code
    return Picture(grey, origin, spacing)


def mask_in(picture: Picture, mask: np.ndarray, grid: Grid, should_stop: ShouldStop = never) -> np.ndarray:
    """A mask (K, J, I) on ``grid`` as the share of each voxel of ``picture`` that it covers, (S, A, R) float32."""
    there = ndimage.find_objects(mask.astype(np.uint8))
    out = np.zeros(picture.grey.shape, np.float32)
    if not there:
        return out
    box = tuple(slice(max(0, s.start - 2), min(n, s.stop + 2)) for s, n in zip(there[0], mask.shape, strict=True))
    part = Volume(mask[box].astype(np.uint8), _part_grid(grid, box, mask[box].shape))
    values, shrunk = _shrunk(part, picture.spacing, should_stop, clip=False)
    # From voxels (S, A, R) of the picture to voxels (K, J, I) of the mask.
    to_mask = np.linalg.inv(shrunk) @ picture.matrix
    turn, shift = to_mask[2::-1, 2::-1], to_mask[2::-1, 3]
    corners = np.array(list(product(*[(-1, n) for n in values.shape])))
    reach = (corners - shift) @ np.linalg.inv(turn).T
    low = np.maximum(np.floor(reach.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(reach.max(0)).astype(int) + 1, out.shape)
    if np.any(high <= low):
        return out
    check(should_stop)
    size = tuple(int(n) for n in high - low)
    found = ndimage.affine_transform(values, turn, turn @ low + shift, size, np.float32, order=1, mode="grid-constant")
    out[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = found
    return out


def there_from(share: np.ndarray) -> float:
    """Above which share of a voxel a structure counts as there: a thin one fills none."""
    return max(0.0, min(0.25, 0.5 * float(share.max(initial=0.0))))


def body_of(grey: np.ndarray, levels: tuple[int, int], spacing: float = SPACING) -> np.ndarray:
    """The patient in grey levels (S, A, R) of ``spacing`` mm, with all cavities; ``levels`` is the range that the CT
    has."""
    threshold = float(grey_from_hu(np.array(BODY_HU)))
    if levels[0] > threshold - 8:  # clipped: no air in it, anything above its floor is body
        threshold = levels[0] + 0.04 * (levels[1] - levels[0])
    found = grey > threshold
    opened = ndimage.binary_opening(found, _ball(2))  # a table hangs by little
    parts = body_parts(opened, (spacing,) * 3)
    if not parts.any():
        return grey != UNSEEN
    body = ndimage.binary_dilation(parts, _ball(2), mask=found)
    for plane in body:
        ndimage.binary_fill_holes(plane, output=plane)
    return body & (grey != UNSEEN)


def _ball(radius: int) -> np.ndarray:
    z, y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1, -radius : radius + 1]
    return z * z + y * y + x * x <= radius * radius


def _body_box(body: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    there = ndimage.find_objects(body.astype(np.uint8))
    if not there:
        return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])
    a, b, c = (slice(max(0, s.start - _MARGIN), min(n, s.stop + _MARGIN)) for s, n in zip(there[0], shape, strict=True))
    return a, b, c


def _part_grid(grid: Grid, box: tuple[slice, ...], shape: tuple[int, ...]) -> Grid:
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ np.array([part.start for part in box[::-1]], float)
    return Grid.from_ijk_to_ras(matrix, shape)  # type: ignore[arg-type]


def _shrunk(
    volume: Volume, spacing: float, should_stop: ShouldStop, clip: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels averaged in blocks where they are finer than ``spacing``, float32, and their (4, 4) IJK to RAS matrix."""
    mm = volume.grid.spacing
    steps = [max(1, min(n, int(spacing / s + 1e-3))) for s, n in zip(mm, volume.grid.size, strict=True)][::-1]
    shape = [-(-n // step) for n, step in zip(volume.voxels.shape, steps, strict=True)]
    out = np.empty(shape, np.float32)
    for k in range(shape[0]):
        if k % 4 == 0:
            check(should_stop)
        part = volume.voxels[k * steps[0] : (k + 1) * steps[0]].astype(np.float32)
        if clip:
            np.clip(part, -1000.0, 1500.0, out=part)
        plane = part.mean(0)
        for axis in (0, 1):
            plane = _block_mean(plane, axis, steps[axis + 1])
        out[k] = plane
    matrix = volume.ijk_to_ras.copy()
    scale = np.array(steps[::-1], float)
    matrix[:3, 3] += matrix[:3, :3] @ ((scale - 1) / 2)
    matrix[:3, :3] *= scale
    return out, matrix


def _block_mean(plane: np.ndarray, axis: int, step: int) -> np.ndarray:
    if step == 1:
        return plane
    starts = np.arange(0, plane.shape[axis], step)
    counts = np.minimum(step, plane.shape[axis] - starts).astype(np.float32)
    return np.add.reduceat(plane, starts, axis=axis) / np.expand_dims(counts, 1 - axis)


def _straight(
    matrix: np.ndarray, shape: tuple[int, ...], spacing: float
) -> tuple[np.ndarray, tuple[int, int, int], tuple[float, float, float]]:
    """The (4, 4) matrix from straight voxels (S, A, R) to voxels (K, J, I), how many of them cover the volume, and
    where the first lies along S, A, R in mm."""
    ends = np.array(
        [[i, j, k] for i in (-0.5, shape[2] - 0.5) for j in (-0.5, shape[1] - 0.5) for k in (-0.5, shape[0] - 0.5)]
    )
    ras = ends @ matrix[:3, :3].T + matrix[:3, 3]
    low, high = ras.min(0), ras.max(0)
    count = np.maximum(1, np.round((high - low) / spacing)).astype(int)
    start = (low + high - (count - 1) * spacing) / 2
    to_ras = np.diag([spacing, spacing, spacing, 1.0])
    to_ras[:3, 3] = start
    back = np.linalg.inv(matrix) @ to_ras
    turned = np.eye(4)
    turned[:3, :3], turned[:3, 3] = back[2::-1, 2::-1], back[2::-1, 3]
    r, a, s = (int(n) for n in count)
    x, y, z = (float(v) for v in start)
    return turned, (s, a, r), (z, y, x)


def _inside(matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], source: tuple[int, ...]) -> np.ndarray:
    """(shape) bool: which straight voxels lie in the volume; a sum of three lines for each of its axes."""
    out = np.ones(shape, bool)
    for axis, n in enumerate(source):
        lines = [matrix[axis, a] * np.arange(shape[a]) for a in range(3)]
        where = offset[axis] + lines[0][:, None, None] + lines[1][None, :, None] + lines[2][None, None, :]
        out &= (where > -0.5 - 1e-6) & (where < n - 0.5 + 1e-6)
    return out
