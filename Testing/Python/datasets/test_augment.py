"""Augmentation: pictures stay pictures, in shape and range, and one seed gives one result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from PromptSegLib.datasets import augment
from PromptSegLib.volumes.preprocess import grey_from_hu

CHANGES = (
    augment.holes, augment.keep_boxes, augment.shuffle_boxes, augment.bias_field, augment.shift, augment.gamma,
    augment.histogram,
)  # fmt: skip


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def pictures() -> Tensor:
    """Sixteen random pictures (16, 3, 80, 72) that use the whole range."""
    return torch.rand(16, 3, 80, 72, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_each_change_keeps_shape_and_range_and_follows_its_seed(change, pictures) -> None:
    before = pictures.clone()
    changed = change(pictures, seeded(5))
    assert torch.equal(pictures, before), "what goes in stays as it is"
    assert changed.shape == pictures.shape
    assert changed.dtype == pictures.dtype
    assert changed.min() >= -1
    assert changed.max() <= 1
    assert torch.equal(change(pictures, seeded(5)), changed)
    assert not torch.equal(change(pictures, seeded(6)), changed)
    different = [not torch.equal(a, b) for a, b in zip(changed, pictures, strict=True)]
    assert all(different)
    assert change(pictures[:2, :, :8, :5], seeded()).shape == (2, 3, 8, 5), "smaller than any box"


def test_each_structure_is_enhanced_by_one_amount_in_all_slices() -> None:
    grey = torch.full((2, 3, 40, 40), 100.0)
    labels = torch.zeros(2, 40, 40, dtype=torch.long)
    labels[0, 5:15, 5:15], labels[1, 20:35, 20:35], labels[1, 5:15, 5:15] = 1, 1, 3
    changed = augment.phase(grey, labels, seeded(2)) - 100
    first, again, other = changed[0, :, 7:13, 7:13], changed[1, :, 22:33, 22:33], changed[1, :, 7:13, 7:13]
    assert max(float(part.std()) for part in (first, again, other)) < 1e-4
    assert first[0, 0, 0] == pytest.approx(float(again[0, 0, 0]))
    assert abs(float(first[0, 0, 0] - other[0, 0, 0])) > 0.1
    assert not changed[:, :, :3].any(), "nothing but structures changes"
    edge = changed[0, 0, 10, 3:8].abs()
    assert 0 < edge[1] < edge[2] < edge[3], "edges are soft"
    assert torch.equal(augment.phase(grey, labels, seeded(2)) - 100, changed)


def test_holes_are_one_to_three_small_boxes(pictures) -> None:
    changed = (augment.holes(pictures, seeded()) != pictures).any(1)
    assert all(3 * 3 <= int(c.sum()) <= 3 * 12 * 12 for c in changed)
    assert len({int(c.sum()) for c in changed}) > 8


def test_six_boxes_are_kept_as_they_were(pictures) -> None:
    large = pictures.repeat(1, 1, 2, 2)
    kept = (augment.keep_boxes(large, seeded()) == large).all(1)
    rows, columns = kept.any(2), kept.any(1)
    assert all(30 * 30 <= int(k.sum()) <= 6 * 60 * 60 for k in kept)
    assert all(r.sum() >= 30 and c.sum() >= 30 for r, c in zip(rows, columns, strict=True))


def test_shuffled_pixels_change_places_within_small_boxes_in_all_channels_alike() -> None:
    place = torch.arange(80.0 * 72).reshape(1, 1, 80, 72).repeat(40, 2, 1, 1) / 8000
    changed = augment.shuffle_boxes(place, seeded())
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert torch.equal(changed.flatten(2).sort(-1).values, place.flatten(2).sort(-1).values)
    moved = changed[:, 0] != place[:, 0]
    assert all(0 < int(m.sum()) <= 3 * 144 for m in moved)
    origin = (changed[:, 0] * 8000).round().long()
    rows, columns = torch.arange(80)[:, None], torch.arange(72)
    # Three boxes may overlap, each hands a pixel on by less than its side.
    assert (origin // 72 - rows).abs().max() <= 3 * 11
    assert (origin % 72 - columns).abs().max() <= 3 * 11


def test_the_bias_field_is_one_smooth_factor(pictures) -> None:
    factor = (augment.bias_field(pictures * 0.2 - 0.4, seeded()) + 1) / (pictures * 0.2 + 0.6)
    assert torch.allclose(factor[:, 0], factor[:, 2], atol=1e-5)
    assert (factor[:, :, 1:] - factor[:, :, :-1]).abs().max() < 0.08
    assert factor.std() > 0.02


def test_a_shift_adds_up_to_a_quarter_of_a_standard_deviation(pictures) -> None:
    quiet = pictures * 0.2
    moved = (augment.shift(quiet, seeded()) - quiet) / quiet.std((1, 2, 3), keepdim=True)
    assert moved.flatten(1).std(1).max() < 1e-4
    assert 0.15 < moved.abs().max() <= 0.25 + 1e-4
    assert ((augment.shift(quiet, seeded(), limit=0.1) - quiet) / quiet.std()).abs().max() <= 0.11


@pytest.mark.parametrize("change", [augment.gamma, augment.histogram], ids=lambda c: c.__name__)
def test_gamma_and_histogram_are_rising_curves_from_end_to_end(change) -> None:
    ramp = torch.linspace(-1, 1, 501).repeat(30, 1, 1, 1)
    curves = change(ramp, seeded())[:, 0, 0]
    assert torch.allclose(curves[:, 0], torch.tensor(-1.0))
    assert torch.allclose(curves[:, -1], torch.tensor(1.0), atol=1e-5)
    assert (curves.diff(dim=1) >= -1e-6).all()
    assert (curves - ramp[0, 0, 0]).abs().amax(1).median() > 0.05


def test_histograms_have_eight_to_twelve_control_points() -> None:
    ramp = torch.linspace(-1, 1, 27721, dtype=torch.float64).repeat(40, 1, 1, 1)  # 27720 is a multiple of 7 to 11
    bends = augment.histogram(ramp, seeded())[:, 0, 0].diff(dim=1).diff(dim=1).abs() > 1e-9
    counts = {int(b.sum()) for b in bends}  # those between the ends
    assert counts <= {6, 7, 8, 9, 10}
    assert {6, 10} <= counts


def test_students_lose_parts_and_teachers_do_not() -> None:
    """Unchanged are 0.9^4 of the teacher's pictures, 0.7 times that of a student's."""
    pictures = torch.rand(600, 1, 12, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for student, expected in ((False, 0.6561), (True, 0.7 * 0.6561)):
        changed = augment.vary(pictures, seeded(4), student)
        same = (changed == pictures).flatten(1).all(1).float().mean()
        assert same == pytest.approx(expected, abs=0.06)
        assert changed.abs().max() <= 1
        assert torch.equal(changed, augment.vary(pictures, seeded(4), student))
    # No change of intensity alone makes neighbours in a flat picture differ by much.
    flat = torch.zeros(300, 1, 100, 100)
    steps = [(augment.vary(flat, seeded(4), s).diff(dim=3).abs().amax((1, 2, 3)) > 0.3).float().mean() for s in (0, 1)]
    assert steps[0] == 0
    assert steps[1] == pytest.approx(0.2, abs=0.06)


def test_windows_of_full_volumes_get_narrow_and_narrow_ones_get_air_and_bone() -> None:
    hu = np.linspace(-1000, 1500, 400)
    full = torch.from_numpy(grey_from_hu(hu))
    narrow = torch.from_numpy(grey_from_hu(hu.clip(-125, 275)))
    of_full = [augment.window(full, seeded(n)) for n in range(60)]
    of_narrow = [augment.window(narrow, seeded(n)) for n in range(60)]
    assert 10 < sum(bool(x.min() > 20) for x in of_full) < 40
    assert 15 < sum(bool(x.min() <= 20) for x in of_narrow) < 45
    assert 5 < sum(bool(x.max() > narrow.max()) for x in of_narrow) < 35
    inside = (hu > -75) & (hu < 195)
    assert all(torch.equal(x[inside], full[inside]) for x in of_full)
    assert all(torch.equal(x[inside], narrow[inside]) for x in of_narrow)
