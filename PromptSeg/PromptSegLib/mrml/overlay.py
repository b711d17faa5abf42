"""How unsure a result is, laid over the slice views as a colour map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .vtk_images import array_of

NAME = "PromptSeg uncertainty"
_ATTRIBUTE = "PromptSeg.Uncertainty"
_KEY = "PromptSeg.UncertaintyOf"


@dataclass(frozen=True)
class Box:
    """A map: ``values`` (K, J, I) uint8, 255 for wholly unsure, of the box that begins at ``low``; 0 around it."""

    values: np.ndarray
    low: tuple[int, int, int]


def show(volume_node: Any, maps: Sequence[Box], opacity: float, key: str = "") -> Any:
    """Lay maps over a volume in all slice views, the greatest value at each voxel.

    Gives the volume node that holds them: made once, and not saved with the scene. ``key`` says which maps they are, so
    that another opacity alone copies nothing.
    """
    node = _node(volume_node) or _make(volume_node)
    known = f"{key} {len(maps)} {sum(id(one.values) for one in maps)}"
    if node.GetAttribute(_KEY) != known:
        out = array_of(node.GetImageData())
        out[:] = 0
        for one in maps:
            part = out[tuple(slice(a, a + n) for a, n in zip(one.low, one.values.shape, strict=True))]
            np.maximum(part, one.values, out=part)
        node.GetImageData().GetPointData().GetScalars().Modified()
        node.GetImageData().Modified()
        node.SetAttribute(_KEY, known)
    for composite in _views(volume_node.GetScene()):
        composite.SetForegroundVolumeID(node.GetID())
        composite.SetForegroundOpacity(float(min(1.0, opacity)))
    return node


def hide(volume_node: Any) -> None:
    """Take it away, and free its memory."""
    if volume_node is None or volume_node.GetScene() is None:
        return
    node = _node(volume_node)
    if node is None:
        return
    for composite in _views(volume_node.GetScene()):
        if composite.GetForegroundVolumeID() == node.GetID():
            composite.SetForegroundVolumeID(None)
    volume_node.GetScene().RemoveNode(node)


def _node(volume_node: Any) -> Any:
    scene = volume_node.GetScene()
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode")
        if node.GetAttribute(_ATTRIBUTE) == volume_node.GetID():
            return node
    return None


def _make(volume_node: Any) -> Any:
    import vtk

    scene = volume_node.GetScene()
    image = vtk.vtkImageData()
    image.SetDimensions(volume_node.GetImageData().GetDimensions())
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(NAME)
    node.SetHideFromEditors(1)
    node.SetSaveWithScene(0)
    node.SetAttribute(_ATTRIBUTE, volume_node.GetID())
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(image)
    scene.AddNode(node)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display is not None:
        display.SetAutoWindowLevel(0)
        display.SetWindowLevelMinMax(0, 255)
        display.SetLowerThreshold(25)
        display.SetUpperThreshold(255)
        display.SetApplyThreshold(1)
        display.SetSaveWithScene(0)
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileColdToHotRainbow.txt")
        if display.GetColorNode() is None:
            display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeRed")
    return node


def _views(scene: Any) -> list[Any]:
    kind = "vtkMRMLSliceCompositeNode"
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]
