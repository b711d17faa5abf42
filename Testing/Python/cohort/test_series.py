"""DICOM trees of many patients: which series are taken, and why the others are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from PromptSegCli.cohort.inputs import collect
from PromptSegCli.cohort.items import Inputs
from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_dicom

from .conftest import found, names, scan, series


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def reasons(inputs: Inputs) -> str:
    return "\n".join(f"{one.what}: {one.reason}" for one in inputs.left_out)


def test_series_are_told_apart_by_what_files_say() -> None:
    # Two patients in one folder; one series over two folders.
    series(Path("tree/all"), prefix="a", PatientID="P1")
    series(Path("tree/all"), prefix="b", PatientID="P2", PatientName="Roe^Al")
    uid = series(Path("tree/1"), 6, PatientID="P3", PatientName="Poe^Ed", StudyDate="20200202", SeriesNumber=7)
    Path("tree/2").mkdir()
    for n in (3, 4, 5):
        shutil.move(f"tree/1/{n:03d}.dcm", f"tree/2/x{n}.dcm")
    inputs = found("tree")
    assert [name.partition("/")[0] for name in names(inputs)] == ["P1", "P2", "P3"]
    assert names(inputs)[2].startswith("P3/20200202-7.")
    assert len(inputs.items[2].files) == 6
    assert inputs.items[2].image.endswith(f"tree#{uid}")
    volume = read_dicom([Path(one) for one in inputs.items[2].files], "P3")
    assert volume.voxels.shape[0] == 6
    assert names(found("tree", "tree/1")) == names(inputs)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "not CT (MR)"),
        ({"Modality": "SEG"}, "not CT (SEG)"),
        ({"Modality": None}, "not CT (its modality is not given)"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "scout"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived from another series (DERIVED\\SECONDARY\\MPR)"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({"places": [5.0] * 6}, "6 slices at one place"),
    ],
)
def test_what_is_no_ct_volume_is_left_out_with_a_reason(more: dict, reason: str) -> None:
    series(Path("tree/ct"))
    series(Path("tree/other"), **more)
    inputs = found("tree")
    assert len(inputs.items) == 1
    assert reason in reasons(inputs)
    with pytest.raises(InputError, match=r"no CT in .*tree/other"):
        found("tree/other")


def test_a_derived_series_stands_in_where_a_study_has_no_original() -> None:
    series(Path("tree/a"), ImageType=["DERIVED", "PRIMARY", "AXIAL"], StudyInstanceUID="1.2.1")
    series(Path("tree/b"), ImageType=["DERIVED", "SECONDARY", "MPR"], StudyInstanceUID="1.2.1")
    inputs = found("tree")
    assert len(inputs.items) == 1
    assert "MPR" in reasons(inputs)
    assert "1 series are taken although they are derived" in inputs.warnings[0]
    series(Path("tree/c"), StudyInstanceUID="1.2.1")
    inputs = found("tree")
    assert [one.image.rpartition("#")[0] for one in inputs.items] == [str(Path("tree/c").absolute())]
    assert inputs.warnings == []


def test_slices_that_are_called_images_are_dicom() -> None:
    series(Path("tree"))
    for path in list(Path("tree").iterdir()):
        path.rename(path.with_suffix(".img"))
    (item,) = found("tree").items
    assert len(item.files) == 6


def test_a_single_slice_is_left_out() -> None:
    series(Path("tree/ct"))
    series(Path("tree/scout"), 1)
    assert "a single slice" in reasons(found("tree"))


def test_a_series_that_is_asked_for_by_its_number_is_taken_whatever_it_is() -> None:
    uid = series(Path("tree"), ImageType=["DERIVED", "SECONDARY"])
    series(Path("tree"), prefix="b", PatientID="P2", PatientName="Roe^Al")
    inputs = found(f"tree#{uid}")
    assert len(inputs.items) == 1
    assert inputs.items[0].image.endswith(uid)
    with pytest.raises(InputError, match=r"no DICOM series 1\.2\.9"):
        found("tree#1.2.9")


def test_the_same_series_twice_is_segmented_once_and_told() -> None:
    series(Path("tree/a"))
    shutil.copytree("tree/a", "tree/copy")
    shutil.copy("tree/a/000.dcm", "tree/a/000 (1).dcm")
    inputs = found("tree")
    (item,) = inputs.items
    assert len(item.files) == 6
    assert item.problem == ""
    assert "the same series as in" in reasons(inputs)
    assert "copies in one folder" in reasons(inputs)
    (warning,) = inputs.warnings
    assert "hold the same series" in warning


def test_two_different_files_of_one_identity_are_refused() -> None:
    instances = [generate_uid() for _ in range(6)]
    uid = series(Path("tree/a"), instances=instances)
    series(Path("tree/b"), uid=uid, instances=instances, SeriesDescription="another")
    (item,) = found("tree").items
    assert "claim to be the same slice" in item.problem
    assert item.problem.endswith("remove one of them.")


def test_a_damaged_file_beside_a_series_fails_that_series_alone() -> None:
    series(Path("tree/a"))
    series(Path("tree/b"), PatientID="P2", PatientName="Roe^Al")
    path = Path("tree/b/003.dcm")
    path.write_bytes(path.read_bytes()[:400])
    good, bad = found("tree").items
    assert good.problem == ""
    assert "003.dcm, beside its slices, is damaged" in bad.problem


def test_files_that_are_no_dicom_do_not_matter() -> None:
    series(Path("tree/a"))
    Path("tree/a/DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    Path("tree/a/readme.txt").write_text("text")
    Path("tree/a/empty").write_bytes(b"")
    inputs = found("tree")
    assert len(inputs.items) == 1
    assert not inputs.left_out


def test_two_persons_under_one_id_are_refused() -> None:
    series(Path("tree/a"), PatientID="0", PatientName="Doe^Jo", PatientBirthDate="19700101")
    series(Path("tree/b"), PatientID="0", PatientName="Roe^Al", PatientBirthDate="19800101")
    with pytest.raises(InputError, match="Two different persons have the patient ID '0'"):
        found("tree")
    Path("cases.csv").write_text("image,subject\ntree/a,one\ntree/b,two\n")
    assert names(found("cases.csv")) == ["one", "two"]  # the remedy


def test_two_series_of_one_person_are_two_results() -> None:
    series(Path("tree/a"))
    series(Path("tree/b"), PatientName="DOE^JO^^", SeriesNumber=4)
    assert len(set(names(found("tree")))) == 2


def test_two_patients_of_one_name_are_kept_apart_and_told() -> None:
    series(Path("tree/a"), PatientID="P1")
    series(Path("tree/b"), PatientID="P2")
    inputs = found("tree")
    assert [name[:2] for name in names(inputs)] == ["P1", "P2"]
    assert "The patients P1 and P2 have the same name" in inputs.warnings[0]


def _study_with_three() -> None:
    for number, (text, count) in enumerate((("Nativ Lunge", 5), ("Abd venös 1.0", 8), ("ABD VENÖS 3.0", 6))):
        series(
            Path(f"tree/{number}"), count, SeriesNumber=number + 2, SeriesDescription=text,
            SpecificCharacterSet="ISO_IR 192",
        )  # fmt: skip
    series(Path("tree/other"), 4, PatientID="P2", PatientName="Roe^Al", StudyInstanceUID="1.2.9", SeriesDescription="x")


@pytest.mark.parametrize(
    ("rules", "taken", "why"),
    [
        ((), ["0", "1", "2", "other"], ""),
        (("*venös*",), ["1", "2"], "its description does not fit '*venös*'"),
        (("abd venös ?.0", "X"), ["1", "2", "other"], "does not fit 'abd venös ?.0', 'X'"),
        (("one",), ["1", "other"], "series 3 'Abd venös 1.0' of the same study has more slices"),
        (("*venös 3*", "one"), ["2"], "does not fit"),
        (("nativ*", "ONE"), ["0"], "does not fit"),
    ],
)
def test_series_are_chosen_by_description_and_one_of_each_study(rules, taken, why) -> None:
    _study_with_three()
    inputs = collect(["tree"], Path("out"), series=rules)
    assert sorted(Path(one.image.rpartition("#")[0]).name for one in inputs.items) == taken
    assert why in reasons(inputs)
    assert len(inputs.left_out) == 4 - len(taken)


def test_of_equal_series_the_first_by_number_is_the_one() -> None:
    for number in (10, 9):
        series(Path(f"tree/{number}"), SeriesNumber=number)
    inputs = collect(["tree"], Path("out"), series=("one",))
    assert inputs.items[0].image.rpartition("#")[0].endswith("9")
    assert "series 9 '' of the same study has as many slices" in reasons(inputs)


def test_a_choice_of_series_without_any_is_told() -> None:
    scan(Path("tree/a.nii.gz"))
    inputs = collect(["tree"], Path("out"), series=("*venous*",))
    assert names(inputs) == ["a"]
    assert inputs.warnings == ["--series chooses among DICOM series, and there is none."]


def test_what_was_asked_for_by_number_needs_no_description() -> None:
    _study_with_three()
    uid = found("tree/0").items[0].image.rpartition("#")[2]
    inputs = collect([f"tree/0#{uid}"], Path("out"), series=("[x]",))
    assert len(inputs.items) == 1
    with pytest.raises(InputError, match=r"no CT in tree/1 .*does not fit '\[x\]'"):
        collect(["tree/1"], Path("out"), series=("[x]",))


def test_patients_without_an_id_are_kept_apart_by_study() -> None:
    for n in (1, 2):
        series(Path(f"tree/{n}"), PatientID="", PatientName="", PatientBirthDate="", StudyInstanceUID=f"1.2.{n}")
    made = names(found("tree"))
    assert len({name.partition("/")[0] for name in made}) == 2
    assert all(name.startswith("unknown.") for name in made)


def test_the_name_of_a_series_does_not_depend_on_what_else_is_there() -> None:
    series(Path("tree/b"))
    alone = names(found("tree"))
    series(Path("tree/a"), SeriesNumber=2)
    assert alone[0] in names(found("tree"))


def test_an_enhanced_ct_in_one_file_is_a_volume() -> None:
    series(Path("tree"), 1)
    one = pydicom.dcmread("tree/000.dcm")
    one.NumberOfFrames, one.SOPClassUID = 4, "1.2.840.10008.5.1.4.1.1.2.1"
    one.PixelData = np.zeros((4, one.Rows, one.Columns), np.uint16).tobytes()
    one.save_as("tree/000.dcm")
    assert len(found("tree").items) == 1
