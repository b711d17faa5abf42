"""Batches that other processes draw ahead: the same for any number of them, and gone with the run."""

from __future__ import annotations

import itertools
import multiprocessing
from functools import partial

import numpy as np
import pytest
import torch

from PromptSegLib.datasets.loading import load_part, read_datasets, structures_of
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.errors import Stopped
from PromptSegTrain.loader import batches

DRAW = partial(TaskSampler.draw, groups=1, prompt_tasks=1)


@pytest.fixture
def sampler(kit, tmp_path, small_images) -> TaskSampler:
    path = kit.write_dataset(tmp_path / "phantoms", (1, 2))
    part = load_part(read_datasets([path])[0], 0.0, 1, tmp_path / "cache")
    return TaskSampler([part.training], [1.0], structures_of([part]), 1)


def test_batches_do_not_depend_on_how_many_processes_draw_them(sampler) -> None:
    one = list(batches(sampler, DRAW, range(2, 6), workers=1, seed=3))
    two = list(batches(sampler, DRAW, range(2, 6), workers=2, seed=3))
    other = next(batches(sampler, DRAW, range(2, 6), workers=1, seed=4))
    assert len(one) == len(two) == 4
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.episodic_masks, b.episodic_masks)
        assert a.prompted == b.prompted
    assert not all(torch.equal(one[0].images, b.images) for b in one[1:])
    assert one[0].images.shape != other.images.shape or not torch.equal(one[0].images, other.images)


def test_a_run_that_goes_on_sees_the_batches_that_were_left(sampler) -> None:
    whole = list(batches(sampler, DRAW, range(4), workers=1, seed=3))
    rest = list(batches(sampler, DRAW, range(2, 4), workers=1, seed=3))
    assert all(torch.equal(a.images, b.images) for a, b in zip(whole[2:], rest, strict=True))


def test_without_processes_batches_are_drawn_one_by_one_from_the_samplers_own_numbers(sampler) -> None:
    sampler.reseed(np.random.default_rng(5))
    drawn = list(itertools.islice(batches(sampler, DRAW, range(2)), 2))
    sampler.reseed(np.random.default_rng(5))
    assert all(torch.equal(one.images, DRAW(sampler).images) for one in drawn)


def test_the_processes_end_with_the_batches(sampler) -> None:
    source = batches(sampler, DRAW, range(50), workers=2, seed=3)
    next(source)
    assert len(multiprocessing.active_children()) >= 2
    source.close()
    assert multiprocessing.active_children() == []


def test_a_run_with_processes_learns_and_is_stopped(go, losses, stop_after, rows) -> None:
    with pytest.raises(Stopped):
        go("ahead", 50, workers=1, should_stop=stop_after(4, losses))
    assert multiprocessing.active_children() == []
    assert len(losses) == 4
    assert np.isfinite(losses).all()
