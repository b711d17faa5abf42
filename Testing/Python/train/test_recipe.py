"""The recipe: how rates rise and fall, how long the average remembers, and what a checkpoint brings back."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from PromptSegTrain.recipe import Recipe


def test_the_rate_rises_holds_and_falls() -> None:
    recipe = Recipe(steps=100, warmup=10, decay=20)
    rates = [recipe.rate(s) for s in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:81] == [1.0] * 72
    assert rates[-1] == 0
    assert np.all(np.diff(rates[80:]) < 0)


def test_the_rate_falls_along_a_cosine() -> None:
    rates = [Recipe(steps=100, warmup=10, decay=20, schedule="cosine").rate(s) for s in range(101)]
    assert rates[9:81] == [1.0] * 72
    assert rates[85] == pytest.approx(0.5 + 0.5 * np.cos(np.pi / 4))
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)


def test_without_a_decay_the_rate_stays() -> None:
    assert [Recipe(steps=10, warmup=0, decay=0).rate(s) for s in (0, 9)] == [1, 1]


def test_the_average_remembers_longer_and_longer() -> None:
    recipe = Recipe(steps=20_000, mode="joint")
    assert recipe.ema_decay(0) == pytest.approx(0.1)
    assert recipe.ema_decay(90) == pytest.approx(0.91)
    assert recipe.ema_decay(5_000) == pytest.approx(0.994)  # half way along the cosine
    assert recipe.ema_decay(10_000) == recipe.ema_decay(19_999) == pytest.approx(0.998)
    assert Recipe().ema_decay(5_000) == 0.998
    assert Recipe().ema_decay(1_000) == pytest.approx(1001 / 1010)


def test_what_an_older_checkpoint_does_not_know_has_its_default() -> None:
    recipe = Recipe(steps=7, weights=(0.7, 0.3), pseudo=0.0, elsewhere=0.0, apart=0.0)
    assert Recipe.from_dict(asdict(recipe)) == recipe
    assert Recipe.from_dict({"steps": 7, "weights": [0.7, 0.3], "of another version": 1}) == recipe


def test_a_run_of_former_versions_goes_on_without_later_tasks() -> None:
    former = Recipe.from_dict({"steps": 10, "own": ["liver"]})
    assert (former.pseudo, former.elsewhere, former.apart, former.own) == (0.0, 0.0, 0.0, ("liver",))
    assert Recipe.from_dict({"pseudo": 0.2}).pseudo == 0.2


def test_a_paced_run_goes_by_the_time_where_that_is_nearer_to_its_end() -> None:
    recipe = Recipe(steps=1000, warmup=10, decay=500)
    assert recipe.rate(100, passed=0.3) == 1.0
    assert recipe.rate(100, passed=0.75) == pytest.approx(0.5)
    assert recipe.rate(900, passed=0.1) == pytest.approx(0.2)
    assert recipe.rate(100, passed=1.2) == 0.0
    assert recipe.rate(4, passed=0.2) == pytest.approx(0.5)
