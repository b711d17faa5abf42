"""What the labels of known organs tell of a structure: learned in the teacher, told in the patient."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.register.log_odds import located, placed
from PromptSegLib.register.organ_ratio import LIMIT, labelled, organ_ratios
from PromptSegLib.register.picture import Picture

SHAPE = (40, 40, 40)


@pytest.fixture
def teacher():
    """A block beside a known organ (1); another one (2) far away, and a third (3) that the network finds in a part of
    the block."""
    mask, labels = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    mask[12:28, 12:28, 12:20] = 1
    labels[10:30, 10:30, 20:30] = 1
    labels[:4] = 2
    labels[14:22, 14:22, 13:18] = 3
    return mask, labels


def test_an_organ_beside_it_speaks_against_it_and_one_within_for_it(teacher) -> None:
    ratios = organ_ratios(*teacher, 4)
    assert ratios[1] == pytest.approx(-LIMIT)
    assert ratios[3] > 1
    assert 0 < ratios[0] < 1


def test_labels_that_are_not_near_tell_nothing(teacher) -> None:
    ratios = organ_ratios(*teacher, 4)
    assert ratios[2] == ratios[4] == 0


def test_a_few_voxels_tell_little(teacher) -> None:
    mask, labels = teacher
    labels[12:14, 12, 19] = 4
    assert 0 < organ_ratios(mask, labels, 4)[4] < 0.4


def test_a_label_that_is_the_structure_says_so(teacher) -> None:
    mask, _ = teacher
    ratios = organ_ratios(mask, mask.astype(np.uint8), 1)
    assert ratios[1] == pytest.approx(LIMIT)
    assert ratios[0] == pytest.approx(-LIMIT)


def test_an_empty_mask_tells_nothing(teacher) -> None:
    assert not organ_ratios(np.zeros(SHAPE, np.float32), teacher[1], 4).any()


def test_a_mask_at_the_border_of_the_picture(teacher) -> None:
    mask, labels = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    mask[:8, :8, :8], labels[8:] = 1, 1
    assert organ_ratios(mask, labels, 1)[1] < -1


def test_what_was_carried_into_another_organ_leaves_it_and_keeps_its_volume(teacher, kit) -> None:
    mask, labels = teacher
    labels = np.where(labels == 1, labels, 0)
    carried = np.roll(mask, 4, 2)  # half of it lies in the organ, more than the blur lets back
    told = organ_ratios(mask, labels, 1)[labels]
    before, after = (placed(carried, float(mask.sum()), 1.3, organs) > 0 for organs in (0.0, told))
    assert np.count_nonzero(before & (labels == 1)) > 0.4 * mask.sum()
    assert np.count_nonzero(after & (labels == 1)) < 0.3 * mask.sum()
    assert np.count_nonzero(after) == pytest.approx(mask.sum(), rel=0.15)
    assert kit.dice(after, mask > 0) > kit.dice(before, mask > 0) + 0.1


def test_grey_values_are_fitted_to_what_is_left(teacher, kit) -> None:
    mask, labels = teacher
    labels = np.where(labels == 1, labels, 0)
    grey = np.random.default_rng(0).normal(120, 4, SHAPE).round().astype(np.uint8)  # all alike
    picture, carried = Picture(grey, (0.0, 0.0, 0.0)), np.roll(mask, 3, 2)
    found = {}
    for name, organs in (("alone", None), ("told", organ_ratios(mask, labels, 1)[labels])):
        one = located([carried], picture, organs=organs)
        assert one is not None
        found[name] = np.zeros(SHAPE, bool)
        found[name][one.box] = one.log_odds > 0
    assert kit.dice(found["told"], mask > 0) > kit.dice(found["alone"], mask > 0) + 0.1


def test_labels_that_make_up_the_structure_are_told_from_those_it_is_a_part_of(teacher) -> None:
    mask, labels = teacher
    own = mask.astype(np.uint8)
    part = np.zeros_like(own)
    part[4:36, 4:36, 4:36] = 1  # an organ in which it lies
    touching = own.copy()
    touching[20:, 20:, 16:] = 2  # a large one that reaches into it
    for there, low, high in ((own, 0.99, 1), (part, 0, 0), (touching, 0.8, 1), (labels, 0, 0.5), (own * 0, 0, 0)):
        assert low <= labelled(mask, there) <= high
