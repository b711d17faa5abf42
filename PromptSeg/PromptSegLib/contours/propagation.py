"""Drawn contours propagated from slice to slice by the picture.

Interpolation (:mod:`.interpolation`) knows the contours alone. The picture knows more: neighbouring slices of the
working grid are registered to each other (symmetric-forces demons: Wang et al. 2005, doi:10.1088/0031-9155/50/12/011,
as SimpleITK has it), and the signed distances to the drawn contours are moved along, from the drawn slice below and
from the one above. That follows a kidney or a liver over wide gaps, knows no organ, and fails where a thin structure
leaves its place between two slices. Interpolation fails elsewhere: :mod:`.contour_fusion_net` weighs both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage

from ..progress import ShouldStop, check, never
from ..volumes.preprocess import WorkingVolume
from .demons import displacements, warp
from .interpolation import FLOOR_MM

STEP_MM = 3.0
"""Slices closer to each other than that are not registered one by one: what is between is interpolated."""
MARGIN, MARGIN_MM = 14, -FLOOR_MM
"""Working pixels around all contours, and at least so far: further away every distance is at its floor."""
MAX_PIXELS = 500_000
"""Pixels of all slices to be registered; more are on half the resolution, so that a preview still takes seconds."""
KEPT = 200_000_000
"""Bytes of displacements that stay with a volume, about; the oldest go first."""
BATCH = 16
"""Pairs of slices that are registered together; to stop waits for them."""
SMOOTH = 0.7
"""Standard deviation in pixels that pictures are smoothed by."""

Box = tuple[slice, slice]


class Propagation:
    """Carries distances and pictures between drawn slices, within ``box`` (rows, columns) of the working grid.

    ``contours``, (rows, columns) bool of the working grid by drawn slice (native index along ``work.axis``), say where
    to look, and ``around`` where else. Displacements are kept with the working volume: a later round, and segmenting
    after teaching, need not find them again.
    """

    def __init__(
        self, work: WorkingVolume, contours: Mapping[int, np.ndarray], around: np.ndarray | None = None
    ) -> None:
        self.work = work
        union = np.any([*contours.values(), *([] if around is None else [around])], axis=0)
        self.box = _box(union, max(MARGIN, math.ceil(MARGIN_MM / work.spacing)))
        self.stops = _stops(sorted(contours), max(1, round(STEP_MM / work.slice_mm)))
        pixels = 2 * len(self.stops) * (self.box[0].stop - self.box[0].start) * (self.box[1].stop - self.box[1].start)
        self.finest = 1 if pixels <= MAX_PIXELS else 2

    def prepare(self, low: int, high: int, should_stop: ShouldStop = never) -> None:
        """Register all neighbours between two drawn slices, on all cores. Raises ``Stopped``."""
        stops = [k for k in self.stops if low <= k <= high]
        while sum(one.nbytes for one in self.work.kept.values()) > KEPT:
            del self.work.kept[next(iter(self.work.kept))]
        pairs = [p for a, b in pairwise(stops) for p in ((a, b), (b, a)) if self._key(*p) not in self.work.kept]
        if not pairs:
            return
        pictures = {k: torch.from_numpy(self.picture(k)) for k in stops}
        for first in range(0, len(pairs), BATCH):
            check(should_stop)
            part = pairs[first : first + BATCH]
            fixed, moving = (torch.stack([pictures[pair[n]] for pair in part]) for n in (0, 1))
            with torch.inference_mode():
                found = displacements(fixed, moving, self.finest).half().numpy()
            self.work.kept |= {self._key(*pair): field for pair, field in zip(part, found, strict=True)}

    def propagate(self, maps: np.ndarray, start: int, end: int, wanted: Iterable[int]) -> dict[int, np.ndarray]:
        """Maps (n, rows, columns) within :attr:`box`, known on slice ``start``, on the ``wanted`` slices towards
        ``end``. All between the two must be prepared."""
        ahead = 1 if end > start else -1
        stops = [k for k in self.stops[::ahead] if (k - start) * ahead >= 0 and (end - k) * ahead >= 0]
        known = {start: maps}
        here = torch.from_numpy(np.indices(maps.shape[1:]).astype(np.float32))
        place = here.clone()
        drawn = torch.from_numpy(maps)[None]
        with torch.inference_mode():
            for before, k in pairwise(stops):
                step = torch.from_numpy(self.work.kept[self._key(k, before)]).float()
                here = warp(here[None], step[None])[0]
                known[k] = warp(drawn, (here - place)[None])[0].numpy()
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


def _stops(drawn: Sequence[int], stride: int) -> list[int]:
    """The drawn slices, and evenly between them others that are about ``stride`` apart."""
    stops = set(drawn)
    for a, b in pairwise(drawn):
        steps = max(1, round((b - a) / stride))
        stops |= {a + round(n * (b - a) / steps) for n in range(steps)}
    return sorted(stops)


def _box(union: np.ndarray, margin: int) -> Box:
    """Rows and columns around the contours, with ``margin`` pixels more where there are."""
    ranges = []
    for axis in (0, 1):
        there = np.flatnonzero(union.any(1 - axis))
        first, last = (int(there[0]), int(there[-1])) if len(there) else (0, 0)
        ranges.append(slice(max(0, first - margin), min(union.shape[axis], last + margin + 1)))
    return ranges[0], ranges[1]
