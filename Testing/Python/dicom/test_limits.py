"""What a series says of patient and study beyond DICOM's limits: the result keeps within them, and says so."""

from __future__ import annotations

import warnings

import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import validate_value

from PromptSegCli.dicom.rtstruct import write_rtstruct
from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib.volumes.io import read_volume

from .conftest import organ, result_of, write_ct

WRITERS = {"seg": write_dicom_seg, "rtstruct": write_rtstruct}
ID, NAME = "P" * 40 + "-" + "7" * 60, "Abcdefghij" * 9 + "^Ana^B^C^D^E"


def strict(one: Dataset) -> list[str]:
    """What a strict reader complains of, element by element."""
    found = []
    for element in one.iterall():
        for value in element.value if element.VM > 1 else [element.value]:
            if value in (None, "") or element.VR in ("SQ", "OB", "OW", "US", "UL", "FD", "FL", "SS"):
                continue
            try:
                validate_value(element.VR, str(value), config.RAISE)
            except ValueError as error:
                found.append(f"{element.keyword}: {error}")
    return found


def written(tmp_path, kind: str, **fields: object) -> tuple[Dataset, list[str]]:
    volume = read_volume(write_ct(tmp_path / "ct", **fields))
    notes = WRITERS[kind](result_of({"liver": organ()}, volume.grid), volume.source, tmp_path / "out.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(tmp_path / "out.dcm"), notes


@pytest.mark.parametrize("kind", WRITERS)
def test_texts_are_brought_to_their_lengths(tmp_path, kind) -> None:
    one, notes = written(
        tmp_path, kind, PatientID=ID, PatientName=NAME, StudyID="study of the " * 3, AccessionNumber="A" * 30,
        StudyDescription="two\\parts", ReferringPhysicianName="=".join("abcd"), PatientComments="x" * 11_000,
    )  # fmt: skip
    assert strict(one) == []
    assert one.PatientID == ID[:64]
    assert one.PatientName == NAME[:64]
    assert one.StudyID == "study of the stu"
    assert (one.AccessionNumber, one.StudyDescription) == ("A" * 16, "two/parts")
    assert one.ReferringPhysicianName == "a=b=c"
    assert len(notes) == 1
    assert "shortened" in notes[0]
    assert all(name in notes[0] for name in ("PatientID", "PatientName", "StudyID", "AccessionNumber"))


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_no_value_of_its_type_is_left_out_and_told(tmp_path, kind) -> None:
    one, notes = written(
        tmp_path, kind, PatientBirthDate="19601455", StudyTime="27h", PatientAge="60 years", PatientSex="female",
        PatientID="a\x07b\x1b", DeidentificationMethod="none\r\nat all",
    )  # fmt: skip
    assert strict(one) == []
    assert (one.PatientBirthDate, one.StudyTime, one.PatientSex, one.PatientID) == ("", "", "", "a b")
    assert "PatientAge" not in one
    (said,) = notes
    assert "left out" in said
    assert all(name in said for name in ("PatientBirthDate", "StudyTime", "PatientAge", "PatientSex", "PatientID"))


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("uid", ["1.2.840." + "9" * 70, "1.2.03.4", "study-7", " 1.2.3.4"])
def test_a_study_is_called_as_its_images_call_it(tmp_path, kind, uid) -> None:
    folder = write_ct(tmp_path / "ct")
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        raw = uid.encode().ljust(len(uid) + len(uid) % 2, b"\0")
        one["StudyInstanceUID"] = RawDataElement(Tag("StudyInstanceUID"), "UI", len(raw), raw, 0, False, True)
        one.save_as(path)
    volume = read_volume(folder)
    notes = WRITERS[kind](result_of({"liver": organ()}, volume.grid), volume.source, tmp_path / "out.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pydicom.dcmread(tmp_path / "out.dcm").StudyInstanceUID == uid.strip()
    assert [("StudyInstanceUID" in note, "refuse" in note) for note in notes] == [(True, True)] * (uid != " 1.2.3.4")


def test_sequences_that_hold_something_invalid_are_left_out(tmp_path) -> None:
    item, other = Dataset(), Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.03"
        other.PatientID, other.TypeOfPatientID = "Q" * 80, "TEXT"
    one, _ = written(tmp_path, "seg", ReferencedPatientSequence=[item], OtherPatientIDsSequence=[other])
    assert strict(one) == []
    assert "ReferencedPatientSequence" not in one
    assert one.OtherPatientIDsSequence[0].PatientID == "Q" * 64


def test_an_ordinary_series_is_not_spoken_of(tmp_path) -> None:
    for kind in WRITERS:
        assert written(tmp_path / kind, kind)[1] == []
