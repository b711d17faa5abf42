"""Drawn outlines carried from slice to slice by the picture.

Interpolation (:mod:`.interpolation`) knows the contours alone. The picture knows more: neighbouring slices of the
working grid are registered to each other (symmetric-forces demons: Wang et al. 2005, doi:10.1088/0031-9155/50/12/011,
as SimpleITK has it), and the signed distances to the drawn outlines are moved along, from the drawn slice below and
from the one above. That follows a kidney or a liver over wide gaps, knows no organ, and fails where a thin structure
leaves its place between two slices. Interpolation fails elsewhere: :mod:`.outline_net` weighs both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage

from ..progress import ShouldStop, check, never
from ..volumes.preprocess import WorkingVolume

STEP_MM = 3.0
"""Slices closer to each other than that are not registered one by one: what is between is interpolated."""
MARGIN = 14
"""Working pixels around all outlines: further away every distance is at its floor."""
MOST = 500_000
"""Pixels of all slices to be registered; more are on half the resolution, so that a preview still takes seconds."""
KEPT = 200_000_000
"""Bytes of displacements that stay with a volume, about; the oldest go first."""
LEVELS = (4, 2, 1)
ITERATIONS = (20, 20, 15)
SMOOTH = 0.7
"""Standard deviation in pixels that pictures are smoothed by."""
FIELD_SIGMA, UPDATE_SIGMA = 0.6, 0.5
"""Those that displacements and their changes are smoothed by, in pixels of their level; times its root."""

Box = tuple[slice, slice]


class Carrier:
    """Carries distances between the drawn slices of a volume, within ``box`` (rows, columns) of the working grid.

    ``outlines``, (rows, columns) bool of the working grid by drawn slice (native index along ``work.axis``), say where
    to look. Displacements are kept with the working volume: a later round, and segmenting after teaching, need not
    find them again.
    """

    def __init__(self, work: WorkingVolume, outlines: Mapping[int, np.ndarray]) -> None:
        self.work = work
        self.box = _box(np.any(list(outlines.values()), axis=0))
        self.stops = _stops(sorted(outlines), max(1, round(STEP_MM / work.slice_mm)))
        pixels = 2 * len(self.stops) * (self.box[0].stop - self.box[0].start) * (self.box[1].stop - self.box[1].start)
        self.finest = 1 if pixels <= MOST else 2

    def prepare(self, low: int, high: int, should_stop: ShouldStop = never) -> None:
        """Register all neighbours between two drawn slices, on all cores. Raises ``Stopped``."""
        stops = [k for k in self.stops if low <= k <= high]
        while sum(one.nbytes for one in self.work.kept.values()) > KEPT:
            del self.work.kept[next(iter(self.work.kept))]
        pairs = [p for a, b in pairwise(stops) for p in ((a, b), (b, a)) if self._key(*p) not in self.work.kept]
        if not pairs:
            return
        pictures = {k: self.picture(k) for pair in pairs for k in pair}

        def register(pair: tuple[int, int]) -> np.ndarray:
            check(should_stop)
            return displacement(pictures[pair[0]], pictures[pair[1]], self.finest)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for pair, found in zip(pairs, pool.map(register, pairs), strict=True):
                self.work.kept[self._key(*pair)] = found.astype(np.float16)

    def carry(self, distance: np.ndarray, start: int, end: int, wanted: Iterable[int]) -> dict[int, np.ndarray]:
        """Signed distance (rows, columns) of the working grid, known on slice ``start``, on the ``wanted`` slices
        towards ``end``; within :attr:`box`. All between the two must be prepared."""
        ahead = 1 if end > start else -1
        stops = [k for k in self.stops[::ahead] if (k - start) * ahead >= 0 and (end - k) * ahead >= 0]
        known = {start: distance[self.box]}
        place = np.indices(known[start].shape).astype(np.float32)
        here = place.copy()
        for before, k in pairwise(stops):
            step = self.work.kept[self._key(k, before)].astype(np.float32)
            here = np.stack([_at(axis, place + step) for axis in here])
            known[k] = _at(known[start], here)
        out = {}
        for k in wanted:
            below = max(s for s in known if s <= k)
            above = min(s for s in known if s >= k)
            t = (k - below) / max(1, above - below)
            out[k] = (1 - t) * known[below] + t * known[above]
        return out

    def _key(self, of: int, to: int) -> tuple:
        (rows, columns) = self.box
        return "carry", self.finest, of, to, rows.start, rows.stop, columns.start, columns.stop

    def picture(self, index: int) -> np.ndarray:
        """One slice's grey values within :attr:`box`, smoothed a little, float32."""
        return ndimage.gaussian_filter(self.work.grey(index)[self.box].astype(np.float32), SMOOTH, mode="nearest")


def displacement(fixed: np.ndarray, moving: np.ndarray, finest: int = 1) -> np.ndarray:
    """(2, rows, columns) float32: how many pixels away, along rows and columns, what ``fixed`` shows is in ``moving``.

    Both are grey pictures (rows, columns) float32. ``finest`` is the last of :data:`LEVELS` to be used.
    """
    import SimpleITK as sitk  # noqa: N813 - the name that everybody uses

    field: sitk.Image | None = None
    for level, iterations in zip(LEVELS, ITERATIONS, strict=True):
        if level < finest:
            break
        shrink = [max(1, min(level, n // 4)) for n in fixed.shape[::-1]]
        pictures = [sitk.BinShrink(sitk.GetImageFromArray(p), shrink) for p in (fixed, moving)]
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfThreads(1)  # slices are many and small: they share the cores
        demons.SetNumberOfIterations(iterations)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations([FIELD_SIGMA * s**0.5 for s in shrink])
        demons.SetSmoothUpdateField(True)
        demons.SetUpdateFieldStandardDeviations([UPDATE_SIGMA * s**0.5 for s in shrink])
        if field is None:
            field = demons.Execute(*pictures)
        else:
            field = demons.Execute(*pictures, sitk.Resample(field, pictures[0]))
    assert field is not None, "the coarsest level is always there"
    whole = sitk.Resample(field, sitk.GetImageFromArray(fixed))
    return np.moveaxis(sitk.GetArrayFromImage(whole), -1, 0)[::-1].astype(np.float32)


def _stops(drawn: Sequence[int], stride: int) -> list[int]:
    """The drawn slices, and evenly between them others that are about ``stride`` apart."""
    stops = set(drawn)
    for a, b in pairwise(drawn):
        steps = max(1, round((b - a) / stride))
        stops |= {a + round(n * (b - a) / steps) for n in range(steps)}
    return sorted(stops)


def _box(union: np.ndarray) -> Box:
    """Rows and columns around the outlines, with :data:`MARGIN`."""
    ranges = []
    for axis in (0, 1):
        there = np.flatnonzero(union.any(1 - axis))
        first, last = (int(there[0]), int(there[-1])) if len(there) else (0, 0)
        ranges.append(slice(max(0, first - MARGIN), min(union.shape[axis], last + MARGIN + 1)))
    return ranges[0], ranges[1]


def _at(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """``values`` (rows, columns) at fractional places (2, rows, columns)."""
    return ndimage.map_coordinates(values, place, order=1, mode="nearest")
