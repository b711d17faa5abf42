"""The Segment Editor's own ways: what it selects by itself, what a click in its table does, and what is given back."""

from __future__ import annotations

import pytest


def results(panel, phantom, names=("liver", "spleen")) -> list[str]:
    """Segments as a segmentation leaves them, before anything is drawn."""
    from dataclasses import dataclass

    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.mrml import nodes

    @dataclass
    class Found:
        structure: Structure
        mask: object
        low: tuple[int, int, int] = (0, 0, 0)

    volume = panel.volumes.volume
    node = nodes.new_segmentation(volume)
    found = [Found(Structure(name, None, (0.5, 0.5, 0.5)), phantom.labels == 1) for name in names]
    ids = nodes.show(found, node, volume)
    panel.volumes.choose_segmentation(node)
    return ids


@pytest.fixture
def drawn(panel, loaded, phantom, paint):
    """Results of a segmentation, and a new structure drawn beside them."""
    made = results(panel, phantom)
    panel.tabs.setCurrentIndex(1)
    panel.teach.name.setText("my liver")
    panel.teach.begin.click()
    paint(5, 7)
    return made


def test_drawing_after_a_segmentation_draws_in_the_new_segment(panel, drawn) -> None:
    teach = panel.teach
    assert teach.segment_id
    assert teach.segment_id not in drawn
    assert teach.editor.segment_id == teach.segment_id
    assert teach.strip.visible


def test_coming_back_goes_on_with_what_was_drawn(panel, module, drawn, slicer) -> None:
    mine = panel.teach.segment_id
    module.exit()
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    editor = panel.teach.editor.editor.mrmlSegmentEditorNode()
    editor.SetAndObserveSegmentationNode(other)  # the module Segment Editor shares the node
    module.enter()
    assert panel.teach.segment_id == mine
    assert panel.teach.editor.segment_id == mine


def test_a_click_on_a_result_leaves_a_way_back(panel, drawn) -> None:
    teach = panel.teach
    mine = teach.segment_id
    teach.editor.editor._select(drawn[0])
    teach.refresh()
    assert not teach.segment_id
    assert teach.editor.widget.visible
    assert not teach.strip.visible
    assert "liver" in teach.hint.text
    teach.editor.editor._select(mine)
    teach.refresh()
    assert teach.segment_id == mine
    assert teach.strip.visible


def test_the_brush_is_back_when_drawing_is_allowed_again(panel, drawn) -> None:
    editor = panel.teach.editor
    assert editor.effect == "Paint"
    editor.lock(True)
    assert not editor.effect
    editor.lock(False)
    assert editor.effect == "Paint"


@pytest.fixture
def slicers_own(slicer):
    """The widget of the module Segment Editor, as it is once that module was opened: hidden, it follows its node."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    node.SetSingletonTag("SegmentEditor")
    node.SetOverwriteMode(node.OverwriteAllSegments)
    node.SetAttribute("BrushSphere", "1")
    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(slicer.mrmlScene)
    editor.setMRMLSegmentEditorNode(node)
    editor.setEffectNameOrder(["Paint"])
    return editor


def test_the_segment_editors_settings_are_left_alone(panel, slicers_own, drawn) -> None:
    effect = panel.teach.editor.editor.activeEffect()
    assert effect.integerParameter("BrushSphere") == 0
    ours, its = panel.teach.editor._node(), slicers_own.mrmlSegmentEditorNode()
    assert ours.GetOverwriteMode() == ours.OverwriteNone  # what is drawn takes nothing from results
    assert its.GetOverwriteMode() == its.OverwriteAllSegments
    assert its.GetAttribute("BrushSphere") == "1"
    assert not its.GetActiveEffectName()
    assert not ours.GetSaveWithScene()


def test_what_was_drawn_is_undone_where_it_was_drawn(panel, module, slicers_own, drawn, loaded, phantom) -> None:
    """With Slicer's own Segment Editor opened before, and visited between."""
    from standin.widgets import stroke

    from PromptSegLib.mrml import nodes
    from PromptSegLib.mrml.vtk_images import oriented_image

    node, ours = panel.volumes.segmentation, panel.teach.editor.editor

    def count(segment_id: str) -> int:
        return int(nodes.segment_mask(node, segment_id, loaded).sum())

    def draw(voxels: int):
        mask = phantom.labels == 1
        mask[2:] = False
        mask.reshape(-1)[:voxels] = True
        return stroke(oriented_image(mask, (0, 0, 0), phantom.volume.grid.ijk_to_ras))

    mine = panel.teach.segment_id
    before = count(mine)
    assert draw(20) is ours
    after = count(mine)
    assert after != before
    ours.undo()
    assert count(mine) == before
    ours.redo()
    assert count(mine) == after
    module.exit()
    slicers_own.setSegmentationNode(node)
    slicers_own.setCurrentSegmentID(drawn[0])
    slicers_own.setActiveEffectByName("Paint")
    liver = count(drawn[0])
    assert draw(30) is slicers_own
    changed = count(drawn[0])
    module.enter()
    panel.teach.editor.draw_in(mine)  # its own editor is hidden, with its effect on: it must not get the stroke
    slicers_own.setActiveEffect(None)
    assert draw(40) is ours
    ours.undo()
    assert count(mine) == after
    assert count(drawn[0]) == changed
    module.exit()
    slicers_own.undo()
    assert count(drawn[0]) == liver


