"""Small pictures of slices with contours, and the PNG files that hold them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from PromptSegLib.review.figures import Plane
from PromptSegLib.review.png import data_uri, indexed_png_of, png_of
from PromptSegLib.review.thumbnails import OURS, REFERENCE, MaskBox, thumbnail, view_of
from PromptSegLib.volumes.volume import Grid

GRID = Grid((60, 50, 9), spacing=(2.0, 2.0, 5.0))


def block(k: slice, j: slice, i: slice) -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    mask[k, j, i] = True
    return mask


@pytest.fixture
def voxels() -> np.ndarray:
    return np.full(GRID.shape, 40, np.int16)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == colour).all(axis=2)


def test_a_png_file_is_what_other_readers_read() -> None:
    image = pytest.importorskip("matplotlib.image")
    rgb = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    read = image.imread(io.BytesIO(png_of(rgb)), format="png")
    assert np.array_equal(np.rint(read[..., :3] * 255).astype(np.uint8), rgb)
    uri = data_uri(rgb)
    assert base64.b64decode(uri.removeprefix("data:image/png;base64,")) == png_of(rgb)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is"):
        png_of(wrong)


def test_a_box_gives_the_slices_of_the_whole_mask() -> None:
    mask = np.random.default_rng(1).random(GRID.shape) > 0.99
    box = MaskBox.of(mask)
    for axis in range(3):
        for index in (0, 3, GRID.shape[axis] - 1):
            assert np.array_equal(box.slice(GRID.shape, axis, index), mask.take(index, axis=axis))
    assert not MaskBox.of(np.zeros(GRID.shape, bool)).slice(GRID.shape, 0, 2).any()


def test_the_contour_goes_around_the_structure_and_the_window_is_the_views(voxels: np.ndarray) -> None:
    voxels[:, 20:30, 20:30] = 100
    mask = MaskBox.of(block(slice(2, 6), slice(20, 30), slice(20, 30)))
    picture = thumbnail(voxels, GRID, 0, 4, [(mask, OURS)], (0.0, 100.0), 112)
    assert picture.shape == (112, 112, 3)
    assert picture.dtype == np.uint8
    line = has(picture, OURS)
    rows, columns = np.flatnonzero(line.any(axis=1)), np.flatnonzero(line.any(axis=0))
    # 20 mm of a square of 70 mm (the least that is shown): 32 of 112 pixels, in the middle, and the line around them.
    assert len(range(rows[0], rows[-1] + 1)) == pytest.approx(34, abs=2)
    assert rows[0] + rows[-1] == pytest.approx(111, abs=1)
    assert columns[0] + columns[-1] == pytest.approx(111, abs=1)
    assert picture[56, 56].tolist() == [255, 255, 255]  # 100 is white
    assert picture[2, 2].tolist() == [102, 102, 102]  # 40 of 100


def test_a_reference_has_another_colour(voxels: np.ndarray) -> None:
    ours = MaskBox.of(block(slice(2, 6), slice(20, 30), slice(20, 30)))
    theirs = MaskBox.of(block(slice(2, 6), slice(24, 34), slice(20, 30)))
    picture = thumbnail(voxels, GRID, 0, 4, [(ours, OURS), (theirs, REFERENCE)], (0.0, 100.0))
    for colour in (OURS, REFERENCE):
        assert has(picture, colour).any()


def test_a_slice_in_which_it_is_missing_shows_where_it_should_be(voxels: np.ndarray) -> None:
    mask = block(slice(2, 6), slice(30, 40), slice(5, 15))
    mask[4] = False
    box, plane = MaskBox.of(mask), Plane.of(GRID, 0)
    assert view_of([box], plane, GRID, 4) == view_of([box], plane, GRID, 3)
    assert not has(thumbnail(voxels, GRID, 0, 4, [(box, OURS)], (0.0, 100.0)), OURS).any()


def test_at_the_edge_of_the_volume_the_rest_is_black(voxels: np.ndarray) -> None:
    box = MaskBox.of(block(slice(2, 6), slice(0, 6), slice(0, 6)))
    picture = thumbnail(voxels, GRID, 0, 3, [(box, OURS)], (0.0, 100.0))
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[-1, -1].tolist() == [102, 102, 102]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_any_axis_lie_as_radiologists_look_at_them(axis: int) -> None:
    """The head is up in coronal and sagittal pictures: K runs to the head."""
    voxels = np.zeros(GRID.shape, np.int16)
    voxels[6:] = 100
    mask = np.ones(GRID.shape, bool)
    picture = thumbnail(voxels, GRID, axis, 7, [(MaskBox.of(mask), OURS)], (0.0, 100.0), 96)
    inside = picture[..., 0].astype(int)
    if axis == 0:
        assert inside[48, 48] == 255
    else:
        assert inside[36:46, 48].mean() > inside[54:64, 48].mean()


def test_sampling_and_growing_are_scipys_without_scipy() -> None:
    """The window of 3D Slicer draws these pictures, and must not stand still while scipy is loaded."""
    from scipy import ndimage

    from PromptSegLib.review.thumbnails import _grown, _sampled

    random = np.random.default_rng(4)
    picture = random.integers(-1000, 1000, (23, 31)).astype(np.int16)
    rows, columns = np.arange(-3.3, 25, 0.7), np.arange(-2.0, 33, 1.0)
    at = np.meshgrid(rows, columns, indexing="ij")
    wanted = ndimage.map_coordinates(picture.astype(np.float32), at, order=1, mode="constant", cval=-7.0)
    np.testing.assert_allclose(_sampled(picture, rows, columns, -7.0), wanted, atol=1e-3)
    for width in (1, 2, 4):
        mask = random.random((20, 17)) > 0.97
        assert np.array_equal(_grown(mask, width), ndimage.binary_dilation(mask, iterations=width))


def test_a_picture_of_few_colours_is_what_any_reader_sees() -> None:
    image = pytest.importorskip("matplotlib.image")
    palette = np.array([(0, 0, 0), (90, 90, 90), (255, 196, 0)], np.uint8)
    pixels = np.random.default_rng(0).integers(0, 3, (17, 23)).astype(np.uint8)
    read = image.imread(io.BytesIO(indexed_png_of(pixels, palette)), format="png")
    assert np.array_equal(np.round(read[..., :3] * 255).astype(np.uint8), palette[pixels])


@pytest.mark.parametrize(
    ("pixels", "palette"),
    [
        (np.zeros((2, 2, 3), np.uint8), np.zeros((1, 3), np.uint8)),
        (np.zeros((2, 2), np.int16), np.zeros((1, 3), np.uint8)),
        (np.full((2, 2), 3, np.uint8), np.zeros((3, 3), np.uint8)),
        (np.zeros((0, 2), np.uint8), np.zeros((3, 3), np.uint8)),
        (np.zeros((2, 2), np.uint8), np.zeros((3, 4), np.uint8)),
    ],
)
def test_what_is_no_picture_of_few_colours(pixels, palette) -> None:
    with pytest.raises(ValueError, match=r"a (picture|palette)"):
        indexed_png_of(pixels, palette)
