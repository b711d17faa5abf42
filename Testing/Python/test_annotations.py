"""Annotations say what was drawn, what is known to be empty, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.annotations import IGNORE, Slice, SliceAnnotations, SliceStatus
from PromptSegLib.errors import AnnotationError, GridError
from PromptSegLib.volumes.volume import Grid

GRID = Grid((5, 4, 6))


@pytest.fixture
def labels() -> np.ndarray:
    """Label 3 in slices 2 to 4, label 1 in slice 0."""
    array = np.zeros(GRID.shape, np.uint8)
    array[2:5, 1:3, 2:4] = 3
    array[0, 0, 0] = 1
    return array


def test_from_a_label_map(labels) -> None:
    made = SliceAnnotations.from_labels(labels, GRID, 3, [4, 2], absent=[0, 5])
    assert {i: s.status for i, s in made.slices.items()} == {
        0: SliceStatus.ABSENT, 2: SliceStatus.COMPLETE, 4: SliceStatus.COMPLETE, 5: SliceStatus.ABSENT,
    }  # fmt: skip
    assert np.array_equal(made.slices[2].mask, labels[2] == 3)
    assert made.drawn() == [2, 4]
    assert made.used() == [0, 2, 4, 5]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_along_each_axis(labels, axis) -> None:
    made = SliceAnnotations.from_labels(labels, GRID, 3, [2], axis=axis)
    assert np.array_equal(made.slices[2].mask, labels.take(2, axis) == 3)


@pytest.mark.parametrize(
    ("label", "slices", "absent", "message"),
    [
        (3, [2, 6], [], r"There is no slice 6; the volume has slices 0 to 5\."),
        (3, [-1], [], r"There is no slice -1"),
        (3, [2], [17], r"There is no slice 17"),
        (3, [2, 3], [3], r"Slice 3 is named as drawn and as absent"),
        (3, [2], [3], r"Slice 3 is named as absent but holds label 3"),
        (7, [2], [], r"The label map does not hold label 7"),
        (3, [2, 5], [], r"Slice 5 does not hold label 3, which is in slices 2 to 4; .*name it as absent\."),
        (3, [], [0], r"No drawn slice was named"),
        (3, [], [], r"No drawn slice was named"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(labels, label, slices, absent, message) -> None:
    with pytest.raises(AnnotationError, match=message):
        SliceAnnotations.from_labels(labels, GRID, label, slices, absent)


def test_labels_of_another_size_are_refused(labels) -> None:
    with pytest.raises(GridError, match="different sizes"):
        SliceAnnotations.from_labels(labels[1:], GRID, 3, [2])


def test_slices_that_do_not_fit_the_grid_are_refused() -> None:
    with pytest.raises(AnnotationError, match=r"The mask of slice 1 is \(4, 4\), the slices are \(4, 5\)"):
        SliceAnnotations(0, GRID, {1: Slice(SliceStatus.COMPLETE, np.zeros((4, 4), np.uint8))})
    with pytest.raises(AnnotationError, match="There is no slice 4; the volume has slices 0 to 3"):
        SliceAnnotations(1, GRID, {4: Slice(SliceStatus.COMPLETE, np.zeros((6, 5), np.uint8))})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (SliceStatus.UNTOUCHED, [IGNORE, IGNORE, IGNORE]),
        (SliceStatus.DRAFT, [0, 1, IGNORE]),
        (SliceStatus.COMPLETE, [0, 1, 0]),
        (SliceStatus.ABSENT, [0, 0, 0]),
    ],
)
def test_what_each_status_says(status, expected) -> None:
    mask = np.array([[0, 1, IGNORE]], np.uint8)
    assert Slice(status, mask).labelled().tolist() == [expected]
    assert mask.tolist() == [[0, 1, IGNORE]]


def test_untouched_slices_are_not_used(labels) -> None:
    slices = {
        1: Slice(SliceStatus.UNTOUCHED, np.ones((4, 5), np.uint8)),
        2: Slice(SliceStatus.DRAFT, np.full((4, 5), IGNORE, np.uint8)),
        3: Slice(SliceStatus.COMPLETE, (labels[3] == 3).astype(np.uint8)),
    }
    made = SliceAnnotations(0, GRID, slices)
    assert made.drawn() == made.used() == [3]
    assert list(made.native_slices(0)) == [3]


def test_what_was_drawn_on_one_axis_is_seen_from_another(labels) -> None:
    made = SliceAnnotations.from_labels(labels, GRID, 3, [2], absent=[5])
    seen = made.native_slices(2)
    assert sorted(seen) == [0, 1, 2, 3, 4]
    for i, mask in seen.items():
        assert mask.shape == (6, 4)
        assert np.array_equal(mask[2], labels[2, :, i] == 3)
        assert (mask[5] == 0).all()
        assert (mask[[0, 1, 3, 4]] == IGNORE).all()
