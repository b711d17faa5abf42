"""Masks become polygons, and these the same masks again."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.volumes.polygons import filled, polygons_of


def area(points) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.98])
def test_any_mask_comes_back(share) -> None:
    random = np.random.default_rng(int(share * 100))
    for _ in range(30):
        mask = random.uniform(size=random.integers(1, 24, 2)) < share
        np.testing.assert_array_equal(filled(polygons_of(mask), mask.shape), mask)


def test_points_rounded_to_whole_pixels_lie_inside() -> None:
    mask = np.random.default_rng(1).uniform(size=(40, 50)) < 0.6
    for one in polygons_of(mask):
        column, row = np.round(one).astype(int).T
        assert mask[row, column].all()


def test_each_piece_is_a_polygon_and_a_hole_is_none() -> None:
    mask = np.zeros((20, 24), bool)
    mask[2:12, 3:14] = True
    mask[4:6, 5:8] = mask[4:9, 10:12] = mask[8, 6] = False
    mask[15:18, 18:23] = True
    polygons = polygons_of(mask)
    assert len(polygons) == 2
    np.testing.assert_array_equal(filled(polygons, mask.shape), mask)
    for one in polygons:  # a channel has no width, so that each polygon alone is a piece without its holes
        piece = filled([one], mask.shape)
        assert piece.any()
        assert not (piece & ~mask).any()


def test_pieces_are_those_of_four_neighbours() -> None:
    mask = np.random.default_rng(5).uniform(size=(40, 40)) < 0.5
    pieces = sitk.ConnectedComponentImageFilter()
    pieces.Execute(sitk.GetImageFromArray(mask.astype(np.uint8)))
    assert len(polygons_of(mask)) == pieces.GetObjectCount()


def test_a_straight_edge_has_two_points() -> None:
    mask = np.zeros((9, 9), bool)
    mask[2:7, 3:8] = True
    (square,) = polygons_of(mask)
    assert len(square) == 8  # the corners are cut
    assert area(square) == pytest.approx(25 - 4 / 8, rel=0.01)
    assert polygons_of(np.zeros((3, 3), bool)) == []


def test_polygons_of_others() -> None:
    shape = (12, 14)
    outer, inner = np.array([[1, 1], [10, 1], [10, 8], [1, 8]]), np.array([[4, 3], [4, 6], [7, 6], [7, 3]])
    ring = np.zeros(shape, bool)
    ring[1:9, 1:11] = True
    ring[4:6, 5:7] = False  # a pixel on the edge of a hole is in the ring
    np.testing.assert_array_equal(filled([outer, inner], shape), ring)
    np.testing.assert_array_equal(filled([outer, outer, inner], shape), ring)  # drawn twice
    np.testing.assert_array_equal(filled([outer + 0.009, inner - 0.012], shape), ring)  # two decimals of a mm
    np.testing.assert_array_equal(filled([outer[::-1], inner], shape), ring)  # either way around
    keyhole = np.vstack([outer[:1], inner, inner[:1], outer[:1], outer[1:]])
    np.testing.assert_array_equal(filled([keyhole], shape)[4:6, 5:7], False)
    # Contours through the centres of what is one pixel wide.
    assert np.argwhere(filled([np.array([[3, 5]])], shape)).tolist() == [[5, 3]]
    assert np.argwhere(filled([np.array([[3, 5], [5, 7]])], shape)).tolist() == [[5, 3], [6, 4], [7, 5]]
    beyond = filled([np.array([[-5, -5], [1e9, -5], [1e9, 1e9], [-5, 1e9]])], shape)
    assert beyond.all()
    assert not filled([np.array([[20, 20], [30, 20], [30, 30]])], shape).any()
    assert not filled([], shape).any()
