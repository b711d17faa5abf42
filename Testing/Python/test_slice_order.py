"""How orders of slices are compared: ``Testing/Benchmarks/risk.py``."""

from __future__ import annotations

import numpy as np
import pytest
from risk import IN_USE, RANDOM, TRUE, measure, simulated, slices_of, table

SPACING = (5.0, 2.0, 2.0)


def cylinder() -> np.ndarray:
    mask = np.zeros((30, 24, 24), bool)
    mask[2:28, 6:18, 6:18] = True
    return mask


def test_the_true_order_is_best_and_what_is_equal_is_in_random_order() -> None:
    truth = np.arange(100.0)
    best, hits = measure(truth, truth)
    assert hits == 10
    worst, none = measure(-truth, truth)
    assert none == 0
    even, chance = measure(np.zeros(100), truth)
    assert best < even < worst
    assert even == pytest.approx(truth.mean())
    assert chance == pytest.approx(1.0)


def test_slices_with_errors_are_found() -> None:
    reference = cylinder()
    mask = reference.copy()
    mask[12, 6:12] = False
    entropy = np.zeros(mask.shape, np.float32)
    entropy[12, 6:12, 6:18] = 1.0
    found = table({"a": {"x": slices_of(mask, reference, entropy, SPACING)}})
    assert found[TRUE]["hits"] > found[RANDOM]["hits"]
    for name in IN_USE:
        assert found[name]["area"] == pytest.approx(found[TRUE]["area"], abs=0.05), name
        assert found[RANDOM]["area"] == pytest.approx(1.0)


def test_errors_are_put_into_a_tenth_of_the_slices_and_are_the_same_each_time() -> None:
    reference = cylinder()
    made = [simulated(reference, np.random.default_rng(3)) for _ in range(2)]
    wrong = [np.flatnonzero((one ^ reference).any(axis=(1, 2))) for one in made]
    assert np.array_equal(*wrong)
    assert 1 <= len(wrong[0]) <= 3
