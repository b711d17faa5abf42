"""Frames of a volume sequence: each as a volume of its own, and segmentations kept frame by frame beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import AnnotationError
from . import nodes

TAG = "PromptSeg.Frame"
"""The segment tag that says in which frame of a sequence was drawn: its value of the sequence's index."""


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

    def value(self, number: int) -> str:
        """The index value of a frame, by which it is known whatever is inserted before it."""
        return str(self.sequence.GetNthIndexValue(number)) if 0 <= number < self.count else ""

    def number(self, value: str) -> int:
        """The frame of an index value; -1 for one that is not there."""
        return next((number for number in range(self.count) if self.value(number) == value), -1)

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


def keep_frame(node: Any, segment_id: str, volume_node: Any) -> None:
    """Keep with a segment that the frame in view is the one that it is drawn in, unless that is known."""
    frames = frames_of(volume_node)
    segment = node.GetSegmentation().GetSegment(segment_id)
    if frames is not None and segment is not None and not nodes.tag(segment, TAG):
        segment.SetTag(TAG, frames.value(frames.current))


def is_of_frame(node: Any, segment_id: str, volume_node: Any, number: int | None = None) -> bool:
    """Whether what is drawn in a segment belongs to a frame (the one in view), or to a volume on its own."""
    frames = frames_of(volume_node)
    segment = node.GetSegmentation().GetSegment(segment_id)
    if frames is None or segment is None:
        return True
    return nodes.tag(segment, TAG) in ("", frames.value(frames.current if number is None else number))


def check_frame(node: Any, segment_id: str, volume_node: Any) -> None:
    """Raise :class:`~PromptSegLib.errors.AnnotationError` where a segment was drawn in another frame than is in
    view."""
    if not is_of_frame(node, segment_id, volume_node):
        segment = node.GetSegmentation().GetSegment(segment_id)
        raise AnnotationError(
            f"{segment.GetName()} was drawn in another frame of the sequence than the one in view",
            "go to that frame, or draw the structure in a new segment",
        )


def go_to_frame_of(node: Any, segment_id: str, volume_node: Any) -> None:
    """Show the frame that a segment was drawn in, if it is there."""
    frames = frames_of(volume_node)
    segment = node.GetSegmentation().GetSegment(segment_id)
    if frames is not None and segment is not None:
        number = frames.number(nodes.tag(segment, TAG))
        if number >= 0:
            frames.browser.SetSelectedItemNumber(number)


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
    were = frames.browser.StartModify()  # or Slicer's module makes a node of its own before it hears of this one
    try:
        frames.browser.AddSynchronizedSequenceNode(sequence)
        shown = frames.browser.AddProxyNode(node, sequence, False)
        frames.browser.SetSaveChanges(sequence, True)  # or what is corrected in a frame is gone when another is shown
    finally:
        frames.browser.EndModify(were)
    return shown
