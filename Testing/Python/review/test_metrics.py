from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from PromptSegLib.errors import InputError
from PromptSegLib.review.metrics import dice_per_slice, score


def box(shape: tuple[int, int, int], start: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = True
    return mask


def ball(centre: tuple[float, float, float], radius: float, shape: tuple[int, int, int], spacing: tuple) -> np.ndarray:
    z, y, x = np.indices(shape) * np.reshape(spacing, (3, 1, 1, 1)) - np.reshape(centre, (3, 1, 1, 1))
    return z**2 + y**2 + x**2 <= radius**2


def test_equal_masks() -> None:
    row = score(*[box((8, 9, 10), (2, 2, 2), (4, 5, 6))] * 2, (3.0, 2.0, 0.5))
    assert (row.dice, row.hd95_mm, row.assd_mm, row.nsd_1mm, row.nsd_2mm) == (1, 0, 0, 1, 1)
    assert row.prediction_ml == row.reference_ml == pytest.approx(4 * 5 * 6 * 3 * 2 * 0.5 / 1000)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cube_shifted_by_one_voxel(axis: int) -> None:
    """By hand: only elements on the two faces across the shift, and their rims, lie off the other cube's surface."""
    spacing = (3.0, 1.5, 0.7)
    start = [4, 4, 4]
    start[axis] += 1
    row = score(box((20, 20, 20), tuple(start), (10, 10, 10)), box((20, 20, 20), (4, 4, 4), (10, 10, 10)), spacing)
    assert row.dice == pytest.approx(0.9)
    assert row.hd95_mm == pytest.approx(spacing[axis])

    # Elements of one cube, 11 corners a side: 81 inside each face, 9 on each of its 4 edges, 8 at the cube's corners.
    face = [spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]]
    u, v = (other for other in range(3) if other != axis)
    edges = 2 * 9 * (math.hypot(face[axis], face[u]) + math.hypot(face[axis], face[v])) / 2
    corners = 4 * math.hypot(*face) / 4
    whole = 2 * 81 * sum(face) + 2 * edges + 4 * 9 * math.hypot(face[u], face[v]) / 2 + 2 * corners
    # The leading face, its edges and corners are one voxel outside the other cube. The trailing face is a voxel inside,
    # unless the other's sides are nearer; its edges and corners are on those sides. Everything else coincides.
    off = {spacing[axis]: edges + corners + 81 * face[axis]}
    for p, q in itertools.product(range(1, 10), repeat=2):
        distance = min(spacing[axis], min(p, 10 - p) * spacing[u], min(q, 10 - q) * spacing[v])
        off[distance] = off.get(distance, 0) + face[axis]
    assert row.assd_mm == pytest.approx(sum(distance * area for distance, area in off.items()) / whole)
    for nsd, tolerance in ((row.nsd_1mm, 1), (row.nsd_2mm, 2)):
        assert nsd == pytest.approx(1 - sum(area for distance, area in off.items() if distance > tolerance) / whole)


def test_a_distance_equal_to_the_tolerance_is_within_it() -> None:
    a, b = box((5, 5, 40), (1, 1, 3), (3, 3, 20)), box((5, 5, 40), (1, 1, 13), (3, 3, 20))
    assert score(a, b, (0.1, 0.1, 0.1)).nsd_1mm == 1.0


def test_concentric_balls_are_their_radii_apart() -> None:
    spacing, shape = (1.5, 0.8, 0.8), (48, 90, 90)
    centre = tuple(n * mm / 2 for n, mm in zip(shape, spacing, strict=True))
    row = score(ball(centre, 26, shape, spacing), ball(centre, 20, shape, spacing), spacing)
    assert row.dice == pytest.approx(2 * 20**3 / (20**3 + 26**3), abs=0.005)
    # Stairs have inner and outer corners, and the nearer ones count: up to a voxel's half too little.
    assert row.assd_mm == pytest.approx(6.0, abs=0.75)
    assert row.hd95_mm == pytest.approx(6.0, abs=0.75)
    assert row.nsd_2mm == 0.0
    assert row.reference_ml == pytest.approx(4 / 3 * math.pi * 20**3 / 1000, rel=0.01)


