"""Slices that a user draws in a segmentation: their status, kept in a tag of the segment, and annotations of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import AnnotationError
from ..prompts.terminology import entry_string, find
from ..tune.annotations import IGNORE, Slice, SliceAnnotations, SliceStatus
from .marks import SliceMarks
from .nodes import grid_of, painted, segment_mask, tag

TAG = "PromptSeg.Slices"
"""It goes with the segment: it survives renaming, .seg.nrrd files, scenes, and is undone with the segment's voxels."""


def add_segment(node: Any, name: str) -> str:
    """An empty segment to draw in; gives its id."""
    import slicer

    segment = slicer.vtkSegment()
    name_segment(segment, name)
    contents = node.GetSegmentation()
    segment_id = contents.GenerateUniqueSegmentID("Drawn")
    contents.AddSegment(segment, segment_id)
    return str(segment_id)


def name_segment(segment: Any, name: str) -> None:
    """Name a segment, with the terminology and colour that go with the name where it is known."""
    segment.SetName(name)
    known = find(name)
    if known is not None:
        segment.SetColor(*known.colour)
        segment.SetTag(segment.GetTerminologyEntryTagName(), entry_string(known))


def marks_of(node: Any, segment_id: str, volume_node: Any) -> SliceMarks:
    """The slice marks of a segment. Raises :class:`~PromptSegLib.errors.GridError` if they belong to another volume."""
    segment = _segment(node, segment_id)
    return SliceMarks.from_text(tag(segment, TAG), grid_of(volume_node), segment.GetName())


def set_marks(node: Any, segment_id: str, marks: SliceMarks) -> None:
    """Keep marks with a segment; none take the tag away. Save the state for undo first."""
    segment = _segment(node, segment_id)
    if marks.statuses:
        segment.SetTag(TAG, marks.to_text())
    else:
        segment.RemoveTag(TAG)


def mark(node: Any, segment_id: str, volume_node: Any, axis: int, index: int, status: SliceStatus) -> SliceMarks:
    """Change one slice's status (``axis`` 0 = K, 1 = J, 2 = I), and give all of them.

    Raises :class:`~PromptSegLib.errors.AnnotationError` for a status that contradicts what is drawn.
    """
    marks = marks_of(node, segment_id, volume_node).with_status(axis, index, status)
    if status in (SliceStatus.COMPLETE, SliceStatus.ABSENT):
        _check(status, index, segment_mask(node, segment_id, volume_node).take(index, axis=axis))
    set_marks(node, segment_id, marks)
    return marks


def statuses_of(node: Any, segment_id: str, volume_node: Any, axis: int) -> list[SliceStatus]:
    """The status of every slice along ``axis``; one that is painted on and not marked is a draft."""
    marks = marks_of(node, segment_id, volume_node).of(axis)
    there = set(painted(node, segment_id, volume_node, axis))
    count = grid_of(volume_node).shape[axis]
    unmarked = (SliceStatus.DRAFT if index in there else SliceStatus.UNTOUCHED for index in range(count))
    return [marks.get(index, status) for index, status in enumerate(unmarked)]


def annotations_of(
    node: Any, segment_id: str, volume_node: Any, axis: int, background_id: str = ""
) -> SliceAnnotations:
    """What was drawn in slices along ``axis`` (0 = K, 1 = J, 2 = I).

    ``background_id`` is a segment of strokes that say where the structure is not: they count in drafts. Raises
    :class:`~PromptSegLib.errors.AnnotationError` where marks contradict what is drawn, and as :func:`segment_mask`.
    """
    grid = grid_of(volume_node)
    mask = np.moveaxis(segment_mask(node, segment_id, volume_node), axis, 0)
    strokes = np.zeros_like(mask)
    if background_id:
        strokes = np.moveaxis(segment_mask(node, background_id, volume_node), axis, 0) & ~mask
    marks = marks_of(node, segment_id, volume_node).of(axis)
    slices = {}
    for index, (plane, stroke) in enumerate(zip(mask, strokes, strict=True)):
        painted = bool(plane.any() or stroke.any())
        status = marks.get(index, SliceStatus.DRAFT if painted else SliceStatus.UNTOUCHED)
        if status is SliceStatus.UNTOUCHED:
            continue
        _check(status, index, plane)
        outside = np.where(stroke, 0, IGNORE) if status is SliceStatus.DRAFT else 0
        slices[index] = Slice(status, np.where(plane, 1, outside).astype(np.uint8))
    return SliceAnnotations(axis, grid, slices)


def _check(status: SliceStatus, index: int, plane: np.ndarray) -> None:
    if status is SliceStatus.ABSENT and plane.any():
        raise AnnotationError(
            f"Slice {index} is marked as absent, and something is drawn in it", "erase it or mark the slice as complete"
        )
    if status is SliceStatus.COMPLETE and not plane.any():
        raise AnnotationError(
            f"Slice {index} is marked as complete, and nothing is drawn in it", "draw in it or mark it as absent"
        )


def _segment(node: Any, segment_id: str) -> Any:
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise AnnotationError(f"{node.GetName()} has no such segment", "choose the segment that you draw")
    return segment
