"""Window attention with prompt tokens: the place where a structure's prompt steers the frozen network.

Maps are (B, H, W, C). Windows are contiguous; a map that is no multiple of the window is padded on the high side and
the padding is masked. Prompts are keys and values only: they are never queries, and their keys and values are
computed once per structure, not once per window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .precision import attend


def small_noise(*shape: int, scale: float = 0.02) -> nn.Parameter:
    """What a table of weights begins as. Where only shapes are asked for, nothing is drawn: for the device "meta" torch
    would load 800 modules for it, which takes as long as segmenting some slices."""
    values = torch.empty(shape)
    return nn.Parameter(values if values.is_meta else torch.randn(shape) * scale)


class RelativeBias(nn.Module):
    """The paper's content bias: per head, a sum of learned terms for the row and column offset of key and query.

    ``forward((h, w))`` gives (heads, h * w, h * w), query independent.
    Source: arXiv 2211.09233, heterogeneous bias scores.
    """

    def __init__(self, heads: int, window: int, width: int = 32) -> None:
        super().__init__()
        self.window, self.width = window, width
        self.tables = small_noise(2, 2 * window - 1, width)
        self.depth = small_noise(1, width)
        self.mix = small_noise(3, heads, width)

    def forward(self, size: tuple[int, int]) -> Tensor:
        """The bias of all pixel pairs of a window of ``size``."""
        terms = []
        for axis, n in enumerate(size):
            index = torch.arange(n, device=self.tables.device)
            offsets = index[None, :] - index[:, None] + self.window - 1
            terms.append((self.mix[axis] @ self.tables[axis].T)[:, offsets])  # (heads, n, n)
        rows, columns = terms
        bias = rows[:, :, None, :, None] + columns[:, None, :, None, :]
        bias = bias + (self.mix[2] @ self.depth.T)[..., None, None, None]
        n = size[0] * size[1]
        return bias.reshape(bias.shape[0], n, n) / (3 * self.width**0.5)


class WindowAttention(nn.Module):
    """One attention sub-block: windowed attention with prompts, then an MLP, each with a residual and a layer norm.

    ``mode`` is "window", "shift" (windows moved by half, pairs from different regions masked) or "grid" (a window takes
    every n-th row and column, so that it sees the whole map).
    """

    def __init__(self, dim: int, heads: int, window: int, mode: str, mlp_ratio: int) -> None:
        super().__init__()
        self.heads, self.window, self.mode = heads, window, mode
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.bias = RelativeBias(heads, window)
        self.mlp_norm = nn.LayerNorm(dim)
        if mlp_ratio:
            self.mlp = nn.Sequential(nn.Linear(dim, mlp_ratio * dim), nn.GELU(), nn.Linear(mlp_ratio * dim, dim))
        else:
            self.mlp = nn.Linear(dim, dim)
        self._masks: dict[tuple, Tensor | None] = {}
        self._biases: dict[tuple, tuple[tuple[int, ...], Tensor]] = {}

    def forward(self, x: Tensor, tokens: Tensor | None = None, token_bias: Tensor | None = None) -> Tensor:
        """``x`` (B, H, W, C); ``tokens`` (P, I, C) and ``token_bias`` (heads, I) or (P, heads, I) or None, P = 1 or B.

        Gives (B, H, W, C).
        """
        x = x + self._attention(self.norm(x), tokens, token_bias)
        return self.mlp(self.mlp_norm(x)).add_(x)

    def _attention(self, x: Tensor, tokens: Tensor | None, token_bias: Tensor | None) -> Tensor:
        batch, height, width, dim = x.shape
        wh, ww = min(self.window, height), min(self.window, width)
        pad_h, pad_w = -height % wh, -width % ww
        if pad_h or pad_w:
            x = functional.pad(x, (0, 0, 0, pad_w, 0, pad_h))
        full_h, full_w = height + pad_h, width + pad_w
        rows, columns = full_h // wh, full_w // ww
        shift_h = wh // 2 if self.mode == "shift" and rows > 1 else 0
        shift_w = ww // 2 if self.mode == "shift" and columns > 1 else 0
        if shift_h or shift_w:
            x = x.roll((-shift_h, -shift_w), (1, 2))

        # Pixels are put in the order of windows before anything else: they move as whole vectors, and heads never move.
        grid = self.mode == "grid"
        split = (batch, wh, rows, ww, columns, dim) if grid else (batch, rows, wh, columns, ww, dim)
        x = x.reshape(split).permute((0, 2, 4, 1, 3, 5) if grid else (0, 1, 3, 2, 4, 5))
        qkv = self.qkv(x.reshape(batch, rows * columns, wh * ww, dim))
        masked = (height, width, wh, ww, shift_h, shift_w)
        y = self.out(self._attend(qkv, masked, tokens, token_bias))

        y = y.reshape(batch, rows, columns, wh, ww, dim).permute((0, 3, 1, 4, 2, 5) if grid else (0, 1, 3, 2, 4, 5))
        y = y.reshape(batch, full_h, full_w, dim)
        if shift_h or shift_w:
            y = y.roll((shift_h, shift_w), (1, 2))
        return y[:, :height, :width] if pad_h or pad_w else y

    def _attend(
        self, qkv: Tensor, geometry: tuple[int, ...], tokens: Tensor | None, token_bias: Tensor | None
    ) -> Tensor:
        """Attention within each window and to the prompt: (B, windows, N, 3 C) to (B, windows, N, C)."""
        batch, windows, n, dim = qkv.shape[0], qkv.shape[1], qkv.shape[2], qkv.shape[3] // 3
        count = 0 if tokens is None else tokens.shape[1]
        bias = self._content_bias(geometry, count, qkv)  # (1 or windows, heads, N, N + I)
        d = dim // self.heads
        q, kv = qkv.split([dim, 2 * dim], -1)
        q = q.unflatten(-1, (self.heads, d))
        extra = None
        if tokens is not None:
            prompt = functional.linear(self.norm(tokens), self.qkv.weight[dim:])
            kv = torch.cat([kv, prompt[:, None].expand(batch, windows, count, 2 * dim)], 2)
            if token_bias is not None:
                extra = token_bias.to(kv.dtype).reshape(-1, self.heads, count)
        kv = kv.unflatten(-1, (2, self.heads, d))
        if extra is not None:
            if len(bias) == len(extra) == 1 and not extra.requires_grad:
                bias = bias + functional.pad(extra[:, :, None], (n, 0))
            else:
                # Fused attention takes no bias that learns, and one for each slice and window would be large: as one
                # more channel of keys that every query has a one for, the prompt's bias is part of the product.
                q = torch.cat([q, q.new_ones(1).expand(*q.shape[:-1], 1)], -1)
                column = functional.pad(extra.transpose(1, 2) * d**0.5, (0, 0, n, 0))  # (P, N + I, heads)
                column = torch.stack([column, torch.zeros_like(column)], 2)[:, None, ..., None]
                kv = torch.cat([kv, column.expand(*kv.shape[:-1], 1)], -1)
        q, k, v = (t.transpose(2, 3) for t in (q, *kv.unbind(3)))  # (B, windows, heads, N, d)
        if len(bias) == 1:
            y = attend(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), bias, d**-0.5).transpose(1, 2)
        else:  # slice by slice, so that nobody has to repeat the windows' masks
            y = torch.cat([attend(*part, bias, d**-0.5).transpose(1, 2) for part in zip(q, k, v, strict=True)])
        return y[..., :d].reshape(batch, windows, n, dim)

    def _content_bias(self, geometry: tuple[int, ...], count: int, like: Tensor) -> Tensor:
        """Content bias and mask, and zeros for ``count`` prompt tokens: (1 or windows, heads, N, N + count).

        Computed once per map size while the backbone is frozen.
        """
        frozen = not self.bias.tables.requires_grad
        # Weights that change in place (a moving average, a loaded file) get another version, and so another bias.
        versions = tuple(0 if p.is_inference() else p._version for p in self.bias.parameters())
        key = (*geometry, count, like.device, like.dtype)
        if frozen and self._biases.get(key, (None,))[0] == versions:
            return self._biases[key][1]
        with torch.inference_mode(False), torch.set_grad_enabled(not frozen and torch.is_grad_enabled()):
            bias = self.bias((geometry[2], geometry[3]))[None]
            mask = self._mask(geometry, like.device)
            if mask is not None:
                bias = bias + mask[:, None].to(bias.dtype)
            bias = functional.pad(bias.to(like.dtype), (0, count))
        if frozen:
            if len(self._biases) >= 16:  # maps of ever new sizes
                self._biases.clear()
            self._biases[key] = (versions, bias)
        return bias

    def _mask(self, geometry: tuple[int, ...], device: torch.device) -> Tensor | None:
        """(windows, N, N) of 0 and -inf, or None where nothing is masked; cached per map size."""
        key = (*geometry, device)
        if key not in self._masks:
            if len(self._masks) >= 16:
                self._masks.clear()
            self._masks[key] = window_mask(geometry, self.mode == "grid", device)
        return self._masks[key]

    def forget(self) -> None:
        """Drop what was cached: call it when the backbone's weights change under a frozen module."""
        self._masks.clear()
        self._biases.clear()


