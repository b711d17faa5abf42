"""What ships says how much the overview network counts, and tells no figure of subjects that either network knew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from PromptSegLib.errors import InputError
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.overview_net import OverviewNet, overview_net, write_overview_net
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegTrain.release_overview import main, release_overview


def write_net(path: Path, training: tuple[str, ...], held_out: tuple[str, ...], **recipe) -> str:
    net = OverviewNet(["aorta", "liver", "mandible"])
    data = [{"name": "phantoms", "training": list(training), "validation": list(held_out)}]
    write_overview_net(path, net, net.state_dict(), {"data": data, "recipe": {"step": 100, **recipe}})
    return overview_net(path).card["id"]


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    """What ships before, with a backbone that held case_4 out."""
    for name in ("Models", "PromptSets"):
        (tmp_path / "ships" / name).mkdir(parents=True)
    shutil.copy(trained / "tiny.safetensors", tmp_path / "ships" / "Models" / "punet-ct.safetensors")
    shutil.copy(trained / "phantoms.promptset", tmp_path / "ships" / "PromptSets")
    return tmp_path / "ships"


def quality(folder: Path, overview: str, **changes) -> dict:
    backbone = load_backbone(folder / "Models" / "punet-ct.safetensors", "cpu", torch.float32)
    (held_out,) = backbone.card["data"][0]["validation"]
    figures = {"dataset": "phantoms", "validation": [held_out], "dice": {"liver": 0.91}, "backbone": backbone.id}
    return {**figures, "overview": overview, **changes}


def test_cards_say_what_share_it_has_and_what_was_measured(folder, tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    identity = write_net(path, ("case_1",), ("case_2", "case_3", "case_4"))
    told = release_overview(path, folder, 0.5, {"aorta": 0.0}, [quality(folder, identity)])
    assert told == {"phantoms": ["liver"]}
    prompts = PromptSet.read(folder / "PromptSets" / "phantoms.promptset")
    assert prompts["liver"].card.overview == ("liver", 0.5)
    assert prompts["liver"].card.validation_dice == 0.91
    assert prompts["aorta"].card.overview is None
    assert prompts["spleen"].card.overview is None  # it does not know it
    shipped = overview_net(folder / "Models" / "overview-ct.safetensors")
    assert (shipped.card["id"], shipped.closer) == (identity, ())
    release_overview(path, folder, 0.5, closer=["mandible", "liver"])
    again = overview_net(folder / "Models" / "overview-ct.safetensors")
    assert (again.card["id"], again.closer) == (identity, ("liver", "mandible"))
    assert again.card["data"] == shipped.card["data"]
    with pytest.raises(InputError, match="does not know 'spleen'"):
        release_overview(path, folder, 0.5, closer=["spleen"])


def test_figures_of_subjects_that_it_learned_from_are_refused(folder, tmp_path) -> None:
    path, before = tmp_path / "net.safetensors", tmp_path / "before.safetensors"
    kept = (folder / "PromptSets" / "phantoms.promptset").read_bytes()
    identity = write_net(path, ("case_1", "case_2", "case_3", "case_4"), ())
    with pytest.raises(InputError, match="says nothing"):
        release_overview(path, folder, 0.5, {}, [quality(folder, identity)])
    held = write_net(before, ("case_1",), ("case_2", "case_3", "case_4"))
    everyone = ("case_1", "case_2", "case_3", "case_4")
    for steps, allowed in ((20, True), (60, False)):
        write_net(path, everyone, (), step=steps, steps_before=100, start_from=f"overview-ct {held[:12]}")
        if allowed:
            assert release_overview(path, folder, 0.5, {}, [quality(folder, held)], before)
        else:
            (folder / "PromptSets" / "phantoms.promptset").write_bytes(kept)
            with pytest.raises(InputError, match="more than a last fifth"):
                release_overview(path, folder, 0.5, {}, [quality(folder, held)], before)
    assert (folder / "PromptSets" / "phantoms.promptset").read_bytes() == kept


def test_the_command(folder, tmp_path, capsys) -> None:
    path, figures = tmp_path / "net.safetensors", tmp_path / "quality.json"
    identity = write_net(path, ("case_1",), ("case_4",))
    figures.write_text(json.dumps(quality(folder, identity)))
    words = [str(path), "-o", str(folder), "--share", "0.4", "--quality", str(figures)]
    assert main([*words, "--share-of", "liver=0.9", "--components", "phantoms=main"]) == 0
    assert "phantoms: beside liver, aorta" in capsys.readouterr().out
    prompts = PromptSet.read(folder / "PromptSets" / "phantoms.promptset")
    assert prompts["liver"].card.overview == ("liver", 0.9)
    assert {one.card.components for one in prompts.values()} == {"main"}
    for wrong, said in (("liver", "STRUCTURE=SHARE"), ("bone=1", "does not know"), ("liver=2", "number from 0 to 1")):
        assert main([*words, "--share-of", wrong]) == 2
        assert said in capsys.readouterr().err
