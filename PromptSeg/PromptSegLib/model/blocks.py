"""The convolutional parts of PUNet: stem, encoder stage, decoder stage, head.

Maps between parts are (B, H, W, C), contiguous: convolutions see them as channels-last without a copy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import WindowAttention
from .cosine import cosine_score
from .group_norm import normalised

Prompts = Mapping[str, Tensor]

SLOPE = 0.01
"""Of leaky ReLUs, which torch takes by itself; but it reads its defaults as the process' locale has it, and where that
has a decimal comma, takes 0."""


def conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of a (B, H, W, C) map."""
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corners not aligned, (B, H, W, C)."""
    y = functional.interpolate(x.permute(0, 3, 1, 2), size=size, mode="bilinear", align_corners=False)
    return y.permute(0, 2, 3, 1)


class Norm(nn.Module):
    """Batch or group normalisation of a (B, H, W, C) map; groups of eight channels."""

    def __init__(self, kind: str, dim: int) -> None:
        super().__init__()
        self.layer = nn.BatchNorm2d(dim) if kind == "batch" else nn.GroupNorm(max(1, dim // 8), dim)

    def forward(self, x: Tensor, activate: bool = False) -> Tensor:
        """The normalised map, through a leaky ReLU if ``activate``."""
        y = normalised(self.layer, x.permute(0, 3, 1, 2))
        if activate:
            y = functional.leaky_relu_(y, SLOPE)
        return y.permute(0, 2, 3, 1)


class Stem(nn.Module):
    """Residual convolution block with stride 2: (B, H, W, in) to (B, H/2, W/2, width)."""

    def __init__(self, in_channels: int, width: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False)
        self.norm1 = Norm(norm, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = Norm(norm, width)
        self.shortcut = nn.Conv2d(in_channels, width, 1, bias=False)
        self.shortcut_norm = Norm(norm, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in) to (B, H/2, W/2, width)."""
        y = self.norm1(conv(self.conv1, x), activate=True)
        y = self.norm2(conv(self.conv2, y))
        # Subsampling before the 1 x 1 convolution is the strided convolution, without its channels-last backward.
        return functional.leaky_relu(y + self.shortcut_norm(conv(self.shortcut, x[:, ::2, ::2].contiguous())), SLOPE)


class AttentionStack(nn.ModuleList):
    """The attention sub-blocks of one stage; ``name`` addresses their prompts as ``name.index``."""

    def __init__(self, name: str, dim: int, heads: int, window: int, count: int, second: str, mlp_ratio: int) -> None:
        modes = [second if n % 2 else "window" for n in range(count)]
        super().__init__(WindowAttention(dim, heads, window, mode, mlp_ratio) for mode in modes)
        self.name = name

    def forward(self, x: Tensor, prompts: Prompts | None) -> Tensor:
        """(B, H, W, C) through all sub-blocks, under the prompts that are theirs."""
        for n, block in enumerate(self):
            key = f"{self.name}.{n}"
            if prompts is None or f"{key}.tokens" not in prompts:
                x = block(x)
            else:
                x = block(x, prompts[f"{key}.tokens"], prompts.get(f"{key}.bias"))
        return x


