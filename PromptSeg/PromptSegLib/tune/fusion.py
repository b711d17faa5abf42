"""What the drawn outlines themselves say about the slices between them, as an addition to the network's logits.

Network and interpolation fail in different places: the network where the image is unclear, interpolation where the
structure changes between slices. Their sum is better than either. The addition is signed distance to the interpolated
outline over distance to the nearest drawn slice: sure close to a drawn slice and far from the outline, weak half-way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..volumes.preprocess import WorkingVolume
from .annotations import SliceAnnotations, SliceStatus
from .interpolation import signed_distance

PRIOR_LIMIT = 12.0
"""Twice what the network's logits are held within: close to a drawn slice the outline decides."""
WEIGHTS = (6.0, 15.0, 1000.0, 2.0, 0.0)
"""Weights that leaving out drawn slices chooses from, the usual one first: 1000 is the outlines alone, for structures
that the network cannot see, 0 the network alone."""


def drawn_masks(work: WorkingVolume, annotations: SliceAnnotations) -> dict[int, np.ndarray]:
    """The wholly labelled slices (complete or absent) on the working grid, (rows, columns) bool; drafts have no
    outline."""
    whole = (SliceStatus.COMPLETE, SliceStatus.ABSENT)
    return {
        k: work.mask_to_working(annotations.slices[k].labelled() == 1) > 0.5
        for k in annotations.used()
        if annotations.slices[k].status in whole
    }


def contour_prior(
    masks: Mapping[int, np.ndarray], slice_mm: float, pixel_mm: float, wanted: Sequence[int] | None = None
) -> dict[int, np.ndarray]:
    """For slices between drawn ones: signed distance over distance to the nearest drawn slice, (rows, columns) float32.

    ``masks`` are drawn slices by index, ``wanted`` the slices to give (None: all between). Slices beyond the outermost
    drawn ones have no entry: there the network is alone.
    """
    drawn = sorted(masks)
    if len(drawn) < 2 or not any(m.any() for m in masks.values()):
        return {}
    first, last = drawn[0], drawn[-1]
    moved = {k - first: masks[k] for k in drawn}
    distance = signed_distance(moved, last - first + 1, (slice_mm, pixel_mm, pixel_mm))
    nearest = np.abs(np.arange(first, last + 1)[:, None] - np.array(drawn)[None]).min(1) * slice_mm
    chosen = range(first, last + 1) if wanted is None else wanted
    return {k: distance[k - first] / nearest[k - first] for k in chosen if first < k < last and k not in masks}


def weighted(prior: np.ndarray, weight: float) -> np.ndarray:
    """The addition to the logits that ``prior`` gives with ``weight``."""
    return np.clip(weight * prior, -PRIOR_LIMIT, PRIOR_LIMIT)


def location_prior(annotations: SliceAnnotations, count: int) -> dict[int, float]:
    """What the drawn slices say about the slices beyond them, by index: an addition to all logits of a slice.

    A structure goes on a little beyond the outermost slices that show it, not far: the addition falls to its limit
    within half of the usual gap between drawn slices. With one drawn slice nothing is known.
    """
    drawn = annotations.drawn()
    if len(drawn) < 2:
        return {}
    first, last = drawn[0], drawn[-1]
    reach = max(1.0, 0.5 * (last - first) / (len(drawn) - 1))
    beyond = {k: max(first - k, k - last) for k in range(count) if not first <= k <= last}
    return {k: -PRIOR_LIMIT * min(1.0, d / reach) for k, d in beyond.items()}


def prior_of(work: WorkingVolume, annotations: SliceAnnotations, weight: float) -> dict[int, np.ndarray]:
    """The additions to the logits of all slices but the drawn ones, by index."""
    if annotations.axis != work.axis:
        return {}
    prior: dict[int, np.ndarray] = {
        k: np.full(work.size, v, np.float32) for k, v in location_prior(annotations, work.count).items()
    }
    if weight:
        found = contour_prior(drawn_masks(work, annotations), work.slice_mm, work.spacing)
        for k, v in found.items():
            prior[k] = weighted(v, weight)
    return prior
