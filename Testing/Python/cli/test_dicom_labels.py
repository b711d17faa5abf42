"""Commands that take labels take DICOM Segmentations, with the structure by name or number."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegCli.dicom.rtstruct import write_rtstruct
from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.volumes.io import read_volume, write_labels

from ..dicom.conftest import result_of, write_ct
from .conftest import Promptseg, tune_words

SHAPE = (12, 28, 30)


@pytest.fixture
def drawn(place):
    """The series "ct" in the working folder, and masks that are drawn on it in seg.dcm."""
    volume = read_volume(write_ct(place / "ct", SHAPE))
    k, j, i = np.indices(SHAPE)
    ball = ((k - 6) / 4) ** 2 + ((j - 14) / 8) ** 2 + ((i - 13) / 7) ** 2 <= 1
    masks = {"spleen": np.roll(ball, 4, 2), "left kidney": ball}
    write_dicom_seg(result_of(masks, volume.grid), volume.source, place / "seg.dcm")
    write_rtstruct(result_of(masks, volume.grid), volume.source, place / "rt.dcm")
    write_labels(place / "kidney.nii.gz", ball.astype(np.uint8), volume.grid, {})
    return masks


def few(**more):
    return tune_words(image="ct", slices="3,6,9", absent="0", **more)


@pytest.mark.parametrize(("file", "which"), [("seg.dcm", "left kidney"), ("seg.dcm", 2), ("rt.dcm", "Left Kidney")])
def test_tune_and_suggest_learn_the_same_from_it(promptseg: Promptseg, drawn, file, which) -> None:
    assert promptseg(*few(labels="kidney.nii.gz", label=1, output="a.promptset")).status == 0
    outcome = promptseg(*few(labels=file, label=which, output="b.promptset"))
    assert outcome.status == 0, outcome.err
    a, b = (next(iter(PromptSet.read(f"{n}.promptset").prompts.values())).tensors for n in "ab")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    words = ("--slices", "3,6,9", "--absent", "0", "--device", "cpu", "--prompt", "b.promptset", "--json")
    from_dicom = promptseg("suggest", "ct", file, "--label", which, *words)
    from_map = promptseg("suggest", "ct", "kidney.nii.gz", "--label", "1", *words)
    assert from_dicom.status == 0, from_dicom.err
    assert from_dicom.result["suggestions"] == from_map.result["suggestions"]


def test_evaluate_compares_by_name(promptseg: Promptseg, drawn, place) -> None:
    for first, second in (("seg.dcm", "kidney.nii.gz"), ("kidney.nii.gz", "seg.dcm")):
        pairs = "2:1" if first == "seg.dcm" else "1:2"
        outcome = promptseg("evaluate", first, second, "--pairs", pairs, "--json")
        assert outcome.status == 0, outcome.err
        assert outcome.result["mean"]["dice"] == 1
    outcome = promptseg("evaluate", "seg.dcm", "seg.dcm", "--json")
    assert [row["structure"] for row in outcome.result["rows"]] == ["spleen", "left kidney"]


def test_evaluate_takes_contours(promptseg: Promptseg, drawn, place) -> None:
    for words in (
        ("rt.dcm", "kidney.nii.gz", "--pairs", "2:1"),
        ("kidney.nii.gz", "rt.dcm", "--pairs", "1:2"),
        ("rt.dcm", "seg.dcm"),
        ("rt.dcm", "rt.dcm", "--image", "ct"),
    ):
        outcome = promptseg("evaluate", *words, "--json")
        assert outcome.status == 0, outcome.err
        assert outcome.result["mean"]["dice"] == 1
    outcome = promptseg("evaluate", "rt.dcm", "rt.dcm")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "name the image that both were made of with --image" in outcome.err


def test_evaluate_needs_the_image_where_two_objects_cover_different_parts_of_it(promptseg, drawn, place) -> None:
    volume = read_volume(place / "ct")
    moved = {"left kidney": np.roll(drawn["left kidney"], 1, axis=0)}
    write_dicom_seg(result_of(moved, volume.grid), volume.source, place / "moved.dcm")
    for other in ("seg.dcm", "rt.dcm"):
        outcome = promptseg("evaluate", "moved.dcm", other)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert "name the image that both were made of with --image" in outcome.err
        outcome = promptseg("evaluate", "moved.dcm", other, "--image", "ct", "--json")
        assert outcome.status == 0, outcome.err
        (row,) = outcome.result["rows"]
        assert 0 < row["dice"] < 1


@pytest.mark.parametrize("file", ["seg.dcm", "rt.dcm"])
def test_review_shows_it(promptseg: Promptseg, drawn, place, file) -> None:
    outcome = promptseg("review", "ct", file, "--reference", "seg.dcm", "-o", "page.html", "--json")
    assert outcome.status == 0, outcome.err
    assert {one["structure"] for one in outcome.result["structures"]} == set(drawn)


def test_what_does_not_belong_together_is_a_sentence(promptseg: Promptseg, drawn, place) -> None:
    write_ct(place / "other", SHAPE)
    outcome = promptseg(*few(labels="seg.dcm", label=7))
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "seg.dcm has no label 7; choose one of 1 ('spleen'), 2 ('left kidney')" in outcome.err
    for words in (
        ("review", "other", "seg.dcm", "-o", "page.html"),
        ("review", "other", "rt.dcm", "-o", "page.html"),
        ("review", "ct", "seg.dcm", "--reference", "ct/003.dcm", "-o", "page.html"),
        tune_words(image="other", labels="seg.dcm", label="spleen", slices="3,6,9", absent="0"),
    ):
        outcome = promptseg(*words)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        said = "holds no labels" if "ct" in words else "another frame of reference than the image"
        assert said in outcome.err
    assert not list(place.glob("page*")) + list(place.glob("new*"))
