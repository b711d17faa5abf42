"""Review: how good each structure is, where to look, accept or flag, and a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...atomic import replacing
from ...errors import OutputError, PromptSegError
from ...mrml.decisions import ACCEPTED, FLAGGED, decide, decision_of
from ..logic import Logic
from ..panel_state import State
from . import texts
from .message import Message
from .running import Running
from .view_watch import SideBySide, ViewWatch
from .volume_box import VolumeBox
from .widgets import as_tip, beside, button

ROW, MOST_ROWS = 24, 8
"""Pixels of a row of the table, about, and rows that are seen without scrolling it."""
LOW = 0.7
"""A structure with less Dice than this asks for a look."""


def status_of(row: dict[str, Any], decision: str) -> str:
    """What the last column says: the decision, else whether something asks for a look."""
    if decision:
        return _("accepted") if decision == ACCEPTED else _("look again")
    dice = (row.get("score") or {}).get("dice")
    known = dice if dice is not None else row.get("estimate")
    if not row["volume_ml"]:
        return _("nothing found")
    return _("look at it") if row["remarks"] or (known is not None and known < LOW) else ""


def quality_of(row: dict[str, Any]) -> str:
    """Dice and surface Dice beside a reference, else the Dice that is expected."""
    score = row.get("score")
    if score and score.get("dice") is not None:
        return _("{dice:.2f} (surface {nsd:.2f})").format(dice=score["dice"], nsd=score.get("nsd_2mm") or 0.0)
    return _("{dice:.2f} expected").format(dice=row["estimate"]) if row.get("estimate") is not None else ""


class ReviewTab:
    """Looks at the chosen segmentation; ``before()`` shows the round before the last one of teaching, and back."""

    def __init__(
        self, logic: Logic, state: State, volumes: VolumeBox, watch: ViewWatch, before: Callable[[], str]
    ) -> None:
        self._logic, self._state, self._volumes, self._watch = logic, state, volumes, watch
        self.rows: list[dict[str, Any]] = []
        self._axis = 0
        self._places: list[tuple[str, int]] = []
        self.widget = qt.QWidget()
        self.message = Message()
        self.running = Running(self.message, lambda: "", lambda running: self.refresh())
        self.reference = slicer.qMRMLNodeComboBox()
        self.reference.nodeTypes = ["vtkMRMLSegmentationNode"]
        self.reference.noneEnabled = True
        self.reference.addEnabled, self.reference.removeEnabled = False, False
        self.reference.noneDisplay = _("No reference")
        self.reference.setToolTip(_("A segmentation to compare with, where there is one"))
        self.reference.setAccessibleName(_("Reference segmentation"))
        self.check = button(_("Review"), _("Measure all segments and find the slices to look at"), self.begin)
        self.table = qt.QTableWidget()
        self.table.setColumnCount(4)
        self.table.setHorizontalHeaderLabels([_("Structure"), _("Volume (ml)"), _("Dice"), _("Status")])
        self.table.verticalHeader().setVisible(False)
        self.table.verticalHeader().defaultSectionSize = ROW
        self.table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        for column in range(3):
            self.table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(3, qt.QHeaderView.Stretch)
        self.table.setAccessibleName(_("Structures and how good they are"))
        self.table.connect("itemSelectionChanged()", self._chosen)
        self.places = qt.QListWidget()
        self.places.setToolTip(_("Click to go to the slice"))
        self.places.setAccessibleName(_("Slices that deserve a look"))
        self.places.setMaximumHeight(130)
        self.places.setWordWrap(True)
        self.places.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        self.places.connect("currentRowChanged(int)", self._go)
        self.places.connect("itemClicked(QListWidgetItem*)", lambda item: self._go(int(self.places.currentRow)))
        self.unsure = qt.QSlider(qt.Qt.Horizontal)
        self.unsure.setRange(0, 100)
        self.unsure.setToolTip(_("How strongly the map of what is unsure is laid over the slices"))
        self.unsure.setAccessibleName(_("Uncertainty overlay"))
        self.unsure.connect("valueChanged(int)", lambda value: self._logic.uncertainty(value / 100))
        self._unsure_row = beside(qt.QLabel(_("Uncertainty:")), self.unsure)
        self.accept = button(_("Accept"), _("This structure is good"), lambda: self._decide(ACCEPTED))
        self.flag = button(_("Flag"), _("This structure needs another look"), lambda: self._decide(FLAGGED))
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
        self._views = beside(self.side, self.before)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        against = beside(qt.QLabel(_("Compare with:")), self.reference)
        for one in (against, self.check, self.running.widget, self.table, self.places, self._unsure_row, self._views,
                    self._actions, self.message.widget):  # fmt: skip
            layout.addWidget(one)
        layout.addStretch(1)

    def enter(self) -> None:
        """The tab is shown."""
        if self.reference.mrmlScene() is not slicer.mrmlScene:
            self.reference.setMRMLScene(slicer.mrmlScene)
        self.reference.setCurrentNode(self._state.reference("Reference"))
        self.restore()

    def exit(self) -> None:
        """Another tab or module is shown."""
        self._pair.end()
        self.unsure.setValue(0)

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
        if not hasattr(self, "_actions"):
            return
        busy, node = self.running.running, self._volumes.segmentation
        there = node is not None and node.GetSegmentation().GetNumberOfSegments() > 0
        self.check.setText(_("Cancel") if busy else _("Review"))
        self.check.setEnabled(busy or (there and self._volumes.volume is not None))
        self.table.setVisible(bool(self.rows))
        self.table.setRowCount(len(self.rows))
        height = ROW * (1 + min(MOST_ROWS, len(self.rows))) + 6  # no empty space below it
        self.table.setMinimumHeight(height)
        self.table.setMaximumHeight(height)
        for number, row in enumerate(self.rows):
            cells = (row["structure"], f"{row['volume_ml']:.1f}", quality_of(row), status_of(row, self._decision(row)))
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(text)
                if column == 1:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                item.setToolTip(as_tip("\n".join((row["structure"], *row["remarks"]))))
                self.table.setItem(number, column, item)
        self.table.setColumnHidden(2, not any(quality_of(row) for row in self.rows))
        self._list()
        self._unsure_row.setVisible(self._logic.has_uncertainty)
        self._actions.setVisible(bool(self.rows) and not busy)
        self._views.setVisible(there and not busy)
        self.before.setVisible(bool(self._logic.rounds))

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
            self._done,
        )

    def _done(self, found: dict[str, Any]) -> None:
        self.rows, self._axis = list(found["structures"]), int(found["axis"])
        self._state.keep_review(self.rows, self._axis)
        self.message.tell(_("The slices in the list deserve a look: click one to go there."))
        self.refresh()

    @property
    def row(self) -> dict[str, Any] | None:
        """The structure that is chosen in the table."""
        number = self.table.currentRow()
        return self.rows[number] if 0 <= number < len(self.rows) else None

    def _chosen(self) -> None:
        self._list()

    def _list(self) -> None:
        rows = [self.row] if self.row is not None else self.rows
        most = max((len(row["slices"]) for row in rows), default=0)
        # The worst slice of every structure comes first, then the second of each: the list has room for a dozen.
        found = [(row["structure"], row["slices"][n]) for n in range(most) for row in rows if n < len(row["slices"])]
        self.places.blockSignals(True)
        self.places.clear()
        self._places = []
        for name, one in found[:12]:
            self.places.addItem(_("{name}, slice {n}: {why}").format(name=name, n=one["index"], why=one["why"]))
            self._places.append((name, int(one["index"])))
        self.places.blockSignals(False)
        self.places.setVisible(bool(self._places))

    def _go(self, number: int) -> None:
        if 0 <= number < len(self._places):
            self._watch.go_to(self._axis, self._places[number][1])

    def _decide(self, decision: str) -> None:
        row = self.row
        if row is None:
            self.message.tell(_("Choose a structure in the table first."))
            return
        segment = self._segment(row)
        if segment is not None:
            decide(segment, "" if decision_of(segment) == decision else decision)
        number = self.table.currentRow()
        self.refresh()
        self.table.selectRow(number)

    def _segment(self, row: dict[str, Any]) -> Any:
        node = self._volumes.segmentation
        return node.GetSegmentation().GetSegment(str(row["segment_id"])) if node is not None else None

    def _decision(self, row: dict[str, Any]) -> str:
        segment = self._segment(row)
        return decision_of(segment) if segment is not None else ""

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
        target = Path(str(path))
        rows = [{**row, "decision": self._decision(row)} for row in self.rows]
        try:
            if target.suffix.lower() == ".csv":
                text = texts.csv_of(rows)
            elif target.suffix.lower() == ".html":
                title = _("Review of {name}").format(name=self._volumes.segmentation.GetName())
                text = texts.html_of(title, rows, _("Made with PromptSeg. Research software, not a medical device."))
            else:
                raise OutputError(f"{target.name} is neither a page nor a table", "let its name end in .html or .csv")
            with replacing(target) as handle:
                handle.write(text.encode("utf-8"))
        except PromptSegError as problem:
            self.message.warn(problem)
            return
        self.message.tell(_("Saved: {path}.").format(path=target))
