"""How much of each slice of a mask may be wrong: what a review sorts slices by.

:func:`slice_risk` is the order that ``Testing/Benchmarks/risk.py`` found best of those that it compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..progress import ShouldStop, check, never

_STEPS = 1024
"""Steps of the table from entropy to the probability of an error: finer than the 1/255 that maps are kept in."""


def error_probability(entropy: np.ndarray) -> np.ndarray:
    """How likely each voxel's label is wrong, 0 to 0.5, from the entropy of its probability in bits (0 to 1), same
    shape, float32: the smaller of p and 1 - p, if p is right."""
    p = 0.5 * np.linspace(0.0, 1.0, _STEPS) ** 2  # entropy rises steeply from 0
    inner = p[1:]
    bits = np.concatenate([[0.0], -(inner * np.log2(inner) + (1 - inner) * np.log2(1 - inner))])
    return np.interp(entropy, bits, p).astype(np.float32)


def expected_error_area(entropy: np.ndarray, pixel_cm2: float, axis: int = 0) -> np.ndarray:
    """(n,) float64: the area in cm^2 that is expected to be wrong in each slice along ``axis``, from a map (K, J, I) of
    entropy in bits. Raises ``ValueError`` for an array of another dimension."""
    if entropy.ndim != 3:
        raise ValueError(f"a map has three dimensions, not {entropy.ndim}")
    view = np.moveaxis(entropy, axis, 0)
    out = np.zeros(len(view))
    for k, plane in enumerate(view):
        some = plane[plane > 0]
        if some.size:
            out[k] = float(error_probability(some).sum(dtype=np.float64)) * pixel_cm2
    return out


@dataclass(frozen=True)
class SliceRisk:
    """Of each slice, (n,) float64: ``share``, what may be wrong as a share of the structure's mean area, so that slices
    of large and small structures can be compared; ``change``, 0 to 1, how much of what it or the slices beside it show
    is not in both;
    ``error_cm2``, the area that the probabilities let expect to be wrong, None where none are known."""

    share: np.ndarray
    change: np.ndarray
    error_cm2: np.ndarray | None = None


def slice_risk(
    mask: np.ndarray,
    spacing: Sequence[float],
    entropy: np.ndarray | None = None,
    axis: int = 0,
    should_stop: ShouldStop = never,
) -> SliceRisk:
    """What may be wrong in each slice along ``axis`` of a mask (K, J, I) bool, added up: pixels that differ from the
    shape between its neighbours, pixels that differ from what the majority of the three shows, the expected error.

    ``entropy`` is that of each voxel's probability in bits, same shape; ``spacing`` is in mm along the array axes.
    Raises ``Stopped``.
    """
    between = interpolated(mask, spacing, axis, should_stop)
    odd = _pixels(between ^ mask, axis)
    steps = _pixels(majority(mask, axis) ^ mask, axis)
    typical = max(1.0, mean_area(mask, axis))
    change = odd / np.maximum(1.0, _pixels(between | mask, axis))
    if entropy is None:
        return SliceRisk((odd + steps) / typical, change)
    pixel_cm2 = float(np.prod([step for n, step in enumerate(spacing) if n != axis])) / 100
    error = expected_error_area(entropy, pixel_cm2, axis)
    return SliceRisk((odd + steps + error / pixel_cm2) / typical, change, error)


def _pixels(mask: np.ndarray, axis: int) -> np.ndarray:
    return np.count_nonzero(np.moveaxis(mask, axis, 0), axis=(1, 2)).astype(np.float64)


def majority(mask: np.ndarray, axis: int = 0) -> np.ndarray:
    """(K, J, I) bool: what most of each slice, the one before it and the one after it show; the mask itself where not
    both of these show the structure."""
    out = mask.copy()
    view, made = np.moveaxis(mask, axis, 0), np.moveaxis(out, axis, 0)
    shown: np.ndarray = np.any(view, axis=(1, 2))
    for k in range(1, len(view) - 1):
        if shown[k - 1] and shown[k + 1]:
            below, own, above = view[k - 1], view[k], view[k + 1]
            made[k] = (below & own) | (own & above) | (below & above)
    return out


def mean_area(mask: np.ndarray, axis: int = 0) -> float:
    """Pixels of a mask (K, J, I) in the slices along ``axis`` that show it, on average; 0 where none does."""
    areas = np.count_nonzero(np.moveaxis(mask, axis, 0), axis=(1, 2))
    return float(areas[areas > 0].mean()) if areas.any() else 0.0


def neighbour_change(mask: np.ndarray, axis: int = 0) -> np.ndarray:
    """(n,) float64: how much of each slice is not what the slice below, it and the slice above show by majority, as a
    share of what it or the majority shows; 0 where nothing is, and in the outermost slices of the volume."""
    view = np.moveaxis(mask, axis, 0)
    out = np.zeros(len(view))
    for k in range(1, len(view) - 1):
        below, own, above = view[k - 1], view[k], view[k + 1]
        if own.any() or (below.any() and above.any()):
            majority = (below & own) | (own & above) | (below & above)
            any_of_them = max(1, int(np.count_nonzero(majority | own)))
            out[k] = int(np.count_nonzero(majority ^ own)) / any_of_them
            if not (below.any() and above.any()):
                out[k] = 0.0  # a structure ends here
    return out


def interpolated(
    mask: np.ndarray, spacing: Sequence[float], axis: int = 0, should_stop: ShouldStop = never
) -> np.ndarray:
    """(K, J, I) bool: in each slice the shape between its two neighbours, by the mean of their signed distances (Raya
    and Udupa, IEEE Trans Med Imaging 9, 1990); the mask itself where not both of them show the structure.

    ``spacing`` is in mm along the array axes (K, J, I). Raises ``Stopped``.
    """
    from scipy import ndimage  # not where a review is only shown: see :mod:`.thumbnails`

    out = mask.copy()
    view, made = np.moveaxis(mask, axis, 0), np.moveaxis(out, axis, 0)
    there: np.ndarray = np.any(view, axis=0)
    if not there.any():
        return out
    plane = [step for n, step in enumerate(spacing) if n != axis]
    # One pixel around it, so that what fills the box still has an outside.
    spans = tuple(
        slice(max(0, int(at[0]) - 1), int(at[-1]) + 2) for at in (np.flatnonzero(there.any(axis=n)) for n in (1, 0))
    )
    part = view[(slice(None), spans[0], spans[1])]
    shown: np.ndarray = np.any(part, axis=(1, 2))
    distances: dict[int, np.ndarray] = {}

    def signed(k: int) -> np.ndarray:
        if k not in distances:
            inside = ndimage.distance_transform_edt(part[k], sampling=plane)
            outside = ndimage.distance_transform_edt(~part[k], sampling=plane)
            distances[k] = (inside - outside).astype(np.float32)
        return distances[k]

    for k in range(1, len(part) - 1):
        check(should_stop)
        if shown[k - 1] and shown[k + 1]:
            made[k][spans] = signed(k - 1) + signed(k + 1) > 0
            distances.pop(k - 1, None)  # two slices ahead is the last that asks for it
    return out
