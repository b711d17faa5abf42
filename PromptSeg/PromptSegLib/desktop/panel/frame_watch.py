"""What was drawn in one frame of a sequence is of no other: elsewhere nothing is drawn, marked or taught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from ...mrml import sequences
from ..structure_names import name_of
from .editor_box import EditorBox
from .message import Message


class FrameWatch:
    """``elsewhere`` says that another frame is in view than the segment at hand was drawn in."""

    def __init__(self, message: Message, editor: EditorBox) -> None:
        self._message, self._editor = message, editor
        self.elsewhere = False

    def look(self, node: Any, segment_id: str, volume: Any, busy: bool) -> None:
        """Say so where it is, with the way back; the editor is locked meanwhile, if it is not anyway."""
        other = not sequences.is_of_frame(node, segment_id, volume)
        if other:
            name = name_of(str(node.GetSegmentation().GetSegment(segment_id).GetName()))
            self._message.warn(
                _("{name} was drawn in another frame of the sequence.").format(name=name), _("Go to that frame"),
                lambda: sequences.go_to_frame_of(node, segment_id, volume),
            )  # fmt: skip
        if other != self.elsewhere:
            self.elsewhere = other
            if not other:
                self._message.clear()
            if not busy:
                self._editor.lock(other)


def observe_drawing(node: Any, volume: Any, action: Callable[[], Any]) -> list[tuple[Any, int]]:
    """Call when something is drawn in a segmentation, and when another frame is looked at; gives (what is observed,
    tag)."""
    kind, contents = slicer.vtkSegmentation, node.GetSegmentation()
    events = (kind.SourceRepresentationModified, kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified)
    observed = [(contents, contents.AddObserver(event, lambda *_: action())) for event in events]
    frames = sequences.frames_of(volume)
    if frames is not None:
        observed.append((frames.browser, frames.browser.AddObserver("ModifiedEvent", lambda *_: action())))
    return observed
