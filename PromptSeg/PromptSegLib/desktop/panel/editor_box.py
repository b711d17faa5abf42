"""Slicer's own Segment Editor, with what drawing a few slices needs and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .panel_room import AMPLE
from .widgets import beside, mark_icon

EFFECTS = ("Paint", "Draw", "Erase", "Level tracing", "Threshold", "Scissors", "Islands", "Smoothing")
TAG = "PromptSeg"
"""A node of our own. The editor of the module Segment Editor follows its node's effect even while it is hidden: of one
node for both, it would get our strokes, and keep them in its own history."""
BRUSHES = ("Paint", "Erase")
SPHERE = "BrushSphere"
COLUMNS, FOLDED_COLUMNS = 3, 5
"""Of the buttons of effects, and where there is little room."""
MAX_ROWS, ROW = 4, 26
"""Rows of the table that are seen without scrolling it, and pixels of one, about."""


class EditorBox:
    """``editor`` is the real widget, set up in the order that it needs: scene, editor node, segmentation, volume.

    ``on_effect()`` is called when another effect may have become active, ``on_segment(segment_id)`` when a user chose
    another segment. Undo has what was drawn here, also after a visit to another editor.
    """

    def __init__(self) -> None:
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.segmentationNodeSelectorVisible = False
        self.editor.sourceVolumeNodeSelectorVisible = False
        self.editor.switchToSegmentationsButtonVisible = False
        self.editor.specifyGeometryButtonVisible = False
        self.editor.maskingSectionVisible = False
        self.editor.show3DButtonVisible = False
        self.editor.effectColumnCount = COLUMNS
        self.editor.maximumNumberOfUndoStates = 10
        self.editor.setEffectNameOrder(EFFECTS)
        self.editor.unorderedEffectsVisible = False
        self.editor.connect("currentSegmentIDChanged(QString)", self._chosen)
        self.widget = self.editor
        inner = self.editor.layout()
        if inner is not None:
            inner.setContentsMargins(0, 5, 0, 0)  # the panel has its own
        self._narrow()
        self._back = self._step("UndoButton", "\u21b6", _("Undo"), _("Take the last stroke or mark back (Ctrl+Z)"))
        self._again = self._step("RedoButton", "\u21b7", _("Redo"), _("Have it back (Ctrl+Y)"))
        self._back.connect("clicked()", self.editor.undo)
        self._again.connect("clicked()", self.editor.redo)
        self.steps = beside(self._back, self._again)
        self.steps.layout().setSpacing(2)
        self.show_steps()
        self.on_effect: Callable[[], None] | None = None
        self.on_segment: Callable[[str], None] | None = None
        self._open = self._entering = False
        self._effect_before = ""
        self._watched: tuple[Any, int] | None = None

    def enter(self, segmentation: Any, volume: Any, segment_id: str) -> None:
        """Show a segmentation to draw in, on a volume, with one of its segments chosen."""
        self._entering = True  # a segmentation that is set chooses its first segment, and says so
        try:
            if self.editor.mrmlScene() is not slicer.mrmlScene:
                self.editor.setMRMLScene(slicer.mrmlScene)
            self.editor.setMRMLSegmentEditorNode(self._node())
            self.editor.setSegmentationNode(segmentation)
            self.editor.setSourceVolumeNode(volume)
            if self.segment_id != segment_id:
                self.editor.setCurrentSegmentID(segment_id)
        finally:
            self._entering = False
        if not self._open:
            self._open = True
            self._set_up()
            self.editor.setupViewObservations()
            self.editor.installKeyboardShortcuts(slicer.util.mainWindow() or self.editor)
            self._watch()
        self.fold()

    def fit(self, room: int) -> None:
        """Take less height where there is little of it: fewer rows of effects, and segments are added and removed in
        Slicer's own module."""
        ample = room == AMPLE
        self.editor.effectColumnCount = COLUMNS if ample else FOLDED_COLUMNS
        self.editor.addRemoveSegmentButtonsVisible = ample

    def show_steps(self) -> None:
        """Undo and Redo can be pressed where Slicer's own can."""
        for own, name in ((self._back, "UndoButton"), (self._again, "RedoButton")):
            found = slicer.util.findChildren(self.editor, name)
            own.setEnabled(bool(found[0].enabled) if found else True)

    def _step(self, its: str, mark: str, name: str, tip: str) -> Any:
        """A button that looks as Slicer's own, which is called ``its``; where that has no icon, with a mark."""
        made = qt.QToolButton()
        found = slicer.util.findChildren(self.editor, its)
        made.setIcon(found[0].icon if found and not found[0].icon.isNull() else mark_icon(mark))
        made.setToolTip(tip)
        made.setAccessibleName(name)
        made.setFocusPolicy(qt.Qt.StrongFocus)
        return made

    def exit(self) -> None:
        """Let go of the views and keys."""
        if self._open:
            self._open = False
            if self._watched is not None:
                self._watched[0].RemoveObserver(self._watched[1])
                self._watched = None
            self.editor.setActiveEffect(None)
            self.editor.uninstallKeyboardShortcuts()
            self.editor.removeViewObservations()

    def close_scene(self) -> None:
        """Before the scene goes."""
        self.exit()
        self.editor.setSegmentationNode(None)

    @property
    def segment_id(self) -> str:
        """The segment that is drawn in; empty if none is chosen."""
        return str(self.editor.currentSegmentID() or "") if self.editor.segmentationNode() is not None else ""

    @property
    def effect(self) -> str:
        """The name of the effect that is active, such as "Paint"; it is never translated."""
        return str(self._watched[0].GetActiveEffectName() or "") if self._watched is not None else ""

    def fold(self) -> None:
        """Have the table of segments as high as the rows that it has."""
        node = self.editor.segmentationNode()
        rows = node.GetSegmentation().GetNumberOfSegments() if node is not None else 0
        height = ROW * (1 + max(1, min(MAX_ROWS, rows))) + 4
        for table in slicer.util.findChildren(self.editor, "SegmentsTableView"):
            table.setMinimumHeight(height)
            table.setMaximumHeight(height)

    def _narrow(self) -> None:
        """What an effect offers must not widen the panel: it takes the room that there is. Undo and Redo stand beside
        the view, where no result pushes them out of sight."""
        for name in ("OptionsGroupBox", "MaskingGroupBox"):
            for part in slicer.util.findChildren(self.editor, name):
                part.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
        for part in slicer.util.findChildren(self.editor, "UndoRedoGroupBox"):
            part.setVisible(False)

    def _tidy(self) -> None:
        """Of the brush's boxes the first is enough: the others paint in 3D, choose segments, or erase all of them."""
        effect = self.editor.effectByName(self.effect) if self.effect in BRUSHES else None
        if effect is not None:
            for one in _check_boxes(effect.optionsFrame())[1:]:
                one.setVisible(False)

    def draw_in(self, segment_id: str) -> None:
        """Choose a segment and the brush."""
        self.editor.setCurrentSegmentID(segment_id)
        self.editor.setActiveEffectByName("Paint")

    def save_state(self) -> None:
        """For undo, before a program changes the segmentation."""
        if self.editor.segmentationNode() is not None:
            self.editor.saveStateForUndo()

    def lock(self, on: bool) -> None:
        """Nothing is drawn while what is drawn is being read; afterwards the effect is back that was active."""
        former, self._effect_before = self._effect_before, self.effect if on else ""
        self.editor.readOnly = on
        if not on and self._open and former:
            self.editor.setActiveEffectByName(former)

    def _chosen(self, segment_id: str) -> None:
        if not self._entering and self.on_segment is not None:
            self.on_segment(str(segment_id or ""))

    def _set_up(self) -> None:
        """A brush that paints in one slice, and takes nothing from other segments: results may lie below."""
        node = self._node()
        node.SetOverwriteMode(node.OverwriteNone)
        # A parameter that effects share: one of the brush's own would hide it from the check box for good.
        node.SetAttribute(SPHERE, "0")

    def _watch(self) -> None:
        import vtk

        node = self._node()

        def changed(*_: Any) -> None:
            self._tidy()
            # What limits the brush must be seen: Threshold can use a range for masking.
            masked = bool(node.GetSourceVolumeIntensityMask())
            if bool(self.editor.maskingSectionVisible) != masked:
                self.editor.maskingSectionVisible = masked
            if self.on_effect is not None:
                self.on_effect()

        self._watched = node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, changed)

    @staticmethod
    def _node() -> Any:
        """Our editor node, made when it is first needed; it holds nothing that a saved scene would miss."""
        node = slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(TAG)
            node.SetSaveWithScene(False)
            node = slicer.mrmlScene.AddNode(node)
        return node


def _check_boxes(part: Any) -> list[Any]:
    """The check boxes below a widget, from the first to the last: ``slicer.util.findChildren`` begins with the last."""
    found = []
    for one in part.children():
        found += [one] if isinstance(one, qt.QCheckBox) else _check_boxes(one)
    return found
