"""What a segmentation node was before a result came into it, so that one click brings it back.

Nothing is copied: a result brings label maps of its own, so that those before it need only be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .nodes import LABELMAP, STATUS_TAG, SURFACE, Result, remove
from .vtk_images import array_of, image_to_world


@dataclass(frozen=True)
class _Segment:
    """One segment: what is shown (mask, where its box begins, its IJK to RAS), and what was there before, if
    anything."""

    identity: str
    result: Result
    matrix: np.ndarray
    former: Any
    value: int
    status: str


class UndoSnapshot:
    """Filled by :func:`~PromptSegLib.mrml.nodes.show`; ``made`` says that the node itself is new."""

    def __init__(self, node: Any, made: bool) -> None:
        self.node = node
        self._made = made
        self._segments: list[_Segment] = []

    def keep(self, identity: str, image: Any, result: Result, former: Any, value: int, status: str) -> None:
        """A segment shows a result, as ``image``, in place of ``former`` (None for a new segment), which had that label
        value and status."""
        self._segments.append(_Segment(identity, result, image_to_world(image), former, value, status))

    def bring_back(self) -> list[str]:
        """Have it as it was; gives the names of the segments that were edited since, which stay as they are.

        Raises :class:`InputError`, and changes nothing, where all of them were edited.
        """
        if self.node.GetScene() is None:
            raise InputError("The segmentation was removed", "choose another one")
        contents = self.node.GetSegmentation()
        there = [one for one in self._segments if contents.GetSegment(one.identity) is not None]
        edited = [one for one in there if not _is_shown(contents.GetSegment(one.identity), one)]
        names = [str(contents.GetSegment(one.identity).GetName()) for one in edited]
        if there and len(edited) == len(there):
            raise InputError(f"{', '.join(names)}: changed since", "delete the segments that are not wanted")
        in_3d = contents.ContainsRepresentation(SURFACE)
        were = self.node.StartModify()
        try:
            for one in there:
                if one in edited:
                    continue
                if one.former is None:
                    contents.RemoveSegment(one.identity)
                    continue
                contents.SeparateSegmentLabelmap(one.identity)  # Slicer may have put several into one
                segment = contents.GetSegment(one.identity)
                segment.RemoveAllRepresentations(LABELMAP)
                segment.SetLabelValue(one.value)
                segment.AddRepresentation(LABELMAP, one.former)
                if one.status:
                    segment.SetTag(STATUS_TAG, one.status)
                segment.Modified()
            if in_3d and contents.GetNumberOfSegments():
                contents.CreateRepresentation(SURFACE)
        finally:
            self.node.EndModify(were)
        if self._made and not contents.GetNumberOfSegments():
            remove(self.node)
        return names


def _is_shown(segment: Any, one: _Segment) -> bool:
    """Whether a segment still has the voxels of a result. Its label map may have become part of a larger one: Slicer
    keeps segments together that do not overlap, and changes that one when another segment is edited."""
    image = segment.GetRepresentation(LABELMAP)
    if image is None:
        return False
    now = array_of(image) == segment.GetLabelValue()
    change = np.linalg.inv(one.matrix) @ image_to_world(image)
    if np.abs(change[:3, :3] - np.eye(3)).max() > 1e-3:
        return False
    shift = (
        np.round(change[:3, 3]).astype(int)[::-1] + np.array(image.GetExtent()[::2][::-1]) - np.array(one.result.low)
    )
    return _voxels(now, shift) == _voxels(one.result.mask, np.zeros(3, int))


def _voxels(mask: np.ndarray, first: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    """Where the box of what is in a mask begins and ends, and what is in it."""
    if not mask.any():
        return (), b""
    spans = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        spans.append(slice(int(there[0]), int(there[-1]) + 1))
    inside = mask[tuple(spans)]
    begins = (int(span.start + n) for span, n in zip(spans, first, strict=True))
    return (*begins, *inside.shape), np.packbits(inside).tobytes()
