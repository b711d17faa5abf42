"""A structure that was carried over from another patient, as log-odds, brought to the grey values of this patient.

The carried mask says roughly where the structure is; the grey values inside and outside of it say how it looks here,
and then better where it is: expectation maximisation of two histograms with a mean-field term for smoothness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..progress import ShouldStop, check, never
from .picture import Picture

ITERATIONS, BINS = 5, 32
RATIO_LIMIT = 4.0
"""Of the log-likelihood ratio of grey values."""
NEIGHBOURS, EDGE = 0.7, 0.05
"""Weight of the six neighbours, and the difference of grey (0..1 of the soft-tissue window) that parts them."""
FIRST_SMOOTH = 2
LIMIT = 6.0
"""Log-odds are held within this."""
LEVEL = 3.9
"""By so much they are lowered or raised at most for a mask to keep its volume: a probability of 0.02 or 0.98."""
BLUR_MM = 4.0
_NEAR_MM = 24.0


@dataclass(frozen=True)
class Located:
    """What is known of a structure before the network is asked, on a box of a picture of the patient.

    ``place`` (S, A, R) float32 are log-odds of the carried mask, ``grey`` the log-likelihood ratio of the patient's
    grey values with their neighbours' say, 0 where ``place`` is surely outside; their sum is the refined prior.
    ``volume_ml`` is the carried volume.
    """

    place: np.ndarray
    grey: np.ndarray
    box: tuple[slice, slice, slice]
    volume_ml: float

    @property
    def log_odds(self) -> np.ndarray:
        """Both together, (S, A, R) of the box."""
        return self.place + self.grey


def located(
    masks: Sequence[np.ndarray],
    picture: Picture,
    weights: Sequence[float] | np.ndarray | None = None,
    organs: np.ndarray | None = None,
    blur_mm: float = BLUR_MM,
    should_stop: ShouldStop = never,
) -> Located | None:
    """From soft masks (S, A, R) 0..1 on ``picture``, one a registration, that count alike or with ``weights``, and the
    log-odds (S, A, R) that known ``organs`` give; None if nothing was carried over. Raises ``Stopped``.
    """
    mean = np.average(np.stack(list(masks)), 0, weights)
    volume = float(np.average([m.sum() for m in masks], weights=weights))
    found = ndimage.find_objects((mean > 0.02).astype(np.uint8))
    if not found or volume < 1.0:
        return None
    margin = int(np.ceil(_NEAR_MM / picture.spacing))
    a, b, c = (
        slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(found[0], mean.shape, strict=True)
    )
    box = a, b, c
    check(should_stop)
    place = placed(mean[box], volume, blur_mm / picture.spacing, 0.0 if organs is None else organs[box])
    grey = grey_ratio(place, picture.grey[box], should_stop)
    return Located(place, grey, box, volume * picture.spacing**3 / 1000.0)


def placed(mean: np.ndarray, volume: float, sigma: float, organs: np.ndarray | float = 0.0) -> np.ndarray:
    """Log-odds (S, A, R) of a mean carried mask, blurred by ``sigma`` voxels, and of known ``organs``; they are 0 where
    the mask keeps its ``volume`` in voxels."""
    share = np.clip(ndimage.gaussian_filter(mean, sigma), 1e-4, 1 - 1e-4)
    found = np.log(share / (1 - share)) + organs
    ordered = np.sort(found.ravel())[::-1]
    level = float(ordered[min(len(ordered) - 1, max(0, round(volume) - 1))])
    return np.clip(found - min(max(level, -LEVEL), LEVEL), -LIMIT, LIMIT).astype(np.float32)


def grey_ratio(place: np.ndarray, grey: np.ndarray, should_stop: ShouldStop = never) -> np.ndarray:
    """What the grey levels (S, A, R) uint8 add to ``place``, log-odds of the same shape."""
    level = np.clip((grey.astype(np.float32) - 32.0) / 191.0, 0.0, 1.0)  # the soft-tissue window, as 0..1
    wide = np.clip(grey.astype(np.float32) / 32.0, 0.0, 1.0)  # lung and air
    code = np.where(level > 0, 8 + np.minimum(level * (BINS - 8), BINS - 9), np.minimum(wide * 8, 7)).astype(np.int64)
    near = place > -LIMIT + 0.5
    if not near.any():
        return np.zeros_like(place)
    picture = level + 0.5 * wide
    edges = [np.exp(-((np.diff(picture, axis=axis) / EDGE) ** 2)) for axis in range(3)]
    share = 1 / (1 + np.exp(-place))
    added = np.zeros_like(place)
    for iteration in range(ITERATIONS):
        check(should_stop)
        inside = _histogram(code[near], share[near])
        outside = _histogram(code[near], 1 - share[near])
        ratio = np.clip(np.log(inside) - np.log(outside), -RATIO_LIMIT, RATIO_LIMIT)
        added = ratio[code].astype(np.float32)
        if iteration >= FIRST_SMOOTH:
            added += NEIGHBOURS * _neighbours(2 * share - 1, edges)
        added[~near] = 0
        share = 1 / (1 + np.exp(-(place + added)))
    return added


def _histogram(code: np.ndarray, weight: np.ndarray) -> np.ndarray:
    counts = np.bincount(code, weight, BINS) + 0.0
    counts = ndimage.gaussian_filter1d(counts, 1.0, mode="nearest")
    return (counts + 1e-3 * counts.sum() + 1e-6) / (counts.sum() * (1 + 1e-3 * BINS) + 1e-6 * BINS)


def _neighbours(values: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    out = np.zeros_like(values)
    for axis, weight in enumerate(edges):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        out[low] += weight * values[high]
        out[high] += weight * values[low]
    return out


def largest(found: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask."""
    labels, count = ndimage.label(found)
    if count < 2:
        return found
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()
