"""Which slice of a volume a slice view shows, and how to go to another.

Slicer's own slice index counts from 1 and is wrong for oblique volumes; here the view's plane is taken through the
volume's transform to its voxels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import AnnotationError, GridError
from .nodes import grid_of
from .vtk_images import matrix_of

_ALIGNED = 0.98
"""Cosine of the greatest angle (11 degrees) between a view and the slices that one can draw on."""


def slice_of(slice_node: Any, volume_node: Any) -> tuple[int, int]:
    """(array axis, index) of the slice that a ``vtkMRMLSliceNode`` shows; the index may lie outside of the volume.

    Raises :class:`AnnotationError` if the view is not along the volume's slices.
    """
    grid = grid_of(volume_node)
    plane = np.linalg.inv(to_world(volume_node)) @ matrix_of(slice_node.GetSliceToRAS())
    normal = plane[:3, 2] / np.linalg.norm(plane[:3, 2])
    cosines = np.abs(np.asarray(grid.direction).reshape(3, 3).T @ (normal * [-1, -1, 1]))  # both in LPS
    along = int(np.argmax(cosines))
    if cosines[along] < _ALIGNED:
        raise AnnotationError(
            f"The view is not along the slices of {volume_node.GetName()}",
            "turn it to the volume plane (the view's menu, Rotate to volume plane)",
        )
    index = (np.linalg.inv(grid.ijk_to_ras) @ plane[:, 3])[along]
    return 2 - along, int(np.floor(index + 0.5))


def go_to(slice_node: Any, volume_node: Any, axis: int, index: int) -> None:
    """Show slice ``index`` along ``axis`` in a view that is along these slices; the view does not move in its plane."""
    grid = grid_of(volume_node)
    ijk = (np.array(grid.size) - 1) / 2
    ijk[2 - axis] = index
    r, a, s, _ = to_world(volume_node) @ grid.ijk_to_ras @ np.append(ijk, 1.0)
    slice_node.JumpSliceByOffsetting(float(r), float(a), float(s))


def to_world(volume_node: Any) -> np.ndarray:
    """(4, 4) of a volume's parent transforms. Raises :class:`GridError` for one that is no matrix."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    parent = volume_node.GetParentTransformNode()
    if parent is not None and not parent.GetMatrixTransformToWorld(matrix):
        raise GridError(
            f"{volume_node.GetName()} is bent by a transform, so its slices are no planes",
            "harden the transform or take the volume out of it, in the module Transforms",
        )
    return matrix_of(matrix)
