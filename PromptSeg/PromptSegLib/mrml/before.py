"""What a segmentation node was before a result came into it, so that one click brings it back.

Nothing is copied: a result brings label maps of its own, so that those before it need only be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .nodes import LABELMAP, STATUS_TAG, SURFACE, remove


@dataclass(frozen=True)
class _Segment:
    """One segment: the label map that is shown and when it was last changed, and what was there before, if anything."""

    identity: str
    shown: Any
    changed: int
    former: Any
    value: int
    status: str


class Before:
    """Filled by :func:`~PromptSegLib.mrml.nodes.show`; ``made`` says that the node itself is new."""

    def __init__(self, node: Any, made: bool) -> None:
        self.node = node
        self._made = made
        self._segments: list[_Segment] = []

    def keep(self, identity: str, shown: Any, former: Any, value: int, status: str) -> None:
        """A segment shows ``shown`` in place of ``former`` (None for a new segment), which had that label value and
        status."""
        self._segments.append(_Segment(identity, shown, int(shown.GetMTime()), former, value, status))

    def bring_back(self) -> None:
        """Have it as it was. Raises :class:`InputError`, and changes nothing, where a segment was edited since."""
        if self.node.GetScene() is None:
            raise InputError("The segmentation was removed", "choose another one")
        contents = self.node.GetSegmentation()
        there = [one for one in self._segments if contents.GetSegment(one.identity) is not None]
        for one in there:
            segment = contents.GetSegment(one.identity)
            now = segment.GetRepresentation(LABELMAP)
            if now is not one.shown or now.GetMTime() != one.changed:
                raise InputError(f"{segment.GetName()} was changed since", "delete the segments that are not wanted")
        in_3d = contents.ContainsRepresentation(SURFACE)
        were = self.node.StartModify()
        try:
            for one in there:
                if one.former is None:
                    contents.RemoveSegment(one.identity)
                    continue
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
