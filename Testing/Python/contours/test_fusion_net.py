"""What is known between two drawn slices is weighed up by a small network that knows no organ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.contours.fusion import contours_of
from PromptSegLib.contours.fusion_net import (
    FORMAT,
    MAPS,
    ContourFusionNet,
    GapFeatures,
    contour_fusion_net,
    features_of,
    write_contour_fusion_net,
)
from PromptSegLib.contours.interpolation import distance_to
from PromptSegLib.errors import BackboneError, Stopped
from PromptSegLib.model.files import write_tensors
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume

SIDE, DEPTH = 64, 13


def disc(radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return (rows - 32) ** 2 + (columns - 32) ** 2 <= radius**2


def grey(radius: float, inside: float = 150.0) -> np.ndarray:
    return np.where(disc(radius), inside, 100.0).astype(np.float32)


def gap(first: float = 10, last: float = 20) -> GapFeatures:
    """Discs of two sizes, twelve slices of 3 mm apart, carried across without any change."""
    low, high = (distance_to(disc(r), (2.0, 2.0)) for r in (first, last))
    return GapFeatures(4, 16, 3.0, (low, high), (low, high), (grey(first), grey(last, 180.0)))


def propagated(one: GapFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Both drawn slices, distances and pictures, where they were."""
    low, high = (np.stack(pair) for pair in zip(one.ends, one.greys, strict=True))
    return low, high


def test_the_nearer_drawn_slice_comes_first() -> None:
    one = gap()
    low, high = one.ends
    maps, scalars = features_of(one, 6, propagated(one), low, grey(12))
    assert maps.shape == (MAPS, SIDE, SIDE)
    assert np.array_equal(maps[0], low)
    assert scalars[:3] == pytest.approx([2 * 2 / 12, np.log(6) / 2, np.log(30) / 2])
    maps, other = features_of(one, 14, propagated(one), low, grey(12))
    assert np.array_equal(maps[0], high)
    assert other[:3] == pytest.approx(scalars[:3])
    assert other[3:] == pytest.approx([scalars[4], scalars[3], scalars[5], scalars[7], scalars[6]])


def test_likelihoods_tell_inside_from_what_is_close_by() -> None:
    maps, _ = features_of(gap(), 6, propagated(gap()), gap().ends[0], grey(12))
    assert maps[3][32, 32] > 1 > -1 > maps[3][0, 0]
    assert maps[4][32, 32] < maps[3][32, 32], "in the upper slice it is brighter"


def test_the_picture_is_seen_beside_what_was_carried_here() -> None:
    """In units of the contrast in the drawn slices: brighter is positive, and no difference is zero."""
    maps, _ = features_of(gap(), 6, propagated(gap()), gap().ends[0], grey(10))
    assert maps[5][32, 32] > 0 > maps[5][0, 0]
    assert not maps[6].any(), "the lower drawn slice shows the same"
    assert maps[7][32, 32] > 0.5


def test_what_arrives_is_compared_with_what_was_drawn() -> None:
    there, back, apart = gap().overlaps
    small, large = np.count_nonzero(disc(10)), np.count_nonzero(disc(20))
    assert there == back == apart == pytest.approx(2 * small / (small + large))


def test_slices_are_judged_one_by_one() -> None:
    net, one = contour_fusion_net(), gap()
    features = [features_of(one, k, propagated(one), one.ends[0], grey(10 + k)) for k in range(5, 16)]
    together = net.score(features)
    assert len(together) == 11
    for k in (0, 8):
        assert np.allclose(net.score(features[k : k + 1])[0], together[k], atol=1e-3)
    with pytest.raises(Stopped):
        net.score(features, should_stop=lambda: True)


@pytest.mark.parametrize("contrast", [60, -60])
def test_it_sees_no_difference_between_light_and_dark(contrast: int) -> None:
    """A tube that is wider in the middle than where it was drawn, lighter or darker than what is around it."""
    voxels = np.full((DEPTH, SIDE, SIDE), 20, np.int16)
    radius = [10 + 6 * np.sin(np.pi * k / (DEPTH - 1)) for k in range(DEPTH)]
    for k, r in enumerate(radius):
        voxels[k][disc(r)] += contrast
    voxels += np.random.default_rng(3).normal(0, 10, voxels.shape).astype(np.int16)
    volume = Volume(voxels, Grid((SIDE, SIDE, DEPTH), spacing=(2.0, 2.0, 3.0)))
    slices = {k: Slice(SliceStatus.COMPLETE, disc(radius[k]).astype(np.uint8)) for k in (0, DEPTH - 1)}
    work = WorkingVolume(volume, crop=False)
    found = contours_of(work, SliceAnnotations(0, volume.grid, slices))[DEPTH // 2] > 0
    wanted = work.mask_to_working(disc(radius[DEPTH // 2])) > 0.5
    assert 2 * np.count_nonzero(found & wanted) / (found.sum() + wanted.sum()) > 0.85


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = ContourFusionNet().eval()
    write_contour_fusion_net(tmp_path / "own.safetensors", net, {"seed": 1})
    one = gap()
    features = [features_of(one, 9, propagated(one), one.ends[0], grey(15))]
    assert np.allclose(contour_fusion_net(tmp_path / "own.safetensors").score(features), net.score(features), atol=0.02)


def test_files_that_are_something_else_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="cannot be read"):
        contour_fusion_net(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no")
    with pytest.raises(BackboneError, match="is not a safetensors file"):
        contour_fusion_net(tmp_path / "text.safetensors")
    write_tensors(tmp_path / "other.safetensors", {"x": torch.zeros(1)}, {})
    with pytest.raises(BackboneError, match="is not a contour fusion network; get the file again"):
        contour_fusion_net(tmp_path / "other.safetensors")
    write_tensors(tmp_path / "old.safetensors", {"x": torch.zeros(1)}, {"format": FORMAT})
    with pytest.raises(BackboneError, match="does not fit this version"):
        contour_fusion_net(tmp_path / "old.safetensors")
