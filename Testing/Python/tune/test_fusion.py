"""What drawn outlines add to the network's logits, and how its weight is chosen."""

from __future__ import annotations

import numpy as np

from PromptSegLib.segment.result import NETWORK_LIMIT, add_prior
from PromptSegLib.tune.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.tune.descent import LeftOut
from PromptSegLib.tune.fusion import PRIOR_LIMIT, WEIGHTS, location_prior, outlines_of, weighted
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume


def square() -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    return mask


def drawn(*indices: int) -> SliceAnnotations:
    slices = {k: Slice(SliceStatus.COMPLETE, square().astype(np.uint8)) for k in indices}
    return SliceAnnotations(0, Grid((20, 20, 30)), slices)


def outlines(*indices: int) -> dict[int, np.ndarray]:
    """Of squares in a volume whose slices are 3 mm apart and all alike; its middle is at pixel 16 of 32."""
    voxels = np.zeros((30, 20, 20), np.int16)
    voxels[:, square()] = 100
    work = WorkingVolume(Volume(voxels, Grid((20, 20, 30), spacing=(2.0, 2.0, 3.0))), crop=False)
    return outlines_of(work, drawn(*indices))


def test_between_like_slices_there_is_no_doubt() -> None:
    prior = outlines(4, 12)
    assert sorted(prior) == list(range(5, 12))
    for k in range(5, 12):
        assert prior[k][16, 16] > 0 > prior[k][0, 0]


def test_where_a_structure_ends_distances_fade_with_the_way_to_the_drawn_slice() -> None:
    annotations = drawn(8)
    nothing = Slice(SliceStatus.ABSENT, np.zeros((20, 20), np.uint8))
    ending = SliceAnnotations(0, annotations.grid, {**annotations.slices, 20: nothing})
    voxels = np.zeros((30, 20, 20), np.int16)
    voxels[:, square()] = 100
    found = outlines_of(WorkingVolume(Volume(voxels, annotations.grid), crop=False), ending)
    assert sorted(found) == list(range(9, 20))
    assert found[9].max() > found[10].max() > 0 > found[19].max()


def test_the_network_cannot_overrule_a_neighbouring_outline() -> None:
    prior = outlines(4, 6)[5]
    fused = add_prior(np.full((32, 32), -100.0), weighted(prior, WEIGHTS[0]))
    assert fused[16, 16] > 0
    assert add_prior(np.full((20, 20), 100.0), np.zeros((20, 20))).max() == NETWORK_LIMIT


def test_nothing_is_said_with_one_drawn_slice() -> None:
    assert outlines(4) == {}
    assert location_prior(drawn(4), 30) == {}


def test_a_structure_ends_soon_beyond_the_outermost_drawn_slices() -> None:
    prior = location_prior(drawn(8, 12, 16), 30)  # gap 4: nothing is left two slices further
    assert set(prior) == {*range(8), *range(17, 30)}
    assert prior[17] == prior[7] == -PRIOR_LIMIT / 2
    assert prior[18] == prior[0] == -PRIOR_LIMIT


def test_the_weight_is_chosen_at_the_networks_best_step() -> None:
    at = {w: n for n, w in enumerate(WEIGHTS)}
    curve = np.full((3, len(WEIGHTS)), 0.5)
    curve[:, at[0.0]] = 0.3, 0.6, 0.4
    curve[1, at[15.0]] = 0.9
    left_out = LeftOut([0, 5, 10], {3: curve, 9: curve.copy()})
    assert left_out.choice() == (5, 15.0)
    assert left_out.scores(5, 15.0) == {3: 0.9, 9: 0.9}


def test_at_the_ends_the_network_is_measured_alone() -> None:
    curve = np.full((1, len(WEIGHTS)), np.nan)
    curve[0, WEIGHTS.index(0.0)] = 0.4
    left_out = LeftOut([0], {3: curve})
    assert left_out.choice() == (0, WEIGHTS[0])
    assert left_out.scores(0, 15.0) == {3: 0.4}


def test_the_best_weight_on_left_out_slices_is_taken() -> None:
    curve = np.full((1, len(WEIGHTS)), 0.8)
    two = LeftOut([0], {3: curve, 7: curve})
    assert two.choice() == (0, 15.0)
    curve[0, WEIGHTS.index(6.0)] = 0.805  # not better by enough
    assert two.choice() == (0, 15.0)
    curve[0, WEIGHTS.index(40.0)] = 0.83
    assert two.choice() == (0, 40.0)


def test_one_left_out_slice_only_tells_whether_the_network_finds_the_structure() -> None:
    curve = np.full((1, len(WEIGHTS)), 0.8)
    curve[0, WEIGHTS.index(1000.0)] = 0.95
    assert LeftOut([0], {3: curve}).choice() == (0, 15.0)
    curve[0, WEIGHTS.index(0.0)] = 0.1
    assert LeftOut([0], {3: curve}).choice() == (0, 40.0)
    assert LeftOut([0], {3: curve, 7: curve}).choice() == (0, 1000.0), "two slices are compared"


def test_outlines_may_decide_where_the_network_hardly_finds_the_structure() -> None:
    curve = np.full((1, len(WEIGHTS)), 0.8)
    curve[0, WEIGHTS.index(40.0)] = 0.81
    assert LeftOut([0], {3: curve, 7: curve}).choice() == (0, 15.0)
    curve[0, WEIGHTS.index(0.0)] = 0.5
    assert LeftOut([0], {3: curve, 7: curve}).choice() == (0, 40.0)


def test_the_network_alone_must_be_clearly_better() -> None:
    curve = np.full((1, len(WEIGHTS)), 0.8)
    curve[0, WEIGHTS.index(0.0)] = 0.85
    assert LeftOut([0], {3: curve, 7: curve}).choice() == (0, 15.0)
    curve[0, WEIGHTS.index(0.0)] = 0.96
    assert LeftOut([0], {3: curve, 7: curve}).choice() == (0, 0.0)
