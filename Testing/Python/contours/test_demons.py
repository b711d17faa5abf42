"""Many small pictures are registered at once, by the arithmetic of SimpleITK's filter."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name that everybody uses
import torch
from scipy import ndimage
from torch import Tensor

from PromptSegLib.contours import demons
from PromptSegLib.contours.demons import displacements, warp

SIDE = 96


def disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def texture(seed: int, shape: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, 3)
    return (128 + 40 * smooth / smooth.std()).astype(np.float32)


def bent(picture: np.ndarray) -> np.ndarray:
    """The picture with its middle moved by up to three pixels."""
    rows, columns = np.indices(picture.shape).astype(float)
    bump = np.exp(-((rows - SIDE / 2) ** 2 + (columns - SIDE / 2) ** 2) / (2 * 20**2))
    return ndimage.map_coordinates(picture, [rows + 3 * bump, columns - 2 * bump], order=1, mode="nearest")


def tensor(*pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack(pictures).astype(np.float32))


def test_a_shift_is_found_in_pixels_along_rows_and_columns() -> None:
    (found,) = displacements(tensor(255 * disc(40, 48, 20)), tensor(255 * disc(43, 46, 20))).numpy()
    edge = disc(40, 48, 22) & ~disc(40, 48, 18)
    assert found.shape == (2, SIDE, SIDE)
    assert found[0][edge].mean() == pytest.approx(3, abs=1)
    assert found[1][edge].mean() == pytest.approx(-2, abs=1)


def test_what_is_warped_looks_like_what_it_was_registered_to() -> None:
    fixed = texture(1)
    moving = tensor(bent(fixed))
    field = displacements(tensor(fixed), moving)
    before = (moving - tensor(fixed)).abs().mean()
    after = (warp(moving[:, None], field)[:, 0] - tensor(fixed)).abs().mean()
    assert after < 0.15 * before


def test_it_finds_what_the_filter_of_simpleitk_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, moving = texture(2), bent(texture(2))
    filter_ = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    filter_.SetNumberOfIterations(60)
    filter_.SetSmoothDisplacementField(True)
    filter_.SetStandardDeviations(demons.FIELD_SIGMA)
    filter_.SetSmoothUpdateField(True)
    filter_.SetUpdateFieldStandardDeviations(demons.UPDATE_SIGMA)
    field = sitk.GetArrayFromImage(filter_.Execute(sitk.GetImageFromArray(fixed), sitk.GetImageFromArray(moving)))
    monkeypatch.setattr(demons, "LEVELS", (1,))
    monkeypatch.setattr(demons, "ITERATIONS", (60,))
    (ours,) = displacements(tensor(fixed), tensor(moving)).numpy()
    theirs = np.moveaxis(field, -1, 0)[::-1]
    inside = (slice(None), slice(8, -8), slice(8, -8))
    assert np.abs(ours - theirs)[inside].mean() < 0.1 * np.abs(theirs)[inside].mean()


def test_pairs_do_not_know_of_each_other() -> None:
    fixed, moving = tensor(texture(3), texture(4)), tensor(bent(texture(3)), texture(5))
    both = displacements(fixed, moving)
    assert torch.allclose(both[0], displacements(fixed[:1], moving[:1])[0], atol=1e-3)


@pytest.mark.parametrize("shape", [(4, 9), (1, 30), (97, 95)])
@pytest.mark.parametrize("finest", [1, 2, 4])
def test_pictures_of_any_size_are_registered(shape: tuple[int, int], finest: int) -> None:
    found = displacements(tensor(texture(6, shape)), tensor(texture(7, shape)), finest)
    assert found.shape == (1, 2, *shape)
    assert torch.isfinite(found).all()


def test_pictures_without_anything_in_them_stay_where_they_are() -> None:
    flat = torch.full((2, 20, 30), 100.0)
    for other in (flat, flat + 50):
        assert displacements(flat, other).abs().max() < 1e-3
