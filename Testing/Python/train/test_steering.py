"""Prompts steer: the same slice, the same network, another prompt, another structure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from PromptSegLib.datasets import tasks
from PromptSegLib.datasets.loading import Sample
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.model.config import tiny
from PromptSegTrain.pretraining_model import PretrainingModel, quick_dice
from PromptSegTrain.recipe import Recipe

NAMES = ("disc", "square")


def generated(seed: int) -> Sample:
    """Eight slices of 40 x 40: a bright disc on the left and a less bright square on the right."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((40, 40))
    labels = np.zeros((8, 40, 40), np.uint8)
    for plane in labels:
        (top, left), (r, c) = random.integers(-4, 5, (2, 2))
        plane[(rows - 20 - top) ** 2 + (columns - 11 - left // 2) ** 2 < 36] = 1
        plane[(abs(rows - 20 - r) < 6) & (abs(columns - 29 - c // 2) < 6)] = 2
    grey = np.array([90, 210, 150])[labels] + random.normal(0, 8, labels.shape)
    where = {n: np.arange(8) for n in NAMES}
    return Sample(f"generated_{seed}", grey.clip(0, 255).astype(np.uint8), labels, NAMES, 3.0, where)


@pytest.fixture(scope="module")
def model() -> PretrainingModel:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = PretrainingModel(tiny(), NAMES)
    optimiser = torch.optim.AdamW(model.groups(Recipe(lr=4e-3, prompt_lr=1.2e-2)), lr=4e-3)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "SIZES", ((32, 32),))
        sampler = TaskSampler([[generated(n) for n in range(6)]], [1.0], NAMES, 1)
        for _ in range(80):
            parts = model(sampler.draw(1, 2), torch.float32)
            optimiser.zero_grad()
            sum(parts.values()).backward()
            optimiser.step()
    torch.set_num_threads(threads)
    return model.eval()


@pytest.mark.parametrize("number", [0, 1], ids=NAMES)
def test_a_structures_prompt_gives_its_mask_and_not_the_others(model, number) -> None:
    unseen = generated(99)
    grey = torch.from_numpy(unseen.grey).float()[..., None].expand(-1, -1, -1, 5).contiguous() / 127.5 - 1
    masks = [torch.from_numpy(unseen.labels == n + 1) for n in range(2)]
    assert quick_dice(model, grey, masks[number], number) > 0.8
    assert quick_dice(model, grey, masks[1 - number], number) < 0.1
