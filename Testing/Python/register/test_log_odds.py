"""A carried mask becomes log-odds, and moves to where the patient's grey values show the structure."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.errors import Stopped
from PromptSegLib.register.log_odds import LIMIT, largest, located, placed
from PromptSegLib.register.picture import Picture
from PromptSegLib.volumes.preprocess import grey_from_hu


def ball(shape, centre, radius) -> np.ndarray:
    return sum((x - c) ** 2 for x, c in zip(np.indices(shape), centre, strict=True)) < radius**2


@pytest.fixture
def scene():
    """A bright ball in soft tissue, and the carried mask two voxels beside it."""
    shape = (40, 40, 40)
    truth, carried = ball(shape, (20, 20, 20), 7), ball(shape, (20, 22, 19), 7)
    hu = np.where(truth, 140.0, 30.0) + np.random.default_rng(0).normal(0, 12, shape)
    return Picture(np.rint(grey_from_hu(hu)).astype(np.uint8), (0.0, 0.0, 0.0)), truth, carried.astype(np.float32)


def test_the_place_keeps_the_volume(scene) -> None:
    _, _, carried = scene
    place = placed(carried, float(carried.sum()), 1.3)
    assert np.count_nonzero(place > 0) == pytest.approx(carried.sum(), rel=0.06)
    assert np.abs(place).max() <= LIMIT


def test_grey_values_bring_it_to_the_structure(scene, kit) -> None:
    picture, truth, carried = scene
    found = located([carried], picture)
    assert found is not None
    whole = np.zeros(truth.shape, bool)
    whole[found.box] = largest(found.log_odds > 0)
    assert kit.dice(carried > 0, truth) < 0.85
    assert kit.dice(whole, truth) > 0.93


def test_without_contrast_it_stays_where_it_is(scene, kit) -> None:
    picture, _, carried = scene
    plain = np.rint(grey_from_hu(np.random.default_rng(1).normal(30, 12, carried.shape))).astype(np.uint8)
    found = located([carried], Picture(plain, picture.origin))
    assert found is not None
    whole = np.zeros(carried.shape, bool)
    whole[found.box] = found.log_odds > 0
    assert kit.dice(whole, carried > 0) > 0.85


def test_several_teachers_are_one_mean(scene) -> None:
    picture, truth, carried = scene
    other = ball(truth.shape, (20, 18, 21), 7).astype(np.float32)
    both, one = located([carried, other], picture), located([carried], picture)
    assert both is not None
    assert one is not None
    assert both.volume_ml == pytest.approx(one.volume_ml, rel=0.01)


def test_nothing_carried_is_nothing(scene) -> None:
    picture, _, carried = scene
    assert located([np.zeros_like(carried)], picture) is None


def test_it_stops(scene) -> None:
    picture, _, carried = scene
    with pytest.raises(Stopped):
        located([carried], picture, should_stop=lambda: True)
