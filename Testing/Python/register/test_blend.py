"""Network and carried mask in one: what the network knows is not touched, what it does not know is carried over."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from PromptSegLib.prior import ALONE, SCALE, Location
from PromptSegLib.register.blend import (
    BLIND,
    CONFIDENT,
    DOUBTFUL,
    EASE,
    MEASURED,
    OF_ONE_MIND,
    SEEING,
    SHARE_BESIDE,
    UNCERTAIN,
    blend_of,
    most_beside,
)
from PromptSegLib.register.log_odds import LIMIT
from PromptSegLib.segment.result import LogitMap
from PromptSegLib.volumes.preprocess import WorkingVolume

LEFT_OUT_DICE = (None, 0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def work(kit) -> WorkingVolume:
    return WorkingVolume(kit.make_phantom(31).volume)


def ball(work: WorkingVolume, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """Signed distance in pixels, positive inside, (slices, rows, columns)."""
    k, j, i = np.indices((work.count, *work.size))
    return radius - np.sqrt((2 * (k - centre[0])) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2)


def logits(distance: np.ndarray, steep: float, noise: float = 0.0, seed: int = 0) -> dict[int, np.ndarray]:
    """What a network says of it, int8 by slice, the surer the steeper."""
    values = steep * distance + np.random.default_rng(seed).normal(0, noise, distance.shape)
    return dict(enumerate(np.clip(np.rint(SCALE * values), -127, 127).astype(np.int8)))


def located(distance: np.ndarray, left_out_dice: float | None) -> Location:
    """A place that was carried over."""
    place = np.clip(0.5 * distance, -LIMIT, LIMIT).astype(np.float16)
    slices = {k: (p, np.zeros_like(p)) for k, p in enumerate(place) if p.max() > -LIMIT}
    return Location(slices, lambda plausible, known: blend_of(left_out_dice, plausible, (), known=known), -LIMIT)


@pytest.mark.parametrize("left_out_dice", LEFT_OUT_DICE)
@pytest.mark.parametrize("seed", range(6))
def test_what_the_network_knows_is_never_hurt(work, left_out_dice, seed) -> None:
    random = np.random.default_rng(seed)
    middle = np.array([work.count / 2, work.size[0] / 2, work.size[1] / 2])
    own = logits(ball(work, tuple(middle), 10), 4.0)
    wrong = ball(work, tuple(middle + random.uniform(-4, 4, 3)), random.uniform(8, 12))
    location = located(wrong, left_out_dice)
    assert location.known(own) > CONFIDENT
    found = LogitMap(work, dict(own))
    found.locate(location)
    assert all(np.array_equal(found.slices[k], own[k]) for k in own)


def test_where_two_patients_fit_poorly_the_network_counts_more() -> None:
    def network(trust: float) -> float:
        return blend_of(0.6, 0.5, [SimpleNamespace(trust=trust)], known=0.85)[0]

    shares = [blend_of(0.6, 0.5, [SimpleNamespace(trust=trust)], known=0.85)[1] for trust in (0.35, 0.45, 0.55)]
    places = [blend_of(0.6, 0.5, [SimpleNamespace(trust=trust)])[1] for trust in (0.35, 0.45, 0.55)]
    kept = [share / place for share, place in zip(shares, places, strict=True)]
    assert kept == sorted(kept)
    assert kept[0] < 0.4
    assert network(0.35) > network(0.7)


@pytest.mark.parametrize("left_out_dice", LEFT_OUT_DICE)
def test_the_more_it_knows_the_less_the_others_count(left_out_dice) -> None:
    steps = [blend_of(left_out_dice, 0.5, (), known=known) for known in np.linspace(0, 1, 101)]
    for before, after in pairwise(steps):
        assert after[1] <= before[1] + 1e-9
        assert after[2] <= before[2] + 1e-9
    assert blend_of(left_out_dice, 0.5, (), known=UNCERTAIN - EASE) == pytest.approx(blend_of(left_out_dice, 0.5, ()))
    assert blend_of(left_out_dice, 0.5, (), known=CONFIDENT) == ALONE


def test_beside_a_network_that_was_measured_in_others_one_teacher_is_not_followed_blindly() -> None:
    assert most_beside(MEASURED, SEEING, None) == pytest.approx(SHARE_BESIDE)
    assert most_beside(0.9, 0.9, 0.3) == pytest.approx(SHARE_BESIDE)
    for nothing_against in ((None, 0.9, None), (DOUBTFUL, 0.9, None), (0.9, BLIND, None), (0.9, 0.9, OF_ONE_MIND)):
        assert most_beside(*nothing_against) == 1.0
    shares = [most_beside(dice, 0.7, None) for dice in np.linspace(0, 1, 21)]
    assert shares == sorted(shares, reverse=True)


def test_a_stomach_that_is_known_survives_a_teacher_who_has_it_elsewhere(work, kit) -> None:
    middle = (work.count / 2, work.size[0] / 2, work.size[1] / 2)
    truth = ball(work, middle, 10)
    own = logits(truth, 0.5, noise=1.0)
    wrong = ball(work, (middle[0], middle[1] + 14, middle[2]), 10)
    place = np.clip(0.4 * wrong, -LIMIT, LIMIT).astype(np.float16)
    slices = {k: (p, np.zeros_like(p)) for k, p in enumerate(place)}
    fits = [SimpleNamespace(trust=0.4)]

    def dice(measured: bool) -> float:
        def blend(plausible: float, known: float):
            assert SEEING < known < UNCERTAIN
            most = most_beside(0.68, known, None) if measured else 1.0
            return blend_of(0.68, plausible, fits, known=known, most=most)

        found = LogitMap(work, dict(own))
        found.locate(Location(slices, blend, -LIMIT))
        mask = np.stack([found.slices.get(k, np.full(work.size, -1)) > 0 for k in range(work.count)])
        return kit.dice(mask, truth > 0)

    alone = kit.dice(np.stack([own[k] > 0 for k in range(work.count)]), truth > 0)
    assert dice(True) > max(0.9 * alone, dice(False) + 0.1)


SEEN = {
    "sure of one piece": (lambda work, middle: logits(ball(work, middle, 10), 4.0), True),
    "uncertain": (lambda work, middle: logits(ball(work, middle, 10), 0.2), False),
    "scattered": (lambda work, middle: logits(ball(work, middle, 4), 1.0, noise=3.0), False),
    "nothing": (lambda work, middle: logits(ball(work, middle, -5), 4.0), False),
}


@pytest.mark.parametrize("left_out_dice", LEFT_OUT_DICE)
@pytest.mark.parametrize(("network", "finds"), SEEN.values(), ids=SEEN.keys())
def test_outside_the_field_of_view_only_a_sure_network_finds_anything(work, network, finds, left_out_dice) -> None:
    own = network(work, (work.count / 2, work.size[0] / 2, work.size[1] / 2))
    nowhere = Location({}, lambda plausible, known: blend_of(left_out_dice, plausible, (), known=known), -LIMIT)
    found = LogitMap(work, dict(own))
    found.locate(nowhere)
    assert any((one > 0).any() for one in found.slices.values()) == finds


UNKNOWING = {
    "uncertain": lambda work, middle: logits(ball(work, middle, 10), 0.2),
    "scattered": lambda work, middle: logits(ball(work, middle, 4), 1.0, noise=3.0),
    "elsewhere": lambda work, middle: logits(ball(work, (middle[0], middle[1], middle[2] + 24), 8), 4.0),
    "far too large": lambda work, middle: logits(ball(work, middle, 30), 4.0),
    "nothing": lambda work, middle: logits(ball(work, middle, -5), 4.0),
}


@pytest.mark.parametrize("network", UNKNOWING.values(), ids=UNKNOWING.keys())
def test_what_it_does_not_know_is_carried_over(work, network, kit) -> None:
    middle = (work.count / 2, work.size[0] / 2, work.size[1] / 2)
    own, truth = network(work, middle), ball(work, middle, 10) > 0
    location = located(ball(work, middle, 10), 0.1)
    assert location.known(own) < UNCERTAIN
    found = LogitMap(work, {k: v for k, v in own.items() if v.max() > -24})
    found.locate(location)
    mask = np.stack([found.slices.get(k, np.full(work.size, -1)) > 0 for k in range(work.count)])
    alone = np.stack([own[k] > 0 for k in range(work.count)])
    assert kit.dice(mask, truth) > max(0.6, kit.dice(alone, truth) - 1e-9)


def test_a_mask_that_reaches_the_border_of_its_box_is_cut(work) -> None:
    middle = (work.count / 2, work.size[0] / 2, work.size[1] / 2)
    own = logits(ball(work, middle, 10), 4.0)
    rows, columns = (slice(int(m) - 14, int(m) + 14) for m in middle[1:])
    some = range(int(middle[0]) - 7, int(middle[0]) + 8)
    nothing = {0: (np.zeros(work.size, np.float16), np.zeros(work.size, np.float16))}

    def cut(span, crop) -> bool:
        return Location(nothing, lambda *_: ALONE, -LIMIT, span, crop).cut(own, work.count)

    assert not cut(None, None)
    assert not cut(some, (rows, columns))
    assert cut(some, (slice(rows.start + 6, rows.stop), columns))
    assert cut(some, (rows, slice(columns.start, columns.stop - 6)))
    assert cut(range(some.start + 4, some.stop), (rows, columns))
    assert not cut(range(work.count), (slice(0, work.size[0]), slice(0, work.size[1])))


@pytest.mark.parametrize("left_out_dice", LEFT_OUT_DICE)
def test_a_network_that_was_measured_in_one_other_patient_counts_less(left_out_dice) -> None:
    """What it finds of that patient's left-out slices is more than what it finds in the next."""
    here = blend_of(left_out_dice, 0.7, (), known=0.5)
    there = blend_of(left_out_dice, 0.7, (), known=0.5, elsewhere=True)
    assert there[0] / there[1] < here[0] / here[1]
    assert there[1] > here[1]
    assert blend_of(left_out_dice, 0.7, (), known=CONFIDENT, elsewhere=True) == ALONE
