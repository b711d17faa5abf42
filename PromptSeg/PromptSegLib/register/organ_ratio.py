"""What known organs tell of a structure that was taught in another patient: which of them it lies in, and which not.

The overview network labels both CTs. In the teacher's, the shares of each label inside the finished mask and around it
are counted; their ratio is what that label tells of a voxel in the patient, as grey values do
(:func:`PromptSegLib.register.log_odds.grey_ratio`). A stomach is never in what the network calls liver; a lesion of the
liver is nowhere else; where the network knows the structure itself, its own label says so.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

RING = 5
"""Voxels of 3 mm around the mask that count as its surroundings."""
LIMIT = 3.0
"""Of a label's log-odds: the network errs, too."""
FEW = 20.0
"""Voxels that are added to each label, shared out to inside and around as all voxels are: of a label that hardly shows,
little is known."""


def organ_ratios(share: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Log-odds (count + 1) float32 that each label 0 (none known) to ``count`` gives a voxel, from a teacher's mask
    ``share`` (S, A, R) 0..1 and its ``labels`` (S, A, R), 0 for labels that are not shown near it."""
    found = ndimage.find_objects((share > 0.1).astype(np.uint8))
    if not found:
        return np.zeros(count + 1, np.float32)
    box = tuple(slice(max(0, s.start - RING), s.stop + RING) for s in found[0])
    share, labels = share[box], labels[box]
    near = ndimage.binary_dilation(share > 0.1, iterations=RING)
    inside = np.bincount(labels[near], share[near], count + 1)
    around = np.bincount(labels[near], 1 - share[near], count + 1)
    own, others = float(inside.sum()), max(float(around.sum()), 1.0)
    few = FEW / (own + others)
    ratio = np.log((inside + few * own) / own) - np.log((around + few * others) / others)
    return np.clip(ratio, -LIMIT, LIMIT).astype(np.float32)


def labelled(share: np.ndarray, labels: np.ndarray) -> float:
    """How far labels make up the structure by themselves: the Dice, 0 to 1, of a teacher's mask ``share`` (S, A, R) and
    all labels of which more than half lies within it."""
    mask = share > 0.5
    inside, whole = np.bincount(labels[mask], minlength=256), np.bincount(labels.ravel(), minlength=256)
    own = np.flatnonzero(2 * inside > whole)
    own = own[own > 0]
    return float(2 * inside[own].sum() / max(1, whole[own].sum() + np.count_nonzero(mask)))
