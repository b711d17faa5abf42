"""Volume nodes to our volumes, our masks to segmentation nodes, and segments to masks.

A volume and what is drawn on it lie under the same parent transform, as Slicer itself arranges it, and everything here
is in the coordinates below that transform: voxels stay as they were scanned, and moving volume and segmentation
together changes nothing. Where two nodes lie under different transforms, that is compared, and refused where it does
not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..anatomy.structure import Structure
from ..anatomy.terminology import entry_string
from ..errors import GridError, InputError
from ..volumes.reorient import turned_box
from ..volumes.volume import Grid, Volume
from .vtk_images import array_of, image_of, image_to_world, matrix_of, oriented_image, vtk_matrix

RESULT_TAG = "PromptSeg.Structure"
"""The segment tag of results: the structure's name. A further result replaces these, and never what a user drew."""
TAUGHT_TAG = "PromptSeg.Taught"
"""The tag of results that were taught in this volume: no result of a prompt replaces them."""
TAUGHT = ", taught"
"""Follows the structure's name in the segment that shows what was learned, beside the segment that was drawn."""
STATUS_TAG = "Segmentation.Status"
"""3D Slicer's own: whether work on a segment is done, or it is flagged."""
ALGORITHM_TAG, ALGORITHM = "DICOM.SegmentAlgorithmName", "PromptSeg"
HOW_TAG = "DICOM.SegmentAlgorithmType"
"""What 3D Slicer's DICOM export writes of a segment; of one without these tags it says that it was drawn by hand."""
LABELMAP, SURFACE = "Binary labelmap", "Closed surface"


class Result(Protocol):
    """One structure's mask: bool of the box that begins at ``low`` (k, j, i); see
    :class:`PromptSegLib.worker.payload.Found`."""

    @property
    def structure(self) -> Structure:
        """Name, terminology and colour."""

    @property
    def mask(self) -> np.ndarray:
        """(K, J, I) of the box."""

    @property
    def low(self) -> tuple[int, int, int]:
        """Where the box begins."""


class Keeper(Protocol):
    """Is told what a result takes the place of: see :class:`PromptSegLib.mrml.undo_snapshot.UndoSnapshot`."""

    def keep(self, identity: str, image: Any, result: Result, former: Any, value: int, status: str) -> None:
        """A segment shows a result, as ``image``, in place of ``former``."""


def grid_of(node: Any) -> Grid:
    """The grid of a volume node, without its parent transform. Raises as :func:`volume_of`."""
    image = node.GetImageData() if node is not None and hasattr(node, "GetImageData") else None
    if image is None or min(image.GetDimensions()) < 1 or image.GetPointData().GetScalars() is None:
        name = node.GetName() if node is not None else "The volume"
        raise InputError(f"{name} has no image", "choose a volume that is loaded")
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    i, j, k = image.GetDimensions()
    return Grid.from_ijk_to_ras(matrix_of(matrix), (k, j, i), node.GetName() or "The volume")


def volume_of(node: Any) -> Volume:
    """The volume of a ``vtkMRMLScalarVolumeNode``, which shares its voxels where they are int16 or float32.

    Raises :class:`InputError` for a node without a 3-D scalar image, and :class:`GridError` for a sheared grid.
    """
    grid = grid_of(node)
    name = node.GetName() or "volume"
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(f"{name} is a label map", "choose the CT itself")
    if node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"{name} has several values per voxel", "choose a volume with one value per voxel, such as a CT"
        )
    voxels = array_of(node.GetImageData())
    if voxels.dtype not in (np.int16, np.float32):
        low, high = voxels.min(), voxels.max()
        integers = voxels.dtype.kind in "iu" and low >= -(2**15) and high < 2**15
        voxels = voxels.astype(np.int16 if integers else np.float32)
    view = voxels.view()
    view.flags.writeable = False
    return Volume(view, grid, name)


def add_volume(scene: Any, volume: Volume) -> Any:
    """Put a volume into a scene: a ``vtkMRMLScalarVolumeNode`` with a copy of its voxels."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", volume.name or "volume")
    node.SetAndObserveImageData(image_of(volume.voxels))
    node.SetIJKToRASMatrix(vtk_matrix(volume.grid.ijk_to_ras))
    node.CreateDefaultDisplayNodes()
    return node


def remove(node: Any) -> None:
    """Take a node out of its scene, if it is in one."""
    if node is not None and node.GetScene() is not None:
        node.GetScene().RemoveNode(node)


def new_segmentation(volume_node: Any, name: str = "") -> Any:
    """A segmentation node for a volume in its scene: on its grid, under its transform, beside it in the subject
    hierarchy, with it as the source image of a DICOM export."""
    scene = volume_node.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name or f"{volume_node.GetName()} segmentation")
    node.CreateDefaultDisplayNodes()
    attach(node, volume_node)
    return node


def attach(node: Any, volume_node: Any) -> None:
    """Make ``volume_node`` what a segmentation is of."""
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    _refer(node, volume_node)


def _refer(node: Any, volume_node: Any) -> None:
    """Make ``volume_node`` the source of a segmentation's DICOM export, and place it beside it: under its study."""
    import slicer

    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume_node.GetScene())
    if hierarchy is not None:
        own, its = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volume_node)
        if own and its:
            hierarchy.SetItemParent(own, hierarchy.GetItemParent(its))
        elif its:  # without the Slicer application, nobody makes items for new nodes
            hierarchy.CreateItem(hierarchy.GetItemParent(its), node)


