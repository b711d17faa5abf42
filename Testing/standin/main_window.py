"""3D Slicer's main window, as far as the tests for a real one ask for it: two modules, and strokes in slice views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .binding import QtWidgets
from .module_panel import ModulePanel
from .modules import Shown
from .widgets import qMRMLSegmentEditorWidget, stroke, watching

BRUSH = 4
"""Voxels from the middle of a stroke to its end."""


class SegmentEditorModule:
    """Slicer's own module: an editor with the node that it shares with whoever asks for it by its tag."""

    def __init__(self, scene: Any) -> None:
        self.editor = qMRMLSegmentEditorWidget()
        self.editor.setMRMLScene(scene)

    def enter(self) -> None:
        scene = self.editor.mrmlScene()
        node = scene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag("SegmentEditor")
            node = scene.AddNode(node)
        self.editor.setMRMLSegmentEditorNode(node)
        self.editor.setEffectNameOrder(["Paint", "Draw", "Erase"])
        self.editor.setupViewObservations()

    def exit(self) -> None:
        self.editor.setActiveEffect(None)
        self.editor.removeViewObservations()


class MainWindow:
    """A window of 1280 x 800 pixels with the module in its panel; one module is entered at a time."""

    def __init__(self, scene: Any, shown: Shown) -> None:
        self._shown, self._editor, self._current = shown, SegmentEditorModule(scene), ""
        self.window = QtWidgets.QMainWindow()
        self.window.resize(1280, 800)
        self.panel = ModulePanel(shown.widget().parent)
        self.panel.setParent(self.window)
        self.panel.show()
        self.window.show()

    def widget(self, module: str) -> Any:
        return self._editor if module == "SegmentEditor" else self._shown.widget()

    def select(self, module: str) -> None:
        if module == self._current:
            return
        for one, change in ((self._current, "leave"), (module, "select")):
            if one == "PromptSeg":
                getattr(self._shown, change)()
            elif one:
                getattr(self._editor, {"leave": "exit", "select": "enter"}[change])()
        self._current = module

    def close(self) -> None:
        self.select("PromptSeg")
        self.window.close()

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Those of ``slicer.util`` that need a main window."""
        return {
            "mainWindow": lambda verbose=True: self.window,
            "selectModule": self.select,
            "getModuleWidget": self.widget,
            "clickAndDrag": click_and_drag,
        }


@dataclass(frozen=True)
class _Mask:
    mask: np.ndarray
    low: tuple[int, int, int] = (0, 0, 0)


def click_and_drag(
    widget: Any, button: str = "Left", start: Sequence[int] = (10, 10), end: Sequence[int] = (10, 40),
    steps: int = 20, modifiers: Sequence[str] = (),
) -> None:  # fmt: skip
    """A stroke across the middle of the slice in view, by the editor that watches the views first."""
    from PromptSegLib.mrml import nodes, slice_views

    editor = watching()
    if editor is None:
        return
    node, volume, segment = editor.segmentationNode(), editor.sourceVolumeNode(), editor.currentSegmentID()
    axis, index = slice_views.slice_of(widget.mrmlSliceNode(), volume)
    mask = nodes.segment_mask(node, segment, volume)
    plane = np.moveaxis(mask, axis, 0)[index]
    row, column = (n // 2 for n in plane.shape)
    plane[row - BRUSH : row + BRUSH, column : column + 2 * BRUSH] = True
    stroke(nodes.prepare(_Mask(mask), node, volume))
