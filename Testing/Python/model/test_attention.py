"""Window attention against a slow reference that knows nothing of windows, rolls and masks."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from PromptSegLib.model.attention import WindowAttention

WINDOW, HEADS, DIM = 4, 2, 8


def block(mode: str, window: int = WINDOW) -> WindowAttention:
    torch.manual_seed(3)
    made = WindowAttention(DIM, HEADS, window, mode, 1).double()
    with torch.no_grad():
        for p in made.bias.parameters():
            p.normal_()
        for norm in (made.norm, made.mlp_norm):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_()
    return made.requires_grad_(False).eval()


def cell(y: int, length: int, window: int, mode: str) -> tuple[int, ...]:
    """Which window a row or column belongs to: only those of one cell see each other along this axis."""
    window = min(window, length)
    count = -(-length // window)
    if mode == "grid":
        return (y % count,)
    shift = window // 2 if mode == "shift" and count > 1 else 0
    return ((y - shift) // window,)


def reference(layer: WindowAttention, x: Tensor, tokens: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """One image (H, W, C), one query pixel and head at a time; the prompt is put in front of every pixel's keys."""
    height, width, dim = x.shape
    d = dim // layer.heads
    a = functional.layer_norm(x, (dim,), layer.norm.weight, layer.norm.bias)
    q, k, v = (a @ w.T for w in layer.qkv.weight.split(dim))
    if tokens is not None:
        t = functional.layer_norm(tokens, (dim,), layer.norm.weight, layer.norm.bias)
        prompt_k, prompt_v = (t @ w.T for w in layer.qkv.weight.split(dim)[1:])
    counts = [-(-n // min(layer.window, n)) for n in (height, width)]
    pixels = list(product(range(height), range(width)))
    cells = {
        p: tuple(cell(c, n, layer.window, layer.mode) for c, n in zip(p, (height, width), strict=True)) for p in pixels
    }
    mixed = torch.zeros_like(x)
    table = layer.bias
    for p in pixels:
        seen = [o for o in pixels if cells[o] == cells[p]]
        for h in range(layer.heads):
            part = slice(h * d, (h + 1) * d)
            scores, values = [], []
            for o in seen:
                offset = [b // n - a // n for a, b, n in zip(p, o, counts, strict=True)]
                if layer.mode != "grid":
                    offset = [b - a for a, b in zip(p, o, strict=True)]
                content = sum(table.mix[n, h] @ table.tables[n, offset[n] + layer.window - 1] for n in (0, 1))
                content = (content + table.mix[2, h] @ table.depth[0]) / 3 / table.width**0.5
                scores.append(q[p][part] @ k[o][part] / d**0.5 + content)
                values.append(v[o][part])
            for n in range(0 if tokens is None else len(tokens)):
                scores.append(q[p][part] @ prompt_k[n, part] / d**0.5 + (0.0 if bias is None else bias[h, n]))
                values.append(prompt_v[n, part])
            mixed[p][part] = torch.stack(scores).softmax(0) @ torch.stack(values)
    x = x + layer.out(mixed)
    return x + layer.mlp(layer.mlp_norm(x))


@pytest.mark.parametrize("mode", ["window", "shift", "grid"])
@pytest.mark.parametrize("size", [(13, 10), (8, 8), (3, 9)], ids=str)
def test_equals_the_reference_on_any_size(mode: str, size: tuple[int, int]) -> None:
    layer = block(mode)
    torch.manual_seed(1)
    x = torch.randn(1, *size, DIM, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0], reference(layer, x[0]))


@pytest.mark.parametrize("mode", ["window", "shift", "grid"])
def test_a_prompt_is_in_front_of_every_window(mode: str) -> None:
    layer = block(mode)
    torch.manual_seed(2)
    x = torch.randn(2, 7, 6, DIM, dtype=torch.float64)
    tokens = torch.randn(2, 3, DIM, dtype=torch.float64)
    bias = torch.randn(2, HEADS, 3, dtype=torch.float64)
    each = torch.stack([reference(layer, x[n], tokens[n], bias[n]) for n in (0, 1)])
    torch.testing.assert_close(layer(x, tokens, bias), each)
    shared = torch.stack([reference(layer, x[n], tokens[0], bias[0]) for n in (0, 1)])
    torch.testing.assert_close(layer(x, tokens[:1], bias[0]), shared)
    plain = torch.stack([reference(layer, x[n], tokens[n]) for n in (0, 1)])
    torch.testing.assert_close(layer(x, tokens), plain)


def test_a_token_bias_moves_attention_to_its_token() -> None:
    layer = block("window")
    torch.manual_seed(4)
    x, tokens = torch.randn(1, 8, 8, DIM).double(), torch.randn(1, 3, DIM).double()
    bias = torch.zeros(HEADS, 3, dtype=torch.float64)
    bias[:, 1] = 40.0  # so strong that nothing else counts
    value = layer.norm(tokens[0, 1]) @ layer.qkv.weight[2 * DIM :].T
    expected = x + layer.out(value)
    torch.testing.assert_close(layer(x, tokens, bias), expected + layer.mlp(layer.mlp_norm(expected)))


@pytest.mark.parametrize(
    ("mode", "reached"),
    [
        ("window", (range(4, 8), range(4, 8))),
        ("shift", (range(6, 10), range(6, 10))),
        ("grid", (range(3, 16, 4), range(3, 16, 4))),
    ],
)
def test_how_far_a_pixel_is_seen(mode: str, reached: tuple[range, range]) -> None:
    layer = block(mode)
    torch.manual_seed(5)
    x = torch.randn(1, 16, 16, DIM).double()
    y, z = (7, 7)
    moved = x.clone()
    moved[0, y, z] += torch.randn(DIM).double()
    changed = (layer(moved) != layer(x)).any(-1)[0]
    expected = torch.zeros(16, 16, dtype=torch.bool)
    for r, c in product(*reached):
        expected[r, c] = True
    assert torch.equal(changed, expected)


def test_queries_keys_and_values_come_from_one_normalised_input() -> None:
    """Scaling a pixel's features changes nothing behind the norm, so neither what the others take from it."""
    layer = block("window")
    torch.manual_seed(6)
    x = torch.randn(1, 4, 4, DIM).double()
    x -= x.mean(-1, keepdim=True)
    scaled = x.clone()
    scaled[0, 0, 0] *= 3
    delta = (layer(scaled) - layer(x)).abs()
    assert delta[0, 1:].max() < 1e-4
    assert delta[0, 0, 0].max() > 0.1


def test_what_is_cached_follows_the_weights_after_forget() -> None:
    layer = block("shift")
    x = torch.randn(1, 9, 9, DIM).double()
    layer(x)
    with torch.no_grad():
        layer.bias.tables.normal_()
    layer.forget()
    torch.testing.assert_close(layer(x)[0], reference(layer, x[0]))
