"""Carried mask, grey values and network in one: how much each counts, and the way to the network's slices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from ..prior import ALONE, Factors
from ..progress import ShouldStop, check, never
from ..volumes.preprocess import WorkingVolume
from .grey_fit import PairFit
from .log_odds import LIMIT, Located
from .picture import Picture

UNKNOWN_DICE = 0.3
"""What a prompt that says nothing of the network is taken to find alone."""
UNCERTAIN, CONFIDENT = 0.90, 0.94
"""How far a network that knows a structure by itself (:meth:`PromptSegLib.prior.Location.known`) does without what was
carried over: from the first on less of it counts, from the second on nothing. Looked at in 20 pairs of five patients
(``carried.py --samples``): ten of these networks had 0.93 or more, with a Dice of 0.69 to 0.96; pancreas and stomach
(0.56 to 0.85) mostly had 0.85 to 0.90, and five slices of one chest showed the heart of two others (0.22) with 0.44 and
0.71. None of the ten lost more than 0.001."""
EASE, POOR, WELL = 0.3, 0.4, 0.6
"""Where two CTs fit poorly (:attr:`PairFit.trust` from the third figure down to the second), a network that is less
sure is left alone, too. It does not go far enough where the place is quite wrong: see :func:`most_beside`."""
ELSEWHERE, HALF = 0.6, 0.5
"""Of a prompt that was measured in the patient of its drawn slices alone: what of that Dice is to be expected in
another, and how much its network counts there. Hearts, aortas and esophagi of four chests (0.58 to 0.68 of left-out
slices, 0.58 to 0.76, 0.37 to 0.61 and 0.18 to 0.54 elsewhere) have 0.693 for 0.625 with these, nine abdominal organs of
three patients 0.776 for 0.770, each from five slices of one patient (``carried.py --samples``)."""
SHARE_BESIDE = 0.4
BLIND, SEEING = 0.1, 0.4
DOUBTFUL, MEASURED = 0.35, 0.6
AGREEING, OF_ONE_MIND = 0.7, 0.85


# Rows: network, place, grey, offset; columns: alone, and times the log-odds of what leaving slices out told of the
# network, of how far the network agrees with the place here, and of the fit.
COEFFICIENTS = (
    (0.60, 0.15, 0.20, 0.0),
    (0.60, -0.05, -0.10, 0.2),
    (0.50, -0.05, -0.15, 0.0),
    (0.0, 0.0, 0.0, 0.0),
)
"""Set by hand. In the ten of these pairs in which the network was not sure, the mean Dice near the structure is 0.58
with them, 0.48 of the network alone and 0.50 of the place with grey values; ``carried.py --fit`` prints what should
take their place once there are pairs of many teachers."""


def blend_of(
    left_out_dice: float | None,
    plausible: float,
    fits: Sequence[PairFit],
    table: Sequence[Sequence[float]] = COEFFICIENTS,
    known: float = 0.0,
    most: float = 1.0,
    elsewhere: bool = False,
) -> Factors:
    """Factors of the network's logits, of place and of grey, and an offset.

    ``left_out_dice`` is that of the network alone, ``plausible`` how far it agrees with the place here
    (:meth:`PromptSegLib.prior.Location.plausible`), ``fits`` how well the teachers fit. ``known`` is how far the
    network knows the structure by itself: the more, the less the others count, and from :data:`CONFIDENT` on they do
    not count at all. ``most`` is the share of it that counts at most (:func:`most_beside`); ``elsewhere`` says that the
    network was measured in another patient, that of the drawn slices, and nowhere else (:data:`ELSEWHERE`).
    """
    poor = 1.0 - _share(_trust(fits), POOR, WELL)
    share = min(max(0.0, (CONFIDENT - known) / (CONFIDENT - UNCERTAIN + EASE * poor)), most)
    if not share:
        return ALONE
    if elsewhere and left_out_dice is not None:
        left_out_dice *= ELSEWHERE
    factors = predictors(left_out_dice, plausible, fits)
    network, place, grey, offset = (sum(c * f for c, f in zip(row, factors, strict=True)) for row in table)
    blended = max(0.0, network) * (HALF if elsewhere else 1.0), max(0.05, place), max(0.0, grey), offset
    # What counts less is no less certain where both agree: far from the place nothing is the structure's.
    certain = 1.0 + share * (1.0 / HALF - 1.0) if elsewhere else 1.0
    a, b, c, d = (certain * (share * one + (1 - share) * other) for one, other in zip(blended, ALONE, strict=True))
    return a, b, c, d


def most_beside(dice: float | None, known: float, agreement: float | None) -> float:
    """Which share of what was carried over counts at most beside a network that was measured in other patients.

    All of it where the network had a ``dice`` of :data:`DOUBTFUL` there, or finds nothing here (``known`` of
    :data:`BLIND`), or where the masks of several teachers are of one mind (``agreement``, their Dice with each other);
    :data:`SHARE_BESIDE` where it had :data:`MEASURED`, finds something, and one teacher stands alone or several differ.
    In 52 pairs of five patients with four organs (``carried.py --shipped --samples``, each also with a blunted prompt)
    that leaves prompts as they ship at the network's mean Dice of 0.748, where all of the place brings them to 0.735
    and costs up to 0.44 (so 0.10); blunted ones have 0.719 for 0.717. That several of one mind count in full is a
    choice: hearts of three teachers took a network of 0.67 to 0.86; it was not measured on other pairs.
    """
    if dice is None:
        return 1.0
    doubts = (
        _share(dice, DOUBTFUL, MEASURED),
        _share(known, BLIND, SEEING),
        1.0 if agreement is None else 1.0 - _share(agreement, AGREEING, OF_ONE_MIND),
    )
    return 1.0 - (1.0 - SHARE_BESIDE) * math.prod(doubts)


def _share(value: float, low: float, high: float) -> float:
    """0 up to ``low``, 1 from ``high`` on."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def predictors(
    left_out_dice: float | None, plausible: float, fits: Sequence[PairFit]
) -> tuple[float, float, float, float]:
    """What the coefficients are multiplied with."""
    fit = _trust(fits)
    return 1.0, log_odds(UNKNOWN_DICE if left_out_dice is None else left_out_dice), log_odds(plausible), log_odds(fit)


