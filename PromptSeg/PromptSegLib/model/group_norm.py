"""Group normalisation of bf16 maps on a CPU with a backward pass of its own.

That of torch takes ten times as long as its forward pass there. This one is sums over pixels, and one multiple of the
gradient and one of the map for each channel: a third of the time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def normalised(layer: nn.Module, x: Tensor) -> Tensor:
    """``layer``, of any kind, of a map (B, C, H, W) that is channels-last."""
    if not isinstance(layer, nn.GroupNorm) or x.dtype != torch.bfloat16 or x.device.type != "cpu":
        return layer(x)
    if not torch.is_grad_enabled() or not (x.requires_grad or layer.weight.requires_grad):
        return layer(x)
    return _GroupNorm.apply(x, layer.weight, layer.bias, layer.num_groups, layer.eps)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        batch, channels, height, width = x.shape
        y, mean, scale = torch.native_group_norm(x, weight, bias, batch, channels, height * width, groups, eps)
        ctx.save_for_backward(x, weight, mean, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        channels, groups = x.shape[1], mean.shape[1]
        x, g = x.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
        plain = g.sum((1, 2), dtype=torch.float32)  # (B, C)
        times = (g * x).sum((1, 2), dtype=torch.float32)
        mean, scale = mean.float(), scale.float()

        def each(of_group: Tensor) -> Tensor:
            return of_group.repeat_interleave(channels // groups, 1)

        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            wide, pixels = weight.float(), x[0].numel() // groups
            of_plain, of_times = ((s * wide).unflatten(1, (groups, -1)).sum(-1) for s in (plain, times))
            slope = (of_plain * mean - of_times) * scale**3 / pixels
            offset = -slope * mean - of_plain * scale / pixels
            own, slope, offset = (t.to(x.dtype)[:, None, None] for t in (each(scale) * wide, each(slope), each(offset)))
            to_x = torch.addcmul(offset, x, slope).addcmul_(g, own).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            to_weight = ((times - plain * each(mean)) * each(scale)).sum(0).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            to_bias = plain.sum(0).to(weight.dtype)
        return to_x, to_weight, to_bias, None, None
