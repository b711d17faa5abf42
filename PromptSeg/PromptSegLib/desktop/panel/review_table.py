"""The table of a review: a structure a row, numbers to the right under heads with units, status as Slicer shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ...mrml.decisions import ACCEPTED, FLAGGED
from ..sentences import spoken
from ..structure_names import name_of
from .panel_room import AMPLE
from .widgets import RIGHT, as_tip, chip

ROW, MIN_ROWS = 22, (3, 1, 1)
"""Pixels of a row of the table, at least, and rows that are seen without scrolling it, the less room the fewer."""
CHIP = 20
"""Pixels of a structure's colour, before its name."""
NAME = 14
"""Letters of a structure's name that have to be seen."""
LOW = 0.7
"""A structure with less Dice than this needs review."""


def status_of(row: dict[str, Any], decision: str) -> str:
    """What the last column says: the decision in Slicer's words, else whether it needs review."""
    if decision:
        return {ACCEPTED: _("Completed"), FLAGGED: _("Flagged")}[decision]
    dice = (row.get("score") or {}).get("dice")
    known = dice if dice is not None else row.get("estimate")
    if not row["volume_ml"]:
        return _("Nothing found")
    return _("Needs review") if row["remarks"] or (known is not None and known < LOW) else ""


def _score(row: dict[str, Any], name: str) -> float | None:
    found = (row.get("score") or {}).get(name)
    return found if isinstance(found, int | float) else None


def columns_of(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, Callable[[dict[str, Any]], str]]]:
    """(head, what it means, text of a row) of each column of numbers that has any: no Dice is expected where the true
    one is known."""

    def number(get: Callable[[dict[str, Any]], float | None], places: int) -> Callable[[dict[str, Any]], str]:
        def text(row: dict[str, Any]) -> str:
            value = get(row)
            return "" if value is None else f"{value:.{places}f}"

        return text

    every = [
        (_("Volume\n(ml)"), _("Volume of the segment"), number(lambda row: row["volume_ml"], 1)),
        (_("Expected\nDice"), _("Dice to be expected of the slices that were not drawn"),
         number(lambda row: row.get("estimate") if _score(row, "dice") is None else None, 2)),
        (_("Dice"), _("Dice with the reference"), number(lambda row: _score(row, "dice"), 2)),
        (_("NSD"), _("Surface Dice with the reference: part of both surfaces within 2 mm of the other"),
         number(lambda row: _score(row, "nsd_2mm"), 2)),
        (_("HD95\n(mm)"), _("95th percentile of the distance between the surfaces"),
         number(lambda row: _score(row, "hd95_mm"), 1)),
    ]  # fmt: skip
    return [every[0], *(one for one in every[1:] if any(one[2](row) for row in rows))]


class ReviewTable:
    """``on_choose()`` is called when another structure is chosen."""

    def __init__(self, on_choose: Callable[[], None]) -> None:
        self.table = self.widget = qt.QTableWidget()
        self.room = AMPLE
        self.table.verticalHeader().setVisible(False)
        self.table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        self.table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.table.setTabKeyNavigation(False)
        self.table.setWordWrap(False)
        # Its own wish would push the buttons below it out of sight; see its heights in :meth:`show`.
        self.table.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Ignored)
        self.table.setAccessibleName(_("Structures and how good they are"))
        self.table.connect("itemSelectionChanged()", on_choose)

    def show(
        self, rows: Sequence[dict[str, Any]], decisions: Sequence[str], colours: Sequence[Sequence[float]]
    ) -> None:
        """Show the rows of a review, with the colours of their segments; the one that is chosen stays so."""
        chosen = int(self.table.currentRow()) if self.table.selectedItems() else -1
        columns = columns_of(rows)
        heads = [_("Structure"), *(head for head, _tip, _text in columns), _("Status")]
        self.table.blockSignals(True)
        self.table.setVisible(bool(rows))
        self.table.setColumnCount(len(heads))
        self.table.setHorizontalHeaderLabels(heads)
        for number, (_head, tip, _text) in enumerate(columns, 1):
            item = self.table.horizontalHeaderItem(number)
            item.setToolTip(as_tip(tip))
            item.setTextAlignment(RIGHT)
        for number in (0, len(heads) - 1):
            self.table.horizontalHeaderItem(number).setTextAlignment(qt.Qt.AlignLeft | qt.Qt.AlignVCenter)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for number in range(1, len(heads)):
            header.setSectionResizeMode(number, qt.QHeaderView.ResizeToContents)
        self.table.setRowCount(len(rows))
        for number, (row, decision, colour) in enumerate(zip(rows, decisions, colours, strict=True)):
            name = name_of(row["structure"])
            told = [f"{head}: {text(row)}".replace("\n", " ") for head, _tip, text in columns if text(row)]
            cells = [name, *(text(row) for _head, _tip, text in columns), status_of(row, decision)]
            for column, text in enumerate(cells):
                item = qt.QTableWidgetItem(text)
                if column == 0 and colour:
                    item.setIcon(chip(colour))
                if 0 < column < len(cells) - 1:
                    item.setTextAlignment(RIGHT)
                item.setToolTip(as_tip("\n".join((name, *told, *map(spoken, row["remarks"])))))
                self.table.setItem(number, column, item)
        self._make_room(len(columns))
        line = int(self.table.fontMetrics().height())
        head = line * max(text.count("\n") + 1 for text in heads) + 8
        high = max(ROW, line + 6)
        self.table.verticalHeader().defaultSectionSize = high
        self.table.setMinimumHeight(head + high * min(MIN_ROWS[self.room], len(rows)) + 4)
        self.table.setMaximumHeight(head + high * len(rows) + 4)  # no empty space below it
        if 0 <= chosen < len(rows):
            self.table.selectRow(chosen)
        self.table.blockSignals(False)

    def _make_room(self, count: int) -> None:
        """Where numbers leave no room for the names, as with large text, the volume and the last of them are hidden:
        the tip of a row has them all."""
        table = self.table
        wanted = [
            max(table.sizeHintForColumn(n), table.horizontalHeader().sectionSizeHint(n)) for n in range(1, count + 2)
        ]
        names = CHIP + NAME * int(table.fontMetrics().boundingRect("n").width())
        cramped = count > 1 and sum(wanted) + names > int(table.viewport().width)
        for number in range(1, count + 1):
            table.setColumnHidden(number, cramped and number in (1, count))

    @property
    def chosen(self) -> int:
        """The row that is chosen; -1 for none."""
        return int(self.table.currentRow()) if self.table.selectedItems() else -1

    def clear_choice(self) -> None:
        """Choose none."""
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.blockSignals(False)
