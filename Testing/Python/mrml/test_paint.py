"""What is painted, by slices along each axis."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.mrml.paint import Paint

SHAPE = (9, 12, 15)
LOW = (2, 3, 4)


@pytest.fixture
def whole() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[2:7, 3:10, 4:12] = np.random.default_rng(0).random((5, 7, 8)) > 0.96
    return mask


@pytest.fixture
def paint(whole: np.ndarray) -> Paint:
    return Paint(whole[2:7, 3:10, 4:12].copy(), LOW, SHAPE)


@pytest.mark.parametrize("without", [(), ((0, 3), (0, 0)), ((1, 5), (2, 6), (2, 14))])
def test_slices_are_those_of_the_whole_volume(whole: np.ndarray, paint: Paint, without: tuple) -> None:
    left = whole.copy()
    for axis, index in without:
        left[(slice(None),) * axis + (index,)] = False
    for _time in range(2):  # asking changes nothing
        for axis in range(3):
            there = left.any(axis=tuple(other for other in range(3) if other != axis))
            assert paint.along(axis, without) == np.flatnonzero(there).tolist()


def test_a_slice_is_that_of_the_whole_volume(whole: np.ndarray, paint: Paint) -> None:
    for axis in range(3):
        for index in range(SHAPE[axis]):
            assert np.array_equal(paint.slice(axis, index), whole.take(index, axis=axis))


def test_nothing_painted() -> None:
    paint = Paint(np.zeros((0, 0, 0), bool), (0, 0, 0), SHAPE)
    assert [paint.along(axis, [(0, 2)]) for axis in range(3)] == [[], [], []]
    assert not paint.slice(1, 3).any()
