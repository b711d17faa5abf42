"""Several volumes teach one prompt; the next slice is suggested; a page says where to look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.tune import estimate as estimates
from PromptSegLib.volumes.io import read_labels

from .conftest import Promptseg, save, tune_words

TWO = ("tune", "ct.nii.gz", "labels.nii.gz", "ct2.nii.gz", "labels2.nii.gz", "--name", "ball", "-o", "new.promptset")
SHORT = ("--steps", "2", "--device", "cpu", "--json")


@pytest.fixture
def second(place):
    """A second, smaller patient with other spacing; the ball has the value 5."""
    k, j, i = np.indices((60, 24, 26))
    ball = ((k - 30) / 15) ** 2 + ((j - 12) / 6) ** 2 + ((i - 12) / 5) ** 2 <= 1
    noise = np.random.default_rng(1).normal(0, 10, ball.shape)
    save((np.where(ball, 180, 20) + noise).astype(np.int16), place / "ct2.nii.gz", (2.0, 2.0, 4.0))
    save(ball.astype(np.uint8) * 5, place / "labels2.nii.gz", (2.0, 2.0, 4.0))


def test_one_prompt_from_two_volumes(promptseg: Promptseg, second) -> None:
    words = (*TWO, "--label", 3, "--label", 5, "--slices", "40,52,64", "--slices", "25,35", *SHORT)
    result = promptseg(*words, "--absent", "none", "--absent", "2", "--segmentation", "out.nii.gz").result
    assert {(one["volume"], one["index"]) for one in result["left_out"]} == {
        (0, 40),
        (0, 52),
        (0, 64),
        (1, 25),
        (1, 35),
    }
    card = PromptSet.read("new.promptset")["ball"].card
    assert (card.volumes, card.slices, len(card.taught_on)) == (2, 6, 2)
    found, drawn = read_labels("out.nii.gz").mask(1), read_labels("labels.nii.gz").mask(3)
    for index in (40, 52, 64):
        np.testing.assert_array_equal(found[index], drawn[index])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--label", 3, "--slices", "40,52"), "2 pairs of IMAGE and LABELS, and --slices was given 1 times"),
        (
            ("--label", 3, "--slices", "40", "--slices", "30", "--absent", "1"),
            "2 pairs of IMAGE and LABELS, and --absent was given 1 times",
        ),
        (
            ("--label", 3, "--label", 3, "--label", 5, "--slices", "40", "--slices", "30"),
            "2 pairs of IMAGE and LABELS, and --label was given 3 times",
        ),
        (("--label", 3, "--slices", "40", "--slices", "30"), "has no label 3"),
    ],
)
def test_numbers_that_do_not_fit(promptseg: Promptseg, second, place, words, sentence) -> None:
    outcome = promptseg(*TWO, *words)
    assert outcome.status == 2
    assert sentence in outcome.err
    assert not (place / "new.promptset").exists()


def test_an_image_without_labels(promptseg: Promptseg) -> None:
    words = ("tune", "ct.nii.gz", "--label", 3, "--slices", "40", "--name", "ball", "-o", "new.promptset")
    outcome = promptseg(*words)
    assert outcome.status == 2
    assert "An IMAGE has no LABELS" in outcome.err


def test_notes_on_the_drawing_are_printed(promptseg: Promptseg) -> None:
    assert "Only one slice shows the structure" in promptseg(*tune_words(slices="52", absent=None)).out


def test_suggest(promptseg: Promptseg) -> None:
    words = ("suggest", "ct.nii.gz", "labels.nii.gz", "--label", 3, "--slices", "34,70", "--prompt", "kidney.promptset")
    result = promptseg(*words, "--most", 2, "--device", "cpu", "--json").result
    assert len(result["suggestions"]) == 2
    for one in result["suggestions"]:
        assert one["index"] not in (34, 70)
        assert one["reason"].endswith(".")
        assert 0 < one["share"] <= 1
    text = promptseg(*words, "--device", "cpu").out
    assert str(result["suggestions"][0]["index"]) in text
    assert result["suggestions"][0]["reason"][:20] in text


def test_suggest_needs_one_structure(promptseg: Promptseg) -> None:
    words = ("suggest", "ct.nii.gz", "labels.nii.gz", "--label", 3, "--slices", "40", "--prompt", "abdomen-ct")
    outcome = promptseg(*words)
    assert outcome.status == 2
    assert "abdomen-ct has several structures" in outcome.err


def test_review_with_a_reference(promptseg: Promptseg, place) -> None:
    pytest.importorskip("matplotlib")
    labels = read_labels("labels.nii.gz").array.copy()
    labels[50] = 0
    save(labels, place / "found.nii.gz")
    words = ("review", "ct.nii.gz", "found.nii.gz", "--reference", "labels.nii.gz", "-o", "report.html")
    result = promptseg(*words, "--json").result
    by_name = {one["structure"]: one for one in result["structures"]}
    ball = by_name["label 3"]
    worst = ball["slices"][0]
    assert (worst["index"], worst["why"], worst["dice"], worst["error_cm2"]) == (50, "Dice 0.00", 0.0, None)
    assert worst["risk"] > 1  # more than its mean area
    assert ball["volume_ml"] == pytest.approx((labels == 3).sum() * 0.01)
    assert "It is missing in 1 slice between others that show it." in ball["remarks"]
    page = (place / "report.html").read_text(encoding="utf-8")
    assert page.count('<svg class="slice"') == 1  # all other slices are perfect
    assert "Slice K = 50" in page
    assert "label 3" in promptseg(*words).out


def test_review_as_a_table(promptseg: Promptseg, place) -> None:
    outcome = promptseg("review", "ct.nii.gz", "labels.nii.gz", "-o", "review.csv")
    assert outcome.status == 0
    head, *lines = (place / "review.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("structure,slice,volume_ml,expected_dice,dice")
    rows = [line.split(",")[:2] for line in lines]
    assert [name for name, index in rows if not index] == ["label 1", "label 3"]
    assert {name for name, index in rows if index} == {"label 3"}


def test_review_with_probabilities(promptseg: Promptseg, place) -> None:
    pytest.importorskip("matplotlib")
    promptseg("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "out.seg.nrrd", "--probabilities", "maps")
    words = ("review", "ct.nii.gz", "out.seg.nrrd", "-o", "report.html", "--json")
    result = promptseg(*words, "--probabilities", "maps").result
    assert [one["structure"] for one in result["structures"]] == ["liver", "spleen"]
    assert all(one["uncertain_ml"] > 0 for one in result["structures"])
    outcome = promptseg(*words, "--probabilities", ".")
    assert outcome.status == 2
    assert "has no map of 'liver'" in outcome.err


def test_review_of_what_does_not_belong_together(promptseg: Promptseg, second) -> None:
    for words, sentence in (
        (("ct2.nii.gz", "labels.nii.gz", "-o", "r.html"), "on another grid"),
        (("ct.nii.gz", "labels.nii.gz", "-o", "r.pdf"), "r.pdf"),
    ):
        outcome = promptseg("review", *words)
        assert outcome.status == 2
        assert sentence in outcome.err


def test_tune_says_what_is_to_be_expected(promptseg: Promptseg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "CALIBRATION", replace(estimates.CALIBRATION, pairs=40))
    outcome = promptseg(*tune_words(segmentation="out.nii.gz"), "--json")
    expected = outcome.result["expected_dice"]
    assert 0 < expected["low"] < expected["dice"] < expected["high"] < 1
    assert (
        "Dice to be expected between the first and the last drawn slice"
        in promptseg(*tune_words(segmentation="o.mha")).out
    )


def test_tune_warns_where_the_structure_goes_on_beyond_the_drawing(promptseg: Promptseg, place) -> None:
    said = "The structure seems to go on beyond slices 48 and 56"
    inner = {"slices": "48,56", "absent": None, "steps": 0}
    assert said in promptseg(*tune_words(**inner)).out
    assert any(note.startswith(said) for note in promptseg(*tune_words(**inner), "--json").result["notes"])
    assert "seems to go on" not in promptseg(*tune_words(steps=0)).out  # absent slices are named
    words = ("suggest", "ct.nii.gz", "labels.nii.gz", "--label", 3, "--slices", "48,56", "--prompt", "kidney.promptset")
    (first,) = promptseg(*words, "--device", "cpu", "--json").result["suggestions"]
    assert not 48 <= first["index"] <= 56
    every = ",".join(map(str, range(33, 72)))
    out = promptseg(*tune_words(slices=every, absent=None, steps=0, segmentation="out.nii.gz")).out
    assert "to be expected" not in out
    assert "seems to go on" not in out


def test_values_that_are_no_hu_are_told(promptseg: Promptseg, place) -> None:
    import SimpleITK as sitk  # noqa: N813

    array = sitk.GetArrayFromImage(sitk.ReadImage("ct.nii.gz"))
    save((array + 1024).clip(0).astype(np.uint16), place / "raw.nrrd")
    words = ("segment", "raw.nrrd", "--prompts", "abdomen-ct:liver", "-o", "out.nii.gz", "--device", "cpu")
    outcome = promptseg(*words)
    assert outcome.status == 0
    (warning,) = [line for line in outcome.err.splitlines() if line.startswith("Warning: ")]
    assert "do not look like a CT's in HU" in warning
    events = promptseg(*words, "--json").events
    assert [e["message"] for e in events if e["event"] == "warning"] == events[-1]["warnings"] == [warning[9:]]
    for more in (
        tune_words(image="raw.nrrd", steps=0),
        ["suggest", *words[1:2], "labels.nii.gz", "--label", "3", "--slices", "40,64", "--prompt", "kidney.promptset"],
    ):
        assert "do not look like a CT's in HU" in promptseg(*more).err
    ordinary = promptseg(*words[:1], "ct.nii.gz", *words[2:], "--json")
    assert "warnings" not in ordinary.result
