"""Cleaning of one structure's mask: what cannot be part of it is taken away."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_MOST_COMPONENTS_SHARE = 0.08


def clean(found: np.ndarray, components: str = "substantial", seeds: np.ndarray | None = None) -> np.ndarray:
    """Keep the connected components of ``found`` (N, H, W) bool that belong to the structure.

    "largest" keeps one; "substantial" keeps those of at least a twelfth of the largest; "all" keeps everything. With
    ``seeds`` (N, H, W) bool, the voxels that the user drew, components that touch them are kept too, and "largest" is
    measured among those.
    """
    if components == "all" or not found.any():
        return found
    labels, count = ndimage.label(found, ndimage.generate_binary_structure(3, 2))
    if count == 1:
        return found
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    touched = np.zeros(count + 1, bool)
    if seeds is not None:
        touched[np.unique(labels[seeds & found])] = True
        touched[0] = False
    if components == "largest":
        keep = touched if touched.any() else sizes == sizes.max()
    else:
        reference = sizes[touched].max() if touched.any() else sizes.max()
        keep = touched | (sizes >= _MOST_COMPONENTS_SHARE * reference)
    keep[0] = False
    return keep[labels]
