"""What a training step sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from PromptSegLib.datasets.groups import BEND, GROUP, bend
from PromptSegLib.datasets.sample import Sample, by_name, shown_in, with_unions
from PromptSegLib.datasets.tasks import MAX_HEADS, TaskSampler, membership


@pytest.mark.parametrize("size", [(64, 96), (20, 20)])
def test_bending_is_smooth_and_follows_its_seed(size) -> None:
    field = bend(size, np.random.default_rng(3))
    assert field.shape == (*size, 2)
    assert 0.05 < field.abs().max() < 6 * BEND
    for axis in (0, 1):  # no pixel overtakes its neighbour
        assert field.diff(dim=axis).abs().max() < 1
    assert torch.equal(field, bend(size, np.random.default_rng(3)))


def test_image_and_label_are_bent_together(monkeypatch) -> None:
    sampler = TaskSampler([[None]], [1.0], ["liver"], 1)  # type: ignore[list-item]
    disc = ((torch.arange(96)[:, None] - 48) ** 2 + (torch.arange(96) - 48) ** 2 < 20**2).float()
    stack = disc.expand(3, 1, 96, 96)
    results = []
    for chance in (0.0, 1.0):
        monkeypatch.setattr("PromptSegLib.datasets.groups.BENT", chance)
        sampler.groups.random = np.random.default_rng(7)
        grey, label = sampler.groups._affine(stack.expand(3, 3, 96, 96) * 255, stack, stack[:, 0] > 0, (96, 96))
        assert ((grey[:, :1] > 127) == (label > 0.5)).float().mean() > 0.99
        results.append(label)
    assert not torch.equal(*results)


def patient(name: str, column: int, structures: tuple[str, ...] = ("liver", "spleen")) -> Sample:
    """Two boxes whose place tells the patient."""
    labels = np.zeros((8, 48, 48), np.uint8)
    labels[:, 6:16, column : column + 10], labels[:, 26:40, column : column + 10] = 1, 2
    grey = (40 + 90 * labels).astype(np.uint8)
    return Sample(name, grey, labels, structures, 3.0, by_name(structures, shown_in(labels, len(structures))))


def test_a_structure_is_shown_in_one_patient_and_asked_for_in_another(monkeypatch) -> None:
    monkeypatch.setattr("PromptSegLib.datasets.tasks.SIZES", ((48, 48),))
    sets = [[patient("a", 4), patient("b", 30)]]
    batch = TaskSampler(sets, [1.0], ["liver", "spleen"], 2, elsewhere=1.0).draw(8, 0)
    group = torch.tensor(batch.episodic) // GROUP
    away = batch.support[:, 0] // GROUP != group
    assert away.float().mean() > 0.5
    assert (batch.support[away] // GROUP == (group[away] ^ 1)[:, None]).all()  # the group beside it
    for n in away.nonzero()[:, 0].tolist():
        wanted = batch.labels[batch.episodic[n]][batch.episodic_masks[n] > 0].unique().tolist()
        drawn = batch.labels[batch.support[n]][batch.support_inside[n] > 0].unique().tolist()
        assert len(wanted) <= 1 == len(drawn)
        assert wanted in ([], drawn)


def test_another_patient_is_another_subject() -> None:
    samples = [patient("a", 4), patient("a as b", 8), patient("b", 30)]
    samples[1].subject = "a"
    sampler = TaskSampler([samples[:1], samples[1:]], [1.0, 1.0], ["liver", "spleen"], 2, elsewhere=1.0)
    assert {sampler._other("liver", samples[0]).name for _ in range(20)} == {"b"}
    assert {sampler._other("liver", samples[2]).name for _ in range(20)} == {"a", "a as b"}


def test_lobes_make_a_lung(monkeypatch) -> None:
    monkeypatch.setattr("PromptSegLib.datasets.tasks.SIZES", ((48, 48),))
    lobes = ("upper lobe of left lung", "lower lobe of left lung")
    sample = patient("a", 12, lobes)
    sample.where = with_unions(sample.where, lobes)
    assert sample.values("left lung") == [1, 2]
    names = [*lobes, "left lung"]
    batch = TaskSampler([[sample]], [1.0], names, 1).draw(4, 2)
    assert batch.annotated[:, 1:].all()
    whole = [m for (_, s), m in zip(batch.prompted, batch.prompted_masks, strict=True) if s == 2 and m.any()]
    n = next(n for n, s in batch.prompted if s == 2)
    assert whole
    assert torch.equal(membership(names)[2][batch.labels[n]], batch.labels[n] > 0)


def test_where_much_is_annotated_the_dense_loss_asks_for_what_is_seen(monkeypatch) -> None:
    monkeypatch.setattr("PromptSegLib.datasets.tasks.SIZES", ((48, 48),))
    many = ("liver", "spleen", *(f"rib {n}" for n in range(60)))
    sample = patient("a", 12, many)
    sample.absent = many[2:]
    heads = TaskSampler([[sample]], [1.0], many, 1).draw(4, 0).heads
    assert heads.shape == (4, MAX_HEADS)
    assert all({0, 1} & {*row} for row in heads.tolist())
    assert all(len({*row}) == MAX_HEADS for row in heads.tolist())
