"""Maps in colours over the slice views, with a legend, and nothing left of them afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.mrml import nodes, overlay
from PromptSegLib.mrml.vtk_images import array_of
from PromptSegLib.volumes.volume import Grid, Volume


@pytest.fixture
def ct(scene, slicer):
    if not scene.GetClassNameByTag("ColorLegendDisplay"):
        scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    return nodes.add_volume(scene, Volume(np.zeros((5, 6, 7), np.int16), Grid((7, 6, 5))))


def names(scene) -> list[str]:
    return sorted(
        scene.GetNthNode(n).GetName()
        for n in range(scene.GetNumberOfNodes())
        if scene.GetNthNode(n).GetClassName().startswith(("vtkMRMLColor", "vtkMRMLScalarVolume"))
    )


def test_where_two_masks_differ() -> None:
    first = overlay.Box(np.ones((2, 2, 2), bool), (1, 1, 1))
    second = overlay.Box(np.ones((2, 2, 2), bool), (1, 2, 1))
    found = overlay.difference(first, second)
    assert found.low == (1, 1, 1)
    assert found.values.shape == (2, 3, 2)
    assert [np.unique(found.values[:, row]).tolist() for row in range(3)] == [
        [overlay.ONLY_FIRST],
        [0],
        [overlay.ONLY_SECOND],
    ]
    nothing = overlay.Box(np.zeros((0, 0, 0), bool), (0, 0, 0))
    assert (overlay.difference(first, nothing).values == overlay.ONLY_FIRST).all()
    assert not overlay.difference(nothing, nothing).values.size


def test_each_kind_has_its_colours_and_a_legend_and_none_is_left(ct, scene, slicer) -> None:
    view = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    before = names(scene)
    uncertain = overlay.Box(np.full((2, 2, 2), 255, np.uint8), (1, 1, 1))
    node = overlay.show(ct, [uncertain], 0.5)
    assert array_of(node.GetImageData())[1, 1, 1] == 100  # percent
    assert node.GetDisplayNode().GetColorNode().GetName() == "Uncertainty (%)"
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert legend.GetTitleText() == "Uncertainty (%)"
    assert not legend.GetSaveWithScene()
    apart = overlay.Box(np.array([[[1, 2]]], np.uint8), (0, 0, 0))
    kind = overlay.differences("Differences", "only in A", "only in B")
    assert overlay.show(ct, [apart], 0.5, kind) is node
    values = array_of(node.GetImageData())
    assert values[0, 0, :2].tolist() == [1, 2]
    assert values.sum() == 3
    table = node.GetDisplayNode().GetColorNode()
    assert [table.GetColorName(n) for n in (1, 2)] == ["only in A", "only in B"]
    assert not table.GetSaveWithScene()
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert legend.GetTitleText() == "Differences"
    assert legend.GetColorNode() is table
    assert view.GetForegroundVolumeID() == node.GetID()
    overlay.hide(ct)
    assert view.GetForegroundVolumeID() is None
    assert names(scene) == before