def show(
    results: Sequence[Result],
    node: Any,
    volume_node: Any,
    save_state: Callable[[], object] | None = None,
    *,
    images: Sequence[Any] | None = None,
    taught: bool = False,
    before: Keeper | None = None,
) -> list[str]:
    """Put masks into a segmentation node, all at once, and give the ids of their segments.

    ``images`` are what :func:`prepare` made of each result, so that little is left to do here; ``taught`` says that
    they were taught in this volume; ``before`` is told what is replaced.

    A former result of the same structure is replaced and keeps the name and colour that the user may have given it; one
    that was taught is replaced by one that was taught alone. What was drawn is never touched. ``save_state`` is called
    before the node changes: the segment editor's ``SaveStateForUndo``. Raises :class:`GridError` if the node belongs to
    another volume, and :class:`InputError` if it holds surfaces alone.
    """
    import slicer

    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments():
        _check_belongs(node, volume_node)
        if node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is None:
            _refer(node, volume_node)
    else:
        attach(node, volume_node)
    if images is None:  # before anything changes
        images = [prepare(one, node, volume_node) for one in results]
    former = {}
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        structure = tag(segment, RESULT_TAG)
        if structure and is_taught(segment) == taught:
            former[structure] = segment_id
    if save_state is not None:
        save_state()
    ids = []
    in_3d = segmentation.ContainsRepresentation(SURFACE)
    were = node.StartModify()
    try:
        for one, image in zip(results, images, strict=True):
            name = one.structure.name
            segment_id = former.get(name, "")
            replaced, value, status = None, 1, ""
            if segment_id:
                segmentation.SeparateSegmentLabelmap(segment_id)  # it may share its label map with drawn segments
                segment = segmentation.GetSegment(segment_id)
                replaced, value = segment.GetRepresentation(LABELMAP), segment.GetLabelValue()
                status = tag(segment, STATUS_TAG)
                segment.RemoveAllRepresentations(LABELMAP)
                segment.SetLabelValue(1)
                segment.AddRepresentation(LABELMAP, image)
                segment.RemoveTag(STATUS_TAG)  # what was decided was of the mask before
                segment.Modified()
            else:
                segment = slicer.vtkSegment()
                _describe(segment, one.structure)
                segment.SetName(f"{name}{TAUGHT}" if taught else name)
                segment.SetTag(RESULT_TAG, name)
                if taught:
                    segment.SetTag(TAUGHT_TAG, "1")
                segment.AddRepresentation(LABELMAP, image)
                segment_id = segmentation.GenerateUniqueSegmentID("PromptSeg")
                segmentation.AddSegment(segment, segment_id)
            segment.SetTag(ALGORITHM_TAG, ALGORITHM)
            segment.SetTag(HOW_TAG, "SEMIAUTOMATIC" if taught else "AUTOMATIC")
            if before is not None:
                before.keep(segment_id, image, one, replaced, value, status)
            ids.append(segment_id)
        if in_3d:
            segmentation.CreateRepresentation(SURFACE)  # of those that lack it
    finally:
        node.EndModify(were)
    return ids


def prepare(result: Result, node: Any, volume_node: Any) -> Any:
    """A result as Slicer's label map, in the coordinates of a segmentation node, should it lie under another transform.

    Raises :class:`GridError` where transforms do not fit.
    """
    ijk_to_own = np.linalg.inv(_between(node, volume_node)) @ grid_of(volume_node).ijk_to_ras
    return oriented_image(result.mask, result.low, ijk_to_own)


def check_belongs(node: Any, volume_node: Any) -> None:
    """Raise what :func:`show` would raise for this segmentation node: to be asked before a long run starts."""
    if node.GetSegmentation().GetNumberOfSegments():
        _check_belongs(node, volume_node)


def segment_mask(node: Any, segment_id: str, volume_node: Any, resample: bool = False) -> np.ndarray:
    """(K, J, I) bool of one segment on a volume's grid.

    Raises :class:`InputError` if there is no such segment, and :class:`GridError` if the segment's voxels are not those
    of the volume; with ``resample`` they are then resampled, as a reference to compare with may be.
    """
    found = _box(node, segment_id, volume_node)
    grid = grid_of(volume_node)
    if found is None:
        segment = node.GetSegmentation().GetSegment(segment_id)
        if not resample:
            raise GridError(
                f"{segment.GetName()} was not drawn on the voxels of {volume_node.GetName()}",
                "draw on the volume that it belongs to",
            )
        image = segment.GetRepresentation(LABELMAP)
        return _resampled(image, segment.GetLabelValue(), _between(node, volume_node) @ image_to_world(image), grid)
    out = np.zeros(grid.shape, bool)
    array, low = found
    out[tuple(slice(a, a + n) for a, n in zip(low, array.shape, strict=True))] = array
    return out


