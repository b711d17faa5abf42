"""How good a result is likely to be between the first and the last drawn slice: an estimated Dice with a range, from
what is known without a reference. Of what lies beyond them it says nothing.

Four things tell: the leave-one-slice-out Dice, the Dice that the final probabilities themselves let expect, how far
network and contours agree between drawn slices, and how far apart the drawn slices are. Their log-odds are combined by
a line that ``Testing/Benchmarks/calibration.py`` fits to pairs of volume and structure with a reference; it also says
how well the line holds on volumes that it was not fitted to, and leaves out what does not help. A line of no pairs is
shown to nobody.

It is an estimate for structures and images like those: where network, contours and drawing are wrong in the same way,
it cannot know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..annotations import SliceAnnotations
from ..segment.result import LogitMap
from .outcome import Estimate

NAMES = ("leave_one_out", "expected", "agreement", "gap")


@dataclass(frozen=True)
class Calibration:
    """``weights`` of the signs of :data:`NAMES` around their ``means``, the ``offset`` and the standard deviation
    ``spread`` of what is left, all in log-odds of Dice; ``pairs`` is to how many pairs it was fitted."""

    weights: tuple[float, float, float, float]
    means: tuple[float, float, float, float]
    offset: float
    spread: float
    pairs: int


# calibration.py prints this line. A sign that is not known takes its mean. The spread is that of volumes that the line
# was not fitted to; 82 % lay within ranges whose line and width came from the other volumes, where 80 % are meant.
CALIBRATION = Calibration((0.042, 0.862, 0.0, -0.039), (0.263, 2.641, 1.352, 3.272), 2.253, 0.453, 83)


def left_between(annotations: SliceAnnotations) -> set[int]:
    """The undrawn slices between the first and the last one that is drawn or marked."""
    used = annotations.used()
    return set(range(used[0], used[-1])) - set(used) if used else set()


def predictors(logits: LogitMap, annotations: SliceAnnotations, leave_one_out: float | None) -> dict[str, float]:
    """What is known without a reference, by :data:`NAMES`; NaN for what is not.

    ``expected`` is the Dice of the mask with a truth drawn from the probabilities (:meth:`LogitMap.share`), over the
    undrawn slices between the first and the last drawn one; ``agreement`` the Dice of network and contours between
    drawn slices; ``gap`` the mean distance of drawn slices in mm. Dice lies in 0..1.
    """
    drawn = annotations.drawn()
    sums = np.zeros(4)  # probability, mask, both; then the same for network and contour
    both = np.zeros(3)
    for k in {*logits.slices, *logits.network} & left_between(annotations):
        p = logits.probability(k)
        if p is not None:
            found = logits.slices[k] > 0 if k in logits.slices else np.zeros(p.shape, bool)
            sums[:3] += float(p.sum()), float(np.count_nonzero(found)), float(p[found].sum())
    for k, contour in logits.prior.contours.items():
        inside = contour > 0
        network = logits.network.get(k)
        seen = np.zeros_like(inside) if network is None else network > 0
        both += np.count_nonzero(inside), np.count_nonzero(seen), np.count_nonzero(inside & seen)
    apart = np.diff(drawn).mean() * logits.work.slice_mm if len(drawn) > 1 else math.nan
    return {
        "leave_one_out": math.nan if leave_one_out is None else leave_one_out,
        "expected": 2 * sums[2] / (sums[0] + sums[1]) if sums[1] else math.nan,
        "agreement": 2 * both[2] / (both[0] + both[1]) if both[0] else math.nan,
        "gap": float(apart),
    }


def estimate(found: Mapping[str, float], calibration: Calibration = CALIBRATION) -> Estimate | None:
    """From :func:`predictors`; None if neither a left-out slice nor the mask says anything."""
    if math.isnan(found["leave_one_out"]) and math.isnan(found["expected"]):
        return None
    values = in_log_odds(found)
    at = calibration.offset + sum(
        w * (v - m) for w, v, m in zip(calibration.weights, values, calibration.means, strict=True) if not math.isnan(v)
    )
    unknown = sum(math.isnan(v) for v in values)
    reach = 1.2816 * calibration.spread * (1 + 0.25 * unknown)  # four of five of a normal distribution
    return Estimate(*(1 / (1 + math.exp(-x)) for x in (at, at - reach, at + reach)))


def in_log_odds(found: Mapping[str, float]) -> list[float]:
    """The signs as the line takes them: log-odds of Dice, held within 0.02 to 0.98, and the logarithm of the gap."""
    odds = [log_odds(found[name]) for name in NAMES[:3]]
    gap = found["gap"]
    return [*odds, math.log(max(gap, 1.0)) if gap == gap else math.nan]


def log_odds(dice: float) -> float:
    """Log-odds of a Dice held within 0.02 to 0.98; NaN stays NaN."""
    if math.isnan(dice):
        return math.nan
    held = min(max(dice, 0.02), 0.98)
    return math.log(held / (1 - held))
