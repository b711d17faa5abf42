"""A patient may come in several pieces: both legs are seen, and arms beside a trunk, but no table."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.register.picture import mask_in, picture_of
from PromptSegLib.volumes.body_parts import body_parts
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume

Y, X = np.mgrid[:128, :128] * 3.0  # mm


def disc(y: float, x: float, radius: float) -> np.ndarray:
    return (Y - y) ** 2 + (X - x) ** 2 < radius**2


def ct(*pieces: np.ndarray, slices: int = 24) -> Volume:
    """Pieces of tissue in air, the same in every slice, 3 mm."""
    plane = np.where(np.any(pieces, axis=0), 50, -1000).astype(np.int16)
    return Volume(np.repeat(plane[None], slices, 0), Grid((128, 128, slices), (0, 0, 0), (3.0, 3.0, 3.0)))


@pytest.mark.parametrize("other", [90.0, 40.0])  # a leg like the first one; an arm beside a trunk
def test_the_other_leg_is_seen_and_an_arm_beside_a_trunk(other: float) -> None:
    first, second = disc(190, 110, 90), disc(190, 330, other / 2)
    volume = ct(first, second)
    work = WorkingVolume(volume)
    seen = work.mask_to_working(second.astype(np.uint8)).sum() * 4 / (second.sum() * 9)
    assert seen == pytest.approx(1, abs=0.05)
    picture = picture_of(volume)
    whole = np.repeat(second[None], 24, 0)
    share = mask_in(picture, whole, volume.grid)
    assert share.sum() == pytest.approx(whole.sum(), rel=0.02)
    assert picture.body[share > 0.9].all()


def test_a_table_is_no_part_of_the_body() -> None:
    trunk, table = disc(150, 190, 110), (Y > 300) & (Y < 318) & (X > 20) & (X < 360)
    found = np.repeat(np.stack([trunk | table]), 24, 0)
    kept = body_parts(found, (3.0, 3.0, 3.0))
    assert kept[:, trunk].all()
    assert not kept[:, table].any()
    assert table.sum() > 0.1 * trunk.sum()


def test_nothing_is_no_body() -> None:
    assert not body_parts(np.zeros((2, 3, 4), bool), (1, 1, 1)).any()
