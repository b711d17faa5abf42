"""Images at points in the patient: the few operations on tensors that all steps of registration share.

Positions are (..., 3) along S, A, R in mm. A field is (3, S, A, R): one vector a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """Voxels along the patient's axes: ``shape`` (S, A, R), ``origin`` of the first along S, A, R and ``spacing`` in
    mm."""

    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    spacing: float

    def points(self, device: torch.device | str = "cpu") -> Tensor:
        """Where the voxels' centres lie, (S, A, R, 3) float32."""
        lines = [
            o + self.spacing * torch.arange(n, dtype=torch.float32, device=device)
            for o, n in zip(self.origin, self.shape, strict=True)
        ]
        return torch.stack(torch.meshgrid(*lines, indexing="ij"), -1)

    def normalised(self, points: Tensor) -> Tensor:
        """Positions as ``grid_sample`` wants them."""
        size = torch.tensor(self.shape, dtype=torch.float32, device=points.device)
        index = (points - torch.tensor(self.origin, dtype=torch.float32, device=points.device)) / self.spacing
        return (2 * index / (size - 1).clamp(min=1) - 1).flip(-1)

    def coarser(self) -> Frame:
        """Blocks of 2 x 2 x 2."""
        s, a, r = (max(1, n // 2) for n in self.shape)
        x, y, z = (o + self.spacing / 2 for o in self.origin)
        return Frame((s, a, r), (x, y, z), 2 * self.spacing)

    def around(self, low: Sequence[float], high: Sequence[float], multiple: int = 1) -> Frame:
        """Voxels of the same lattice that cover ``low`` to ``high`` (S, A, R in mm), of a size that is a multiple."""
        first = [int(np.floor((v - o) / self.spacing)) for v, o in zip(low, self.origin, strict=True)]
        last = [int(np.ceil((v - o) / self.spacing)) for v, o in zip(high, self.origin, strict=True)]
        s, a, r = (-(-max(1, b - f + 1) // multiple) * multiple for f, b in zip(first, last, strict=True))
        x, y, z = (o + f * self.spacing for o, f in zip(self.origin, first, strict=True))
        return Frame((s, a, r), (x, y, z), self.spacing)


def sample(image: Tensor, frame: Frame, points: Tensor) -> Tensor:
    """Channels (C, S, A, R) on ``frame`` at ``points`` (..., 3): (C, ...), 0 outside; linear."""
    where = frame.normalised(points)
    flat = where.reshape(1, 1, 1, -1, 3)
    found = F.grid_sample(image[None], flat, mode="bilinear", padding_mode="zeros", align_corners=True)
    return found.reshape(image.shape[0], *points.shape[:-1])


def halved(image: Tensor) -> Tensor:
    """Means of blocks of 2 x 2 x 2, (C, S, A, R); an odd last plane is left out."""
    padded = [max(2, n) - n for n in image.shape[1:]]
    if any(padded):
        image = F.pad(image[None], [0, padded[2], 0, padded[1], 0, padded[0]], mode="replicate")[0]
    return F.avg_pool3d(image[None], 2)[0]


def boxed(image: Tensor, times: int = 1) -> Tensor:
    """Means of 3 x 3 x 3 neighbours, (C, S, A, R); edges are repeated."""
    for _ in range(times):
        for axis in (1, 2, 3):  # one axis after the other: a third of the work
            n = image.shape[axis]
            first, last = image.narrow(axis, 0, 1), image.narrow(axis, n - 1, 1)
            padded = torch.cat([first, image, last], axis)
            image = (padded.narrow(axis, 0, n) + padded.narrow(axis, 1, n) + padded.narrow(axis, 2, n)) / 3
    return image


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian of ``sigma`` voxels, (C, S, A, R); edges are repeated."""
    radius = max(1, int(np.ceil(2.5 * sigma)))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=image.device) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(image.dtype)
    for axis in (1, 2, 3):
        n = image.shape[axis]
        first = image.narrow(axis, 0, 1).repeat_interleave(radius, axis)
        last = image.narrow(axis, n - 1, 1).repeat_interleave(radius, axis)
        padded = torch.cat([first, image, last], axis)
        image = sum(kernel[i] * padded.narrow(axis, i, n) for i in range(2 * radius + 1))  # type: ignore[assignment]
    return image


def enlarging(size: int, coarse: int, device: torch.device | str = "cpu") -> Tensor:
    """(size, coarse) linear weights from means of blocks of two voxels to voxels: a matrix, so that its gradient is
    the same on each run on a GPU."""
    where = ((torch.arange(size, dtype=torch.float32, device=device) - 0.5) / 2).clamp(0, coarse - 1)
    return (1 - (where[:, None] - torch.arange(coarse, dtype=torch.float32, device=device)).abs()).clamp(min=0)


def enlarged(field: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """(C, s, a, r) by one matrix of :func:`enlarging` an axis: (C, S, A, R)."""
    out = torch.einsum("csar,Rr->csaR", field, weights[2])
    out = torch.einsum("csar,Aa->csAr", out, weights[1])
    return torch.einsum("csar,Ss->cSar", out, weights[0])


def gradients(image: Tensor, spacing: float) -> Tensor:
    """Central differences of one channel (S, A, R) along S, A, R, a mm: (3, S, A, R)."""
    out = []
    for axis in range(3):
        n = image.shape[axis]
        if n < 2:
            out.append(torch.zeros_like(image))
            continue
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, n - 1, 1)
        padded = torch.cat([first, image, last], axis)
        out.append((padded.narrow(axis, 2, n) - padded.narrow(axis, 0, n)) / (2 * spacing))
    return torch.stack(out)


def correlation(a: Tensor, b: Tensor, weight: Tensor) -> float:
    """Of two maps with weights, -1 to 1."""
    total = weight.sum().clamp(min=1)
    da, db = a - (weight * a).sum() / total, b - (weight * b).sum() / total
    spread = ((weight * da * da).sum() * (weight * db * db).sum()).sqrt()
    return float((weight * da * db).sum() / spread.clamp(min=1e-9))
