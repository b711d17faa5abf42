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

PLOT, MARGIN = 52, 5
AXIS = 24
"""Pixels beside the plot: Dice. Above it are the numbers of slices, below it what is what, a line each."""
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
        super().__init__(PLOT + 2 * MARGIN, lines=2)
        self._series: dict[int, tuple[list[float], list[tuple[int, float]]]] = {}
        self._latest: tuple[float, float] = (math.nan, math.nan)
        self._over = False
        self.setAccessibleName(_("How teaching goes"))
        self.setToolTip(
            _(
                "Line: loss of the drawn slices. Dots: Dice of a drawn slice that was left out, whose number is above; "
                "the last part learns from all."
            )
        )

    def clear(self) -> None:
        """Forget all losses: another run begins."""
        self._series, self._latest, self._over = {}, (math.nan, math.nan), False
        self.update()

    def end(self) -> None:
        """The run is over: the last numbers are not shown any more."""
        self._over = True
        self.update()

    def add(self, metrics) -> None:
        """Take "loss" and "fused_dice" of one report, and which "slice" is left out: they take turns, a few steps
        each."""
        losses, dice = self._series.setdefault(int(metrics.get("slice", ALL)), ([], []))
        loss, found = (float(metrics.get(k, math.nan)) for k in ("loss", "fused_dice"))
        if math.isfinite(found):
            dice.append((len(losses), found))
        if math.isfinite(loss):
            losses.append(loss)
        known_loss, known_dice = self._latest
        self._latest = loss if math.isfinite(loss) else known_loss, found if math.isfinite(found) else known_dice
        self.update()

    @property
    def steps(self) -> int:
        """How many losses were told."""
        return sum(len(losses) for losses, _dice in self._series.values())

    @property
    def _longest(self) -> int:
        return max((len(losses) for losses, _dice in self._series.values()), default=1) or 1

    @property
    def _seen(self) -> list[tuple[int, int]]:
        """Each part of which something was told and where it begins, that of all slices last: all are equally wide."""
        parts = sorted((part for part, series in self._series.items() if any(series)), key=lambda part: part == ALL)
        return [(n * self._longest, part) for n, part in enumerate(parts)]

    def draw(self, painter) -> None:
        """Paint everything."""
        width, height, head = self.width - 2 * MARGIN - AXIS, PLOT, self.line
        palette = self.palette
        ink, line = palette.color(qt.QPalette.WindowText), palette.color(qt.QPalette.Highlight)
        painter.fillRect(0, 0, self.width, self.height, palette.color(qt.QPalette.Base))
        painter.translate(MARGIN + AXIS, MARGIN + head)
        seen = self._seen
        last = float(self._longest * max(1, len(seen)))
        painter.setPen(faint(ink))
        for _value, y in points([(0, 0.0), (0, 0.5), (0, 1.0)], 0.0, 1.0, last, width, height):
            painter.drawLine(0, y, width, y)
        starts = [round(first / last * (width - 1)) for first, _part in seen]
        for x in starts[1:]:
            painter.drawLine(x, -head, x, height)
        painter.setPen(ink)
        for text, y in (("1", 0.0), ("0", 1.0)):
            painter.drawText(-AXIS, round(y * (height - 1)) + self.line // 3, text)
        free = -AXIS
        for x, (_first, part) in zip(starts, seen, strict=True):
            text = _("all") if part == ALL else str(part)
            if x > free:  # of numbers that would overlap, the first is seen
                painter.drawText(x + 3, -4, text)
                free = x + self.width_of(text) + 8
        highest = max((v for losses, _dice in self._series.values() for v in losses), default=0.0)
        for first, part in seen:
            losses, dots = self._series[part]
            painter.setPen(thick(line))
            found = points([(first + n, v) for n, v in enumerate(losses)], 0.0, highest, last, width, height)
            for (x0, y0), (x1, y1) in pairwise(found):
                painter.drawLine(x0, y0, x1, y1)
            for x, y in points([(first + n, v) for n, v in dots], 0.0, 1.0, last, width, height):
                painter.fillRect(x - 2, y - 2, 5, 5, ink)
        painter.setPen(ink)
        loss, dice = (f"{value:.2f}" if math.isfinite(value) else "-" for value in self._latest)
        text = _("Line: loss {loss}. Dots: Dice {dice} of the slice left out.").format(loss=loss, dice=dice)
        if self._over:
            text = _("Line: loss. Dots: Dice (0 to 1) of each slice left out.")
        self.write(painter, -AXIS, height + self.line, text, self.width - 2 * MARGIN)
