"""Review: how good each structure is, where to look, accept or flag, and a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import PromptSegError
from ...mrml.decisions import ACCEPTED, FLAGGED, decide, decision_of
from ..logic import Logic
from ..looking import keep_looks, now, reviewer, settle
from ..panel_state import PanelState
from ..pictures import PicturePlace
from ..reporting import write_report
from ..structure_names import name_of
from . import texts
from .gallery_box import GalleryBox
from .message import Message
from .overlay_row import OverlayRow
from .panel_room import LEAST
from .review_table import ReviewTable
from .running import Running
from .view_watch import SideBySide, ViewWatch
from .volume_box import VolumeBox
from .widgets import beside, button, text_label

KEYS = (("Y", ACCEPTED), ("F", FLAGGED))


class ReviewTab:
    """Looks at the chosen segmentation; ``before()`` shows the round before the last one of teaching, and back."""

    def __init__(
        self, logic: Logic, state: PanelState, volumes: VolumeBox, watch: ViewWatch, before: Callable[[], str]
    ) -> None:
        self._logic, self._state, self._volumes, self._watch = logic, state, volumes, watch
        self.rows: list[dict[str, Any]] = []
        self._axis = 0
        self._entered = self.writing = False
        self._keys: list[Any] = []
        self.widget = qt.QWidget()
        self.message = Message()
        self.running = Running(self.message, lambda: "", lambda running: self.refresh())
        self.reference = slicer.qMRMLNodeComboBox()
        self.reference.nodeTypes = ["vtkMRMLSegmentationNode"]
        self.reference.noneEnabled = True
        self.reference.addEnabled, self.reference.removeEnabled = False, False
        self.reference.noneDisplay = _("No reference")
        self.reference.setToolTip(
            _("Any other segmentation to compare with: an expert's, another program's, an older one")
        )
        self.reference.setAccessibleName(_("Reference segmentation"))
        self.reference.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._compared())
        self.check = button(_("Review"), "", self.begin)
        self.structures = ReviewTable(self._chosen)
        self.table = self.structures.table
        self.slices = GalleryBox(logic, self._go, self._keep)
        self.gallery = self.slices.gallery
        self.overlay = OverlayRow(
            logic, lambda: (self._volumes.volume, self._volumes.segmentation, self.reference.currentNode()),
            lambda problem: self.message.warn(problem), self.gallery.keep_in_sight,
        )  # fmt: skip
        self.accept = button(_("Accept"), "", lambda: self.decide(ACCEPTED))
        self.flag = button(_("Flag"), "", lambda: self.decide(FLAGGED))
        self.side = button(
            _("Side by side"), _("The same slice twice, with and without the segmentation; again to end"), self._beside
        )
        self._pair = SideBySide()
        self.report = button(_("Report ..."), _("Save as a page (.html) or a table (.csv)"), self._save)
        self.before = button(
            _("Before / After"), _("Show the round of teaching before the last one, and back"),
            lambda: self.message.tell(before()),
        )  # fmt: skip
        self._actions = beside(self.accept, self.flag, self.report)
        self._room = qt.QWidget()  # in the place of the overlay, while there is nothing to lay over
        self._views = beside(self.overlay.row, self._room, self.side, self.before)
        self._views.layout().setStretch(1, 2)
        against = beside(qt.QLabel(_("Compare with:")), self.reference, self.check)
        self._layout = layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(against)
        # What is said comes where the eye is: at the end it would be the first to be out of sight.
        for one in (self.running.widget, self.message.widget):
            layout.addWidget(one)
        self.hint = text_label()
        layout.addWidget(self.hint)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.slices.widget, 2)
        for one in (self._actions, self._views, self.overlay.legend):
            layout.addWidget(one)
        self._filler = qt.QWidget()
        layout.addWidget(self._filler, 1)

    def fit(self, room: int) -> None:
        """Fewer rows of the table where there is little room; with hardly any, it comes below what is decided."""
        self.structures.room = room
        self.slices.fit(room)
        self._layout.removeWidget(self.table)
        place = self._layout.indexOf(self._views if room == LEAST else self.slices.widget)
        self._layout.insertWidget(place, self.table, 1)
        self._list()

    def enter(self) -> None:
        """The tab is shown."""
        self._entered = True
        if self.reference.mrmlScene() is not slicer.mrmlScene:
            self.reference.setMRMLScene(slicer.mrmlScene)
        self.reference.setCurrentNode(self._state.reference("Reference"))
        if not self._keys:
            parent = slicer.util.mainWindow() or self.widget
            for key, decision in KEYS:
                made = qt.QShortcut(qt.QKeySequence(key), parent)
                made.connect("activated()", lambda decision=decision: self.decide(decision))
                self._keys.append(made)
        for one in self._keys:
            one.setEnabled(True)
        self.restore()

    def exit(self) -> None:
        """Another tab or module is shown."""
        self._entered = False
        for one in self._keys:
            one.setEnabled(False)
        self._pair.end()
        self.overlay.end()
        self.slices.end()  # last: what ends before it changes the layout

    def cleanup(self) -> None:
        """Remove all observers and end what is being made: the panel goes."""
        keys, self._keys = self._keys, []  # they belong to the main window
        for one in keys:
            one.deleteLater()

    def scene_closed(self) -> None:
        """The scene is gone, and all that was said of it."""
        self.message.clear()
        self.rows = []
        self.refresh()

    def forget(self) -> None:
        """The segmentation changed: what was found of it is no longer true."""
        self._state.keep_review([], 0)
        self.rows = []
        self.refresh()

    def restore(self) -> None:
        """Show what the scene remembers of the segmentation that is chosen."""
        self.rows, self._axis = self._state.review
        self.refresh()

    def refresh(self) -> None:
        """Show what was found."""
        if not hasattr(self, "_filler"):
            return
        busy, node = self.running.running, self._volumes.segmentation
        there = node is not None and node.GetSegmentation().GetNumberOfSegments() > 0
        self.check.setText(_("Cancel") if busy else _("Review"))
        can = there and self._volumes.volume is not None
        self.check.setEnabled(busy or can)
        self.check.setToolTip(
            _("Measure all segments and find the slices to look at")
            if can
            else _("Nothing to review: segment or teach something first")
        )
        self.hint.setVisible(not self.rows and not busy)
        self.hint.setText(
            _("Press Review: the slices that need review first are shown as pictures, to accept or to flag by key.")
            if can
            else _("Segment or teach something first. Here you see then which slices need review.")
        )
        self._list()
        if self._entered and not busy:
            self.slices.show(self.rows, self._axis, self._volumes.volume, node, self._reference)
        self.slices.widget.setVisible(bool(self.gallery.places) and bool(self.rows) and not busy)
        self._filler.setVisible(not self.slices.widget.isVisibleTo(self.widget))
        self.overlay.refresh()
        self._say_what()
        self._actions.setVisible(bool(self.rows) and not busy)
        self._views.setVisible(there and not busy)
        self.before.setVisible(bool(self._logic.rounds))
        self._room.setVisible(not self.overlay.row.isVisibleTo(self._views))

    @property
    def _reference(self) -> Any:
        """What the review was compared with, if it was."""
        return self._state.reference("Reference") if any(row.get("score") for row in self.rows) else None

    def begin(self) -> None:
        """Look at all segments."""
        if self.running.running:
            self.running.cancel()
            return
        volume, node, reference = self._volumes.volume, self._volumes.segmentation, self.reference.currentNode()
        self._state.set_reference("Reference", reference)
        axis = max(0, self._watch.place[0])
        self.running.begin(
            lambda **listeners: self._logic.review(volume, node, reference=reference, axis=axis, **listeners),
            lambda found: self._done(found, node),
        )

    def _done(self, found: dict[str, Any], node: Any) -> None:
        if self._volumes.segmentation is not node:
            text = _("{name} was reviewed, and another segmentation was chosen meanwhile: choose it, and press Review.")
            self.message.tell(text.format(name=node.GetName()))
            self.refresh()
            return
        former, same = self.rows, self._axis == int(found["axis"])
        self.rows, self._axis = list(found["structures"]), int(found["axis"])
        if same:
            keep_looks(former, self.rows)
        self._keep()
        self.refresh()
        if self.gallery.places:
            self.slices.begin()
        else:
            self.message.tell(_("No slice stands out: none needs review."))

    def _keep(self) -> None:
        self._state.keep_review(self.rows, self._axis)

    # What is at hand: a slice of the gallery, or else the structure that is chosen in the table

    @property
    def row(self) -> dict[str, Any] | None:
        """The structure that is chosen in the table."""
        number = self.structures.chosen
        return self.rows[number] if 0 <= number < len(self.rows) else None

    def _chosen(self) -> None:
        row = self.row
        if row is not None:
            self.gallery.put_aside(row["structure"])
        self._say_what()

    def _go(self, place: PicturePlace) -> None:
        self.structures.clear_choice()
        self._watch.go_to(self._axis, place.index)
        self._say_what()

    def _say_what(self) -> None:
        """Name what Accept and Flag are about."""
        place, row = self.gallery.current if self.rows else None, self.row
        if place is not None or row is None:
            words = _("Accept slice"), _("Flag slice")
        else:
            words = _("Accept structure"), _("Flag structure")
        for one, word, key in zip((self.accept, self.flag), words, ("Y", "F"), strict=True):
            one.setEnabled(place is not None or row is not None)
            one.setText(word)
            one.setAccessibleName(word)
            if place is not None:
                tip = _("{name}, slice {n}, then go to the next").format(name=name_of(place.structure), n=place.index)
            elif row is not None:
                tip = _("All of {name}").format(name=name_of(row["structure"]))
            else:
                tip = _("Choose a slice, or a structure in the table")
            one.setToolTip(texts.with_key(tip, key))

    def decide(self, decision: str) -> None:
        """Accept or flag what is at hand."""
        row = self.row
        if not self.rows or self.running.running:
            return
        if self.gallery.current is not None:
            place = self.gallery.current
            self.slices.mark(decision)
            segment = self._segment(self.rows[place.row])
            if segment is not None:
                settle(self.rows[place.row], segment)
        elif row is not None:
            segment = self._segment(row)
            if segment is not None:
                decide(segment, "" if decision_of(segment) == decision else decision, reviewer(), now())
        else:
            self.message.tell(_("Choose a slice, or a structure in the table, first."))
            return
        self._list()
        self._say_what()

    def _segment(self, row: dict[str, Any]) -> Any:
        node = self._volumes.segmentation
        return node.GetSegmentation().GetSegment(str(row["segment_id"])) if node is not None else None

    def _list(self) -> None:
        segments = [self._segment(row) for row in self.rows]
        self.structures.show(
            self.rows,
            [decision_of(one) if one is not None else "" for one in segments],
            [one.GetColor() if one is not None else () for one in segments],
        )

    def _compared(self) -> None:
        """Another reference was chosen: what differs from it can be shown, before anything is measured."""
        if self._entered:
            self.overlay.end()

    def _beside(self) -> None:
        if self._pair.on:
            self._pair.end()
        else:
            self._pair.begin(self._volumes.segmentation)

    def _save(self) -> None:
        path = qt.QFileDialog.getSaveFileName(
            self.widget, _("Report"), "review.html", _("Page (*.html);;Table (*.csv)")
        )
        if not path:
            return
        segmentation = self._volumes.segmentation
        work = write_report(
            Path(str(path)),
            self.rows,
            self._axis,
            self._volumes.volume,
            segmentation,
            self._reference,
            _("Review of {name}").format(name=segmentation.GetName()),
        )
        self._set_writing(True)
        self.message.tell(_("Writing the report ..."))
        self._logic.service.steps(work, self._saved, self._not_saved, lambda: self._set_writing(False))

    def _set_writing(self, writing: bool) -> None:
        self.writing = writing
        self.report.setEnabled(not writing)

    def _saved(self, path: Path) -> None:
        self._set_writing(False)
        self.message.tell(_("Saved: {path}.").format(path=path))

    def _not_saved(self, problem: PromptSegError) -> None:
        self._set_writing(False)
        self.message.warn(problem)
