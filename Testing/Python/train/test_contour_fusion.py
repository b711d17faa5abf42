"""The contour fusion network is trained by one command, on subjects that it does not hold out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from PromptSegLib.contours.fusion_net import MAPS, ContourFusionNet, contour_fusion_net
from PromptSegLib.datasets.loading import read_dataset
from PromptSegLib.model.files import read_header
from PromptSegTrain.contour_fusion import ANYHOW, drawings, learn, main, samples_of


@pytest.fixture(scope="module")
def found(dataset):
    one = read_dataset(dataset)
    return samples_of(one, one.cases[:1])


def test_what_is_learned_from_is_told_about_every_slice_between(found) -> None:
    assert {len(one.maps) for one in found} > {1, 2}
    for one in found:
        assert one.maps.shape[1] == MAPS
        assert one.scalars.shape == (len(one.maps), 8)
        assert one.truth.shape == (len(one.maps), *one.maps.shape[2:])
    assert all(torch.isfinite(one.maps).all() and torch.isfinite(one.scalars).all() for one in found)


def test_structures_are_also_drawn_in_slices_taken_by_chance(dataset) -> None:
    one = read_dataset(dataset)
    evenly = [drawn.drawn() for *_, drawn in drawings(one, one.cases[0])]
    by_chance = [drawn.drawn() for *_, drawn in drawings(one, one.cases[0], random.Random(1))]
    again = [drawn.drawn() for *_, drawn in drawings(one, one.cases[0], random.Random(1))]
    assert by_chance == again
    assert len(by_chance) == len(evenly) + ANYHOW * len(one.labels)


def test_the_same_seed_makes_the_same_network(found) -> None:
    first, second, other = (learn(found, 0.5, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


def test_it_learns(found) -> None:
    def dice(net: ContourFusionNet) -> float:
        scores = []
        for one in found:
            with torch.inference_mode():
                inside = (net(one.maps.float(), one.scalars) > 0).numpy()
            truth = one.truth.numpy()
            scores.append(2 * np.count_nonzero(inside & truth) / max(1, inside.sum() + truth.sum()))
        return float(np.mean(scores))

    assert dice(learn(found, 4.0, 1)) > 0.8


def test_the_command_writes_a_network_that_says_what_it_learned_from(dataset, tmp_path: Path, capsys) -> None:
    path = tmp_path / "net.safetensors"
    assert main([str(dataset), "-o", str(path), "--epochs", "0.2", "--limit", "2"]) == 0
    assert "subjects" in capsys.readouterr().out
    assert isinstance(contour_fusion_net(path), ContourFusionNet)
    (data,) = json.loads(read_header(path)["card"])["data"]
    assert len(data["training"]) == 2
    assert len(data["validation"]) == 1
    assert not {*data["training"]} & {*data["validation"]}
    assert {*data["validation_dice"]} == {"3", "5", "9"}


def test_a_data_set_that_is_not_there_is_one_sentence(tmp_path: Path, capsys) -> None:
    assert main([str(tmp_path / "none.json"), "-o", str(tmp_path / "net.safetensors")]) == 2
    assert "none.json" in capsys.readouterr().err
    assert not (tmp_path / "net.safetensors").exists()


def test_no_data_set_is_written_over_and_that_is_said_first(dataset, tmp_path: Path, capsys) -> None:
    before = dataset.read_bytes()
    for output, said in ((dataset, "The format of dataset.json"), (tmp_path / "none" / "n.safetensors", "no folder")):
        assert main([str(dataset), "-o", str(output), "--epochs", "0.2", "--limit", "2"]) == 2
        captured = capsys.readouterr()
        assert said in captured.err
        assert captured.out == ""
    assert dataset.read_bytes() == before
