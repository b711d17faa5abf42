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
    """The status of every slice along ``axis``; one that is painted on and not marked is a draft, unless all that is
    painted there was drawn in marked slices along another axis."""
    marks = marks_of(node, segment_id, volume_node)
    own, there = marks.of(axis), set(painted(node, segment_id, volume_node, axis))
    new = _unmarked(node, segment_id, volume_node, axis, marks)
    count = grid_of(volume_node).shape[axis]
    found = [own.get(index, SliceStatus.DRAFT if index in new else SliceStatus.UNTOUCHED) for index in range(count)]
    return [
        SliceStatus.UNTOUCHED if status is SliceStatus.DRAFT and index not in there else status
        for index, status in enumerate(found)
    ]


def keep_drafts(node: Any, segment_id: str, volume_node: Any, axis: int) -> None:
    """Mark as drafts along ``axis`` what is painted and marked nowhere: before another axis is looked at, across whose
    slices it lies. Changes nothing where there is nothing to mark."""
    marks = marks_of(node, segment_id, volume_node)
    new = _unmarked(node, segment_id, volume_node, axis, marks)
    if new:
        for index in new:
            marks = marks.with_status(axis, index, SliceStatus.DRAFT)
        set_marks(node, segment_id, marks)


def drawn_along(node: Any, segment_id: str, volume_node: Any, axis: int) -> int:
    """The axis whose slice was drawn in, of what is painted and marked nowhere: ``axis``, unless it is one slice along
    another and several along this."""
    marks = marks_of(node, segment_id, volume_node)
    if len(_unmarked(node, segment_id, volume_node, axis, marks)) > 1:
        for other in range(3):
            if other != axis and len(_unmarked(node, segment_id, volume_node, other, marks)) == 1:
                return other
    return axis


def _unmarked(node: Any, segment_id: str, volume_node: Any, axis: int, marks: SliceMarks) -> list[int]:
    """The slices along ``axis`` that have no mark, and paint that is in no marked slice along another axis."""
    other = [(along, index) for along, index in marks.statuses if along != axis]
    own = marks.of(axis)
    return [index for index in painted(node, segment_id, volume_node, axis, other) if index not in own]


def annotations_of(
    node: Any, segment_id: str, volume_node: Any, axis: int, background_id: str = ""
) -> SliceAnnotations:
    """What was drawn in slices along ``axis`` (0 = K, 1 = J, 2 = I).

    ``background_id`` is a segment of strokes that say where the structure is not: they count in drafts. Raises
    :class:`~PromptSegLib.errors.AnnotationError` where marks contradict what is drawn, and as :func:`segment_mask`.
    """
    grid = grid_of(volume_node)
    mask = np.moveaxis(segment_mask(node, segment_id, volume_node), axis, 0)
    strokes = None
    if background_id:
        strokes = np.moveaxis(segment_mask(node, background_id, volume_node), axis, 0) & ~mask
    marks = marks_of(node, segment_id, volume_node)
    own, new = marks.of(axis), set(_unmarked(node, segment_id, volume_node, axis, marks))
    if strokes is not None:
        new |= {int(index) for index in np.flatnonzero(strokes.any(axis=(1, 2)))}
    slices = {}
    for index in sorted({*own, *new}):
        plane = mask[index]
        status = own.get(index, SliceStatus.DRAFT)
        if status is SliceStatus.DRAFT and not plane.any() and (strokes is None or not strokes[index].any()):
            continue  # it was erased since
        _check(status, index, plane)
        outside = IGNORE if status is SliceStatus.DRAFT else 0
        values = np.full(plane.shape, outside, np.uint8)
        if strokes is not None:
            values[strokes[index]] = 0
        values[plane] = 1
        slices[index] = Slice(status, values)
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
