"""Small pictures of CT slices with contours, for a gallery and for reports: numpy alone, a few milliseconds each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..volumes.volume import Grid
from .figures import Plane

Colour = tuple[int, int, int]
OURS: Colour = (255, 157, 59)
REFERENCE: Colour = (92, 196, 255)
"""Orange and blue are told apart with any colour vision; the page's style has the same."""
SIZE = 112
"""Pixels of a picture in the gallery."""
_MARGIN_MM, _MIN_MM = 18.0, 70.0
_CONTOUR_PER = 110
"""A contour is one pixel wide for each so many of the picture's."""


@dataclass(frozen=True)
class MaskBox:
    """A mask cut to a box: ``values`` (K, J, I) bool, and where it begins, ``low`` (k, j, i)."""

    values: np.ndarray
    low: tuple[int, int, int]

    @classmethod
    def of(cls, mask: np.ndarray) -> MaskBox:
        """A whole mask (K, J, I), cut to what it holds."""
        spans = []
        for axis in range(3):
            there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
            spans.append(slice(int(there[0]), int(there[-1]) + 1) if len(there) else slice(0, 0))
        k, j, i = (span.start for span in spans)
        return cls(mask[tuple(spans)].astype(bool, copy=False), (k, j, i))

    def slice(self, shape: tuple[int, int, int], axis: int, index: int) -> np.ndarray:
        """(rows, columns) bool of one slice of the volume of ``shape`` (K, J, I), as it lies in the array."""
        others = [a for a in range(3) if a != axis]
        out = np.zeros([shape[a] for a in others], bool)
        at = index - self.low[axis]
        if 0 <= at < self.values.shape[axis]:
            part = self.values.take(at, axis=axis)
            out[tuple(slice(self.low[a], self.low[a] + n) for a, n in zip(others, part.shape, strict=True))] = part
        return out


@dataclass(frozen=True)
class ThumbnailView:
    """What part of a slice is seen: a square, its ``centre`` (row, column) in pixels of the turned slice, its ``side``
    in mm."""

    centre: tuple[float, float]
    side: float


def view_of(masks: Sequence[MaskBox], plane: Plane, grid: Grid, index: int) -> ThumbnailView:
    """A square around what masks show in a slice and the two beside it, else around all of them, with a margin."""
    shape = grid.shape
    shown = np.zeros([n for a, n in enumerate(shape) if a != plane.axis], bool)
    for one in masks:
        for near in (index - 1, index, index + 1):
            shown |= one.slice(shape, plane.axis, near)
    if not shown.any():
        for one in masks:
            part = one.values.any(axis=plane.axis)
            others = [a for a in range(3) if a != plane.axis]
            shown[tuple(slice(one.low[a], one.low[a] + n) for a, n in zip(others, part.shape, strict=True))] |= part
    turned = plane.turn(shown)
    if not turned.any():
        rows, columns = turned.shape
        return ThumbnailView(
            ((rows - 1) / 2, (columns - 1) / 2), max(rows * plane.spacing[0], columns * plane.spacing[1])
        )
    centre, sides = [], [_MIN_MM]
    for axis, step in enumerate(plane.spacing):
        there = np.flatnonzero(turned.any(axis=1 - axis))
        centre.append((there[0] + there[-1]) / 2)
        sides.append((there[-1] - there[0] + 1) * step + 2 * _MARGIN_MM)
    return ThumbnailView((float(centre[0]), float(centre[1])), max(sides))


def thumbnail(
    voxels: np.ndarray,
    grid: Grid,
    axis: int,
    index: int,
    contours: Sequence[tuple[MaskBox, Colour]],
    window: tuple[float, float],
    size: int = SIZE,
) -> np.ndarray:
    """(size, size, 3) uint8: slice ``index`` of a volume (K, J, I) as radiologists look at it, around the first of the
    ``contours``, which are drawn from the first to the topmost.

    ``window`` is the range of values from black to white; what lies outside of the volume is black.
    """
    plane = Plane.of(grid, axis)
    view = view_of([box for box, _ in contours], plane, grid, index)
    step = view.side / size
    places = (np.arange(size) - (size - 1) / 2) * step
    rows, columns = (places / plane.spacing[n] + view.centre[n] for n in range(2))
    low, high = window
    picture = _sampled(plane.cut(voxels, index), rows, columns, low)
    grey = np.clip((picture - low) / max(1e-6, high - low), 0, 1) * 255
    out = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    width = max(1, round(size / _CONTOUR_PER))
    lines = []
    for box, colour in contours:
        inside = _sampled(plane.turn(box.slice(grid.shape, axis, index)), rows, columns, 0.0) > 0.5
        line = _grown(inside, width) & ~inside  # beside it: what is drawn stays in sight
        out[_grown(line, width) & ~line] //= 2
        lines.append((line, colour))
    for line, colour in lines:  # after all dark rims, so that none hides another's line
        out[line] = colour
    return out


def _sampled(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, outside: float) -> np.ndarray:
    """(len(rows), len(columns)) float32 of a slice at these places, linearly between its pixels."""
    first = [max(0, int(places[0])) for places in (rows, columns)]
    last = [max(0, int(np.ceil(places[-1])) + 1) for places in (rows, columns)]
    part = picture[first[0] : last[0], first[1] : last[1]].astype(np.float32)
    if not part.size:
        return np.full((len(rows), len(columns)), outside, np.float32)
    low, high, share, there = zip(*map(_between, (rows - first[0], columns - first[1]), part.shape), strict=True)
    lines = part[low[0]] * (1 - share[0][:, None]) + part[high[0]] * share[0][:, None]
    out = lines[:, low[1]] * (1 - share[1]) + lines[:, high[1]] * share[1]
    return np.where(there[0][:, None] & there[1], out, outside).astype(np.float32)


def _between(places: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pixels of a line of ``count`` below and above each place, how far it is from the first of them to the second,
    and whether it lies on the line."""
    low = np.clip(np.floor(places).astype(int), 0, count - 1)
    return low, np.minimum(low + 1, count - 1), places - low, (places >= 0) & (places <= count - 1)


def _grown(mask: np.ndarray, width: int) -> np.ndarray:
    """A mask (rows, columns) and what is no more than ``width`` steps up, down, left and right from it.

    Without scipy, as all here: this runs in 3D Slicer's window, which would stand still while it is loaded."""
    out = mask.copy()
    for _ in range(width):
        former = out.copy()
        for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
            out[here] |= former[there]
            out[:, here] |= former[:, there]
    return out
