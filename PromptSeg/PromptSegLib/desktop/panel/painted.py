"""What painted widgets share."""

from __future__ import annotations

from typing import Any

import qt


class Painted(qt.QWidget):
    """A widget of a fixed height whose ``draw(painter)`` paints it."""

    def __init__(self, height: int) -> None:
        qt.QWidget.__init__(self)
        self.setMinimumHeight(height)
        self.setMaximumHeight(height)

    def draw(self, painter: Any) -> None:
        """Paint everything."""
        raise NotImplementedError

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        """Qt asks for the picture: :meth:`draw` with a painter."""
        painter = qt.QPainter(self)
        try:
            self.draw(painter)
        finally:
            painter.end()


def thick(colour: Any) -> Any:
    """A pen of two pixels."""
    pen = qt.QPen(colour)
    pen.setWidth(2)
    return pen


def faint(colour: Any) -> Any:
    """The same colour, a third of it: told apart from what is below it in light and dark styles."""
    made = qt.QColor(colour)
    made.setAlpha(90)
    return made
