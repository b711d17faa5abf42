"""Colours that mean something are told apart with any colour vision, on any grey, and without colour at all."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from PromptSegLib.mrml import overlay
from PromptSegLib.review.thumbnails import OURS, REFERENCE

VISION = {
    "usual": np.eye(3),
    "no red cones": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green cones": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no blue cones": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
"""On linear red, green and blue (Machado, Oliveira and Fernandes, IEEE Trans Vis Comput Graph 15, 2009; severity 1)."""
APART = 20
"""Distance in CIE L*a*b* of what nobody takes for the same colour; 2 is just seen."""
PAIRS = {"differences": (overlay.FIRST_COLOUR, overlay.SECOND_COLOUR), "contours": (OURS, REFERENCE)}


def lab(rgb, vision) -> np.ndarray:
    """CIE L*a*b* (D65) of an sRGB colour, 0 to 255, as somebody with that vision sees it."""
    part = np.asarray(rgb, float) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    to_xyz = np.array(((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)))
    x, y, z = np.cbrt(np.maximum(to_xyz @ linear / (0.9505, 1.0, 1.089), 1e-4))
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def distance(one, other, vision) -> float:
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("pair", PAIRS)
def test_what_only_one_has_is_never_taken_for_what_only_the_other_has(pair, vision) -> None:
    colours = PAIRS[pair]
    assert distance(*colours, vision) > 2 * APART
    for colour in colours:
        assert min(distance(colour, (grey,) * 3, vision) for grey in range(256)) > APART


@pytest.mark.parametrize("vision", VISION)
def test_more_uncertain_is_lighter(vision) -> None:
    light = [lab(one, vision)[0] for one in overlay.gradient(20)]
    assert all(after > before for before, after in pairwise(light))
    assert light[-1] - light[0] > 60


def test_what_a_reviewer_decided_is_told_by_signs() -> None:
    """And not by colours: of slices in the gallery and in the report."""
    from PromptSegLib.review.page import ACCEPTED, FLAGGED, SEEN, Decision

    signs = [Decision(one).told(mark=True)[0] for one in (ACCEPTED, FLAGGED, SEEN)]
    assert all(one != other and not one.isalpha() for one, other in combinations(signs, 2))
