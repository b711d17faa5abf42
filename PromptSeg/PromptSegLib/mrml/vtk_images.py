"""VTK's images and matrices as numpy arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

SCALARS = "ImageScalars"
"""What VTK itself calls them. Slicer's DICOM export asks for them by this name, and takes others for empty."""


def matrix_of(source: Any) -> np.ndarray:
    """(4, 4) float64 of a ``vtkMatrix4x4``."""
    return np.array([[source.GetElement(row, column) for column in range(4)] for row in range(4)])


def vtk_matrix(matrix: np.ndarray) -> Any:
    """A ``vtkMatrix4x4`` of a (4, 4) array."""
    import vtk

    made = vtk.vtkMatrix4x4()
    made.DeepCopy(np.asarray(matrix, dtype=np.float64).ravel().tolist())
    return made


def array_of(image: Any) -> np.ndarray:
    """The scalars of a ``vtkImageData`` with one component as (K, J, I), a view that keeps them alive; empty if there
    are none."""
    from vtk.util.numpy_support import vtk_to_numpy

    shape = image.GetDimensions()[::-1]
    scalars = image.GetPointData().GetScalars()
    if scalars is None or not all(n > 0 for n in shape):
        return np.zeros((0, 0, 0), np.uint8)
    return vtk_to_numpy(scalars).reshape(shape)


def image_of(voxels: np.ndarray) -> Any:
    """A ``vtkImageData`` with a copy of voxels (K, J, I)."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(voxels.shape[::-1])
    scalars = numpy_to_vtk(np.ascontiguousarray(voxels).ravel(), deep=True)
    scalars.SetName(SCALARS)
    image.GetPointData().SetScalars(scalars)
    return image


def image_to_world(image: Any) -> np.ndarray:
    """(4, 4) IJK to RAS in mm of a ``vtkOrientedImageData``; its IJK begin where its extent does."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrix_of(matrix)


def oriented_image(mask: np.ndarray, low: tuple[int, int, int], ijk_to_ras: np.ndarray) -> Any:
    """A ``vtkOrientedImageData`` of a box (K, J, I) that begins at ``low`` (k, j, i) of the grid of ``ijk_to_ras``."""
    import slicer
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = slicer.vtkOrientedImageData()
    image.SetImageToWorldMatrix(vtk_matrix(ijk_to_ras))
    if not mask.size:  # Slicer's way to say that there is nothing
        image.SetExtent(0, -1, 0, -1, 0, -1)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        return image
    bounds = [(a, a + n - 1) for a, n in zip(reversed(low), reversed(mask.shape), strict=True)]
    image.SetExtent([int(n) for pair in bounds for n in pair])
    flat = np.ascontiguousarray(mask, dtype=np.uint8).ravel()
    scalars = numpy_to_vtk(flat, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    scalars.SetName(SCALARS)
    image.GetPointData().SetScalars(scalars)
    return image
