"""How much room Slicer's module panel leaves: where it is little, as with large text, the panel's parts are folded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

ENOUGH, SCARCE = (250, 18), (190, 12)
"""Pixels of what is as large with any letters, and lines of text: with less than the first there is little room, with
less than the second hardly any."""
AMPLE, LITTLE, LEAST = 0, 1, 2


class Room(qt.QWidget):
    """A widget that tells how much of it can be seen at once. ``on_change(room)`` is called with :data:`AMPLE`,
    :data:`LITTLE` or :data:`LEAST` when that changes."""

    def __init__(self) -> None:
        qt.QWidget.__init__(self)
        self.on_change: Callable[[int], None] | None = None
        self.room = AMPLE
        self._later = qt.QTimer()  # not while Qt lays out
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.connect("timeout()", self.look)
        self._bar: Any = None
        self._scrolls = self._scrolled  # one object: what is connected is disconnected

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Qt laid the panel out."""
        if self.on_change is not None:
            self._later.start()

    def _scrolled(self, low: int, high: int) -> None:
        """The panel is higher than what is seen, and one of both changed."""
        self._later.start()

    def look(self) -> None:
        """See how much room there is now."""
        area = self._area
        if area is not None and self._bar is None:
            self._bar = area.verticalScrollBar()
            self._bar.connect("rangeChanged(int,int)", self._scrolls)
        seen = int(area.viewport().height) if area is not None else 0
        now = room_for(seen, int(self.fontMetrics().height()))
        if now != self.room:
            self.room = now
            if self.on_change is not None:
                self.on_change(now)

    def cleanup(self) -> None:
        """The panel goes."""
        self._later.stop()
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.disconnect("rangeChanged(int,int)", self._scrolls)
        self.on_change = None

    @property
    def _area(self) -> Any:
        """What scrolls the panel; None where nothing does."""
        part = self.parentWidget()
        while part is not None:
            if hasattr(part, "viewport"):
                return part
            part = part.parentWidget()
        return None


def room_for(height: int, line: int) -> int:
    """The room that so many pixels are for text of that height."""
    ample, little = (pixels + lines * line for pixels, lines in (ENOUGH, SCARCE))
    if height <= 0 or height >= ample:
        return AMPLE
    return LITTLE if height >= little else LEAST
