"""What is laid over the slice views as colours: how uncertain a result is, or where two segmentations differ.

Each kind has a colour table of its own, and Slicer's colour legend in the views. Nothing of it is saved with the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .vtk_images import array_of

_ATTRIBUTE = "PromptSeg.Uncertainty"
_KEY = "PromptSeg.UncertaintyOf"
ONLY_FIRST, ONLY_SECOND = 1, 2
"""Values in a map of differences: only in the first segmentation, only in the second."""
FIRST_COLOUR, SECOND_COLOUR = (230, 97, 1), (63, 124, 245)
"""Orange and blue, which are told apart with any colour vision, on grey too."""
_STOPS = ((60, 10, 110), (190, 30, 120), (245, 130, 40), (255, 240, 150))
_FROM_PERCENT = 10
"""What is less uncertain than this is not coloured."""


@dataclass(frozen=True)
class Box:
    """A map: ``values`` (K, J, I) uint8 of the box that begins at ``low``; 0 around it. 255 is wholly uncertain."""

    values: np.ndarray
    low: tuple[int, int, int]


@dataclass(frozen=True)
class Kind:
    """What a map is of: its title in the legend, its colours from the lowest value to the highest, and the lowest and
    highest value that is coloured; ``labels`` names values that are one thing each."""

    title: str
    colours: tuple[tuple[int, int, int], ...]
    lowest: int
    highest: int
    labels: tuple[str, ...] = ()


def uncertainty(title: str = "Uncertainty (%)") -> Kind:
    """Violet over orange to pale yellow: lighter is less sure, in grey as well."""
    return Kind(title, gradient(101), _FROM_PERCENT, 100)


def differences(title: str, first: str, second: str) -> Kind:
    """Where two segmentations differ; ``first`` and ``second`` say in words what only one of them has."""
    return Kind(title, ((0, 0, 0), FIRST_COLOUR, SECOND_COLOUR), ONLY_FIRST, ONLY_SECOND, ("", first, second))


def gradient(count: int) -> tuple[tuple[int, int, int], ...]:
    """So many colours from certain to uncertain."""
    at = np.linspace(0, len(_STOPS) - 1, count)
    channels = [np.interp(at, range(len(_STOPS)), [stop[n] for stop in _STOPS]) for n in range(3)]
    return tuple((int(r), int(g), int(b)) for r, g, b in zip(*channels, strict=True))


def difference(first: Box, second: Box) -> Box:
    """A map of where two masks differ, in the box that holds both."""
    boxes = [one for one in (first, second) if one.values.size]
    if not boxes:
        return Box(np.zeros((0, 0, 0), np.uint8), (0, 0, 0))
    low = np.min([one.low for one in boxes], axis=0)
    high = np.max([np.add(one.low, one.values.shape) for one in boxes], axis=0)
    out = np.zeros(high - low, np.uint8)
    for value, one in ((ONLY_FIRST, first), (ONLY_SECOND, second)):
        if one.values.size:
            out[_inside(one, low)] += (one.values > 0).astype(np.uint8) * np.uint8(value)
    out[out == ONLY_FIRST + ONLY_SECOND] = 0
    k, j, i = (int(n) for n in low)
    return Box(out, (k, j, i))


def _inside(one: Box, low: Sequence[int] | np.ndarray = (0, 0, 0)) -> tuple[slice, ...]:
    return tuple(slice(a - b, a - b + n) for a, b, n in zip(one.low, low, one.values.shape, strict=True))


def show(volume_node: Any, maps: Sequence[Box], opacity: float, kind: Kind | None = None, key: str = "") -> Any:
    """Lay maps over a volume in all slice views, the greatest value at each voxel; without a ``kind``, of uncertainty.

    Gives the volume node that holds them: made once, and not saved with the scene. ``key`` says which maps they are, so
    that another opacity alone copies nothing.
    """
    kind = kind or uncertainty()
    node = _node(volume_node) or _make(volume_node)
    known = f"{kind.title} {key} {len(maps)} {sum(id(one.values) for one in maps)}"
    if node.GetAttribute(_KEY) != known:
        out = array_of(node.GetImageData())
        out[:] = 0
        for one in maps:
            values = one.values if kind.labels else _percent(one.values)
            part = out[_inside(one)]
            np.maximum(part, values, out=part)
        _dress(node, kind)
        node.GetImageData().GetPointData().GetScalars().Modified()
        node.GetImageData().Modified()
        node.SetAttribute(_KEY, known)
    for composite in _views(volume_node.GetScene()):
        composite.SetForegroundVolumeID(node.GetID())
        composite.SetForegroundOpacity(float(min(1.0, opacity)))
    return node


def hide(volume_node: Any) -> None:
    """Take it away, with its colours and its legend, and free its memory."""
    if volume_node is None or volume_node.GetScene() is None:
        return
    node, scene = _node(volume_node), volume_node.GetScene()
    if node is None:
        return
    for composite in _views(scene):
        if composite.GetForegroundVolumeID() == node.GetID():
            composite.SetForegroundVolumeID(None)
    display = node.GetDisplayNode()
    for one in (_legend_of(node), display.GetColorNode() if display is not None else None, node, display):
        if one is not None:
            scene.RemoveNode(one)


_PERCENT = ((np.arange(256) * 100 + 127) // 255).astype(np.uint8)


def _percent(values: np.ndarray) -> np.ndarray:
    """0 to 255 as 0 to 100: the numbers at the legend."""
    return _PERCENT[values]


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
    node.SetName("PromptSeg overlay")
    node.SetHideFromEditors(1)
    node.SetSaveWithScene(0)
    node.SetAttribute(_ATTRIBUTE, volume_node.GetID())
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(image)
    scene.AddNode(node)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    # What is shown from where to where is known: a default display would go through all voxels to find it.
    display = scene.CreateNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.UnRegister(None)
    display.SetAutoWindowLevel(0)
    display.SetAutoThreshold(0)
    display.SetSaveWithScene(0)
    node.SetAndObserveDisplayNodeID(scene.AddNode(display).GetID())
    return node


def _dress(node: Any, kind: Kind) -> None:
    """Have a map in the colours of its kind, with a legend."""
    display = node.GetDisplayNode()
    if display is None:
        return
    former = display.GetColorNode()
    if former is None or former.GetName() != kind.title:
        table = _table(node.GetScene(), kind)
        display.SetAndObserveColorNodeID(table.GetID())
        if former is not None and former.GetAttribute(_ATTRIBUTE):
            node.GetScene().RemoveNode(former)
    display.SetAutoWindowLevel(0)
    display.SetWindowLevelMinMax(0, len(kind.colours) - 1)
    display.SetInterpolate(0 if kind.labels else 1)
    display.SetLowerThreshold(kind.lowest)
    display.SetUpperThreshold(kind.highest)
    display.SetApplyThreshold(1)
    display.SetSaveWithScene(0)
    _legend(node, kind)


def _table(scene: Any, kind: Kind) -> Any:
    table = scene.CreateNodeByClass("vtkMRMLColorTableNode")
    table.UnRegister(None)
    table.SetTypeToUser()
    table.SetName(kind.title)
    table.SetAttribute(_ATTRIBUTE, "colours")
    table.SetHideFromEditors(1)
    table.SetSaveWithScene(0)
    table.SetNumberOfColors(len(kind.colours))
    for number, (red, green, blue) in enumerate(kind.colours):
        name = kind.labels[number] if kind.labels else str(number)
        table.SetColor(number, name or "none", red / 255, green / 255, blue / 255, 0.0 if not number else 1.0)
    return scene.AddNode(table)


def _legend(node: Any, kind: Kind) -> None:
    """Slicer's own legend of colours, in the slice views alone."""
    import slicer

    if not node.GetScene().GetClassNameByTag(slicer.vtkMRMLColorLegendDisplayNode().GetNodeTagName()):
        return  # slicer-core without Slicer's module Colors
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    legend.SetSaveWithScene(0)
    legend.SetAndObserveColorNodeID(node.GetDisplayNode().GetColorNodeID())
    legend.SetTitleText(kind.title)
    legend.SetUseColorNamesForLabels(bool(kind.labels))
    legend.SetMaxNumberOfColors(len(kind.colours))
    legend.SetLabelFormat("%s" if kind.labels else "%.0f")
    legend.SetNumberOfLabels(len(kind.colours) if kind.labels else 3)
    legend.SetSize(0.12, 0.35)
    legend.SetVisibility3D(False)
    legend.SetVisibility(True)


def _legend_of(node: Any) -> Any:
    import slicer

    return slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)


def _views(scene: Any) -> list[Any]:
    kind = "vtkMRMLSliceCompositeNode"
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]
