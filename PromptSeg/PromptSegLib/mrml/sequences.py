"""Frames of a volume sequence: each as a volume of its own, and segmentations kept frame by frame beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import nodes


@dataclass(frozen=True)
class Frames:
    """A ``proxy`` volume that shows one frame of a ``sequence``, chosen by a ``browser``."""

    browser: Any
    sequence: Any
    proxy: Any

    @property
    def count(self) -> int:
        """How many frames there are."""
        return int(self.sequence.GetNumberOfDataNodes())

    @property
    def current(self) -> int:
        """The frame that the proxy shows."""
        return int(self.browser.GetSelectedItemNumber())

    def volume(self, number: int) -> Any:
        """Frame ``number`` as a hidden volume node in the proxy's scene, under its transform; to be removed after use.

        The browser is left alone: its user may go on looking at frames.
        """
        frame = self.sequence.GetNthDataNode(number)
        scene = self.proxy.GetScene()
        node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.UnRegister(None)
        node.SetName(f"{self.proxy.GetName()}, frame {number}")
        node.SetHideFromEditors(1)
        node.SetSaveWithScene(0)
        node.SetAndObserveImageData(frame.GetImageData())
        node.CopyOrientation(frame)
        scene.AddNode(node)
        node.SetAndObserveTransformNodeID(self.proxy.GetTransformNodeID())
        return node


def frames_of(volume_node: Any) -> Frames | None:
    """The sequence that a volume node shows a frame of; None for a volume on its own."""
    scene = volume_node.GetScene() if volume_node is not None else None
    if scene is None:
        return None
    kind = "vtkMRMLSequenceBrowserNode"
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        browser = scene.GetNthNodeByClass(number, kind)
        sequence = browser.GetSequenceNode(volume_node)
        if sequence is not None and sequence.GetNumberOfDataNodes() > 1:
            return Frames(browser, sequence, volume_node)
    return None


def new_sequence(frames: Frames) -> Any:
    """An empty sequence for segmentations, indexed as the volumes are."""
    scene = frames.proxy.GetScene()
    made = scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{frames.proxy.GetName()} segmentation sequence")
    made.SetIndexName(frames.sequence.GetIndexName())
    made.SetIndexUnit(frames.sequence.GetIndexUnit())
    made.SetIndexType(frames.sequence.GetIndexType())
    return made


def put(sequence: Any, frames: Frames, number: int, segmentation: Any) -> None:
    """Keep a copy of a segmentation as that of frame ``number``."""
    sequence.SetDataNodeAtValue(segmentation, frames.sequence.GetNthIndexValue(number))


def show(sequence: Any, frames: Frames) -> Any:
    """Let the browser show the segmentations with the volumes; gives the node that shows the current one."""
    node = nodes.new_segmentation(frames.proxy)
    one = sequence.GetNthDataNode(max(0, frames.current))
    node.GetSegmentation().DeepCopy(one.GetSegmentation())
    frames.browser.AddSynchronizedSequenceNode(sequence)
    return frames.browser.AddProxyNode(node, sequence, False)