def segment_box(
    node: Any, segment_id: str, volume_node: Any, resample: bool = True
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """(K, J, I) bool of one segment in a box of its own, and where that begins (k, j, i) in the volume: quick where its
    voxels are the volume's; resampled to the whole volume where they are not. Raises as :func:`segment_mask`."""
    found = _box(node, segment_id, volume_node)
    return (segment_mask(node, segment_id, volume_node, resample), (0, 0, 0)) if found is None else found


def is_taught(segment: Any) -> bool:
    """Whether a result was taught in this volume; older scenes say it in the name alone."""
    return bool(tag(segment, TAUGHT_TAG)) or str(segment.GetName()).endswith(TAUGHT)


def _box(node: Any, segment_id: str, volume_node: Any) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    """A segment's voxels (K, J, I) bool in its own box and where that begins; None where they are not the volume's."""
    grid = grid_of(volume_node)
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise InputError(f"{node.GetName()} has no such segment", "choose a segment")
    image = segment.GetRepresentation(LABELMAP)
    if image is None:
        _check_labelmaps(node)
    array = np.zeros((0, 0, 0), np.uint8) if image is None else array_of(image)
    if image is None or not array.size:
        return np.zeros((0, 0, 0), bool), (0, 0, 0)
    first = np.array(image.GetExtent()[::2][::-1])
    matrix = _between(node, volume_node) @ image_to_world(image)
    offset = _offset(matrix, grid)
    if offset is None:
        turned = turned_box(array, matrix, first, grid)
        offset = None if turned is None else _offset(turned[1].ijk_to_ras, grid)
        if turned is None or offset is None:
            return None
        array, first = turned[0], np.zeros(3, int)
    low = np.array([a + b for a, b in zip(first, offset, strict=True)])
    shape, target = np.array(array.shape), np.array(grid.shape)
    start, stop = np.clip(-low, 0, shape), np.clip(target - low, 0, shape)
    inside = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    k, j, i = (int(n) for n in start + low)
    return array[inside] == segment.GetLabelValue(), (k, j, i)


def tag(segment: Any, name: str) -> str:
    """A segment's tag; empty if it has none."""
    import vtk

    value = vtk.mutable("")
    return str(value) if segment.GetTag(name, value) else ""


def _describe(segment: Any, structure: Structure) -> None:
    segment.SetName(structure.name)
    segment.SetNameAutoGenerated(False)
    segment.SetColor(*structure.colour)
    segment.SetColorAutoGenerated(False)
    entry = entry_string(structure)
    if entry:
        segment.SetTag(segment.GetTerminologyEntryTagName(), entry)


def _check_belongs(node: Any, volume_node: Any) -> None:
    """Whether results of a volume may be put beside the segments that are there."""
    _check_labelmaps(node)
    other = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    if other is not None and other is not volume_node and not grid_of(other).matches(grid_of(volume_node)):
        raise GridError(
            f"{node.GetName()} belongs to the volume {other.GetName()}", "choose another segmentation or a new one"
        )


def _check_labelmaps(node: Any) -> None:
    if node.GetSegmentation().GetSourceRepresentationName() != LABELMAP:
        raise InputError(
            f"{node.GetName()} holds surfaces and no label map",
            "make binary labelmap its source representation in the module Segmentations",
        )


def _between(node: Any, volume_node: Any) -> np.ndarray:
    """(4, 4) from a segmentation's coordinates to a volume's, both below their transforms; refuses bent ones."""
    own, its = node.GetParentTransformNode(), volume_node.GetParentTransformNode()
    if own is its:
        return np.eye(4)
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(own, its, matrix):
        raise GridError(
            f"{node.GetName()} and {volume_node.GetName()} are moved by different transforms, and one of them is bent",
            "put both under the same transform in the module Transforms",
        )
    return matrix_of(matrix)


def _offset(matrix: np.ndarray, grid: Grid) -> tuple[int, int, int] | None:
    """By how many voxels (k, j, i) a label map is shifted on a grid; None if their voxels do not coincide."""
    change = np.linalg.inv(grid.ijk_to_ras) @ matrix
    shift = change[:3, 3]
    integers = np.round(shift)
    # Over the whole volume, less than a twentieth of a voxel.
    bent = np.abs((change[:3, :3] - np.eye(3)) * np.array(grid.size)).sum(axis=1).max()
    if bent > 0.05 or np.abs(shift - integers).max() > 0.05:
        return None
    i, j, k = (int(n) for n in integers)
    return k, j, i


def _resampled(image: Any, value: int, matrix: np.ndarray, grid: Grid) -> np.ndarray:
    """Nearest neighbour."""
    import slicer

    source = slicer.vtkOrientedImageData()
    source.ShallowCopy(image)
    source.SetImageToWorldMatrix(vtk_matrix(matrix))
    reference = oriented_image(np.zeros(grid.shape, np.uint8), (0, 0, 0), grid.ijk_to_ras)
    out = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(source, reference, out)
    return array_of(out) == value
