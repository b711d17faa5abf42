"""Attention in bf16 on a CPU, without looking for the largest score of each query.

Finding it takes two thirds of torch's softmax there. The exponentials of scores as they are have the same quotients,
and are kept undivided: what is divided is the result, which has fewer numbers. Where they leave the range that is
safe, the usual softmax is computed instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SUMS = (1e-30, 1e30)
"""Between these a query's sum of exponentials is taken to be right; scores of -69 and 69 are beyond."""


def bf16_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
    """softmax(scale q k^T + bias) v; ``q`` (B, heads, N, d), ``k`` and ``v`` (B, heads, M, d), ``bias`` (1 or B, heads,
    N, M), differentiable once."""
    if torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v, bias)):
        return _Attention.apply(q, k, v, bias, scale)
    return _forward(_flat(q), _flat(k), _flat(v), bias, scale)[0].view_as(q)


def _flat(t: Tensor) -> Tensor:
    """With batch and heads as one, contiguous: products of strided maps take twice as long."""
    return t.reshape(-1, *t.shape[2:]).contiguous()


def _scores(q: Tensor, k: Tensor, bias: Tensor, scale: float) -> Tensor:
    heads, n, m = bias.shape[1:]
    scores = bias.expand(len(q) // heads, -1, -1, -1).reshape(-1, n, m)
    if scores.data_ptr() == bias.data_ptr():  # a batch of one: what is added to must not be the bias
        scores = scores.clone()
    return scores.baddbmm_(q, k.transpose(1, 2), alpha=scale)


def _forward(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """The result, the weights before they are divided, and what divides them."""
    weights = _scores(q, k, bias, scale).exp_()
    total = weights.sum(-1, keepdim=True)
    low, high = total.aminmax()
    if not (low > SUMS[0] and high < SUMS[1]):
        weights = _scores(q, k, bias, scale).softmax(-1)
        total = torch.ones_like(total)
    return torch.bmm(weights, v).div_(total), weights, total


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
        flat = _flat(q), _flat(k), _flat(v)
        y, weights, total = _forward(flat[0], flat[1], flat[2], bias, scale)
        ctx.save_for_backward(*flat, y, weights, total)
        ctx.scale, ctx.shapes = scale, (q.shape, k.shape, v.shape, bias.shape)
        return y.view_as(q)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, y, weights, total = ctx.saved_tensors
        g = _flat(gradient) / total
        along = (g * y).sum(-1, keepdim=True)
        # As one more channel, what a softmax takes from each row is part of the product.
        product = torch.bmm(torch.cat([g, -along], -1), torch.cat([v, torch.ones_like(v[..., :1])], -1).transpose(1, 2))
        to_scores = product.mul_(weights)
        shapes = ctx.shapes
        to_q = torch.bmm(to_scores, k).mul_(ctx.scale).view(shapes[0]) if ctx.needs_input_grad[0] else None
        to_k = (
            torch.bmm(to_scores.transpose(1, 2), q).mul_(ctx.scale).view(shapes[1]) if ctx.needs_input_grad[1] else None
        )
        to_v = torch.bmm(weights.transpose(1, 2), g).view(shapes[2]) if ctx.needs_input_grad[2] else None
        to_bias = None
        if ctx.needs_input_grad[3]:
            to_bias = to_scores.view(-1, *shapes[3][1:]).sum_to_size(shapes[3])
        return to_q, to_k, to_v, to_bias, None
