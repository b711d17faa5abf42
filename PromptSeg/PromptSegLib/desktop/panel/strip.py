"""The slice strip: one cell for each slice of a volume, which shows what is drawn there and goes there when clicked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import qt
from slicer.i18n import tr as _

from ...annotations import SliceStatus
from .painted import Painted, faint, thick

HEIGHT, TOP = 31, 13
"""Pixels without the numbers below, and of the stars above."""
APART = 8
"""Pixels between two numbers, at least."""
FAR = 1_000_000
MIN_WIDTH = 7
"""Pixels that hatching and a cross need to be told apart."""
_PRIORITY = (SliceStatus.COMPLETE, SliceStatus.ABSENT, SliceStatus.DRAFT, SliceStatus.UNTOUCHED)


def cells(count: int, width: int) -> list[tuple[int, int]]:
    """(left, right) in pixels of each slice's cell, side by side over ``width``; several slices may share a pixel."""
    return [
        (index * width // count, max(index * width // count + 1, (index + 1) * width // count))
        for index in range(count)
    ]


def slice_at(x: int, count: int, width: int) -> int:
    """The slice whose cell is at ``x``."""
    return min(count - 1, max(0, ((x + 1) * count - 1) // max(1, width))) if count else -1


def words(status: SliceStatus) -> str:
    """What a status means, for tool tips."""
    return {
        SliceStatus.UNTOUCHED: _("not drawn"),
        SliceStatus.DRAFT: _("draft: only what is painted counts"),
        SliceStatus.COMPLETE: _("complete: what is not painted is not the structure"),
        SliceStatus.ABSENT: _("absent: the structure is not in this slice"),
    }[status]


class SliceStrip(Painted):
    """``on_click(index)`` is called for a slice that was clicked.

    States differ without colour: untouched cells are empty, drafts hatched, complete ones filled, absent ones crossed.
    """

    def __init__(self, on_click: Callable[[int], None]) -> None:
        super().__init__(HEIGHT, lines=1)
        self._on_click = on_click
        self._statuses: list[SliceStatus] = []
        self._current = -1
        self._suggested: list[int] = []
        self._changed: set[int] = set()
        self.setMouseTracking(True)
        self.setFocusPolicy(qt.Qt.StrongFocus)
        self._keys = [self._key(*one) for one in (("Left", -1), ("Right", 1), ("Home", -FAR), ("End", FAR))]
        self.setAccessibleName(_("Slices and what is drawn in them"))

    def _key(self, name: str, by: int):
        """A key that works while the strip has the focus."""
        made = qt.QShortcut(qt.QKeySequence(name), self)
        made.setContext(qt.Qt.WidgetShortcut)
        made.connect("activated()", lambda: self.step(by))
        return made

    def show_statuses(self, statuses: Sequence[SliceStatus], changed: Iterable[int] = ()) -> None:
        """One status for each slice; ``changed`` were edited since the last round."""
        self._statuses, self._changed = list(statuses), set(changed)
        self.update()

    def show_current(self, index: int) -> None:
        """The slice in view; one outside of the volume is none."""
        if index != self._current:
            self._current = index
            self.update()

    def show_suggested(self, indices: Sequence[int]) -> None:
        """Slices to draw next, the first of them most."""
        self._suggested = list(indices)
        self.update()

    def tip(self, index: int) -> str:
        """What is to be said about a slice."""
        if not 0 <= index < len(self._statuses):
            return ""
        parts = [_("Slice {n}: {status}").format(n=index, status=words(self._statuses[index]))]
        if index in self._suggested:
            parts.append(_("suggested next"))
        if index in self._changed:
            parts.append(_("changed since the last round"))
        return ", ".join(parts)

    def mousePressEvent(self, event) -> None:  # noqa: N802
        """Go to the slice."""
        index = slice_at(event.pos().x(), len(self._statuses), self.width)
        if index >= 0:
            self._on_click(index)

    def step(self, by: int) -> None:
        """Go so many slices on, and no further than to the ends."""
        if self._statuses:
            self._on_click(min(len(self._statuses) - 1, max(0, self._current + by)))

    def mouseMoveEvent(self, event) -> None:  # noqa: N802
        """Say what is below the pointer."""
        self.setToolTip(self.tip(slice_at(event.pos().x(), len(self._statuses), self.width)))

    def draw(self, painter) -> None:
        """Paint everything."""
        width, height = self.width, HEIGHT - TOP
        palette = self.palette
        ink, base = palette.color(qt.QPalette.WindowText), palette.color(qt.QPalette.Base)
        fill, quiet = palette.color(qt.QPalette.Highlight), faint(ink)
        painter.fillRect(0, TOP, width, height, base)
        boxes = cells(len(self._statuses), width) if self._statuses else []
        # Where several slices share a pixel, what is rarest must not be hidden: it is painted last.
        for wanted in reversed(_PRIORITY):
            for index, (left, right) in enumerate(boxes):
                if self._statuses[index] is wanted and wanted is not SliceStatus.UNTOUCHED:
                    side = max(right - left, MIN_WIDTH)
                    start = min(max(0, (left + right) // 2 - side // 2), max(0, width - side))
                    self._cell(painter, wanted, start, side, height, ink, fill)
        if boxes and boxes[0][1] - boxes[0][0] >= 5:
            painter.setPen(quiet)
            for left, _right in boxes[1:]:
                painter.drawLine(left, TOP, left, TOP + height - 1)
        painter.setPen(quiet)
        painter.setBrush(qt.QBrush())
        painter.drawRect(0, TOP, width - 1, height - 1)
        painter.setPen(ink)
        for index in self._changed:
            if index < len(boxes):
                middle = sum(boxes[index]) // 2
                painter.fillRect(middle - 1, TOP + height - 4, 3, 3, ink)
        for place, index in enumerate(self._suggested):
            if index < len(boxes):
                self._star(painter, sum(boxes[index]) // 2, fill if place == 0 else quiet)
        painter.setPen(ink)
        self._numbers(painter, boxes, width)
        if 0 <= self._current < len(boxes):
            middle = sum(boxes[self._current]) // 2
            painter.setPen(thick(ink))
            painter.drawLine(middle, TOP - 4, middle, TOP - 1)  # above the cell, and not over what is drawn in it
            for step in range(6):  # a triangle below
                painter.drawLine(middle - step, TOP + height + 2 + step, middle + step, TOP + height + 2 + step)

    def _numbers(self, painter, boxes, width: int) -> None:
        """The number of the slice in view beside its mark, those of the first and the last where there is room."""
        taken: list[tuple[int, int]] = []
        there = 0 <= self._current < len(boxes)
        places = [self._current] if there else []
        for index in [*places, 0, len(boxes) - 1] if boxes else ():
            text, middle = str(index), sum(boxes[index]) // 2
            side = self.width_of(text)
            if index == self._current:  # right of its triangle, or left of it at the end
                left = middle + 8 if middle + 8 + side <= width else middle - 8 - side
            else:
                left = min(max(0, middle - side // 2), width - side)
            if all(left >= right + APART or left + side + APART <= start for start, right in taken):
                painter.drawText(left, self.height - 4, text)
                # The mark itself is kept free too.
                taken.append((min(left, middle - 8), max(left + side, middle + 8)) if taken == [] and there
                             else (left, left + side))  # fmt: skip

    @staticmethod
    def _cell(painter, status, left, width, height, ink, fill) -> None:
        if status is SliceStatus.COMPLETE:
            painter.fillRect(left, TOP, width, height, fill)
        elif status is SliceStatus.DRAFT:
            painter.fillRect(left, TOP, width, height, qt.QBrush(fill, qt.Qt.BDiagPattern))
            painter.fillRect(left, TOP + height - 3, width, 3, fill)
        else:
            painter.setPen(ink)
            painter.drawLine(left, TOP, left + width - 1, TOP + height - 1)
            painter.drawLine(left, TOP + height - 1, left + width - 1, TOP)

    @staticmethod
    def _star(painter, middle: int, colour) -> None:
        painter.setPen(thick(colour))
        for dx, dy in ((0, 5), (5, 0), (3, 3), (3, -3)):
            painter.drawLine(middle - dx, 6 - dy, middle + dx, 6 + dy)
