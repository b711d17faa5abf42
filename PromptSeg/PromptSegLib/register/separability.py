"""How far a carried mask lies on something: whether its grey values are others than those close around it.

Of several teachers' masks, the one that a registration laid on the structure has an inside of its own; one that lies
across organs has the grey values of its surroundings. No reference is needed, and no grey value of the teacher's: the
contrast phase may be another (cf. Michailovich et al., "Image segmentation using active contours driven by the
Bhattacharyya gradient flow", IEEE TIP 2007, which moves a contour to where this is greatest).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

RING = 5
"""Voxels of 3 mm around the mask that are compared with it."""
BINS, WIDE = 32, 8
"""Of 8 grey levels, smoothed by one."""
LEAST = 1e-3
"""So that masks that all lie on nothing count alike."""


def separability(mask: np.ndarray, grey: np.ndarray) -> float:
    """0 (alike) to 1: one less the Bhattacharyya coefficient of the grey values inside a soft mask (S, A, R) and within
    15 mm around it, of what the field of view shows (``grey`` (S, A, R) above 0); 0 where there is none of either."""
    found = ndimage.find_objects((mask > 0.5).astype(np.uint8))
    if not found:
        return 0.0
    box = tuple(slice(max(0, s.start - RING), s.stop + RING) for s in found[0])
    inside, shown = mask[box] > 0.5, grey[box] > 0
    around = ndimage.binary_dilation(inside, iterations=RING) & ~inside & shown
    inside = inside & shown
    if not inside.any() or not around.any():
        return 0.0
    own, others = (_histogram(grey[box][there] // WIDE) for there in (inside, around))
    return max(0.0, 1.0 - float(np.sqrt(own * others).sum()))


def _histogram(codes: np.ndarray) -> np.ndarray:
    counts = ndimage.gaussian_filter1d(np.bincount(codes, minlength=BINS).astype(float), 1.0)
    return counts / counts.sum()


def shares(found: Sequence[float]) -> np.ndarray:
    """How much each of several masks of one structure counts, together 1, from the :func:`separability` of each."""
    weights = np.asarray(found, float) + LEAST
    return weights / weights.sum()
