"""What 3D Slicer's own DICOM export (Subject Hierarchy, *Export to DICOM*) asks of a segmentation, asked of ours.

Slicer's export plugin needs its application. What it looks at is looked at here, and what it hands over is given to the
same program of dcmqi, whose object is read by highdicom. The nodes are Slicer's own (slicer-core).
"""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import find, structures
from PromptSegLib.mrml import nodes, slices
from PromptSegLib.volumes.io import read_volume
from PromptSegLib.worker.payload import Found

from .conftest import SHAPE, complaints, organ, read, write_ct


@pytest.fixture
def series(tmp_path):
    """A CT that was read from a DICOM series."""
    return read_volume(write_ct(tmp_path / "ct"))


@pytest.fixture
def ct(series, slicer, scene):
    """Its node as Slicer loads it: with the instances that it came from, under a study of a patient."""
    node = nodes.add_volume(scene, series)
    uids = [str(read(one).SOPInstanceUID) for one in series.source.files]
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Müller, Ana")
    study = hierarchy.CreateStudyItem(patient, "Abdomen")
    hierarchy.CreateItem(study, node)
    return node


class Exporter:
    """Looks at a segmentation as Slicer's export does."""

    def __init__(self, slicer: Any, node: Any, folder: Path) -> None:
        self.slicer, self.node, self.folder = slicer, node, folder
        self.contents = node.GetSegmentation()
        self.source = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())

    @property
    def study(self) -> int:
        """The item of the study under which the segmentation lies."""
        hierarchy = self.slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.node.GetScene())
        item = hierarchy.GetItemByDataNode(self.node)
        return hierarchy.GetItemAncestorAtLevel(item, "Study") if item else 0

    def filled(self) -> list[str]:
        """The segments that are not taken for empty: by the range of the array of that very name."""
        found = []
        for segment_id in self.contents.GetSegmentIDs():
            image = self.contents.GetSegment(segment_id).GetRepresentation("Binary labelmap")
            scalars = image.GetPointData().GetArray("ImageScalars")
            if scalars is not None and scalars.GetValueRange() != (0, 0):
                found.append(segment_id)
        return found

    def told(self, segment_id: str) -> dict[str, Any]:
        """What is said of a segment, in dcmqi's words."""
        segment = self.contents.GetSegment(segment_id)
        entry = self.slicer.vtkSlicerTerminologyEntry()
        logic = self.slicer.vtkSlicerTerminologiesModuleLogic()
        text = nodes.tag(segment, segment.GetTerminologyEntryTagName())
        assert logic.DeserializeTerminologyEntry(text, entry), "category and type are demanded"
        how = nodes.tag(segment, "DICOM.SegmentAlgorithmType") or "MANUAL"
        name = nodes.tag(segment, "DICOM.SegmentAlgorithmName")
        assert how in ("MANUAL", "SEMIAUTOMATIC", "AUTOMATIC")
        assert how == "MANUAL" or name
        known = {
            "SegmentedPropertyCategoryCodeSequence": entry.GetCategoryObject(),
            "SegmentedPropertyTypeCodeSequence": entry.GetTypeObject(),
            "SegmentedPropertyTypeModifierCodeSequence": entry.GetTypeModifierObject(),
            "AnatomicRegionSequence": entry.GetRegionObject(),
            "AnatomicRegionModifierSequence": entry.GetRegionModifierObject(),
        }
        codes = {
            key: {"CodeValue": one.GetCodeValue(), "CodingSchemeDesignator": one.GetCodingSchemeDesignator(),
                  "CodeMeaning": one.GetCodeMeaning()}
            for key, one in known.items() if one is not None and one.GetCodeValue() is not None
        }  # fmt: skip
        assert {"SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"} <= set(codes)
        return {
            "labelID": 1, "SegmentLabel": segment.GetName(),
            "SegmentDescription": entry.GetCategoryObject().GetCodeMeaning(), "SegmentAlgorithmType": how,
            "recommendedDisplayRGBValue": [255 * part for part in segment.GetColor()], **codes,
        } | ({"SegmentAlgorithmName": name} if name else {})  # fmt: skip

    def mask_file(self, segment_id: str) -> Path:
        """The label map of a segment on the grid of the source, as Slicer merges and saves it."""
        import vtk

        merged, ids = self.slicer.vtkOrientedImageData(), vtk.vtkStringArray()
        ids.InsertNextValue(segment_id)
        assert self.node.GenerateMergedLabelmapForAllSegments(merged, 0, None, ids)
        label = self.node.GetScene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", segment_id)
        assert self.slicer.vtkSlicerSegmentationsModuleLogic.CreateLabelmapVolumeFromOrientedImageData(merged, label)
        path = self.folder / f"{segment_id}.nrrd"
        storage = self.node.GetScene().AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(str(path))
        assert storage.WriteData(label)
        return path

    def export(self, source: Path) -> Path:
        """The object that dcmqi makes of it."""
        assert self.source.GetAttribute("DICOM.instanceUIDs")
        ids = self.filled()
        assert ids, "no segment that is not empty"
        told = {
            "SeriesNumber": "103", "InstanceNumber": "1", "SeriesDescription": self.node.GetName(),
            "ContentCreatorName": "Slicer", "ClinicalTrialSeriesID": "1", "ClinicalTrialTimePointID": "1",
            "ClinicalTrialCoordinatingCenterName": "QIICR", "segmentAttributes": [[self.told(one)] for one in ids],
        }  # fmt: skip
        described = self.folder / "meta.json"
        described.write_text(json.dumps(told))
        out = self.folder / "out.dcm"
        files = ",".join(str(self.mask_file(one)) for one in ids)
        said = subprocess.run(
            [program("itkimage2segimage"), "--inputDICOMDirectory", source, "--inputImageList", files,
             "--inputMetadata", described, "--outputDICOM", out],
            capture_output=True, text=True,
        )  # fmt: skip
        assert said.returncode == 0, said.stdout + said.stderr
        return out


