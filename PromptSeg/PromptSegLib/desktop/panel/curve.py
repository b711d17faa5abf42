"""A small plot of how teaching goes: the loss, and Dice of the slices that were left out, by step.

It has a part for each slice that is left out, with the slice's number above it, and a last one for all slices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import qt
from slicer.i18n import tr as _

from .painted import Painted, faint, thick

HEIGHT, MARGIN = 92, 5
AXIS, HEAD, FOOT = 24, 14, 16
"""Pixels beside, above and below the plot: Dice, slices, what is what."""
ALL = -1


def points(values: Sequence[tuple[float, float]], low: float, high: float, last: float, width: int, height: int):
    """(x, y) in pixels of (step, value) pairs; a greater value lies higher. Values that are not finite are left out."""
    span = (high - low) or 1.0
    return [
        (round(step / max(1.0, last) * (width - 1)), round((1 - (value - low) / span) * (height - 1)))
        for step, value in values
        if math.isfinite(value)
    ]


class Curve(Painted):
    """Cleared when a round begins; :meth:`add` takes what a progress report tells, :meth:`end` comes after the last.

    The last numbers are told only while they change: afterwards, that of the last slice left out would pass for all.
    """

    def __init__(self) -> None:
        super().__init__(HEIGHT)
        self._loss: list[tuple[float, float]] = []
        self._dice: list[tuple[float, float]] = []
        self._parts: list[tuple[int, int]] = []
        self._over = False
        self.setAccessibleName(_("How teaching goes"))
        self.setToolTip(
            _(
                "Line: loss of the drawn slices. Dots: Dice of a drawn slice that was left out, whose number is above; "
                "the last part learns from all."
            )
        )

    def clear(self) -> None:
        """Begin anew."""
        self._loss, self._dice, self._parts, self._over = [], [], [], False
        self.update()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self.update()

    def add(self, metrics) -> None:
        """Take "loss" and "fused_dice" of one report, and which "slice" is left out."""
        number, part = len(self._loss), int(metrics.get("slice", ALL))
        if not self._parts or self._parts[-1][1] != part:
            if self._parts and self._parts[-1][0] == number:
                self._parts.pop()  # nothing was told of it
            self._parts.append((number, part))
        if math.isfinite(float(metrics.get("loss", math.nan))):
            self._loss.append((number, float(metrics["loss"])))
        if "fused_dice" in metrics:
            self._dice.append((number, float(metrics["fused_dice"])))
        self.update()

    def draw(self, painter) -> None:
        """Paint everything."""
        width, height = self.width - 2 * MARGIN - AXIS, HEIGHT - 2 * MARGIN - HEAD - FOOT
        palette = self.palette
        ink, line = palette.color(qt.QPalette.WindowText), palette.color(qt.QPalette.Highlight)
        painter.fillRect(0, 0, self.width, HEIGHT, palette.color(qt.QPalette.Base))
        painter.translate(MARGIN + AXIS, MARGIN + HEAD)
        last = max(1.0, float(len(self._loss)))
        painter.setPen(faint(ink))
        for _value, y in points([(0, 0.0), (0, 0.5), (0, 1.0)], 0.0, 1.0, last, width, height):
            painter.drawLine(0, y, width, y)
        starts = [round(first / last * (width - 1)) for first, _part in self._parts]
        for x in starts[1:]:
            painter.drawLine(x, -HEAD, x, height)
        painter.setPen(ink)
        for text, y in (("1", 0.0), ("0", 1.0)):
            painter.drawText(-AXIS, round(y * (height - 1)) + 5, text)
        free = -AXIS
        for x, (_first, part) in zip(starts, self._parts, strict=True):
            text = _("all") if part == ALL else str(part)
            if x > free:  # of numbers that would overlap, the first is seen
                painter.drawText(x + 3, -4, text)
                free = x + 8 * (len(text) + 1)
        if self._loss:
            found = points(self._loss, 0.0, max(v for _n, v in self._loss), last, width, height)
            painter.setPen(thick(line))
            for (x0, y0), (x1, y1) in pairwise(found):
                painter.drawLine(x0, y0, x1, y1)
        for x, y in points(self._dice, 0.0, 1.0, last, width, height):
            painter.fillRect(x - 2, y - 2, 5, 5, ink)
        painter.setPen(ink)
        dice = f"{self._dice[-1][1]:.2f}" if self._dice and math.isfinite(self._dice[-1][1]) else "-"
        loss = f"{self._loss[-1][1]:.2f}" if self._loss else "-"
        text = _("loss {loss} (line)   Dice of the left-out slice {dice} (dots)").format(loss=loss, dice=dice)
        if self._over:
            text = _("line: loss   dots: Dice (0 to 1) of each left-out slice")
        painter.drawText(-AXIS, height + FOOT, text)
