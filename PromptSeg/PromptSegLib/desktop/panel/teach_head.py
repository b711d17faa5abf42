"""The head of Teach: the structure that is drawn, the view, undo and redo, and how many slices are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from ...annotations import SliceStatus
from .editor_box import EditorBox
from .naming import Naming
from .panel_room import AMPLE, LEAST
from .widgets import beside, text_label

VIEWS = ("Red", "Green", "Yellow")


class TeachHead:
    """``on_view(name)`` is called when another view is chosen. ``where`` is what a segment has to be there for."""

    def __init__(self, naming: Naming, editor: EditorBox, on_view: Callable[[str], None]) -> None:
        self._naming = naming
        self.view = qt.QComboBox()
        self.view.setAccessibleName(_("View to draw in"))
        titles = _("Axial (red)"), _("Coronal (green)"), _("Sagittal (yellow)")
        for name, title in zip(VIEWS, titles, strict=True):
            self.view.addItem(title, name)
        self.view.connect("currentIndexChanged(int)", lambda index: on_view(str(self.view.itemData(index))))
        self._tip = _("The view to draw in; marks, drafts and suggestions belong to its slices")
        self.view.setToolTip(self._tip)
        self.counts = text_label()
        self.where = beside(self.view, self.counts, editor.steps)
        self.where.layout().setStretch(1, 1)
        self.widget = qt.QWidget()
        self._grid = qt.QGridLayout(self.widget)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(5)
        self.fit(AMPLE)

    def fit(self, room: int) -> None:
        """With hardly any room, all of it is one row, and how many slices are done is in the view's tip."""
        one_row = room == LEAST
        for part in (self._naming.widget, self.where):
            self._grid.removeWidget(part)
        self._grid.addWidget(self._naming.widget, 0, 0)
        self._grid.addWidget(self.where, 0 if one_row else 1, 1 if one_row else 0)
        self._grid.setColumnStretch(0, 1)
        self.counts.setVisible(not one_row)
        self._naming.fit(room)

    def choose(self, name: str) -> None:
        """Show a view as the one that is drawn in."""
        self.view.setCurrentIndex(VIEWS.index(name) if name in VIEWS else 0)

    def show_counts(self, statuses: Sequence[SliceStatus]) -> None:
        """How many slices are done."""
        number = {one.value: statuses.count(one) for one in SliceStatus}
        text = _("{complete} complete, {draft} draft, {absent} absent").format(**number)
        usual = _("Of {all} slices. Three to five complete ones are usual.").format(all=len(statuses))
        self.counts.setText(text)
        self.counts.setToolTip(usual)
        self.view.setToolTip("\n".join((self._tip, text)))
