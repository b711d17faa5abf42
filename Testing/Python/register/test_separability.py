"""Of several teachers' masks, those that lie on something count."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.register.log_odds import located
from PromptSegLib.register.picture import Picture
from PromptSegLib.register.separability import separability, shares

SHAPE = (40, 44, 48)


def ball(centre, radius=7) -> np.ndarray:
    return (sum((x - c) ** 2 for x, c in zip(np.indices(SHAPE), centre, strict=True)) < radius**2).astype(np.float32)


@pytest.fixture
def scene():
    """A ball that is brighter than its surroundings; masks on it, beside it and in a plain part."""
    truth = ball((20, 20, 20))
    grey = np.where(truth > 0, 160, 120) + np.random.default_rng(0).normal(0, 5, SHAPE)
    return grey.round().astype(np.uint8), truth, ball((20, 25, 21)), ball((20, 30, 36))


def test_the_nearer_to_the_structure_the_more_its_grey_values_are_others(scene) -> None:
    grey, truth, beside, elsewhere = scene
    on, near, off = (separability(mask, grey) for mask in (truth, beside, elsewhere))
    assert on > 0.8
    assert on > 3 * near > 3 * off
    assert off < 0.05


def test_shares_are_together_one_and_a_single_mask_has_all(scene) -> None:
    grey, *masks = scene
    found = shares([separability(mask, grey) for mask in masks])
    assert found.sum() == pytest.approx(1)
    assert found[0] > 0.7
    assert shares([0.2]) == shares([0.0]) == [1]


def test_masks_that_lie_on_nothing_count_alike(scene) -> None:
    grey, *_ = scene
    plain = np.full_like(grey, 120)
    masks = ball((20, 20, 20)), ball((22, 22, 22)), np.zeros(SHAPE, np.float32)
    assert shares([separability(mask, plain) for mask in masks]) == pytest.approx(1 / 3)
    assert separability(np.ones(SHAPE, np.float32), plain) == 0


def test_a_mask_at_the_border_of_the_picture(scene) -> None:
    grey, *_ = scene
    assert 0 <= separability(ball((0, 0, 47)), grey) < 0.1


def test_what_the_field_of_view_does_not_show_tells_nothing(scene) -> None:
    grey, _, _, elsewhere = scene
    cut = grey.copy()
    cut[:, :, 36:] = 0  # half of a mask that lies on nothing
    assert separability(elsewhere, cut) == pytest.approx(separability(elsewhere, grey), abs=0.02)
    assert separability(elsewhere, np.zeros_like(grey)) == 0


def test_teachers_that_lie_elsewhere_do_not_outvote_the_one_that_fits(scene, kit) -> None:
    grey, truth, _, _ = scene
    masks = [truth, ball((20, 30, 24)), ball((20, 31, 25))]
    picture, found = Picture(grey, (0.0, 0.0, 0.0)), []
    for weights in (None, shares([separability(mask, grey) for mask in masks])):
        one = located(masks, picture, weights)
        assert one is not None
        whole = np.zeros(SHAPE, bool)
        whole[one.box] = one.place > 0
        found.append(kit.dice(whole, truth > 0))
    assert found[0] < 0.3
    assert found[1] > 0.8
