"""A carried mask that is off is off alike in neighbouring slices: drawn ones set it right there, too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.prior import Prior
from PromptSegLib.register.corrected import between_close_slices, corrected
from PromptSegLib.register.log_odds import LIMIT
from PromptSegLib.volumes.preprocess import WorkingVolume


@pytest.fixture(scope="module")
def one(kit):
    return kit.make_phantom(31)


@pytest.fixture(scope="module")
def work(one) -> WorkingVolume:
    return WorkingVolume(one.volume)


def shares(one, work, value=1) -> dict[int, np.ndarray]:
    return {k: work.mask_to_working(one.labels[k] == value) > 0.5 for k in range(work.count)}


def carried(masks, shift: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The masks moved by some pixels, as log-odds."""
    out = {}
    for k, mask in masks.items():
        mask = np.roll(mask, shift, axis=1)
        if mask.any():
            distance = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
            out[k] = np.clip(distance, -LIMIT, LIMIT).astype(np.float16), np.zeros(mask.shape, np.float16)
    return out


def dice(found, masks, without=()) -> float:
    own = {k: p.astype(np.float32) + g > 0 for k, (p, g) in found.items()}
    keys = [k for k in masks if k not in without]
    both = sum(int((own[k] & masks[k]).sum()) for k in keys if k in own)
    total = sum(int(masks[k].sum()) + int(own[k].sum() if k in own else 0) for k in keys)
    return 2 * both / total


def test_neighbours_are_set_right_too(one, work) -> None:
    masks = shares(one, work)
    drawn = SliceAnnotations.from_labels(one.labels, one.volume.grid, 1, [8, 16])
    before = carried(masks, 4)
    after = corrected(before, drawn, work)
    for k in (8, 16):
        assert dice({k: after[k]}, {k: masks[k]}) > 0.93
    assert dice(after, masks, (8, 16)) > dice(before, masks, (8, 16)) + 0.04
    assert dice({9: after[9]}, {9: masks[9]}) > dice({9: before[9]}, {9: masks[9]}) + 0.06


def test_what_was_right_stays(one, work) -> None:
    masks = shares(one, work)
    drawn = SliceAnnotations.from_labels(one.labels, one.volume.grid, 1, [8, 16])
    assert dice(corrected(carried(masks, 0), drawn, work), masks) > 0.97


def test_absent_slices_take_it_away_and_unlabelled_pixels_say_nothing(one, work) -> None:
    masks = shares(one, work)
    drawn = SliceAnnotations.from_labels(one.labels, one.volume.grid, 1, [8])
    empty = np.zeros_like(drawn.slices[8].mask)
    gone = corrected(carried(masks, 0), replace(drawn, slices={12: Slice(SliceStatus.ABSENT, empty)}), work)
    assert 12 not in gone or not (gone[12][0] > 0).any()
    unknown = Slice(SliceStatus.DRAFT, np.full_like(empty, 255))
    before = carried(masks, 3)
    same = corrected(before, replace(drawn, slices={12: unknown}), work)
    assert all(np.array_equal(same[k][0], before[k][0]) for k in before)


def test_another_axis_changes_nothing(one, work) -> None:
    before = carried(shares(one, work), 3)
    there = int(np.flatnonzero((one.labels == 1).any((0, 2)))[3])
    drawn = SliceAnnotations.from_labels(one.labels, one.volume.grid, 1, [there], axis=1)
    assert corrected(before, drawn, work).keys() == before.keys()


def test_contours_decide_between_close_slices_alone(one, work) -> None:
    drawn = SliceAnnotations.from_labels(one.labels, one.volume.grid, 1, [6, 8, 16])
    planes = {k: np.zeros(work.size) for k in range(7, 16) if k != 8}
    found = between_close_slices(Prior(planes, 15.0, {0: -12.0}, work), drawn, work)
    assert (sorted(found.contours), dict(found.beyond), found.weight) == ([7], {}, 15.0)
