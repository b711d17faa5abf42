"""Which slice to draw next: chosen by what is expected to be wrong, and said in words."""

from __future__ import annotations

import time

import numpy as np
import pytest

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.contours.fusion import prior_of
from PromptSegLib.prior import Prior
from PromptSegLib.segment.result import LogitMap
from PromptSegLib.tune.suggest import suggest
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume

DEPTH = 41


@pytest.fixture(scope="module")
def work() -> WorkingVolume:
    voxels = np.random.default_rng(0).normal(0, 100, (DEPTH, 32, 32)).astype(np.float32)
    return WorkingVolume(Volume(voxels, Grid((32, 32, DEPTH), spacing=(2.0, 2.0, 3.0))), crop=False)


def disc(radius: float) -> np.ndarray:
    j, i = np.indices((32, 32))
    return (np.hypot(j - 15.5, i - 15.5) <= radius).astype(np.uint8)


def drawn(work: WorkingVolume, masks: dict[int, np.ndarray], absent: tuple[int, ...] = ()) -> SliceAnnotations:
    slices = {k: Slice(SliceStatus.COMPLETE, m) for k, m in masks.items()}
    slices |= {k: Slice(SliceStatus.ABSENT, np.zeros((32, 32), np.uint8)) for k in absent}
    return SliceAnnotations(0, work.volume.grid, slices)


def found(work: WorkingVolume, annotations: SliceAnnotations, network: dict[int, np.ndarray]) -> LogitMap:
    """What comes out if the network gives these logits (native slices), elsewhere nothing."""
    out = LogitMap(work, drawn=annotations.native_slices(0), prior=prior_of(work, annotations, 6.0))
    for k in range(work.count):
        out.put(k, on_grid(work, network[k]) if k in network else np.full(work.size, -8.0, np.float32))
    return out


def on_grid(work: WorkingVolume, logits: np.ndarray) -> np.ndarray:
    """Native logits on the working grid; beside the image, surely nothing."""
    return work.mask_to_working(logits + 8) - 8


def sure(radius: float) -> np.ndarray:
    return np.where(disc(radius) == 1, 8.0, -8.0).astype(np.float32)


def test_the_middle_of_the_only_gap_comes_first(work) -> None:
    annotations = drawn(work, {5: disc(6), 35: disc(9)}, absent=(4, 36))
    (best,) = suggest(found(work, annotations, {k: sure(7.5) for k in range(6, 35)}), annotations)
    assert abs(best.index - 20) <= 2
    assert best.between == (5, 35)
    assert 0 < best.share <= 1
    assert best.reason.startswith("Between slices 5 and 35 ")
    assert best.reason.endswith(".")


def test_the_gap_where_the_contour_changes_is_chosen(work) -> None:
    """Slices 4, 12, 20 are alike; 28 is not what 20 and 36 let expect, so that the contour bends around it."""
    masks = {4: disc(8), 12: disc(8), 20: disc(8), 28: disc(3), 36: disc(8)}
    annotations = drawn(work, masks, absent=(3, 37))
    silent = LogitMap(work, drawn=annotations.native_slices(0))
    (best,) = suggest(silent, annotations)
    assert 20 < best.index < 36
    assert "contour changes" in best.reason


def test_the_gap_where_the_network_disagrees_is_chosen(work) -> None:
    annotations = drawn(work, {5: disc(8), 20: disc(8), 35: disc(8)}, absent=(4, 36))
    network = {k: sure(8 if k < 20 else 13) for k in range(6, 35)}
    (best,) = suggest(found(work, annotations, network), annotations)
    assert 20 < best.index < 35
    assert best.reason.startswith("Between slices 20 and 35 ")
    assert "the network is uncertain" in best.reason


def test_beyond_the_last_drawn_slice_if_the_network_goes_on(work) -> None:
    annotations = drawn(work, {15: disc(8), 17: disc(8)})
    (best,) = suggest(found(work, annotations, {k: sure(8) for k in range(14, 30)}), annotations)
    assert 18 < best.index < 30
    assert best.reason == "Beyond slice 17, where the drawing ends, the network still finds the structure."
    assert best.between == (17, None)
    marked = drawn(work, {15: disc(8), 17: disc(8)}, absent=(14, 18))
    nothing_more = suggest(found(work, marked, {k: sure(8) for k in range(14, 30)}), marked)
    assert all(s.index == 16 for s in nothing_more)


