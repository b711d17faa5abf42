"""Commands that take labels take those that another tool saved with their axes in another order or direction."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.prompts.promptset import PromptSet

from .conftest import Promptseg, tune_words


@pytest.fixture
def turned(place) -> str:
    """The labels with K first and backwards, as a sagittal stack."""
    one = sitk.Flip(sitk.PermuteAxes(sitk.ReadImage("labels.nii.gz"), (2, 0, 1)), (True, False, True))
    sitk.WriteImage(one, "turned.nii.gz")
    return "turned.nii.gz"


def test_tune_and_suggest_learn_the_same_from_them(promptseg: Promptseg, turned) -> None:
    assert promptseg(*tune_words(output="a.promptset")).status == 0
    outcome = promptseg(*tune_words(output="b.promptset", labels=turned))
    assert outcome.status == 0, outcome.err
    assert "The axes of turned.nii.gz run otherwise than those of ct" in outcome.err
    a, b = (next(iter(PromptSet.read(f"{n}.promptset").prompts.values())).tensors for n in "ab")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    words = ("--label", 3, "--slices", "40,52,64", "--device", "cpu", "--prompt", "b.promptset", "--json")
    first, second = (promptseg("suggest", "ct.nii.gz", file, *words) for file in ("labels.nii.gz", turned))
    assert second.status == 0, second.err
    assert first.result["suggestions"] == second.result["suggestions"]


def test_evaluate_and_review_compare_the_same_voxels(promptseg: Promptseg, turned) -> None:
    for words in (("labels.nii.gz", turned), (turned, "labels.nii.gz"), (turned, turned, "--image", "ct.nii.gz")):
        outcome = promptseg("evaluate", *words, "--json")
        assert outcome.status == 0, outcome.err
        assert outcome.err == ""
        assert outcome.result["mean"]["dice"] == 1
    said = promptseg("evaluate", "labels.nii.gz", turned, "--skip-slices", 52).err
    assert "slices do not count along those" in said
    files = ("labels.nii.gz", turned)
    found = [promptseg("review", "ct.nii.gz", one, "-o", "r.html", "--json").result["structures"] for one in files]
    assert found[0] == found[1]
