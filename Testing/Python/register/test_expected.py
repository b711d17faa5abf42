"""The Dice to expect in another patient: a range, lower where the two fit poorly or the mask is uncertain of itself."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from PromptSegLib.register.expected import CALIBRATION, TransferCalibration, expected

CONFIDENT = {"probabilities": 0.95, "fit": 0.7, "network": 0.66, "agreement": 0.5}


def test_a_sure_mask_of_a_pair_that_fits_is_no_first_guess() -> None:
    found = expected(CONFIDENT)
    assert found.low < found.dice < found.high
    assert found.dice > 0.7
    assert not found.first_guess


def test_an_unsure_one_is_a_first_guess() -> None:
    found = expected(CONFIDENT | {"probabilities": 0.6, "fit": 0.4, "agreement": 0.3})
    assert found.first_guess


@pytest.mark.parametrize("name", ["probabilities", "agreement"])
def test_it_rises_with_what_tells(name) -> None:
    steps = [expected(CONFIDENT | {name: value}).dice for value in (0.4, 0.6, 0.8, 0.95)]
    assert all(before < after for before, after in pairwise(steps))


def test_a_mask_that_lies_on_nothing_is_not_believed_however_sure_it_is() -> None:
    unseen = CONFIDENT | {"agreement": 0.05}
    steps = [expected(unseen | {"separability": value}).dice for value in (0.0, 0.005, 0.03, 0.2, 0.8)]
    assert all(before < after for before, after in pairwise(steps))
    assert steps[1] < expected(unseen).dice - 0.1
    assert steps[3] > expected(unseen).dice


def test_where_the_network_sees_the_structure_too_that_hardly_matters() -> None:
    seen = CONFIDENT | {"agreement": 0.98}
    one, other = (expected(seen | {"separability": value}).dice for value in (0.003, 0.3))
    assert abs(one - other) < 0.01


def test_what_is_not_known_changes_nothing() -> None:
    assert expected(CONFIDENT | {"network": None}) == expected(CONFIDENT)
    usual = dict(zip(("probabilities", "fit", "network", "agreement"), CALIBRATION.means, strict=True))
    known = {name: 1 / (1 + math.exp(-value)) for name, value in usual.items()}
    for name in known:
        assert expected(known | {name: None}).dice == pytest.approx(expected(known).dice)
    assert expected({}) is not None


def test_a_line_of_no_pairs_says_nothing() -> None:
    assert CALIBRATION.pairs > 0
    assert expected(CONFIDENT, TransferCalibration((0.0,) * 4, (0.0,) * 4, 0.0, 1.0, 0)) is None
