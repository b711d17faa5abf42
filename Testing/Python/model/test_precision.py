from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from PromptSegLib.errors import DeviceError
from PromptSegLib.model.precision import attend, default_threads, fast_dtype, pick_device


def test_attention_has_a_backward_pass_in_bf16() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 4, 2, 16, 8)
    bias = torch.randn(1, 2, 16, 16)
    weight = torch.randn(4, 2, 16, 8)
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        leaves = [t.to(dtype).requires_grad_() for t in (q, k, v)]
        y = attend(*leaves, bias)
        gradients[dtype] = torch.autograd.grad((y.float() * weight).sum(), leaves)
    for exact, rounded in zip(gradients[torch.float32], gradients[torch.bfloat16], strict=True):
        assert rounded.dtype == torch.bfloat16
        assert functional.cosine_similarity(exact.flatten(), rounded.float().flatten(), dim=0) > 0.999


def test_attention_is_the_same_whether_something_learns_or_not() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 4, 2, 16, 8, dtype=torch.bfloat16)
    bias = torch.randn(1, 2, 16, 16)
    learning = attend(q.requires_grad_(), k, v, bias, 0.3)
    with torch.no_grad():
        fused = attend(q, k, v, bias, 0.3)
    torch.testing.assert_close(learning, fused, atol=0.03, rtol=0.03)


def test_attention_is_softmax_of_scaled_scores_plus_bias() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 4, 2, 16, 8, dtype=torch.float64)
    bias = torch.randn(1, 2, 16, 16, dtype=torch.float64)
    expected = (q @ k.transpose(-1, -2) / 8**0.5 + bias).softmax(-1) @ v
    torch.testing.assert_close(attend(q, k, v, bias), expected)


def check_bf16_attention(bias: torch.Tensor, queries: float = 1.0) -> None:
    """Values and gradients are as near to exact ones as bf16 is."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, n, 3, 8).transpose(1, 2) for n in (16, 20, 20))  # not contiguous
    found = {}
    for dtype in (torch.float64, torch.bfloat16):
        leaves = [t.bfloat16().to(dtype).requires_grad_() for t in (queries * q, k, v, bias)]
        y = attend(*leaves)
        found[dtype] = [y, *torch.autograd.grad(y.sum(-1).square().sum(), leaves)]
    for exact, rounded in zip(found[torch.float64], found[torch.bfloat16], strict=True):
        assert rounded.dtype == torch.bfloat16
        assert (exact - rounded).norm() <= 0.02 * exact.norm() + 1e-6


@pytest.mark.parametrize("batch", [1, 2])
def test_attention_in_bf16_is_the_same_with_its_gradients(batch: int) -> None:
    torch.manual_seed(1)
    bias = torch.randn(batch, 3, 16, 20)
    bias[..., 3] = -torch.inf  # masked
    check_bf16_attention(bias)


@pytest.mark.parametrize("offset", [-200.0, 200.0])
def test_scores_beyond_the_range_of_exponentials_count_as_others_do(offset: float) -> None:
    torch.manual_seed(1)
    check_bf16_attention(offset + torch.randn(1, 3, 16, 20).round(), queries=0.0)  # exact in bf16


def test_attention_leaves_what_it_is_given() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 16, 8, dtype=torch.bfloat16)
    bias = torch.randn(1, 2, 16, 16, dtype=torch.bfloat16)
    before = [t.clone() for t in (q, k, v, bias)]
    first = attend(q, k, v, bias)
    assert torch.equal(attend(q, k, v, bias), first)
    assert all(torch.equal(*pair) for pair in zip((q, k, v, bias), before, strict=True))


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("abacus", "cuda:999", "xpu"):
        with pytest.raises(DeviceError, match="choose"):
            pick_device(name)


def test_the_cpu_computes_in_a_type_that_it_multiplies() -> None:
    assert fast_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)
    assert fast_dtype(torch.device("mps")) == torch.float32
    assert 1 <= default_threads() <= 16
