"""What a PUNet is made of; everything else about it follows from here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import BackboneError

MAX_LEVELS = 8
# A file's configuration is built before its weights are there to compare: what can be asked for has bounds, far above
# what is of use. (least, most) of each entry.
_LISTS = {
    "widths": (1, 2048),
    "heads": (1, 64),
    "windows": (1, 32),
    "encoder_blocks": (0, 32),
    "decoder_blocks": (0, 32),
    "prompted_encoder_levels": (0, MAX_LEVELS - 1),
}
_NUMBERS = {
    "in_channels": (1, 64),
    "tokens": (1, 512),
    "head_width": (1, 512),
    "foreground_tokens": (1, 512),
    "background_tokens": (1, 512),
    "mlp_ratio": (0, 16),
    "proposer_width": (0, 2048),
}


@dataclass(frozen=True)
class PUNetConfig:
    """Sizes and choices of one PUNet. Levels count from 0 (half resolution) to ``len(widths) - 1`` (the bottleneck).

    The defaults are the ones that ship; :func:`paper` gives the published sizes. ``docs/model.md`` has the reasons.
    """

    in_channels: int = 5
    """The slice between its neighbours: 3 with those about 3 mm away, 5 with those about 12 mm away, too."""
    widths: tuple[int, ...] = (32, 64, 128, 256, 384)
    heads: tuple[int, ...] = (1, 2, 4, 8, 12)
    windows: tuple[int, ...] = (8, 8, 8, 12, 12)
    """Side of the attention windows at each level; a smaller map is one window."""
    encoder_blocks: tuple[int, ...] = (0, 2, 2, 2, 2)
    decoder_blocks: tuple[int, ...] = (1, 2, 2, 2)
    """Attention sub-blocks at each level; the decoder's levels too are counted from the finest."""
    second: str = "grid"
    """What every second sub-block does: "shift" (the paper: windows moved by half) or "grid" (strided, global)."""
    mlp_ratio: int = 1
    """Hidden width of the two-layer GELU MLP; 0 is the paper's single linear layer."""
    norm: str = "group"
    """"group" (no statistics that depend on a batch) or "batch" (the paper)."""
    tokens: int = 16
    """Prompt tokens of a structure in each prompted sub-block."""
    prompted_encoder_levels: tuple[int, ...] = (4,)
    """Encoder levels that prompts enter; the decoder's are all prompted. What comes before is shared by all
    structures."""
    up_project: bool = True
    """Reduce channels before upsampling, at a quarter of the cost."""
    head: str = "full"
    """"full": logits at the working resolution by sub-pixel features; "half" (the paper): at half of it, upsampled."""
    head_width: int = 16
    foreground_tokens: int = 8
    background_tokens: int = 8
    """A structure's own background tokens in the head, so that it can say what it is not."""
    temperature: float = 0.1
    """Of the cosine head: logits are similarities divided by this."""
    proposer_width: int = 128
    """Width of the network that proposes a prompt from annotated slices; 0 leaves it out (the paper has none)."""

    def __post_init__(self) -> None:
        for name, (low, high) in _LISTS.items():
            values = getattr(self, name)
            if not isinstance(values, tuple) or any(type(v) is not int or not low <= v <= high for v in values):
                raise BackboneError(
                    f"The model's configuration has {name} = {_short(values)}, not whole numbers from {low} to {high}"
                )
        for name, (low, high) in _NUMBERS.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise BackboneError(
                    f"The model's configuration has {name} = {_short(value)}, not a whole number from {low} to {high}"
                )
        if not isinstance(self.up_project, bool) or len(self.widths) > MAX_LEVELS:
            raise BackboneError("The model's configuration has a switch or a depth that cannot be")
        levels = len(self.widths)
        lengths = {len(self.heads), len(self.windows), len(self.encoder_blocks), len(self.decoder_blocks) + 1}
        if lengths != {levels} or not levels:
            raise BackboneError("The model's configuration has lists of different lengths")
        if any(w % h for w, h in zip(self.widths, self.heads, strict=True)):
            raise BackboneError("A width in the model's configuration is not a multiple of its heads")
        if any(n >= levels for n in self.prompted_encoder_levels):
            raise BackboneError("The model's configuration has prompts at a level that is not there")
        if type(self.temperature) not in (int, float) or not 0 < self.temperature <= 1000:
            raise BackboneError("The model's configuration has a temperature that cannot be")
        if self.proposer_width % 4:
            raise BackboneError("The model's configuration has a proposer whose width is no multiple of its four heads")
        if self.proposer_width and max(self.foreground_tokens, self.background_tokens) > self.tokens // 2:
            raise BackboneError("The model's configuration has more tokens in the head than its proposer makes")
        for name, value, known in (
            ("second", self.second, ("shift", "grid")),
            ("norm", self.norm, ("group", "batch")),
            ("head", self.head, ("full", "half")),
        ):
            if value not in known:
                raise BackboneError(
                    f"The model's configuration has {name} = {_short(value)}, not one of {', '.join(known)}"
                )

    @property
    def stride(self) -> int:
        """Working pixels per bottleneck pixel: images are padded to a multiple of it."""
        return 2 ** len(self.widths)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PUNetConfig:
        """From :meth:`to_dict`'s JSON. Raises :class:`BackboneError` for fields that this version does not know."""
        try:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**fields)
        except (TypeError, AttributeError) as error:
            raise BackboneError("The backbone was made by another version of PromptSeg", "update PromptSeg") from error


def paper() -> PUNetConfig:
    """The sizes of "Prompt Tuning for Parameter-efficient Medical Image Segmentation" (arXiv 2211.09233), 2-D, full
    prompting: 6.76 M parameters, prompts in every attention block."""
    return PUNetConfig(
        in_channels=1,
        heads=(8, 8, 8, 8, 8),
        windows=(8, 8, 8, 8, 8),
        encoder_blocks=(2, 2, 2, 2, 2),
        decoder_blocks=(2, 2, 2, 2),
        second="shift",
        mlp_ratio=0,
        norm="batch",
        prompted_encoder_levels=(0, 1, 2, 3, 4),
        up_project=False,
        head="half",
        head_width=32,
        foreground_tokens=16,
        background_tokens=16,
        proposer_width=0,
    )


def tiny() -> PUNetConfig:
    """A few thousand parameters with every part of the shipped model, for tests."""
    return PUNetConfig(
        in_channels=3,
        widths=(8, 16, 16),
        heads=(1, 2, 2),
        windows=(4, 4, 4),
        encoder_blocks=(0, 2, 2),
        decoder_blocks=(1, 2),
        prompted_encoder_levels=(2,),
        tokens=8,
        head_width=8,
        foreground_tokens=4,
        background_tokens=4,
        proposer_width=16,
    )


def _short(value: object) -> str:
    """A value as it fits into a sentence; a file's may be a number of a thousand digits."""
    if isinstance(value, int) and not -(10**30) < value < 10**30:
        return "a huge number"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_short, value[:10]))}]"
    return repr(value[:40]) if isinstance(value, str) else repr(value)[:60]
