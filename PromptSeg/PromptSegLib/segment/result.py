"""What a segmentation is: label map, structures and, for each structure, its own mask on exactly the input's grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..anatomy.structure import Structure
from ..prior import (
    ALONE,
    BEYOND_MM,
    EVEN_WEIGHT,
    NETWORK_LIMIT,
    SCALE,
    Location,
    Prior,
    add_prior,
    probability_of,
    weighted,
)
from ..volumes.preprocess import WorkingVolume
from ..volumes.volume import Grid

FILL = -15.0
"""Logit of what is surely not the structure."""
NO_SIGN = -3.0
"""Logits up to this (probability 5 %) are no sign of a structure: a slice with nothing above it is not kept."""
UNDECIDED = 255
"""In drawn slices: not labelled, so that the network decides."""


def entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy in bits of probabilities 0..1, the same shape."""
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def _scaled(logits: np.ndarray) -> np.ndarray:
    """As they are kept: int8."""
    return np.clip(logits * SCALE, -127, 127).round().astype(np.int8)


@dataclass
class LogitMap:
    """A structure's logits on a working grid: int8 slices, only where something might be there."""

    work: WorkingVolume
    slices: dict[int, np.ndarray] = field(default_factory=dict)
    drawn: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Native slices 0 / 1 / 255 (undecided) that override the network."""
    prior: Prior = field(default_factory=Prior)
    network: dict[int, np.ndarray] = field(default_factory=dict)
    """The network's own logits, int8, of slices where a prior was added to them."""
    span: range | None = None
    """The slices in which the network is asked; None: all."""

    def wanted(self) -> set[int]:
        """The slices that the network has a say in: not those far beyond the drawing, which a prior keeps empty."""
        beyond = self.prior.beyond
        closed = {k for k, v in beyond.items() if NETWORK_LIMIT + v <= NO_SIGN}
        inside = [k for k in range(self.work.count) if k not in beyond]
        if inside:
            reach = int(np.ceil(BEYOND_MM / self.work.slice_mm))
            closed -= set(range(inside[0] - reach, inside[-1] + reach + 1))
        every = range(self.work.count) if self.span is None else self.span
        return set(every) - closed

    def put(self, index: int, logits: np.ndarray, seen: WorkingVolume | None = None) -> None:
        """Take up the network's logits (rows, columns) of one slice, with what the prior adds to them; ``seen`` is the
        grid that they are on if it is another than :attr:`work`."""
        if seen is not None:
            logits = self.work.taken_from(seen, logits, FILL)
        prior = self.prior.at(index)
        if prior is not None and logits.max() > NO_SIGN:
            self.network[index] = _scaled(logits)
        final = _scaled(logits if prior is None else add_prior(logits, prior))
        if final.max() > NO_SIGN * SCALE:
            self.slices[index] = final

    def replace(self, index: int, logits: np.ndarray) -> None:
        """Take other logits (rows, columns) for one slice, on :attr:`work`."""
        self.slices.pop(index, None)
        final = _scaled(logits)
        if final.max() > NO_SIGN * SCALE:
            self.slices[index] = final

    def locate(self, location: Location) -> None:
        """Bring what other patients tell to the network's logits, which stay in :attr:`network`; not to slices of
        which :attr:`prior` tells more."""
        alone = {**self.slices, **self.network}
        factors = location.blend(location.plausible(alone), location.known(alone))
        if factors == ALONE:
            self.network = alone
            return
        for index in sorted({*self.slices, *location.slices} - self.prior.contours.keys()):
            own = self.slices.pop(index, None)
            if own is None:
                logits: np.ndarray | float = -NETWORK_LIMIT
            else:
                self.network[index], logits = own, own / np.float32(SCALE)
            final = _scaled(location.blended(index, logits, factors))
            if final.max() > NO_SIGN * SCALE:
                self.slices[index] = final

    def uncertainty(self, index: int) -> np.ndarray | None:
        """How uncertain one slice is, working (rows, columns) float32 from 0 to 1; None where nothing is uncertain.

        Entropy in bits of :meth:`probability`. Drawn slices are certain.
        """
        probability = self.probability(index)
        return None if probability is None else entropy(probability)

    def expected_errors(self, index: int) -> float:
        """How many working pixels of one slice are wrong if :meth:`probability` is right; 0 for a drawn slice."""
        probability = self.probability(index)
        return 0.0 if probability is None else float(np.minimum(probability, 1 - probability).sum())

    def probability(self, index: int) -> np.ndarray | None:
        """Probabilities of one undrawn slice; None where there is no sign.

        The contours' own, with the network's logits counting as far as the chosen weight trusts them: what is added to
        the logits for the mask itself is held within limits and often stronger than that.
        """
        if index in self.drawn and not (self.drawn[index] == UNDECIDED).any():
            return None
        found, contour = self.slices.get(index), self.prior.contours.get(index)
        if contour is None or not self.prior.weight or index in self.prior.beyond:
            return None if found is None else probability_of(found)
        network = self.network.get(index)
        if network is None and found is None:
            return None
        own = np.full(self.work.size, -NETWORK_LIMIT, np.float32) if network is None else network / np.float32(SCALE)
        trust = EVEN_WEIGHT / max(self.prior.weight, EVEN_WEIGHT)
        return probability_of(
            (trust * np.clip(own, -NETWORK_LIMIT, NETWORK_LIMIT) + weighted(contour, EVEN_WEIGHT)) * SCALE
        )

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


