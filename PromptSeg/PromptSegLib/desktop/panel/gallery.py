"""Pictures of the slices that need review: click one to go there, Right and Left to the next and the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ...mrml.decisions import ACCEPTED, FLAGGED
from ..pictures import PicturePlace
from ..sentences import spoken
from ..structure_names import name_of
from .widgets import as_tip

if TYPE_CHECKING:
    import numpy as np

SIZE = 108
"""Pixels of a picture: three stand beside each other in Slicer's module panel."""
FRAME = 4
"""Pixels of the frame of the one at hand."""
SEEN = "seen"
MARKS = {SEEN: "\u2022", ACCEPTED: "\u2713", FLAGGED: "\u2691"}


def said_of(looked: str) -> str:
    """What a mark means, in words."""
    return {SEEN: _("looked at"), ACCEPTED: _("accepted"), FLAGGED: _("flagged")}.get(looked, _("not looked at"))


def pixmap_of(rgb: np.ndarray) -> Any:
    """A picture (rows, columns, 3) uint8 as Qt's."""
    from ...review.png import png_of

    made = qt.QPixmap()
    made.loadFromData(qt.QByteArray(png_of(rgb)))
    return made


class GalleryGrid:
    """``on_go(place)`` is called when a picture becomes the one at hand."""

    def __init__(self, on_go: Callable[[PicturePlace], None]) -> None:
        self._on_go = on_go
        self.places: list[PicturePlace] = []
        self._pixmaps: dict[tuple[str, int], Any] = {}
        self._anchor = -1
        self.list = self.widget = qt.QListWidget()
        self.list.setViewMode(qt.QListWidget.IconMode)
        self.list.setMovement(qt.QListWidget.Static)
        self.list.setResizeMode(qt.QListWidget.Adjust)
        self.list.setIconSize(qt.QSize(SIZE, SIZE))
        text = 2 * int(self.list.fontMetrics().height()) + 6  # two lines below a picture
        self.list.setGridSize(qt.QSize(SIZE + 10, SIZE + text))
        self.list.setWordWrap(False)
        self.list.setTextElideMode(qt.Qt.ElideRight)
        self.list.setUniformItemSizes(True)
        self.list.setVerticalScrollMode(qt.QAbstractItemView.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        self.list.setMinimumHeight(SIZE + text + 6)
        # As high as there is room for: what it would like to be must not push the buttons below it out of sight.
        self.list.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Ignored)
        self.list.setAccessibleName(_("Slices that need review"))
        self.list.setToolTip(_("Click to go to the slice; Right and Left go to the next one and the one before"))
        self._later = qt.QTimer(self.list)  # and goes with it
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.connect("timeout()", self._scroll)
        self.list.connect("currentRowChanged(int)", self._went)
        self.list.connect("itemClicked(QListWidgetItem*)", lambda item: self._went(int(self.list.currentRow)))
        self._keys = []
        for key, step in (("Right", 1), ("Left", -1)):
            made = qt.QShortcut(qt.QKeySequence(key), self.list)
            made.setContext(qt.Qt.WidgetShortcut)
            made.connect("activated()", lambda step=step: self.step(step))
            self._keys.append(made)
        self._blank = qt.QPixmap(SIZE, SIZE)
        self._blank.fill(qt.QColor(0, 0, 0))

    def show(self, places: Sequence[PicturePlace]) -> None:
        """Show other places; the one at hand stays at hand where it is among them. Pictures that were made are kept."""
        former = self.current
        self.places = list(places)
        self.list.blockSignals(True)
        self.list.clear()
        self._anchor = -1
        for number, place in enumerate(self.places):
            self.list.addItem("")
            self._picture(number, self._pixmaps.get((place.segment_id, place.index), self._blank))
            self._text(number)
            if former is not None and (place.segment_id, place.index) == (former.segment_id, former.index):
                self.list.setCurrentRow(number)
        self.list.blockSignals(False)

    def picture(self, place: PicturePlace, rgb: np.ndarray) -> None:
        """The picture of a place is made."""
        made = self._pixmaps[place.segment_id, place.index] = pixmap_of(rgb)
        number = self._number(place)
        if number >= 0:
            self._picture(number, made)

    def missing(self) -> list[PicturePlace]:
        """The places without a picture."""
        return [one for one in self.places if (one.segment_id, one.index) not in self._pixmaps]

    def forget_pictures(self) -> None:
        """They no longer show what is there; they are seen until others are made."""
        self._pixmaps = {}

    def update(self, place: PicturePlace) -> None:
        """A place was looked at, accepted or flagged."""
        number = self._number(place)
        if number >= 0:
            self.places[number] = place
            self._text(number)

    @property
    def current(self) -> PicturePlace | None:
        """The place at hand."""
        number = int(self.list.currentRow)
        return self.places[number] if 0 <= number < len(self.places) else None

    def choose(self, number: int) -> None:
        """Have a place at hand."""
        self.list.setCurrentRow(number)

    def put_aside(self, structure: str) -> None:
        """Have none at hand; the next one is the first of a structure."""
        self.list.blockSignals(True)
        self.list.clearSelection()
        self.list.setCurrentRow(-1)
        self.list.blockSignals(False)
        number = next((n for n, one in enumerate(self.places) if one.structure == structure), -1)
        if number >= 0:
            self._anchor = number - 1
            self.list.scrollToItem(self.list.item(number))

    def step(self, by: int) -> None:
        """To the next one or the one before; the first and the last stay at hand."""
        if self.places:
            at = int(self.list.currentRow)
            self.list.setCurrentRow(min(len(self.places) - 1, max(0, (at if at >= 0 else self._anchor) + by)))

    def end(self) -> None:
        """It is not looked at any more."""
        self._later.stop()

    def _number(self, place: PicturePlace) -> int:
        known = ((one.segment_id, one.index) for one in self.places)
        return next((n for n, one in enumerate(known) if one == (place.segment_id, place.index)), -1)

    def _picture(self, number: int, pixmap: Any) -> None:
        icon = qt.QIcon(pixmap)
        framed = qt.QPixmap(pixmap)  # not tinted, as Qt would have it: it is looked at
        painter = qt.QPainter(framed)
        colour = self.list.palette.color(qt.QPalette.Highlight)
        end = SIZE - FRAME
        for place in ((0, 0, SIZE, FRAME), (0, end, SIZE, FRAME), (0, 0, FRAME, SIZE), (end, 0, FRAME, SIZE)):
            painter.fillRect(*place, colour)
        painter.end()
        icon.addPixmap(framed, qt.QIcon.Selected)
        self.list.item(number).setIcon(icon)

    def _text(self, number: int) -> None:
        place, item = self.places[number], self.list.item(number)
        mark = MARKS.get(place.looked, "")
        slice_ = _("Slice {n}").format(n=place.index)
        item.setText(f"{slice_} {mark}".rstrip() + f"\n{name_of(place.structure)}")
        tip = _("{name}, slice {n}: {why} ({mark})").format(
            name=name_of(place.structure), n=place.index, why=spoken(place.why), mark=said_of(place.looked)
        )
        item.setToolTip(as_tip(tip))
        item.setData(qt.Qt.AccessibleTextRole, tip)

    def keep_in_sight(self) -> None:
        """The one at hand, where the list becomes lower once what is around it is laid out."""
        self._later.start()

    def _scroll(self) -> None:
        if self.current is not None:
            self.list.scrollToItem(self.list.item(int(self.list.currentRow)))

    def _went(self, number: int) -> None:
        if 0 <= number < len(self.places):
            self.list.scrollToItem(self.list.item(number))
            self._on_go(self.places[number])
