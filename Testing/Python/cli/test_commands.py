"""Each command does its work on real files, and what it prints is what it wrote."""

from __future__ import annotations

import json
import os
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib import __version__
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.prompts.library import resolve
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import LabelMap, read_labels, read_volume

from .conftest import SHAPE, Promptseg, save, tune_words


def array(path: Path | str) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def session_result(text: str = "abdomen-ct"):
    session = Session(device="cpu")
    session.set_volume(read_volume("ct.nii.gz"))
    return session.segment(resolve(text).values())


def test_info(promptseg: Promptseg, place) -> None:
    result = promptseg("info", "--json", "--device", "cpu").result
    backbone = Session(device="cpu").backbone
    assert result["versions"]["promptseg"] == __version__
    assert result["versions"]["torch"]
    assert result["device"] == "cpu"
    assert result["precision"] == str(backbone.dtype).removeprefix("torch.")
    assert result["threads"] >= 1
    assert (result["backbone"]["name"], result["backbone"]["id"]) == ("punet-ct", backbone.id)
    assert result["prompt_sets"] == ["abdomen-ct"]
    text = promptseg("info", "--device", "cpu").out
    assert all(word in text for word in (__version__, backbone.id[:12], "abdomen-ct"))


def test_info_without_a_usable_backbone(promptseg: Promptseg, place) -> None:
    outcome = promptseg("info", "--json", "--device", "cpu", "--backbone", "none.safetensors")
    assert outcome.status == 0
    assert "none.safetensors" in outcome.result["backbone"]["problem"]


