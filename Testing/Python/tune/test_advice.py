"""What was drawn is looked over, and what needs review is said in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.tune.advice import advice, open_ends
from PromptSegLib.tune.tuner import LeftOutSlice
from PromptSegLib.volumes.volume import Grid


def box(*corners: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((20, 20), np.uint8)
    for row, column in corners:
        mask[row : row + 4, column : column + 4] = 1
    return mask


def drawn(masks: dict[int, np.ndarray], absent: tuple[int, ...] = ()) -> SliceAnnotations:
    slices = {k: Slice(SliceStatus.COMPLETE, m) for k, m in masks.items()}
    ends = (min(masks) - 2, max(masks) + 2)  # nothing is said of a structure that is known to end
    slices |= {k: Slice(SliceStatus.ABSENT, np.zeros((20, 20), np.uint8)) for k in (*ends, *absent)}
    return SliceAnnotations(0, Grid((20, 20, 40)), slices)


def test_a_good_drawing_needs_no_words() -> None:
    assert advice([drawn({5: box((8, 8)), 10: box((8, 8)), 15: box((9, 9))}, absent=(1, 30))]) == ()


def test_two_structures_where_one_was_meant() -> None:
    (note,) = advice([drawn({5: box((8, 8)), 10: box((8, 4), (8, 14)), 15: box((8, 8))})])
    assert note.startswith("Slice 10 shows separate parts where the other slices have one")


def test_a_structure_of_two_parts_throughout_is_nothing_strange() -> None:
    pair = box((8, 3), (8, 14))
    assert advice([drawn({5: pair, 10: pair, 15: pair})]) == ()


def test_a_mask_that_touches_the_border() -> None:
    (note,) = advice([drawn({5: box((0, 8)), 10: box((8, 8))})])
    assert note == "The contour in slice 5 touches the border of the image: the structure may go on."


def test_one_slice() -> None:
    (note,) = advice([drawn({5: box((8, 8))})])
    assert note.startswith("Only one slice shows the structure")


def test_absent_in_the_middle() -> None:
    (note,) = advice([drawn({5: box((8, 8)), 15: box((8, 8))}, absent=(10,))])
    assert note.startswith("Slice 10 is marked as without the structure, between slices that show it")


def test_a_slice_that_contradicts_the_others() -> None:
    one = drawn({k: box((8, 8)) for k in (5, 10, 15, 20, 25, 30)})
    found = ((5, 0.0), (10, 0.1), (15, 0.85), (20, 0.8), (25, float("nan")), (30, 0.0))  # the ends count for nothing
    scores = [LeftOutSlice(0, k, d) for k, d in found]
    (note,) = advice([one], scores)
    assert note.startswith("Slice 10 is not what the other drawn slices let expect (Dice 0.10")


@pytest.mark.parametrize("number", [0, 1])
def test_with_several_volumes_the_volume_is_named(number) -> None:
    good = {5: box((8, 8)), 10: box((8, 8))}
    bad = {5: box((0, 8)), 10: box((8, 8))}
    (note,) = advice([drawn(bad if n == number else good) for n in range(2)])
    assert note.startswith(f"The contour in slice 5 of volume {number + 1} touches")


def inner(masks: dict[int, np.ndarray], absent: tuple[int, ...] = (), count: int = 40) -> SliceAnnotations:
    slices = {k: Slice(SliceStatus.COMPLETE, m) for k, m in masks.items()}
    slices |= {k: Slice(SliceStatus.ABSENT, np.zeros((20, 20), np.uint8)) for k in absent}
    return SliceAnnotations(0, Grid((20, 20, count)), slices)


def test_a_structure_that_goes_on_beyond_the_drawing() -> None:
    (note,) = advice([inner({5: box((8, 8)), 10: box((8, 8))})])
    assert note.startswith("The structure seems to go on beyond slices 5 and 10, where the drawing ends")
    assert "Draw the first and the last slice that show it" in note
    (note,) = advice([inner({5: box((8, 8)), 10: box((8, 8))}, absent=(3,))])
    assert "beyond slice 10, where the drawing ends: it is not small" in note


def test_nothing_is_said_of_a_structure_that_ends() -> None:
    small = np.zeros((20, 20), np.uint8)
    small[9:11, 9:11] = 1
    assert open_ends(inner({5: small, 10: box((8, 8)), 15: small})) == ()  # round ends
    assert open_ends(inner({5: box((8, 8)), 10: box((8, 8))}, absent=(4, 12))) == ()
    assert open_ends(inner({0: box((8, 8)), 20: box((8, 8)), 39: box((8, 8))})) == ()  # the volume ends there
    assert open_ends(inner({k: box((8, 8)) for k in range(5, 12)})) == ()  # every slice is drawn
    assert open_ends(inner({5: box((8, 8))})) == ()
