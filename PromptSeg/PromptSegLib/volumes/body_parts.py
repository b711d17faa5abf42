"""Which pieces of a thresholded CT are the patient: both legs, a trunk and the arms beside it, but no table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

LIKE, LEAST = 0.25, 0.03
"""A piece of this share of the largest one is a part of the body; one of the second share if it is thick, too."""
THICK_MM = 18.0
"""Thick is what a ball of this radius fits into: an arm, but neither a table nor a cushion."""


def body_parts(found: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The pieces of ``found`` (any three axes, with ``spacing`` in mm) bool that belong to the patient, the largest one
    always; nothing where there is nothing."""
    labels, count = ndimage.label(found)
    if count < 2:
        return labels > 0
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = sizes >= LIKE * sizes.max()
    boxes = ndimage.find_objects(labels)
    for number in np.flatnonzero(~keep & (sizes >= LEAST * sizes.max())):
        piece = np.pad(labels[boxes[number - 1]] == number, 1)
        keep[number] = ndimage.distance_transform_edt(piece, spacing).max() >= THICK_MM
    return keep[labels]
