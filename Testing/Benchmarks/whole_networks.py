"""Whole networks taught from the same few slices that a prompt learns from: what prompt tuning is compared with.

A network that stands in a :class:`Backbone` needs ``encode`` and ``decode`` alone, so that what it finds goes the same
way through cropping, cleaning and export as a prompt's masks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from few_slices import Task
from torch import Tensor, nn
from torch.nn import functional

from PromptSegLib.model.backbone import Backbone
from PromptSegLib.model.losses import mask_loss
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.segment.segmenter import WorkingVolumes
from PromptSegLib.tune.examples import vary
from PromptSegTrain.simulate import evenly_spaced


class SmallUNet(nn.Module):
    """A plain 2-D U-Net (Ronneberger et al., arXiv 1505.04597) with four levels and 1.1 million parameters: slices
    (B, H, W, 3) -1..1 to logits (B, H, W)."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], width: int = 24) -> None:
        super().__init__()
        self._shapes = shapes
        widths = [width * 2**n for n in range(4)]
        self.down = nn.ModuleList(_block(a, b) for a, b in zip([3, *widths], widths, strict=False))
        self.up = nn.ModuleList(_block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.out = nn.Conv2d(width, 1, 1)

    def prompt_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the prompts that it is handed, and does not look at."""
        return self._shapes

    def encode(self, images: Tensor) -> Tensor:
        """Nothing is shared between structures."""
        return images

    def decode(self, images: Tensor, prompts: Any) -> Tensor:
        """Logits; there is no prompt."""
        height, width = images.shape[1:3]
        x = images.permute(0, 3, 1, 2).to(self.out.weight.dtype)
        x = functional.pad(x, (0, -width % 8, 0, -height % 8), value=-1.0)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if not level else functional.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2, mode="bilinear"), skip], 1))
        return self.out(x)[:, 0, :height, :width]


def _block(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (before, after):
        layers += [nn.Conv2d(width, after, 3, padding=1), nn.GroupNorm(8, after), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers)


def teach(
    net: nn.Module, dtype: torch.dtype, logits: Callable[[nn.Module, Tensor], Tensor], learned: Sequence[Tensor],
    slices: tuple[Tensor, Tensor], steps: int, rates: Sequence[float],
) -> None:  # fmt: skip
    """Adam with a cosine to a tenth on ``learned`` (groups at ``rates``: the network's parameters, then others).

    All slices at every step, varied anew as tuning varies them; every fourth step as they are. Weights are kept in
    float32, and computed with in ``dtype``.
    """
    images, target = slices
    own = list(net.parameters())
    fast = copy.deepcopy(net).to(dtype).train()
    optimiser = torch.optim.Adam(
        [{"params": own, "peak": rates[0]}, {"params": list(learned), "peak": rates[-1]}] if learned else
        [{"params": own, "peak": rates[0]}], lr=rates[0], betas=(0.9, 0.98)
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    valid = torch.ones_like(target)
    for step in range(steps):
        share = min((step + 1) / max(1, steps // 10), 0.55 + 0.45 * math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * share
        x, t, w = (images, target, valid) if step % 4 == 0 else vary(images, target, valid, generator)
        with torch.no_grad():
            torch._foreach_copy_(list(fast.parameters()), own)
        fast.zero_grad(set_to_none=True)
        optimiser.zero_grad(set_to_none=True)
        mask_loss(logits(fast, x.to(dtype)).float(), t, w).mean().backward()
        for p, f in zip(own, fast.parameters(), strict=True):
            p.grad = None if f.grad is None else f.grad.float()
        torch.nn.utils.clip_grad_norm_([*own, *learned], 1.0)
        optimiser.step()


def drawn_slices(tasks: Sequence[Task], k: int) -> tuple[Tensor, Tensor]:
    """The k drawn slices of each volume, whole, as the network sees them, and the share of each pixel that is drawn."""
    images, targets = [], []
    for task in tasks:
        work = WorkingVolumes(task.volume).get()
        drawn = task.draw(evenly_spaced(task.mask, k))
        images.append(work.inputs(drawn.used()))
        targets.append(np.stack([work.mask_to_working(drawn.slices[n].labelled() == 1) for n in drawn.used()]))
    size = [max(x.shape[axis] for x in images) for axis in (1, 2)]
    pads = [[(0, 0), *((0, whole - part) for whole, part in zip(size, x.shape[1:3], strict=True))] for x in images]
    x = np.concatenate([np.pad(a, [*p, (0, 0)], constant_values=-1.0) for a, p in zip(images, pads, strict=True)])
    y = np.concatenate([np.pad(a, p) for a, p in zip(targets, pads, strict=True)])
    return torch.from_numpy(x), torch.from_numpy(y).float().clamp(0, 1)


def fine_tuned(backbone: Backbone, prompt: Prompt, slices: tuple[Tensor, Tensor], steps: int, lr: float) -> tuple:
    """All of the backbone and the prompt that tuning learned, learned further: (backbone, prompt)."""
    net = copy.deepcopy(backbone.net).float().requires_grad_(True)
    tensors = {k: v.clone().float().requires_grad_(True) for k, v in prompt.tensors.items()}

    def logits(fast: nn.Module, x: Tensor) -> Tensor:
        return fast.decode(fast.encode(x), {k: v.to(x.dtype) for k, v in tensors.items()})  # type: ignore[operator]

    teach(net, backbone.dtype, logits, list(tensors.values()), slices, steps, (lr, lr / 0.3))
    learned = replace(backbone, net=net.to(backbone.dtype).freeze())
    return learned, replace(prompt, tensors={k: v.detach() for k, v in tensors.items()})


def from_scratch(backbone: Backbone, prompt: Prompt, slices: tuple[Tensor, Tensor], steps: int, lr: float) -> tuple:
    """A small U-Net in the backbone's place: (backbone, prompt)."""
    torch.manual_seed(0)
    net = SmallUNet(backbone.shapes())
    teach(net, backbone.dtype, lambda fast, x: fast.decode(fast.encode(x), None), [], slices, steps, (lr,))
    return replace(backbone, net=net.to(backbone.dtype).eval().requires_grad_(False)), prompt
