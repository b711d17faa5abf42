"""The panel from the first click to the report, on the stand-in: PySide6's widgets with PythonQt's manners, real MRML
nodes and a real worker. The Segment Editor's effects and slice views that draw are not run here; PythonQt
itself is where the host of ``Testing/PythonQt`` runs these tests.
"""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from PromptSegLib.mrml.vtk_images import oriented_image


def test_it_opens_without_a_volume_and_says_what_to_do(module) -> None:
    module.enter()
    assert module.panel.start.widget.visible
    assert not module.panel.segment.button.enabled
    assert not module.panel.tabs.visible
    module.exit()


def test_loading_the_module_brings_nothing_heavy(window) -> None:
    import subprocess
    import sys
    from pathlib import Path

    testing = Path(__file__).resolve().parents[2]
    code = (
        "import sys, os, tempfile, pathlib, warnings\nwarnings.simplefilter('ignore')\n"
        f"sys.path[:0] = [{str(testing)!r}, {str(testing.parent / 'PromptSeg')!r}]\n"
        "from standin import application\napplication.start(pathlib.Path(tempfile.mkdtemp()))\n"
        "before = set(sys.modules)\nimport PromptSeg\n"
        "new = {n.partition('.')[0] for n in set(sys.modules) - before} - {'PromptSeg'}\n"
        "print(sorted(n for n in new if not n.startswith('_')))\nos._exit(0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert answer.stdout.strip() == "[]", answer.stderr


def test_segmenting_by_mouse(panel, loaded, own, pump, slicer) -> None:
    panel.segment.structures.tick(own)
    button = panel.segment.button
    assert button.text == "Segment 1 structure"
    button.click()
    assert button.text == "Cancel"
    assert not panel.segment.structures.widget.enabled
    pump(lambda: not panel.segment.running.running)
    assert "1 structure segmented in" in panel.segment.message.text
    node = panel.volumes.segmentation
    contents = node.GetSegmentation()
    assert [contents.GetSegment(one).GetName() for one in contents.GetSegmentIDs()] == ["liver"]
    assert panel.segment.show_3d.visible
    assert button.text == "Segment 1 structure"


def test_undo_brings_back_what_was_there(panel, loaded, own, pump, slicer) -> None:
    from PromptSegLib.mrml import nodes
    from PromptSegLib.mrml.decisions import ACCEPTED, decide, decision_of

    def segmented() -> None:
        panel.segment.button.click()
        pump(lambda: not panel.segment.running.running)

    def undo() -> None:
        assert panel.segment.message._button.text == "Undo"
        panel.segment.message._button.click()

    panel.segment.structures.tick(own)
    segmented()
    undo()
    assert panel.volumes.segmentation is None  # it was made for the result
    assert not slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    segmented()
    node = panel.volumes.segmentation
    (identity,) = node.GetSegmentation().GetSegmentIDs()
    segment = node.GetSegmentation().GetSegment(identity)
    mine = oriented_image(np.ones((2, 3, 4), bool), (1, 1, 1), nodes.grid_of(loaded).ijk_to_ras)
    segment.AddRepresentation("Binary labelmap", mine)
    decide(segment, ACCEPTED)
    segmented()
    assert not decision_of(segment)
    assert nodes.segment_mask(node, identity, loaded).sum() != 24
    undo()
    assert nodes.segment_mask(node, identity, loaded).sum() == 24
    assert decision_of(segment) == ACCEPTED
    segmented()
    mine = oriented_image(np.ones((2, 3, 4), bool), (2, 1, 1), nodes.grid_of(loaded).ijk_to_ras)
    segment.RemoveRepresentation("Binary labelmap")
    segment.AddRepresentation("Binary labelmap", mine)  # a stroke
    undo()
    assert "changed since" in panel.segment.message.text
    assert nodes.segment_mask(node, identity, loaded).sum() == 24


def test_closing_leaves_no_process(panel, module, loaded, own, pump) -> None:
    from PromptSegLib.desktop import qprocess as process

    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    worker = panel.logic.service._process.pid
    module.cleanup()
    assert not process._LEAVING
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_cancelling_is_seen_at_once_and_the_next_click_works(panel, loaded, own, pump) -> None:
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    assert "Stopped" in panel.segment.message.text
    assert panel.volumes.segmentation is None
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    assert panel.volumes.segmentation is not None


def test_a_killed_worker_is_a_sentence_in_the_panel(panel, loaded, own, pump) -> None:
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: panel.segment.running._bar.value > 0)
    os.kill(panel.logic.service._process.pid, 9)
    pump(lambda: not panel.segment.running.running)
    said = panel.segment.message.text
    assert "ended" in said or "structure segmented in" in said  # it may have been done just before
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    assert "1 structure segmented in" in panel.segment.message.text


