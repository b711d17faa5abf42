"""Contrastive prototype assignment, on cases small enough to work out by hand."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from PromptSegLib.datasets import contrastive_views as views
from PromptSegLib.datasets import tasks
from PromptSegLib.datasets.contrastive_views import View, Views, apply, pixels
from PromptSegLib.datasets.loading import Sample
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.model.config import tiny
from PromptSegTrain import cpa
from PromptSegTrain.cpa import assignment, assignment_loss, cpa_loss, prototypes
from PromptSegTrain.pretraining_model import PretrainingModel

ALL = torch.ones(2, 30, dtype=torch.bool)


def unit(*shape: int, seed: int = 0) -> Tensor:
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_one_iteration_of_soft_k_means_on_two_points() -> None:
    # Their cosine is 0.9: a point belongs to its own prototype by a = 1 / (1 + exp(-0.1 / 0.033)) = 0.95393.
    features = torch.tensor([[[1.0, 0.0], [0.9, 0.19**0.5]]])
    places = torch.tensor([[[0.0, 0.0], [0.0, 10.0]]])
    seeds, weight = torch.arange(2), torch.ones(1, 2)
    found = prototypes(features, places, seeds, weight, sigma=1e6, iterations=1)
    a, b = 0.953930, 0.046070
    first = np.array([a + 0.9 * b, 0.19**0.5 * b])
    second = np.array([b + 0.9 * a, 0.19**0.5 * a])
    expected = np.stack([first / np.linalg.norm(first), second / np.linalg.norm(second)])
    assert np.allclose(found[0], expected, atol=1e-5)
    # Where the other point is far, each prototype keeps to its own.
    assert torch.allclose(prototypes(features, places, seeds, weight, sigma=1.0, iterations=3), features, atol=1e-6)
    # A point that does not count draws no prototype.
    alone = prototypes(features, places, seeds, torch.tensor([[1.0, 0.0]]), sigma=1e6, iterations=1)
    assert torch.allclose(alone, features[:, :1].expand(-1, 2, -1))


def test_prototypes_move_in_the_slice_too() -> None:
    features, places = unit(1, 3, 4), torch.tensor([[[0.0, 0.0], [4.0, 0.0], [0.0, 6.0]]])
    f, x = features[0].double().numpy(), places[0].double().numpy()
    c, m = f[:2], x[:2]
    for _ in range(2):
        a = np.exp(f @ c.T / 0.033)
        a = a / a.sum(1, keepdims=True) * np.exp(-((x[:, None] - m) ** 2).sum(-1) / (2 * 5.0**2))
        total = a.sum(0)[:, None]
        c, m = a.T @ f / total, a.T @ x / total
        c = c / np.linalg.norm(c, axis=1, keepdims=True)
    found = prototypes(features, places, torch.arange(2), torch.ones(1, 3), sigma=5.0, iterations=2)
    assert np.allclose(found[0], c, atol=1e-4)


def test_a_prototype_that_nothing_belongs_to_stays() -> None:
    features, places = unit(1, 4, 3), torch.rand(1, 4, 2)
    assert torch.equal(prototypes(features, places, torch.arange(2), torch.zeros(1, 4)), features[:, :2])


def test_the_same_features_give_the_entropy_of_the_teachers_assignment(monkeypatch) -> None:
    features, centres = unit(2, 30, 6), unit(2, 5, 6, seed=1)
    monkeypatch.setattr(cpa, "STUDENT_TEMPERATURE", cpa.TEACHER_TEMPERATURE)
    q = assignment(features, centres, cpa.TEACHER_TEMPERATURE).exp()
    entropy = -torch.xlogy(q, q).sum(-1).mean()
    assert torch.allclose(assignment_loss(features, features, centres, ALL), entropy, atol=1e-5)
    for seed in range(5):  # and that is the least that it can be
        assert assignment_loss(features, unit(2, 30, 6, seed=seed + 5), centres, ALL) > entropy


def test_the_students_assignment_is_softer() -> None:
    # Cosines 1 and 0 with two prototypes: Q_t is 1 and 0, so the loss is log(1 + exp(-1 / 0.066)).
    centres = torch.eye(2)[None]
    loss = assignment_loss(centres[:, :1], centres[:, :1], centres, ALL[:1, :1])
    assert float(loss) == pytest.approx(np.log1p(np.exp(-1 / 0.066)), abs=1e-7)
    wrong = assignment_loss(centres[:, :1], centres[:, 1:], centres, ALL[:1, :1])
    assert float(wrong) == pytest.approx(1 / 0.066, rel=1e-3)


def test_the_order_of_prototypes_changes_nothing() -> None:
    teacher, student, centres = unit(2, 30, 6), unit(2, 30, 6, seed=1), unit(2, 7, 6, seed=2)
    loss = assignment_loss(teacher, student, centres, ALL)
    assert torch.allclose(assignment_loss(teacher, student, centres[:, torch.randperm(7)], ALL), loss)
    order, places = torch.tensor([3, 0, 2, 1]), torch.rand(2, 30, 2) * 50
    seeds = torch.tensor([1, 8, 13, 21])
    moved = prototypes(teacher, places, seeds[order], ALL.float())
    assert torch.allclose(moved, prototypes(teacher, places, seeds, ALL.float())[:, order], atol=1e-5)


def test_one_prototype_leaves_nothing_to_learn() -> None:
    assert assignment_loss(unit(2, 30, 6), unit(2, 30, 6, seed=1), unit(2, 1, 6), ALL) == 0


def test_the_mean_is_over_positions_that_are_there_then_over_images_that_have_any() -> None:
    teacher, student, centres = unit(3, 4, 6), unit(3, 4, 6, seed=1), unit(3, 5, 6, seed=2)
    there = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]).bool()
    one = assignment_loss(teacher[:1], student[:1], centres[:1], there[:1])
    two = assignment_loss(teacher[1:2, :1], student[1:2, :1], centres[1:2], there[1:2, :1])
    assert torch.allclose(assignment_loss(teacher, student, centres, there), (one + two) / 2)
    assert assignment_loss(teacher, student, centres, torch.zeros_like(there)) == 0


def scene(side: int = 64, students: tuple[int, ...] = (48, 40), stride: int = 1) -> tuple[Views, list[Tensor]]:
    """Views of a 60 x 70 slice, turned and scaled, and feature maps that are a smooth function of the place alone."""
    shapes = [(side, [[1.0, 0, -3], [0, 1.0, 4]]), (students[0], [[0.9, 0.3, 2], [-0.25, 1.1, 8]]),
              (students[1], [[1.2, 0, 20], [0, 1.2, 30]])]  # fmt: skip
    made, maps = [], []
    for size, matrix in shapes:
        to_slice = torch.tensor([matrix])
        made.append(View(torch.zeros(1, size, size, 3), to_slice))
        small = size // stride
        at = apply(to_slice, pixels((small, small), "cpu") * stride + (stride - 1) / 2) / 8
        angles = torch.stack([at[..., 0], at[..., 1], at.sum(-1) / 2], -1)
        field = torch.cat([angles.sin(), angles.cos()], -1).reshape(1, small, small, -1)
        maps.append(functional.pad(field, (0, 0, 0, 5, 0, 5), value=9.0))  # as an image whose side does not fit
    return Views(made[0], tuple(made[1:]), torch.tensor([[60, 70]]), torch.zeros(1, dtype=torch.long)), maps


@pytest.mark.parametrize("stride", [1, 2])
def test_students_are_compared_with_the_teacher_at_the_same_place(monkeypatch, stride) -> None:
    seen = []
    original = cpa.assignment_loss
    monkeypatch.setattr(cpa, "assignment_loss", lambda *a: seen.append(a) or original(*a))
    v, (teacher, *students) = scene(stride=stride)
    loss = cpa_loss(v, teacher, students, stride)
    assert len(seen) == 2
    for given, own, centres, there in seen:
        assert 0.2 < there.float().mean() < 1
        # Half a pixel of the map apart at most: 0.1 of the waves' phase for each pixel of the slice.
        assert (given * own).sum(-1)[there].min() > 1 - (0.15 * stride) ** 2
        assert centres.shape == (1, 25, 6)
    assert torch.allclose(loss, sum(original(*a) for a in seen))
    assert cpa_loss(v, teacher, [s.flip(1) for s in students], stride) > 1.5 * loss


def test_the_whole_gradient_goes_to_the_student() -> None:
    v, (teacher, *students) = scene()
    teacher.requires_grad_()
    for s in students:
        s.requires_grad_()
    for _ in range(100):  # each time some of the pixels
        cpa_loss(v, teacher, students).backward()
    assert teacher.grad is None
    for s, view in zip(students, v.students, strict=True):
        side = view.images.shape[1]
        assert (s.grad[:, side:] == 0).all(), "padding learns nothing"
        reached = (s.grad != 0).any(-1)[0, :side, :side]
        at = apply(view.to_slice, pixels((side, side), "cpu")).reshape(side, side, 2)
        inside = ((at >= 0) & (at <= torch.tensor([59, 66]))).all(-1)
        assert reached[inside].float().mean() > 0.98
        beyond = ((at < -3) | (at > torch.tensor([63, 73]))).any(-1)
        assert not reached[beyond].any()


@pytest.fixture
def sampler(monkeypatch) -> TaskSampler:
    monkeypatch.setattr(views, "TEACHER", 40)
    monkeypatch.setattr(views, "STUDENTS", (36, 28))
    monkeypatch.setattr(tasks, "SIZES", ((32, 32),))
    random = np.random.default_rng(0)
    labels = np.zeros((9, 44, 48), np.uint8)
    labels[1:8, 10:26, 8:22] = 1
    labels[2:7, 20:36, 26:40] = 2
    grey = (60 + 60 * labels + random.normal(0, 8, labels.shape)).astype(np.uint8)
    where = {"a": np.arange(1, 8), "b": np.arange(2, 7)}
    return TaskSampler([[Sample("one", grey, labels, ("a", "b"), 3.0, where)]], [1.0], ["a", "b"], 1)


@pytest.mark.parametrize("head", ["full", "half"])
def test_a_model_learns_alone_with_labels_or_both(sampler, head) -> None:
    torch.manual_seed(0)
    model = PretrainingModel(replace(tiny(), head=head), ["a", "b"])
    teacher = copy.deepcopy(model)  # even one that could learn gets no gradient
    batch = sampler.draw(1, views=True)
    labels = {"prompted", "episodic", "dense", "deep"}
    assert set(model(batch, torch.float32)) == labels
    assert set(model(batch, torch.float32, teacher)) == labels | {"cpa"}
    parts = model(batch, torch.float32, teacher, supervised=False)
    assert set(parts) == {"cpa"}
    parts["cpa"].backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for n, p in model.net.named_parameters() if n.startswith(("stem", "decoder")))
    assert all(p.grad.abs().max() > 0 for p in model.bank.shared.values())
    own = [model.bank.tensors[k.replace(".", "_")].grad for k in model.bank.deep]
    assert all(g is None or not g.any() for g in own), "without labels nothing reaches a structure's own tokens"
    model.zero_grad()
    model(batch, torch.float32, teacher)["cpa"].backward()
    number = int(batch.views.structures[0])
    for key in model.bank.deep:
        gradient = model.bank.tensors[key.replace(".", "_")].grad
        assert gradient[number].abs().max() > 0
        assert not gradient[1 - number].any()


def test_a_batch_without_tasks_is_enough_to_learn_alone_and_learning_helps(sampler) -> None:
    torch.manual_seed(0)
    model = PretrainingModel(tiny(), ["a", "b"])
    teacher = copy.deepcopy(model).requires_grad_(False)
    batch = sampler.draw(1, views=True, tasks=False)
    optimiser = torch.optim.Adam(model.parameters(), lr=6e-3)
    losses = []
    for _ in range(10):
        loss = model(batch, torch.float32, teacher, supervised=False)["cpa"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_student_and_teacher_may_be_of_two_precisions(sampler) -> None:
    torch.manual_seed(0)
    model = PretrainingModel(tiny(), ["a", "b"])
    batch = sampler.draw(1, views=True, tasks=False)
    single = model(batch, torch.float32, model, supervised=False)["cpa"]
    half = copy.deepcopy(model).to(torch.bfloat16)
    torch.manual_seed(0)
    mixed = half(batch, torch.bfloat16, model, supervised=False)["cpa"]
    assert mixed.dtype == torch.float32
    assert float(mixed.detach()) == pytest.approx(float(single.detach()), rel=0.2)
