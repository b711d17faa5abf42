"""What drawn contours add to the network's logits, and how its weight is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.contours.fusion import (
    CONTOUR_MM,
    MAX_PIXELS,
    PRIOR_LIMIT,
    WEIGHTS,
    contour_spacing,
    contours_of,
    location_prior,
    weighted,
)
from PromptSegLib.prior import NETWORK_LIMIT, add_prior
from PromptSegLib.tune.optimise import LeftOut, first_weight, scored
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume


def square() -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    return mask


def drawn(*indices: int) -> SliceAnnotations:
    slices = {k: Slice(SliceStatus.COMPLETE, square().astype(np.uint8)) for k in indices}
    return SliceAnnotations(0, Grid((20, 20, 30)), slices)


def contours(*indices: int) -> dict[int, np.ndarray]:
    """Of squares in a volume whose slices are 3 mm apart and all alike; its middle is at pixel 16 of 32."""
    voxels = np.zeros((30, 20, 20), np.int16)
    voxels[:, square()] = 100
    work = WorkingVolume(Volume(voxels, Grid((20, 20, 30), spacing=(2.0, 2.0, 3.0))), crop=False)
    return contours_of(work, drawn(*indices))


def test_between_like_slices_there_is_no_doubt() -> None:
    prior = contours(4, 12)
    assert sorted(prior) == list(range(5, 12))
    for k in range(5, 12):
        assert prior[k][16, 16] > 0 > prior[k][0, 0]


def test_where_a_structure_ends_distances_fade_with_the_way_to_the_drawn_slice() -> None:
    annotations = drawn(8)
    nothing = Slice(SliceStatus.ABSENT, np.zeros((20, 20), np.uint8))
    ending = SliceAnnotations(0, annotations.grid, {**annotations.slices, 20: nothing})
    voxels = np.zeros((30, 20, 20), np.int16)
    voxels[:, square()] = 100
    found = contours_of(WorkingVolume(Volume(voxels, annotations.grid), crop=False), ending)
    assert sorted(found) == list(range(9, 20))
    assert found[9].max() > found[10].max() > 0 > found[19].max()


def test_the_network_cannot_overrule_a_neighbouring_contour() -> None:
    prior = contours(4, 6)[5]
    fused = add_prior(np.full((32, 32), -100.0), weighted(prior, WEIGHTS[0]))
    assert fused[16, 16] > 0
    assert add_prior(np.full((20, 20), 100.0), np.zeros((20, 20))).max() == NETWORK_LIMIT


def test_nothing_is_said_with_one_drawn_slice() -> None:
    assert contours(4) == {}
    assert location_prior(drawn(4), 30) == {}


def test_a_structure_ends_soon_beyond_the_outermost_drawn_slices() -> None:
    prior = location_prior(drawn(8, 12, 16), 30)  # gap 4: nothing is left two slices further
    assert set(prior) == {*range(8), *range(17, 30)}
    assert prior[17] == prior[7] == -PRIOR_LIMIT / 2
    assert prior[18] == prior[0] == -PRIOR_LIMIT


def test_it_ends_at_once_where_the_contours_decide_alone() -> None:
    alone = location_prior(drawn(8, 12, 16), 30, 1000.0)
    assert alone[17] == alone[7] == -PRIOR_LIMIT
    assert location_prior(drawn(8, 12, 16), 30, 0.0) == location_prior(drawn(8, 12, 16), 30)


AT = {weight: n for n, weight in enumerate(WEIGHTS)}


def curve(marks: int = 1, dice: float = 0.5) -> np.ndarray:
    """A slice that was left out and found with this Dice whatever the weight, at no cost."""
    out = np.zeros((marks, len(WEIGHTS), 2))
    out[..., 0] = dice
    return out


def test_the_weight_is_chosen_at_the_networks_best_step() -> None:
    one = curve(3)
    one[:, AT[0.0], 0] = 0.3, 0.6, 0.4
    one[1, AT[40.0], 0] = 0.9
    one[1, :, 1] = 2.0
    one[1, AT[40.0], 1] = 0.5
    left_out = LeftOut([0, 5, 10], {3: one, 9: one.copy()})
    assert left_out.choice() == (5, 40.0)
    assert left_out.scores(5, 40.0) == {3: 0.9, 9: 0.9}


def test_at_the_ends_the_network_is_measured_alone() -> None:
    one = np.full((1, len(WEIGHTS), 2), np.nan)
    one[0, AT[0.0], 0] = 0.4
    left_out = LeftOut([0], {3: one})
    assert left_out.choice() == (0, WEIGHTS[0])
    assert left_out.scores(0, 15.0) == {3: 0.4}
    assert LeftOut([0], {3: one}, 40.0).choice() == (0, 40.0)
    other = curve()
    other[0, AT[15.0], 1] = 1.0
    assert LeftOut([0], {3: one, 7: other}).choice() == (0, 40.0), "what is between counts"


def test_a_weight_must_save_what_it_costs() -> None:
    one = curve()
    assert LeftOut([0], {3: one}).choice() == (0, 15.0)
    one[0, AT[15.0], 1] = 0.05
    assert LeftOut([0], {3: one}).choice() == (0, 15.0)
    assert LeftOut([0], {3: one, 5: one, 7: one}).choice() == (0, 40.0), "three slices say more than one"
    one[0, :, 1] = 1.0
    one[0, AT[1000.0], 1] = 0.5
    assert LeftOut([0], {3: one}).choice() == (0, 1000.0)


def test_the_network_is_never_alone_where_there_are_contours() -> None:
    one = curve()
    one[0, AT[0.0], 0] = 0.96
    one[0, [AT[15.0], AT[40.0], AT[1000.0]], 1] = 5.0
    assert LeftOut([0], {3: one}).choice() == (0, 15.0)


@pytest.mark.parametrize(("dice", "weight"), [(0.1, 1000.0), (0.5, 40.0), (0.8, 15.0), (float("nan"), 15.0)])
def test_what_the_network_hardly_finds_though_shown_is_left_to_the_contours(dice, weight) -> None:
    assert first_weight(dice) == weight
    assert LeftOut([0, 5], usual=first_weight(dice)).choice() == (5, weight)


def test_what_a_slice_is_found_with() -> None:
    there = torch.zeros(20, 20)
    there[5:15, 5:15] = 1
    valid = torch.ones(20, 20)
    good, bad = (there * 2 - 1) * 6, (1 - there * 2) * 6
    contour = np.where(there.numpy() > 0, 1.0, -1.0)
    right, wrong = (scored(logits, contour, there, valid) for logits in (good, bad))
    assert right[:, 0].tolist() == [1.0] * len(WEIGHTS)
    assert wrong[AT[0.0], 0] == 0
    assert wrong[AT[1000.0], 0] == 1
    # A logit of 6 in all 400 pixels, over the 100 of the structure; the network is against it with 6 times 0.4.
    assert wrong[AT[15.0], 1] == pytest.approx(4 * np.log1p(np.exp(-3.6)))
    assert right[AT[15.0], 1] == pytest.approx(4 * np.log1p(np.exp(-8.4)))
    assert wrong[AT[1000.0], 1] == pytest.approx(right[AT[1000.0], 1], abs=1e-2)
    alone = scored(good, None, there, valid)
    assert alone[AT[0.0], 0] == 1
    assert np.isnan(alone[:3]).all()
    assert np.isnan(scored(good, None, there * 0, 1 - there)[AT[0.0], 0]), "nothing is there, and nothing is found"


@pytest.mark.parametrize(
    ("mm", "wanted"),
    [
        ((0.8, 0.8, 3.0), 1.25),
        ((3.0, 3.0, 3.0), 1.25),  # between the volume's pixels too
        ((3.9, 4.1, 2.5), 1.56),  # not finer than that
        ((6.0, 6.0, 2.5), 2.0),  # not coarser than the network
    ],
)
def test_contours_are_followed_as_finely_as_the_volume_allows(mm, wanted) -> None:
    grid = Grid((20, 20, 30), spacing=mm)
    volume = Volume(np.zeros(grid.shape, np.int16), grid)
    annotations = SliceAnnotations(0, grid, drawn(4, 12, 20).slices)
    assert contour_spacing(volume, annotations, 2.0) == pytest.approx(wanted)


def test_contours_of_a_large_structure_are_followed_less_finely() -> None:
    """A square of 10 pixels in slices 0 to 80: with 20 mm around it, 80 slices of (9 pixels + 40 mm) squared."""
    slices = {k: drawn(4).slices[4] for k in (0, 40, 80)}
    found = []
    for mm in (0.5, 8.0, 12.0, 20.0):
        grid = Grid((20, 20, 100), spacing=(mm, mm, 1.0))
        annotations = SliceAnnotations(0, grid, slices)
        found.append(contour_spacing(Volume(np.zeros(grid.shape, np.int16), grid), annotations, 10.0))
    sides = [9 * mm + 40 for mm in (0.5, 8.0, 12.0, 20.0)]
    steps = [next((s for s in CONTOUR_MM if side**2 * 80 <= MAX_PIXELS * s**2), 10.0) for side in sides]
    assert found == pytest.approx([max(s, 0.4 * mm) for s, mm in zip(steps, (0.5, 8.0, 12.0, 20.0), strict=True)])
    assert steps == [1.25, 1.25, 1.6, 10.0]


def test_one_drawn_slice_needs_no_other_grid() -> None:
    grid = Grid((20, 20, 30))
    assert contour_spacing(Volume(np.zeros(grid.shape, np.int16), grid), drawn(4), 2.0) == 2.0
