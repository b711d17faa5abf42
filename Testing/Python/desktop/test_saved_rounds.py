"""Rounds of teaching that a scene remembers: saved, loaded, gone on from; with a real worker."""

from __future__ import annotations

import json

import numpy as np
import pytest

from PromptSegLib.annotations import SliceStatus
from PromptSegLib.mrml import nodes, slices
from PromptSegLib.mrml import taught as kept_rounds
from PromptSegLib.prompts.library import memory_beside
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register.teachers import Memory
from PromptSegLib.tune.outcome import Outcome


@pytest.fixture
def came_back(desk, ct, taught, scene, saved, make_desk):
    """A round, the scene saved and loaded again, and another desk: (round, desk, volume, segmentation, segment id)."""
    node, segment_id = taught
    result = desk.logic.teach(ct, node, segment_id, "my liver", steps=2).wait()
    again = saved(scene)
    volume = again.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    segmentation = again.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    yield result, make_desk(), volume, segmentation, segment_id
    assert again  # nodes do not keep their scene


def test_a_round_comes_back_with_the_scene_and_can_be_kept(came_back) -> None:
    result, desk, *where = came_back
    node = where[1].GetScene().GetFirstNodeByClass("vtkMRMLTextNode")
    assert node.GetHideFromEditors()
    assert node.GetStorageNode() is None
    (again,) = desk.logic.rounds_of(*where)
    assert again.structure == result.structure
    assert again.left_out == list(result.left_out)
    assert again.estimate == result.estimate
    assert again.suggestions == list(result.suggestions)
    assert again.card == result.card
    assert again.result_segment_id == result.result_segment_id
    text = desk.logic.accept(again)
    kept, first = PromptSet.read(text.rpartition(":")[0])["my liver"], PromptSet.read(result.prompt)["my liver"]
    assert all(np.array_equal(kept.tensors[name], value) for name, value in first.tensors.items())


def test_a_round_that_came_back_has_no_file_either(panel, loaded, slicer) -> None:
    """Slicer forgets that it is to have none, and gives it one with the next bundle."""
    scene = slicer.mrmlScene
    node = nodes.new_segmentation(loaded)
    kept_rounds.keep(loaded, node, "s", kept_rounds.Kept(1, "r", Outcome((), 0.9), b"x" * 300))
    kept = scene.GetFirstNodeByClass("vtkMRMLTextNode")
    text = kept.GetText()
    kept.SetForceCreateStorageNode(kept.CreateStorageNodeAuto)  # as of a scene that was loaded
    assert kept.AddDefaultStorageNode()
    assert kept.GetStorageNode() is not None
    scene.InvokeEvent(scene.EndImportEvent)
    assert kept.GetStorageNode() is None
    assert scene.GetFirstNodeByClass("vtkMRMLTextStorageNode") is None
    assert kept.AddDefaultStorageNode()  # the next bundle
    assert kept.GetStorageNode() is None
    assert kept.GetText() == text


def test_the_next_round_goes_on_from_it(came_back) -> None:
    _, desk, volume, segmentation, segment_id = came_back
    (first,) = desk.logic.rounds_of(volume, segmentation, segment_id)
    one = nodes.segment_mask(segmentation, first.result_segment_id, volume)
    second = desk.logic.teach(volume, segmentation, segment_id, "my liver", steps=3, start_from=first).wait()
    assert second.round == 2
    assert second.card.rounds == 2
    assert desk.logic.undo_round() is first
    assert np.array_equal(nodes.segment_mask(segmentation, first.result_segment_id, volume), one)
    assert kept_rounds.kept(volume, segmentation, segment_id).round == 1
    assert desk.logic.undo_round() is None
    assert kept_rounds.kept(volume, segmentation, segment_id) is None


def test_every_segment_has_rounds_of_its_own(desk, ct, taught, phantom) -> None:
    node, first = taught
    second = desk.draw(node, phantom.labels == 2, phantom.volume, "my spleen", (5, 7))
    for index in (5, 7):
        slices.mark(node, second, ct, 0, index, SliceStatus.COMPLETE)
    liver = desk.logic.teach(ct, node, first, "my liver", steps=1).wait()
    spleen = desk.logic.teach(ct, node, second, "my spleen", steps=1).wait()
    assert desk.logic.rounds == [spleen]
    assert desk.logic.rounds_of(ct, node, first) == [liver]
    assert desk.logic.rounds == [liver]
    assert desk.logic.undo_round() is None
    assert desk.logic.rounds_of(ct, node, second) == [spleen]


