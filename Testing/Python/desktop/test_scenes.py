"""Scenes that are loaded, closed and added: the panel has what came with them, whatever its widgets show meanwhile."""

from __future__ import annotations

import json

import pytest

ROWS = [{"structure": "liver", "segment_id": "", "volume_ml": 1.5, "remarks": [], "slices": [], "estimate": 0.9}]


@pytest.fixture
def worked(panel, drawing, pump, monkeypatch, slicer):
    """A scene in which a structure was taught and reviewed, in the tab Teach."""
    original = panel.logic.teach
    monkeypatch.setattr(panel.logic, "teach", lambda *a, **k: original(*a, steps=2, **k))
    drawing.teach.click()
    pump(lambda: not drawing.running.running)
    rows = [{**ROWS[0], "segment_id": panel.logic.rounds[-1].result_segment_id}]
    panel.review.rows = rows
    panel.state.keep_review(rows, 0)
    return {"marks": [one.value for one in drawing._statuses], "said": drawing.rounds.quality.text, "rows": rows}


def load(how: str, slicer, saved, pump) -> None:
    """Have the scene as it was saved: over a closed one, over one that is left, or beside what is there."""
    scene = slicer.mrmlScene
    saved(scene, into=slicer.vtkMRMLScene())  # the files
    url, root = scene.GetURL(), scene.GetRootDirectory()
    if how != "load":
        scene.Clear(0)
    if how == "add":
        scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another")
        pump(lambda: True)
    if how == "close, wait and load":
        for _ in range(5):
            slicer.app.processEvents()
    scene.SetURL(url)
    scene.SetRootDirectory(root)
    if how == "add":
        scene.Import()
    else:
        scene.Connect()


@pytest.mark.parametrize("how", ["load", "close and load", "close, wait and load", "add"])
@pytest.mark.parametrize("shown", [True, False], ids=["shown", "hidden"])
def test_all_is_back(panel, module, worked, how, shown, slicer, saved, pump) -> None:
    if not shown:
        module.exit()
    load(how, slicer, saved, pump)
    node = module.logic.getParameterNode()
    assert node.GetNodeReference("Volume") is not None  # at once: nothing wrote over it
    for _ in range(5):
        slicer.app.processEvents()
    assert node.GetNodeReference("Volume") is not None  # and later
    if not shown:
        module.enter()
    box, teach = panel.volumes, panel.teach
    assert box.volume is node.GetNodeReference("Volume")
    assert box.volume.GetName() == "phantom_5"
    pump(lambda: box.volumes.currentNode() is box.volume)
    assert box.segmentations.currentNode() is box.segmentation
    assert panel.tabs.currentIndex == 1
    assert [one.value for one in teach._statuses] == worked["marks"]
    assert teach.rounds.quality.text == worked["said"]
    assert panel.review.rows == worked["rows"]


def test_a_scene_that_was_loaded_before_the_module_was_opened(panel, module, worked, slicer, saved, pump) -> None:
    """As after the start of Slicer with a scene: another widget, which has seen nothing of it."""
    import sys

    module.exit()
    load("close and load", slicer, saved, pump)
    other = sys.modules["PromptSeg"].PromptSegWidget()
    other.setup()
    other.enter()
    try:
        assert other.panel.volumes.volume is not None
        assert [one.value for one in other.panel.teach._statuses] == worked["marks"]
        assert other.panel.review.rows == worked["rows"]
    finally:
        other.cleanup()


def test_a_closed_scene_leaves_nothing_in_the_panel(panel, worked, slicer, pump) -> None:
    teach = panel.teach
    teach.message.tell("Something of this patient")
    panel.segment.message.tell("1 structure in 3 s.")
    panel.review.message.tell("Look")
    slicer.mrmlScene.Clear(0)
    assert not teach.name.text
    for part in (panel.segment, teach, panel.review):
        assert not part.message._label.text
    assert not teach.rounds.quality.visible
    assert panel.volumes.volume is None
    pump(lambda: panel.volumes.volumes.currentNode() is None)
    assert panel.state.reference("Segmentation") is None


