"""What tuning learns from: the drawn slices as the network sees them, with what is known about each pixel.

Slices are encoded once, as they are and slightly varied; all tuning steps and all folds share those features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..annotations import IGNORE, SliceAnnotations
from ..contours.crop import Box, crop_of
from ..errors import AnnotationError
from ..model.backbone import Backbone
from ..model.punet import Encoded
from ..progress import ShouldStop, check
from ..volumes.preprocess import AIR_HU, WorkingVolume, grey_from_hu


@dataclass(frozen=True)
class Drawing:
    """One volume as the network sees it, and what was drawn in it; ``fine`` is the grid on which contours are followed
    if that is another. ``remembered`` slices of an earlier patient are learned from, and not left out: no contours run
    between them, and how they are found says little of the volume at hand. ``corrects`` says that the slices correct
    what a prompt found, which looks at whole slices."""

    work: WorkingVolume
    annotations: SliceAnnotations
    fine: WorkingVolume | None = None
    remembered: bool = False
    corrects: bool = False

    @cached_property
    def crop(self) -> Box:
        """The part of the working grid that is looked at."""
        if self.corrects:
            return slice(0, self.work.size[0]), slice(0, self.work.size[1])
        return crop_of(self.work, self.annotations)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of that part."""
        return self.crop[0].stop - self.crop[0].start, self.crop[1].stop - self.crop[1].start


@dataclass
class Examples:
    """``encoded[v]``: variant v of all slices (0 is unvaried); ``target`` and ``valid`` are (variants, slices, H, W)
    float32.

    ``places`` are (number of the drawing, native slice), ``shown`` tells which of them hold the structure.
    """

    places: list[tuple[int, int]]
    shown: list[bool]
    encoded: list[Encoded]
    target: Tensor
    valid: Tensor

    def inside(self, chosen: Sequence[int]) -> Tensor:
        """Share of each pixel drawn as the structure, (slices, H, W)."""
        return (self.target[0] * self.valid[0])[list(chosen)]

    def outside(self, chosen: Sequence[int]) -> Tensor:
        """Share of each pixel drawn or known as background, (slices, H, W)."""
        return ((1 - self.target[0]) * self.valid[0])[list(chosen)]


@torch.no_grad()
def make_examples(
    backbone: Backbone,
    drawings: Sequence[Drawing],
    window: tuple[float, float],
    *,
    variants: int,
    seed: int,
    should_stop: ShouldStop,
    preview: dict[bytes, Encoded] | None = None,
) -> Examples:
    """Encode the slices that say anything, of all drawings; smaller ones are padded with air, which is not labelled.

    ``preview`` holds what a run without variants, and so without a step, encoded: the next run takes it from there.
    Raises :class:`AnnotationError` if nothing of the structure is left in them.
    """
    size = (max(d.size[0] for d in drawings), max(d.size[1] for d in drawings))
    air = float(grey_from_hu(np.array(max(window[0], AIR_HU)))) / 127.5 - 1
    places: list[tuple[int, int]] = []
    stacks: list[np.ndarray] = []
    targets, valids = [], []
    for number, drawing in enumerate(drawings):
        work, used, crop = drawing.work, drawing.annotations.used(), drawing.crop
        missing = [(0, whole - part) for whole, part in zip(size, drawing.size, strict=True)]
        images = work.inputs(used, window)[:, crop[0], crop[1]]
        stacks.append(np.pad(images, [(0, 0), *missing, (0, 0)], constant_values=air))
        for k in used:
            check(should_stop)
            labelled = drawing.annotations.slices[k].labelled()
            share = work.mask_to_working(labelled == 1)[crop]
            known = work.mask_to_working(labelled != IGNORE)[crop]
            targets.append(np.pad(share / np.maximum(known, 1e-3), missing))
            valids.append(np.pad(known > 0.5, missing))
            places.append((number, k))
    target = torch.from_numpy(np.stack(targets)).clamp(0, 1)
    valid = torch.from_numpy(np.stack(valids)).float()
    if float((target * valid).sum()) < 0.5:
        raise AnnotationError(
            "What is drawn is too small to learn from", "draw the structure in more slices, or larger"
        )
    pictures = torch.from_numpy(np.concatenate(stacks))
    generator = torch.Generator().manual_seed(seed)
    encoded, all_targets, all_valids = [], [], []
    for v in range(1 + variants):
        check(should_stop)
        x, t, w = (pictures, target, valid) if v == 0 else vary(pictures, target, valid, generator)
        if v == 0:
            encoded.append(_unvaried(backbone, x, preview, keep=variants == 0))
        else:
            encoded.append(_encode(backbone, x))
        all_targets.append(t)
        all_valids.append(w)
    shown = [bool((target[n] * valid[n]).sum() >= 0.5) for n in range(len(places))]
    place = backbone.device
    return Examples(places, shown, encoded, torch.stack(all_targets).to(place), torch.stack(all_valids).to(place))


def _unvaried(backbone: Backbone, x: Tensor, preview: dict[bytes, Encoded] | None, *, keep: bool) -> Encoded:
    """The slices as they are, encoded once for a preview and the run that follows it; the last preview is kept."""
    if preview is None:
        return _encode(backbone, x)
    key = hashlib.sha256(f"{tuple(x.shape)}".encode() + x.contiguous().numpy().tobytes()).digest()
    found = preview.get(key)
    preview.clear()
    made = _encode(backbone, x) if found is None else found
    if keep:
        preview[key] = made
    return made


def _encode(backbone: Backbone, x: Tensor) -> Encoded:
    return backbone.net.encode(x.to(backbone.device, backbone.dtype))


def vary(images: Tensor, target: Tensor, valid: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Small rotations, scalings and shifts, brightness, contrast and noise: one patient as several.

    ``images`` (n, H, W, C) -1..1, ``target`` and ``valid`` (n, H, W) 0..1; each slice is varied in its own way.
    """
    n, height, width, channels = images.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    angle, zoom = 0.1 * normal(n), torch.exp(0.08 * normal(n))
    cos, sin, ratio = torch.cos(angle) * zoom, torch.sin(angle) * zoom, height / width
    shift = 0.05 * normal(n, 2)
    theta = torch.stack(
        [torch.stack([cos, -sin * ratio, shift[:, 0]], 1), torch.stack([sin / ratio, cos, shift[:, 1]], 1)], 1
    )
    maps = torch.cat([images.permute(0, 3, 1, 2), target[:, None], valid[:, None]], 1)
    grid = functional.affine_grid(theta, [n, 1, height, width], align_corners=False)
    moved = functional.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
    x = moved[:, :channels].permute(0, 2, 3, 1)
    x = x * torch.exp(0.08 * normal(n, 1, 1, 1)) + 0.04 * normal(n, 1, 1, 1) + 0.03 * normal(*x.shape)
    return x.clamp(-1, 1).contiguous(), moved[:, channels].clamp(0, 1), (moved[:, channels + 1] > 0.5).float()