def test_rounds_are_of_the_segment_at_hand(panel, drawn, pump) -> None:
    teach = panel.teach
    for index in (5, 7):
        teach._go(index)
        teach.mark_complete()
    mine = teach.segment_id
    teach.teach.click()
    pump(lambda: not teach.running.running)
    first = teach.rounds.last(0)
    assert first is not None
    teach.name.setText("another")
    teach.begin.click()
    assert teach.segment_id != mine
    assert teach.rounds.last(0) is None  # or it would start from another structure's prompt
    assert teach.teach.text == "Teach"
    assert not teach.rounds.accept.visible
    teach.editor.editor._select(mine)
    teach.refresh()
    assert teach.rounds.last(0) is first
    assert teach.rounds.last(2) is None
    assert teach.teach.text == "Teach again"


def test_nothing_is_drawn_in_a_segmentation_that_is_not_shown(panel, drawn, slicer) -> None:
    assert panel.teach.editor.effect == "Paint"
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    panel.volumes.choose_segmentation(other)
    node = slicer.mrmlScene.GetSingletonNode("PromptSeg", "vtkMRMLSegmentEditorNode")
    assert not node.GetActiveEffectName()
    assert panel.teach.hint.visible


def test_a_second_structure_leaves_the_first_its_name(panel, drawn) -> None:
    teach = panel.teach
    first = teach.segment_id
    contents = panel.volumes.segmentation.GetSegmentation()
    teach.name.setText("my spleen")
    teach.name.editingFinished.emit()  # the focus goes to the button, before it is pressed
    teach.begin.click()
    assert teach.segment_id != first
    names = [contents.GetSegment(one).GetName() for one in (first, teach.segment_id)]
    assert names == ["my liver", "my spleen"]
    teach.begin.click()  # nothing new was typed
    assert not teach.name.text
    teach.refresh()
    assert not teach.name.text
    teach.name.setText("third")
    teach.name.returnPressed.emit()
    assert contents.GetSegment(teach.segment_id).GetName() == "third"
    teach.name.setText("fourth")
    teach.name.returnPressed.emit()  # another name
    assert contents.GetSegment(teach.segment_id).GetName() == "fourth"
    assert contents.GetNumberOfSegments() == 5


def test_what_is_typed_and_not_entered_is_forgotten_with_another_segment(panel, drawn) -> None:
    teach = panel.teach
    mine = teach.segment_id
    teach.name.setText("my spleen")
    teach.begin.click()
    teach.name.setText("something")
    teach.editor.editor._select(mine)
    assert teach.name.text == "my liver"


def test_stars_marks_and_drafts_belong_to_the_view_that_was_drawn_in(panel, drawn, pump, paint, monkeypatch) -> None:
    from PromptSegLib.annotations import SliceStatus

    teach, original = panel.teach, panel.logic.teach
    monkeypatch.setattr(panel.logic, "teach", lambda *a, **k: original(*a, steps=2, **k))
    paint(5, 7, 9)
    teach.refresh()
    for index in (5, 7):
        teach._go(index)
        teach.mark_complete()
    teach.teach.click()
    pump(lambda: not teach.running.running)
    stars = list(teach.strip._suggested)
    assert stars
    assert teach.next.enabled
    teach.view.setCurrentIndex(2)  # sagittal
    teach.refresh()
    assert teach.axis == 2
    assert set(teach._statuses) == {SliceStatus.UNTOUCHED}  # not a draft in each slice that a contour crosses
    assert teach.strip._suggested == []
    assert not teach.next.enabled
    assert teach.rounds.last(teach.axis) is None  # teaching there begins anew
    teach.view.setCurrentIndex(0)
    teach.refresh()
    assert list(teach.strip._suggested) == stars
    assert [teach._statuses[n].value for n in (5, 7, 9)] == ["complete", "complete", "draft"]