def test_a_user_can_choose_none(panel, loaded, pump) -> None:
    panel.volumes.volumes.setCurrentNode(None)
    assert panel.volumes.volume is None
    panel.volumes.volumes.setCurrentNode(loaded)
    assert panel.volumes.volume is loaded


def test_a_reload_gives_a_living_panel(window, slicer, desk, phantom, pump, engine_files, module) -> None:
    """Slicer calls ``setup`` of a new widget, and not ``enter``, although the module is shown."""
    import sys

    from standin.modules import Shown

    shown = Shown(sys.modules["PromptSeg"].PromptSegWidget)
    shown.select()
    ct = desk.add_ct(slicer.mrmlScene, phantom.volume)
    pump(lambda: shown.widget().panel.volumes.volume is ct)
    again = shown.reload()
    try:
        panel = again.panel
        assert panel.volumes.volume is ct
        pump(lambda: panel.volumes.volumes.currentNode() is ct)
        assert panel.segment.structures._items
        panel.tabs.setCurrentIndex(1)
        panel.teach.name.setText("something")
        panel.teach.begin.click()
        assert panel.teach.segment_id
        assert panel.teach.editor.effect == "Paint"
        assert [key.isEnabled() for key in panel._keys] == [True] * 4
    finally:
        shown.close()


def test_a_module_that_is_not_shown_takes_no_keys_and_no_views(window, slicer, module) -> None:
    from standin.widgets import _WATCHING

    assert module.panel.segment.structures._items  # it lives, nevertheless
    module.panel.state.set_text("Tab", "1")
    slicer.mrmlScene.InvokeEvent(slicer.vtkMRMLScene.EndImportEvent)
    assert not module.panel._keys
    assert not [one for one in _WATCHING if one is module.panel.teach.editor.editor]


def test_at_exit_widgets_may_be_gone_before_we_are_told(panel, module, loaded, slicer, monkeypatch) -> None:
    from standin import widgets

    panel.volumes._later.start()
    panel.volumes._again.start()
    monkeypatch.setattr(widgets, "_GONE", [True])
    module.cleanup()
    for timer in (panel.volumes._later, panel.volumes._again, panel.teach.drawn.later):
        assert not timer.isActive()


@pytest.mark.parametrize(
    "change",
    [
        {"segment_id": 3}, {"volume_ml": "much"}, {"volume_ml": float("nan")}, {"remarks": [1]}, {"slices": [3]},
        {"slices": [{"index": "3", "why": "x"}]}, {"slices": [{"index": -1, "why": "x"}]}, {"estimate": "0.9"},
        {"slices": [{"index": 1, "why": None}]}, {"score": 3}, {"score": {"dice": [1]}}, {"structure": None},
    ],
)  # fmt: skip
def test_a_scene_may_tell_anything_of_a_review(panel, drawing, change) -> None:
    sound = {**ROWS[0], "segment_id": drawing.segment_id}
    panel.state.keep_review([sound], 0)
    panel.review.restore()
    assert len(panel.review.rows) == 1
    panel.state.set_text("Review", json.dumps({"rows": [sound | change], "axis": 0}))
    panel.review.restore()
    assert panel.review.rows == []


def test_a_scene_may_refer_to_anything(panel, module, drawing, slicer) -> None:
    node = module.logic.getParameterNode()
    text = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    for role, other in (("Volume", labels), ("Segmentation", text), ("Reference", text), ("Reviewed", text)):
        node.SetNodeReferenceID(role, other.GetID())
        assert panel.state.reference(role) is None
    module.exit()
    module.enter()


def test_a_removed_volume_ends_what_is_computed_for_it(panel, loaded, own, pump, slicer) -> None:
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: panel.segment.running._bar.value > 0)
    slicer.mrmlScene.RemoveNode(loaded)
    assert not panel.segment.running.running
    assert "phantom_5 was removed" in panel.segment.message.text
    pump(lambda: not panel.logic.service.busy)
    assert not slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def test_after_enter_the_keys_are_the_slices_again(panel, drawing, pump) -> None:
    drawing.name.setFocus()
    drawing.name.setText("another name")
    drawing.name.returnPressed.emit()
    assert not drawing.name.hasFocus()
