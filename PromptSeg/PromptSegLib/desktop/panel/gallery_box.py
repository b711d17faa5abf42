"""The gallery with its order, how much of it was looked at, and why the slice at hand needs review."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ...errors import PromptSegError
from ...mrml.nodes import LABELMAP
from ..logic import Logic
from ..looking import SEEN, count, look
from ..pictures import PicturePlace, draw, places_of, window_of
from ..sentences import spoken
from ..structure_names import name_of
from .gallery import SIZE, GalleryGrid
from .panel_room import AMPLE, LEAST
from .widgets import SCROLL_BAR, as_tip, beside, make_room, text_label

SETTLE_MS = 300
"""Pictures are made anew so long after the last change of the window."""


class GalleryBox:
    """``on_go(place)`` is called when a slice comes to hand, ``on_change()`` when what was looked at is to be kept."""

    def __init__(self, logic: Logic, on_go: Callable[[PicturePlace], None], on_change: Callable[[], None]) -> None:
        self._logic, self._on_go, self._on_change = logic, on_go, on_change
        self._rows: list[dict[str, Any]] = []
        self._nodes: tuple[Any, Any, Any] = (None, None, None)
        self._axis, self._room = 0, AMPLE
        self._work: Any = None
        self._shown: Any = None
        self._watched: tuple[Any, int] | None = None
        self.gallery = GalleryGrid(self._went)
        self.order = qt.QComboBox()
        self.order.addItems([_("By risk"), _("By structure")])
        self.order.setAccessibleName(_("Order of the slices"))
        self.order.setToolTip(_("Which slices come first: those in which most may be wrong, or structure by structure"))
        self.order.connect("activated(int)", lambda number: self._list())
        self.counted = qt.QLabel()
        self.counted.setTextFormat(qt.Qt.PlainText)
        self.counted.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        self.counted.setAccessibleName(_("Slices that were looked at"))
        self.why = text_label()
        self.why.setAccessibleName(_("Why this slice needs review"))
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(SETTLE_MS)
        self._later.connect("timeout()", self._draw)
        title = qt.QLabel(_("Slices:"))
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self._head = beside(title, self.order, self.counted)
        layout.addWidget(self._head)
        layout.addWidget(self.gallery.widget, 1)
        layout.addWidget(self.why)

    def fit(self, room: int) -> None:
        """Where there is little room, a slice's reason is one line, and its tip has all of it; with hardly any, it
        says how many were looked at, too."""
        self._room = room
        self._head.setVisible(room != LEAST)
        self._say()

    def show(self, rows: list[dict[str, Any]], axis: int, volume: Any, segmentation: Any, reference: Any) -> None:
        """Show the slices of a review's rows, which take up what is looked at; pictures follow, one after the other."""
        self._rows, self._axis, self._nodes = rows, axis, (volume, segmentation, reference)
        self._list()

    def end(self) -> None:
        """No pictures are made any more, until they are shown again."""
        self._later.stop()
        self.gallery.end()
        if self._work is not None:
            self._work.cancel()
            self._work = None
        if self._watched is not None:
            self._watched[0].RemoveObserver(self._watched[1])
            self._watched = None

    def mark(self, looked: str) -> PicturePlace | None:
        """The slice at hand was accepted or flagged: on to the next. Gives the former; None where none is at hand."""
        place = self.gallery.current
        if place is None:
            return None
        self._look(place, looked)
        self.gallery.step(1)
        self.gallery.list.setFocus()
        return place

    def begin(self) -> None:
        """Have the first slice at hand that nobody looked at, and the keys with it."""
        places = self.gallery.places
        first = next((n for n, one in enumerate(places) if not one.looked), 0 if places else -1)
        if first >= 0:
            self.gallery.choose(first)
            self.gallery.list.setFocus()

    @property
    def drawing(self) -> bool:
        """Whether pictures are being made."""
        return self._work is not None

    def _list(self) -> None:
        places = places_of(self._rows, by_structure=int(self.order.currentIndex) == 1)
        if places != self.gallery.places:  # what is shown is laid out once
            self.gallery.show(places)
        self.widget.setVisible(bool(places))
        self._say()
        self._draw()

    def _say(self) -> None:
        done, of = count(self._rows)
        self.counted.setText(_("{n} of {of} looked at").format(n=done, of=of))
        place = self.gallery.current
        reason = "" if place is None else _("{name}, slice {n}: {why}.").format(
            name=name_of(place.structure), n=place.index, why=spoken(place.why)
        )  # fmt: skip
        text = reason or _("Right and Left go through the slices; Y accepts, F flags.")
        width = int(self.widget.width)
        if self._room == LEAST:
            text = f"{self.counted.text} \u00b7 {text}"
        self.why.setToolTip(as_tip(text) if self._room != AMPLE else "")
        if self._room != AMPLE:
            text = str(self.why.fontMetrics().elidedText(text, qt.Qt.ElideRight, width - SCROLL_BAR))
        self.why.setText(text)
        make_room(self.why, width if self._room == AMPLE else 0)
        # Qt takes the pictures for nothing, as they ask for no height of their own.
        self.widget.setMinimumHeight(int(self.widget.minimumSizeHint.height()))

    def _went(self, place: PicturePlace) -> None:
        self._look(place, SEEN)
        self._on_go(place)
        self._say()

    def _look(self, place: PicturePlace, looked: str) -> None:
        self.gallery.update(look(self._rows, place, looked))
        self._on_change()
        self._say()

    def _state(self) -> Any:
        """What the pictures were made of: when it is another, they are made anew."""
        volume, segmentation, reference = self._nodes
        contents = segmentation.GetSegmentation()
        ids = dict.fromkeys(one.segment_id for one in self.gallery.places)
        images = [
            (one, contents.GetSegment(one).GetRepresentation(LABELMAP)) for one in ids if contents.GetSegment(one)
        ]
        changed = tuple((one, image.GetMTime() if image is not None else 0) for one, image in images)
        other = None if reference is None else reference.GetID()
        image = volume.GetImageData()
        return volume.GetID(), image.GetMTime(), window_of(volume), self._axis, other, changed

    def _draw(self) -> None:
        """Make the pictures that are missing, in pieces; nothing where there is nothing to show."""
        volume, segmentation, reference = self._nodes
        if self._work is not None:
            self._work.cancel()
            self._work = None
        there = volume is not None and segmentation is not None and volume.GetImageData() is not None
        if not (self.gallery.places and there and volume.GetScene() is not None):
            return
        self._watch(volume)
        state = self._state()
        if state != self._shown:
            self.gallery.forget_pictures()
            self._shown = state
        missing = self.gallery.missing()
        if missing:
            work = draw(missing, volume, segmentation, self._axis, self.gallery.picture, size=SIZE, reference=reference)
            self._work = self._logic.service.steps(work, self._drawn, self._failed)

    def _drawn(self, _nothing: Any) -> None:
        self._work = None

    def _failed(self, _problem: PromptSegError) -> None:
        self._work = None  # a segment that does not lie on the volume has no pictures; the review itself says so

    def _watch(self, volume: Any) -> None:
        """Follow the window of a volume."""
        import vtk

        display = volume.GetDisplayNode()
        if self._watched is not None and self._watched[0] is display:
            return
        if self._watched is not None:
            self._watched[0].RemoveObserver(self._watched[1])
            self._watched = None
        if display is not None:
            self._watched = (display, display.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._later.start()))
