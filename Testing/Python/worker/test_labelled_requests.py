"""A structure is learned from labelled volumes in the worker: handed over one by one, or from a data set."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from waiting_worker import Worker

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import Stopped
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.worker.client import WorkerError
from PromptSegLib.worker.payload import put_box, put_structure, put_volume

SMALL = "from PromptSegLib.datasets import tasks\ntasks.SIZES = ((64, 64),)"
"""The phantoms are no larger."""
QUICK = {"steps": 3, "validation": 0.3}


@pytest.fixture(scope="module")
def learner(engine_files):
    """One for all tests of this file."""
    with Worker(engine_files[0], "cpu", 1) as made:
        words = made._words[made._words.index("--jobs") :]
        code = f"import sys\n{SMALL}\nfrom PromptSegLib.worker import serve\nsys.exit(serve.main(sys.argv[1:]))"
        made._words = [sys.executable, "-c", code, *words]
        yield made


def hand_over(worker, kit, folder: Path, structure: str = "my liver", seeds=(21, 22, 23, 24)) -> None:
    for number, seed in enumerate(seeds, 1):
        one, identity = kit.make_phantom(seed, (12, 32, 32)), worker.jobs.new_id()
        volume = put_volume(worker.jobs, identity, one.volume)
        mask = put_box(worker.jobs, f"{identity}/mask.npy", one.labels == 1)
        worker.call(
            "gather", identity, folder=str(folder), number=number, volume=volume, structure=structure, mask=mask
        )
        worker.jobs.remove(identity)


def learn(worker, folder: Path, name: str = "my liver", **fields):
    identity = worker.jobs.new_id()
    structure = put_structure(Structure(name, colour=(0.1, 0.2, 0.3)))
    found = worker.call("learn", identity, folder=str(folder), structure=structure, **{**QUICK, **fields})
    return found, PromptSet.read(worker.jobs.path(found["prompt"]))[name]


def test_volumes_of_a_scene_teach_and_nothing_of_them_stays(learner, kit, tmp_path) -> None:
    folder = tmp_path / "Runs" / "my-liver.run"
    hand_over(learner, kit, folder)
    events: list = []
    found, prompt = learn(learner, folder, on_event=events.append)
    assert prompt.structure == Structure("my liver", colour=(0.1, 0.2, 0.3))
    assert prompt.card.to_json() == found["card"]
    assert prompt.card.extra["subjects"] == {"training": 3, "held_out": 1}
    assert list(found["dice"]) == found["subjects"]["held_out"]
    assert [one["step"] for one in found["curve"]] == [0, 3]
    assert (found["complete"], found["stopped"]) == (True, False)
    told = [one["metrics"] for one in events if one["event"] == "metric" and "dice" in one["metrics"]]
    assert [one["step"] for one in told] == [0, 3]
    assert (folder / "last.safetensors").is_file(), "until the front end has kept the prompt"
    again, same = learn(learner, folder, resume=True)
    assert (again["complete"], again["steps"]) == (True, found["steps"])
    assert all((same.tensors[name] == values).all() for name, values in prompt.tensors.items())


def test_a_data_set_teaches_under_the_name_that_is_asked_for(learner, kit, tmp_path) -> None:
    data = kit.write_dataset(tmp_path / "set", (1, 2, 3, 4))
    told = learner.call("describe", dataset=str(data.parent))
    assert (told["name"], told["volumes"]) == (json.loads(data.read_text())["name"], 4)
    assert "spleen" in told["structures"]
    found, prompt = learn(learner, tmp_path / "run", "milt", datasets=[str(data)], called="spleen")
    assert prompt.structure.name == "milt"
    assert len(found["subjects"]["training"]) == 3
    assert found["complete"]


def test_what_the_time_ended_and_what_was_killed_goes_on(learner, kit, tmp_path) -> None:
    folder = tmp_path / "run"
    hand_over(learner, kit, folder)
    found, _ = learn(learner, folder, time_budget=1e-6)
    assert (found["complete"], found["stopped"]) == (False, False)
    assert (folder / "last.safetensors").is_file()
    learner.process.kill()
    found, prompt = learn(learner, folder, resume=True)
    assert (found["complete"], found["curve"][-1]["step"]) == (True, 3)
    whole = tmp_path / "whole"
    hand_over(learner, kit, whole)
    _, other = learn(learner, whole)
    assert all(np.array_equal(prompt.tensors[k], v) for k, v in other.tensors.items())


def test_stopped_with_the_best_so_far_it_goes_on_from_there(learner, kit, tmp_path) -> None:
    folder = tmp_path / "run"
    hand_over(learner, kit, folder)
    identity, looks = learner.jobs.new_id(), []

    def hear(event) -> None:
        if event["event"] == "metric" and "dice" in event["metrics"]:
            looks.append(event["metrics"]["step"])
            if len(looks) == 2:
                learner.conversation.cancel(identity, time.monotonic(), keep=True)

    asked = {"folder": str(folder), "structure": put_structure(Structure("my liver")), "steps": 1_000_000}
    found = learner.call("learn", identity, **asked, on_event=hear)
    assert (found["stopped"], found["complete"], looks) == (True, False, [0, 50])
    assert set(found["dice"]) == set(found["subjects"]["held_out"])
    assert learner.jobs.path(found["prompt"]).is_file()
    again, _ = learn(learner, folder, resume=True, steps=51, validation=0.25)
    assert (again["complete"], [one["step"] for one in again["curve"]]) == (True, [0, 50, 51])


def test_cancelled_or_stopped_before_a_look_there_is_no_prompt_and_the_volumes_stay(learner, kit, tmp_path) -> None:
    folder = tmp_path / "run"
    hand_over(learner, kit, folder)
    for keep in (False, True):
        identity = learner.jobs.new_id()

        def hear(event, identity=identity, keep=keep) -> None:
            if event.get("stage") == "learn":
                learner.conversation.cancel(identity, time.monotonic(), keep=keep)

        asked = {"folder": str(folder), "structure": put_structure(Structure("my liver")), "steps": 1_000_000}
        with pytest.raises(Stopped):
            learner.call("learn", identity, **asked, resume=keep, on_event=hear)
    assert learn(learner, folder, resume=True, steps=2, validation=0.25)[0]["complete"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"datasets": ["nowhere"]}, "cannot be read; name a dataset.json in the layout of the Decathlon or of nnU-Net"),
        ({}, "my liver is in volumes of 0 subjects, and a labelled set needs 3; add volumes"),
        ({"resume": True}, "my liver is in volumes of 0 subjects"),
    ],
)
def test_what_cannot_teach_is_told_in_a_sentence_and_leaves_nothing(learner, tmp_path, fields, said) -> None:
    with pytest.raises(WorkerError, match=said):
        learn(learner, tmp_path / "run", **fields)
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_data_set_and_one_that_is_not_a_run_s(learner, kit, tmp_path) -> None:
    with pytest.raises(WorkerError, match=r"cannot be read; name a dataset\.json"):
        learner.call("describe", dataset=str(tmp_path))
    (tmp_path / "letter.txt").write_text("dear patient")
    with pytest.raises(WorkerError, match="holds files that are not of a run"):
        hand_over(learner, kit, tmp_path, seeds=(1,))
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


def test_a_mask_that_shows_nothing_or_lies_elsewhere_is_told(learner, kit, tmp_path) -> None:
    one, identity = kit.make_phantom(3, (12, 32, 32)), "a"
    volume = put_volume(learner.jobs, identity, one.volume)
    for mask, said in ((np.zeros(one.labels.shape, bool), "liver is nowhere in"),
                       (np.ones((13, 32, 32), bool), "A mask lies outside of the volume")):  # fmt: skip
        given = put_box(learner.jobs, f"{identity}/mask.npy", mask)
        with pytest.raises(WorkerError, match=said):
            learner.call("gather", folder=str(tmp_path / "r"), number=1, volume=volume, structure="liver", mask=given)
    learner.jobs.remove(identity)
