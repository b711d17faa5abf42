"""The working grid: what the network sees of a volume, and the exact way back.

Slices are taken along one array axis, turned to the orientation that radiologists look at (axial: rows to posterior,
columns to left), resampled in-plane to one spacing, cropped to the body and brought to uint8 by one intensity curve.
Rows and columns are resampled by two small weight matrices, so that flips, crops and padding are all one linear map
whose inverse is known exactly; a volume is only ever touched slice by slice.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .body_parts import body_parts
from .volume import HIGHEST_HU, LOWEST_HU, Grid, Volume

AIR_HU = -1000.0
FULL_WINDOW = (-1000.0, 1500.0)
"""HU range that is kept when a prompt asks for no narrower one."""

_KNOTS_HU = np.array([-1000.0, -160.0, 240.0, 1500.0])
_KNOTS_GREY = np.array([0.0, 32.0, 223.0, 255.0])

_PADDING = 31000.0  # above every CT scale (extended ones end at 30710): -2000 or -32768 that was read as unsigned
_FLOOR_HU = 16.0  # how far above the least value of a clipped volume the body begins

_PLANES = {2: "axial", 1: "coronal", 0: "sagittal"}
# For each plane the patient directions (RAS axis, sign) of slices, rows and columns, as they are displayed.
_DISPLAY = {
    "axial": ((2, 1), (1, -1), (0, -1)),
    "coronal": ((1, 1), (2, -1), (0, -1)),
    "sagittal": ((0, 1), (2, -1), (1, -1)),
}


def grey_from_hu(hu: np.ndarray) -> np.ndarray:
    """HU to grey 0..255 (float32): three quarters of the range for soft tissue (-160..240 HU), the rest for lung and
    bone."""
    return np.interp(hu, _KNOTS_HU, _KNOTS_GREY).astype(np.float32)


def hu_from_grey(grey: np.ndarray) -> np.ndarray:
    """The inverse of :func:`grey_from_hu`."""
    return np.interp(grey, _KNOTS_GREY, _KNOTS_HU).astype(np.float32)


def within_ct(hu: np.ndarray) -> np.ndarray:
    """Values (float32, changed in place) within -1024 to 3071 HU, so that resampling does not spread metal and padding
    over what lies beside them; what no CT scale reaches is padding, hence air."""
    hu[hu > _PADDING] = LOWEST_HU
    return np.clip(hu, LOWEST_HU, HIGHEST_HU, out=hu)


def window_of(low_hu: float, high_hu: float) -> tuple[float, float]:
    """The HU window that a prompt learned on values ``low_hu`` to ``high_hu`` should see.

    Volumes that were clipped to a narrow window show neither air nor lung; others are then to be clipped alike.
    """
    return (float(low_hu), float(high_hu)) if low_hu > -300 else FULL_WINDOW


def nearest_axes(grid: Grid) -> tuple[tuple[int, int], ...]:
    """For each array axis (K, J, I): the RAS axis that it runs along most nearly, and its sign there."""
    cosines = grid.ijk_to_ras[:3, :3] / np.asarray(grid.spacing)
    cosines = cosines[:, ::-1]  # columns in array order K, J, I
    best = max(permutations(range(3)), key=lambda p: sum(abs(cosines[p[a], a]) for a in range(3)))
    return tuple((best[a], 1 if cosines[best[a], a] >= 0 else -1) for a in range(3))


def axis_of_plane(grid: Grid, plane: str) -> int:
    """The array axis (0 = K, 1 = J, 2 = I) along which slices of ``plane`` ("axial", ...) are stacked."""
    wanted = _DISPLAY[plane][0][0]
    return next(a for a, (ras, _) in enumerate(nearest_axes(grid)) if ras == wanted)


def plane_of_axis(grid: Grid, axis: int) -> str:
    """The plane that slices along array axis ``axis`` show, most nearly."""
    return _PLANES[nearest_axes(grid)[axis][0]]


def _weights(positions: np.ndarray, n: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangle-filter weights (len(positions), n) at fractional ``positions``, and which positions lie in the array."""
    distance = np.abs(positions[:, None] - np.arange(n)[None, :])
    weights = np.maximum(0.0, 1.0 - distance / max(radius, 1.0))
    total = weights.sum(1, keepdims=True)
    inside = (positions > -0.5 - 1e-6) & (positions < n - 0.5 + 1e-6)
    return (weights / np.where(total > 0, total, 1.0)).astype(np.float32), inside


