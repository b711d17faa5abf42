"""A volume sequence, frame by frame, with real sequence nodes and a real worker."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.annotations import SliceStatus
from PromptSegLib.desktop.sequence import segment_frames
from PromptSegLib.errors import AnnotationError, InputError, Stopped
from PromptSegLib.mrml import nodes, sequences, slices

SEGMENTATION = "vtkMRMLSegmentationNode"


def put_in_motion(ct, scene, slicer):
    """Make a CT a frame of a sequence of two, the second of them turned upside down; gives what makes Slicer's module
    of sequences follow."""
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "frames")
    sequence.SetIndexName("time")
    sequence.SetDataNodeAtValue(ct, "0")
    voxels = nodes.volume_of(ct)
    other = nodes.add_volume(scene, type(voxels)(voxels.voxels[::-1].copy(), voxels.grid, "other"))
    sequence.SetDataNodeAtValue(other, "1")
    scene.RemoveNode(other)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(ct, sequence, False)
    browser.SetSelectedItemNumber(0)
    return logic


@pytest.fixture
def moving(desk, ct, scene, slicer, engine_files):
    """The phantom's CT as a frame of a sequence."""
    desk.logic.library.import_file(engine_files[1])
    logic = put_in_motion(ct, scene, slicer)
    yield ct
    logic.SetMRMLScene(None)


def count(scene, kind: str) -> int:
    return scene.GetNumberOfNodesByClass(kind)


def test_a_volume_on_its_own_is_no_sequence(desk, ct) -> None:
    assert sequences.frames_of(ct) is None
    assert sequences.frames_of(None) is None
    with pytest.raises(InputError, match="no frame of a sequence"):
        segment_frames(desk.logic, ct, ["liver"])


def test_each_frame_has_its_own_segmentation_and_nothing_else_is_left(desk, moving, scene) -> None:
    volumes = count(scene, "vtkMRMLScalarVolumeNode")
    told, visible = [], []

    def tell(progress) -> None:
        told.append(progress.fraction)
        made = [scene.GetNthNodeByClass(n, SEGMENTATION) for n in range(count(scene, SEGMENTATION))]
        visible.extend(one.GetDisplayVisibility() for one in made)

    job = segment_frames(desk.logic, moving, ["liver"], on_progress=tell)
    result = job.wait()
    assert told == sorted(told)
    assert visible, "there was one of the first frame while the second ran"
    assert not any(visible), "and it did not lie over the frame in view"
    assert result.node.GetDisplayVisibility()
    assert count(scene, "vtkMRMLScalarVolumeNode") == volumes
    assert count(scene, "vtkMRMLSegmentationNode") == 1
    frames = sequences.frames_of(moving)
    (kept,) = [n for n in (frames.browser.GetSequenceNode(result.node),) if n is not None]
    assert kept.GetNumberOfDataNodes() == 2
    (shown,) = result.segment_ids
    mask = nodes.segment_mask(result.node, shown, moving)
    alone = desk.logic.segment(moving, ["liver"], review=False).wait()
    assert np.array_equal(mask, nodes.segment_mask(alone.node, alone.segment_ids[0], moving))
    second = kept.GetNthDataNode(1).GetSegmentation()
    assert second.GetSegment(second.GetSegmentIDs()[0]).GetName() == "liver"


def test_stopping_leaves_nothing(desk, moving, scene) -> None:
    volumes = count(scene, "vtkMRMLScalarVolumeNode")
    job = segment_frames(desk.logic, moving, ["liver"])
    job.cancel()
    with pytest.raises(Stopped):
        job.wait()
    assert count(scene, "vtkMRMLScalarVolumeNode") == volumes
    assert count(scene, "vtkMRMLSegmentationNode") == 0
    assert count(scene, "vtkMRMLSequenceNode") == 1


def look_at(moving, number: int) -> None:
    """Another frame."""
    sequences.frames_of(moving).browser.SetSelectedItemNumber(number)