def program(name: str) -> str:
    """One of dcmqi's, from its package; skips the test where there is no wheel of it."""
    try:
        files = metadata.files("dcmqi") or ()
    except metadata.PackageNotFoundError:
        pytest.skip("there is no dcmqi for this computer")
    return next(str(one.locate()) for one in files if one.stem == name and "bin" in one.parts)


def result(name: str, mask: np.ndarray) -> Found:
    return Found(find(name) or Structure(name), mask, (0, 0, 0), 0.0)


@pytest.fixture
def exporter(slicer, ct, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    return lambda node: Exporter(slicer, node, folder)


def test_a_result_goes_out_as_a_dicom_segmentation(exporter, ct, series, slicer, tmp_path) -> None:
    node = nodes.new_segmentation(ct)
    other = np.roll(organ(), 3, axis=2)
    nodes.show([result("left kidney", organ()), result("my organ", other)], node, ct)
    nodes.show([result("liver", other)], node, ct, taught=True)
    drawn = slices.add_segment(node, "my tumour")
    node.GetSegmentation().GetSegment(drawn).AddRepresentation(
        "Binary labelmap", nodes.prepare(result("my tumour", organ()), node, ct)
    )
    path = exporter(node).export(tmp_path / "ct")
    found = read(path)
    uids = [str(read(one).SOPInstanceUID) for one in series.source.files]
    stack = hd.seg.segread(path).get_pixels_by_source_instance(
        uids, assert_missing_frames_are_empty=True, ignore_spatial_locations=True
    )
    for number, mask in enumerate((organ(), other, other, organ())):
        np.testing.assert_array_equal(stack[..., number], mask)
    assert found.StudyInstanceUID == read(series.source.files[0]).StudyInstanceUID
    assert [one.SegmentLabel for one in found.SegmentSequence] == [
        "left kidney",
        "my organ",
        "liver, taught",
        "my tumour",
    ]
    hows = [one.SegmentAlgorithmType for one in found.SegmentSequence]
    assert hows == ["AUTOMATIC", "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
    assert found.SegmentSequence[0].SegmentAlgorithmName == "PromptSeg"
    (kind,) = found.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("64033007", "SCT")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert found.SegmentSequence[0].SegmentedPropertyCategoryCodeSequence[0].CodeValue == "123037004"
    colour = hd.color.CIELabColor.from_dicom_value(tuple(found.SegmentSequence[0].RecommendedDisplayCIELabValue))
    assert np.abs(np.subtract(colour.to_rgb(), (185, 102, 83))).max() <= 1
    assert complaints(path) == []


def test_it_lies_under_the_study_of_its_volume_and_refers_to_it(exporter, ct, slicer, scene) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.GetItemAncestorAtLevel(hierarchy.GetItemByDataNode(ct), "Study")
    node = nodes.new_segmentation(ct)
    assert exporter(node).study == study
    assert exporter(node).source is ct


def test_a_segmentation_of_the_users_own_that_refers_to_nothing_does_after_a_result(exporter, ct, scene) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    slices.add_segment(node, "something")
    assert exporter(node).source is None
    nodes.show([result("liver", organ())], node, ct)
    assert exporter(node).source is ct
    assert exporter(node).study


def test_what_was_not_found_is_left_out(exporter, ct) -> None:
    node = nodes.new_segmentation(ct)
    nodes.show([result("liver", organ()), result("spleen", organ() & False)], node, ct)
    names = [node.GetSegmentation().GetSegment(one).GetName() for one in exporter(node).filled()]
    assert names == ["liver"]


def test_it_goes_out_from_a_scene_that_was_saved(exporter, ct, scene, saved, tmp_path) -> None:
    """In which structures share a label map, and one that was not found is not told from the others."""
    node = nodes.new_segmentation(ct)
    nodes.show([result("liver", organ()), result("spleen", organ() & False)], node, ct)
    again = saved(scene)
    path = exporter(again.GetFirstNodeByClass("vtkMRMLSegmentationNode")).export(tmp_path / "ct")
    labels = [one.SegmentLabel for one in read(path).SegmentSequence]
    assert labels == ["liver"]


def test_every_structure_is_told_of_whole(exporter, ct) -> None:
    """Category, type and, for what the body has twice, the side, for all that the table knows; a code fits the field
    that holds it."""
    node = nodes.new_segmentation(ct)
    known = structures()
    ids = nodes.show([Found(one, organ(), (0, 0, 0), 0.0) for one in known], node, ct)
    for one, segment_id in zip(known, ids, strict=True):
        told = exporter(node).told(segment_id)
        assert told["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == one.code.value
        side = told.get("SegmentedPropertyTypeModifierCodeSequence", {}).get("CodeMeaning")
        assert side == (None if one.modifier is None else one.modifier.meaning)
        assert all(len(code["CodeMeaning"]) <= 64 for code in told.values() if isinstance(code, dict))
        np.testing.assert_allclose(told["recommendedDisplayRGBValue"], [255 * part for part in one.colour], atol=0.5)


def test_the_label_maps_lie_on_the_slices_of_the_series(exporter, ct) -> None:
    """Also where only a box of the volume is stored."""
    node = nodes.new_segmentation(ct)
    (segment_id,) = nodes.show([Found(find("liver"), organ()[2:5, 3:9, 4:11], (2, 3, 4), 0.0)], node, ct)
    import SimpleITK as sitk  # noqa: N813

    image = sitk.ReadImage(str(exporter(node).mask_file(segment_id)))
    assert image.GetSize() == SHAPE[::-1]
    back = sitk.GetArrayFromImage(image).astype(bool)
    assert np.array_equal(back[2:5, 3:9, 4:11], organ()[2:5, 3:9, 4:11])
    assert back.sum() == organ()[2:5, 3:9, 4:11].sum()