@dataclass(frozen=True)
class Axis:
    """One in-plane axis: working pixel w lies at native index ``start + w * step`` (``step`` < 0 flips)."""

    native: int
    size: int
    start: float
    step: float

    def forward(self) -> tuple[np.ndarray, np.ndarray]:
        """Anti-aliased weights (size, native) and the working pixels that lie inside the native array."""
        return _weights(self.start + self.step * np.arange(self.size), self.native, abs(self.step))

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The native indices (from, to) that lie within the working pixels ``first`` to ``last``."""
        ends = sorted((self.start + self.step * first, self.start + self.step * last))
        return max(0, int(np.ceil(ends[0] - 1e-6))), min(self.native, int(np.floor(ends[1] + 1e-6)) + 1)

    def backward(self) -> np.ndarray:
        """Linear weights (native, size)."""
        return _weights((np.arange(self.native) - self.start) / self.step, self.size, 1.0)[0]


@lru_cache(maxsize=16)
def _between(to: Axis, source: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Weights (to.size, source.size) from one working axis to another of the same native axis, and which pixels of
    ``to`` lie in ``source``."""
    positions = (to.start + to.step * np.arange(to.size) - source.start) / source.step
    return _weights(positions, source.size, abs(to.step / source.step))


def body_box(volume: Volume) -> tuple[tuple[int, int], ...]:
    """First and last+1 native index of the body along K, J, I, found on a coarse grid; the whole volume if in doubt."""
    low, high = volume.tissue_hu
    # A volume clipped to a narrow window has no air: there, anything that is not at its floor is body.
    threshold = -300.0 if low < -400 else low + min(0.04 * (high - low), _FLOOR_HU)
    steps = tuple(max(1, n // 96) for n in volume.voxels.shape)
    some = volume.voxels[:: steps[0], :: steps[1], :: steps[2]]
    coarse = (some > threshold) & (some <= _PADDING)
    opened = ndimage.binary_opening(coarse, np.ones((1, 3, 3)))
    everything = tuple((0, n) for n in volume.voxels.shape)
    if not opened.any():
        return everything
    mm = [step * one for step, one in zip(steps, volume.grid.spacing[::-1], strict=True)]
    box = ndimage.find_objects(body_parts(opened, mm).astype(np.uint8))[0]
    return tuple(
        (max(0, (s.start - 1) * step), min(n, (s.stop + 1) * step))
        for s, step, n in zip(box, steps, volume.voxels.shape, strict=True)
    )


class WorkingVolume:
    """A volume as the network sees it: ``count`` slices of ``size`` (rows, columns) working pixels, uint8 grey.

    Slices keep their native index along ``axis``; slices are made when first asked for and kept (1 byte a pixel).
    """

    def __init__(
        self,
        volume: Volume,
        *,
        spacing: float = 2.0,
        axis: int | None = None,
        multiple: int = 32,
        margin_mm: float = 10.0,
        neighbour_mm: float = 3.0,
        far_mm: float = 12.0,
        crop: bool = True,
    ) -> None:
        if spacing <= 0:
            raise InputError(f"The working spacing must be positive, not {spacing:g} mm")
        low, _ = volume.tissue_hu
        self.volume = volume
        self.spacing = float(spacing)
        self.axis = axis_of_plane(volume.grid, "axial") if axis is None else axis
        axes = nearest_axes(volume.grid)
        self.plane = _PLANES[axes[self.axis][0]]
        slices, rows, columns = _DISPLAY[self.plane]
        native_mm = volume.grid.spacing[::-1]
        array_axis = {ras: a for a, (ras, _) in enumerate(axes)}
        row_axis, column_axis = array_axis[rows[0]], array_axis[columns[0]]
        box = body_box(volume) if crop else tuple((0, n) for n in volume.voxels.shape)
        self._transpose = row_axis > column_axis
        self.rows = self._fit(
            volume, row_axis, rows[1] * axes[row_axis][1], box[row_axis], native_mm, multiple, margin_mm
        )
        self.columns = self._fit(
            volume, column_axis, columns[1] * axes[column_axis][1], box[column_axis], native_mm, multiple, margin_mm
        )
        self._array_axes = (self.axis, row_axis, column_axis)
        self._slice_sign = slices[1] * axes[self.axis][1]
        near, far = (max(1, round(mm / native_mm[self.axis])) for mm in (neighbour_mm, far_mm))
        self._neighbours = (-far, -near, 0, near, far)
        self._fill = float(max(low, AIR_HU))
        self._row_weights, self._row_inside = self.rows.forward()
        self._column_weights, self._column_inside = self.columns.forward()
        self._row_back, self._column_back = self.rows.backward(), self.columns.backward()
        self._grey = np.zeros((self.count, *self.size), np.uint8)
        self._made = np.zeros(self.count, bool)
        self.kept: dict[Hashable, np.ndarray] = {}
        """What others found out about the slices and may ask again; forgotten with them."""

    def _fit(self, volume, axis, sign, box, native_mm, multiple, margin_mm) -> Axis:
        """The working axis that covers ``box`` with a margin, centred, and a multiple of ``multiple`` pixels long."""
        n, mm = volume.voxels.shape[axis], native_mm[axis]
        low = max(-0.5, box[0] - margin_mm / mm)
        high = min(n - 0.5, box[1] - 1 + margin_mm / mm)
        needed = max(1, int(np.ceil((high - low) * mm / self.spacing - 1e-6)) + 1)
        size = -(-needed // multiple) * multiple
        step = sign * self.spacing / mm
        return Axis(n, size, (low + high) / 2 - step * (size - 1) / 2, step)

    @property
    def count(self) -> int:
        """Number of slices along ``axis``."""
        return self.volume.voxels.shape[self.axis]

    @property
    def size(self) -> tuple[int, int]:
        """Working rows and columns."""
        return self.rows.size, self.columns.size

    @property
    def native_shape(self) -> tuple[int, int]:
        """Rows and columns of a native slice along ``axis``, in array order."""
        shape = list(self.volume.voxels.shape)
        del shape[self.axis]
        return shape[0], shape[1]

    @property
    def slice_mm(self) -> float:
        """Distance between slices in mm."""
        return float(self.volume.grid.spacing[::-1][self.axis])

    @property
    def to_ras(self) -> np.ndarray:
        """(4, 4) float64 matrix from working (slice, row, column, 1) to RAS mm."""
        ijk = np.zeros((4, 4))
        ijk[3, 3] = 1
        places = ((0.0, 1.0), (self.rows.start, self.rows.step), (self.columns.start, self.columns.step))
        for column, (axis, (start, step)) in enumerate(zip(self._array_axes, places, strict=True)):
            ijk[2 - axis, column], ijk[2 - axis, 3] = step, start
        return self.volume.ijk_to_ras @ ijk

    def _to_display(self, plane: np.ndarray) -> np.ndarray:
        return plane.T if self._transpose else plane

    def grey(self, index: int) -> np.ndarray:
        """One working slice, (rows, columns) uint8."""
        if not self._made[index]:
            # Not numpy's take: it copies an array that is not contiguous whole.
            plane = self.volume.voxels[(slice(None),) * self.axis + (index,)]
            plane = within_ct(self._to_display(plane).astype(np.float32))
            work = self._row_weights @ plane @ self._column_weights.T
            work[~self._row_inside] = self._fill
            work[:, ~self._column_inside] = self._fill
            self._grey[index] = np.rint(grey_from_hu(work))
            self._made[index] = True
        return self._grey[index]

    def inputs(self, indices: Sequence[int], window: tuple[float, float] = FULL_WINDOW) -> np.ndarray:
        """Network inputs (n, rows, columns, 5) float32 in -1..1: two slices below, from far to near, the slice, and two
        above.

        Neighbours are about ``neighbour_mm`` and ``far_mm`` away and repeat at the ends; ``window`` (HU) clips what a
        prompt was not taught to see. A network of fewer channels takes those in the middle.
        """
        low, high = grey_from_hu(np.asarray(window, np.float64))
        out = np.empty((len(indices), *self.size, len(self._neighbours)), np.float32)
        for n, index in enumerate(indices):
            for channel, offset in enumerate(self._neighbours):
                out[n, ..., channel] = self.grey(self.neighbour(index, offset * self._slice_sign))
        np.clip(out, low, high, out=out)
        out /= 127.5
        out -= 1.0
        return out

    @property
    def offsets(self) -> tuple[int, ...]:
        """How many slices away those lie that the network sees beside one, itself among them."""
        return self._neighbours

    def neighbour(self, index: int, offset: int) -> int:
        """The slice that is seen so many slices away from another: at the ends, the last there is."""
        return min(max(index + offset, 0), self.count - 1)

    def native_box(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """The part of a native slice, in array order, that lies within working rows and columns."""
        r, c = self.rows.span(rows.start, rows.stop - 1), self.columns.span(columns.start, columns.stop - 1)
        return (slice(*c), slice(*r)) if self._transpose else (slice(*r), slice(*c))

    def mask_to_working(self, mask: np.ndarray) -> np.ndarray:
        """A native slice mask (0/1) as the share of each working pixel that it covers, (rows, columns) float32."""
        work = self._row_weights @ self._to_display(np.asarray(mask)).astype(np.float32) @ self._column_weights.T
        work[~self._row_inside] = 0
        work[:, ~self._column_inside] = 0
        return work

    def taken_from(self, other: WorkingVolume, working: np.ndarray, outside: float) -> np.ndarray:
        """A map (rows, columns) of another working grid of the same slices on this one, float32: linearly interpolated,
        averaged where that one is finer; ``outside`` is the value where that one has no pixel."""
        if other is self:
            return working
        (rows, row_inside), (columns, column_inside) = (
            _between(self.rows, other.rows), _between(self.columns, other.columns)
        )  # fmt: skip
        out = rows @ working.astype(np.float32) @ columns.T
        out[~row_inside] = outside
        out[:, ~column_inside] = outside
        return out

    def to_native(self, working: np.ndarray, above: float) -> tuple[tuple[slice, slice], np.ndarray] | None:
        """A working map (rows, columns) on the native slice, only around what exceeds ``above``.

        Gives the native box (two slices of a native slice's axes) and its values, float32, linearly interpolated; None
        if nothing exceeds. Outside of the box the map is at most ``above``.
        """
        there = working > above
        rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
        if not len(rows):
            return None
        # One pixel more on each side, so that the edge is interpolated; at the crop's edge, half a pixel of native.
        r0, r1 = max(0, rows[0] - 1), min(self.rows.size - 1, rows[-1] + 1)
        c0, c1 = max(0, columns[0] - 1), min(self.columns.size - 1, columns[-1] + 1)
        i0, i1 = self.rows.span(r0, r1)
        j0, j1 = self.columns.span(c0, c1)
        part = working[r0 : r1 + 1, c0 : c1 + 1].astype(np.float32)
        out = self._row_back[i0:i1, r0 : r1 + 1] @ part @ self._column_back[j0:j1, c0 : c1 + 1].T
        if self._transpose:
            return (slice(j0, j1), slice(i0, i1)), out.T
        return (slice(i0, i1), slice(j0, j1)), out

    def free(self) -> None:
        """Forget the slices that were made."""
        self._made[:] = False
        self.kept.clear()
