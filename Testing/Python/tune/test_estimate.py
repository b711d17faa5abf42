"""The estimated Dice of the undrawn part: rises with every good sign, and says when it knows little."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.prior import Prior
from PromptSegLib.segment.result import LogitMap
from PromptSegLib.tune import estimate as estimates
from PromptSegLib.tune.estimate import Calibration, estimate, log_odds, predictors
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume

LINE = Calibration((0.5, 1.0, 0.25, -0.5), (1.0, 1.5, 1.0, 3.0), 1.2, 0.6, 100)
GOOD = {"leave_one_out": 0.85, "expected": 0.9, "agreement": 0.85, "gap": 10.0}


def test_at_the_means_it_is_the_offset() -> None:
    means = {"leave_one_out": 1 / (1 + math.exp(-1.0)), "expected": 1 / (1 + math.exp(-1.5))}
    found = estimate(means | {"agreement": 1 / (1 + math.exp(-1.0)), "gap": math.exp(3.0)}, LINE)
    assert log_odds(found.dice) == pytest.approx(1.2)
    assert log_odds(found.low) == pytest.approx(1.2 - 1.2816 * 0.6)
    assert log_odds(found.high) == pytest.approx(1.2 + 1.2816 * 0.6)


@pytest.mark.parametrize("name", ["leave_one_out", "expected", "agreement"])
def test_every_good_sign_raises_it(name) -> None:
    assert estimate(GOOD, LINE).dice > estimate({**GOOD, name: 0.4}, LINE).dice
    assert estimate(GOOD, LINE).dice > estimate({**GOOD, "gap": 60.0}, LINE).dice
    # The line that ships may do without some of them.
    assert estimate(GOOD).dice >= estimate({**GOOD, name: 0.4}).dice
    assert estimate(GOOD).dice >= estimate({**GOOD, "gap": 60.0}).dice
    assert estimate(GOOD).dice > estimate(dict.fromkeys(GOOD, 0.4)).dice


def test_it_stays_a_dice() -> None:
    for value in (0.0, 1.0):
        found = estimate(dict.fromkeys(GOOD, value), LINE)
        assert 0 < found.low < found.dice < found.high < 1


def test_what_is_not_known_widens_the_range() -> None:
    known = estimate(GOOD, LINE)
    less = estimate({**GOOD, "leave_one_out": math.nan}, LINE)
    assert log_odds(less.high) - log_odds(less.low) > log_odds(known.high) - log_odds(known.low)
    assert estimate({**GOOD, "leave_one_out": math.nan, "expected": math.nan}, LINE) is None


def test_signs_worked_out_by_hand() -> None:
    voxels = np.random.default_rng(0).normal(0, 100, (9, 32, 32)).astype(np.float32)
    work = WorkingVolume(Volume(voxels, Grid((32, 32, 9), spacing=(2.0, 2.0, 3.0))), crop=False)
    mask = np.ones((32, 32), np.uint8)
    drawn = SliceAnnotations(0, work.volume.grid, {k: Slice(SliceStatus.COMPLETE, mask) for k in (2, 6)})
    contour = np.full(work.size, -1.0, np.float32)
    contour[0:10, 0:10] = 1.0
    logits = LogitMap(work, drawn=drawn.native_slices(0), prior=Prior({4: contour}, 6.0))
    network = np.full(work.size, -15.0, np.float32)
    network[0:10, 0:5] = 6.0
    network[0:10, 10:15] = 6.0
    logits.put(4, network)
    found = predictors(logits, drawn, 0.7)
    assert found["leave_one_out"] == 0.7
    assert found["agreement"] == pytest.approx(2 * 50 / (100 + 100))
    assert found["gap"] == pytest.approx(12.0)
    # 50 pixels are certain (+12); 100 stand at 0, of which none is in the mask, each with a chance of one half.
    assert found["expected"] == pytest.approx(2 * 50 / (50 + 50 + 50), abs=0.01)


def test_a_line_that_was_not_fitted_gives_no_figure(session, phantom, prompts, monkeypatch) -> None:
    drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [7, 12, 18])
    made = session.segment([prompts["liver"]], drawn={"liver": drawn})
    monkeypatch.setattr(estimates, "CALIBRATION", replace(LINE, pairs=0))
    assert session.estimate(made, drawn, prompts["liver"]) is None


def test_the_session_gives_it_with_its_review(session, phantom, prompts, kit, monkeypatch) -> None:
    monkeypatch.setattr(estimates, "CALIBRATION", replace(LINE, pairs=40))
    drawn = {"liver": SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [7, 12, 18])}
    made = session.segment([prompts["liver"], prompts["spleen"]], drawn=drawn)
    reference = {"liver": phantom.labels == 1}
    found = session.review(made, reference=reference, drawn=drawn, prompts=[prompts["liver"]])
    liver, spleen = found.structures
    assert 0 < liver.estimate < 1
    assert spleen.estimate is None
    rest = np.setdiff1d(np.arange(24), [7, 12, 18])
    assert liver.score.dice == pytest.approx(kit.dice(made.mask("liver")[rest], phantom.labels[rest] == 1))
    assert not {7, 12, 18} & {s.index for s in liver.slices}
    assert not liver.error_cm2[[7, 12, 18]].any()
    assert spleen.error_cm2.sum() > 0
    assert liver.volume_ml == pytest.approx(made.mask("liver").sum() * 0.025)


def test_it_promises_nothing_beyond_the_drawn_slices(session, phantom, prompts, monkeypatch) -> None:
    monkeypatch.setattr(estimates, "CALIBRATION", replace(LINE, pairs=40))

    def made(slices):
        drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, slices)
        found = session.segment([prompts["liver"]], drawn={"liver": drawn})
        return found, drawn

    found, drawn = made([8, 9, 10])  # every slice between the first and the last is drawn
    assert session.estimate(found, drawn, prompts["liver"]) is None
    found, drawn = made([8, 12])
    known = session.estimate(found, drawn, prompts["liver"])
    logits = found.maps["liver"]
    for k in (*range(8), *range(13, 24)):  # what lies beyond says nothing, whatever it is
        logits.slices[k] = np.full(logits.work.size, 2, np.int8)
    assert session.estimate(found, drawn, prompts["liver"]) == known