def agreement_of(logits: LogitMap) -> tuple[float | None, float | None]:
    """The Dice that a map's probabilities let expect of its own mask, and the Dice of this mask with that of the
    network alone; None where there is no mask."""
    total = np.zeros(3)  # probability, mask, both
    both = np.zeros(3)
    for index in {*logits.slices, *logits.network}:
        final, alone = logits.slices.get(index), logits.network.get(index)
        found = np.zeros(logits.work.size, bool) if final is None else final > 0
        if final is not None:
            probability = probability_of(final)
            total += np.array([float(probability.sum()), float(found.sum()), float(probability[found].sum())])
        seen = np.zeros_like(found) if alone is None else alone > 0
        both += np.array([float(found.sum()), float(seen.sum()), float((found & seen).sum())])
    if not total[1]:
        return None, None
    return float(2 * total[2] / (total[0] + total[1])), float(2 * both[2] / (both[0] + both[1]))


@dataclass
class Segmentation:
    """``labels`` (K, J, I) uint8 or uint16: ``structures[i]`` has the value i + 1; where several structures claim a
    voxel, the most probable has it there, while :meth:`mask` has each completely. ``seconds`` per stage."""

    labels: np.ndarray
    grid: Grid
    structures: tuple[Structure, ...]
    maps: dict[str, LogitMap]
    seconds: dict[str, float] = field(default_factory=dict)
    voxels: dict[str, int] = field(default_factory=dict)
    """How many voxels each structure's whole mask has, as far as that was counted already."""
    notes: tuple[str, ...] = ()
    """Sentences on what was carried over from other patients, or could not be."""
    expected: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """The Dice to be expected of structures that were taught in other patients, and the ends of its range."""

    def volume_ml(self, name: str) -> float:
        """The volume of one structure's mask, overlaps kept, in ml."""
        if name not in self.voxels:
            self.voxels[name] = int(np.count_nonzero(self.mask(name)))
        return self.voxels[name] * float(np.prod(self.grid.spacing)) / 1000

    def nothing_of(self) -> tuple[str, ...]:
        """The structures of which nothing was found."""
        return tuple(s.name for s in self.structures if not self.volume_ml(s.name))

    def mask(self, name: str) -> np.ndarray:
        """(K, J, I) bool of one structure, overlaps kept."""
        return self._stack(name, bool, lambda logits: logits > 0)

    def probability(self, name: str) -> np.ndarray:
        """(K, J, I) float32, 0..1; 0 where the network saw no sign of the structure."""
        return self._stack(name, np.float32, lambda logits: 1 / (1 + np.exp(-logits)))

    def uncertainty(self, name: str) -> np.ndarray:
        """(K, J, I) float32, 0 (sure) to 1: where the mask of a structure is likely to be wrong; 0 where it was drawn.

        See :meth:`LogitMap.uncertainty`.
        """
        logits = self.maps[name]
        out = np.zeros(self.labels.shape, np.float32)
        view = np.moveaxis(out, logits.work.axis, 0)
        for index in {*logits.slices, *logits.network}:
            uncertain = logits.uncertainty(index)
            found = None if uncertain is None else logits.work.to_native(uncertain, 0.02)
            if found is not None:
                view[index][found[0]] = np.clip(found[1], 0, 1)
            if index in logits.drawn:
                view[index][logits.drawn[index] != UNDECIDED] = 0
        return out

    def _stack(self, name, dtype, function) -> np.ndarray:
        logits = self.maps[name]
        out = np.zeros(self.labels.shape, dtype)
        view = np.moveaxis(out, logits.work.axis, 0)
        for index in {*logits.slices, *logits.drawn}:
            found = logits.native(index)
            if found is not None:
                view[index][found[0]] = function(found[1])
        return out
