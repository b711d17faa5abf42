"""What the size and place of a drawing decide: the box that is looked at, the pieces kept, the contours' weight."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.contours.crop import MIN_SIDE, crop_of
from PromptSegLib.tune.advice import components_of
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume

GRID = Grid((256, 256, 20), (0.0, 0.0, 0.0), (1.5, 1.5, 3.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def work() -> WorkingVolume:
    voxels = np.full(GRID.shape, 40, np.int16)
    voxels[0, 0, 0] = -1000
    return WorkingVolume(Volume(voxels, GRID, "CT"), crop=False)


def drawn(slices, centre=(100, 150), half=10, parts=1) -> SliceAnnotations:
    labels = np.zeros(GRID.shape, np.uint8)
    for k in slices:
        for part in range(parts):
            row = centre[0] + 4 * half * part
            labels[k, row - half : row + half, centre[1] - half : centre[1] + half] = 1
    return SliceAnnotations.from_labels(labels, GRID, 1, list(slices))


def inside(work, annotations, crop) -> bool:
    """Whether all that is drawn lies in the crop."""
    masks = [work.mask_to_working(one.labelled() == 1) > 0.5 for one in annotations.slices.values()]
    return all(mask[crop].sum() == mask.sum() for mask in masks)


def test_the_box_holds_what_is_drawn_with_a_margin(work) -> None:
    annotations = drawn((2, 6, 10))
    crop = crop_of(work, annotations)
    sides = [part.stop - part.start for part in crop]
    assert sides == [MIN_SIDE, MIN_SIDE]
    assert inside(work, annotations, crop)


def test_it_grows_with_the_structure_and_with_the_gaps(work) -> None:
    small, wide = crop_of(work, drawn((2, 6, 10))), crop_of(work, drawn((2, 6, 10), half=40))
    apart = crop_of(work, drawn((0, 19), half=20))
    assert wide[0].stop - wide[0].start > small[0].stop - small[0].start
    assert apart[0].stop - apart[0].start > MIN_SIDE


def test_it_stays_in_the_volume_at_a_corner(work) -> None:
    annotations = drawn((2, 6), centre=(12, 245))
    crop = crop_of(work, annotations)
    assert inside(work, annotations, crop)
    assert all(part.start >= 0 and part.stop <= size for part, size in zip(crop, work.size, strict=True))


def test_one_slice_or_another_axis_is_looked_at_whole(work) -> None:
    whole = (slice(0, work.size[0]), slice(0, work.size[1]))
    assert crop_of(work, drawn((4,))) == whole
    labels = np.zeros(GRID.shape, np.uint8)
    labels[5:9, 100, 100:120] = labels[5:9, 110, 100:120] = 1
    assert crop_of(work, SliceAnnotations.from_labels(labels, GRID, 1, [100, 110], axis=1)) == whole


def test_one_piece_everywhere_is_kept_as_one() -> None:
    assert components_of([drawn((2, 6, 10))]) == "largest"
    assert components_of([drawn((2, 6))]) == "substantial"
    assert components_of([drawn((2, 6, 10), parts=2)]) == "substantial"
