"""A result goes out as a DICOM Segmentation that others read as it was."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pytest

from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib import __version__
from PromptSegLib.errors import InputError, OutputError, Stopped
from PromptSegLib.volumes.io import read_volume

from .conftest import SHAPE, complaints, organ, read, result_of, write_ct

BACKBONE = "ab" * 32


def back(path, source) -> np.ndarray:
    """(K, J, I, segments) as highdicom reads it on the slices of the source."""
    uids = [str(read(one).SOPInstanceUID) for one in source.files]
    return hd.seg.segread(path).get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)


@pytest.mark.parametrize("overlap", [False, True])
def test_it_is_read_back_voxel_for_voxel(tmp_path, ct, overlap) -> None:
    other = np.roll(organ(), 3, axis=2)
    masks = {"liver": organ(), "left kidney": other if overlap else other & ~organ(), "spleen": organ() & False}
    path = tmp_path / "out.dcm"
    write_dicom_seg(result_of(masks, ct.grid), ct.source, path, backbone_id=BACKBONE)

    stack = back(path, ct.source)
    for number, mask in enumerate(masks.values()):
        np.testing.assert_array_equal(stack[..., number], mask)
    # By pydicom alone: frames where they say that they lie.
    found = read(path)
    assert found.SegmentationType == "BINARY"
    assert found.SegmentsOverlap == ("YES" if overlap else "NO")
    again = np.zeros((len(masks), *SHAPE), bool)
    for item, frame in zip(found.PerFrameFunctionalGroupsSequence, found.pixel_array, strict=True):
        assert frame.any(), "an empty frame says nothing"
        ras = np.array([*item.PlanePositionSequence[0].ImagePositionPatient, 1]) * (-1, -1, 1, 1)
        index = np.linalg.solve(ct.grid.ijk_to_ras, ras)
        np.testing.assert_allclose(index[:3], [0, 0, round(index[2])], atol=1e-4)
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        again[number - 1, round(index[2])] = frame
    np.testing.assert_array_equal(again, list(masks.values()))
    assert complaints(path) == []


def test_it_says_what_it_is_and_where_it_comes_from(tmp_path, ct) -> None:
    long = "a structure that nobody has a code for, " * 4
    masks = {"left kidney": organ(), long: organ(), "Größe": organ()}
    write_dicom_seg(result_of(masks, ct.grid), ct.source, tmp_path / "out.dcm", backbone_id=BACKBONE)
    found = read(tmp_path / "out.dcm")
    image = read(ct.source.files[0])
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "PatientSex", "StudyDate"):
        assert getattr(found, name) == getattr(image, name)
    assert found.SeriesInstanceUID != image.SeriesInstanceUID
    (series,) = found.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == ct.source.series
    uids = {read(path).SOPInstanceUID for path in ct.source.files}
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == uids

    kidney, other, size = found.SegmentSequence
    (kind,) = kidney.SegmentedPropertyTypeCodeSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("64033007", "SCT")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert kidney.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "123037004"
    assert hd.color.CIELabColor.from_dicom_value(tuple(kidney.RecommendedDisplayCIELabValue)).to_rgb() == (185, 102, 83)
    assert kidney.SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = kidney.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("PromptSeg", __version__)
    assert BACKBONE in algorithm.AlgorithmParameters
    assert len(other.SegmentLabel) <= 64
    assert other.SegmentDescription.split() == long.split()
    assert size.SegmentLabel == "Größe"
    assert complaints(tmp_path / "out.dcm") == []


def test_nothing_found_is_an_object_too(tmp_path, ct) -> None:
    masks = {"liver": organ() & False, "spleen": organ() & False}
    write_dicom_seg(result_of(masks, ct.grid), ct.source, tmp_path / "out.dcm")
    assert len(read(tmp_path / "out.dcm").SegmentSequence) == 2
    assert not hd.seg.segread(tmp_path / "out.dcm").pixel_array.any()
    assert complaints(tmp_path / "out.dcm") == []


def test_one_slice_keeps_the_distance_to_its_neighbours(tmp_path, ct) -> None:
    mask = organ() & (np.arange(SHAPE[0]) == 4)[:, None, None]
    write_dicom_seg(result_of({"liver": mask}, ct.grid), ct.source, tmp_path / "out.dcm")
    np.testing.assert_array_equal(back(tmp_path / "out.dcm", ct.source)[..., 0], mask)
    (measures,) = read(tmp_path / "out.dcm").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert float(measures.SpacingBetweenSlices) == pytest.approx(2.5)


@pytest.mark.parametrize(
    "odd",
    [
        {"PatientSex": "unknown", "StudyDate": "2024", "StudyTime": "noon", "PatientBirthDate": None},
        {"AccessionNumber": None, "StudyID": None, "PatientID": None, "SeriesNumber": None, "StudyTime": None},
        {"PatientAge": "45", "PatientSize": "1,75", "PatientWeight": "heavy", "InstanceNumber": "first"},
        {"SpecificCharacterSet": "ISO_IR 999", "PatientName": "A^B"},
        {"SpecificCharacterSet": None, "PatientName": "A^B", "SeriesNumber": "-4", "Manufacturer": None},
    ],
)
def test_what_others_write_carelessly_is_made_good(tmp_path, odd) -> None:
    ct = read_volume(write_ct(tmp_path / "odd", **odd))
    write_dicom_seg(result_of({"liver": organ()}, ct.grid), ct.source, tmp_path / "out.dcm")
    np.testing.assert_array_equal(back(tmp_path / "out.dcm", ct.source)[..., 0], organ())
    assert complaints(tmp_path / "out.dcm") == []


def test_what_cannot_be_referred_to_is_refused(tmp_path, ct) -> None:
    result = result_of({"liver": organ()}, ct.grid)
    with pytest.raises(InputError, match=r"refers to the DICOM series.*name the folder.*or write.*\.seg\.nrrd"):
        write_dicom_seg(result, None, tmp_path / "out.dcm")
    for name in ("FrameOfReferenceUID", "StudyInstanceUID"):
        odd = read_volume(write_ct(tmp_path / name, **{name: None}))
        with pytest.raises(InputError, match=f"does not say .*{name}.*export the original series again"):
            write_dicom_seg(result, odd.source, tmp_path / "out.dcm")
    ct.source.files[3].unlink()
    with pytest.raises(InputError, match="can no longer be read; leave the series where it is"):
        write_dicom_seg(result, ct.source, tmp_path / "out.dcm")
    assert not list(tmp_path.glob("*.dcm")) + list(tmp_path.glob(".*"))


def test_nothing_is_left_half_written(tmp_path, ct) -> None:
    result = result_of({"liver": organ()}, ct.grid)
    with pytest.raises(OutputError, match="There is no folder"):
        write_dicom_seg(result, ct.source, tmp_path / "none" / "out.dcm")
    asked = iter([False] * 2 + [True] * 9)
    (tmp_path / "out.dcm").write_bytes(b"former")
    with pytest.raises(Stopped):
        write_dicom_seg(result, ct.source, tmp_path / "out.dcm", should_stop=lambda: next(asked))
    assert (tmp_path / "out.dcm").read_bytes() == b"former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct", "out.dcm"]
