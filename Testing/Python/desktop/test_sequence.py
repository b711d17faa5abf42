"""A volume sequence, frame by frame, with real sequence nodes and a real worker."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.desktop.sequence import segment_frames
from PromptSegLib.errors import InputError, Stopped
from PromptSegLib.mrml import nodes, sequences

SEGMENTATION = "vtkMRMLSegmentationNode"


@pytest.fixture
def moving(desk, ct, scene, slicer, engine_files):
    """The phantom's CT as a frame of a sequence of two, the second of them turned upside down."""
    desk.logic.library.import_file(engine_files[1])
    for kind in (slicer.vtkMRMLSequenceNode, slicer.vtkMRMLSequenceBrowserNode):
        scene.RegisterNodeClass(kind())  # as Slicer's module does
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
    return ct


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
    result = job.wait(60)
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
    alone = desk.logic.segment(moving, ["liver"], review=False).wait(60)
    assert np.array_equal(mask, nodes.segment_mask(alone.node, alone.segment_ids[0], moving))
    second = kept.GetNthDataNode(1).GetSegmentation()
    assert second.GetSegment(second.GetSegmentIDs()[0]).GetName() == "liver"


def test_stopping_leaves_nothing(desk, moving, scene) -> None:
    volumes = count(scene, "vtkMRMLScalarVolumeNode")
    job = segment_frames(desk.logic, moving, ["liver"])
    job.cancel()
    with pytest.raises(Stopped):
        job.wait(10)
    assert count(scene, "vtkMRMLScalarVolumeNode") == volumes
    assert count(scene, "vtkMRMLSegmentationNode") == 0
    assert count(scene, "vtkMRMLSequenceNode") == 1
