"""Values that are no CT's are told, and metal and padding change nothing beside them."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.tune.tuner import common_window
from PromptSegLib.volumes.canonical import resampled_to_canonical
from PromptSegLib.volumes.plausible import check_hu, warnings_of
from PromptSegLib.volumes.preprocess import WorkingVolume, body_box
from PromptSegLib.volumes.volume import Grid, Volume

GRID = Grid((90, 80, 12), spacing=(1.5, 1.5, 5.0))


def chest() -> np.ndarray:
    """A body with noise in air, (12, 80, 90) float32."""
    y, x = np.mgrid[-1:1:80j, -1:1:90j]
    plane = np.where((x / 0.8) ** 2 + (y / 0.7) ** 2 < 1, 40.0, -1000.0)
    plane[(x + 0.3) ** 2 + y**2 < 0.05] = -850
    plane[(x - 0.3) ** 2 + y**2 < 0.02] = 900
    return (plane + np.random.default_rng(0).normal(0, 12, (12, 80, 90))).astype(np.float32)


def inside() -> np.ndarray:
    """Nothing but tissue, clipped at -150."""
    return np.maximum(np.random.default_rng(1).normal(20, 60, GRID.shape), -150).round()


@pytest.mark.parametrize("kind", ["float32", "int16"])
def test_a_ct_is_a_ct(kind) -> None:
    hu = chest()
    for values in (hu, hu[:, 20:60, 30:60], np.where(np.arange(90) < 20, -3024, hu), np.where(hu > 850, 30000, hu)):
        array = values.astype(kind)
        volume = Volume.from_array(array, np.eye(4))
        assert check_hu(volume) == []
        assert warnings_of(volume) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (chest() + 1024, "hardly any is below 0"),
        (np.where(np.arange(90) < 20, -2000, chest() + 1024), "hardly any is below 0"),  # padding does not hide it
        ((chest() + 1024) / 4095, "span only"),
        (chest() / 300, "span only"),
        (65535 - (chest() + 1024), "most of them are outside"),
        (chest() - 1024, "hardly any is above -300"),
        (np.random.default_rng(0).gamma(2, 100, GRID.shape), "hardly any is below 0"),
    ],
)
def test_values_that_are_no_hu(values, said) -> None:
    found = check_hu(Volume(values.astype(np.float32), GRID, "knee"))
    assert len(found) == 1
    assert said in found[0]
    assert "knee" in found[0]
    assert found[0].endswith("results are likely to be wrong.")


def test_another_modality_and_what_reading_decided() -> None:
    volume = Volume(chest(), GRID, "head", "MR", ("It was guessed.",))
    assert check_hu(volume) == ["head is of the modality MR, not CT; results are likely to be wrong."]
    assert warnings_of(volume) == ["It was guessed.", *check_hu(volume)]


def seen(array: np.ndarray, grid: Grid = GRID) -> tuple[np.ndarray, WorkingVolume]:
    work = WorkingVolume(Volume(array, grid))
    return np.stack([work.grey(k) for k in range(work.count)]), work


@pytest.mark.parametrize("make", [chest, inside])
@pytest.mark.parametrize("metal", [3072, 8000, 30000, 30710, -1025, -2000, -32768, 63536, 62512, 3e38])
def test_metal_and_padding_change_nothing_elsewhere(make, metal) -> None:
    kind = np.int16 if -32768 <= metal <= 32767 else np.float32
    plain = make().astype(kind)
    odd = plain.copy()
    odd[:, 36:42, 40:48] = metal
    (expected, work), (found, changed) = seen(plain), seen(odd)
    assert body_box(Volume(odd, GRID)) == body_box(Volume(plain, GRID))
    assert (changed.rows, changed.columns) == (work.rows, work.columns)
    mask = np.zeros(plain.shape[1:])
    mask[36:42, 40:48] = 1
    touched = work.mask_to_working(mask) > 0
    assert np.array_equal(found[:, ~touched], expected[:, ~touched])
    whole = work.mask_to_working(mask) > 0.999
    assert np.all(found[:, whole] == (255 if 3071 < metal < 31000 else 0))

    class Drawing:
        def __init__(self, seen_on):
            self.work = seen_on

    assert common_window([Drawing(changed)]) == common_window([Drawing(work)])


def test_padding_around_the_body_is_air_whatever_its_number() -> None:
    """-2000 outside of the field of view, stored as unsigned: 63536."""
    y, x = np.mgrid[-1:1:80j, -1:1:90j]
    outside = x**2 + y**2 > 0.9
    plain = np.where(outside, -1024, chest())
    expected, work = seen(plain.astype(np.float32))
    found, changed = seen(np.where(outside, 63536, plain).astype(np.float32))
    assert (changed.rows, changed.columns) == (work.rows, work.columns)
    assert np.array_equal(found, expected)


def test_resampling_to_canonical_axes_does_not_spread_metal() -> None:
    turn = np.eye(4)
    a = np.radians(15)
    turn[1:3, 1:3] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    plain = chest().astype(np.int16)
    odd = plain.copy()
    plain[5:7, 38:42, 40:48] = 3071
    odd[5:7, 38:42, 40:48] = 30000
    ones = [resampled_to_canonical(Volume.from_array(array, turn)).voxels for array in (plain, odd)]
    assert np.array_equal(*ones)


@pytest.mark.parametrize("noise", [3, 10, 30])
def test_noise_of_air_about_0_is_no_fat(noise: float) -> None:
    """HU + 1024 in signed numbers: the air is at 24, and some of its noise below 0."""
    hu = np.full((20, 60, 60), -1000.0)
    hu[:, 10:50, 10:50] = 40
    hu[:, 20:30, 20:30] = -100
    hu += np.random.default_rng(0).normal(0, noise, hu.shape)
    grid = Grid((60, 60, 20), (0, 0, 0), (1, 1, 1), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert check_hu(Volume(hu.astype(np.int16), grid, "a")) == []
    (said,) = check_hu(Volume((hu + 1024).astype(np.int16), grid, "a"))
    assert "hardly any is below 0" in said
