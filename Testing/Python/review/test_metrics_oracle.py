"""HD95, ASSD and NSD against the package surface-distance, on random and on degenerate masks.

Both take a surface as elements on the corners between voxels, so that distances are the same to the last bit. The areas
are not: there they come from a table of triangulated patches, here from the gradient, which gives rugged surfaces and
single voxels more. So percentiles and means of smooth masks agree closely, those of rugged ones less.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import surface_distance as oracle
from scipy import ndimage
from scipy.spatial import cKDTree

from PromptSegLib.review import metrics
from PromptSegLib.review.metrics import score

SPACINGS = ((1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (2.5, 1.34, 0.9))


def theirs(found: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...]) -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it divides by zero where a mask is empty
        return oracle.compute_surface_distances(reference, found, spacing)


def assd(surfaces: dict[str, np.ndarray]) -> float:
    areas = np.concatenate([surfaces["surfel_areas_gt"], surfaces["surfel_areas_pred"]])
    distances = np.concatenate([surfaces["distances_gt_to_pred"], surfaces["distances_pred_to_gt"]])
    return float((distances * areas).sum() / areas.sum())


def noise(seed: int, smooth: float, shape: tuple[int, int, int] = (20, 26, 24)) -> tuple[np.ndarray, np.ndarray]:
    """Two masks that are alike, the rougher the smaller ``smooth``."""
    random = np.random.default_rng(seed)
    one, other = (ndimage.gaussian_filter(random.normal(size=shape), smooth) for _ in range(2))
    mixed = one + 0.4 * other
    return one > np.quantile(one, 0.8), mixed > np.quantile(mixed, 0.8)


def balls(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two balls, a little apart and of other radii."""
    random = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        centre, radius = random.uniform(17, 19, 3), random.uniform(10, 13)
        masks.append(sum((x - c) ** 2 for x, c in zip(np.indices((36, 36, 36)), centre, strict=True)) <= radius**2)
    return masks[0], masks[1]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("seed", "smooth"), [(0, 0.6), (1, 1.0), (2, 2.0), (3, 3.0)])
def test_random_masks(seed: int, smooth: float, spacing: tuple[float, float, float]) -> None:
    found, reference = noise(seed, smooth)
    ours, known = score(found, reference, spacing), theirs(found, reference, spacing)
    low, high = (oracle.compute_robust_hausdorff(known, part) for part in (90, 98))
    assert low - 1e-6 <= ours.hd95_mm <= high + 1e-6
    assert ours.assd_mm == pytest.approx(assd(known), rel=0.25, abs=0.05)
    assert ours.nsd_1mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(known, 1.0), abs=0.04)
    assert ours.nsd_2mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(known, 2.0), abs=0.04)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
def test_smooth_masks(seed: int, spacing: tuple[float, float, float]) -> None:
    found, reference = balls(seed)
    ours, known = score(found, reference, spacing), theirs(found, reference, spacing)
    low, high = (oracle.compute_robust_hausdorff(known, part) for part in (93.5, 96.5))  # stairs make it jump
    assert low - 1e-6 <= ours.hd95_mm <= high + 1e-6
    assert ours.assd_mm == pytest.approx(assd(known), rel=0.03)
    assert ours.nsd_1mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(known, 1.0), abs=0.02)
    assert ours.nsd_2mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(known, 2.0), abs=0.02)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_distances_are_the_same(seed: int, spacing: tuple[float, float, float]) -> None:
    found, reference = noise(seed, 0.8)
    known = theirs(found, reference, spacing)
    steps, counts = np.array(spacing), np.ones(len(found), bool)
    a, b = (metrics._surface(mask, steps, counts, 0) for mask in (found, reference))
    for ours, other in (
        (cKDTree(b.points, balanced_tree=False).query(a.points)[0], known["distances_pred_to_gt"]),
        (cKDTree(a.points, balanced_tree=False).query(b.points)[0], known["distances_gt_to_pred"]),
    ):
        np.testing.assert_allclose(np.sort(ours), np.sort(other), atol=1e-4)


def one_voxel(at: tuple[int, int, int], size: tuple[int, int, int] = (1, 1, 1)) -> np.ndarray:
    mask = np.zeros((8, 9, 10), bool)
    mask[tuple(slice(a, a + n) for a, n in zip(at, size, strict=True))] = True
    return mask


DEGENERATE = {
    "the same voxel": (one_voxel((3, 3, 3)), one_voxel((3, 3, 3))),
    "two voxels apart": (one_voxel((3, 3, 3)), one_voxel((3, 3, 6))),
    "voxels in opposite corners": (one_voxel((0, 0, 0)), one_voxel((7, 8, 9))),
    "a sheet and the next": (one_voxel((3, 0, 0), (1, 9, 10)), one_voxel((4, 0, 0), (1, 9, 10))),
    "a line and a voxel on it": (one_voxel((3, 3, 0), (1, 1, 10)), one_voxel((3, 3, 4))),
    "everything and a half": (np.ones((8, 9, 10), bool), one_voxel((0, 0, 0), (4, 9, 10))),
}


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_masks(case: str, spacing: tuple[float, float, float]) -> None:
    found, reference = DEGENERATE[case]
    ours, known = score(found, reference, spacing), theirs(found, reference, spacing)
    assert ours.hd95_mm == pytest.approx(oracle.compute_robust_hausdorff(known, 95), abs=max(spacing))
    assert ours.assd_mm == pytest.approx(assd(known), rel=0.2, abs=0.1)
    assert ours.nsd_1mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(known, 1.0), abs=0.1)
    assert ours.nsd_2mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(known, 2.0), abs=0.1)


def test_empty_masks(monkeypatch) -> None:
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)  # the package was written for NumPy 1
    empty, full = np.zeros((8, 9, 10), bool), one_voxel((3, 3, 3), (2, 3, 4))
    for found, reference in ((empty, full), (full, empty)):
        ours, known = score(found, reference, (1.0, 1.0, 1.0)), theirs(found, reference, (1.0, 1.0, 1.0))
        assert ours.hd95_mm == oracle.compute_robust_hausdorff(known, 95) == math.inf
        assert ours.nsd_2mm == oracle.compute_surface_dice_at_tolerance(known, 2.0) == 0
    known = theirs(empty, empty, (1.0, 1.0, 1.0))
    with np.errstate(all="ignore"):
        assert math.isnan(oracle.compute_surface_dice_at_tolerance(known, 2.0))
    assert math.isnan(score(empty, empty, (1.0, 1.0, 1.0)).nsd_2mm)