def test_searching_by_synonym(panel, loaded) -> None:
    panel.segment.structures.search.setText("oesophagus")
    shown = [entry.structure.name for item, entry in panel.segment.structures._items if not item.isHidden()]
    assert set(shown) == {"esophagus"}


def test_the_strip_shows_what_is_drawn(drawing) -> None:
    words = [one.value for one in drawing._statuses]
    assert words.count("complete") == 2
    assert words[0] == "absent"
    assert words[5] == words[7] == "complete"
    assert "2 complete, 0 draft, 1 absent" in drawing.counts.text
    assert drawing.strip.tip(5).startswith("Slice 5: complete")


def test_a_contradicting_mark_is_refused_in_words(drawing) -> None:
    drawing._go(5)
    drawing.mark_absent()
    assert "marked as absent, and something is drawn" in drawing.message.text
    assert drawing._statuses[5].value == "complete"


def test_with_draw_the_key_a_closes_an_outline_and_marks_nothing(panel, drawing, slicer) -> None:
    editor = slicer.mrmlScene.GetSingletonNode("PromptSeg", "vtkMRMLSegmentEditorNode")
    editor.SetActiveEffectName("Paint")
    assert [key.isEnabled() for key in panel._keys] == [True] * 4
    editor.SetActiveEffectName("Draw")
    assert [key.isEnabled() for key in panel._keys] == [True, False, True, True]
    editor.SetActiveEffectName("")
    assert [key.isEnabled() for key in panel._keys] == [True] * 4
    panel.tabs.setCurrentIndex(0)
    editor.SetActiveEffectName("Draw")
    editor.SetActiveEffectName("Paint")
    assert not any(key.isEnabled() for key in panel._keys)


def test_teaching_accepting_and_going_back(panel, drawing, pump, monkeypatch) -> None:
    original = panel.logic.teach
    monkeypatch.setattr(panel.logic, "teach", lambda *a, **k: original(*a, steps=6, **k))
    drawing.teach.click()
    assert drawing.teach.text == "Cancel"
    assert drawing.keep.visible
    pump(lambda: not drawing.running.running)
    assert "at least three slices" in drawing.rounds.quality.text
    assert drawing.rounds.accept.visible
    assert panel.logic.context.device  # known without the self-check
    assert drawing.curve._over
    starts, parts = zip(*drawing.curve._seen, strict=True)
    assert parts == (5, 7, -1)  # each slice that is left out, then none
    assert starts == (0, 6, 12)  # six steps each, though they take turns
    panel.state.set_values("Review", {"rows": []})
    monkeypatch.setattr("PromptSegLib.prompts.card.CARRIES", 1.1)
    drawing.rounds.accept.click()
    assert "is kept in My structures" in drawing.message.text
    assert "in another CT it may find little of it" in drawing.message.text
    kept = [entry.structure.name for _item, entry in panel.segment.structures._items]
    assert "my liver" in kept
    panel.review.before.click()
    assert "Before" in str(panel.review.message._label.text)
    drawing.rounds.undo.click()
    assert panel.state.values("Review") is None  # it was of the round that is gone
    assert not drawing.rounds.accept.visible
    contents = panel.volumes.segmentation.GetSegmentation()
    assert [contents.GetSegment(one).GetName() for one in contents.GetSegmentIDs()] == ["my liver"]


def test_stopping_with_the_best_so_far(drawing, pump, panel, monkeypatch) -> None:
    original = panel.logic.teach
    monkeypatch.setattr(panel.logic, "teach", lambda *a, **k: original(*a, steps=4000, **k))
    drawing.teach.click()
    pump(lambda: drawing.curve.steps)
    drawing.keep.click()
    pump(lambda: not drawing.running.running)
    assert "best so far" in drawing.message.text
    assert panel.logic.rounds[0].stopped


def test_a_result_comes_into_view(panel, loaded, own, pump, window) -> None:
    view = window.layoutManager().sliceWidget("Red").mrmlSliceNode()
    view.JumpSliceByOffsetting(0, 0, -500)
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    node = panel.volumes.segmentation
    (found,) = node.GetSegmentation().GetSegmentIDs()
    assert abs(view.GetSliceToRAS().GetElement(2, 3) - node.GetSegmentCenterRAS(found)[2]) < 0.01


