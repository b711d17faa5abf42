"""Slicer's own Segment Editor, with what drawing a few slices needs and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

EFFECTS = ("Paint", "Draw", "Erase", "Level tracing", "Threshold", "Scissors", "Islands", "Smoothing")
TAG = "SegmentEditor"
"""The application's own editor node: undo and the module Segment Editor then show the same."""


class EditorBox:
    """``editor`` is the real widget, set up in the order that it needs: scene, editor node, segmentation, volume.

    ``on_effect()`` is called when another effect may have become active.
    """

    def __init__(self) -> None:
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.segmentationNodeSelectorVisible = False
        self.editor.sourceVolumeNodeSelectorVisible = False
        self.editor.switchToSegmentationsButtonVisible = False
        self.editor.specifyGeometryButtonVisible = False
        self.editor.maximumNumberOfUndoStates = 10
        self.editor.setEffectNameOrder(EFFECTS)
        self.editor.unorderedEffectsVisible = False
        self.widget = self.editor
        self.on_effect: Callable[[], None] | None = None
        self._open = False
        self._watched: tuple[Any, int] | None = None

    def enter(self, segmentation: Any, volume: Any) -> None:
        """Show a segmentation to draw in, on a volume."""
        if self.editor.mrmlScene() is not slicer.mrmlScene:
            self.editor.setMRMLScene(slicer.mrmlScene)
        self.editor.setMRMLSegmentEditorNode(self._node())
        self.editor.setSegmentationNode(segmentation)
        self.editor.setSourceVolumeNode(volume)
        if not self._open:
            self._open = True
            self.editor.setupViewObservations()
            self.editor.installKeyboardShortcuts()
            self._watch()

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
        self.editor.setMRMLScene(None)

    @property
    def segment_id(self) -> str:
        """The segment that is drawn in; empty if none is chosen."""
        return str(self.editor.currentSegmentID() or "") if self.editor.segmentationNode() is not None else ""

    @property
    def effect(self) -> str:
        """The name of the effect that is active, such as "Paint"; it is never translated."""
        return str(self._watched[0].GetActiveEffectName() or "") if self._watched is not None else ""

    def draw_in(self, segment_id: str) -> None:
        """Choose a segment and a brush that paints in one slice."""
        self.editor.setCurrentSegmentID(segment_id)
        self.editor.setActiveEffectByName("Paint")
        effect = self.editor.activeEffect()
        if effect is not None:
            effect.setParameter("BrushSphere", 0)

    def save_state(self) -> None:
        """For undo, before a program changes the segmentation."""
        if self.editor.segmentationNode() is not None:
            self.editor.saveStateForUndo()

    def lock(self, on: bool) -> None:
        """Nothing is drawn while what is drawn is being read."""
        self.editor.readOnly = on

    def _watch(self) -> None:
        import vtk

        node = self._node()

        def changed(*_: Any) -> None:
            if self.on_effect is not None:
                self.on_effect()

        self._watched = node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, changed)

    @staticmethod
    def _node() -> Any:
        """The application's editor node, made if the Segment Editor was never opened."""
        node = slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(TAG)
            node = slicer.mrmlScene.AddNode(node)
        return node
