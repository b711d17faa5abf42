"""A CT in one file with many frames, in an order of its own, is referred to frame by frame."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from PromptSegCli.dicom.rtstruct import write_rtstruct
from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.volume import Volume

from .conftest import SHAPE, complaints, organ, read, result_of, write_ct

ORDER = (4, 0, 8, 2, 6, 1, 7, 3, 5)
"""Where the slices lie among the frames."""


def item(**fields) -> Dataset:
    made = Dataset()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def enhanced(tmp_path) -> Volume:
    """The CT of other tests as one file."""
    slices = [read(path) for path in read_volume(write_ct(tmp_path / "slices")).source.files]
    one = slices[0]
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    one.NumberOfFrames = len(slices)
    one.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=one.PixelSpacing, SliceThickness=one.SliceThickness)],
            PlaneOrientationSequence=[item(ImageOrientationPatient=one.ImageOrientationPatient)],
            PixelValueTransformationSequence=[item(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU")],
        )
    ]
    one.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=slices[k].ImagePositionPatient)]) for k in ORDER
    ]
    one.PixelData = b"".join(slices[k].PixelData for k in ORDER)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(one, name)
    one.save_as(tmp_path / "enhanced.dcm")
    return read_volume(tmp_path / "enhanced.dcm")


def test_both_objects_refer_to_frames(tmp_path, enhanced) -> None:
    assert [frame for _, frame in enhanced.source.slices] == [ORDER.index(k) for k in range(SHAPE[0])]
    masks = {"liver": organ(), "spleen": np.roll(organ(), 2, axis=1)}
    write_dicom_seg(result_of(masks, enhanced.grid), enhanced.source, tmp_path / "seg.dcm")
    write_rtstruct(result_of(masks, enhanced.grid), enhanced.source, tmp_path / "rt.dcm")
    for name in ("seg.dcm", "rt.dcm"):
        found = read_labels(tmp_path / name, enhanced.grid, source=enhanced.source)
        for structure, mask in masks.items():
            np.testing.assert_array_equal(found.mask(structure), mask)
    image = pydicom.dcmread(tmp_path / "enhanced.dcm")
    stack = hd.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_frame(
        image.SOPInstanceUID, [frame + 1 for _, frame in enhanced.source.slices], assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(stack[..., 1], masks["spleen"])
    for contour in read(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence:
        (reference,) = contour.ContourImageSequence
        frame = image.PerFrameFunctionalGroupsSequence[reference.ReferencedFrameNumber - 1]
        z = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        assert {float(v) for v in contour.ContourData[2::3]} == {z}
    assert complaints(tmp_path / "seg.dcm") == complaints(tmp_path / "rt.dcm") == []


def test_a_series_of_several_such_files_is_refused_for_segmentations(tmp_path, enhanced) -> None:
    for part, frames in enumerate((ORDER[:4], ORDER[4:])):
        one = pydicom.dcmread(tmp_path / "enhanced.dcm")
        groups, pixels = one.PerFrameFunctionalGroupsSequence, one.PixelData
        size = len(pixels) // len(ORDER)
        at = [ORDER.index(k) for k in frames]
        one.PerFrameFunctionalGroupsSequence = [groups[n] for n in at]
        one.PixelData = b"".join(pixels[n * size : (n + 1) * size] for n in at)
        one.NumberOfFrames = len(at)
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{part}"
        (tmp_path / "parts").mkdir(exist_ok=True)
        one.save_as(tmp_path / "parts" / f"{part}.dcm")
    volume = read_volume(tmp_path / "parts")
    np.testing.assert_array_equal(volume.voxels, enhanced.voxels)
    result = result_of({"liver": organ()}, volume.grid)
    with pytest.raises(InputError, match=r"several files with many slices each.*; write the result as an RT"):
        write_dicom_seg(result, volume.source, tmp_path / "seg.dcm")
    write_rtstruct(result, volume.source, tmp_path / "rt.dcm")
    np.testing.assert_array_equal(read_labels(tmp_path / "rt.dcm", volume.grid).mask("liver"), organ())