def test_side_by_side_shows_the_segmentation_once_and_goes_back(panel, drawing, window) -> None:
    from PromptSegLib.desktop.panel.view_watch import SideBySide

    manager, node = window.layoutManager(), panel.volumes.segmentation
    red, yellow = (manager.sliceWidget(name).mrmlSliceNode() for name in ("Red", "Yellow"))

    def matrix(view):
        return [view.GetSliceToRAS().GetElement(r, c) for r in range(4) for c in range(4)]

    red.SetDimensions(400, 300, 1)
    yellow.SetDimensions(500, 300, 1)
    red.SetFieldOfView(200.0, 150.0, 1.0)
    yellow.SetFieldOfView(500.0, 300.0, 1.0)
    zoom = [1.0, 1.0], [0.0, 0.0, 0.0]
    before, layout, view = matrix(yellow), manager.layout, yellow.GetFieldOfView()
    pair = SideBySide()
    pair.begin(node)
    assert pair.on
    assert manager.layout != layout
    assert matrix(yellow) == matrix(red)
    red.JumpSliceByOffsetting(0, 0, 3.5)
    assert matrix(yellow) == matrix(red)

    def look(view):
        return [a / b for a, b in zip(view.GetFieldOfView()[:2], view.GetDimensions()[:2], strict=True)], list(
            view.GetXYZOrigin()
        )

    assert look(yellow) == look(red) != zoom  # one zoom for both
    red.SetFieldOfView(100.0, 80.0, 1.0)
    red.SetXYZOrigin(7.0, -4.0, 0.0)
    assert look(yellow) == look(red)
    yellow.SetFieldOfView(300.0, 100.0, 1.0)  # and the other way round
    yellow.JumpSliceByOffsetting(0, 0, 9.0)
    assert look(yellow) == look(red)
    assert matrix(yellow) == matrix(red)
    display = node.GetDisplayNode()
    assert list(display.GetViewNodeIDs()) == [red.GetID()]
    pair.end()
    assert not pair.on
    assert matrix(yellow) == before
    assert yellow.GetFieldOfView() == view
    assert manager.layout == layout
    assert display.GetNumberOfViewNodeIDs() == 0
    red.JumpSliceByOffsetting(0, 0, -3.5)
    assert matrix(yellow) == before


def test_reviewing_deciding_and_reporting(panel, loaded, own, pump, tmp_path, monkeypatch, slicer) -> None:
    import qt

    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    panel.tabs.setCurrentIndex(2)
    review = panel.review
    review.check.click()
    pump(lambda: not review.running.running)
    assert review.table.rowCount == 1
    header, last = review.table.horizontalHeader(), review.table.columnCount - 1
    end = header.sectionPosition(last) + header.sectionSize(last)
    assert end >= review.table.viewport().width - 1  # nothing beside it
    review.table.selectRow(0)
    assert review.accept.text == "Accept structure"
    review.accept.click()
    assert review.table.item(0, last).text() == "Completed"
    contents = panel.volumes.segmentation.GetSegmentation()
    segment = contents.GetSegment(review.rows[0]["segment_id"])
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.GetSegmentStatus(segment) == logic.Completed  # as the Segment Editor shows it
    for name, start in (("r.html", "<!DOCTYPE html>"), ("r.csv", "structure,slice,volume_ml")):
        monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *a, n=name: str(tmp_path / n))
        review.report.click()
        pump(lambda: not review.writing)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.startswith(start)
        assert "Completed" in text
    assert panel.logic.has_uncertainty


def test_the_worst_slice_of_every_structure_comes_first(panel, loaded) -> None:
    panel.tabs.setCurrentIndex(2)
    review, found = panel.review, (("liver", (3, 4, 5)), ("aorta", (7,)))
    review.rows = [
        {"structure": name, "segment_id": "", "volume_ml": 1.0, "remarks": [],
         "slices": [{"index": n, "why": "it differs"} for n in worst]} for name, worst in found
    ]  # fmt: skip
    review.refresh()
    assert [one.index for one in review.gallery.places] == [3, 7, 4, 5]  # where no risk is known


def test_the_scene_remembers_a_review_until_the_segmentation_changes(panel, module, loaded, own, pump) -> None:
    def segmented() -> None:
        panel.tabs.setCurrentIndex(0)
        panel.segment.button.click()
        pump(lambda: not panel.segment.running.running)

    panel.segment.structures.tick(own)
    segmented()
    panel.tabs.setCurrentIndex(2)
    review = panel.review
    review.check.click()
    pump(lambda: not review.running.running)
    known = review.rows
    module.exit()
    review.scene_closed()  # as after loading a scene
    module.enter()
    assert [one["structure"] for one in review.rows] == [one["structure"] for one in known] == ["liver"]
    assert review.table.rowCount == 1
    panel.volumes.choose_segmentation(None)
    assert not review.rows
    panel.volumes.choose_segmentation(panel.state.reference("Reviewed"))
    assert review.rows
    segmented()
    assert not review.rows
    panel.state.set_text("Review", '{"rows": [{"structure": 3}], "axis": "x"}')
    assert panel.state.review == ([], 0)