def _trust(fits: Sequence[PairFit]) -> float:
    return float(np.mean([one.trust for one in fits])) if fits else 0.5


def log_odds(probability: float) -> float:
    """Held within 0.02 to 0.98."""
    held = min(max(probability, 0.02), 0.98)
    return math.log(held / (1 - held))


def on_slices(
    prior: Located, picture: Picture, work: WorkingVolume, should_stop: ShouldStop = never
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """A prior on the working slices that it reaches: ``place`` and ``grey``, (rows, columns) float16 by index; beside
    it the place is surely not the structure's. Raises ``Stopped``."""
    to_ras = work.to_ras  # from (slice, row, column) to RAS
    start = np.array([o + p.start * picture.spacing for o, p in zip(picture.origin, prior.box, strict=True)])
    turn = to_ras[2::-1, :3] / picture.spacing
    shift = (to_ras[2::-1, 3] - start) / picture.spacing
    shape = np.array(prior.place.shape)
    ends = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]) * (shape - 1)
    reach = (ends - shift) @ np.linalg.inv(turn).T
    size = np.array([work.count, *work.size])
    low = np.maximum(np.floor(reach.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(reach.max(0)).astype(int) + 1, size)
    out: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    if np.any(high <= low):
        return out
    rows, columns = slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2]))
    part = (1, *(int(n) for n in high[1:] - low[1:]))
    for index in range(int(low[0]), int(high[0])):
        check(should_stop)
        offset = turn @ np.array([index, low[1], low[2]], float) + shift
        found = []
        for values, outside in ((prior.place, -LIMIT), (prior.grey, 0.0)):
            plane = np.full(work.size, outside, np.float16)
            plane[rows, columns] = ndimage.affine_transform(
                values, turn, offset, part, np.float32, order=1, mode="constant", cval=outside
            )[0]
            found.append(plane)
        if found[0].max() > -LIMIT + 0.1:
            out[index] = found[0], found[1]
    return out


def box_of(
    slices: Mapping[int, tuple[np.ndarray, np.ndarray]], work: WorkingVolume, margin_mm: float
) -> tuple[slice, slice]:
    """(rows, columns) of the working grid in which the structure can be, with a margin; all of it for nothing."""
    shown = np.zeros(work.size, bool)
    for place, _ in slices.values():
        shown |= place > -LIMIT + 0.1
    box = []
    for axis, size in enumerate(work.size):
        there = np.flatnonzero(shown.any(1 - axis))
        if not len(there):
            box.append(slice(0, size))
            continue
        margin = margin_mm / work.spacing
        wanted = min(size, -(-max(96, round(there[-1] - there[0] + 1 + 2 * margin)) // 32) * 32)
        start = min(max(0, (int(there[0]) + int(there[-1]) + 1 - wanted) // 2), size - wanted)
        box.append(slice(start, start + wanted))
    return box[0], box[1]
