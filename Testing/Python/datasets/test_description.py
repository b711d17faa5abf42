"""dataset.json in both layouts: what is read, which structures labels stand for, and what is refused, in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from PromptSegLib.datasets.loading import load_samples, read_dataset, read_datasets
from PromptSegLib.errors import InputError


@pytest.fixture
def small(kit, tmp_path) -> Path:
    """Two volumes in the Decathlon layout."""
    return kit.write_dataset(tmp_path / "small", (1, 2))


@pytest.fixture
def raw(small) -> Path:
    """The same volumes in nnU-Net's raw layout."""
    folder = small.parent.parent / "Dataset007_Phantoms"
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True)
    for n in (1, 2):
        shutil.copy2(small.parent / f"case_{n}.nii.gz", folder / "imagesTr" / f"case_{n}_0000.nii.gz")
        shutil.copy2(small.parent / f"case_{n}_labels.nii.gz", folder / "labelsTr" / f"case_{n}.nii.gz")
    values = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "Spleen": 2, "aorta": 3},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(values))
    return folder / "dataset.json"


def change(path: Path, **values) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


def test_a_dataset_and_its_folder(small) -> None:
    read = read_dataset(small)
    assert read == read_dataset(small.parent)
    assert (read.name, read.licence, read.absent_is_negative) == ("phantoms", "made for tests", False)
    assert read.labels == {1: "liver", 2: "spleen", 3: "aorta"}
    assert [c.name for c in read.cases] == ["case_1", "case_2"]
    assert read_dataset(change(small, absent_is_negative=True)).absent_is_negative


def test_both_layouts_give_the_same_samples(small, raw, tmp_path) -> None:
    first, second = read_datasets([small, raw])
    assert second.name == "Dataset007_Phantoms"
    assert second.labels == first.labels
    assert [c.name for c in second.cases] == ["case_1", "case_2"]
    for a, b in zip(*(load_samples(d, d.cases, tmp_path / "cache") for d in (first, second)), strict=True):
        assert (a.grey == b.grey).all()
        assert (a.labels == b.labels).all()


def test_nnunets_modality_may_be_called_as_before(raw) -> None:
    values = json.loads(raw.read_text())
    values["modality"] = values.pop("channel_names")
    raw.write_text(json.dumps(values))
    assert len(read_dataset(raw).cases) == 2


def test_volumes_have_subjects(small, raw) -> None:
    def subjects(path: Path) -> list[str]:
        return [c.subject for c in read_dataset(path).cases]

    assert subjects(small) == subjects(raw) == ["case_1", "case_2"]
    assert subjects(change(small, subject_until="_")) == subjects(change(raw, subject_until="_")) == ["case", "case"]
    assert subjects(change(small, subject_until="_2")) == ["case_1", "case"]
    # What an entry says of itself counts, and what is spelled alike is one.
    two = {"image": "case_2.nii.gz", "label": "case_2_labels.nii.gz"}
    assert (
        subjects(change(small, training=[{**ONE, "subject": "Ann B"}, {**two, "subject": "ann  b"}])) == ["Ann B"] * 2
    )
    assert subjects(change(small, training=[{**ONE, "subject": "case_1"}, two], subject_until="_")) == [
        "case_1",
        "case",
    ]
    values = json.loads(small.read_text())
    small.write_text(json.dumps({k: v for k, v in values.items() if k != "subject_until"}))
    assert subjects(change(small, training=[ONE, {**two, "subject": "CASE_1"}])) == ["CASE_1"] * 2
    assert read_dataset(change(small, derived_from="others")).derived_from == "others"


def test_labels_are_structures_by_name(small, raw) -> None:
    """Whatever the spelling; what the terminology does not know keeps the first one."""
    change(small, labels={"1": "Kidney_L", "2": "my-Blob", "3": "oesophagus"})
    change(raw, labels={"background": 0, "left kidney": 3, "My_blob": 2, "Esophagus": 1})
    assert read_dataset(raw).labels == {3: "left kidney", 2: "My_blob", 1: "esophagus"}
    first, second = read_datasets([small, raw])
    assert first.labels == {1: "left kidney", 2: "my-Blob", 3: "esophagus"}
    assert second.labels == {3: "left kidney", 2: "my-Blob", 1: "esophagus"}


