"""What is known of a structure beside the network's logits: from drawn slices, or from other patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from .volumes.preprocess import WorkingVolume

SCALE = 8.0
"""Logits are kept as int8 times this: steps of 0.125, up to 15.9."""
EVEN_WEIGHT = 6.0
"""The contours' weight at which network and contours count alike."""
NETWORK_LIMIT = 6.0
"""What the network's logits are held within where a prior is added to them."""
PRIOR_LIMIT = 12.0
"""Twice what the network's logits are held within: close to a drawn slice the contour decides."""
BEYOND_MM = 30.0
"""How far beyond the outermost drawn slices the network's opinion counts, if only for what to draw next."""


Factors = tuple[float, float, float, float]
"""Of the network's logits, of place and of grey, and an offset."""
ALONE: Factors = (1.0, 0.0, 0.0, 0.0)
"""The network and nothing else."""


def add_prior(logits: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The network's logits, held within a limit, plus what is known from elsewhere."""
    return np.clip(logits, -NETWORK_LIMIT, NETWORK_LIMIT) + prior


def weighted(contour: np.ndarray, weight: float) -> np.ndarray:
    """The addition to the logits that a contour (see :class:`Prior`) gives with ``weight``."""
    return np.clip(weight * contour.astype(np.float32), -PRIOR_LIMIT, PRIOR_LIMIT)


@dataclass(frozen=True)
class Prior:
    """What drawn slices say about the others, on the working grid.

    ``contours`` are slices (rows, columns) between drawn ones: how sure those make a pixel, positive inside; times
    :data:`EVEN_WEIGHT` it is a logit. ``weight`` is how much they count beside the network;
    ``beyond`` is added to all logits of slices beyond the outermost drawn ones. ``work`` is the grid that the contours
    are on, as fine as the network's or finer; None: the network's.
    """

    contours: Mapping[int, np.ndarray] = field(default_factory=dict)
    weight: float = 0.0
    beyond: Mapping[int, float] = field(default_factory=dict)
    work: WorkingVolume | None = None

    def at(self, index: int) -> np.ndarray | None:
        """The addition to the logits of one slice; None if nothing is known there."""
        if index in self.beyond:
            return np.array(self.beyond[index], np.float32)
        if self.weight and index in self.contours:
            return weighted(self.contours[index], self.weight)
        return None


@dataclass(frozen=True)
class Location:
    """What other patients tell of where a structure is, on the network's working grid.

    ``slices`` has, by index, log-odds of the place and what grey values add to them, (rows, columns) each; beside them
    the place is surely not the structure's, ``outside``. ``blend`` says how much each counts once it is known how well
    the network's own mask fits the place (:meth:`plausible`), and how far the network knows the structure by itself
    (:meth:`known`): factors of the network's logits, held within a limit, of place and of grey, and an offset. The
    network is asked in the slices ``span`` and in the rows and columns ``crop``;
    None is everywhere.
    """

    slices: Mapping[int, tuple[np.ndarray, np.ndarray]]
    blend: Callable[[float, float], Factors]
    outside: float
    span: range | None = None
    crop: tuple[slice, slice] | None = None

    def plausible(self, network: Mapping[int, np.ndarray]) -> float:
        """How far the network's int8 logits are sure of themselves and of one mind with the place, 0 to 1: the Dice
        that they let expect of their own mask, times the share of this mask that lies where the structure may be, times
        how like the two are in size (all of it for half the size to twice)."""
        sums, size = np.zeros(4), 0.0  # probability, mask, both; mask within reach
        for index in {*self.slices, *network}:
            place = self.slices.get(index, (self.outside, 0.0))[0]
            size += float(np.sum(np.asarray(place) > 0))
            own = network.get(index)
            if own is not None:
                probability, found = probability_of(own), own > 0
                inside = found & (np.broadcast_to(place, own.shape) > self.outside / 2)
                both = float(probability[found].sum())
                sums += np.array([float(probability.sum()), float(found.sum()), both, float(inside.sum())])
        if not sums[1] or not size:
            return 0.0
        alike = min(sums[1], size) / max(sums[1], size)
        return float(2 * sums[2] / (sums[0] + sums[1]) * sums[3] / sums[1] * min(1.0, 2 * alike))

    def known(self, network: Mapping[int, np.ndarray]) -> float:
        """How far the network's int8 logits show that it knows the structure by itself, 0 to 1: the Dice that they let
        expect of their own mask, times the share of its largest piece; less where most of it lies where the structure
        cannot be, or it is more than three times as large, or as small, as what was carried over, if anything was."""
        shown = {index: own for index, own in network.items() if (own > 0).any()}
        size = float(sum(np.sum(np.asarray(place) > 0) for place, _ in self.slices.values()))
        if not shown:
            return 0.0
        low, high = min(shown), max(shown)
        found = np.zeros((high - low + 1, *next(iter(shown.values())).shape), bool)
        sums = np.zeros(4)  # probability, mask, both; mask within reach
        for index, own in network.items():
            probability, mask = probability_of(own), own > 0
            place = np.broadcast_to(self.slices.get(index, (self.outside, 0.0))[0], own.shape)
            inside = float(np.count_nonzero(mask & (place > self.outside / 2)))
            sums += np.array([float(probability.sum()), float(mask.sum()), float(probability[mask].sum()), inside])
            if index in shown:
                found[index - low] = mask
        pieces = np.bincount(ndimage.label(found)[0].ravel())[1:]
        own_dice = 2 * sums[2] / (sums[0] + sums[1])
        if not size:
            return float(own_dice * pieces.max() / pieces.sum())
        alike = min(sums[1], size) / max(sums[1], size)
        return float(own_dice * pieces.max() / pieces.sum() * min(1.0, 2 * sums[3] / sums[1]) * min(1.0, 3 * alike))

    def cut(self, network: Mapping[int, np.ndarray], count: int) -> bool:
        """Whether the network's mask reaches the border of the part that it was asked in, of ``count`` slices."""
        first, last = (0, count - 1) if self.span is None else (self.span.start, self.span.stop - 1)
        for index, own in network.items():
            mask = own > 0
            if not mask.any():
                continue
            if (index == first and first > 0) or (index == last and last < count - 1):
                return True
            for axis, part in enumerate(self.crop or ()):
                there, size = np.flatnonzero(mask.any(1 - axis)), mask.shape[axis]
                if (there[0] <= part.start > 0) or (there[-1] >= part.stop - 1 and part.stop < size):
                    return True
        return False

    def blended(self, index: int, logits: np.ndarray | float, factors: Factors) -> np.ndarray:
        """Logits of one slice from those of the network and :attr:`blend`'s factors."""
        network, place, grey, offset = factors
        at, ratio = self.slices.get(index, (self.outside, 0.0))
        own = network * np.clip(logits, -NETWORK_LIMIT, NETWORK_LIMIT) + offset
        return own + place * np.float32(at) + grey * np.float32(ratio)


def probability_of(logits: np.ndarray) -> np.ndarray:
    """Probabilities of scaled logits."""
    return 1 / (1 + np.exp(-logits.astype(np.float32) / SCALE))
