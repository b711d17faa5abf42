"""Segments that share a name are never taken for one another."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from .conftest import Promptseg, tune_words


def write(path: str, names: dict[int, str]) -> None:
    """A segmentation on the grid of ct.nii.gz with a box for each value."""
    image = sitk.ReadImage("ct.nii.gz")
    labels = np.zeros(sitk.GetArrayFromImage(image).shape, np.uint8)
    for value in names:
        labels[40:60, 4:12, 2 + 7 * (value - 1) : 6 + 7 * (value - 1)] = value
    found = sitk.GetImageFromArray(labels)
    found.CopyInformation(image)
    for n, (value, name) in enumerate(names.items()):
        for key, text in (("ID", f"S{n}"), ("Name", name), ("LabelValue", value), ("Layer", 0)):
            found.SetMetaData(f"Segment{n}_{key}", str(text))
    sitk.WriteImage(found, path)


def test_a_file_with_itself_is_perfect(promptseg: Promptseg, place) -> None:
    write("twice.seg.nrrd", {1: "organ", 2: "organ", 3: "liver"})
    rows = promptseg("evaluate", "twice.seg.nrrd", "twice.seg.nrrd", "--json").result["rows"]
    assert [(row["structure"], row["dice"]) for row in rows] == [
        ("organ (label 1)", 1.0),
        ("organ (label 2)", 1.0),
        ("liver", 1.0),
    ]


def test_which_one_is_meant_is_asked(promptseg: Promptseg, place) -> None:
    write("twice.seg.nrrd", {1: "organ", 2: "Organ"})
    write("once.seg.nrrd", {1: "organ", 2: "liver"})
    for words in (("twice.seg.nrrd", "once.seg.nrrd"), ("once.seg.nrrd", "twice.seg.nrrd")):
        outcome = promptseg("evaluate", *words)
        assert outcome.status == 2
        assert "(labels 1 and 2)" in outcome.err
        rows = promptseg("evaluate", *words, "--pairs", "2:2", "--json").result["rows"]
        assert rows[0]["dice"] == 1


def test_review_shows_both(promptseg: Promptseg, place) -> None:
    pytest.importorskip("matplotlib")
    write("twice.seg.nrrd", {1: "organ", 2: "organ"})
    words = ("review", "ct.nii.gz", "twice.seg.nrrd", "--reference", "twice.seg.nrrd", "-o", "r.html", "--json")
    found = promptseg(*words).result["structures"]
    assert [(one["structure"], one["score"]["dice"]) for one in found] == [
        ("organ (label 1)", 1.0),
        ("organ (label 2)", 1.0),
    ]


def test_a_name_that_two_segments_have_cannot_be_taught(promptseg: Promptseg, place) -> None:
    write("twice.seg.nrrd", {1: "organ", 2: "organ", 3: "Liver", 4: "liver"})
    words = {"labels": "twice.seg.nrrd", "slices": "44,52", "absent": None, "steps": 0}
    for command in (tune_words(label="organ", **words), tune_words(label="LIVER", **words)):
        outcome = promptseg(*command)
        assert outcome.status == 2
        assert "--label" not in outcome.err or "by its value" in outcome.err
        assert "labels" in outcome.err
    assert promptseg(*tune_words(label="liver", **words)).status == 0  # one is called exactly so
    assert promptseg(*tune_words(label="2", **words)).status == 0
