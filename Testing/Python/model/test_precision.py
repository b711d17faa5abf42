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