ONE = {"image": "case_1.nii.gz", "label": "case_1_labels.nii.gz"}
WRONG = {
    "labels missing": ({"labels": None}, "it has no labels; it needs labels and training"),
    "labels the other way round": ({"labels": {"liver": 1}}, "labels are not numbers with names"),
    "a name that is no text": ({"labels": {"1": ["liver"]}}, "labels are not numbers with names"),
    "training is a number": ({"training": 2}, "training is not a list"),
    "entries without a label": ({"training": [{"image": "case_1.nii.gz"}]}, "has not one image and one label"),
    "entries of several images": ({"training": [{"image": ["a", "b"], "label": "c"}]}, "has not one image"),
    "entries that are files": ({"training": ["case_1.nii.gz"]}, "has not one image and one label"),
    "no volume": ({"training": []}, "lists no training volume"),
    "background only": ({"labels": {"0": "background"}}, "lists no training volume or no label"),
    "a file that is not there": ({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}, "a.nii.gz, which is not"),
    "one name for two labels": ({"labels": {"1": "liver", "2": "liver"}}, "two labels for one structure, 'liver' and"),
    "two names for one": ({"labels": {"1": "Left Kidney", "2": "kidney_l"}}, "'Left Kidney' and 'kidney_l'; merge"),
    "two unknown names": ({"labels": {"1": "a blob", "2": "Blob_A"}}, "two labels for one structure"),
    "one value twice": ({"labels": {"1": "liver", "01": "spleen"}}, "more than one label of the value 1"),
    "a value too high": ({"labels": {"70000": "liver"}}, "a label of the value 70000"),
    "a label without a name": ({"labels": {"1": " "}}, "without a readable name"),
    "more labels than a byte": ({"labels": {str(n): f"part {n}" for n in range(1, 300)}}, "has 299 labels; keep at"),
    "a name that is a list": ({"name": ["a"]}, "name is not text"),
    "MR": ({"modality": {"0": "MRI"}}, "is of the modality MRI, not CT"),
    "PET with CT": ({"modality": "PET/CT"}, "is of the modality PET/CT, not CT"),
    "two modalities": ({"modality": {"0": "CT", "1": "PET"}}, "more than one channel: CT, PET"),
    "modality is a number": ({"modality": 1}, "modality is not a table"),
    "a subject that is a number": ({"training": [{**ONE, "subject": 7}]}, "subject is not text; correct it there"),
    "an empty subject": ({"training": [{**ONE, "subject": " "}]}, "subject is not a readable name"),
    "a subject of two lines": ({"training": [{**ONE, "subject": "a\nb"}]}, "subject is not a readable name"),
    "an end of subjects that is a list": ({"subject_until": ["_"]}, "subject_until is not text"),
    "an empty end of subjects": ({"subject_until": ""}, "subject_until is not text"),
    "an end of subjects that is nowhere": ({"subject_until": "_scan"}, "'_scan', which is in no volume's name"),
    "nothing before the end of subjects": ({"subject_until": "case"}, "leaves nothing of the name 'case_1'"),
    "derived from a list": ({"derived_from": ["a"]}, "derived_from is not text"),
    "derived from nothing": ({"derived_from": ""}, "derived_from is not a readable name"),
    "derived from itself": ({"derived_from": "Phantoms "}, "derived_from is the name of the data set itself"),
    "absent is text": ({"absent_is_negative": "yes"}, "absent_is_negative is neither true nor false"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_dataset_is_refused(small, kind) -> None:
    values, message = WRONG[kind]
    with pytest.raises(InputError, match=message) as error:
        read_dataset(change(small, **values))
    assert error.value.remedy


WRONG_RAW = {
    "two channels": ({"channel_names": {"0": "CT", "1": "CT late"}}, "more than one channel: CT, CT late"),
    "MR": ({"channel_names": {"0": "T2"}}, "is of the modality T2, not CT"),
    "regions": ({"labels": {"background": 0, "kidney": [1, 2], "tumour": 2}}, "has regions, .*such as 'kidney'"),
    "ignore": ({"labels": {"background": 0, "liver": 1, "ignore": 2}}, "has an ignore label"),
    "labels as in the Decathlon": ({"labels": {"0": "background", "1": "liver"}}, "labels are not names with numbers"),
    "true is no value": ({"labels": {"liver": True}}, "labels are not names with numbers"),
    "two of one value": ({"labels": {"liver": 1, "spleen": 1}}, "more than one label of the value 1"),
    "a negative value": ({"labels": {"liver": -1}}, "a label of the value -1"),
    "an ending of pictures": ({"file_ending": ".png"}, "file_ending is none of"),
    "an ending of another type": ({"file_ending": 7}, "file_ending is none of"),
    "more volumes than files": ({"numTraining": 3}, "there are 3 training volumes, but imagesTr has 2"),
    "a number of another type": ({"numTraining": "two"}, "numTraining is not a number"),
    "a path as ending": ({"file_ending": "/../x.nii.gz"}, "file_ending is none of"),
}


@pytest.mark.parametrize("kind", WRONG_RAW)
def test_a_wrong_dataset_of_nnunet_is_refused(raw, kind) -> None:
    values, message = WRONG_RAW[kind]
    with pytest.raises(InputError, match=message) as error:
        read_dataset(change(raw, **values))
    assert error.value.remedy


def test_wrong_files_of_nnunet_are_refused(raw) -> None:
    images = raw.parent / "imagesTr"
    (images / "._case_1_0000.nii.gz").write_bytes(b"what a Mac leaves behind")
    assert len(read_dataset(raw).cases) == 2
    (images / "case_1_0001.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"more than one channel, such as case_1_0001\.nii\.gz"):
        read_dataset(raw)
    (images / "case_1_0001.nii.gz").rename(images / "case_3.nii.gz")
    with pytest.raises(InputError, match="has no channel in its name; call it CASE_0000"):
        read_dataset(raw)
    (images / "case_3.nii.gz").unlink()
    (raw.parent / "labelsTr" / "case_2.nii.gz").rename(raw.parent / "labelsTr" / "case_9.nii.gz")
    with pytest.raises(InputError, match=r"names case_2\.nii\.gz, which is not there"):
        read_dataset(raw)
    shutil.rmtree(images)
    with pytest.raises(InputError, match="imagesTr cannot be read; complete the data set"):
        read_dataset(raw)


@pytest.mark.parametrize("text", ["{", '{"labels": {"1": "liver", "1": "spleen"}}', "[" * 100_000, "\x00\xff"])
def test_what_is_not_json_is_refused(small, text) -> None:
    small.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="is not JSON that can be read"):
        read_dataset(small)


def test_what_is_not_there_or_another_json_is_refused(small) -> None:
    small.write_text("[]")
    with pytest.raises(InputError, match=r"is not a dataset\.json: it has no labels"):
        read_dataset(small)
    with pytest.raises(InputError, match="cannot be read"):
        read_dataset(small.parent / "none.json")


def test_one_volume_twice_is_refused(small) -> None:
    """It could be in both parts of the split, and both would share one place in the cache."""
    entry = {"image": "case_1.nii.gz", "label": "case_1_labels.nii.gz"}
    with pytest.raises(InputError, match="more than one volume called 'case_1'"):
        read_dataset(change(small, training=[entry, entry]))


def test_points_in_a_name_do_not_make_two_volumes_one(small) -> None:
    entries = []
    for n in (1, 2):
        (small.parent / f"case_{n}.nii.gz").rename(small.parent / f"case.{n}.nii.gz")
        entries.append({"image": f"case.{n}.nii.gz", "label": f"case_{n}_labels.nii.gz"})
    assert [c.name for c in read_dataset(change(small, training=entries)).cases] == ["case.1", "case.2"]


def test_two_datasets_of_one_name_are_refused(small) -> None:
    with pytest.raises(InputError, match="Two data sets are called phantoms"):
        read_datasets([small, small])
    with pytest.raises(InputError, match="no data set"):
        read_datasets([])


def test_a_name_that_is_no_file_name(small) -> None:
    assert read_dataset(change(small, name="../A b/c")).file_name == "A-b-c"


@pytest.mark.parametrize("name", ["a" * 300 + ".nii.gz", "./" + "b" * 5000])
def test_a_name_that_no_file_could_have_is_not_there(small, name) -> None:
    change(small, training=[{"image": name, "label": "case_1_labels.nii.gz"}])
    with pytest.raises(InputError, match="which is not there") as refused:
        read_dataset(small)
    assert len(str(refused.value)) < 1000
