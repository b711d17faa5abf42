"""What a segmentation is: label map, structures and, for each structure, its own mask on exactly the input's grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..prompts.structure import Structure
from ..volumes.preprocess import WorkingVolume
from ..volumes.volume import Grid

SCALE = 8.0
"""Logits are kept as int8 times this: steps of 0.125, up to 15.9."""
FILL = -15.0
"""Logit of what is surely not the structure."""
NO_SIGN = -3.0
"""Logits up to this (probability 5 %) are no sign of a structure: a slice with nothing above it is not kept."""
NETWORK_LIMIT = 6.0
"""What the network's logits are held within where a prior is added to them."""


def add_prior(logits: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The network's logits, held within a limit, plus what is known from elsewhere."""
    return np.clip(logits, -NETWORK_LIMIT, NETWORK_LIMIT) + prior


@dataclass
class LogitMap:
    """A structure's logits on the working grid: int8 slices, only where something might be there."""

    work: WorkingVolume
    slices: dict[int, np.ndarray] = field(default_factory=dict)
    drawn: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Native slices 0 / 1 / 255 (undecided) that override the network."""
    prior: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Working slices (float32) to be added to the network's logits."""

    def native(self, index: int) -> tuple[tuple[slice, slice], np.ndarray] | None:
        """The box of one native slice along ``work.axis`` that may hold the structure, and its logits (float32); None
        if there is none."""
        box = self.work.to_native(self.slices[index], NO_SIGN * SCALE) if index in self.slices else None
        found = None if box is None else (box[0], box[1] / np.float32(SCALE))
        if index not in self.drawn:
            return found
        drawn = self.drawn[index]
        logits = np.full(drawn.shape, FILL, np.float32)
        if found is not None:
            logits[found[0]] = found[1]
        logits[drawn == 1], logits[drawn == 0] = -FILL, FILL
        return (slice(0, drawn.shape[0]), slice(0, drawn.shape[1])), logits


@dataclass
class Segmentation:
    """``labels`` (K, J, I) uint8 or uint16: ``structures[i]`` has the value i + 1; where several structures claim a
    voxel, the surest has it there, while :meth:`mask` keeps each whole. ``seconds`` per stage."""

    labels: np.ndarray
    grid: Grid
    structures: tuple[Structure, ...]
    maps: dict[str, LogitMap]
    seconds: dict[str, float] = field(default_factory=dict)

    def mask(self, name: str) -> np.ndarray:
        """(K, J, I) bool of one structure, overlaps kept."""
        return self._stack(name, bool, lambda logits: logits > 0)

    def probability(self, name: str) -> np.ndarray:
        """(K, J, I) float32, 0..1; 0 where the network saw no sign of the structure."""
        return self._stack(name, np.float32, lambda logits: 1 / (1 + np.exp(-logits)))

    def _stack(self, name, dtype, function) -> np.ndarray:
        logits = self.maps[name]
        out = np.zeros(self.labels.shape, dtype)
        view = np.moveaxis(out, logits.work.axis, 0)
        for index in {*logits.slices, *logits.drawn}:
            found = logits.native(index)
            if found is not None:
                view[index][found[0]] = function(found[1])
        return out
