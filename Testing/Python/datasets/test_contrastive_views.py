"""Views: each knows where its pixels are in the slice, whatever was done to the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from PromptSegLib.datasets import augment, tasks
from PromptSegLib.datasets import contrastive_views as views
from PromptSegLib.datasets.contrastive_views import apply, cut, invert, make_views, match, pixels
from PromptSegLib.datasets.loading import Sample
from PromptSegLib.datasets.tasks import TaskSampler


@pytest.fixture(autouse=True)
def small_views(monkeypatch):
    monkeypatch.setattr(views, "TEACHER", 48)
    monkeypatch.setattr(views, "STUDENTS", (42, 30))
    monkeypatch.setattr(tasks, "SIZES", ((32, 32),))


@pytest.fixture
def plain(monkeypatch) -> None:
    """Views without any change of the picture."""
    monkeypatch.setattr(views, "vary", lambda x, _random, _student: x)
    monkeypatch.setattr(views, "window", lambda x, _random: x)


def ramps(height: int, width: int) -> Tensor:
    """A slice whose channels hold row, column and 0."""
    rows, columns = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    return torch.stack([rows, columns, torch.zeros_like(rows)])


def made(seed: int = 1, sizes: tuple = ((70, 90), (60, 64), (40, 80))) -> views.Views:
    return make_views([ramps(*s) for s in sizes], [0, 1, -1], np.random.default_rng(seed))


def places(view: views.View) -> Tensor:
    """(B, H, W, 2): where the view's pixels are in the slice."""
    size = view.images.shape[1:3]
    return apply(view.to_slice, pixels(size, "cpu")).reshape(len(view.images), *size, 2)


def test_a_cut_by_whole_pixels_is_a_piece_of_the_slice() -> None:
    grey = torch.rand(2, 9, 7)
    shift = torch.tensor([[1.0, 0, 3], [0, 1, 2]])
    assert torch.allclose(cut(grey, shift, 4), grey[:, 3:7, 2:6], atol=1e-6)
    over = cut(grey, torch.tensor([[1.0, 0, 7], [0, 1, 0]]), 4)
    assert torch.allclose(over[:, 2:], grey[:, 8:9, :4].expand(-1, 2, -1), atol=1e-6), "the border goes on"


@pytest.mark.usefixtures("plain")
def test_pixels_come_from_where_the_view_says() -> None:
    v = made()
    assert [tuple(x.images.shape) for x in (v.teacher, *v.students)] == [(3, s, s, 3) for s in (48, 42, 30)]
    for view in (v.teacher, *v.students):
        seen = (view.images[..., :2] + 1) * 127.5
        where = places(view)
        inside = ((where >= 0) & (where <= v.sizes[:, None, None] - 1)).all(-1)
        assert inside.float().mean() > 0.5
        assert (seen - where).abs()[inside].max() < 1e-3
    assert v.sizes.tolist() == [[70, 90], [60, 64], [40, 80]]
    assert v.structures.tolist() == [0, 1, -1]


def test_views_are_turned_and_scaled_within_limits_and_never_flipped() -> None:
    found: dict[str, list[Tensor]] = {"teacher": [], "student": []}
    for seed in range(60):
        v = made(seed)
        found["teacher"].append(v.teacher.to_slice)
        found["student"] += [s.to_slice for s in v.students]
    for name, (scale, chance) in {"teacher": (0.1, 0.5), "student": (0.25, 0.8)}.items():
        linear = torch.cat(found[name])[:, :, :2]
        scales = torch.linalg.det(linear).sqrt()  # a flip would be NaN
        angles = torch.atan2(linear[:, 0, 1], linear[:, 1, 1])
        assert scales.min() > 1 - scale - 1e-3
        assert scales.max() < 1 + scale + 1e-3
        assert 0.3 < angles.abs().max() < 0.4 + 1e-3
        plain = (linear == torch.eye(2)).flatten(1).all(1).float().mean()
        assert plain == pytest.approx(1 - chance, abs=0.1)


def test_a_teacher_stays_in_the_slice_and_students_stay_with_it() -> None:
    for seed in range(20):
        v = made(seed)
        middle = [apply(x.to_slice, torch.full((1, 1, 2), (x.images.shape[1] - 1) / 2))[:, 0] for x in
                  (v.teacher, *v.students)]  # fmt: skip
        slack = (v.sizes - 48).clamp_min(0) / 2
        assert ((middle[0] - (v.sizes - 1) / 2).abs() <= slack + 1e-3).all()
        assert (middle[1] - middle[0]).abs().max() <= 3 + 1e-3
        assert (middle[2] - middle[0]).abs().max() <= 9 + 1e-3