class EncoderStage(nn.Module):
    """Pre-activation residual block: norm, convolution, attention, plus a shortcut of the normalised input."""

    def __init__(self, dim_in: int, dim: int, stride: int, norm: str, attention: AttentionStack) -> None:
        super().__init__()
        self.stride = stride
        self.norm = Norm(norm, dim_in)
        self.conv = nn.Conv2d(dim_in, dim, 3, stride=stride, padding=1)
        self.attention = attention
        self.shortcut_norm = Norm(norm, dim_in)
        self.shortcut = nn.Conv2d(dim_in, dim, 1)

    def prepare(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What no prompt reaches: the convolved map and the shortcut."""
        y = conv(self.conv, self.norm(x, activate=True))
        s = self.shortcut_norm(x)
        return y, conv(self.shortcut, s[:, :: self.stride, :: self.stride].contiguous())

    def attend(self, y: Tensor, shortcut: Tensor, prompts: Prompts | None) -> Tensor:
        """What a prompt reaches."""
        return self.attention(y, prompts) + shortcut


class DecoderStage(nn.Module):
    """Upsample, join the skip connection, convolve, attend.

    The convolution of [up, skip] is the sum of two; the skip's half does not depend on prompts and is computed once.
    """

    def __init__(self, dim_in: int, dim: int, norm: str, project: bool, attention: AttentionStack) -> None:
        super().__init__()
        self.project = nn.Conv2d(dim_in, dim, 1, bias=False) if project else None
        dim_up = dim if project else dim_in
        self.norm_up = Norm(norm, dim_up)
        self.conv_up = nn.Conv2d(dim_up, dim, 3, padding=1)
        self.norm_skip = Norm(norm, dim)
        self.conv_skip = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.attention = attention

    def skip_term(self, skip: Tensor) -> Tensor:
        """The skip connection's half of the convolution."""
        return conv(self.conv_skip, self.norm_skip(skip, activate=True))

    def forward(self, x: Tensor, skip_term: Tensor, prompts: Prompts | None) -> Tensor:
        """The coarser map ``x`` and the skip's term to this level's map, (B, H, W, dim)."""
        if self.project is not None:
            x = conv(self.project, x)
        x = resize(x, (skip_term.shape[1], skip_term.shape[2]))
        x = conv(self.conv_up, self.norm_up(x, activate=True)) + skip_term
        return self.attention(x, prompts)


class Head(nn.Module):
    """Cosine similarity of pixel features to a structure's foreground and background tokens.

    "half": features of the last decoder stage, logits upsampled by two (the paper). "full": features at the working
    resolution, by sub-pixel rearrangement, joined with a convolution of the image itself.
    """

    def __init__(self, kind: str, dim: int, in_channels: int, width: int, temperature: float) -> None:
        super().__init__()
        self.kind, self.temperature = kind, temperature
        if kind == "full":
            self.norm = nn.LayerNorm(dim)
            self.expand = nn.Linear(dim, 4 * width)
            self.detail = nn.Conv2d(in_channels, width, 3, padding=1)
            self.mix = nn.Linear(width, width)

    def image_term(self, image: Tensor) -> Tensor | None:
        """What the head takes from the image (B, H, W, in) alone."""
        return conv(self.detail, image) if self.kind == "full" else None

    def features(self, x: Tensor, image_term: Tensor | None) -> Tensor:
        """Pixel features (B, H, W, width), at the head's resolution."""
        if image_term is None:
            return x
        # Sub-pixels are put in front of channels in the small weight, so that adding the image term rearranges the map.
        batch, height, width, dim = x.shape
        weight = self.expand.weight.reshape(-1, 2, 2, dim).permute(1, 2, 0, 3).reshape(-1, dim)
        offset = self.expand.bias.reshape(-1, 2, 2).permute(1, 2, 0).reshape(-1)
        y = functional.linear(self.norm(x), weight, offset).reshape(batch, height, width, 2, 2, -1).transpose(2, 3)
        y = image_term.reshape(batch, height, 2, width, 2, -1) + y
        return self.mix(functional.leaky_relu_(y, SLOPE)).reshape(batch, 2 * height, 2 * width, -1)

    def logits(self, features: Tensor, prompts: Prompts) -> Tensor:
        """Foreground minus background logit, (B, H, W) float32, at the working resolution."""
        foreground, background = prompts["head.foreground"], prompts["head.background"]
        return self._sized(similarity(features, foreground, self.temperature, background))

    def logits_along(self, unit: Tensor, prompts: Prompts) -> Tensor:
        """The same of features whose :func:`directions` are there; nothing learns from it."""
        tokens = torch.cat([prompts["head.foreground"], prompts["head.background"]], 1).to(unit.dtype)
        tokens = functional.normalize(tokens, dim=-1, eps=1e-4) / self.temperature
        return self._sized(_soft_maximum(unit, tokens, prompts["head.foreground"].shape[1]))

    def _sized(self, score: Tensor) -> Tensor:
        """A score of the head's resolution at the working resolution."""
        if self.kind == "half":
            size = (2 * score.shape[1], 2 * score.shape[2])
            score = resize(score[..., None], size)[..., 0]
        return score


def similarity(features: Tensor, tokens: Tensor, temperature: float, against: Tensor | None = None) -> Tensor:
    """Soft maximum over tokens of the cosine similarity, divided by the temperature: (B, H, W, C), (P, n, C) to
    (B, H, W); less that of the tokens ``against`` (P, m, C) if there are any.

    The soft maximum is the logarithm of a mean of exponentials; cosines are bounded, so that it needs no shift.
    """
    batch, height, width, dim = features.shape
    dtype = torch.promote_types(features.dtype, torch.float32)
    both = tokens if against is None else torch.cat([tokens, against], 1)
    t = functional.normalize(both.to(dtype), dim=-1, eps=1e-4) / temperature
    n = tokens.shape[1]
    if torch.is_grad_enabled() and (features.requires_grad or t.requires_grad):
        sizes = (n,) if against is None else (n, against.shape[1])
        f = features.reshape(batch, height * width, dim)
        sums = cosine_score(f, t.expand(batch, -1, -1), sizes).to(dtype)
        score = sums.log()[..., 0] - math.log(n)
        if against is not None:
            score = score - sums.log()[..., 1] + math.log(against.shape[1])
        return score.reshape(batch, height, width)
    return _soft_maximum(directions(features), t, n).reshape(batch, height, width)


def directions(features: Tensor) -> Tensor:
    """Pixel features (B, H, W, C) as unit vectors of float32 (or wider), channels first: (B, C, H, W).

    What every structure's tokens are compared with: made once for a set.
    """
    wide = features.permute(0, 3, 1, 2).to(torch.promote_types(features.dtype, torch.float32)).contiguous()
    return wide * wide.square().sum(1, keepdim=True).clamp_min_(1e-8).rsqrt_()


def _soft_maximum(unit: Tensor, tokens: Tensor, n: int) -> Tensor:
    """Of :func:`directions` and tokens (P, N, C) of unit length divided by the temperature: that of the first ``n``,
    less that of the others if there are any; (B, H, W)."""
    # Pixels are innermost: sums over eight tokens and exponentials of sixteen are then whole vectors.
    e = torch.matmul(tokens, unit.flatten(2)).exp_()
    score = e[:, :n].mean(1)
    if tokens.shape[1] > n:
        score /= e[:, n:].mean(1)
    return score.log_().unflatten(1, unit.shape[2:])
