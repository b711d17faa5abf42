"""The loss of one structure's mask, for pre-training and tuning alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def mask_loss(
    logits: Tensor, target: Tensor, valid: Tensor | None = None, smooth: float = 10.0, balance: float = 0.0
) -> Tensor:
    """Cross-entropy plus soft Dice of each map: (B, H, W) logits, 0..1 targets and optional 0/1 ``valid`` to (B,).

    Compound losses are the most robust choice for organs of all sizes (Ma et al., MedIA 2021). Where ``valid`` is 0
    nothing is learned, neither structure nor background. ``smooth`` (pixels) lets Dice act on empty maps too: there it
    punishes what is wrongly found. ``balance`` raises the weight of structure pixels in the cross-entropy to that
    power of (background pixels / structure pixels): 0 leaves all alike, 1 makes both halves weigh the same.
    """
    valid = torch.ones_like(target) if valid is None else valid.to(target.dtype)
    weight = valid
    if balance:
        positive = (target * valid).sum((1, 2), keepdim=True).clamp_min(1.0)
        ratio = (valid.sum((1, 2), keepdim=True) / positive - 1).clamp_min(1.0) ** balance
        weight = valid * (1 + (ratio - 1) * target)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight
    cross_entropy = cross_entropy.sum((1, 2)) / weight.sum((1, 2)).clamp_min(1.0)
    p = torch.sigmoid(logits) * valid
    overlap = (p * target).sum((1, 2))
    dice = 1 - (2 * overlap + smooth) / (p.sum((1, 2)) + (target * valid).sum((1, 2)) + smooth)
    return cross_entropy + dice


def dice_of(logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Dice of the thresholded maps pooled over all slices; NaN where neither holds the structure."""
    found, there = logits > 0, target > 0.5
    if valid is not None:
        found, there = found & (valid > 0), there & (valid > 0)
    total = found.sum() + there.sum()
    return 2 * (found & there).sum() / total
