"""A small plot of learning from labelled volumes: the loss, and the Dice of held-out volumes, by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import qt
from slicer.i18n import tr as _

from .curve import points
from .painted import Painted, faint, thick

HEIGHT, MARGIN = 92, 5
AXIS, FOOT = 16, 18
"""Pixels beside and below the plot: Dice, what is what."""


class LearningCurve(Painted):
    """Cleared when a run begins; :meth:`add` takes what a progress report tells."""

    def __init__(self) -> None:
        super().__init__(HEIGHT)
        self.losses: list[tuple[float, float]] = []
        self.dice: list[tuple[float, float]] = []
        self.setAccessibleName(_("How learning goes"))
        self.setToolTip(
            _("Line: loss of the volumes that are learned from. Dots: mean Dice of held-out volumes; the best is kept.")
        )

    def clear(self) -> None:
        """Forget the curve: another run begins."""
        self.losses, self.dice = [], []
        self.update()

    def add(self, metrics: Mapping[str, float]) -> None:
        """Take "loss" or "dice" of a "step"; what was told of a later step before, of a run that is gone on with, is
        over."""
        step = float(metrics.get("step", math.nan))
        for name, values in (("loss", self.losses), ("dice", self.dice)):
            value = float(metrics.get(name, math.nan))
            if math.isfinite(step) and math.isfinite(value):
                values[:] = [one for one in values if one[0] < step]
                values.append((step, value))
        self.update()

    def draw(self, painter) -> None:
        """Paint everything."""
        width, height = self.width - 2 * MARGIN - AXIS, HEIGHT - 2 * MARGIN - FOOT
        palette = self.palette
        ink, line = palette.color(qt.QPalette.WindowText), palette.color(qt.QPalette.Highlight)
        painter.fillRect(0, 0, self.width, HEIGHT, palette.color(qt.QPalette.Base))
        painter.translate(MARGIN + AXIS, MARGIN)
        last = max((step for step, _value in (*self.losses, *self.dice)), default=1.0)
        painter.setPen(faint(ink))
        for _x, y in points([(0, 0.0), (0, 0.5), (0, 1.0)], 0.0, 1.0, last, width, height):
            painter.drawLine(0, y, width, y)
        painter.setPen(ink)
        for text, y in (("1", 10), ("0", height)):
            painter.drawText(-AXIS, y, text)
        highest = max((value for _step, value in self.losses), default=0.0)
        painter.setPen(thick(line))
        for (x0, y0), (x1, y1) in pairwise(points(self.losses, 0.0, highest, last, width, height)):
            painter.drawLine(x0, y0, x1, y1)
        for x, y in points(self.dice, 0.0, 1.0, last, width, height):
            painter.fillRect(x - 2, y - 2, 5, 5, ink)
        best = max((value for _step, value in self.dice), default=math.nan)
        now, best_dice = (f"{v:.2f}" if math.isfinite(v) else "-" for v in (self._latest, best))
        painter.setPen(ink)
        text = _("loss {loss} (line)   Dice of held-out volumes (dots), best {dice}").format(loss=now, dice=best_dice)
        painter.drawText(-AXIS, height + FOOT - 2, text)

    @property
    def _latest(self) -> float:
        return self.losses[-1][1] if self.losses else math.nan
