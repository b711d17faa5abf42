"""The segment that is drawn in: which one it is, what it is called, and when it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from ...anatomy.structure import Structure
from ...anatomy.terminology import find
from ...mrml import nodes, slices
from ...mrml.paint import Paint
from ..panel_state import PanelState
from .frame_watch import observe_drawing
from .volume_box import VolumeBox

LATER_MS = 150
"""Strokes come in bursts of events: who follows them does so a little later."""


class DrawnSegment:
    """``on_change()`` is called a little after something was drawn, while :meth:`watch` holds."""

    def __init__(self, state: PanelState, volumes: VolumeBox, on_change: Callable[[], None]) -> None:
        self._state, self._volumes = state, volumes
        self._observed: list[tuple[Any, int]] = []
        self.later = qt.QTimer()
        self.later.setSingleShot(True)
        self.later.setInterval(LATER_MS)
        self.later.connect("timeout()", on_change)

    @property
    def id(self) -> str:
        """Empty before there is one, and for a segment that shows a result."""
        segment = self.segment
        return self.chosen_id if segment is not None and not nodes.tag(segment, nodes.RESULT_TAG) else ""

    @property
    def chosen_id(self) -> str:
        """The segment that is chosen in the editor, whatever it is."""
        return self._state.text("Segment")

    def choose(self, identity: str) -> None:
        """Have another one at hand."""
        self._state.set_text("Segment", identity)

    @property
    def segment(self) -> Any:
        """The ``vtkSegment`` that is chosen; None if there is none."""
        node, identity = self._volumes.segmentation, self.chosen_id
        return node.GetSegmentation().GetSegment(identity) if node is not None and identity else None

    @property
    def name(self) -> str:
        """Empty where :attr:`id` is."""
        return str(self.segment.GetName()) if self.id else ""

    @property
    def structure(self) -> Structure:
        """What its name stands for, or a structure of that name and the segment's colour."""
        name = str(self.segment.GetName())
        return find(name) or Structure(name, None, tuple(self.segment.GetColor()))

    def keep_elsewhere(self, axis: int, paint: Paint) -> bool:
        """What was drawn in another view is a draft of that view's slice, and not one of each slice that it crosses.
        Says whether there was any."""
        where = self._volumes.segmentation, self.id, self._volumes.volume
        along = slices.drawn_along(*where, axis, paint)
        if along != axis:
            slices.keep_drafts(*where, along)
        return along != axis

    def watch(self) -> None:
        """Follow what is drawn in the segmentation at hand."""
        self.unwatch()
        if self._volumes.segmentation is not None:
            self._observed = observe_drawing(self._volumes.segmentation, self._volumes.volume, self.later.start)

    def unwatch(self) -> None:
        """Follow nothing any more."""
        self.later.stop()
        for what, tag in self._observed:
            what.RemoveObserver(tag)
        self._observed = []
