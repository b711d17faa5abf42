"""Oblique volumes: resampled to canonical axes, and what was found there resampled back to their own slices."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.errors import Stopped
from PromptSegLib.volumes.canonical import angles, is_oblique, resampled_back, resampled_to_canonical
from PromptSegLib.volumes.preprocess import WorkingVolume, nearest_axes
from PromptSegLib.volumes.volume import Grid, Volume

SHAPE = (24, 40, 44)
SPACING = np.array([1.5, 2.0, 3.0])
ORDERS = {"as they are": ((0, 1, 2), (1, 1, 1)), "permuted and flipped": ((2, 0, 1), (-1, 1, -1))}


def tilted(degrees: float, roll: float = 0.0, order=(0, 1, 2), signs=(1, 1, 1), shape=SHAPE) -> Grid:
    """Slices tilted about the patient's left-right axis, then rolled about the long axis."""
    a, b = np.radians((degrees, roll))
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = ((turn @ tilt)[:, list(order)] * signs) * SPACING
    matrix[:3, 3] = (12.0, -30.0, 81.5)
    return Grid.from_ijk_to_ras(matrix, shape)


def places(matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """RAS (3, ...) of every index of an array under a matrix from its indices, in their order."""
    return np.einsum("ab,b...->a...", matrix[:3], np.stack([*np.indices(shape), np.ones(shape)]))


def field(ras: np.ndarray) -> np.ndarray:
    return 2 * ras[0] - 3 * ras[1] + ras[2]


def in_array_order(grid: Grid) -> np.ndarray:
    return grid.ijk_to_ras[:, [2, 1, 0, 3]]


def test_how_oblique_a_grid_is() -> None:
    assert angles(tilted(0)) == pytest.approx((0, 0, 0), abs=1e-6)
    assert angles(tilted(12)) == pytest.approx((12, 12, 0), abs=1e-4)
    assert angles(tilted(0, roll=9)) == pytest.approx((0, 9, 9), abs=1e-4)
    assert not is_oblique(tilted(3), 0)
    assert is_oblique(tilted(8), 0)
    assert is_oblique(tilted(8), 1)
    assert not is_oblique(tilted(8), 2), "sagittal slices are not tilted by it, only turned a little"
    assert not is_oblique(tilted(0, roll=8), 0)
    assert is_oblique(tilted(0, roll=20), 0)
    assert not is_oblique(tilted(20, shape=(5, 40, 44)), 0), "straight slices of so thin a stack would be strips"


@pytest.mark.parametrize("kind", ORDERS)
def test_the_same_image_on_straight_axes_of_the_same_order(kind) -> None:
    grid = tilted(14, 6, *ORDERS[kind])
    values = field(places(in_array_order(grid), grid.shape)).astype(np.float32)
    found = resampled_to_canonical(Volume(values, grid))
    assert found.grid.spacing == pytest.approx(grid.spacing)
    assert nearest_axes(found.grid) == nearest_axes(grid)
    assert angles(found.grid) == pytest.approx((0, 0, 0), abs=1e-4)
    ras = places(in_array_order(found.grid), found.voxels.shape)
    back = np.linalg.inv(in_array_order(grid))
    index = np.einsum("ab,b...->a...", back[:3], np.stack([*ras, np.ones(found.voxels.shape)]))
    inside = np.all([(at >= 0) & (at <= n - 1) for at, n in zip(index, SHAPE, strict=True)], axis=0)
    assert np.abs(found.voxels - field(ras))[inside].max() < 0.05
    # All of the image is in it.
    assert inside.sum() == pytest.approx(np.prod(np.array(SHAPE) - 1), rel=0.02)
    far = np.any([(at < -1) | (at > n) for at, n in zip(index, SHAPE, strict=True)], axis=0)
    assert np.all(found.voxels[far] == max(values.min(), -1000))


@pytest.mark.parametrize("kind", ORDERS)
def test_what_was_found_is_resampled_back_to_where_it_is(kind) -> None:
    grid = tilted(14, 6, *ORDERS[kind])
    ras = places(in_array_order(grid), grid.shape)
    centre = ras.reshape(3, -1).mean(1)
    ball = ((ras - centre[:, None, None, None]) ** 2).sum(0) < 15**2
    volume = Volume(np.where(ball, 60, -1000).astype(np.int16), grid)
    work, seen = WorkingVolume(volume, crop=False), WorkingVolume(resampled_to_canonical(volume), crop=False)
    assert seen.plane == work.plane == "axial"
    distance = np.linalg.norm(places(seen.to_ras, (seen.count, *seen.size)) - centre[:, None, None, None], axis=0)
    values = np.where(distance < 15, 40, -40).astype(np.int8)
    found = resampled_back(values, seen, work, above=-24, outside=-48)
    shown = np.flatnonzero(np.moveaxis(ball, work.axis, 0).any((1, 2)))
    assert set(shown) <= set(found) < set(range(work.count))
    assert found[shown[0]].dtype == np.int8
    for index in range(work.count):
        drawn = np.moveaxis(ball, work.axis, 0)[index]
        mask = np.zeros(drawn.shape, bool)
        box = work.to_native(found[index], 0) if index in found else None
        if box is not None:
            mask[box[0]] = box[1] > 0
        assert (mask ^ drawn).sum() <= 0.12 * max(200, drawn.sum())
    corner = found[shown[len(shown) // 2]][0, 0]
    assert corner in (-40, -48)
    assert resampled_back(np.full_like(values, -30), seen, work, above=-24, outside=-48) == {}


def test_a_cancelled_run_ends_between_slices() -> None:
    grid = tilted(14, shape=(64, 24, 24))
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    volume = Volume(np.arange(64 * 24 * 24, dtype=np.int16).reshape(64, 24, 24), grid)
    with pytest.raises(Stopped):
        resampled_to_canonical(volume, should_stop)
    assert len(asked) == 3
