"""A review says what looks odd in a segmentation and which slices deserve a look, with and without a reference."""

from __future__ import annotations

import json

import numpy as np
import pytest

from PromptSegLib.errors import GridError
from PromptSegLib.review.findings import Evidence, neighbour_change, review
from PromptSegLib.volumes.volume import Grid

GRID = Grid((20, 20, 10), spacing=(2.0, 2.0, 5.0))  # a voxel is 0.02 ml, a pixel 0.04 cm2


def block(*slices: int, shift: int = 0) -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    for k in slices:
        mask[k, 5 + shift : 15 + shift, 5:15] = True
    return mask


def test_volume_and_a_structure_without_fault() -> None:
    (one,) = review({"liver": block(2, 3, 4, 5)}, GRID).structures
    assert one.volume_ml == pytest.approx(400 * 0.02)
    assert one.remarks == ()
    assert one.slices == ()
    assert one.score is None


def test_without_anything_else_the_slice_that_differs_from_its_neighbours() -> None:
    mask = block(2, 3, 5, 6) | block(4, shift=4)
    change = neighbour_change(mask)
    # Slice 4 shows rows 9 to 18, its neighbours 5 to 14: of 14 rows that any shows, 4 are missing and 4 too many.
    assert change[4] == pytest.approx(8 / 14)
    (one,) = review({"liver": mask}, GRID).structures
    assert one.slices[0].index == 4
    assert one.slices[0].why == "57% of it is not what its neighbours show"
    assert one.remarks == ("It changes abruptly at slice 4.",)


def test_a_missing_slice_parts_and_the_border() -> None:
    mask = block(0, 1, 3, 4)
    (one,) = review({"liver": mask}, GRID).structures
    assert one.remarks == (
        "It is in 2 separate parts.",
        "It touches the border of the image.",
        "It is missing in 1 slice between others that show it.",
    )
    assert one.slices[0].index == 2


def test_nothing_found() -> None:
    (one,) = review({"liver": block()}, GRID).structures
    assert one.volume_ml == 0
    assert one.remarks == ("Nothing was found.",)
    assert one.slices == ()


def test_with_a_reference_the_slices_that_agree_least() -> None:
    mask = block(2, 3, 4) | block(5, shift=5)
    (one,) = review({"liver": mask}, GRID, {"liver": Evidence(reference=block(2, 3, 4, 5, 6))}).structures
    assert [s.index for s in one.slices][:2] == [6, 5]
    assert one.slices[0].dice == 0
    assert one.slices[1].dice == pytest.approx(0.5)
    assert one.score.dice == pytest.approx(2 * 350 / 900)
    assert one.per_slice[3] == 1


def test_with_an_uncertainty_the_slices_where_most_may_be_wrong() -> None:
    unsure = np.zeros(GRID.shape, np.float32)
    unsure[3, 5:15, 5] = 1  # ten pixels of one bit: 0.4 cm2, wrong with a chance of one half
    unsure[4, 5:10, 5] = 1
    (one,) = review({"liver": block(2, 3, 4, 5)}, GRID, {"liver": Evidence(unsure, drawn=(4,))}).structures
    assert [s.index for s in one.slices] == [3]  # a drawn slice is not in doubt
    assert one.doubt[3] == pytest.approx(0.2)
    assert one.unsure_ml == pytest.approx(0.1)
    assert one.slices[0].why == "about 0.2 cm² may be wrong"


def test_drawn_slices_do_not_count() -> None:
    evidence = Evidence(reference=block(2, 3, 4, 5), drawn=(2, 3))
    (one,) = review({"liver": block(2, 3, 4)}, GRID, {"liver": evidence}).structures
    assert one.score.dice == pytest.approx(2 / 3)
    assert [s.index for s in one.slices] == [5]


def test_another_axis() -> None:
    mask = block(2, 3, 4, 5)
    other = mask.copy()
    other[:, 14] = False
    found = review({"liver": mask}, GRID, {"liver": Evidence(reference=other)}, axis=1)
    assert found.axis == 1
    assert found.structures[0].slices[0].index == 14


def test_arrays_of_another_size_are_refused() -> None:
    with pytest.raises(GridError, match="not on the image's grid: 20 x 20 x 5 instead of 20 x 20 x 10"):
        review({"liver": block(2)[:5]}, GRID)


def test_it_is_plain_json() -> None:
    found = review({"liver": block(2, 3)}, GRID, {"liver": Evidence(reference=block(3, 4))})
    assert json.loads(json.dumps(found.to_json()))["structures"][0]["structure"] == "liver"


def test_what_would_be_told_as_nothing_deserves_no_look() -> None:
    mask = np.zeros((7, 60, 60), bool)
    mask[:, 5:55, 5:55] = True
    mask[3, 5, 5] = False  # one voxel of 2,500
    grid = Grid((60, 60, 7))
    assert review({"x": mask}, grid).structures[0].slices == ()
    sure = np.zeros(mask.shape, np.float32)
    sure[3, 5, 5] = 0.1
    assert review({"x": mask}, grid, {"x": Evidence(uncertainty=sure)}).structures[0].slices == ()
    mask[3, 5:15, 5:55] = False
    (found,) = review({"x": mask}, grid).structures[0].slices
    assert found.index == 3
