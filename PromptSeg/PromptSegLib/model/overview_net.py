"""The overview network: where the known structures are in a CT, seen in three dimensions, as a whole at 3 mm and where
that helps once more at 2 mm.

PUNet sees slices at 2 mm, each with four neighbours, and tells edges well; what a slice does not show, as that there
is no heart below the diaphragm, it cannot know. This small U-Net in three dimensions (after Çiçek et al., arXiv
1606.06650) sees a quarter of a metre in every direction. It knows a fixed list of structures, is trained beside the
backbone (:mod:`PromptSegTrain.overview`) and ships with it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import BackboneError, InputError
from ..progress import ShouldStop, check, never
from ..resources import resource
from .backbone import weights_id
from .files import read_tensors, write_tensors
from .group_norm import normalised
from .precision import fast_dtype

FORMAT = "promptseg-overview-1"
FILE = "overview-ct.safetensors"
WIDTHS = (16, 48, 96, 128, 128)
BLOCKS = (0, 1, 2, 2, 1)
"""Features at 3, 6, 12, 24 and 48 mm, and residual convolutions on the way down; one more on the way up."""
GROUPS = 8
STRIDE = 2 ** (len(WIDTHS) - 1)
FINE = 2.0
"""Millimetres of the voxels in which it looks at a part again; it learns from crops of 3 mm and from such."""
DEPTH, OVERLAP = 64, 12
"""Slices that are looked at together, and by how many such parts overlap."""


def _normalised(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer for planes, of a map in space whose pixels it does not tell apart."""
    batch, channels, depth, height, width = x.shape
    flat = x.permute(0, 2, 3, 4, 1).reshape(batch, depth * height, width, channels).permute(0, 3, 1, 2)
    return (
        normalised(layer, flat)
        .permute(0, 2, 3, 1)
        .reshape(batch, depth, height, width, channels)
        .permute(0, 4, 1, 2, 3)
    )


def inputs_of(grey: Tensor, seen: Tensor) -> Tensor:
    """Grey 0..255 and field of view (S, A, R) as the network takes them: (1, 2, S, A, R) float32."""
    return torch.stack([torch.where(seen, grey / 127.5 - 1, -1.0), seen.to(grey.dtype)])[None]


SMALL = 4
"""Maps with a shorter side than this are computed in float32: oneDNN's bf16 gradients of a convolution's weights are
wrong there, or NaN (torch 2.13, AMD Zen 4)."""


def _computed(layer: nn.Module, x: Tensor) -> Tensor:
    if min(x.shape[2:]) >= SMALL or not torch.is_grad_enabled():
        return layer(x)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


class Block(nn.Module):
    """A convolution beside which the features pass: (B, C, S, A, R) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.conv = nn.Conv3d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, A, R) to the same."""
        return x + self.conv(functional.gelu(_normalised(self.norm, x)))


def chosen(head: nn.Conv3d, x: Tensor, channels: Tensor | None) -> Tensor:
    """A convolution of one voxel, all of its outputs or those that ``channels`` numbers."""
    if channels is None:
        return head(x)
    assert head.bias is not None
    return functional.conv3d(x, head.weight[channels], head.bias[channels])


