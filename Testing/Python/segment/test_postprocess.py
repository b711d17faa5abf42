"""Components that cannot be part of a structure are taken away, and what was drawn stays."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.segment.postprocess import clean


@pytest.fixture
def found() -> np.ndarray:
    """Three parts: 1000, 200 and 8 voxels."""
    mask = np.zeros((12, 40, 40), bool)
    mask[1:11, 0:10, 0:10] = True
    mask[1:9, 20:25, 20:25] = True
    mask[5:7, 35:37, 35:37] = True
    return mask


def sizes(mask: np.ndarray) -> list[int]:
    return [int(mask[:, :15, :15].sum()), int(mask[:, 15:30, 15:30].sum()), int(mask[:, 30:, 30:].sum())]


@pytest.mark.parametrize(
    ("components", "kept"),
    [("largest", [1000, 0, 0]), ("substantial", [1000, 200, 0]), ("all", [1000, 200, 8])],
)
def test_which_components_are_kept(found, components, kept) -> None:
    before = found.copy()
    assert sizes(clean(found, components)) == kept
    assert np.array_equal(found, before)


@pytest.mark.parametrize(
    ("components", "kept"), [("largest", [0, 0, 8]), ("substantial", [1000, 200, 8]), ("all", [1000, 200, 8])]
)
def test_what_the_user_drew_is_kept(found, components, kept) -> None:
    seeds = np.zeros_like(found)
    seeds[5, 35, 35] = True
    assert sizes(clean(found, components, seeds)) == kept


def test_seeds_beside_everything_change_nothing(found) -> None:
    seeds = np.zeros_like(found)
    seeds[0, 39, 0] = True
    for components in ("largest", "substantial"):
        assert np.array_equal(clean(found, components, seeds), clean(found, components))


def test_parts_that_meet_at_an_edge_are_one() -> None:
    mask = np.zeros((2, 4, 4), bool)
    mask[0, 1, 1] = mask[1, 2, 1] = True
    assert clean(mask, "largest").sum() == 2


@pytest.mark.parametrize("components", ["largest", "substantial", "all"])
def test_nothing_and_everything(components) -> None:
    for mask in (np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)):
        assert np.array_equal(clean(mask, components), mask)


def test_the_most_confident_component_is_the_largest() -> None:
    found = np.zeros((3, 20, 20), bool)
    found[:, 1:4, 1:4] = True
    found[:, 8:18, 8:18] = True
    confidence = np.where(found, 1, -20)
    confidence[:, 1:4, 1:4] = 60
    assert clean(found, "largest")[1, 10, 10]
    kept = clean(found, "largest", confidence=confidence)
    assert kept[1, 2, 2]
    assert not kept[1, 10, 10]


def test_main_components_are_fewer_than_substantial_ones() -> None:
    found = np.zeros((1, 30, 30), bool)
    found[:, 1:11, 1:11] = True
    found[:, 20:24, 20:25] = True
    assert clean(found, "substantial").sum() == 120
    assert clean(found, "main").sum() == 100
