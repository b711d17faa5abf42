"""Muon: what a step does to a matrix, and a run that learns with it and goes on."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from PromptSegLib.errors import Stopped
from PromptSegLib.model.config import tiny
from PromptSegTrain.muon import MuonAdamW, orthogonalised
from PromptSegTrain.pretraining_model import PretrainingModel
from PromptSegTrain.recipe import Recipe


@pytest.mark.parametrize("shape", [(2, 40, 40), (3, 32, 96), (96, 32)])
def test_all_directions_are_moved_alike(shape) -> None:
    torch.manual_seed(1)
    matrices = torch.randn(shape) * 1e-3
    found = orthogonalised(matrices)
    values = torch.linalg.svdvals(found.float())
    assert found.shape == matrices.shape
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    cosine = torch.nn.functional.cosine_similarity(found.flatten(-2), (u @ v).flatten(-2), dim=-1)
    assert cosine.min() > 0.95


def test_nothing_stays_nothing() -> None:
    assert torch.equal(orthogonalised(torch.zeros(4, 8)), torch.zeros(4, 8))


def test_each_part_of_a_joint_weight_is_a_matrix_of_its_own() -> None:
    torch.manual_seed(1)
    weight = nn.Parameter(torch.zeros(96, 32))
    weight.grad = torch.randn(96, 32) * torch.tensor([1.0, 100.0, 1e4]).repeat_interleave(32)[:, None]
    former = weight.grad.clone()
    MuonAdamW([{"params": [weight], "muon": True, "parts": 3, "lr": 0.1, "weight_decay": 0.0}]).step()
    first, second, third = (part.norm() for part in weight.detach().chunk(3))
    assert first == pytest.approx(float(second), rel=0.2)
    assert second == pytest.approx(float(third), rel=0.2)
    assert torch.equal(weight.grad, former)


def test_other_groups_are_adamws() -> None:
    torch.manual_seed(1)
    start, grad = torch.randn(32, 32), torch.randn(32, 32)
    results = []
    for kind in (MuonAdamW, torch.optim.AdamW):
        weight = nn.Parameter(start.clone())
        weight.grad = grad.clone()
        kind([{"params": [weight]}], lr=0.01).step()
        results.append(weight.detach())
    assert torch.equal(*results)


def test_every_parameter_is_in_one_group_and_no_small_one_is_a_matrix() -> None:
    model = PretrainingModel(tiny(), ["a", "b"])
    groups = model.groups(Recipe(optimiser="muon"))
    found = [p for group in groups for p in group["params"]]
    assert len(found) == len({id(p) for p in found}) == len(list(model.parameters()))
    matrices = {id(p) for group in groups if group.get("muon") for p in group["params"]}
    assert {
        id(p) for name, p in model.named_parameters() if ".qkv." in name and p.ndim == 2 and min(p.shape) >= 16
    } <= matrices
    assert not matrices & {
        id(p) for p in (*model.bank.parameters(), *model.deep.parameters(), *model.net.stem.parameters())
    }


@pytest.mark.usefixtures("small_images")
def test_a_run_goes_on_as_if_it_had_not_stopped(go, losses, stop_after) -> None:
    options = {"steps": 4, "recipe": {"optimiser": "muon"}}
    go("plain", steps=4)
    plain = losses[:]
    losses.clear()
    whole = load_file(go("whole", **options))
    expected = losses[:]
    losses.clear()
    with pytest.raises(Stopped):
        go("parts", should_stop=stop_after(2, losses), **options)
    parts = load_file(go("parts", resume=True, **options))
    assert losses == expected
    assert losses[0] == plain[0]
    assert losses[2:] != plain[2:]
    assert all(torch.equal(parts[k], whole[k]) for k in whole)
