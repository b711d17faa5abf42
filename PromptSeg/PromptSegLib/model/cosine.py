"""The score of the cosine head with a backward pass of its own.

Autograd would keep, and pass over, a dozen maps of pixels times tokens in float32; in pre-training that was a third of
a step. Here one such map is kept, in the features' own type, and turned into its gradient in place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def cosine_score(features: Tensor, tokens: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Sums of exp(cosine) over groups of tokens, ``sizes[0]`` tokens in the first, and so on.

    ``features`` (B, P, C), ``tokens`` (B, N, C) of unit length times an inverse temperature; gives (B, P, groups) in
    the features' type, differentiable once. Cosines are bounded, so that the exponential needs no shift.
    """
    return _CosineScore.apply(features, tokens, sizes)


class _CosineScore(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, tokens: Tensor, sizes: tuple[int, ...]) -> Tensor:
        wide = torch.promote_types(features.dtype, torch.float32)
        length = torch.linalg.vector_norm(features, dim=-1, keepdim=True, dtype=wide)
        inverse = length.clamp_min_(1e-4).reciprocal_().to(features.dtype)
        tokens = tokens.to(features.dtype)
        e = torch.bmm(features, tokens.transpose(1, 2)).mul_(inverse).exp_()
        ctx.save_for_backward(features, tokens, inverse, e)
        ctx.sizes = sizes
        return torch.matmul(e, _groups(sizes, e))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, tokens, inverse, e = ctx.saved_tensors
        # A product with zeros and ones repeats a group's weight for its tokens: exact, and faster than to repeat it.
        by_token = torch.matmul(gradient.to(e.dtype) * inverse, _groups(ctx.sizes, e).T).mul_(e)
        to_features = to_tokens = None
        if ctx.needs_input_grad[0]:
            to_features = torch.bmm(by_token, tokens)
            # A cosine does not change with the length of the features.
            along = (to_features * features).sum(-1, keepdim=True).mul_(inverse).mul_(inverse)
            to_features.addcmul_(features, along, value=-1)
        if ctx.needs_input_grad[1]:
            to_tokens = torch.bmm(by_token.transpose(1, 2), features)
        return to_features, to_tokens, None


def _groups(sizes: tuple[int, ...], like: Tensor) -> Tensor:
    """Which token is of which group, (tokens, groups) of zeros and ones."""
    return torch.block_diag(*(torch.ones(n, 1) for n in sizes)).to(like)
