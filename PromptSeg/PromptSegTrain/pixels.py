"""Which pixels the dense loss looks at: a quarter of each slice, in which small structures keep all of theirs.

One pixel in four leaves six of an adrenal gland's 25, too few for a Dice to learn from. What is small, and what is
close to it, is a stratum of its own, and each pixel counts for as many as were there to choose from, so that sums are
those of the whole slice (stratified sampling).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SMALL = 400
"""Pixels in a slice, 16 cm2 on the working grid, below which a structure is small there."""
NEAR = 2
"""Pixels around a small structure that belong to its stratum: where it is mistaken for something else."""


def sample_pixels(labels: Tensor, share: int = 4) -> tuple[Tensor, Tensor]:
    """Places and weights of one pixel in ``share`` of each slice: both (N, H * W // share), places in flattened maps.

    ``labels`` (N, H, W) are numbers of structures, 0 for none. A weight is how many pixels this one stands for. Random
    as torch's generator says.
    """
    slices, pixels = len(labels), labels[0].numel()
    count = pixels // share
    flat = labels.flatten(1)
    counts = torch.zeros(slices, int(flat.max()) + 1, device=labels.device)
    counts = counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=counts.dtype))
    small = ((flat > 0) & (counts.gather(1, flat) < SMALL)).view_as(labels)
    around = functional.max_pool2d(small[:, None].float(), 2 * NEAR + 1, 1, NEAR).flatten(1) > 0
    there = around.sum(1, keepdim=True)
    taken = torch.maximum(there.clamp_max(count // 2), count - (pixels - there))
    # The stratum's pixels come first, both strata in one random order: the same in all slices, however many processes
    # share them out. Counting puts them there; sorting each slice took as long as an attention block.
    shuffled = torch.rand(pixels, device=labels.device).argsort()
    near = around[:, shuffled]
    before = near.cumsum(1, dtype=torch.int32)
    rank = torch.arange(pixels, dtype=torch.int32, device=labels.device)
    target = torch.where(near, before - 1, there + rank - before)
    order = torch.empty_like(flat).scatter_(1, target.long(), shuffled.expand(slices, -1))
    at = torch.arange(count, device=labels.device)[None]
    first = at < taken
    places = order.gather(1, torch.where(first, at, there + at - taken))
    weights = torch.where(first, there / taken.clamp_min(1), (pixels - there) / (count - taken).clamp_min(1))
    return places, weights
