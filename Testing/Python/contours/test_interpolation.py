from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest

from PromptSegLib.contours import interpolation
from PromptSegLib.contours.interpolation import FLOOR_MM, morphological, signed_distance
from PromptSegLib.errors import AnnotationError, InputError

SPACING = (3.0, 1.0, 1.0)
DEPTH, SIZE = 17, 64
Fill = Callable[[dict[int, np.ndarray]], np.ndarray]


def disc(row: float, col: float, radius: float, pixel: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    y, x = np.indices((SIZE, SIZE))
    return ((y - row) * pixel[0]) ** 2 + ((x - col) * pixel[1]) ** 2 <= radius**2


def by_distance(masks: dict[int, np.ndarray]) -> np.ndarray:
    return signed_distance(masks, DEPTH, SPACING) > 0


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def drawn(truth: np.ndarray, *slices: int) -> dict[int, np.ndarray]:
    return {k: truth[k] for k in slices}


def test_fill_between_slices() -> None:
    """One run for all that is asked of it, because ITK takes seconds to load."""
    try:
        version("itk-morphologicalcontourinterpolation")
    except PackageNotFoundError:
        pytest.skip("itk-morphologicalcontourinterpolation is not installed")
    column, nothing = disc(30, 12, 9), np.zeros((SIZE, SIZE), dtype=bool)
    parts = np.stack([disc(16, 14 + 0.5 * k, 6) | disc(46, 50 - 0.5 * k, 8) for k in range(DEPTH)])
    parts[12, 46, 46] = False
    result = morphological(
        {1: column, 2: column, 5: column, 7: nothing, 9: parts[9], 12: parts[12], 15: parts[15]}, DEPTH
    )
    assert (result[1:6] == column).all()
    assert dice(result[9:16], parts[9:16]) > 0.95
    assert not result[9:16, 28:34].any()
    assert (result[12] == parts[12]).all()
    assert not result[[0, 6, 7, 8, 16]].any()


def test_a_cylinder_is_filled_between_the_drawn_slices_and_not_beyond() -> None:
    truth = np.stack([disc(30, 32, 9)] * DEPTH)
    result = by_distance(drawn(truth, 3, 8, 12))
    assert (result[3:13] == truth[3:13]).all()
    assert not result[:3].any()
    assert not result[13:].any()


def test_drawn_slices_stay_as_drawn() -> None:
    ragged = np.random.default_rng(0).random((SIZE, SIZE)) < 0.3
    truth = np.stack([disc(30, 30, 5 + k) for k in range(DEPTH)])
    truth[5] &= ragged
    result = by_distance(drawn(truth, 2, 5, 6, 11))
    for k in (2, 5, 6, 11):
        assert (result[k] == truth[k]).all()


def test_two_parts_stay_two_parts() -> None:
    truth = np.stack([disc(16, 14 + 0.5 * k, 6) | disc(46, 50 - 0.5 * k, 8) for k in range(DEPTH)])
    result = by_distance(drawn(truth, 0, 8, 16))
    assert dice(result, truth) > 0.95
    assert not result[:, 28:34].any()


def test_an_oblique_cylinder_is_followed_where_a_plain_blend_loses_it() -> None:
    truth = np.stack([disc(32, 12 + 2.5 * k, 5) for k in range(DEPTH)])
    result = by_distance(drawn(truth, 0, 8, 16))
    assert dice(result, truth) > 0.93
    # The same contours put into one place and blended there: what is left of the structure without the move.
    plain = np.stack([truth[0] & truth[8] if 0 < k < 8 else truth[k] for k in range(DEPTH)])
    assert not plain[4].any()
    assert np.count_nonzero(result[4]) == pytest.approx(np.count_nonzero(truth[4]), rel=0.1)


def test_parts_that_do_not_move_together_are_followed_each() -> None:
    """The common centroid stays where it is, so only the parts' own centroids help."""
    truth = np.stack([disc(16, 10 + 2.5 * k, 5) | disc(48, 54 - 2.5 * k, 5) for k in range(DEPTH)])
    assert dice(by_distance(drawn(truth, 0, 8, 16)), truth) > 0.93


def test_a_round_organ_keeps_its_belly() -> None:
    """Area goes linearly between contours; a blend that is linear in the radius would be a double cone, Dice 0.85."""
    radius = [np.sqrt(max(1 - ((k - 8) / 8) ** 2, 0.02)) * 24 for k in range(DEPTH)]
    truth = np.stack([disc(32, 32, r) for r in radius])
    result = by_distance(drawn(truth, 0, 8, 16))
    area = [np.count_nonzero(plane) for plane in result]
    assert area[4] == pytest.approx((area[0] + area[8]) / 2, rel=0.03)
    undrawn = [k for k in range(DEPTH) if k % 8]
    assert dice(result[undrawn], truth[undrawn]) > 0.83


def test_a_part_that_ends_tapers_off_half_way() -> None:
    one, two = disc(16, 16, 6), disc(46, 46, 8)
    result = by_distance({0: one | two, 8: one})
    upper, lower = result[:, :32], result[:, 32:]
    assert (upper[:9] == one[:32]).all()
    areas = [np.count_nonzero(plane) for plane in lower[:9]]
    whole = np.count_nonzero(two)
    assert areas == pytest.approx([whole, 0.75 * whole, 0.5 * whole, 0.25 * whole, 0, 0, 0, 0, 0], abs=0.1 * whole)


def test_an_absent_slice_is_an_end() -> None:
    full, nothing = disc(30, 30, 10), np.zeros((SIZE, SIZE), dtype=bool)
    distances = signed_distance({0: full, 8: nothing, 16: full}, DEPTH, SPACING)
    counts = [np.count_nonzero(plane > 0) for plane in distances]
    assert counts[0] > counts[1] > counts[2] > counts[3] > 0
    assert counts[4:13] == [0] * 9
    assert counts == counts[::-1]
    assert (distances[8] == FLOOR_MM).all()
    assert distances[5].max() > distances[6].max() > distances[7].max()


def test_beyond_the_outermost_slices_only_when_asked() -> None:
    full = disc(30, 30, 10)
    assert [bool((p > 0).any()) for p in signed_distance({8: full}, DEPTH, SPACING)] == [k == 8 for k in range(DEPTH)]
    further = signed_distance({8: full}, DEPTH, SPACING, beyond_mm=10.0) > 0
    assert np.flatnonzero(further.any(axis=(1, 2))).tolist() == [5, 6, 7, 8, 9, 10, 11]  # 3 slices of 3 mm on each side
    assert np.count_nonzero(further[9]) == pytest.approx(0.7 * np.count_nonzero(full), rel=0.1)


def test_distances_are_in_mm_on_anisotropic_pixels() -> None:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[10:50, 20:31] = True
    distances = signed_distance({0: mask}, 1, (1.0, 0.5, 2.0))[0]
    assert distances.dtype == np.float32
    assert distances[30, 25] == pytest.approx(min(20 * 0.5, 6 * 2.0) - 0.25, abs=0.51)
    assert distances[30, 17] == pytest.approx(-(3 * 2.0 + 2.0 - 2.0) + 0.25)
    assert distances[60, 25] == pytest.approx(-11 * 0.5 + 0.25)
    assert distances[30, 60] == distances.min() == FLOOR_MM


@pytest.mark.parametrize("fill", [lambda m: morphological(m, DEPTH), by_distance])
def test_what_cannot_be_used(fill: Fill) -> None:
    with pytest.raises(AnnotationError, match="No slice is drawn"):
        fill({})
    with pytest.raises(AnnotationError, match="No slice is drawn"):
        fill({3: np.zeros((4, 4), dtype=bool)})
    with pytest.raises(AnnotationError, match="Slice 17 is not in the volume; choose slices from 0 to 16"):
        fill({17: disc(30, 30, 5)})
    with pytest.raises(ValueError, match="one shape"):
        fill({1: disc(30, 30, 5), 2: disc(30, 30, 5)[:10]})


def test_a_missing_package_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(interpolation, "version", missing)
    with pytest.raises(InputError, match="pip install itk-morphologicalcontourinterpolation"):
        morphological({1: disc(30, 30, 5), 4: disc(30, 30, 5)}, DEPTH)
