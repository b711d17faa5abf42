"""The structures that can be segmented: prompt sets with check boxes, searched by name and synonym."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..catalogue import Library, PromptEntry, SetEntry
from ..panel_state import PanelState
from ..structure_names import name_of
from .texts import (
    card_lines,
    found_by,
    reference_lines,
    remembered_lines,
    set_title,
    subject_lines,
    typical_dice,
)
from .widgets import RIGHT, as_tip, chip, show_boxes, text_label


def _remembered(entry: PromptEntry) -> tuple[Any, int]:
    """The file of a structure's patients, and when it was changed."""
    path = entry.memory
    with contextlib.suppress(OSError):
        return path, path.stat().st_mtime_ns if path is not None else 0
    return None, 0


class Structures:
    """``on_change()`` is called when ticks change, ``on_select()`` when another row is selected."""

    def __init__(
        self, library: Library, state: PanelState, on_change: Callable[[], None], on_select: Callable[[], None]
    ) -> None:
        self._library, self._state, self._on_change, self._on_select = library, state, on_change, on_select
        self._items: list[tuple[Any, PromptEntry]] = []
        self._groups: list[tuple[Any, SetEntry]] = []
        self._listed: list[tuple[SetEntry, list[Any]]] = []
        self._quiet = False
        self.widget = qt.QWidget()
        self.search = qt.QLineEdit()
        self.search.setPlaceholderText(_("Search structures"))
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName(_("Search structures"))
        self.search.connect("textChanged(QString)", self._filter)
        self.tree = qt.QTreeWidget()
        self.tree.setColumnCount(2)
        self.tree.setHeaderLabels([_("Structure"), _("Typical Dice")])
        self.tree.setAccessibleName(_("Structures"))
        self.tree.setMinimumHeight(100)
        # As high as there is room for: what it would like to be must not push the button below it out of sight.
        self.tree.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Ignored)
        show_boxes(self.tree)
        self.tree.headerItem().setTextAlignment(1, RIGHT)
        tip = _(
            "What the structure reached in CTs that were not learned from: 1 is perfect; below 0.7, check every slice"
        )
        self.tree.headerItem().setToolTip(1, as_tip(tip))
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        self.tree.connect("itemChanged(QTreeWidgetItem*,int)", self._ticked)
        self.tree.connect("itemSelectionChanged()", self._selected)
        self._card = text_label()
        self._card.setVisible(False)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.search)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self._card)

    @property
    def ticked(self) -> list[str]:
        """Prompt texts of what is ticked."""
        return [entry.text for entry in self.ticked_entries]

    @property
    def ticked_entries(self) -> list[PromptEntry]:
        """The structures that are ticked."""
        return [entry for item, entry in self._items if item.checkState(0) == qt.Qt.Checked]

    @property
    def selected(self) -> PromptEntry | None:
        """The structure whose row is selected, if it is one."""
        chosen = self.tree.selectedItems()
        head = chosen[0].parent() if chosen else None
        if head is None:
            return None
        return self._groups[self.tree.indexOfTopLevelItem(head)][1].prompts[head.indexOfChild(chosen[0])]

    @property
    def selected_own(self) -> PromptEntry | None:
        """The selected structure, if it is one of the user's own."""
        entry = self.selected
        return entry if entry is not None and self.is_own(entry.text) else None

    @property
    def has_own(self) -> bool:
        """Whether the user has structures of their own."""
        return any(not one.shipped for _head, one in self._groups)

    def is_own(self, text: str) -> bool:
        """Whether a prompt text is one of the user's own."""
        return any(entry.text == text for _head, one in self._groups if not one.shipped for entry in one.prompts)

    def refresh(self) -> None:
        """List what there is now, ticked as the scene remembers."""
        wanted = set(self._state.ticked)
        sets = sorted(self._library.sets(), key=lambda one: one.shipped)  # what one taught comes first
        listed = [(one, [_remembered(entry) for entry in one.prompts]) for one in sets]
        self._quiet = True
        try:
            if listed == self._listed:  # scenes come and go more often than structures
                for item, entry in self._items:
                    item.setCheckState(0, qt.Qt.Checked if entry.text in wanted else qt.Qt.Unchecked)
                sets = []
            else:
                self.tree.clear()
                self._items, self._groups, self._listed = [], [], listed
            for one in sets:
                head = qt.QTreeWidgetItem()
                head.setFlags(head.flags() | qt.Qt.ItemIsUserCheckable)
                head.setToolTip(0, as_tip("\n".join(card_lines(one.name, one.card))))
                self.tree.addTopLevelItem(head)
                self._groups.append((head, one))
                for entry in one.prompts:
                    item = qt.QTreeWidgetItem()
                    item.setText(0, name_of(entry.structure.name))
                    item.setIcon(0, chip(entry.structure.colour))
                    item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
                    item.setCheckState(0, qt.Qt.Checked if entry.text in wanted else qt.Qt.Unchecked)
                    dice = typical_dice(entry.card)
                    item.setText(1, "" if dice is None else f"{dice:.2f}")
                    item.setTextAlignment(1, RIGHT)
                    item.setToolTip(0, as_tip("\n".join(self._lines(entry))))
                    head.addChild(item)
                    self._items.append((item, entry))
                head.setExpanded(True)
            self._count()
        finally:
            self._quiet = False
        self._filter(str(self.search.text))
        self._on_change()

    def tick(self, text: str) -> None:
        """Tick one more structure, in the place of others of its name."""
        names = {entry.structure.name for _item, entry in self._items if entry.text == text}
        for item, entry in self._items:
            if entry.text == text:
                item.setCheckState(0, qt.Qt.Checked)
            elif entry.structure.name in names:
                item.setCheckState(0, qt.Qt.Unchecked)

    def _ticked(self, changed: Any, column: int) -> None:
        if self._quiet:
            return
        self._quiet = True
        try:
            number = self.tree.indexOfTopLevelItem(changed)  # -1 for a structure
            if number >= 0:
                head, one = self._groups[number]
                for item, entry in self._items:
                    if entry in one.prompts:
                        item.setCheckState(0, head.checkState(0))
            self._count()
        finally:
            self._quiet = False
        self._state.set_values("Structures", self.ticked)
        self._on_change()

    def _count(self) -> None:
        """A group is ticked, half ticked or not, and says how many are."""
        for head, one in self._groups:
            own = [item for item, entry in self._items if entry in one.prompts]
            on = sum(item.checkState(0) == qt.Qt.Checked for item in own)
            state = qt.Qt.Checked if on == len(own) else qt.Qt.PartiallyChecked if on else qt.Qt.Unchecked
            head.setCheckState(0, state)
            head.setText(0, _("{title} ({n} of {all})").format(title=set_title(one), n=on, all=len(own)))

    def _filter(self, text: str) -> None:
        for item, entry in self._items:
            item.setHidden(not found_by(entry.structure, text))

    @staticmethod
    def _lines(entry: PromptEntry) -> list[str]:
        lines = card_lines(name_of(entry.structure.name), entry.card.to_json())
        return [*lines, *subject_lines(entry.card), *reference_lines(entry.references), *remembered_lines(entry.memory)]

    def _selected(self) -> None:
        entry = self.selected
        self._card.setVisible(entry is not None)
        if entry is not None:
            name, *lines = self._lines(entry)  # beside each other: the list needs the room
            self._card.setText(_("{name}: {what}.").format(name=name, what="; ".join(lines)))
        self._on_select()