@pytest.fixture
def taught_frame(desk, moving, phantom, scene):
    """The liver taught in the first frame, and kept in the library."""
    node = nodes.new_segmentation(moving)
    segment_id = desk.draw(node, phantom.labels == 1, phantom.volume, "my liver", (5, 7))
    for index in (5, 7):
        slices.mark(node, segment_id, moving, 0, index, SliceStatus.COMPLETE)
    result = desk.logic.teach(moving, node, segment_id, "my liver", steps=2).wait()
    return node, segment_id, result, desk.logic.accept(result)


def test_what_is_taught_in_a_frame_is_of_that_frame(desk, moving, taught_frame) -> None:
    node, segment_id, _result, text = taught_frame
    again = desk.logic.segment(moving, [text], review=False).wait()
    assert again.taught == ("my liver",), "in the frame that it was taught in, it is the taught result"
    first = nodes.volume_of(moving).voxels.copy()
    look_at(moving, 1)
    assert np.array_equal(nodes.volume_of(moving).voxels, first[::-1])
    assert not sequences.is_of_frame(node, segment_id, moving)
    other = desk.logic.segment(moving, [text], review=False).wait()
    assert other.taught == (), "in another frame it is found anew"
    with pytest.raises(AnnotationError, match="another frame"):
        desk.logic.teach(moving, node, segment_id, "my liver").wait()
    sequences.go_to_frame_of(node, segment_id, moving)
    assert sequences.frames_of(moving).current == 0
    assert sequences.is_of_frame(node, segment_id, moving)


def test_teaching_on_one_frame_and_segmenting_all(desk, moving, taught_frame) -> None:
    node, _segment_id, taught, text = taught_frame
    result = segment_frames(desk.logic, moving, [text]).wait()
    frames = sequences.frames_of(moving)
    kept = frames.browser.GetSequenceNode(result.node)
    masks = []
    for number in (0, 1):
        look_at(moving, number)
        assert [result.node.GetSegmentation().GetSegment(one).GetName() for one in result.segment_ids] == ["my liver"]
        masks.append(nodes.segment_mask(result.node, result.segment_ids[0], moving))
    assert kept.GetNumberOfDataNodes() == 2
    assert np.array_equal(masks[0], nodes.segment_mask(node, taught.result_segment_id, moving)), "as it was taught"
    assert not np.array_equal(*masks)


def test_what_is_corrected_in_a_frame_stays(desk, moving, phantom) -> None:
    result = segment_frames(desk.logic, moving, ["liver"]).wait()
    (shown,) = result.segment_ids
    desk.paint(result.node.GetSegmentation().GetSegment(shown), phantom.labels == 2, phantom.volume, (3, 4))
    mine = nodes.segment_mask(result.node, shown, moving)
    look_at(moving, 1)
    assert not np.array_equal(nodes.segment_mask(result.node, shown, moving), mine)
    look_at(moving, 0)
    assert np.array_equal(nodes.segment_mask(result.node, shown, moving), mine)


def test_the_panel_teaches_in_the_frame_that_is_drawn_in(panel, loaded, paint, slicer, pump) -> None:
    logic = put_in_motion(loaded, slicer.mrmlScene, slicer)
    panel.refresh()
    assert panel.segment.frames.text == "All 2 frames of the sequence"
    panel.tabs.setCurrentIndex(1)
    tab = panel.teach
    tab.name.setText("my liver")
    tab.begin.click()
    paint(5)
    tab._go(5)
    tab.mark_complete()
    assert tab.teach.enabled
    look_at(loaded, 1)
    pump(lambda: not tab.teach.enabled)
    assert "another frame of the sequence" in tab.message.text
    assert not tab._marks.enabled
    assert tab.editor.editor.readOnly
    tab.message._button.click()
    pump(lambda: tab.teach.enabled)
    assert sequences.frames_of(loaded).current == 0
    assert not tab.message.text
    assert not tab.editor.editor.readOnly
    logic.SetMRMLScene(None)