def test_holes_leave_the_coordinates_alone(monkeypatch) -> None:
    monkeypatch.setattr(views, "window", lambda x, _random: x)
    result = []
    for change in (lambda x, _r, _s: x, lambda x, _r, _s: augment.holes(x, np.random.default_rng(2))):
        monkeypatch.setattr(views, "vary", change)
        result.append(made())
    for whole, holed in zip(result[0].students, result[1].students, strict=True):
        assert torch.equal(whole.to_slice, holed.to_slice)
        same = (whole.images == holed.images).all(-1)
        assert 0.4 < same.float().mean() < 1


def test_views_follow_their_seed_and_keep_the_range() -> None:
    a, b, c = made(3), made(3), made(4)
    for x, y, z in zip((a.teacher, *a.students), (b.teacher, *b.students), (c.teacher, *c.students), strict=True):
        assert torch.equal(x.images, y.images)
        assert torch.equal(x.to_slice, y.to_slice)
        assert not torch.equal(x.to_slice, z.to_slice)
        assert x.images.abs().max() <= 1


def test_an_affine_map_and_its_inverse() -> None:
    matrix = torch.tensor([[[2.0, 0, 5], [0, 4, -1]], [[0.9, 0.3, 2], [-0.2, 1.1, 7]]])
    assert torch.allclose(invert(matrix)[0], torch.tensor([[0.5, 0, -2.5], [0, 0.25, 0.25]]))
    points = torch.rand(2, 6, 2) * 40
    assert torch.allclose(apply(invert(matrix), apply(matrix, points)), points, atol=1e-4)


def test_matching_after_a_shift_and_a_scale_finds_the_right_pixels_and_drops_those_outside() -> None:
    # Pixel (r, c) of the map is at (10 + 2 r, 20 + 2 c) of the slice; the map is 3 x 4.
    to_slice = torch.tensor([[[2.0, 0, 10], [0, 2, 20]]])
    points = torch.tensor([[[10, 20], [12, 26], [14.4, 23.8], [13.2, 20], [8, 20], [14, 29.5], [0, 0]]])
    index, there = match(points, to_slice, (3, 4), tolerance=1.5)
    assert index[0, :4].tolist() == [0, 1 * 4 + 3, 2 * 4 + 2, 2 * 4 + 0]
    assert there.tolist() == [[True, True, True, True, False, False, False]]
    assert match(points, to_slice, (3, 4), tolerance=3.6)[1].tolist() == [[True] * 6 + [False]]


def test_every_step_th_pixel_is_the_one_that_slicing_takes() -> None:
    maps = ramps(11, 9)[:2].permute(1, 2, 0)
    assert torch.equal(pixels((11, 9), "cpu", (1, 2), 4), maps[1::4, 2::4].reshape(1, -1, 2))


@pytest.fixture
def samples() -> list[Sample]:
    random = np.random.default_rng(0)
    labels = np.zeros((9, 50, 56), np.uint8)
    labels[2:7, 10:30, 12:30] = 1
    grey = (random.normal(110, 20, labels.shape) + 40 * labels).clip(0, 255).astype(np.uint8)
    return [Sample("drawn", grey, labels, ("liver",), 3.0, {"liver": np.arange(2, 7)}),
            Sample("bare", grey[:5], np.zeros_like(labels[:5]), (), 3.0)]  # fmt: skip


def test_asking_for_views_adds_them_and_changes_no_task(samples) -> None:
    plain, more = (TaskSampler([samples[:1]], [1.0], ["spleen", "liver"], 7) for _ in range(2))
    expected, batch = plain.draw(2), more.draw(2, views=True)
    assert expected.views is None
    for name, value in vars(expected).items():
        if isinstance(value, Tensor):
            assert torch.equal(value, getattr(batch, name)), name
    assert batch.prompted == expected.prompted
    assert batch.views.structures.tolist() == [1, 1]
    assert batch.views.teacher.images.shape == (2, 48, 48, 5)
    again = TaskSampler([samples[:1]], [1.0], ["spleen", "liver"], 7).draw(2, views=True)
    assert torch.equal(again.views.students[1].images, batch.views.students[1].images)


def test_views_need_no_annotation(samples) -> None:
    batch = TaskSampler([samples[1:], samples[:1]], [1.0, 1.0], ["liver"], 3).draw(8, views=True, tasks=False)
    assert batch.prompted == batch.episodic == []
    assert len(batch.images) == len(batch.prompted_masks) == 0
    assert set(batch.views.structures.tolist()) == {-1, 0}
    assert batch.views.to("cpu").sizes.tolist() == [[50, 56]] * 8
