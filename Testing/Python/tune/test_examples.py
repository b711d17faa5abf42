"""What tuning learns from: drawn slices, and copies of them that are varied."""

from __future__ import annotations

import pytest
import torch

from PromptSegLib.model.config import tiny
from PromptSegLib.model.punet import PUNet
from PromptSegLib.tune.examples import vary


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_varied_copy_keeps_its_channels_apart_and_its_target(channels: int) -> None:
    """The structure is bright in all channels, each a shade of its own; the target moves with it."""
    target = torch.zeros(2, 64, 64)
    target[:, 20:44, 20:44] = 1
    shades = torch.linspace(-0.6, -0.2, channels)
    images = shades + target[..., None] * 0.8
    x, t, valid = vary(images, target, torch.ones_like(target), torch.Generator().manual_seed(0))
    assert x.shape == images.shape
    assert t.shape == valid.shape == target.shape
    assert bool(((t > 0.99) | (t < 0.01)).float().mean() > 0.9)
    assert 0.5 < float(t.sum() / target.sum()) < 2
    inside, outside = t > 0.99, t < 0.01
    for n in range(channels):
        rise = float(x[..., n][inside].mean() - x[..., n][outside].mean())
        assert 0.5 < rise < 1.1, "the copy shows the structure where its target is"
    assert all(float((x[..., n + 1] - x[..., n]).mean()) > 0 for n in range(channels - 1))


def test_too_few_slices_for_a_network_are_refused() -> None:
    net = PUNet(tiny())
    with pytest.raises(ValueError, match="1 slices for a network that sees 3"):
        net.encode(torch.zeros(1, 32, 32, 1))
