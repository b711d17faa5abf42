"""What painted widgets share."""

from __future__ import annotations

from typing import Any

import qt


class Painted(qt.QWidget):
    """A widget of a fixed height whose ``draw(painter)`` paints it."""

    def __init__(self, height: int, lines: int = 0) -> None:
        """``height`` in pixels, and room for so many lines of text below or above what is painted."""
        qt.QWidget.__init__(self)
        height += lines * self.line
        self.setMinimumHeight(height)
        self.setMaximumHeight(height)

    @property
    def line(self) -> int:
        """Pixels of a line of text, which are more where the screen's text is larger."""
        return int(self.fontMetrics().height())

    def width_of(self, text: str) -> int:
        """Pixels of a text."""
        box = self.fontMetrics().boundingRect(text)
        return int(box.x()) + int(box.width()) + 2

    def write(self, painter: Any, x: int, y: int, text: str, room: int) -> None:
        """A text from ``x`` on, above the line ``y``; what ``room`` pixels cannot hold is left out, and dots say so."""
        painter.drawText(x, y, self.fontMetrics().elidedText(text, qt.Qt.ElideRight, room))

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
