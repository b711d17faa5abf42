"""A labelled data set may consist of DICOM series with Segmentations or Structure Sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from PromptSegCli.dicom.rtstruct import write_rtstruct
from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib.datasets.loading import load_samples, read_dataset
from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_volume, write_labels

from .conftest import organ, result_of, write_ct

SHAPE = (12, 40, 44)


@pytest.fixture
def archive(tmp_path, kit):
    """dicom.json and plain.json: the same two subjects, with organs of other numbers and more of them in DICOM."""
    masks = {
        "liver": organ(SHAPE),
        "body": np.ones(SHAPE, bool),
        "spleen": np.roll(organ(SHAPE), 9, axis=2) & ~organ(SHAPE),
    }
    entries: dict[str, list] = {"dicom": [], "plain": []}
    for n, write in enumerate((write_dicom_seg, write_rtstruct)):
        ct = read_volume(write_ct(tmp_path / f"p{n}" / "CT", SHAPE, seed=n))
        write(result_of(masks, ct.grid), ct.source, tmp_path / f"p{n}" / "labels.dcm")
        kit.save_image(tmp_path / f"p{n}.nii.gz", ct.voxels, ct.grid)
        labels = np.where(masks["liver"], 2, masks["spleen"]).astype(np.uint8)
        write_labels(tmp_path / f"p{n}-labels.nii.gz", labels, ct.grid, {})
        entries["dicom"].append({"image": f"p{n}/CT", "label": f"p{n}/labels.dcm"})
        entries["plain"].append({"image": f"p{n}.nii.gz", "label": f"p{n}-labels.nii.gz"})
    for name, training in entries.items():
        about = {"name": name, "licence": "test", "labels": {"0": "background", "1": "spleen", "2": "Liver"}}
        (tmp_path / f"{name}.json").write_text(json.dumps({**about, "training": training}))
    return tmp_path


def test_it_is_the_same_as_in_other_formats(archive) -> None:
    sets = [read_dataset(archive / f"{name}.json") for name in ("dicom", "plain")]
    assert [case.name for case in sets[0].cases] == ["p0-CT", "p1-CT"]
    dicom, plain = (load_samples(one, one.cases, archive / "cache") for one in sets)
    for a, b in zip(dicom, plain, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.grey, b.grey)
        assert a.structures == b.structures
    again = load_samples(sets[0], sets[0].cases, archive / "cache", on_progress=lambda _: pytest.fail("made anew"))
    assert len(again) == 2


def test_names_must_be_there(archive) -> None:
    about = json.loads((archive / "dicom.json").read_text())
    about["labels"] = {"1": "pancreas"}
    (archive / "other.json").write_text(json.dumps(about))
    found = read_dataset(archive / "other.json")
    with pytest.raises(InputError, match=r"has none of the structures .* 'liver', 'body', 'spleen'; name them there"):
        load_samples(found, found.cases, archive / "cache")
