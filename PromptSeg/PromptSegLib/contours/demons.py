"""Registration of many small pictures at once.

Symmetric-forces demons (Wang et al. 2005, doi:10.1088/0031-9155/50/12/011; Vercauteren et al. 2007,
doi:10.1007/978-3-540-75759-7_39) on a pyramid, for all pairs of neighbouring slices together: a slice is too small for
the time that SimpleITK's filter, of which this is the arithmetic, takes to begin with it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = (4, 2, 1)
ITERATIONS = (30, 30, 30)
FIELD_SIGMA, UPDATE_SIGMA = 0.6, 0.5
"""Displacements and their changes are smoothed by these standard deviations in pixels, times the level's root."""
MIN_STRENGTH = 1e-3
"""Slopes and differences whose squares, in grey values, add up to less than this are rounding."""
STEP = 0.5
"""Pixels of its level that a displacement changes by at most in an iteration."""


def displacements(fixed: Tensor, moving: Tensor, finest: int = 1) -> Tensor:
    """(B, 2, H, W) float32: how many pixels away, along rows and columns, what ``fixed`` shows is in ``moving``.

    Both are grey pictures (B, H, W) float32 on one device. ``finest`` is the last of :data:`LEVELS` to be used.
    """
    height, width = fixed.shape[1:]
    field = fixed.new_zeros((len(fixed), 2, height, width))
    for level, iterations in zip(LEVELS, ITERATIONS, strict=True):
        if level < finest:
            break
        shrink = [max(1, min(level, n // 4)) for n in (height, width)]
        pair = [functional.avg_pool2d(p[:, None], shrink) if level > 1 else p[:, None] for p in (fixed, moving)]
        scale = torch.tensor(shrink, dtype=field.dtype, device=field.device)[:, None, None]
        field = _resized(field, pair[0].shape[2:]) / scale
        field = _level(pair[0], pair[1], field, iterations, level**0.5) * scale
    return _resized(field, (height, width))


def _level(fixed: Tensor, moving: Tensor, field: Tensor, iterations: int, root: float) -> Tensor:
    """One level: pictures (B, 1, H, W), the field in its pixels."""
    slope = _slope(fixed)
    place = _place(field)
    for _ in range(iterations):
        warped = warp(moving, field, place)
        difference = warped - fixed
        force = slope + _slope(warped)
        strength = (force * force).sum(1, keepdim=True) + difference * difference / STEP**2
        update = force * (-2 * difference / strength.clamp_min(MIN_STRENGTH))
        field = _smooth(field + _smooth(update, UPDATE_SIGMA * root), FIELD_SIGMA * root)
    return field


def warp(pictures: Tensor, field: Tensor, place: Tensor | None = None) -> Tensor:
    """``pictures`` (B, C, H, W) at places that ``field`` (B, 2, H, W) points to, bilinear; the border goes on."""
    place = _place(field) if place is None else place
    ends = [max(1, n - 1) for n in field.shape[2:]]
    where = torch.stack(
        [(place[1] + field[:, 1]) * (2 / ends[1]) - 1, (place[0] + field[:, 0]) * (2 / ends[0]) - 1], -1
    )
    return functional.grid_sample(pictures, where, "bilinear", "border", align_corners=True)


def _place(field: Tensor) -> Tensor:
    rows, columns = (torch.arange(n, dtype=field.dtype, device=field.device) for n in field.shape[2:])
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))


def _slope(pictures: Tensor) -> Tensor:
    """(B, 2, H, W): central differences along rows and columns, nothing at the border."""
    out = pictures.new_zeros((len(pictures), 2, *pictures.shape[2:]))
    out[:, 0, 1:-1] = (pictures[:, 0, 2:] - pictures[:, 0, :-2]) / 2
    out[:, 1, :, 1:-1] = (pictures[:, 0, :, 2:] - pictures[:, 0, :, :-2]) / 2
    return out


def _smooth(field: Tensor, sigma: float) -> Tensor:
    """Gaussian, separable; the border goes on."""
    radius = max(1, math.ceil(2.5 * sigma) - 1)
    weights = [math.exp(-0.5 * (n / sigma) ** 2) for n in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    padded = functional.pad(field, (radius,) * 4, mode="replicate")
    for axis in (2, 3):
        length = padded.shape[axis] - 2 * radius
        out = padded.narrow(axis, radius, length) * (weights[0] / total)
        for n in range(1, radius + 1):
            pair = padded.narrow(axis, radius - n, length) + padded.narrow(axis, radius + n, length)
            out.add_(pair, alpha=weights[n] / total)
        padded = out
    return padded


def _resized(field: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(field.shape[2:]) == tuple(size):
        return field
    return functional.interpolate(field, size=tuple(size), mode="bilinear", align_corners=False)
