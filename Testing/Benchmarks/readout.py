"""A readout of all levels: a structure's logits from every map that a network makes, not from the last alone.

The cosine head sees 16 or 32 numbers of a pixel, made for the structures that were pre-trained. What else the network
knows of a pixel is in the coarser maps and in those of the encoder. Tuning only what reads maps, and leaving alone what
makes them, is ladder side tuning (Sung, Cho and Bansal, NeurIPS 2022), here with two small layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from PromptSegLib.model.blocks import resize
from PromptSegLib.model.punet import PUNet


def level_maps(net: PUNet, features: Callable[[], Tensor]) -> list[Tensor]:
    """The maps (B, H, W, C) of stem and attention stacks while ``features`` runs, and what it gives; coarse to fine."""
    maps: list[Tensor] = []
    watched = [net.stem, *net.stacks()]
    hooks = [module.register_forward_hook(lambda _module, _inputs, made: maps.append(made)) for module in watched]
    try:
        maps.append(features())
    finally:
        for hook in hooks:
            hook.remove()
    return sorted(maps, key=lambda m: m.shape[1])  # stable: maps of one size stay in the order in which they are made


class Readout(nn.Module):
    """Standardised maps, a linear map of each to ``hidden`` numbers, their sum at the finest size, GELU, one logit.

    ``examples`` are maps of :func:`level_maps` whose mean and spread standardise all others.
    """

    def __init__(self, examples: Sequence[Sequence[Tensor]], hidden: int = 16) -> None:
        super().__init__()
        self.means: list[Tensor] = []
        self.spreads: list[Tensor] = []
        for level in zip(*examples, strict=True):
            every = torch.cat([m.detach().float().flatten(0, 2) for m in level])
            self.means.append(every.mean(0))
            self.spreads.append(every.std(0).clamp_min(1e-3))
        width = sum(len(m) for m in self.means)
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(len(m), hidden) / width**0.5) for m in self.means])
        self.offset = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Linear(hidden, 1)
        nn.init.constant_(self.out.bias, -2.0)  # most pixels are background
        self.to(self.means[0].device)  # drawn on the host: the same numbers on every device

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Logits (B, H, W) float32 of ``maps``; ``size`` is (H, W), less than the finest map's by padding."""
        total: Tensor | None = None
        for m, weight, mean, spread in zip(maps, self.weights, self.means, self.spreads, strict=True):
            part = ((m.float() - mean) / spread) @ weight
            if total is not None and total.shape[1:3] != part.shape[1:3]:
                total = resize(total, (part.shape[1], part.shape[2]))
            total = part if total is None else total + part
        assert total is not None  # a network has levels
        score = self.out(functional.gelu(total + self.offset))[..., 0]
        return score[:, : size[0], : size[1]]
