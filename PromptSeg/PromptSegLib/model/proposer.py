"""Propose a structure's prompt from annotated slices, before any gradient step.

The features of a few drawn slices are pooled inside and outside of the drawn mask by learned queries; the pooled
vectors become prompt tokens. It is trained with the backbone on structures that it is shown in one slice and asked for
in another, so that a first mask of a new structure takes one forward pass. The idea of encoding a task from reference
pairs and then tuning that encoding is Iris' (arXiv 2503.19359); prototypes as prompts are PGP-SAM's (arXiv
2501.06692).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import small_noise
from .config import PUNetConfig
from .encoded import Encoded


class Proposer(nn.Module):
    """From the features of annotated slices to one prompt."""

    level = 1
    """The pyramid level on whose grid features are pooled."""

    def __init__(self, config: PUNetConfig, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        dim, tokens = config.proposer_width, config.tokens
        self.tokens, self.heads = tokens, 4
        self.fuse = nn.ModuleList(nn.Sequential(nn.LayerNorm(w), nn.Linear(w, dim)) for w in config.widths)
        self.fuse_norm = nn.LayerNorm(dim)
        self.queries = small_noise(2, tokens // 2, dim, scale=0.1)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.mix = nn.TransformerEncoderLayer(
            dim, self.heads, 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.out_norm = nn.LayerNorm(dim)
        self.names = [k for k in shapes if k.endswith(".tokens")]
        self.base = nn.ParameterDict({_safe(k): small_noise(*shapes[k], scale=0.1) for k in self.names})
        self.to_tokens = nn.ModuleDict({_safe(k): nn.Linear(dim, shapes[k][1]) for k in self.names})
        self.head_base = nn.ParameterDict(
            {k: small_noise(*shapes[f"head.{k}"], scale=1.0) for k in ("foreground", "background")}
        )
        self.to_head = nn.ModuleDict({k: nn.Linear(dim, config.head_width) for k in ("foreground", "background")})
        self.to_count = {k: shapes[f"head.{k}"][0] for k in ("foreground", "background")}

    def memory(self, encoded: Encoded) -> Tensor:
        """Features of slices on one grid, (B, h, w, dim)."""
        maps = [*encoded.features, encoded.pending[0]]
        size = maps[min(self.level, len(maps) - 1)].shape[1:3]
        total = maps[0].new_zeros(())
        for n, (layer, f) in enumerate(zip(self.fuse, maps, strict=False)):
            g = layer(f).permute(0, 3, 1, 2)
            g = functional.avg_pool2d(g, 2) if n < self.level else functional.interpolate(g, size=size)
            total = total + g
        return functional.gelu(self.fuse_norm(total.permute(0, 2, 3, 1)))

    def forward(self, memory: Tensor, inside: Tensor, outside: Tensor) -> dict[str, Tensor]:
        """``memory`` (B, n, h, w, dim) of n support slices; ``inside`` and ``outside`` (B, n, H, W) are the shares
        0..1 of each working pixel that are drawn as the structure and as not the structure (unlabelled: both 0).

        Gives the prompt's tensors, each (B, tokens, C).
        """
        batch, count, height, width, dim = memory.shape
        m = memory.reshape(batch, count * height * width, dim)
        key = self.key(m).reshape(batch, -1, self.heads, dim // self.heads).transpose(1, 2)
        value = self.value(m).reshape(batch, -1, self.heads, dim // self.heads).transpose(1, 2)
        pooled = []
        for query, share in zip(self.queries, (inside, outside), strict=True):
            weight = functional.adaptive_avg_pool2d(_pad_like(share, memory), (height, width)).reshape(batch, 1, 1, -1)
            q = query.reshape(1, -1, self.heads, dim // self.heads).transpose(1, 2).expand(batch, -1, -1, -1)
            bias = (weight.float() + 1e-6).log().to(q.dtype)
            y = functional.scaled_dot_product_attention(q.float(), key.float(), value.float(), attn_mask=bias.float())
            pooled.append(y.to(memory.dtype).transpose(1, 2).reshape(batch, -1, dim) + query)
        tokens = self.out_norm(self.mix(torch.cat(pooled, 1)))
        half = tokens.shape[1] // 2
        prompt = {k: self.base[_safe(k)] + self.to_tokens[_safe(k)](tokens) for k in self.names}
        for n, k in enumerate(("foreground", "background")):
            part = tokens[:, n * half : (n + 1) * half][:, : self.to_count[k]]
            prompt[f"head.{k}"] = self.head_base[k] + self.to_head[k](part)
        return prompt


def _safe(name: str) -> str:
    """Module names may not hold a dot."""
    return name.replace(".", "_")


def _pad_like(share: Tensor, memory: Tensor) -> Tensor:
    """Pad (B, n, H, W) on the high side to the size that the memory's grid covers."""
    scale = -(-share.shape[-1] // memory.shape[3])
    scale = max(scale, 1 << (scale - 1).bit_length())
    return functional.pad(
        share, (0, memory.shape[3] * scale - share.shape[-1], 0, memory.shape[2] * scale - share.shape[-2])
    )
