"""Which slice a view shows, and going to one: straight, oblique, flipped and moved volumes."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.errors import AnnotationError, GridError
from PromptSegLib.mrml.slice_views import go_to, slice_of
from PromptSegLib.mrml.vtk_images import vtk_matrix


@pytest.fixture
def view(slicer, scene):
    """A slice view's node."""
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName("Red")
    return scene.AddNode(node)


def along(view, grid, axis: int, move: np.ndarray | None = None, tilt: float = 0.0) -> None:
    """Turn a view so that it shows slices along an array axis, tilted by some degrees."""
    columns = grid.ijk_to_ras[:3, :3] / np.array(grid.spacing)
    normal = 2 - axis
    x, y = (n for n in range(3) if n != normal)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = columns[:, x], columns[:, y], columns[:, normal]
    a = np.deg2rad(tilt)
    matrix[:3, :3] = matrix[:3, :3] @ [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    matrix[:3, 3] = (grid.ijk_to_ras @ [3, 3, 3, 1])[:3]
    if move is not None:
        matrix = move @ matrix
    view.GetSliceToRAS().DeepCopy(vtk_matrix(matrix))
    view.UpdateMatrices()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_going_to_a_slice_shows_it(view, add_volume, make_grid, direction, axis) -> None:
    grid = make_grid(direction)
    volume_node = add_volume(grid=grid)
    along(view, grid, axis)
    for index in (0, 4, grid.shape[axis] - 1):
        go_to(view, volume_node, axis, index)
        assert slice_of(view, volume_node) == (axis, index)


def test_a_transform_is_followed(view, add_volume, make_grid, add_transform) -> None:
    grid, transform = make_grid(), add_transform()
    volume_node = add_volume(grid=grid)
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    from PromptSegLib.mrml.slice_views import to_world

    along(view, grid, 0, to_world(volume_node))
    go_to(view, volume_node, 0, 2)
    assert slice_of(view, volume_node) == (0, 2)
    along(view, grid, 0)  # as if there were no transform
    with pytest.raises(AnnotationError, match="not along the slices of CT; turn it to the volume plane"):
        slice_of(view, volume_node)


def test_a_slightly_tilted_view_is_taken_and_more_is_not(view, add_volume, make_grid) -> None:
    grid = make_grid()
    volume_node = add_volume(grid=grid)
    along(view, grid, 0, tilt=8)
    assert slice_of(view, volume_node) == (0, 3)
    along(view, grid, 0, tilt=14)
    with pytest.raises(AnnotationError, match="not along the slices"):
        slice_of(view, volume_node)


def test_a_slice_outside_has_an_index_outside(view, add_volume, make_grid) -> None:
    grid = make_grid()
    volume_node = add_volume(grid=grid)
    along(view, grid, 0)
    view.GetSliceToRAS().SetElement(2, 3, view.GetSliceToRAS().GetElement(2, 3))
    go_to(view, volume_node, 0, -3)
    assert slice_of(view, volume_node) == (0, -3)


def test_a_bent_volume_has_no_slices(view, add_volume, bent) -> None:
    volume_node = add_volume()
    volume_node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(GridError, match="bent by a transform"):
        slice_of(view, volume_node)