def test_a_removed_segmentation_leaves_nothing_in_the_scene(desk, ct, taught, scene, phantom) -> None:
    node, segment_id = taught
    desk.logic.teach(ct, node, segment_id, "my liver", steps=1).wait()
    scene.RemoveNode(node)
    other = nodes.new_segmentation(ct)
    kept_rounds.keep(ct, other, "x", kept_rounds.Kept(1, "y", Outcome(), b""))
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 1


def test_the_panel_goes_on_where_a_saved_scene_was_left(panel, drawing, pump, monkeypatch, slicer, saved) -> None:
    original = panel.logic.teach
    monkeypatch.setattr(panel.logic, "teach", lambda *a, **k: original(*a, steps=2, **k))
    drawing.teach.click()
    pump(lambda: not drawing.running.running)
    said = drawing.rounds.quality.text
    saved(slicer.mrmlScene, into=slicer.mrmlScene)
    assert drawing.rounds.quality.text == said
    assert drawing.teach.text == "Teach again"
    assert drawing.strip._suggested
    drawing.rounds.accept.click()
    assert "is kept in My structures" in drawing.message.text


def change(text: str, **values) -> str:
    """The text of a kept round with other values; None takes one away."""
    changed = {**json.loads(text), **values}
    return json.dumps({key: value for key, value in changed.items() if value is not None or key == "estimate"})


def test_a_scene_may_say_what_it_wants(came_back, make_desk) -> None:
    _, desk, volume, segmentation, segment_id = came_back
    node = segmentation.GetScene().GetFirstNodeByClass("vtkMRMLTextNode")
    text = node.GetText()
    forged = [
        "no JSON",
        "[" * 5000,
        "[]",
        change(text, left_out=None),
        change(text, left_out=[{"index": 5}]),
        change(text, estimate={"dice": 1}),
        change(text, suggestions="none"),
        change(text, estimate={"dice": float("nan"), "low": 0.1, "high": 1.0}),
        change(text, axis=3),
        change(text, more=1),
        change(text, round="1"),
        change(text, round=True),
        change(text, result_segment_id=3),
        change(text, stopped="no"),
        change(text, seconds="long"),
        change(text, seconds=1e400),
        change(text, notes=[3]),
        change(text, history=[{"step": "one"}]),
        change(text, left_out=[{"volume": 0, "index": "5", "dice": 0.5}]),
        change(text, left_out=[{"volume": 0, "index": 5, "dice": "<b>"}]),
        change(text, estimate={"dice": "0.5", "low": 0, "high": 1}),
        change(text, suggestions=[{"index": 5, "share": 0.1, "reason": 5, "between": [None, None]}]),
        change(text, suggestions=[{"index": -5, "share": 0.1, "reason": "x", "between": [None, None]}]),
        change(text, promptset="*"),
        change(text, promptset="AAAA"),
    ]
    for one in forged:
        node.SetText(one)
        assert make_desk().logic.rounds_of(volume, segmentation, segment_id) == [], one[:80]
    before = json.loads(text)
    assert before.pop("axis") == 0
    node.SetText(json.dumps({**before, "estimate": None}))  # as scenes were before rounds had an axis
    assert len(desk.logic.rounds_of(volume, segmentation, segment_id)) == 1


def test_what_the_library_remembers_of_a_round_is_found_again(desk, ct, taught, scene, saved, make_desk) -> None:
    """The prompt is the same under another name, and with an author."""
    node, segment_id = taught
    result = desk.logic.teach(ct, node, segment_id, "my liver", steps=1).wait()
    text = desk.logic.accept(result, author="A")
    kept = desk.logic.library.entry(text).memory
    again = saved(scene)
    volume = again.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    segmentation = again.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    other = make_desk()
    other.logic.library.folder = desk.logic.library.folder
    (round_,) = other.logic.rounds_of(volume, segmentation, segment_id)
    assert memory_beside(round_.prompt).read_bytes() == kept.read_bytes()
    third = make_desk()
    third.logic.library.folder = desk.logic.library.folder
    third.logic.context.remembers = False
    (round_,) = third.logic.rounds_of(volume, segmentation, segment_id)
    assert not memory_beside(round_.prompt).exists()


def test_what_is_remembered_nowhere_is_made_anew_when_a_round_is_kept(came_back) -> None:
    _, desk, volume, segmentation, segment_id = came_back
    (again,) = desk.logic.rounds_of(volume, segmentation, segment_id)
    assert not memory_beside(again.prompt).exists()
    text = desk.logic.accept(again)
    (job,) = desk.logic.context._jobs
    assert job.kind == "remember"
    job.wait()
    (teacher,) = Memory.read(desk.logic.library.entry(text).memory).of("my liver")
    assert sorted(teacher.drawn["my liver"].drawn) == [0, 5, 7]
