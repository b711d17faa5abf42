"""Small networks and prompts for the tests of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from PromptSegLib.model.config import PUNetConfig, paper, tiny
from PromptSegLib.model.punet import PUNet

CONFIGS = {
    "shipped": tiny(),
    "paper": replace(
        paper(),
        widths=(8, 16, 16),
        heads=(2, 2, 2),
        windows=(4, 4, 4),
        encoder_blocks=(2, 2, 2),
        decoder_blocks=(2, 2),
        prompted_encoder_levels=(0, 1, 2),
        tokens=4,
        head_width=8,
        foreground_tokens=4,
        background_tokens=4,
    ),
}
"""The shipped model's parts and the paper's, in small."""


def build(config: PUNetConfig, seed: int = 0) -> PUNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = PUNet(config)
        for module in net.modules():  # as after training: nothing at a neutral start value
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2.0)
    return net.freeze()


@pytest.fixture(params=CONFIGS)
def net(request) -> PUNet:
    return build(CONFIGS[request.param])


@pytest.fixture
def shipped() -> PUNet:
    return build(CONFIGS["shipped"])


@pytest.fixture
def prompt() -> Callable[[PUNet, int], dict[str, Tensor]]:
    def make(net: PUNet, seed: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return {k: torch.randn(s, generator=generator) for k, s in net.prompt_shapes().items()}

    return make


@pytest.fixture
def images() -> Callable[..., Tensor]:
    def make(net: PUNet, batch: int = 2, height: int = 37, width: int = 29) -> Tensor:
        generator = torch.Generator().manual_seed(7)
        return torch.rand(batch, height, width, net.config.in_channels, generator=generator) * 2 - 1

    return make
