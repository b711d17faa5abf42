"""Partial labels: what is not annotated gives no loss; what is known to be absent is background everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from PromptSegLib.datasets import tasks
from PromptSegLib.datasets.sample import Sample, by_name, shown_in
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.model.config import tiny
from PromptSegTrain.pretraining_model import ABSENT, PretrainingModel

NAMES = ("liver", "spleen", "aorta")


@pytest.fixture(autouse=True)
def small_images(monkeypatch):
    monkeypatch.setattr(tasks, "SIZES", ((32, 32),))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model() -> PretrainingModel:
    torch.manual_seed(0)
    return PretrainingModel(tiny(), NAMES)


def make(absent: tuple[str, ...] = (), known: tuple[str, ...] = ("liver", "aorta")) -> Sample:
    """Eight slices of noise; each structure is a box, and ``where`` lists those that are ``known``."""
    random = np.random.default_rng(0)
    labels = np.zeros((8, 32, 32), np.uint8)
    labels[:, 4:14, 4:14], labels[:, 16:28, 6:12], labels[:, 6:12, 20:28] = 1, 2, 3
    where = {n: s for n, s in by_name(NAMES, shown_in(labels, 3)).items() if n in known}
    return Sample("one", random.integers(0, 255, labels.shape, np.uint8), labels, NAMES, 3.0, where, absent)


def losses(model: PretrainingModel, sample: Sample, draws: int = 3) -> list[float]:
    """All parts of the loss of some batches, always the same ones."""
    sampler = TaskSampler([[sample]], [1.0], NAMES, 3)
    torch.manual_seed(0)
    parts = [model(sampler.draw(2, 2), torch.float32) for _ in range(draws)]
    assert set(parts[0]) == {"prompted", "dense", "deep", "episodic"}
    return [float(p[k].detach()) for p in parts for k in sorted(p)]


def test_slices_with_less_than_three_pixels_show_nothing() -> None:
    labels = np.zeros((3, 4, 4), np.uint8)
    labels[0, 0, :2], labels[1, 0, :3], labels[2] = 1, 1, 2
    assert [s.tolist() for s in shown_in(labels, 3)] == [[1], [2], []]
    assert list(by_name(NAMES, shown_in(labels, 3))) == ["liver", "spleen"]


def test_pixels_of_a_structure_that_is_not_annotated_change_no_loss(model) -> None:
    with_spleen, without = make(), make()
    without.labels[without.labels == 2] = 0
    assert losses(model, with_spleen) == losses(model, without)


def test_pixels_of_a_structure_that_is_annotated_change_the_loss(model) -> None:
    whole, part = make(), make()
    part.labels[:, 4:8, 4:14] = 0
    assert losses(model, whole) != losses(model, part)


def test_what_is_absent_is_annotated_and_nowhere(model) -> None:
    sample = make(absent=("spleen",))
    sample.labels[sample.labels == 2] = 0
    assert sample.annotated == ("liver", "aorta", "spleen")
    batch = TaskSampler([[sample]], [1.0], NAMES, 3).draw(12, 2)
    assert batch.annotated.tolist() == [[False, True, True, True]] * len(batch.annotated)
    asked = [mask for (_, number), mask in zip(batch.prompted, batch.prompted_masks, strict=True) if number == 1]
    assert asked
    assert not torch.stack(asked).any()


@pytest.mark.parametrize(("absent", "expected"), [((), False), (("spleen",), True)])
def test_only_what_is_known_to_be_absent_teaches_its_prompt(model, absent, expected) -> None:
    sample = make(absent)
    sample.labels[sample.labels == 2] = 0
    sampler = TaskSampler([[sample]], [1.0], NAMES, 3)
    model.zero_grad(set_to_none=True)
    for _ in range(2):
        parts = model(sampler.draw(2, 2), torch.float32)
        sum(parts[k] for k in ("prompted", "dense", "deep", "episodic")).backward()
    reached = max(float(p.grad[1].abs().max()) for p in model.bank.tensors.values())
    classifier = [layer[1].weight.grad[2].abs().max() for layer in model.deep.layers]
    assert (reached > 0) is expected
    # The classifiers may call a spleen background where it is not annotated: this they are taught in either case.
    assert all(float(g) > 0 for g in classifier)


def test_what_a_slice_does_not_show_counts_less_in_the_dense_loss(model) -> None:
    sample = make()
    sample.labels[:4] = 0
    batch = TaskSampler([[sample]], [1.0], NAMES, 3).draw(2, 1)
    weights = model.dense_weights(batch)
    for group, asked in enumerate(batch.heads.tolist()):
        for n, labels in enumerate(batch.labels.reshape(2, 3, *batch.labels.shape[1:])[group]):
            for head, structure in enumerate(asked):
                there = bool((labels == structure + 1).any())
                expected = 0.0 if structure < 0 else 1.0 if there else ABSENT
                assert float(weights[group, n, head]) == pytest.approx(expected)
