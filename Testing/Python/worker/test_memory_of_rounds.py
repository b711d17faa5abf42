"""What the worker keeps of a round for the next patient, and what it makes of it there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.prompts.library import memory_beside
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register.register import REGISTERING
from PromptSegLib.register.teachers import Memory
from PromptSegLib.volumes.volume import Volume
from PromptSegLib.worker.payload import put_annotations, put_structure


def test_a_structure_is_remembered_and_carried_over(worker, kit, tmp_path) -> None:
    """The first patient is remembered beside the prompt, the second is registered with it, and learned with it."""
    first, path = kit.make_phantom(31), tmp_path / "own.promptset"
    slices = SliceAnnotations.from_labels(first.labels, first.volume.grid, 1, [5, 8, 14])
    worker.set_volume(first.volume)
    options = {"steps": 1, "segment": True, "remember": True}
    kept = memory_of_round(worker, slices, Structure("mine"), path, **options)
    (teacher,) = Memory.read(kept).of("mine")
    assert sorted(teacher.drawn["mine"].drawn) == [5, 8, 14]
    kept.rename(memory_beside(path))

    other = kit.make_phantom(32)
    worker.set_volume(other.volume)
    events: list = []
    wanted = [{"file": str(path), "name": "mine"}]
    found = worker.call(
        "segment", prompts=wanted, memory=True, suggest=2, volume=worker._volume, on_event=events.append
    )
    assert any(event.get("stage") == "register" and event["message"] == REGISTERING for event in events)
    assert all(note.startswith("mine is a first guess") for note in found["notes"])
    assert 0 < found["expected"]["mine"][1] < found["expected"]["mine"][0] < found["expected"]["mine"][2] < 1
    assert found["corrections"]["mine"]["axis"] == 0
    assert 1 <= len(found["corrections"]["mine"]["slices"]) <= 2
    events.clear()
    worker.call("segment", prompts=wanted, volume=worker._volume, on_event=events.append)
    assert not any(event.get("stage") == "register" for event in events)

    corrected = SliceAnnotations.from_labels(other.labels, other.volume.grid, 1, [6, 10])
    again = tmp_path / "again.promptset"
    options |= {"start_from": wanted[0], "examples": wanted[0]}
    both = Memory.read(memory_of_round(worker, corrected, Structure("mine"), again, **options))
    assert [sorted(one.drawn["mine"].drawn) for one in both.of("mine")] == [[5, 8, 14], [6, 10]]
    card = PromptSet.read(again)["mine"].card
    assert (card.slices, card.volumes, card.rounds) == (5, 2, 2)


def memory_of_round(worker, annotations, structure, path: Path, **options) -> Path:
    """Teach, and give the file that the next patient starts from."""
    identity = worker.jobs.new_id()
    given = put_annotations(worker.jobs, identity, annotations)
    result = worker.call(
        "tune", identity, volume=worker._volume, annotations=given, structure=put_structure(structure), **options
    )
    path.write_bytes(worker.jobs.path(result["prompt"]).read_bytes())
    kept = path.with_name("kept.memory")
    kept.write_bytes(worker.jobs.path(result["memory"]).read_bytes())
    worker.jobs.remove(identity)
    return kept


def test_a_pair_that_does_not_fit_and_a_damaged_memory_are_told(worker, kit, small, drawn, tmp_path) -> None:
    path = tmp_path / "own.promptset"
    worker.set_volume(small.volume)
    kept = memory_of_round(worker, drawn, Structure("mine"), path, steps=0, segment=True, remember=True)
    k, j, i = np.indices((30, 40, 40))
    far = np.sqrt((k - 15.0) ** 2 + (j - 20.0) ** 2 + (i - 20.0) ** 2) * 4
    hu = np.select([far < 50, far < 56], [35.0, 900.0], -1000.0) + np.random.default_rng(0).normal(0, 5, far.shape)
    other = Volume.from_array(hu.astype(np.int16), np.diag([4.0, 4.0, 4.0, 1.0]))
    worker.set_volume(other)
    kept.rename(memory_beside(path))
    said = worker.call("segment", prompts=[str(path)], memory=True, volume=worker._volume)["notes"]
    assert len(said) == 1
    assert said[0].startswith("mine could not be carried over from the patient it was taught in: ")
    balls = SliceAnnotations.from_labels((far < 20).astype(np.uint8), other.grid, 1, [14, 16])
    given, structure = put_annotations(worker.jobs, "there", balls), put_structure(Structure("mine"))
    told = worker.call(
        "tune", "there", volume=worker._volume, annotations=given, structure=structure,
        steps=0, segment=True, examples=str(path),
    )  # fmt: skip
    assert said[0] in told["notes"]
    worker.jobs.remove("there")
    memory_beside(path).write_bytes(b"something else")
    said = worker.call("segment", prompts=[str(path)], memory=True, volume=worker._volume)["notes"]
    assert said == [
        "own.memory is not a PromptSeg memory file, or it is damaged; delete it, and teach the structure again."
    ]
