"""How good a prompt is on whole volumes that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..datasets.sample import Sample, stacked
from ..model.backbone import Backbone
from ..progress import ShouldStop, check, never

CHUNK = 8
"""Slices that are encoded together."""
_ONE_PIECE = 0.98


@torch.inference_mode()
def volume_dice(
    backbone: Backbone,
    sample: Sample,
    structure: str,
    tensors: Mapping[str, Tensor],
    every: int = 1,
    should_stop: ShouldStop = never,
) -> float:
    """Dice of one structure in a whole volume on the working grid, or in every ``every``-th of its slices, before
    post-processing. Raises ``Stopped``."""
    prompt = {k: v.to(backbone.device, backbone.dtype) for k, v in tensors.items()}
    picked = np.arange(0, len(sample.grey), every)
    value = sample.structures.index(structure) + 1
    overlap = total = 0.0
    for start in range(0, len(picked), CHUNK):
        check(should_stop)
        chosen = picked[start : start + CHUNK]
        encoded = backbone.net.encode(torch.from_numpy(stacked(sample, chosen)).to(backbone.device, backbone.dtype))
        check(should_stop)
        found = backbone.net.decode(encoded, prompt) > 0
        there = torch.from_numpy(np.asarray(sample.labels[chosen]) == value).to(found.device)
        overlap += float((found & there).sum())
        total += float(found.sum() + there.sum())
    return 2 * overlap / total if total else float("nan")


def components_of(samples: Sequence[Sample], structure: str) -> str:
    """What to keep of a mask of this structure (:func:`PromptSegLib.segment.postprocess.clean`): the largest piece
    alone where every labelled volume has one piece."""
    for sample in samples:
        mask = np.asarray(sample.labels) == sample.structures.index(structure) + 1
        pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        if len(sizes) and sizes.max() < _ONE_PIECE * sizes.sum():
            return "substantial"
    return "largest"
