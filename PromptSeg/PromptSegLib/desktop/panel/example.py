"""Teaching, drawn: the same slices twice, those that one draws above, and what comes of them in all slices below."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from .painted import Painted, thick

DRAWN, ABSENT = (1, 4, 7), 9
"""Which of the slices are drawn, and which one is marked as being without the structure."""
SIZES = (0.0, 0.45, 0.62, 0.76, 0.86, 0.9, 0.82, 0.64, 0.0, 0.0)
"""How large the structure is in each slice, from the first to the last."""
GAP, SIDE, MARK, APART = 3, 36, 14, 4
"""Pixels between slices, of a slice, of a mark below one, and between a line of text and what it is about."""


class Example(Painted):
    """A picture of it, in the colours of the window."""

    def __init__(self) -> None:
        super().__init__(2 * (SIDE + APART) + MARK + 8, lines=2)
        self.setAccessibleName(
            _("Example: the structure is drawn in three of ten slices, and found in all slices between them")
        )

    def draw(self, painter: Any) -> None:
        """Paint everything."""
        palette = self.palette
        ink, fill = palette.color(qt.QPalette.WindowText), palette.color(qt.QPalette.Highlight)
        top = self.line + APART
        side = min(SIDE, (self.width - GAP * (len(SIZES) - 1)) // len(SIZES))
        painter.setRenderHint(qt.QPainter.Antialiasing)
        painter.setPen(ink)
        self.write(painter, 0, self.line - 3, _("You draw three slices, mark one without:"), self.width)
        below = top + SIDE + MARK + 6
        self.write(painter, 0, below + self.line - 3, _("PromptSeg finds it in every slice:"), self.width)
        for number, size in enumerate(SIZES):
            left = number * (side + GAP)
            self._slice(painter, left, top, side, size, fill if number in DRAWN else None)
            self._slice(painter, left, below + top, side, size, fill)
            mark = top + side + 3
            if number in DRAWN:
                painter.fillRect(left + side // 2 - 4, mark, 9, 9, fill)
            elif number == ABSENT:
                painter.setPen(thick(ink))
                painter.drawLine(left + side // 2 - 4, mark, left + side // 2 + 4, mark + 8)
                painter.drawLine(left + side // 2 - 4, mark + 8, left + side // 2 + 4, mark)

    @staticmethod
    def _slice(painter: Any, left: int, top: int, side: int, size: float, contour: Any) -> None:
        """One slice of a body, with a structure in it, and its contour where there is one."""
        painter.fillRect(left, top, side, side, qt.QColor(20, 20, 20))
        painter.setPen(qt.QPen(qt.QColor(0, 0, 0, 0)))
        painter.setBrush(qt.QBrush(qt.QColor(95, 95, 95)))
        painter.drawEllipse(left + 2, top + 5, side - 4, side - 10)
        if not size:
            return
        wide, high = round(size * side * 0.5), round(size * side * 0.42)
        x, y = left + side // 2 - round(0.6 * wide), top + side // 2 - high // 2
        painter.setBrush(qt.QBrush(qt.QColor(160, 160, 160)))
        painter.drawEllipse(x, y, wide, high)
        if contour is not None:
            within = qt.QColor(contour)
            within.setAlpha(120)
            painter.setBrush(qt.QBrush(within))
            painter.setPen(thick(contour))
            painter.drawEllipse(x, y, wide, high)
