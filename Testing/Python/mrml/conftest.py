"""Real MRML nodes, by slicer-core: Slicer's own libraries without its application."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.volumes.volume import Grid

SHAPE = (6, 7, 8)


def _turn(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


DIRECTIONS = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "oblique": _turn(1),
    "oblique and flipped": _turn(3) * [1.0, -1.0, 1.0],
}


@pytest.fixture(params=DIRECTIONS, ids=str)
def direction(request) -> np.ndarray:
    """A (3, 3) matrix of cosines."""
    return DIRECTIONS[request.param]


@pytest.fixture
def make_grid():
    """An anisotropic grid (K, J, I) = (6, 7, 8) with odd numbers."""

    def make(cosines: np.ndarray = DIRECTIONS["oblique"]) -> Grid:
        size = (SHAPE[2], SHAPE[1], SHAPE[0])
        return Grid(size, (-181.3328857421875, 17.1, 1203.7), (0.7421875, 0.8123, 2.5001), tuple(np.ravel(cosines)))

    return make


@pytest.fixture
def add_volume(slicer, scene, make_grid):
    """Add a CT to the scene: a ``vtkMRMLScalarVolumeNode``, made with VTK alone."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    def add(array: np.ndarray | None = None, grid: Grid | None = None, name: str = "CT", kind: str = "Scalar"):
        grid = grid or make_grid()
        if array is None:
            array = np.random.default_rng(0).integers(-1024, 1500, SHAPE).astype(np.int16)
        image = vtk.vtkImageData()
        image.SetDimensions(array.shape[2], array.shape[1], array.shape[0])
        image.GetPointData().SetScalars(numpy_to_vtk(array.reshape(-1, *array.shape[3:]), deep=True))
        node = scene.AddNewNodeByClass(f"vtkMRML{kind}VolumeNode", name)
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(grid.ijk_to_ras.ravel().tolist())
        node.SetAndObserveImageData(image)
        node.SetIJKToRASMatrix(matrix)
        return node

    return add


@pytest.fixture
def add_transform(scene):
    """Add a linear transform of a (4, 4) matrix, by default a turn and a shift."""
    import vtk

    def add(matrix: np.ndarray | None = None):
        if matrix is None:
            matrix = np.eye(4)
            matrix[:3, :3], matrix[:3, 3] = _turn(9), (11.0, -7.0, 30.0)
        made = vtk.vtkMatrix4x4()
        made.DeepCopy(matrix.ravel().tolist())
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        node.SetMatrixTransformToParent(made)
        return node

    return add


@pytest.fixture
def bent(scene, bend):
    """A transform that is not linear."""
    return bend(scene)


@pytest.fixture
def draw(slicer):
    """Put a mask (K, J, I) into a segmentation as a user's drawing does: a segment without our tags."""
    from PromptSegLib.mrml.vtk_images import oriented_image

    def draw(node, mask: np.ndarray, grid: Grid, name: str = "kidney", value: int = 1) -> str:
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", oriented_image(mask * value, (0, 0, 0), grid.ijk_to_ras))
        segment.SetLabelValue(value)
        assert node.GetSegmentation().AddSegment(segment)
        return node.GetSegmentation().GetSegmentIdBySegment(segment)

    return draw


@pytest.fixture
def blob() -> np.ndarray:
    """A mask (6, 7, 8) with no symmetry."""
    mask = np.zeros(SHAPE, bool)
    mask[1:4, 2:5, 1:6] = True
    mask[2, 5, 3] = mask[4, 2, 6] = True
    return mask