def test_both_empty_is_not_defined() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    row = score(empty, empty, (1, 1, 1))
    assert all(math.isnan(v) for v in (row.dice, row.hd95_mm, row.assd_mm, row.nsd_1mm, row.nsd_2mm))
    assert row.prediction_ml == row.reference_ml == 0
    assert json.loads(json.dumps(row.to_json(), allow_nan=False))["dice"] is None


@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_is_a_miss(missed: bool) -> None:
    empty, full = np.zeros((4, 5, 6), dtype=bool), box((4, 5, 6), (1, 1, 1), (2, 2, 2))
    row = score(*((empty, full) if missed else (full, empty)), (1, 1, 1))
    assert (row.dice, row.hd95_mm, row.assd_mm, row.nsd_1mm, row.nsd_2mm) == (0, math.inf, math.inf, 0, 0)
    assert row.to_json()["hd95_mm"] is None


def test_skipped_slices_do_not_count() -> None:
    """Two columns that agree on slices 2 and 3 and lie 2 mm apart on slices 4 to 9."""
    reference = box((12, 9, 9), (2, 2, 2), (8, 4, 4))
    prediction = np.concatenate([reference[:4], np.roll(reference[4:], 2, axis=2)])
    everything = score(prediction, reference, (5, 1, 1))
    assert everything.dice == pytest.approx((2 + 6 * 0.5) / 8)
    others = score(prediction, reference, (5, 1, 1), skip_slices=[2, 3])
    assert others.dice == pytest.approx(0.5)
    assert others.assd_mm > everything.assd_mm
    assert (others.prediction_ml, others.reference_ml) == (everything.prediction_ml, everything.reference_ml)
    agreed = score(prediction, reference, (5, 1, 1), skip_slices=range(4, 12))
    assert agreed.dice == 1.0
    # The slices that count end amid the column; nothing of the cut is a surface, so nothing there is off by a slice.
    assert agreed.hd95_mm <= 2.0
    assert agreed == score(*(np.moveaxis(m, 0, 2) for m in (prediction, reference)), (1, 1, 5), range(4, 12), axis=2)


def test_nothing_on_the_slices_that_count_is_not_defined() -> None:
    mask = box((6, 5, 5), (2, 1, 1), (1, 3, 3))
    row = score(mask, mask, (1, 1, 1), skip_slices=[2])
    assert math.isnan(row.dice)
    assert math.isnan(row.hd95_mm)
    assert row.reference_ml == pytest.approx(0.009)


def test_masks_that_touch_the_edge_of_the_volume_are_closed_there() -> None:
    whole = np.ones((4, 4, 4), dtype=bool)
    inner = box((4, 4, 4), (0, 0, 0), (3, 4, 4))
    assert score(whole, inner, (2, 1, 1)).hd95_mm == pytest.approx(2.0)


def test_what_cannot_be_compared_is_refused() -> None:
    a = np.ones((3, 4, 5), dtype=bool)
    with pytest.raises(InputError, match="Slice 3 is not in the volume; choose slices from 0 to 2"):
        score(a, a, (1, 1, 1), skip_slices=[3])
    with pytest.raises(ValueError, match="one shape"):
        score(a, a[:2], (1, 1, 1))
    with pytest.raises(ValueError, match="spacing"):
        score(a, a, (1, 0, 1))


def test_dice_of_each_slice() -> None:
    reference = box((4, 4, 4), (1, 0, 0), (3, 2, 4))
    prediction = box((4, 4, 4), (1, 1, 0), (2, 2, 4))
    values = dice_per_slice(prediction, reference)
    assert math.isnan(values[0])
    assert values[1:].tolist() == [0.5, 0.5, 0.0]
    assert dice_per_slice(prediction, reference, axis=2).tolist() == pytest.approx([2 * 2 / 10] * 4)
