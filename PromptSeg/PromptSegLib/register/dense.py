"""The local deformation: coupled convex search over many displacements, then Adam on the control grid.

Both images lie on one frame, the second already moved affinely. The search is Heinrich, Papiez, Schnabel and Handels,
"Non-parametric discrete registration with convex optimisation" (WBIR 2014), as in Siebert, Hansen and Heinrich, "Fast
3D registration with accurate optimisation and little learning for Learn2Reg 2021", which also has the second step; the
self-similarity channels are Heinrich et al., "MIND: modality independent neighbourhood descriptor" (MedIA 2012), of six
neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..progress import ShouldStop, check, never
from .sampling import blurred, boxed, enlarged, enlarging

REACH = 5
"""Voxels that anything may be displaced along each axis."""
COUPLING = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
COUPLING_SCALE = 0.05
STEPS, RATE, SMOOTHNESS = 80, 0.25, 0.03
GREY_WEIGHT, WIDE_WEIGHT, SIMILARITY_WEIGHT = 2.0, 2.0, 0.4


@dataclass(frozen=True)
class Weights:
    """Of the squared differences of soft-tissue grey, of the wide grey curve and of self-similarity."""

    soft: float = GREY_WEIGHT
    wide: float = WIDE_WEIGHT
    similarity: float = SIMILARITY_WEIGHT


def channels(soft: Tensor, wide: Tensor, weights: Weights | None = None) -> Tensor:
    """What is compared, (8, S, A, R): two grey curves (S, A, R) 0..1 and six self-similarity maps, each times the root
    of its weight."""
    w = weights or Weights()
    grey = blurred(torch.stack([soft, wide]), 0.4)
    scale = torch.tensor([w.soft, w.wide], device=soft.device).sqrt()[:, None, None, None]
    return torch.cat([grey * scale, self_similarity(soft) * w.similarity**0.5])


def self_similarity(image: Tensor) -> Tensor:
    """(6, S, A, R) 0..1: how like each of six neighbourhoods is to that of the voxel itself."""
    found = []
    for axis in range(3):
        for step in (-1, 1):
            moved = torch.roll(image, step, axis)
            edge = 0 if step == 1 else image.shape[axis] - 1
            moved.select(axis, edge).copy_(image.select(axis, edge))
            found.append((image - moved) ** 2)
    distance = boxed(torch.stack(found))
    noise = distance.mean(0, keepdim=True)
    noise = noise.clamp(min=0.001 * float(noise.mean()) + 1e-8, max=1000 * float(noise.mean()) + 1e-6)
    return torch.exp(-(distance - distance.amin(0, keepdim=True)) / noise)


def _smoothed(values: Tensor) -> Tensor:
    """Means of 3 x 3 x 3 neighbours of (1, 1, S, A, R), of those that there are."""
    if min(values.shape[2:]) >= 3:
        return F.avg_pool3d(values, 3, 1, 1, count_include_pad=False)
    around = [1] * 6  # torch refuses maps smaller than the kernel
    return F.avg_pool3d(F.pad(values, around), 3, 1) / F.avg_pool3d(F.pad(torch.ones_like(values), around), 3, 1)


def convex_search(
    fixed: Tensor,
    moving: Tensor,
    valid: Tensor,
    seen: Tensor,
    reach: int = REACH,
    should_stop: ShouldStop = never,
    on_share: Callable[[float], None] | None = None,
) -> Tensor:
    """Displacements in voxels on blocks of 2 x 2 x 2: (3, s, a, r) along S, A, R.

    ``fixed`` and ``moving`` are channels (C, S, A, R) of even size; ``valid`` and ``seen`` (S, A, R) 0..1 say where the
    one and the other image are known: elsewhere nothing is preferred.
    """
    count, side = 2 * reach + 1, tuple(n // 2 for n in fixed.shape[1:])
    padded = F.pad(moving[None], [reach] * 6, mode="replicate")[0]
    known = F.pad(seen[None], [reach] * 6)[0]
    s, a, r = fixed.shape[1:]
    at_rest = ((fixed - moving) ** 2).sum(0)
    weight = valid * seen
    usual = float((at_rest * weight).sum() / weight.sum().clamp(min=1))
    cost = torch.empty((count**3, *side), dtype=torch.float32, device=fixed.device)
    total, one = torch.empty_like(fixed[0]), torch.empty_like(fixed[0])
    for n in range(count**3):
        z, y, x = n // count**2, n // count % count, n % count
        if n % count == 0:
            check(should_stop)
            if on_share is not None:
                on_share(n / count**3)
        box = slice(z, z + s), slice(y, y + a), slice(x, x + r)
        total.fill_(-usual)
        for own, other in zip(fixed, padded, strict=True):  # one channel after the other stays in the cache
            torch.sub(own, other[box], out=one)
            total.addcmul_(one, one)
        total.mul_(valid).mul_(known[box])
        pooled = F.avg_pool3d(total[None, None], 2)
        cost[n] = _smoothed(pooled)[0, 0]
    line = torch.arange(-reach, reach + 1, dtype=torch.float32, device=fixed.device)
    moves = torch.stack(torch.meshgrid(line, line, line, indexing="ij")).reshape(3, -1)

    flat = cost.reshape(count**3, -1)
    field = boxed(moves[:, flat.argmin(0)].reshape(3, *side))
    for strength in COUPLING:
        check(should_stop)
        best = torch.empty(flat.shape[1], dtype=torch.long, device=fixed.device)
        at = field.reshape(3, -1)
        for first in range(0, flat.shape[1], 8192):
            piece = slice(first, first + 8192)
            # |move - at|^2 without the term that all moves share.
            distance = (moves**2).sum(0)[:, None] - 2 * moves.T @ at[:, piece]
            best[piece] = (flat[:, piece] + COUPLING_SCALE * strength * distance).argmin(0)
        field = boxed(moves[:, best].reshape(3, *side))
    return field


def refined(
    fixed: Tensor,
    moving: Tensor,
    valid: Tensor,
    seen: Tensor,
    field: Tensor,
    steps: int = STEPS,
    should_stop: ShouldStop = never,
    on_share: Callable[[float], None] | None = None,
) -> Tensor:
    """``field`` of :func:`convex_search` after Adam on squared differences and diffusion: again in voxels, on blocks.

    No gradient goes through an image, and enlarging is a product of matrices: both are the same on each run on a GPU.
    """
    shape = fixed.shape[1:]
    weights = [enlarging(n, c, fixed.device) for n, c in zip(shape, field.shape[1:], strict=True)]
    size = torch.tensor(shape, dtype=torch.float32, device=fixed.device)
    lines = [torch.arange(n, dtype=torch.float32, device=fixed.device) for n in shape]
    rest = torch.stack(torch.meshgrid(*lines, indexing="ij"))
    image = torch.cat([moving, seen[None]])[None]
    with torch.enable_grad():
        values = field.detach().clone().requires_grad_(True)
        # Adam in five lines: importing torch.optim takes longer than all of its steps here.
        first, second = torch.zeros_like(field), torch.zeros_like(field)
        for step in range(steps):
            check(should_stop)
            smooth = boxed(values, 2)
            part = slice(step % 2, None, 2)  # every other voxel, in turn
            where = rest[..., part] + enlarged(smooth, [*weights[:2], weights[2][part]])
            index = (2 * where.permute(1, 2, 3, 0) / (size - 1) - 1).flip(-1)
            found = F.grid_sample(image, index[None], padding_mode="border", align_corners=True)[0]
            known = valid[..., part] * found[-1].detach()
            apart = ((found[:-1] - fixed[..., part]) ** 2).sum(0)
            difference = (apart * known).sum() / valid[..., part].sum().clamp(min=1)
            bending = sum((smooth.diff(dim=axis) ** 2).mean() for axis in (1, 2, 3))
            loss = difference + SMOOTHNESS * bending
            (slope,) = torch.autograd.grad(loss, values)
            first.mul_(0.9).add_(slope, alpha=0.1)
            second.mul_(0.999).addcmul_(slope, slope, value=0.001)
            spread = (second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            values.data.sub_(RATE * first / (1 - 0.9 ** (step + 1)) / spread)
            if on_share is not None:
                on_share((step + 1) / steps)
        return boxed(values.detach(), 2)