def window_mask(geometry: tuple[int, ...], grid: bool, device: torch.device) -> Tensor | None:
    """Additive mask (windows, N, N): -inf where a key is padding or, in shifted windows, from another region.

    ``geometry`` is the map's height and width, the window's, and the shift in both directions.

    A query in the padding keeps all keys, so that no row is all -inf; its result is cropped away.
    """
    height, width, wh, ww, shift_h, shift_w = geometry
    full_h, full_w = height + -height % wh, width + -width % ww
    if (full_h, full_w) == (height, width) and not (shift_h or shift_w):
        return None
    region = torch.zeros(full_h, full_w, dtype=torch.long, device=device)
    if shift_h:
        region[full_h - shift_h :] += 1  # rows that came round from the top
    if shift_w:
        region[:, full_w - shift_w :] += 2
    padding = torch.ones(full_h, full_w, dtype=torch.bool, device=device)
    padding[:height, :width] = False
    padding = padding.roll((-shift_h, -shift_w), (0, 1))

    def windows(t: Tensor) -> Tensor:
        rows, columns = full_h // wh, full_w // ww
        if grid:
            return t.reshape(wh, rows, ww, columns).permute(1, 3, 0, 2).reshape(rows * columns, -1)
        return t.reshape(rows, wh, columns, ww).permute(0, 2, 1, 3).reshape(rows * columns, -1)

    region, padding = windows(region), windows(padding)
    banned = (region[:, :, None] != region[:, None, :]) | padding[:, None, :]
    banned &= ~padding[:, :, None]
    return torch.zeros(banned.shape, device=device).masked_fill(banned, float("-inf"))
