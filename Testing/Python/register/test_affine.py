"""Of many places along the body where two outlines fit each other, the one where the inside does, too, is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from PromptSegLib.register.affine import Affine, Fitter, Level, by_grey
from PromptSegLib.register.sampling import Frame


def levels(grey: np.ndarray, body: np.ndarray, origin: float) -> tuple[Level, Level]:
    """At 12 and at 6 mm, from an image (S, A, R) at 6 mm that begins at S ``origin``."""
    s, a, r = grey.shape
    fine = Level(
        Frame((s, a, r), (origin, -6.0 * a / 2, -6.0 * r / 2), 6.0),
        torch.from_numpy(grey.astype(np.float32))[None],
        torch.ones(s, a, r),
        torch.from_numpy(body.astype(np.float32)),
    )
    return fine.coarser(), fine


@pytest.fixture(scope="module")
def trunks() -> tuple[tuple[Level, Level], tuple[Level, Level]]:
    """A long trunk of one outline and another patient's part of it, 30 mm further up and with less contrast."""
    random = np.random.default_rng(0)
    inside = ndimage.gaussian_filter(random.normal(size=(100, 36, 48)), 2.0)
    inside = 0.5 + 0.15 * inside / inside.std()
    a, r = np.indices((36, 48))
    body = np.broadcast_to(((a - 17.5) / 14) ** 2 + ((r - 23.5) / 20) ** 2 < 1, inside.shape)
    grey = np.where(body, inside, 0.0).clip(0, 1)
    part = slice(30, 70)
    other = np.where(body[part], 0.6 * inside[part] + 0.2, 0.0) + random.normal(0, 0.02, grey[part].shape)
    return levels(grey, body, 0.0), levels(other.clip(0, 1), body[part], 30 * 6.0 + 30.0)


def test_the_inside_decides_where_outlines_fit_everywhere(trunks) -> None:
    patient, teacher = trunks
    found = by_grey(patient, teacher)
    centre = np.array([50 * 6.0, 0.0, 0.0])
    assert np.linalg.norm(found.matrix[:, :3] @ centre + found.matrix[:, 3] - centre - [30, 0, 0]) < 6
    assert found.score > 0.8


def test_likeness_tells_the_right_place(trunks) -> None:
    patient, teacher = trunks
    fitter = Fitter(patient[0], teacher[0])
    right, wrong = (Affine(np.column_stack([np.eye(3), [shift, 0.0, 0.0]])) for shift in (30.0, 130.0))
    assert fitter.likeness(right) > max(0.8, fitter.likeness(wrong) + 0.2)


def test_nothing_in_common_has_no_score() -> None:
    nothing = levels(np.zeros((8, 8, 8)), np.zeros((8, 8, 8)), 0.0)
    assert by_grey(nothing, nothing).score == -1
