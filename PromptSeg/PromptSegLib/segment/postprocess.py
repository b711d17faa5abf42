"""Cleaning of one structure's mask: what cannot be part of it is taken away."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_SHARES = {"substantial": 0.08, "main": 0.3}
"""Least share of the largest component's size that another must have to be kept."""


def clean(
    found: np.ndarray,
    components: str = "substantial",
    seeds: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
) -> np.ndarray:
    """Keep the connected components of ``found`` (N, H, W) bool that belong to the structure.

    "largest" keeps one; "main" keeps those of at least 0.3 of the largest, "substantial" of 0.08; "all" keeps
    everything. With ``seeds`` (N, H, W) bool, the voxels that the user drew, components that touch them are kept too,
    and "largest" is measured among those. ``confidence`` (N, H, W) weighs voxels: with the logits, a component that is
    surely the structure counts for more than a larger one that is hardly it.
    """
    if components == "all" or not found.any():
        return found
    (box,) = ndimage.find_objects(np.ascontiguousarray(found).view(np.uint8))
    if found[box].size < found.size:
        inside = [None if one is None else one[box] for one in (seeds, confidence)]
        kept = np.zeros_like(found)
        kept[box] = clean(np.ascontiguousarray(found[box]), components, *inside)
        return kept
    labels, count = ndimage.label(found, ndimage.generate_binary_structure(3, 2))
    if count == 1:
        return found
    weights = None if confidence is None else np.maximum(confidence, 0).ravel().astype(np.float32)
    sizes = np.bincount(labels.ravel(), weights, minlength=count + 1)
    sizes[0] = 0
    touched = np.zeros(count + 1, bool)
    if seeds is not None:
        touched[np.unique(labels[seeds & found])] = True
        touched[0] = False
    if components == "largest":
        keep = touched if touched.any() else sizes == sizes.max()
    else:
        reference = sizes[touched].max() if touched.any() else sizes.max()
        keep = touched | (sizes >= _SHARES.get(components, _SHARES["substantial"]) * reference)
    keep[0] = False
    return keep[labels]