@pytest.mark.parametrize("spacing", [0.75, 2.0])
def test_what_hangs_together_is_a_matter_of_millimetres(work, spacing) -> None:
    """The network finds the structure 4 mm beside where the drawing ends: that goes on, however fine the grid is."""
    grid = WorkingVolume(work.volume, spacing=spacing, crop=False)
    annotations = drawn(work, {15: disc(2), 17: disc(2)})
    beside = np.where(np.roll(disc(2), 6, axis=1) == 1, 8.0, -8.0).astype(np.float32)  # 4 mm lie between them
    (best,) = suggest(found(grid, annotations, dict.fromkeys(range(18, 30), beside)), annotations)
    assert best.between == (17, None)


def test_several_are_spread_out_and_never_drawn_ones(work) -> None:
    annotations = drawn(work, {4: disc(5), 20: disc(9), 36: disc(5)})
    several = suggest(found(work, annotations, {k: sure(7) for k in range(5, 36)}), annotations, limit=3)
    indices = [s.index for s in several]
    assert len(set(indices)) == 3
    assert not {4, 20, 36} & set(indices)
    assert min(abs(a - b) for a in indices for b in indices if a != b) > 2
    assert several[0].share >= several[-1].share * 0.5


def test_nothing_in_doubt_gives_nothing(work) -> None:
    annotations = drawn(work, {k: disc(6) for k in range(10, 14)})
    assert suggest(LogitMap(work, drawn=annotations.native_slices(0), prior=Prior()), annotations) == []


def test_without_a_drawn_slice_the_network_decides(work) -> None:
    """The next patient, with a prompt: nothing is drawn yet."""
    annotations = SliceAnnotations(0, work.volume.grid, {})
    uncertain = LogitMap(work)
    for k in range(18, 23):
        uncertain.put(k, on_grid(work, np.where(disc(6) == 1, 0.3, -8.0).astype(np.float32)))
    (best,) = suggest(uncertain, annotations)
    assert 18 <= best.index <= 22
    assert best.reason == "Here the network is most uncertain."


def test_it_takes_less_than_a_second_on_a_large_volume() -> None:
    voxels = np.random.default_rng(0).normal(0, 100, (160, 32, 32)).astype(np.float32)
    large = WorkingVolume(Volume(voxels, Grid((32, 32, 160), spacing=(12.0, 12.0, 3.0))), crop=False)
    j, i = np.indices((32, 32))
    mask = (np.hypot(j - 15, i - 15) < 8).astype(np.uint8)
    slices = {k: Slice(SliceStatus.COMPLETE, mask) for k in (10, 50, 90, 130)}
    annotations = SliceAnnotations(0, large.volume.grid, slices)
    out = LogitMap(large, drawn=annotations.native_slices(0), prior=prior_of(large, annotations, 6.0))
    for k in range(large.count):
        out.put(k, np.random.default_rng(k).normal(0, 3, large.size).astype(np.float32))
    start = time.process_time()
    assert suggest(out, annotations)
    assert time.process_time() - start < 1


def test_the_session_suggests_for_what_was_taught(session, phantom, prompts) -> None:
    drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [6, 18])
    (best,) = session.suggest(drawn, prompts["liver"])
    assert best.index not in (6, 18)
    assert best.reason
    made = session.segment([prompts["liver"]], drawn={"liver": drawn})
    assert session.suggest(drawn, prompts["liver"], segmentation=made) == [best]


def test_another_axis_than_the_network_s(session, phantom, prompts) -> None:
    drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [14, 28], axis=1)
    for best in session.suggest(drawn, prompts["liver"]):
        assert 0 <= best.index < phantom.labels.shape[1]
        assert best.index not in (14, 28)


def test_where_the_structure_goes_on_beyond_the_drawing_comes_first(work) -> None:
    annotations = drawn(work, {15: disc(8), 19: disc(8)}, absent=(10,))
    silent = LogitMap(work, drawn=annotations.native_slices(0))
    first, *_ = suggest(silent, annotations, limit=3)
    assert first.index == 19 + 4  # as far away as the drawn slices are from each other
    assert first.between == (19, None)
    assert first.reason.startswith("Beyond slice 19, where the drawing ends, the structure seems to go on")
    assert 0 < first.share <= 1
    closed = drawn(work, {15: disc(8), 19: disc(8)}, absent=(10, 24))
    assert all(10 < one.index < 24 for one in suggest(silent, closed, limit=3))