def test_segment_writes_what_the_session_finds(promptseg: Promptseg, place) -> None:
    outcome = promptseg("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "out.nii.gz", "--json")
    assert outcome.status == 0
    assert outcome.result["labels"] == {"liver": 1, "spleen": 2}
    assert outcome.result["output"] == "out.nii.gz"
    assert {"load", "read", "network", "write"} <= set(outcome.result["seconds"])
    assert outcome.result["peak_memory_mib"] > 50
    assert outcome.result["elapsed_seconds"] >= sum(outcome.result["seconds"].values()) - 0.01  # no second twice
    expected = session_result().labels
    assert expected.any()
    np.testing.assert_array_equal(array("out.nii.gz"), expected)
    assert read_labels("out.nii.gz").grid == read_volume("ct.nii.gz").grid


def test_progress_is_json_lines_that_go_from_0_to_1(promptseg: Promptseg) -> None:
    events = promptseg("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "out.mha", "--json").events
    progress = events[:-1]
    assert {event["event"] for event in progress} == {"progress"}
    assert all(set(event) == {"event", "stage", "fraction", "message", "metrics"} for event in progress)
    assert progress[0]["fraction"] == 0
    assert progress[-1]["fraction"] == 1
    assert all(0 <= event["fraction"] <= 1 for event in progress)


def test_segment_asks_for_structures_of_several_sets(promptseg: Promptseg) -> None:
    words = ("--prompts", "abdomen-ct:spleen", "--prompts", "kidney.promptset", "--probabilities", "a/maps")
    result = promptseg("segment", "ct.nii.gz", *words, "-o", "out.seg.nrrd", "--json").result
    assert result["labels"] == {"spleen": 1, "left kidney": 2}
    labels = read_labels("out.seg.nrrd")
    assert {value: one.name for value, one in labels.names.items()} == {1: "spleen", 2: "left kidney"}
    spleen = session_result("abdomen-ct:spleen")
    np.testing.assert_array_equal(labels.mask("spleen"), spleen.mask("spleen"))
    assert result["probabilities"] == {"spleen": "a/maps/spleen.nii.gz", "left kidney": "a/maps/left_kidney.nii.gz"}
    np.testing.assert_array_equal(array("a/maps/spleen.nii.gz"), spleen.probability("spleen"))


def test_overlaps_are_kept_where_the_format_can(promptseg: Promptseg) -> None:
    promptseg("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "out.seg.nrrd")
    expected = session_result()
    masks = {name: expected.mask(name) for name in ("liver", "spleen")}
    assert (masks["liver"] & masks["spleen"]).any()
    for name, mask in masks.items():
        np.testing.assert_array_equal(read_labels("out.seg.nrrd").mask(name), mask)


def test_segment_says_where_the_result_is_and_replaces_an_older_one(promptseg: Promptseg, place) -> None:
    (place / "out.nii.gz").write_text("an older result")
    outcome = promptseg("segment", "ct.nii.gz", "--prompts", "abdomen-ct:liver", "-o", "out.nii.gz")
    assert outcome.status == 0
    assert "liver" in outcome.out
    assert "Written to out.nii.gz" in outcome.out
    assert array("out.nii.gz").shape == SHAPE
    assert "100%" in outcome.err
    assert "\x1b" not in outcome.out + outcome.err  # no terminal, no bar


def test_tune_writes_a_prompt_that_segments_the_same_volume(promptseg: Promptseg, place) -> None:
    outcome = promptseg(*tune_words(segmentation="out.seg.nrrd"), "--json")
    assert outcome.status == 0
    result = outcome.result
    assert set(result["per_slice"]) == {"40", "52", "64"}
    known = [value for value in result["per_slice"].values() if value is not None]
    assert result["leave_one_slice_out_dice"] == pytest.approx(np.mean(known))
    assert result["prompt"] == "new.promptset"
    assert result["segmentation"] == "out.seg.nrrd"
    assert result["stopped"] is False
    assert {"first mask", "segmentation"} <= set(result["seconds"])

    prompt = PromptSet.read("new.promptset")["left kidney"]
    assert prompt.structure.code.meaning == "Kidney"
    assert prompt.card.slices == 5
    # Drawn slices come back as drawn, absent ones empty.
    found, drawn = read_labels("out.seg.nrrd").mask("left kidney"), array("labels.nii.gz") == 3
    for index in (40, 52, 64, 20, 90):
        np.testing.assert_array_equal(found[index], drawn[index])
    again = promptseg("segment", "ct.nii.gz", "--prompts", "new.promptset", "-o", "again.nii.gz", "--json")
    assert again.result["labels"] == {"left kidney": 1}


def test_tune_is_the_same_with_the_same_seed(promptseg: Promptseg) -> None:
    for name, seed in (("a", 1), ("b", 1)):
        assert promptseg(*tune_words(output=f"{name}.promptset", seed=seed, steps=5)).status == 0
    tensors = [PromptSet.read(f"{name}.promptset")["left kidney"].tensors for name in "ab"]
    assert all(bool((tensors[0][key] == tensors[1][key]).all()) for key in tensors[0])


def test_tune_takes_a_segment_by_name_and_another_axis(promptseg: Promptseg, place) -> None:
    from PromptSegLib.volumes.io import write_labels

    labels = array("labels.nii.gz")
    write_labels("named.seg.nrrd", labels, read_volume("ct.nii.gz").grid, {3: Structure("My Ball")})
    words = tune_words(labels="named.seg.nrrd", label="my ball", axis="j", slices="12,15,18", absent=None, name="ball")
    outcome = promptseg(*words, "--json", "--segmentation", "out.nii.gz")
    assert outcome.status == 0
    assert set(outcome.result["per_slice"]) == {"12", "15", "18"}
    np.testing.assert_array_equal(array("out.nii.gz")[:, 15] == 1, labels[:, 15] == 3)


def test_tune_goes_on_from_a_former_round(promptseg: Promptseg) -> None:
    promptseg(*tune_words(output="first.promptset"))
    words = tune_words(output="second.promptset", start_from="first.promptset")
    assert promptseg(*words).status == 0
    assert PromptSet.read("second.promptset")["left kidney"].card.rounds == 2


@pytest.mark.parametrize("name", ["kidney, left", "C7: body", "a/b:c", "a,", 'it\'s 5 % of "x"'])
def test_any_name_that_is_taught_can_be_asked_for(promptseg: Promptseg, place, name) -> None:
    (place / "a: b").mkdir()
    path = "a: b/new, 1.promptset"
    assert promptseg(*tune_words(output=path, name=name, start_from=None), "--steps", "0").status == 0
    found = promptseg("segment", "ct.nii.gz", "--prompts", f"{path}:{name}", "-o", "out.nii.gz", "--json")
    assert found.result["labels"] == {name: 1}
    other = tune_words(output="second.promptset", name=name, start_from=f"{path}:{name}")
    assert promptseg(*other, "--steps", "0").status == 0
    assert PromptSet.read("second.promptset")[name].card.rounds == 2
    assert promptseg("prompts", "merge", f"{path}:{name}", "abdomen-ct:spleen", "-o", "all.promptset").status == 0
    assert list(PromptSet.read("all.promptset")) == [name, "spleen"]


def test_another_plane_is_refused_as_a_start_and_said_of_a_suggestion(promptseg: Promptseg, place) -> None:
    promptseg(*tune_words(output="first.promptset"), "--steps", "0")
    words = {"axis": "j", "slices": "12,15,18", "absent": None}
    outcome = promptseg(*tune_words(output="second.promptset", start_from="first.promptset", **words))
    assert outcome.status == 2
    assert "learned in axial slices, and these were drawn in coronal ones; draw in the same plane" in outcome.err
    assert not (place / "second.promptset").exists()
    asked = ("suggest", "ct.nii.gz", "labels.nii.gz", "--label", "3", "--slices", "12,15", "--axis", "j")
    assert "was learned in axial slices" in promptseg(*asked, "--prompt", "first.promptset").out
    assert "plane axial" in " ".join(promptseg("prompts", "show", "first.promptset").out.split())


def test_tune_prints_the_leave_one_slice_out_dice(promptseg: Promptseg, monkeypatch) -> None:
    monkeypatch.setattr("PromptSegLib.prompts.card.CARRIES", 1.1)
    out = promptseg(*tune_words()).out
    found = PromptSet.read("new.promptset")["left kidney"].card.network_dice
    assert f"Without contours the network found left-out slices with a Dice of only {found:.2f}" in out
    assert "leave-one-slice-out Dice" in out
    assert all(word in out for word in ("slice 40", "slice 52", "slice 64", "mean", "Written to new.promptset"))


def test_evaluate(promptseg: Promptseg, place) -> None:
    labels = array("labels.nii.gz")
    shifted = np.zeros_like(labels)
    shifted[2:] = np.where(labels[:-2] == 3, 7, 0)
    save(shifted, place / "found.nii.gz")
    result = promptseg("evaluate", "found.nii.gz", "labels.nii.gz", "--pairs", "7:3", "--json").result
    (row,) = result["rows"]
    reference = labels == 3
    assert row["dice"] == pytest.approx(
        2 * (reference & (shifted == 7)).sum() / (reference.sum() + (shifted == 7).sum())
    )
    assert result["mean"]["dice"] == row["dice"]
    assert row["reference_ml"] == pytest.approx(reference.sum() * 10 / 1000)
    assert result["only_in_reference"] == ["label 1"]
    text = promptseg("evaluate", "found.nii.gz", "labels.nii.gz", "--pairs", "7:3").out
    assert f"{row['dice']:.3f}" in text
    assert "label 1" in text


def test_evaluate_leaves_slices_out_and_writes_null_for_what_is_not_defined(promptseg: Promptseg, place) -> None:
    labels = array("labels.nii.gz")
    wrong = labels.copy()
    wrong[50] = 0
    save(wrong, place / "found.nii.gz")
    words = ("evaluate", "found.nii.gz", "labels.nii.gz", "--pairs", "3:3", "--json")
    assert promptseg(*words).result["mean"]["dice"] < 1
    assert promptseg(*words, "--skip-slices", "50").result["mean"]["dice"] == 1
    missed = promptseg("evaluate", "found.nii.gz", "labels.nii.gz", "--pairs", "9:3", "--json")
    assert missed.result["rows"][0]["hd95_mm"] is None
    assert missed.result["rows"][0]["dice"] == 0
    assert "NaN" not in missed.out
    assert "Infinity" not in missed.out


def test_evaluate_places_a_segmentation_that_slicer_cropped(promptseg: Promptseg, place) -> None:
    image = sitk.ReadImage("labels.nii.gz")
    part = image[3:26, 5:26, 25:80]
    part.SetMetaData("Segment0_ID", "Segment_1")
    part.SetMetaData("Segment0_Name", "ball")
    part.SetMetaData("Segment0_LabelValue", "3")
    part.SetMetaData("Segment0_Layer", "0")
    sitk.WriteImage(part, "part.seg.nrrd")
    for words in (("part.seg.nrrd", "labels.nii.gz"), ("labels.nii.gz", "part.seg.nrrd")):
        assert promptseg("evaluate", *words, "--pairs", "3:3", "--json").result["mean"]["dice"] == 1


def test_prompts_list_show_and_merge(promptseg: Promptseg, place) -> None:
    sets = promptseg("prompts", "list", "--json").result["prompt_sets"]
    assert [(one["name"], one["structures"]) for one in sets] == [("abdomen-ct", ["liver", "spleen"])]
    text = promptseg("prompts", "show", "abdomen-ct").out
    assert all(word in text for word in ("liver", "spleen", "10200004", "random prompt of liver"))

    words = ("prompts", "merge", "abdomen-ct:liver", "kidney.promptset", "-o", "mine.promptset")
    assert promptseg(*words, "--json").result["structures"] == ["liver", "left kidney"]
    mine = PromptSet.read("mine.promptset")
    assert (mine.name, list(mine)) == ("mine", ["liver", "left kidney"])
    original = resolve("abdomen-ct")["liver"].tensors
    assert all(bool((mine["liver"].tensors[key] == original[key]).all()) for key in original)


def test_pretrain_writes_a_checkpoint_and_goes_on(promptseg: Promptseg, place) -> None:
    dataset = {"name": "toy", "labels": {"1": "corner", "3": "ball"}}
    dataset["training"] = [{"image": "ct.nii.gz", "label": "labels.nii.gz"}]
    (place / "dataset.json").write_text(json.dumps(dataset))
    words = ("pretrain", "dataset.json", "-o", "run", "--preset", "tiny", "--device", "cpu", "--seed", 3)
    outcome = promptseg(*words, "--steps", 2, "--json")
    assert outcome.status == 0
    assert outcome.result["checkpoint"] == "run/last.safetensors"
    assert (place / "run" / "last.safetensors").is_file()
    assert promptseg(*words, "--steps", 2).status == 2
    assert promptseg(*words, "--steps", 2, "--resume").status == 0
    made = ("--backbone", outcome.result["backbone"], "--prompts", *outcome.result["prompt_sets"])
    found = promptseg("segment", "ct.nii.gz", *made, "-o", "out.nii.gz", "--json").result
    assert found["labels"] == {"corner": 1, "ball": 2}


def test_demo(promptseg: Promptseg, place, monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    from PromptSegCli import demo
    from PromptSegLib.contours import interpolation

    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    def sample():
        volume = read_volume("ct.nii.gz")
        return volume, LabelMap(array("labels.nii.gz"), volume.grid, {3: Structure("ball")})

    short = partial(demo.run_demo, steps=1, tasks=(demo.TaughtStructure("ball", ("ball",)),), sample=sample)
    monkeypatch.setattr(demo, "run_demo", short)
    monkeypatch.setattr(interpolation, "version", missing)  # loading ITK takes long
    outcome = promptseg("demo", "-o", "made/here", "--device", "cpu")
    assert outcome.status == 0
    files = {path.name for path in (place / "made" / "here").iterdir()}
    assert {demo.REPORT, demo.PROMPTS, demo.SEGMENTATION} <= files
    assert "itk-morphologicalcontourinterpolation" in outcome.out
    assert all(f"made/here/{name}" in outcome.out.replace(os.sep, "/") for name in (demo.REPORT, demo.PROMPTS))
