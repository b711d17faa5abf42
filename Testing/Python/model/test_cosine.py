"""The head's score: one value and one gradient, whichever way it is computed."""

from __future__ import annotations

import math

import pytest
import torch

from PromptSegLib.model.blocks import similarity
from PromptSegLib.model.cosine import cosine_score


def test_sums_of_exponentials_by_hand() -> None:
    features = torch.tensor([[[3.0, 0.0], [0.0, 2.0]]])  # lengths do not count
    tokens = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]])
    sums = cosine_score(features, tokens, (2, 1))
    expected = [[math.e + 1 / math.e, 1.0], [2.0, math.e]]
    torch.testing.assert_close(sums, torch.tensor([expected]))


@pytest.mark.parametrize("background", [2, 3])
def test_learning_and_using_give_the_same_score(background: int) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 5, 6, 4, dtype=torch.float64, requires_grad=True)
    tokens = torch.randn(1, 3, 4, dtype=torch.float64)
    against = torch.randn(1, background, 4, dtype=torch.float64)
    learning = similarity(features, tokens, 0.1, against)
    with torch.no_grad():
        torch.testing.assert_close(similarity(features, tokens, 0.1, against), learning)
        torch.testing.assert_close(similarity(features, tokens, 0.1), similarity(features.detach(), tokens, 0.1))


@pytest.mark.parametrize("sizes", [(3, 3), (4, 2)])
def test_gradients_are_those_of_the_formula(sizes: tuple[int, int]) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 7, 4, dtype=torch.float64, requires_grad=True)
    tokens = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, t: cosine_score(f, t, sizes), (features, tokens))


def test_features_of_length_zero_give_numbers() -> None:
    features = torch.zeros(1, 3, 4, requires_grad=True)
    sums = cosine_score(features, torch.randn(1, 4, 4), (2, 2))
    sums.sum().backward()
    assert torch.isfinite(sums).all()
    assert torch.isfinite(features.grad).all()
