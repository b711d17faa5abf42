"""Regions of even grey that nobody annotated, and the tasks that are made of them."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.datasets.groups import GROUP
from PromptSegLib.datasets.loading import load_regions
from PromptSegLib.datasets.regions import FAINT, Regions, grow
from PromptSegLib.datasets.sample import Sample
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.errors import Stopped


def picture(noise: float = 2.0) -> np.ndarray:
    """A body of grey 100 in air, with a bright ball of 40 ml and a dark one of 20 ml: (24, 64, 64) of 3 x 2 x 2 mm."""
    k, j, i = np.mgrid[:24, :64, :64].astype(float)
    grey = np.where((j - 32) ** 2 + (i - 32) ** 2 < 28**2, 100.0, 0.0)
    grey[ball(k, j, i, 22, 21.2)] = 190
    grey[ball(k, j, i, 44, 16.8)] = 30
    grey += np.random.default_rng(0).normal(0, noise, grey.shape) * (grey > 0)
    return grey.clip(0, 255).astype(np.uint8)


def ball(k, j, i, column: int, radius: float) -> np.ndarray:
    return ((k - 12) * 3) ** 2 + ((j - 32) * 2) ** 2 + ((i - column) * 2) ** 2 < radius**2


@pytest.fixture(scope="module")
def regions() -> Regions:
    return grow(picture(), 3.0)


@pytest.mark.parametrize(("column", "radius"), [(22, 21.2), (44, 16.8)])
def test_what_stands_out_is_a_region(regions, column, radius) -> None:
    k, j, i = np.mgrid[:24, :64, :64].astype(float)
    there = ball(k, j, i, column, radius)
    best = 0.0
    for node in range(len(regions.ml)):
        found = regions.mask(node, slice(None)) if 5 < regions.ml[node] < 80 else None
        if found is not None:
            best = max(best, 2 * (found & there).sum() / (found.sum() + there.sum()))
            assert found.sum() * 0.012 == pytest.approx(regions.ml[node], rel=1e-3)
    assert best > 0.85


def test_picks_are_of_the_size_that_was_asked_for_and_stand_out(regions) -> None:
    random = np.random.default_rng(1)
    picked = [regions.pick((12, 32, 22), 2.0, 100.0, random) for _ in range(20)]
    assert all(n is not None and 2 <= regions.ml[n] <= 100 and regions.contrast[n] >= FAINT for n in picked)
    assert all(regions.mask(n, [12])[0, 32, 22] for n in picked)
    assert regions.pick((12, 0, 0), 2.0, 100.0, random) is None  # air


def test_the_same_picture_gives_the_same_regions(regions) -> None:
    again = grow(picture(), 3.0)
    for name, value in vars(regions).items():
        assert np.array_equal(value, getattr(again, name)), name


@pytest.mark.parametrize(
    "grey",
    [np.zeros((4, 32, 32), np.uint8), np.full((4, 32, 32), 90, np.uint8), picture()[:1], picture()[12:13, :3, :5]],
    ids=["air", "no contrast", "one slice", "tiny"],
)
def test_nothing_to_grow_from_is_no_fault(grey) -> None:
    found = grow(grey, 5.0)
    assert found.base.shape == grey.shape
    sample = Sample("a", grey, np.zeros_like(grey), (), 5.0, regions=found)
    batch = TaskSampler([[sample]], [1.0], ["liver"], 1, pseudo=1.0).draw(2, 0)
    assert np.isfinite(batch.images.numpy()).all()


def test_growing_can_be_stopped() -> None:
    with pytest.raises(Stopped):
        grow(picture(), 3.0, should_stop=lambda: True)


def test_regions_are_kept_in_the_cache_and_made_anew_where_they_do_not_fit(tmp_path, regions) -> None:
    sample = Sample("a", picture(), np.zeros((24, 64, 64), np.uint8), (), 3.0)
    made = load_regions(sample, tmp_path)
    assert np.array_equal(made.base, regions.base)
    times = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert np.array_equal(load_regions(sample, tmp_path).parent, regions.parent)
    assert times == {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    (tmp_path / "regions-ml.npy").write_bytes(b"half")
    assert np.array_equal(load_regions(sample, tmp_path).ml, regions.ml)


def test_a_volume_without_annotations_teaches_by_its_regions(regions) -> None:
    sample = Sample("a", picture(), np.zeros((24, 64, 64), np.uint8), (), 3.0, regions=regions)
    batch = TaskSampler([[sample]], [1.0], ["liver"], 1, pseudo=1.0).draw(6, 0)
    assert not batch.prompted
    assert len(batch.episodic) == 6 * (GROUP - 1)
    assert (batch.support_inside.sum((2, 3)).amax(1) > 0).float().mean() > 0.8
    assert (batch.heads == -1).all()
