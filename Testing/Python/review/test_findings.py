"""A review says what looks odd in a segmentation and which slices need review, with and without a reference."""

from __future__ import annotations

import json

import numpy as np
import pytest

from PromptSegLib.errors import GridError
from PromptSegLib.review.findings import MIN_RISK, Auxiliary, review
from PromptSegLib.review.risk import (
    error_probability,
    expected_error_area,
    interpolated,
    majority,
    neighbour_change,
    slice_risk,
)
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
    # The shape between slices 3 and 5 is theirs: of 140 pixels, 80 are not in both. The majority says the same.
    assert one.slices[0].why == "differs by 57% from the adjacent slices"
    assert one.slices[0].risk == pytest.approx(1.6)
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


def test_with_a_reference_the_slices_in_which_most_is_wrong() -> None:
    mask = block(2, 3, 4) | block(5, shift=5)
    mask[6, 5, 5] = True
    reference = block(2, 3, 4, 5)
    (one,) = review({"liver": mask}, GRID, {"liver": Auxiliary(reference=reference)}).structures
    assert [s.index for s in one.slices] == [5]  # one pixel beside the structure has Dice 0, and needs no review
    assert one.slices[0].dice == pytest.approx(0.5)
    assert one.slices[0].why == "Dice 0.50"
    assert one.slices[0].risk == pytest.approx(1.0)  # 50 pixels are missing and 50 too many, of 100
    assert one.score.dice == pytest.approx(2 * 350 / 801)
    assert one.per_slice[3] == 1


def test_with_an_uncertainty_what_may_be_wrong_counts_too() -> None:
    uncertain = np.zeros(GRID.shape, np.float32)
    uncertain[3, 5:15, 5] = 1  # ten pixels of one bit: 0.4 cm2, wrong with a chance of one half
    uncertain[4, 5:10, 5] = 1
    (one,) = review({"liver": block(2, 3, 4, 5)}, GRID, {"liver": Auxiliary(uncertain, drawn=(4,))}).structures
    assert [s.index for s in one.slices] == [3]  # a drawn slice is not in doubt
    assert one.error_cm2[3] == pytest.approx(0.2)
    assert one.uncertain_ml == pytest.approx(0.1)
    assert one.slices[0].why == "about 0.2 cm² may be wrong"
    assert one.slices[0].risk == pytest.approx(0.05)


def test_entropy_tells_how_likely_an_error_is() -> None:
    p = np.array([0.0, 0.001, 0.1, 0.25, 0.5])
    bits = np.concatenate([[0.0], -(p[1:] * np.log2(p[1:]) + (1 - p[1:]) * np.log2(1 - p[1:]))])
    assert error_probability(bits) == pytest.approx(p, abs=1e-3)
    volume = np.zeros((2, 3, 4), np.float32)
    volume[1, 2] = bits[3]
    assert expected_error_area(volume, 0.5) == pytest.approx([0, 4 * 0.25 * 0.5], abs=1e-3)
    assert expected_error_area(volume, 0.5, axis=1) == pytest.approx([0, 0, 0.5], abs=1e-3)
    with pytest.raises(ValueError, match="three dimensions"):
        expected_error_area(volume[0], 1.0)


def test_the_shape_between_two_slices() -> None:
    mask = block(2) | block(4, shift=2)
    between = interpolated(mask, (5.0, 2.0, 2.0))
    rows = np.flatnonzero(between[3].any(axis=1))
    assert (rows[0], rows[-1]) == (6, 15)  # half way
    assert not majority(mask)[3, 5].any()
    for axis in range(3):
        turned = np.moveaxis(mask, 0, axis)
        spacing = [2.0, 2.0, 2.0]
        spacing[axis] = 5.0
        assert np.array_equal(interpolated(turned, spacing, axis), np.moveaxis(between, 0, axis))
    ends = [0, 2, 4, 9]
    assert np.array_equal(between[ends], mask[ends])  # a structure that ends differs from nothing
    assert not interpolated(block(), (5.0, 2.0, 2.0)).any()


def test_a_small_structure_counts_as_much_as_a_large_one() -> None:
    small, large = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    for mask, width in ((small, 4), (large, 16)):
        mask[1:9, 2 : 2 + width, 2 : 2 + width] = True
        mask[5, 2 : 2 + width // 2] = False
    shares = [slice_risk(mask, GRID.spacing[::-1]).share for mask in (small, large)]
    assert shares[0][5] == pytest.approx(shares[1][5], rel=0.1)
    assert int(np.argmax(shares[0])) == int(np.argmax(shares[1])) == 5


def test_drawn_slices_do_not_count() -> None:
    auxiliary = Auxiliary(reference=block(2, 3, 4, 5), drawn=(2, 3))
    (one,) = review({"liver": block(2, 3, 4)}, GRID, {"liver": auxiliary}).structures
    assert one.score.dice == pytest.approx(2 / 3)
    assert [s.index for s in one.slices] == [5]


def test_another_axis() -> None:
    mask = block(2, 3, 4, 5)
    other = mask.copy()
    other[:, 14] = False
    found = review({"liver": mask}, GRID, {"liver": Auxiliary(reference=other)}, axis=1)
    assert found.axis == 1
    assert found.structures[0].slices[0].index == 14


def test_arrays_of_another_size_are_refused() -> None:
    with pytest.raises(GridError, match="not on the image's grid: 20 x 20 x 5 instead of 20 x 20 x 10"):
        review({"liver": block(2)[:5]}, GRID)


def test_it_is_plain_json() -> None:
    found = review({"liver": block(2, 3)}, GRID, {"liver": Auxiliary(reference=block(3, 4))})
    assert json.loads(json.dumps(found.to_json()))["structures"][0]["structure"] == "liver"


def test_what_would_be_told_as_nothing_needs_no_review() -> None:
    mask = np.zeros((7, 60, 60), bool)
    mask[:, 5:55, 5:55] = True
    mask[3, 5, 5] = False  # one voxel of 2,500
    grid = Grid((60, 60, 7))
    assert review({"x": mask}, grid).structures[0].slices == ()
    sure = np.zeros(mask.shape, np.float32)
    sure[3, 5, 5] = 0.1
    assert review({"x": mask}, grid, {"x": Auxiliary(uncertainty=sure)}).structures[0].slices == ()
    mask[3, 5:15, 5:55] = False
    for found in review({"x": mask}, grid).structures[0].slices:
        assert " 0%" not in found.why
        assert "0.0 cm" not in found.why
        assert found.risk >= MIN_RISK
    assert review({"x": mask}, grid).structures[0].slices[0].index == 3
