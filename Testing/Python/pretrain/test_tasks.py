"""What a training step sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from PromptSegLib.pretrain.groups import BEND, bend
from PromptSegLib.pretrain.tasks import TaskSampler


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
        monkeypatch.setattr("PromptSegLib.pretrain.groups.BENT", chance)
        sampler.groups.random = np.random.default_rng(7)
        grey, label = sampler.groups._affine(stack.expand(3, 3, 96, 96) * 255, stack, stack[:, 0] > 0, (96, 96))
        assert ((grey[:, :1] > 127) == (label > 0.5)).float().mean() > 0.99
        results.append(label)
    assert not torch.equal(*results)
