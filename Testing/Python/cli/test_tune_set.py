"""``promptseg tune --dataset``: options, files, and what it says."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.errors import OutputError
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register.teachers import Memory

from .conftest import save
from .test_stopping import start


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
    assert prompt.card.extra["subjects"] == {part: len(names) for part, names in result["subjects"].items()}
    named = [name for names in result["subjects"].values() for name in names]
    assert sorted(named) == [f"case_{n}" for n in (1, 2, 3, 4)]
    assert list(result["dice"]) == result["subjects"]["held_out"]
    assert [one["step"] for one in result["curve"]] == [0, 2]
    stages = {event["stage"] for event in outcome.events if event["event"] == "progress"}
    assert {"cache", "learn", "validate"} <= stages
    used = promptseg("segment", "set/case_1.nii.gz", "--prompts", "new.promptset", "-o", "o.nii.gz", "--device", "cpu")
    assert used.status == 0, used.err


def test_a_disk_that_is_full_from_the_start_has_no_folder_left_on_it(promptseg, place, labelled, monkeypatch) -> None:
    from PromptSegLib.datasets import sample_cache

    def full(*_: object) -> None:
        raise OutputError("The disk is full", "free some space")

    monkeypatch.setattr(sample_cache, "save_array", full)
    before = set(place.iterdir())
    outcome = promptseg(*words())
    assert outcome.status == 2
    assert "disk is full" in outcome.err
    assert set(place.iterdir()) == before


def test_three_subjects_are_kept_for_the_next_patient_unless_that_is_not_wanted(
    promptseg, place, labelled, monkeypatch
) -> None:
    monkeypatch.delenv("PROMPTSEG_MEMORY")
    assert promptseg(*words("--no-memory")).status == 0
    assert not (place / "new.memory").exists()
    outcome = promptseg(*words("--json"))
    assert outcome.status == 0, outcome.err
    assert outcome.result["memory"] == "new.memory"
    kept = Memory.read(place / "new.memory")
    assert (kept.names, len(kept.teachers)) == (["spleen"], 3)


def test_what_a_run_that_came_to_nothing_leaves_is_told(promptseg, place, kit, monkeypatch) -> None:
    from PromptSegLib.datasets import tasks

    monkeypatch.setattr(tasks, "SIZES", ((64, 64),))
    kit.write_dataset(place / "set", (1, 2))
    outcome = promptseg(*words())
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert "a labelled set needs 3 (new.run keeps the prepared volumes); add volumes" in last
    assert (place / "new.run").is_dir()


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
    assert set(place.iterdir()) == before


def test_a_folder_of_the_users_is_never_taken_for_that_of_a_run(promptseg, place, labelled) -> None:
    own = place / "new.run"
    (own / "cache").mkdir(parents=True)
    for name in ("notes.txt", "last.safetensors", "cache/thesis.tex"):
        (own / name).write_text("mine")
    for more in ((), ("--resume",)):
        outcome = promptseg(*words(*more))
        assert outcome.status == 2
        assert "holds files that are not of a run" in outcome.err
    assert sorted(path.name for path in own.rglob("*")) == ["cache", "last.safetensors", "notes.txt", "thesis.tex"]
    assert not (place / "new.promptset").exists()


def test_what_others_lay_into_the_folder_of_a_run_stays(promptseg, place, labelled) -> None:
    assert promptseg(*words(), "--time-budget", "0.0001s").status == 0
    (place / "new.run" / "notes.txt").write_text("mine")
    (place / "new.run" / "cache" / "thesis.tex").write_text("mine")
    assert promptseg(*words(), "--resume").status == 0
    left = sorted(path.relative_to(place).as_posix() for path in (place / "new.run").rglob("*") if path.is_file())
    assert left == ["new.run/cache/thesis.tex", "new.run/notes.txt"]


def test_an_empty_folder_of_the_users_is_used_and_stays(promptseg, place, labelled) -> None:
    (place / "new.run").mkdir()
    assert promptseg(*words()).status == 0
    assert list((place / "new.run").iterdir()) == []


def test_a_run_of_before_folders_were_marked_goes_on(promptseg, place, labelled) -> None:
    assert promptseg(*words(), "--time-budget", "0.0001s").status == 0
    (place / "new.run" / "promptseg-run.json").unlink()
    assert promptseg(*words(), "--resume").status == 0
    assert not (place / "new.run").exists()


def test_values_that_are_no_hu_are_told_at_once_and_with_the_result(promptseg, place, labelled) -> None:
    image = sitk.ReadImage("set/case_2.nii.gz")
    sitk.WriteImage(image + 1024, "set/case_2.nii.gz")
    outcome = promptseg(*words(), "--json")
    assert outcome.status == 0, outcome.err
    kinds = [event["event"] for event in outcome.events]
    (warning,) = (event["message"] for event in outcome.events if event["event"] == "warning")
    assert "The values of case_2 do not look like a CT's in HU" in warning
    stages = [event.get("stage") for event in outcome.events]
    assert kinds.index("warning") < stages.index("learn")
    assert outcome.result["warnings"] == [warning]


@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
def test_ctrl_c_while_volumes_are_read_ends_at_once_and_keeps_what_is_whole(place, shipped, labelled) -> None:
    save(np.random.default_rng(0).normal(0, 300, (1500, 100, 100)).astype(np.int16), place / "set" / "case_2.nii.gz")
    save(np.ones((1500, 100, 100), np.uint8), place / "set" / "case_2_labels.nii.gz")
    options = ("--backbone", shipped / "Models" / "punet-ct.safetensors", "--steps", "100000")
    process = start(place, *words(*(str(one) for one in options)))
    assert process.stdout
    for line in process.stdout:
        if "case_2" in json.loads(line).get("message", ""):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err == "Stopped before there was a prompt; --resume goes on, and new.run keeps the volumes.\n"
    assert json.loads(out.splitlines()[-1]) == {"event": "stopped", "message": err.strip()}
    assert not list((place / "new.run").rglob(".*"))  # nothing half-written
    assert (place / "new.run" / "promptseg-run.json").is_file()


@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
def test_ctrl_c_keeps_the_best_and_what_was_killed_goes_on(place, shipped, labelled, promptseg) -> None:
    """Stopped after a look, gone on with, killed after another, and gone on with to its end."""
    tiny = ("--backbone", str(shipped / "Models" / "punet-ct.safetensors"))
    before = b"what was there"
    (place / "new.promptset").write_bytes(before)

    def look(step: int, *more: str):
        process = start(place, *words("--steps", "1000000", *tiny, *more))
        assert process.stdout
        told = iter(process.stdout)
        metrics = (json.loads(line).get("metrics") or {} for line in told)
        assert any("dice" in one and one["step"] == step for one in metrics), process.communicate()[1]
        return process

    process = look(0)
    process.send_signal(signal.SIGINT)
    assert "Stopped before there was a prompt; --resume goes on" in process.communicate(timeout=120)[1]
    assert (place / "new.promptset").read_bytes() == before
    process = look(50, "--resume")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the best prompt so far (step " in err
    assert list(PromptSet.read(place / "new.promptset")) == ["spleen"]
    process = look(100, "--resume")
    process.kill()
    process.communicate(timeout=120)
    outcome = promptseg(*words("--resume", "--json", "--steps", "101", *tiny))
    assert outcome.status == 0, outcome.err
    assert [one["step"] for one in outcome.result["curve"]] == [0, 50, 100, 101]
    assert not (place / "new.run").exists()


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
