"""What we write opens in 3D Slicer, and what it writes opens here: checked with Slicer's own libraries."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import entry_string, find
from PromptSegLib.volumes.io import read_labels, read_volume, write_labels, write_segments


@pytest.fixture
def volume(tmp_path, make_image, hu, direction):
    sitk.WriteImage(make_image(hu, direction), tmp_path / "in.nii.gz")
    return read_volume(tmp_path / "in.nii.gz")


@pytest.fixture
def load(slicer, scene):
    def load(path):
        node, storage = slicer.vtkMRMLSegmentationNode(), slicer.vtkMRMLSegmentationStorageNode()
        scene.AddNode(node)
        scene.AddNode(storage)
        storage.SetFileName(str(path))
        assert storage.ReadData(node) == 1
        node.SetAndObserveStorageNodeID(storage.GetID())
        return node

    return load


def _tag(segment) -> str:
    from vtkmodules.vtkCommonCore import mutable

    value = mutable("")
    return str(value) if segment.GetTag("TerminologyEntry", value) else ""


def _mask(segment, shape) -> np.ndarray:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    image = segment.GetRepresentation("Binary labelmap")
    low_i, high_i, low_j, high_j, low_k, high_k = image.GetExtent()
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    whole = np.zeros(shape, bool)
    whole[low_k : high_k + 1, low_j : high_j + 1, low_i : high_i + 1] = array == segment.GetLabelValue()
    return whole


def _matrix(segment) -> np.ndarray:
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    matrix = vtkMatrix4x4()
    segment.GetRepresentation("Binary labelmap").GetImageToWorldMatrix(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def test_slicer_opens_a_label_map_as_segments(tmp_path, volume, labels, load):
    lesion = Structure("läsion", None, (0.25, 0.5, 1.0))
    structures = {1: find("portal and splenic veins"), 2: find("left kidney"), 5: lesion, 6: find("spleen")}
    write_labels(tmp_path / "a.seg.nrrd", labels, volume.grid, structures)
    segmentation = load(tmp_path / "a.seg.nrrd").GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 4
    assert segmentation.GetNumberOfLayers() == 1
    for number, (value, structure) in enumerate(structures.items()):
        segment = segmentation.GetNthSegment(number)
        assert segment.GetName() == structure.name
        assert segment.GetColor() == pytest.approx(structure.colour)
        assert segment.GetLabelValue() == value
        if structure.code:  # Slicer calls the rest "Tissue"
            assert _tag(segment) == entry_string(structure)
        assert np.array_equal(_mask(segment, labels.shape), labels == value)
        assert np.allclose(_matrix(segment), volume.ijk_to_ras, rtol=0, atol=1e-9)


def test_slicer_opens_overlapping_segments_as_layers(tmp_path, volume, load):
    rng = np.random.default_rng(5)
    masks = {find(name): rng.random(volume.voxels.shape) < 0.4 for name in ("liver", "aorta", "right lung")}
    write_segments(tmp_path / "a.seg.nrrd", masks, volume.grid)
    segmentation = load(tmp_path / "a.seg.nrrd").GetSegmentation()
    assert segmentation.GetNumberOfLayers() == 3
    for number, (structure, mask) in enumerate(masks.items()):
        segment = segmentation.GetNthSegment(number)
        assert segment.GetName() == structure.name
        assert _tag(segment) == entry_string(structure)
        assert np.array_equal(_mask(segment, mask.shape), mask)
        assert np.allclose(_matrix(segment), volume.ijk_to_ras, rtol=0, atol=1e-9)


def test_slicer_understands_our_terminology(slicer, tmp_path):
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    entry = slicer.vtkSlicerTerminologyEntry()
    logic.DeserializeTerminologyEntry(entry_string(find("left kidney")), entry)
    text = logic.SerializeTerminologyEntry(entry) if entry.GetTypeObject() else ""
    assert "SCT^64033007^Kidney~SCT^7771000^Left" in text


@pytest.mark.parametrize("crop", [False, True])
def test_we_open_what_slicer_writes(tmp_path, volume, load, slicer, crop):
    masks = {name: np.zeros(volume.voxels.shape, bool) for name in ("liver", "left kidney")}
    masks["liver"][1:3, 2:5, 3:6] = True
    masks["left kidney"][2:4, 3:6, 1:5] = True
    write_segments(tmp_path / "a.seg.nrrd", {find(name): mask for name, mask in masks.items()}, volume.grid)
    node = load(tmp_path / "a.seg.nrrd")
    storage = node.GetStorageNode()
    storage.SetCropToMinimumExtent(crop)
    storage.SetFileName(str(tmp_path / "b.seg.nrrd"))
    assert storage.WriteData(node) == 1
    found = read_labels(tmp_path / "b.seg.nrrd", like=volume.grid)
    assert found.overlapping
    assert found.grid is volume.grid
    for name, mask in masks.items():
        assert np.array_equal(found.mask(name), mask)
    kidney = found.names[found.value_of("left kidney")]
    assert (kidney.code, kidney.modifier, kidney.category) == (
        find("left kidney").code,
        find("left kidney").modifier,
        find("left kidney").category,
    )
    assert kidney.colour == pytest.approx(find("left kidney").colour, abs=1e-5)
    if crop:
        assert read_labels(tmp_path / "b.seg.nrrd").array.shape == (3, 4, 5)
