"""The volume at hand: taken up when it is loaded, and what is said of one that cannot be drawn in."""

from __future__ import annotations

import pytest

from PromptSegLib.mrml import nodes


def test_a_volume_that_is_loaded_while_the_module_is_open_is_taken_up(module, desk, phantom, pump, slicer) -> None:
    module.enter()
    ct = desk.add_ct(slicer.mrmlScene, phantom.volume)
    pump(lambda: module.panel.volumes.volume is ct)
    assert "12, 2.50 x 2.50 x 4.00 mm" in module.panel.volumes._line.text
    desk.add_ct(slicer.mrmlScene, phantom.volume)
    for _ in range(5):
        slicer.app.processEvents()
    assert module.panel.volumes.volume is ct, "what is chosen stays"


def test_a_bent_volume_is_not_told_to_turn_the_view(panel, loaded, drawing, bend, slicer) -> None:
    transform = bend(slicer.mrmlScene)
    for node in (loaded, panel.volumes.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    drawing.mark_complete()
    assert "harden the transform" in drawing.message.text
    panel.volumes.refresh()
    assert "bent by a transform" in panel.volumes._line.text


@pytest.fixture
def other(loaded, desk, kit, slicer):
    """Another CT on the same grid."""
    ct = desk.add_ct(slicer.mrmlScene, kit.make_phantom(6, (12, 32, 32)).volume)
    ct.SetName("another")
    return ct


def test_a_volume_brings_its_own_segmentation(panel, loaded, other, slicer) -> None:
    """What is computed for one must not replace what was found in the other, unseen."""
    box = panel.volumes
    own = nodes.new_segmentation(loaded)
    box.choose_segmentation(own)
    box.choose_volume(other)
    assert box.segmentation is None
    second = nodes.new_segmentation(other)
    box.choose_segmentation(second)
    for volume, segmentation in ((loaded, own), (other, second)):
        box.choose_volume(volume)
        assert box.segmentation is segmentation
        assert box.segmentations.currentNode() is segmentation
    free = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "it says no volume")
    box.choose_segmentation(free)
    box.choose_volume(loaded)
    assert box.segmentation is free
    box.choose_segmentation(own)
    box.choose_volume(other)
    box.choose_segmentation(own)  # who wants it so, has it
    assert box.segmentation is own


def test_a_volume_that_is_removed_leaves_its_segmentation_to_no_other(
    panel, loaded, desk, phantom, pump, slicer
) -> None:
    box = panel.volumes
    own = nodes.new_segmentation(loaded)
    box.choose_segmentation(own)
    slicer.mrmlScene.RemoveNode(loaded)
    pump(lambda: box.volume is None)
    assert box.segmentation is None
    ct = desk.add_ct(slicer.mrmlScene, phantom.volume)
    pump(lambda: box.volume is ct)
    assert box.segmentation is None
    box.choose_segmentation(own)
    assert box.segmentation is own


def test_a_result_lies_where_it_was_asked_for(panel, loaded, other, own, pump, window) -> None:
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    panel.volumes.choose_volume(other)
    pump(lambda: not panel.segment.running.running)
    assert panel.volumes.volume is other
    assert panel.volumes.segmentation is None
    assert "It lies in phantom_5 segmentation." in panel.segment.message.text
    assert not panel.segment.correct.visible
    view = window.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert view.GetBackgroundVolumeID() == other.GetID()
    panel.volumes.choose_volume(loaded)
    assert panel.volumes.segmentation.GetSegmentation().GetNumberOfSegments() == 1


def test_a_round_and_a_review_of_what_is_no_longer_at_hand(
    panel, loaded, other, drawing, own, pump, monkeypatch
) -> None:
    original = panel.logic.teach
    monkeypatch.setattr(panel.logic, "teach", lambda *a, **k: original(*a, steps=2, **k))
    first = panel.volumes.segmentation
    drawing.teach.click()
    panel.volumes.choose_volume(other)
    pump(lambda: not drawing.running.running)
    assert f"The result lies in {first.GetName()}" in drawing.message.text
    assert drawing.rounds.result is None
    panel.volumes.choose_volume(loaded)
    assert drawing.rounds.result is not None
    assert drawing.rounds.accept.visible
    panel.tabs.setCurrentIndex(2)
    panel.review.check.click()
    panel.volumes.choose_volume(other)
    pump(lambda: not panel.review.running.running)
    assert panel.review.rows == []
    assert "was reviewed, and another segmentation was chosen" in panel.review.message.text
