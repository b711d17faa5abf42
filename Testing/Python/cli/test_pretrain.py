"""``promptseg pretrain``: its options reach the run, and what does not fit is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from PromptSegLib.prompts.promptset import PromptSet
from PromptSegTrain.checkpoint import read_settings

from .conftest import Promptseg

TINY = ("--device", "cpu", "--groups", 1, "--validation", 0)
START = ("--start-from", "punet-ct", "--prompts")


@pytest.fixture
def toy(place) -> Path:
    """One volume with two structures."""
    dataset = {"name": "toy", "labels": {"1": "liver", "3": "ball"}}
    dataset["training"] = [{"image": "ct.nii.gz", "label": "labels.nii.gz"}]
    (place / "toy.json").write_text(json.dumps(dataset))
    return place


def test_options_reach_the_run_and_stay_when_it_goes_on(promptseg: Promptseg, toy) -> None:
    options = ("--mode", "joint", "--cpa", 0.5, "--lr", 3e-4, "--warmup", 4, "--decay", 5, "--schedule", "cosine")
    options += ("--draw", 7, "--steps", 1, "--validate-stride", 2, "--save-every", 9, *START, "abdomen-ct:liver")
    options += ("--leave-out", "ball")
    outcome = promptseg("pretrain", "toy.json", "-o", "run", *TINY, *options)
    assert outcome.status == 0, outcome.err
    recipe = read_settings(toy / "run" / "last.safetensors")[1]
    assert (recipe.mode, recipe.cpa, recipe.lr, recipe.prompt_lr) == ("joint", 0.5, 3e-4, pytest.approx(1e-3))
    assert (recipe.warmup, recipe.decay, recipe.schedule, recipe.weights) == (4, 5, "cosine", (7.0,))
    assert (recipe.groups, recipe.validate_stride, recipe.save_every) == (1, 2, 9)
    assert recipe.start_from.startswith("punet-ct ")
    assert recipe.leave_out == ("ball",)
    assert list(PromptSet.read(toy / "run" / "toy.promptset")) == ["liver"]
    again = promptseg("pretrain", "toy.json", "-o", "run", "--device", "cpu", "--resume", "--steps", 2, "--json")
    assert again.status == 0, again.err
    later = read_settings(toy / "run" / "last.safetensors")[1]
    assert later.steps == 2
    for name in ("mode", "lr", "start_from", "leave_out"):
        assert getattr(later, name) == getattr(recipe, name)
    assert [e["fraction"] for e in again.events if e.get("stage") == "train"][-1] == 1.0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--draw", 7, 3), "There are 1 data sets, but 2 numbers say how often each is drawn"),
        (("--draw", 0), "--draw leaves nothing to draw from"),
        (("--draw", -1), "'-1' is not a number from 0 on"),
        (("--leave-out", ","), "',' is not like larynx,mandible"),
        (("--leave-out", "toe"), "No data set annotates 'toe'; choose of 'liver', 'ball'"),
        (("--leave-out", "liver,ball"), "toy has nothing left to learn from; leave out less"),
        (("--mode", "both"), "invalid choice: 'both'"),
        (("--lr", 0), "'0' is not a number above 0"),
        (("--prompts", "abdomen-ct"), "add --start-from"),
        ((*START, "foreign.promptset"), "made for another backbone"),
        ((*START, "nothing"), "There is no prompt set 'nothing'"),
        (("--start-from", "nothing"), "There is no backbone called nothing"),
        (("--start-from", "punet-ct", "--preset", "paper"), "another configuration than this run"),
    ],
)
def test_what_does_not_fit_is_one_sentence(words, sentence: str, promptseg: Promptseg, toy) -> None:
    outcome = promptseg("pretrain", "toy.json", "-o", "run", *TINY, "--steps", 1, *words)
    assert outcome.status == 2
    assert sentence in outcome.err.splitlines()[-1]
    assert not (toy / "run" / "last.safetensors").exists()
