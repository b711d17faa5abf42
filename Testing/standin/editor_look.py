"""What the Segment Editor takes of the panel: its buttons, its table and an effect's options, as large as in Slicer."""

from __future__ import annotations

from typing import Any

from .binding import QtCore, QtGui, QtWidgets

SIDE = 30
"""Pixels of an effect's button."""
OPTIONS, MASKING = (430, 118), (330, 112)
"""Width that the options of the brush need, and height; the same of the section Masking."""
BOXES = {
    "Paint": ("Sphere brush", "Edit in 3D views", "Color smudge"),
    "Erase": ("Sphere brush", "Edit in 3D views", "Erase all segments"),
    "Smoothing": ("Apply to visible segments",),
}
"""The check boxes of effects, each in the effect's own frame; all frames are made with the editor."""


class Look:
    """Lays out a frame as Slicer's does, with the object names that Slicer's has."""

    def __init__(self, editor: Any) -> None:
        self._editor = editor
        self._buttons: list[Any] = []
        grid = QtWidgets.QVBoxLayout(editor)
        self._row = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        self._show_3d = _named(QtWidgets.QPushButton("Show 3D"), "Show3DButton")
        for name, text in (("AddSegmentButton", "Add"), ("RemoveSegmentButton", "Remove")):
            row.addWidget(_named(QtWidgets.QPushButton(text), name))
        row.addWidget(self._show_3d)
        grid.addWidget(self._row)
        below = QtWidgets.QHBoxLayout()
        grid.addLayout(below)
        left, right = QtWidgets.QVBoxLayout(), QtWidgets.QVBoxLayout()
        below.addLayout(left)
        below.addLayout(right, 1)
        self._effects = _named(QtWidgets.QFrame(), "EffectsGroupBox")
        self._effects.setFrameShape(QtWidgets.QFrame.StyledPanel)
        self._grid = QtWidgets.QGridLayout(self._effects)
        self._grid.setSpacing(4)
        left.addWidget(self._effects)
        self._undo = _named(QtWidgets.QFrame(), "UndoRedoGroupBox")
        self._undo.setFrameShape(QtWidgets.QFrame.StyledPanel)
        pair = QtWidgets.QHBoxLayout(self._undo)
        for name, mark in (("UndoButton", "\u21b6"), ("RedoButton", "\u21b7")):
            pair.addWidget(_named(_square(mark), name))
        left.addWidget(self._undo)
        left.addStretch(1)
        form = _named(QtWidgets.QWidget(), "Form")
        inner = QtWidgets.QVBoxLayout(form)
        inner.setContentsMargins(0, 0, 0, 8)  # the grip
        self.table = _named(QtWidgets.QTableWidget(0, 1), "SegmentsTableView")
        self.table.setHorizontalHeaderLabels(["Name"])
        QtWidgets.QTableView.horizontalHeader(self.table).setStretchLastSection(True)
        QtWidgets.QTableView.verticalHeader(self.table).setVisible(False)
        inner.addWidget(self.table)
        right.addWidget(form)
        self._options = _named(QtWidgets.QGroupBox("Paint"), "OptionsGroupBox")
        self._options.setMinimumHeight(OPTIONS[1])
        below = QtWidgets.QVBoxLayout(self._options)
        below.setContentsMargins(4, 4, 4, 4)
        self.frames: dict[str, Any] = {}
        self._boxes: dict[str, list[Any]] = {}
        for effect, texts in BOXES.items():
            frame = self.frames[effect] = QtWidgets.QFrame()
            row = QtWidgets.QHBoxLayout(frame)
            row.setContentsMargins(0, 0, 0, 0)
            for text in texts:
                one = QtWidgets.QCheckBox(text)
                one.setMinimumWidth(OPTIONS[0] // 3)
                row.addWidget(one)
                self._boxes.setdefault(effect, []).append(one)
            below.addWidget(frame)
        right.addWidget(self._options)
        self._masking = _named(QtWidgets.QGroupBox("Masking"), "MaskingGroupBox")
        self._masking.setMinimumSize(*MASKING)
        right.addWidget(self._masking)
        right.addStretch(1)
        self.refresh()

    def refresh(self) -> None:
        """As the editor's node and properties are."""
        editor, effect = self._editor, ""
        if editor._node is not None and editor._node.GetScene() is not None:
            effect = editor._node.GetActiveEffectName() or ""
        while self._buttons:
            former = self._buttons.pop()
            self._grid.removeWidget(former)
            former.setVisible(False)
            former.deleteLater()
        for number, name in enumerate(("", *editor.order)):
            made = _square(name[:1] or "\u2196")
            made.setCheckable(True)
            made.setChecked(name == effect)
            columns = editor._effectColumnCount
            self._grid.addWidget(made, number // columns, number % columns)
            self._buttons.append(made)
        for name in ("Undo", "Redo"):
            can = getattr(editor._logic, f"Can{name}", None)
            _child(self._undo, f"{name}Button").setEnabled(not editor._locked and can is not None and bool(can()))
        self._options.setVisible(bool(effect))
        self._options.setTitle(effect)
        for name, frame in self.frames.items():
            frame.setVisible(name == effect)
            if effect and name in ("Paint", "Erase"):
                self._boxes[name][0].setChecked(editor._node.GetAttribute("BrushSphere") == "1")
        self._masking.setVisible(bool(effect) and editor._maskingSectionVisible)
        self._row.setVisible(getattr(editor, "_addRemoveSegmentButtonsVisible", None) is not False)
        self._show_3d.setVisible(getattr(editor, "_show3DButtonVisible", None) is not False)
        shown = editor._shown if editor._shown is not None and editor._shown.GetScene() is not None else None
        contents = shown.GetSegmentation() if shown is not None else None
        ids = list(contents.GetSegmentIDs()) if contents is not None else []
        self.table.setRowCount(len(ids))
        for number, identity in enumerate(ids):
            item = QtWidgets.QTableWidgetItem(contents.GetSegment(identity).GetName())
            colour = QtGui.QPixmap(12, 12)
            colour.fill(QtGui.QColor.fromRgbF(*contents.GetSegment(identity).GetColor()))
            item.setIcon(QtGui.QIcon(colour))
            self.table.setItem(number, 0, item)
            self.table.setRowHeight(number, 22)
            if identity == editor._row:
                self.table.selectRow(number)


def _child(widget: Any, name: str) -> Any:
    return next(one for one in QtCore.QObject.children(widget) if one.objectName == name)


def _named(widget: Any, name: str) -> Any:
    widget.setObjectName(name)
    return widget


def _square(text: str) -> Any:
    made = QtWidgets.QToolButton()
    made.setText(text)
    made.setFixedSize(QtCore.QSize(SIDE, SIDE))
    return made
