"""What a round came to survives every way that it travels, and what is no outcome is refused."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import numpy as np
import pytest

from PromptSegLib.errors import InputError
from PromptSegLib.tune.outcome import _FIELDS, Estimate, LeftOutSlice, Outcome, Suggestion

ALL = Outcome(
    left_out=(LeftOutSlice(0, 5, 0.5), LeftOutSlice(1, 9, 0.75)),
    leave_one_slice_out_dice=0.625,
    network_dice=0.5,
    history=({"step": 0, "dice": 0.25}, {"step": 5, "loss": 0.5, "dice": 0.75}),
    notes=("Look at slice 5.",),
    stages={"tune": 1.5},
    steps=5,
    stopped=True,
    seconds=2.5,
    estimate=Estimate(0.8, 0.7, 0.9),
    suggestions=(Suggestion(7, 0.5, "far from both", (5, None)),),
    review={"axis": 0, "structures": []},
)


@pytest.mark.parametrize("outcome", [ALL, Outcome()], ids=["all", "nothing"])
def test_it_comes_back_as_it_was(outcome) -> None:
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json(), allow_nan=False))) == outcome


def test_every_field_is_read() -> None:
    assert set(_FIELDS) == {f.name for f in fields(Outcome)}
    assert ALL.to_json().keys() == set(_FIELDS)


def test_numbers_that_json_does_not_have_pass_as_null() -> None:
    odd = Outcome(
        left_out=(LeftOutSlice(0, 5, math.nan),), history=({"step": 0, "loss": math.nan},), seconds=np.float32(2)
    )
    text = json.dumps(odd.to_json(), allow_nan=False)
    back = Outcome.from_json(json.loads(text))
    assert math.isnan(back.left_out[0].dice)
    assert math.isnan(back.history[0]["loss"])
    assert back.seconds == 2


def test_other_versions_have_other_fields() -> None:
    assert Outcome.from_json({"steps": 3, "of another version": 1}) == Outcome(steps=3)


@pytest.mark.parametrize(
    "values",
    [
        [], None, "x", {"steps": "3"}, {"steps": -1}, {"steps": True}, {"steps": 10**400}, {"stopped": 1},
        {"seconds": math.nan}, {"seconds": math.inf}, {"seconds": 10**400}, {"seconds": None}, {"notes": "text"},
        {"notes": [1]}, {"notes": ["x" * 10**6]}, {"left_out": [[0, 5, 0.5]]}, {"left_out": {"index": 5}},
        {"left_out": [{"volume": 0, "index": 5, "dice": "<b>"}]}, {"left_out": [{"index": 5, "dice": 0.5}]},
        {"estimate": {"dice": 0.5, "low": 0.1}}, {"estimate": 0.5}, {"estimate": []}, {"history": [{}]},
        {"history": [{"step": 0.5}]}, {"history": [{"step": 0, "dice": "x"}]}, {"stages": []}, {"review": []},
        {"suggestions": [{"index": 1, "share": 0.5, "reason": "x", "between": [1]}]},
        {"suggestions": [{"index": 1, "share": None, "reason": "x", "between": [1, 2]}]},
    ],
)  # fmt: skip
def test_what_is_no_outcome_is_refused_in_a_sentence(values) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        Outcome.from_json(values)