def test_a_new_result_has_to_be_decided_anew(panel, loaded, own, pump) -> None:
    from PromptSegLib.mrml.decisions import FLAGGED, decide, decision_of

    panel.segment.structures.tick(own)
    for _round in range(2):
        panel.segment.button.click()
        pump(lambda: not panel.segment.running.running)
        contents = panel.volumes.segmentation.GetSegmentation()
        (identity,) = contents.GetSegmentIDs()
        assert not decision_of(contents.GetSegment(identity))
        decide(contents.GetSegment(identity), FLAGGED)
        assert decision_of(contents.GetSegment(identity)) == FLAGGED


def test_samples_are_listed_at_startup_and_nothing_is_fetched(module, window, monkeypatch) -> None:
    import sys
    import types
    from pathlib import Path

    listed = []
    data = types.SimpleNamespace(registerCustomSampleDataSource=lambda **values: listed.append(values))
    parent = types.SimpleNamespace()
    sys.modules["PromptSeg"].PromptSeg(parent)
    assert parent.title == "PromptSeg"
    (begun,) = window._listeners.pop("startupCompleted()")
    monkeypatch.setitem(sys.modules, "SampleData", None)
    begun()  # a Slicer without that module
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=data))
    begun()
    assert {one["category"] for one in listed} == {"PromptSeg"}
    assert all(one["uris"].endswith(one["checksums"].removeprefix("SHA256:")) for one in listed)
    assert all(Path(one["thumbnailFileName"]).is_file() for one in listed)


def test_the_scene_remembers(panel, module, loaded, own, slicer) -> None:
    panel.segment.structures.tick(own)
    panel.tabs.setCurrentIndex(1)
    node = module.logic.getParameterNode()
    assert node.GetNodeReference("Volume") is loaded
    assert json.loads(node.GetParameter("Structures")) == [own]
    assert node.GetParameter("Tab") == "1"
    module.exit()
    panel.tabs.setCurrentIndex(0)
    node.SetParameter("Tab", "1")
    module.enter()
    assert panel.tabs.currentIndex == 1
    assert panel.segment.structures.ticked == [own]


def test_closing_the_scene_while_something_runs(panel, loaded, own, pump, slicer) -> None:
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    slicer.mrmlScene.Clear(0)
    assert not panel.segment.running.running
    assert panel.volumes.volume is None
    pump(lambda: not panel.logic.service.active)


def test_the_self_check_is_a_text_to_copy(panel, module, pump) -> None:
    module.enter()
    panel.show_check(True)
    pump(lambda: "tiny" in str(panel.check.text.toPlainText()))
    assert "torch" in str(panel.check.text.toPlainText())
    assert not panel.check.install.visible


def test_what_is_missing_is_asked_for_once_and_told(panel, loaded, own, monkeypatch) -> None:
    from PromptSegLib.desktop import install

    monkeypatch.setattr(install, "missing", lambda: ["torch", "safetensors"])
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    assert "PromptSeg needs torch and safetensors." in panel.segment.message.text
    assert "when first needed: torch and safetensors." in panel.foot.text

    def installs(ask=None, tell=None) -> bool:
        tell("Installing torch")
        assert panel.segment.message.text == panel.foot.text == "Installing torch"  # and no more that nothing was
        monkeypatch.setattr(install, "missing", list)
        return True

    monkeypatch.setattr(install, "install", installs)
    panel.segment.message._button.click()
    assert not panel.segment.message.text
    assert "when first needed" not in panel.foot.text
    assert not panel.segment.running.running


def test_what_the_worker_noticed_is_seen_beside_the_result(panel, loaded, own, pump) -> None:
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    panel.segment.running.job.warned.append("Nothing is kept for the next patient: the disk is full.")
    pump(lambda: not panel.segment.running.running)
    first, second = panel.segment.message.text.split("\n")
    assert "1 structure segmented in" in first
    assert second == "\u26a0 Nothing is kept for the next patient: the disk is full."
    assert panel.segment.message._button.text == "Undo"
    panel.segment.message._button.click()
    assert "Taken back" in panel.segment.message.text
