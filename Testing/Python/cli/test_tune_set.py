"""``promptseg tune --dataset``: options, files, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from PromptSegLib.prompts.promptset import PromptSet


@pytest.fixture
def labelled(place, kit, monkeypatch) -> Path:
    """A data set of four subjects in the current folder."""
    from PromptSegLib.datasets import tasks

    monkeypatch.setattr(tasks, "SIZES", ((64, 64),))  # the phantoms are no larger
    return kit.write_dataset(place / "set", (1, 2, 3, 4))


def words(*more: str) -> tuple[str, ...]:
    common = ("-o", "new.promptset", "--device", "cpu", "--steps", "2", "--validation", "0.3")
    return ("tune", "--dataset", "set/dataset.json", "--structure", "spleen", *common, *more)


def test_it_writes_a_prompt_that_other_commands_take_and_leaves_no_volumes_behind(promptseg, place, labelled) -> None:
    before = set(place.iterdir())
    outcome = promptseg(*words(), "--json")
    assert outcome.status == 0, outcome.err
    result = outcome.result
    assert set(place.iterdir()) - before == {place / "new.promptset"}
    (prompt,) = PromptSet.read("new.promptset").values()
    assert prompt.structure.name == result["structure"] == "spleen"
    assert prompt.card.extra["subjects"] == result["subjects"]
    named = [name for names in result["subjects"].values() for name in names]
    assert sorted(named) == [f"case_{n}" for n in (1, 2, 3, 4)]
    assert list(result["dice"]) == result["subjects"]["held_out"]
    assert [one["step"] for one in result["curve"]] == [0, 2]
    stages = {event["stage"] for event in outcome.events if event["event"] == "progress"}
    assert {"cache", "learn", "validate"} <= stages
    used = promptseg("segment", "set/case_1.nii.gz", "--prompts", "new.promptset", "-o", "o.nii.gz", "--device", "cpu")
    assert used.status == 0, used.err


def test_for_people_it_tells_the_curve_the_subjects_and_what_the_figure_is_worth(promptseg, labelled) -> None:
    outcome = promptseg(*words())
    assert outcome.status == 0, outcome.err
    for text in ("held-out volumes that were looked at", "Dice of whole held-out volumes", "Learned from 3 volumes"):
        assert text in outcome.out
    assert "fewer than three held-out subjects" in outcome.out


def test_what_the_time_ended_can_be_gone_on_with(promptseg, place, labelled) -> None:
    first = promptseg(*words(), "--time-budget", "0.0001s")
    assert first.status == 0, first.err
    assert "--resume goes on" in first.out
    assert (place / "new.run" / "last.safetensors").is_file()
    again = promptseg(*words())
    assert again.status == 2
    assert "already holds a run; add --resume" in again.err
    went_on = promptseg(*words(), "--resume", "--json")
    assert went_on.status == 0, went_on.err
    assert [one["step"] for one in went_on.result["curve"]] == [0, 2]
    assert not (place / "new.run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--structure", "pancreas"), "No data set has a structure 'pancreas'"),
        (("--slices", "3"), "--slices is for drawn slices"),
        (("ct.nii.gz", "labels.nii.gz"), "IMAGE LABELS is for drawn slices"),
        (("--validation", "1"), "not a share"),
        (("--dataset", "none.json"), "none.json"),
        (("-o", "new.nii.gz"), "new.nii.gz"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(promptseg, place, labelled, options, said) -> None:
    before = set(place.iterdir())
    outcome = promptseg(*words(*options))
    assert outcome.status == 2
    assert said in outcome.err
    assert set(place.iterdir()) - before <= {place / "new.run"}


def test_too_few_volumes_and_options_without_a_data_set(promptseg, labelled) -> None:
    text = json.loads(labelled.read_text())
    labelled.write_text(json.dumps({**text, "training": text["training"][:2]}))
    outcome = promptseg(*words())
    assert outcome.status == 2
    assert "a labelled set needs 3" in outcome.err
    for option in (("--structure", "spleen"), ("--resume",), ("--time-budget", "5m"), ("--validation", "0.5")):
        drawn = (
            "tune",
            "ct.nii.gz",
            "labels.nii.gz",
            "--label",
            "3",
            "--slices",
            "40",
            "--name",
            "x",
            "-o",
            "x.promptset",
        )
        outcome = promptseg(*drawn, *option)
        assert outcome.status == 2
        assert f"{option[0]} needs --dataset" in outcome.err
    outcome = promptseg("tune", "ct.nii.gz", "labels.nii.gz", "-o", "x.promptset")
    assert outcome.status == 2
    assert "--label and --slices and --name are needed" in outcome.err
