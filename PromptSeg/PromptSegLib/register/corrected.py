"""What was carried over from other patients, corrected by slices that were drawn in this one.

A drawn slice shows where the carried mask is wrong, and it is wrong alike in the slices around: what its log-odds lack
there is taken along, the less the farther away. Where drawn slices lie close to each other, their own contours
decide, and nothing that was carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
from scipy import ndimage

from ..annotations import IGNORE, SliceAnnotations
from ..prior import Prior
from ..progress import ShouldStop, check, never
from ..volumes.preprocess import WorkingVolume
from .log_odds import LIMIT

REACH_MM = 10.0
"""Over this distance from a drawn slice, what it corrects falls to 1 / e: farther, and the end of a structure is
carried beyond itself."""
GAP_MM = 20.0
"""Between drawn slices that are no farther apart, contours decide."""
SLOPE = 0.5
"""Log-odds for each millimetre from a drawn contour, as carried masks have them (a blur of 4 mm)."""

Slices = Mapping[int, tuple[np.ndarray, np.ndarray]]


def corrected(
    slices: Slices, annotations: SliceAnnotations, work: WorkingVolume, should_stop: ShouldStop = never
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Place and grey by working slice (see :class:`PromptSegLib.prior.Location`) with the drawn slices' corrections;
    as they were for slices that were drawn along another axis. Raises ``Stopped``."""
    if annotations.axis != work.axis:
        return dict(slices)
    changes = {k: _change(slices, annotations, work, k) for k in annotations.used()}
    out: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    reach = int(np.ceil(2 * REACH_MM / work.slice_mm))
    near = {k + n for k in changes for n in range(-reach, reach + 1) if 0 <= k + n < work.count}
    for index in sorted({*slices, *near}):
        check(should_stop)
        place, grey = _of(slices, work, index)
        weights = {k: float(np.exp(-abs(index - k) * work.slice_mm / REACH_MM)) for k in changes}
        total = sum(weights.values())
        place = place.astype(np.float32)
        for k, weight in weights.items():
            place = place + weight * weight / total * changes[k]
        place = np.clip(place, -LIMIT, LIMIT)
        if place.max() > -LIMIT + 0.1:
            out[index] = place.astype(np.float16), np.asarray(grey, np.float16)
    return out


def between_close_slices(prior: Prior, annotations: SliceAnnotations, work: WorkingVolume) -> Prior:
    """What drawn slices tell of each other (:func:`PromptSegLib.contours.fusion.prior_of`) where they are close; of
    what lies beyond or between distant ones it says nothing."""
    limit = GAP_MM / work.slice_mm
    close = {k for a, b in pairwise(annotations.used()) if b - a <= limit for k in range(a + 1, b)}
    return replace(prior, contours={k: v for k, v in prior.contours.items() if k in close}, beyond={})


def _of(slices: Slices, work: WorkingVolume, index: int) -> tuple[np.ndarray, np.ndarray]:
    found = slices.get(index)
    return found or (np.full(work.size, -LIMIT, np.float16), np.zeros(work.size, np.float16))


def _change(slices: Slices, annotations: SliceAnnotations, work: WorkingVolume, index: int) -> np.ndarray:
    """What is to be added to the log-odds of one drawn slice, (rows, columns) float32; 0 where they tell the same side
    of the contour, and where nothing was labelled."""
    labelled = annotations.slices[index].labelled()
    inside = work.mask_to_working(labelled == 1) > 0.5
    known = work.mask_to_working(labelled != IGNORE) > 0.5
    mm = work.spacing
    if inside.any():
        distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
        wanted = np.clip(SLOPE * mm * (distance - np.where(inside, 0.5, -0.5)), -LIMIT, LIMIT)
    else:
        wanted = np.full(work.size, -LIMIT)
    place, grey = _of(slices, work, index)
    known_so_far = np.clip(place.astype(np.float32) + grey.astype(np.float32), -LIMIT, LIMIT)
    wrong = known & ((known_so_far > 0) != inside)
    return np.where(wrong, wanted - known_so_far, 0.0).astype(np.float32)
