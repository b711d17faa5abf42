"""Where a structure is between two drawn slices, from everything that is known without knowing the structure.

Interpolated contours, contours propagated by registration, and how grey the structure is in the drawn slices each fail
in their own way. A small convolutional network, trained on other subjects (:mod:`PromptSegTrain.contour_fusion`),
weighs them up, pixel by pixel. It sees distances, likelihoods and edges: the picture only in units of the contrast
around the structure, in training as often turned into its negative, so that it knows no organ, no scanner and no
contrast phase. It has some 26,000 numbers, and ships beside the backbone.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from ..errors import BackboneError, InputError
from ..model.files import read_tensors, write_tensors
from ..progress import ShouldStop, check, never
from ..resources import resource

FORMAT = "promptseg-outlines-2"
FILE = "contour-fusion.safetensors"
WIDTH = 24
DILATIONS = (1, 2, 4, 8, 1)
MAPS, SCALARS = 8, 8
RING_MM = 12.0
"""What lies up to this far outside of a drawn contour is what the structure must be told from by its grey."""
_BINS = 64
_LIMIT = 4.0
_BATCH = 8


@dataclass(frozen=True)
class GapFeatures:
    """What is known between the drawn slices ``low`` and ``high``, on a box of the working grid.

    ``ends`` are the signed distances in mm (rows, columns) to both drawn contours, ``arrived`` those propagated across
    the whole gap: from ``low`` to ``high`` and back. ``greys`` are the drawn slices' pictures.
    """

    low: int
    high: int
    slice_mm: float
    ends: tuple[np.ndarray, np.ndarray]
    arrived: tuple[np.ndarray, np.ndarray]
    greys: tuple[np.ndarray, np.ndarray]

    @functools.cached_property
    def likelihoods(self) -> tuple[np.ndarray, np.ndarray]:
        """By drawn slice, for each of a few grey values: the log of how much likelier it is inside than close by."""
        tables = []
        for grey, distance in zip(self.greys, self.ends, strict=True):
            there, near = distance > 0, (distance <= 0) & (distance > -RING_MM)
            shares = []
            for part in (there, near):
                counts = np.histogram(grey[part], _BINS, (0, 256))[0].astype(float)
                smooth = ndimage.gaussian_filter1d(counts, 2) + 0.5
                shares.append(smooth / smooth.sum())
            tables.append(np.log(shares[0] / shares[1]).clip(-_LIMIT, _LIMIT).astype(np.float32))
        return tables[0], tables[1]

    @functools.cached_property
    def contrast(self) -> tuple[float, float]:
        """Mean and standard deviation of the drawn slices' grey values, inside and close by."""
        near = np.concatenate([g[d > -RING_MM] for g, d in zip(self.greys, self.ends, strict=True)])
        return float(near.mean()), float(near.std()) + 4.0

    @functools.cached_property
    def overlaps(self) -> tuple[float, float, float]:
        """Dice of what was propagated to the far end with what was drawn there, from either side; and of both
        drawings."""
        (low, high), (there, back) = self.ends, self.arrived
        return _dice(there, high), _dice(back, low), _dice(low, high)


def features_of(
    gap: GapFeatures, index: int, propagated: tuple[np.ndarray, np.ndarray], shape: np.ndarray, grey: np.ndarray
) -> tuple[np.ndarray, list[float]]:
    """What the network sees of slice ``index`` of a gap: maps (8, rows, columns) and eight scalars.

    ``propagated`` come from the lower and the upper drawn slice, (2, rows, columns) each: distances in mm and the
    slice's picture. ``shape`` are interpolated distances, ``grey`` is the picture. The nearer drawn slice comes first.
    """
    below, above = index - gap.low, gap.high - index
    near, far = (0, 1) if below <= above else (1, 0)
    level = (grey * (_BINS / 256)).astype(int).clip(0, _BINS - 1)
    mean, spread = gap.contrast
    maps = [
        propagated[near][0],
        propagated[far][0],
        shape,
        *(gap.likelihoods[n][level] / 2 for n in (near, far)),
        ((grey - mean) / spread).clip(-3, 3),
        *((np.abs(grey - propagated[n][1]) / spread).clip(0, 3) for n in (near, far)),
    ]
    apart = sorted((below, above))
    widest = [max(0.5, float(gap.ends[n].max())) for n in (near, far)]
    scalars = [
        2 * apart[0] / (gap.high - gap.low),
        *(np.log(n * gap.slice_mm) / 2 for n in apart),
        gap.overlaps[near],
        gap.overlaps[far],
        gap.overlaps[2],
        *np.log(widest),
    ]
    return np.stack(maps).astype(np.float32), [float(f) for f in scalars]


class ContourFusionNet(nn.Module):
    """Maps (B, 8, H, W) and scalars (B, 8) of :func:`features_of` to logits (B, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3 + MAPS + SCALARS, WIDTH, 1)
        self.layers = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=d, dilation=d) for d in DILATIONS)
        self.last = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, maps: Tensor, scalars: Tensor) -> Tensor:
        """Logits (B, H, W) of maps (B, 8, H, W) and scalars (B, 8)."""
        distances = maps[:, :3]
        spread = scalars[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        x = torch.cat([torch.tanh(distances / 2), distances.clamp(-12, 12) / 6, maps[:, 3:], spread], 1)
        x = functional.gelu(self.first(x))
        for layer in self.layers:
            x = x + functional.gelu(layer(x))
        return self.last(x)[:, 0]

    @torch.inference_mode()
    def score(
        self, features: Sequence[tuple[np.ndarray, list[float]]], should_stop: ShouldStop = never
    ) -> list[np.ndarray]:
        """Logits (rows, columns) float32 for what :func:`features_of` gave for some slices of one size. Raises
        ``Stopped``."""
        out: list[np.ndarray] = []
        for first in range(0, len(features), _BATCH):
            check(should_stop)
            part = features[first : first + _BATCH]
            maps = torch.from_numpy(np.stack([m for m, _ in part]))
            out += list(self(maps, torch.tensor([f for _, f in part], dtype=torch.float32)).numpy())
        return out


@functools.cache
def contour_fusion_net(path: Path | None = None) -> ContourFusionNet:
    """The network that ships, or that in a file. Raises :class:`BackboneError` for one that cannot be used."""
    net = ContourFusionNet()
    try:
        file = path or resource("ContourFusion", FILE)
        tensors, meta = read_tensors(file)
    except InputError as error:
        raise BackboneError(error.problem, error.remedy) from error
    if meta.get("format") != FORMAT:
        raise BackboneError(f"{file.name} is not a contour fusion network", "get the file again")
    try:
        net.load_state_dict({k: v.float() for k, v in tensors.items()})
    except RuntimeError as error:
        raise BackboneError(f"{file.name} does not fit this version of PromptSeg", "get the file again") from error
    return net.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def write_contour_fusion_net(path: Path, net: ContourFusionNet, card: dict[str, object]) -> None:
    """Write it as fp16 with its card."""
    tensors = {k: v.detach().half() for k, v in net.state_dict().items()}
    write_tensors(path, tensors, {"format": FORMAT, "card": json.dumps(card)})


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    """Of two maps of signed distances."""
    one, other = a > 0, b > 0
    return 2.0 * np.count_nonzero(one & other) / max(1, np.count_nonzero(one) + np.count_nonzero(other))
