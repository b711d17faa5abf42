from __future__ import annotations

import copy

import pytest
import torch

from PromptSegLib.model.blocks import Norm


@pytest.mark.parametrize("learns", [True, False])
def test_gradients_in_bf16_are_those_of_torch(learns: bool) -> None:
    """Also where a channel's mean is far from zero."""
    torch.manual_seed(0)
    norm = Norm("group", 32).requires_grad_(learns)
    norm.layer.weight.data.normal_(1, 0.3)
    norm.layer.bias.data.normal_()
    x = torch.randn(3, 12, 10, 32) * 0.5 + 2 * torch.randn(32)
    weight = torch.randn(3, 12, 10, 32)
    found = {}
    for dtype in (torch.float64, torch.bfloat16):
        one = copy.deepcopy(norm.bfloat16()).to(dtype)
        given = x.bfloat16().to(dtype).requires_grad_()
        y = one(given, activate=True)
        (y.to(torch.float64) * weight).sum().backward()
        learned = [p.grad for p in one.parameters()] if learns else []
        found[dtype] = [y.detach(), given.grad, *learned]
    for exact, rounded in zip(found[torch.float64], found[torch.bfloat16], strict=True):
        assert (exact - rounded).norm() < 0.01 * exact.norm()


def test_without_gradients_nothing_changes() -> None:
    torch.manual_seed(0)
    norm = Norm("group", 16).bfloat16()
    x = torch.randn(2, 6, 5, 16).bfloat16()
    with torch.no_grad():
        used = norm(x)
    assert torch.equal(norm(x), used)
