"""Whatever grid a CT lies on, its picture shows the same patient at the same place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from PromptSegLib.errors import Stopped
from PromptSegLib.register.picture import UNSEEN, mask_in, picture_of
from PromptSegLib.volumes.preprocess import grey_from_hu
from PromptSegLib.volumes.volume import Volume


def world(picture, mask: np.ndarray) -> np.ndarray:
    """The middle of a map in mm, along S, A, R."""
    total = mask.sum()
    index = [
        (mask.sum(tuple(b for b in range(3) if b != a)) * np.arange(mask.shape[a])).sum() / total for a in range(3)
    ]
    return np.array(picture.origin) + picture.spacing * np.array(index)


GRIDS = [
    {"spacing": (1.5, 1.5, 1.0)},
    {"spacing": (4.0, 4.0, 8.0)},
    {"spacing": (2.5, 2.5, 4.0), "turn": 12.0},
]


@pytest.mark.parametrize("how", GRIDS, ids=["fine", "8 mm slices", "oblique"])
def test_the_same_patient_on_another_grid_is_the_same_picture(kits, teacher, how) -> None:
    here = kits.patient(**how)
    own, ours = picture_of(teacher.volume), picture_of(here.volume)
    for value in (1, 2, 3):
        a = mask_in(own, teacher.labels == value, teacher.volume.grid)
        b = mask_in(ours, here.labels == value, here.volume.grid)
        assert np.abs(world(own, a) - world(ours, b)).max() < 1.5
        assert a.sum() == pytest.approx(b.sum(), rel=0.1)
        inside = ours.grey[b > 0.9].mean()
        assert inside == pytest.approx(float(grey_from_hu(np.array({1: 110, 2: 130, 3: 170}[value]))), abs=8)


def test_axes_in_another_order_change_nothing(teacher, kit) -> None:
    voxels, grid = kit.turn(teacher.volume.voxels, teacher.volume.grid, (2, 0, 1), (0, 2))
    labels, _ = kit.turn(teacher.labels, teacher.volume.grid, (2, 0, 1), (0, 2))
    own, ours = picture_of(teacher.volume), picture_of(Volume(voxels, grid))
    assert own.grey.shape == ours.grey.shape
    assert np.allclose(own.origin, ours.origin)
    assert np.abs(own.grey.astype(int) - ours.grey).max() <= 1
    a, b = mask_in(own, teacher.labels == 3, teacher.volume.grid), mask_in(ours, labels == 3, grid)
    assert np.allclose(a, b, atol=1e-5)


def test_the_body_is_found_without_the_table_and_with_its_air(kits) -> None:
    here = kits.patient(spacing=(3.0, 3.0, 5.0))
    voxels = here.volume.voxels.copy()
    voxels[:, 0:2, 20:80] = 200  # a table of 6 mm
    picture = picture_of(Volume(voxels, here.volume.grid))
    body = picture.body
    lung = mask_in(picture, here.volume.voxels < -700, here.volume.grid) * body
    assert lung.sum() > 8000  # air inside belongs to the body
    k, _, _ = np.nonzero(body)
    assert len(np.unique(k)) > 95
    _, count = ndimage.label(body)
    assert count == 1
    _, a, _ = np.array(picture.origin)[:, None] + picture.spacing * np.array(np.nonzero(body))
    assert a.min() > -104  # the table lies below


def test_a_ct_that_was_clipped_has_a_body_too(teacher) -> None:
    voxels = np.clip(teacher.volume.voxels, -125, 275)
    clipped = picture_of(Volume(voxels, teacher.volume.grid)).body
    assert clipped.sum() == pytest.approx(picture_of(teacher.volume).body.sum(), rel=0.15)


def test_what_the_scanner_did_not_see_is_marked(kits) -> None:
    tilted = picture_of(kits.patient(turn=15.0).volume)
    assert (tilted.grey == UNSEEN).mean() > 0.02
    assert tilted.grey[tilted.seen].min() >= 1


def test_it_stops(teacher) -> None:
    with pytest.raises(Stopped):
        picture_of(teacher.volume, lambda: True)
