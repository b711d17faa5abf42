"""What a series' numbers mean and of whom they are: told or refused where it would otherwise be silently wrong."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from PromptSegLib.volumes.io import read_dicom, read_volume

from .test_dicom_kinds import _put, _said, hu, series  # noqa: F401 - fixtures


def _from(k: int, **fields):
    """Other elements from slice ``k`` on."""

    def odd(one, number):
        for name, value in fields.items() if number >= k else ():
            setattr(one, name, value)

    return odd


@pytest.mark.parametrize("fields", [{"PatientID": "2"}, {"PatientName": "B^C"}])
def test_two_patients_under_one_series_number(series, fields):  # noqa: F811
    """Names were taken away, and every series got the same numbers: their slices would make one even volume."""
    folder = series(_from(2, **fields))
    text = _said(folder)
    assert "holds slices of 2 patients under one series number, such as" in text
    assert "a folder of its own" in text
    kept = sorted(folder.iterdir())
    for path in kept[2:]:
        path.unlink()
    assert read_volume(folder).voxels.shape[0] == 2  # the remedy
    assert read_dicom(kept[:2], "x").voxels.shape[0] == 2


def test_one_patient_whose_name_is_written_in_two_ways(series, hu):  # noqa: F811
    volume = read_volume(series(_from(2, PatientName="a^^^=", PatientID="1 ")))
    assert np.array_equal(volume.voxels, hu)
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"FrameOfReferenceUID": "1.2.9"}, "frames of reference"), ({"StudyInstanceUID": "1.2.9"}, "studies")],
)
def test_slices_of_two_studies_are_told(series, hu, fields, what):  # noqa: F811
    def odd(one, k):
        one.FrameOfReferenceUID = "1.2.8"
        _from(2, **fields)(one, k)

    volume = read_volume(series(odd))
    assert np.array_equal(volume.voxels, hu)
    assert f"holds slices of 2 {what} under one series number" in volume.notes[0]


@pytest.mark.parametrize(("unit", "told"), [("HU", False), ("US", False), ("HU_MOD", False), ("MGML", True)])
def test_values_that_are_no_hu_by_the_header(series, unit, told):  # noqa: F811
    """A map of iodine is of the modality CT, too."""
    notes = read_volume(series(_put(RescaleType=unit))).notes
    assert any("says that its values are 'MGML', not HU" in note for note in notes) == told


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_values_by_a_table_are_refused(series, syntax):  # noqa: F811
    def odd(one, k):
        del one.RescaleSlope, one.RescaleIntercept
        item = Dataset()
        item.LUTDescriptor, item.ModalityLUTType = [2, 0, 16], "HU"
        item.add_new(0x00283006, "US", [0, 1000])
        one.ModalityLUTSequence = Sequence([item])

    assert "gives its values by a table (Modality LUT)" in _said(series(odd, syntax=syntax))


@pytest.mark.parametrize("tag", [0x00281052, 0x00281053])
@pytest.mark.parametrize("text", [b"1,5 ", b"one "])
def test_a_slope_that_cannot_be_read_is_not_taken_to_be_missing(series, tag, text):  # noqa: F811
    def odd(one, k):
        one[tag] = RawDataElement(Tag(tag), "DS", len(text), text, 0, False, True)

    assert f"that is no number ('{text.decode().strip()}')" in _said(series(odd))


def test_pixels_of_a_palette_are_colours(series):  # noqa: F811
    assert "entries of a palette" in _said(series(_put(PhotometricInterpretation="PALETTE COLOR")))