class OverviewNet(nn.Module):
    """Grey levels and field of view (B, 2, S, A, R), sides multiples of 16, to logits (B, structures, S, A, R)."""

    def __init__(self, structures: Sequence[str]) -> None:
        super().__init__()
        self.structures = tuple(structures)
        self.card: dict[str, Any] = {}
        self.stem = nn.Conv3d(2, WIDTHS[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 3, stride=2, padding=1) for a, b in pairwise(WIDTHS))
        self.encoder = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(n))) for width, n in zip(WIDTHS, BLOCKS, strict=True)
        )
        self.up = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in pairwise(WIDTHS))
        self.decoder = nn.ModuleList(Block(width) for width in WIDTHS[:-1])
        self.norm = nn.GroupNorm(GROUPS, WIDTHS[0])
        self.head = nn.Conv3d(WIDTHS[0], len(self.structures), 1)
        nn.init.constant_(self.head.bias, -4.0)  # type: ignore[arg-type]

    @property
    def closer(self) -> tuple[str, ...]:
        """The structures that gain by a second look in voxels of :data:`FINE`, as the card tells."""
        return self._named("closer")

    @property
    def around(self) -> tuple[str, ...]:
        """The structures around which it looks a second time; those of :attr:`closer` if the card names none."""
        return self._named("around") or self.closer

    def _named(self, entry: str) -> tuple[str, ...]:
        named = self.card.get(entry)
        return tuple(n for n in self.structures if n in named) if isinstance(named, list | tuple) else ()

    def maps(self, x: Tensor, should_stop: ShouldStop = never) -> list[Tensor]:
        """(B, 2, S, A, R) to what the head sees, (B, 16, S, A, R), and then the decoder's coarser maps, each half as
        fine as the one before it. Raises ``Stopped``."""
        x = self.encoder[0](self.stem(x))
        skipped = [x]
        for down, blocks in zip(self.down, list(self.encoder)[1:], strict=True):
            check(should_stop)
            x = _computed(blocks, _computed(down, x))
            skipped.append(x)
        x, found = skipped.pop(), []
        for level in reversed(range(len(self.up))):
            check(should_stop)
            x = functional.interpolate(self.up[level](x), scale_factor=2.0, mode="trilinear") + skipped.pop()
            x = _computed(self.decoder[level], x)
            found.append(x)
        found[-1] = functional.gelu(_normalised(self.norm, x))
        return found[::-1]

    def forward(self, x: Tensor, channels: Tensor | None = None, should_stop: ShouldStop = never) -> Tensor:
        """Logits of all structures, or of those that ``channels`` numbers. Raises ``Stopped``."""
        return chosen(self.head, self.maps(x, should_stop)[0], channels)

    @torch.inference_mode()
    def logits(self, grey: np.ndarray, structures: Sequence[str], should_stop: ShouldStop = never) -> np.ndarray:
        """Logits (structures, S, A, R) float16 of a picture (S, A, R) uint8 of 3 mm or of :data:`FINE`, in which 0 is
        outside the field of view: part by part, each slice from the part that sees most around it. Raises
        ``Stopped``."""
        weight = self.head.weight
        channels = torch.tensor([self.structures.index(name) for name in structures], device=weight.device)
        out = np.full((len(structures), *grey.shape), -8.0, np.float16)
        depth, height, width = grey.shape
        padded = [-(-n // STRIDE) * STRIDE for n in (height, width)]
        starts = [0] if depth <= DEPTH else np.linspace(0, depth - DEPTH, -(-(depth - OVERLAP) // (DEPTH - OVERLAP)))
        starts = [round(float(s)) for s in starts]
        dtype = fast_dtype(weight.device)
        for n, start in enumerate(starts):
            check(should_stop)
            part = torch.from_numpy(grey[start : start + DEPTH])
            long = -(-len(part) // STRIDE) * STRIDE
            pad = (0, padded[1] - width, 0, padded[0] - height, 0, long - len(part))
            x = inputs_of(part.float(), part > 0)
            x = functional.pad(x, pad)
            x[:, 0, :, :, :].masked_fill_(x[:, 1] == 0, -1.0)
            x = x.to(weight.device).contiguous(memory_format=torch.channels_last_3d)
            with torch.autocast(weight.device.type, dtype, enabled=dtype != torch.float32):
                found = self(x, channels, should_stop)[0, :, : len(part), :height, :width]
            first = 0 if n == 0 else (starts[n - 1] + DEPTH + start) // 2 - start
            last = len(part) if n + 1 == len(starts) else (start + DEPTH + starts[n + 1]) // 2 - start
            out[:, start + first : start + last] = found[:, first:last].clamp(-16, 16).half().cpu().numpy()
        return out


def overview_net(path: Path | None = None, device: torch.device | str = "cpu") -> OverviewNet:
    """The network that ships, or that in a file, on a device. Raises :class:`BackboneError` for one that cannot be
    used."""
    try:
        file = path or resource("Models", FILE)
        about = file.stat()
    except InputError as error:
        raise BackboneError(error.problem, error.remedy) from error
    except OSError as error:
        raise BackboneError(f"{file} cannot be read: {error.strerror}", "get the file again") from error
    return _read(file, about.st_size, about.st_mtime_ns, str(device))


@functools.lru_cache(maxsize=2)
def _read(file: Path, size: int, time_ns: int, device: str) -> OverviewNet:
    try:
        tensors, meta = read_tensors(file)
    except InputError as error:
        raise BackboneError(error.problem, error.remedy) from error
    if meta.get("format") != FORMAT:
        raise BackboneError(f"{file.name} is not an overview network", "get the file again")
    try:
        net = OverviewNet([str(name) for name in json.loads(meta["structures"])])
        net.load_state_dict({k: v.float() for k, v in tensors.items()})
        net.card = {**json.loads(meta["card"]), "id": weights_id(tensors)}
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise BackboneError(f"{file.name} does not fit this version of PromptSeg", "get the file again") from error
    return net.to(device, memory_format=torch.channels_last_3d).eval().requires_grad_(False)


def write_overview_net(path: Path, net: OverviewNet, weights: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write ``weights`` of a network as fp16 with its card; who reads it finds the ``id`` of the weights there, too."""
    tensors = {k: v.detach().half().contiguous() for k, v in weights.items()}
    meta = {"format": FORMAT, "structures": json.dumps(list(net.structures)), "card": json.dumps(card)}
    write_tensors(path, tensors, meta)
