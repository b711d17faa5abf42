from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from PromptSegLib.model.blocks import Head, Norm, Stem, directions, similarity


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_stem_can_be_trained_channels_last(dtype: torch.dtype) -> None:
    """A strided 1 x 1 convolution crashes there in torch 2.13."""
    torch.manual_seed(0)
    stem = Stem(3, 16, "group").to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(2, 32, 24, 3).to(dtype)
    for _ in range(2):
        y = stem(x)
        y.float().square().mean().backward()
    assert y.shape == (2, 16, 12, 16)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in stem.parameters())


def test_the_shortcut_is_a_strided_convolution() -> None:
    torch.manual_seed(0)
    stem = Stem(3, 8, "batch").eval()
    x = torch.randn(1, 16, 12, 3)
    image = x.permute(0, 3, 1, 2)
    y = functional.conv2d(image, stem.conv1.weight, stride=2, padding=1)
    y = functional.conv2d(functional.leaky_relu(stem.norm1.layer(y)), stem.conv2.weight, padding=1)
    shortcut = stem.shortcut_norm.layer(functional.conv2d(image, stem.shortcut.weight, stride=2))
    expected = functional.leaky_relu(stem.norm2.layer(y) + shortcut)
    torch.testing.assert_close(stem(x).permute(0, 3, 1, 2), expected)


def test_group_normalisation_knows_no_neighbours_in_the_batch() -> None:
    norm = Norm("group", 16)
    x = torch.randn(3, 5, 4, 16)
    torch.testing.assert_close(norm(x)[1:2], norm(x[1:2]))


def test_similarity_is_a_soft_maximum_of_cosines() -> None:
    torch.manual_seed(0)
    features, tokens = torch.randn(2, 3, 4, 8), torch.randn(2, 5, 8)
    cosine = functional.cosine_similarity(features[:, :, :, None], tokens[:, None, None], dim=-1)
    expected = torch.logsumexp(cosine / 0.1, -1) - torch.log(torch.tensor(5.0))
    torch.testing.assert_close(similarity(features, tokens, 0.1), expected)
    torch.testing.assert_close(similarity(features, tokens[:1], 0.1)[0], expected[0])
    torch.testing.assert_close(similarity(7 * features, tokens / 3, 0.1), expected)
    assert torch.isfinite(similarity(torch.zeros(1, 1, 1, 8), tokens[:1], 0.1)).all()


def test_similarity_accepts_bf16() -> None:
    torch.manual_seed(0)
    features, tokens = torch.randn(1, 9, 9, 16).bfloat16(), torch.randn(1, 8, 16)
    got = similarity(features, tokens.bfloat16(), 0.1)
    assert got.dtype == torch.float32
    assert (got - similarity(features.float(), tokens, 0.1)).abs().max() < 0.1


@pytest.mark.parametrize("kind", ["full", "half"])
def test_directions_made_once_give_every_structure_its_logits(kind: str) -> None:
    torch.manual_seed(0)
    head = Head(kind, 16, 3, 16, 0.1)
    features = torch.randn(2, 9, 7, 16)
    unit = directions(features)
    for _ in range(3):
        prompts = {"head.foreground": torch.randn(1, 4, 16), "head.background": torch.randn(1, 5, 16)}
        torch.testing.assert_close(head.logits_along(unit, prompts), head.logits(features, prompts))
