"""How good a structure that was taught in another patient is likely to be here: an expected Dice with a range.

What tells: the Dice that the final probabilities let expect of themselves, how well the two CTs fit, what the network
found alone of slices that were left out, and how far network and carried mask agree. Their log-odds are combined by a
line that is fitted to pairs of patients with a reference; a line of no pairs is shown to nobody. Where the network does
not see the structure, a mask may be sure of itself and lie on nothing: there it tells how far its grey values differ
from those around it (:mod:`.separability`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .blend import log_odds
from .separability import LEAST

NAMES = ("probabilities", "fit", "network", "agreement")
FIRST_GUESS = 0.5
"""A lower expected Dice is called a first guess."""


@dataclass(frozen=True)
class Expected:
    """``dice`` to be expected; in about four of five cases it lies from ``low`` to ``high``."""

    dice: float
    low: float
    high: float

    @property
    def first_guess(self) -> bool:
        """Whether it has to be drawn further in any case."""
        return self.dice < FIRST_GUESS


@dataclass(frozen=True)
class TransferCalibration:
    """``weights`` of :data:`NAMES` around their ``means``, ``offset`` and the standard deviation ``spread`` of what is
    left, in log-odds of Dice; ``pairs`` is to how many it was fitted: none, and nothing is said."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    offset: float
    spread: float
    pairs: int


# ``carried.py --expect`` prints this line. It was fitted to 133 pairs of seven patients: 81 as Segment finds them
# (heart, aorta and esophagus, nine abdominal organs, and four that the network never saw, from five slices each), and
# 52 of four organs by prompts that knew them, in whole volumes.
# How well the CTs fit and what was left out told of the network add nothing to the other two.
# The spread is that of patients whom the line was not fitted to: 78 % of these lay within the range.
CALIBRATION = TransferCalibration((0.867, 0.0, 0.0, 0.238), (2.666, 0.216, 0.162, 0.698), 1.051, 0.80, 133)

SEPARABLE, OFFSET, USUAL = 0.649, 0.181, -2.6
"""Log-odds for each unit of the logarithm of separability from its usual one on, and in any case, as far as network and
mask do not agree. Fitted to what the line above leaves in 54 results of five patients (left kidney, stomach, aorta and
pancreas by networks that never saw them, of one and of three teachers; heart, esophagus and aorta taught in one chest):
of structures that it was not fitted to, 91 % lie within the range for 69 %, with a root mean square error of 0.67 for
0.98 log-odds. A stomach that was carried to where none is had 0.23, and 0.68 was told."""


def expected(found: Mapping[str, float | None], calibration: TransferCalibration | None = None) -> Expected | None:
    """From what is known, by :data:`NAMES` and as ``separability``, each 0..1 or None; None where the line was not
    fitted."""
    c = calibration or CALIBRATION
    if not c.pairs:
        return None
    at = c.offset
    for name, weight, mean in zip(NAMES, c.weights, c.means, strict=True):
        value = found.get(name)
        if value is not None and not math.isnan(value):
            at += weight * (log_odds(value) - mean)
    apart = found.get("separability")
    if apart is not None:
        unseen = 1.0 - (found.get("agreement") or 0.0)
        at += unseen * (OFFSET + SEPARABLE * (math.log(apart + LEAST) - USUAL))
    reach = 1.2816 * c.spread
    return Expected(*(1 / (1 + math.exp(-x)) for x in (at, at - reach, at + reach)))
