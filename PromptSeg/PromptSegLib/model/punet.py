"""PUNet: a U-Net of convolutions and window attention that prompt tokens steer.

``encode`` computes what no prompt reaches, once per slice; ``decode`` what a prompt reaches, once per structure. After
"Prompt Tuning for Parameter-efficient Medical Image Segmentation" (Fischer, Bartler, Yang, arXiv 2211.09233).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import WindowAttention
from .blocks import AttentionStack, DecoderStage, EncoderStage, Head, Prompts, Stem
from .config import PUNetConfig
from .encoded import Encoded
from .proposer import Proposer


class PUNet(nn.Module):
    """The network without any structure's prompt. Images are (B, H, W, in_channels), any H and W."""

    def __init__(self, config: PUNetConfig) -> None:
        super().__init__()
        self.config = c = config
        self.stem = Stem(c.in_channels, c.widths[0], c.norm)

        def stack(name: str, level: int, count: int) -> AttentionStack:
            return AttentionStack(name, c.widths[level], c.heads[level], c.windows[level], count, c.second, c.mlp_ratio)

        self.encoder = nn.ModuleList(
            EncoderStage(
                c.widths[max(0, n - 1)], width, 2 if n else 1, c.norm, stack(f"encoder.{n}", n, c.encoder_blocks[n])
            )
            for n, width in enumerate(c.widths)
        )
        self.decoder = nn.ModuleDict(
            {
                str(n): DecoderStage(
                    c.widths[n + 1], c.widths[n], c.norm, c.up_project, stack(f"decoder.{n}", n, c.decoder_blocks[n])
                )
                for n in reversed(range(len(c.widths) - 1))
            }
        )
        self.head = Head(c.head, c.widths[0], c.in_channels, c.head_width, c.temperature)
        shapes = self.prompt_shapes()
        self.proposer = Proposer(c, shapes) if c.proposer_width else None

    @property
    def first_prompted(self) -> int:
        """The first encoder level that prompts enter (the bottleneck counts as the decoder's)."""
        return min((*self.config.prompted_encoder_levels, len(self.config.widths) - 1))

    def prompt_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of one structure's prompt."""
        c = self.config
        shapes: dict[str, tuple[int, ...]] = {}
        for stack in self.stacks():
            part, level = stack.name.split(".")
            if part == "encoder" and int(level) not in c.prompted_encoder_levels:
                continue
            for n in range(len(stack)):
                shapes[f"{stack.name}.{n}.tokens"] = (c.tokens, c.widths[int(level)])
                shapes[f"{stack.name}.{n}.bias"] = (c.heads[int(level)], c.tokens)
        shapes["head.foreground"] = (c.foreground_tokens, c.head_width)
        shapes["head.background"] = (c.background_tokens, c.head_width)
        return shapes

    def stacks(self) -> list[AttentionStack]:
        """All attention stacks, from the image to the head."""
        return [s.attention for s in self.encoder] + [s.attention for s in self.decoder.values()]

    def encode(self, images: Tensor) -> Encoded:
        """Everything about ``images`` (B, H, W, in_channels) that no prompt reaches. Pads on the high side.

        Of images with more channels, those in the middle are used: the slice itself, without its neighbours. Raises
        ``ValueError`` for fewer.
        """
        first = (images.shape[-1] - self.config.in_channels) // 2
        if first < 0:
            raise ValueError(f"{images.shape[-1]} slices for a network that sees {self.config.in_channels}")
        images = images[..., first : first + self.config.in_channels]
        height, width = images.shape[1:3]
        pad_h, pad_w = -height % self.config.stride, -width % self.config.stride
        if pad_h or pad_w:
            images = functional.pad(images, (0, 0, 0, pad_w, 0, pad_h), value=-1.0)
        x = self.stem(images)
        features: list[Tensor] = []
        pending = (x, x)
        for n, stage in enumerate(self.encoder):
            pending = stage.prepare(x)
            if n == self.first_prompted:
                break
            x = stage.attend(*pending, None)
            features.append(x)
        skip_terms = [self.decoder[str(n)].skip_term(f) for n, f in enumerate(features) if str(n) in self.decoder]
        return Encoded((height, width), features, skip_terms, pending, self.head.image_term(images))

    def decoded(self, encoded: Encoded, prompts: Prompts | None) -> Tensor:
        """The last decoder stage's map under the given prompts, (B, H/2, W/2, C) of the padded size."""
        x = self.encoder[self.first_prompted].attend(*encoded.pending, prompts)
        skip_terms = list(encoded.skip_terms)
        for n in range(self.first_prompted + 1, len(self.encoder)):
            skip_terms.append(self.decoder[str(n - 1)].skip_term(x))
            stage = self.encoder[n]
            x = stage.attend(*stage.prepare(x), prompts)
        for name, stage in self.decoder.items():
            x = stage(x, skip_terms[int(name)], prompts)
        return x

    def pixel_features(self, encoded: Encoded, prompts: Prompts | None) -> Tensor:
        """The features that the head compares, under the given prompts: (B, H, W, width), padded size."""
        prompts = None if prompts is None else _batched(prompts)
        return self.head.features(self.decoded(encoded, prompts), encoded.image_term)

    def compare(self, features: Tensor, prompts: Prompts, size: tuple[int, int]) -> Tensor:
        """Logits (B, H, W) float32 of one structure, of pixel features and its head tokens; ``size`` is (H, W)."""
        return self.head.logits(features, _batched(prompts))[:, : size[0], : size[1]]

    def compare_along(self, unit: Tensor, prompts: Prompts, size: tuple[int, int]) -> Tensor:
        """:meth:`compare` for many structures: ``unit`` are the features' :func:`~.blocks.directions`, made once."""
        return self.head.logits_along(unit, _batched(prompts))[:, : size[0], : size[1]]

    def decode(self, encoded: Encoded, prompts: Prompts) -> Tensor:
        """Logits (B, H, W) float32 of one structure; a prompt's tensors are (n, C) or, one for each slice, (B, n, C)
        (attention biases: (heads, n) or (B, heads, n)).
        """
        return self.compare(self.pixel_features(encoded, prompts), prompts, encoded.size)

    def freeze(self) -> PUNet:
        """Ready for use: evaluation mode, no gradients to any weight. Returns itself."""
        # Convolutions of channels-last maps want their weights so too, and would turn them in every call.
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        for module in self.modules():
            if isinstance(module, WindowAttention):
                module.forget()
        return self


def _batched(prompts: Prompts) -> Prompts:
    """Tokens as (P, n, C); attention biases as they are."""
    return {k: v[None] if v.ndim == 2 and not k.endswith(".bias") else v for k, v in prompts.items()}
