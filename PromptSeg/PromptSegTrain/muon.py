"""Muon: a step that moves all directions of a weight matrix alike, and AdamW for what is no matrix.

After K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the step's size matched
to AdamW's as in arXiv 2502.16982, so that both take the same learning rate and weight decay.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from PromptSegLib.model.precision import fast_dtype

MOMENTUM = 0.95
ITERATIONS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)
_LIKE_ADAMW = 0.2
"""Root mean square of what AdamW's step usually is, of the learning rate."""


class _Piece(NamedTuple):
    weight: Tensor
    update: Tensor
    lr: float
    weight_decay: float


class MuonAdamW(torch.optim.AdamW):
    """Groups that say ``"muon": True`` hold weights (outputs, ...) that are taken for matrices (outputs, rest); with
    ``"parts"`` N, for N matrices one below the other. All other groups are AdamW's."""

    def __init__(self, groups: Iterable[dict[str, Any]], **options: Any) -> None:
        super().__init__(groups, **options)
        self._matrices = [group for group in self.param_groups if group.get("muon")]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step. The gradients of matrices are as they were before afterwards."""
        held = [(p, p.grad) for group in self._matrices for p in group["params"] if p.grad is not None]
        self._turn()
        for p, _ in held:
            p.grad = None  # so that AdamW passes it over
        try:
            return super().step(closure)
        finally:
            for p, grad in held:
                p.grad = grad

    def _turn(self) -> None:
        """Matrices of one shape are orthogonalised together: most are small."""
        alike: dict[tuple[int, ...], list[_Piece]] = defaultdict(list)
        for group in self._matrices:
            for p in group["params"]:
                if p.grad is None:
                    continue
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 1 - MOMENTUM)
                ahead = p.grad.lerp(momentum, MOMENTUM)  # Nesterov's
                parts = group.get("parts", 1)
                for weight, update in zip(p.chunk(parts), ahead.chunk(parts), strict=True):
                    piece = _Piece(weight, update.flatten(1), group["lr"], group["weight_decay"])
                    alike[tuple(piece.update.shape)].append(piece)
        for shape, pieces in alike.items():
            size = _LIKE_ADAMW * math.sqrt(max(shape))
            for piece, step in zip(pieces, orthogonalised(torch.stack([p.update for p in pieces])), strict=True):
                piece.weight.mul_(1 - piece.lr * piece.weight_decay)
                piece.weight.sub_(step.view_as(piece.weight), alpha=piece.lr * size)


def orthogonalised(matrices: Tensor) -> Tensor:
    """For each of ``matrices`` (..., a, b) roughly the nearest one whose singular values are all 1, the same shape.

    Newton-Schulz iterations of an odd quintic: singular values end between 0.6 and 1.3, but for those that are hardly
    there. In bf16 where the hardware has it.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).to(fast_dtype(matrices.device))
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    a, b, c = _QUINTIC
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)
