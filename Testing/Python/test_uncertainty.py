"""How well a map of uncertainty finds errors, and what a segmentation gives as its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from uncertainty import CANDIDATES, area, candidates, risk_coverage

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.prior import Prior
from PromptSegLib.segment.result import LogitMap, entropy
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume


def test_errors_that_come_last_cost_little() -> None:
    coverage, risk = risk_coverage(np.array([0.1, 0.2, 0.3, 0.9]), np.array([0, 0, 0, 1]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == [0, 0, 0, 0.25]
    assert area(coverage, risk) == pytest.approx(0.25 * 0.125)
    worst = area(*risk_coverage(np.array([0.9, 0.8, 0.7, 0.1]), np.array([0, 0, 0, 1])))
    assert worst > 0.4


def test_without_any_difference_the_risk_is_even() -> None:
    coverage, risk = risk_coverage(np.zeros(8), np.array([1, 0, 0, 0, 1, 0, 0, 0]))
    assert coverage.tolist() == [1.0]
    assert risk.tolist() == [0.25]
    assert area(coverage, risk) == 0.25


def test_entropy_in_bits() -> None:
    assert entropy(np.array([0.5, 0.25, 0.0, 1.0])) == pytest.approx([1, 0.8113, 0, 0], abs=1e-4)


def test_candidates_are_between_0_and_1_and_where_they_should_be() -> None:
    voxels = np.random.default_rng(0).normal(0, 100, (5, 32, 32)).astype(np.float32)
    work = WorkingVolume(Volume(voxels, Grid((32, 32, 5), spacing=(2.0, 2.0, 3.0))), crop=False)
    contour = np.full(work.size, -1.0, np.float32)
    contour[10:20, 10:20] = 1.0
    logits = LogitMap(work, prior=Prior({2: contour}, 6.0))
    network = np.full(work.size, -6.0, np.float32)
    network[10:20, 15:25] = 6.0
    logits.put(2, network)
    found = candidates(logits, 2)
    assert set(found) == set(CANDIDATES)
    for name, values in found.items():
        assert values.shape == work.size, name
        assert 0 <= values.min() <= values.max() <= 1, name
    both, only_network, only_contour = (12, 17), (12, 23), (12, 12)
    apart = found["disagreement"]
    assert apart[only_network] > 0.9
    assert apart[only_contour] > 0.9
    assert apart[both] < 0.1
    assert found["entropy"][only_network] == pytest.approx(1, abs=0.05)  # +6 and -6
    assert found["uncertainty"][only_network] > found["uncertainty"][both]


@pytest.mark.parametrize(("weight", "trust"), [(15.0, 0.4), (1000.0, 0.006), (6.0, 1.0)])
def test_the_network_counts_as_far_as_it_is_trusted(weight, trust) -> None:
    voxels = np.random.default_rng(0).normal(0, 100, (5, 32, 32)).astype(np.float32)
    work = WorkingVolume(Volume(voxels, Grid((32, 32, 5), spacing=(2.0, 2.0, 3.0))), crop=False)
    logits = LogitMap(work, prior=Prior({2: np.full(work.size, 0.5, np.float32)}, weight))
    logits.put(2, np.full(work.size, -2.0, np.float32))
    assert logits.probability(2) == pytest.approx(1 / (1 + np.exp(2 * trust - 3)), abs=1e-3)
    alone = LogitMap(work, prior=replace(logits.prior, weight=0.0))
    alone.put(2, np.full(work.size, -2.0, np.float32))
    assert alone.probability(2) == pytest.approx(1 / (1 + np.exp(2)), abs=1e-3)


def test_a_segmentation_s_uncertainty_is_none_where_it_was_drawn(session, phantom, prompts) -> None:
    drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [8, 16], absent=[0])
    found = session.segment([prompts["liver"]], drawn={"liver": drawn})
    uncertain = found.uncertainty("liver")
    assert uncertain.shape == phantom.labels.shape
    assert uncertain.dtype == np.float32
    assert 0 <= uncertain.min() <= uncertain.max() <= 1
    assert not uncertain[[0, 8, 16]].any()
    wrong = found.mask("liver") != (phantom.labels == 1)
    assert uncertain[wrong].mean() > 3 * uncertain[~wrong].mean()
    alone = session.segment([prompts["liver"]])
    assert alone.uncertainty("liver").max() > 0.5
