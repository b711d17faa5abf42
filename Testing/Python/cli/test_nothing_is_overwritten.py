"""No command writes over one of its inputs, however the path is spelled; results are named after what they hold."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegCli.commands.segment import map_name
from PromptSegLib import resources
from PromptSegLib.errors import OutputError
from PromptSegLib.inputs_stay import check_outputs, files_of

from .conftest import Promptseg, tune_words

SEGMENT = ("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "--device", "cpu")
TWO = ("tune", "ct.nii.gz", "first.nii.gz", "ct2.nii.gz", "second.nii.gz", "--label", "3", "--name", "ball")
SLICES = ("--slices", "40,64", "--slices", "40,64", "--steps", "0", "--device", "cpu")


@pytest.fixture
def files(place: Path) -> dict[Path, bytes]:
    """Inputs that lie alone, and what they hold."""
    for name, source in (("ct2", "ct"), ("first", "labels"), ("second", "labels")):
        (place / f"{name}.nii.gz").write_bytes((place / f"{source}.nii.gz").read_bytes())
    (place / "liver.nii.gz").write_bytes((place / "ct.nii.gz").read_bytes())
    (place / "link.nii.gz").symlink_to("first.nii.gz")
    (place / "own.safetensors").write_bytes((resources.resource("Models", "punet-ct.safetensors")).read_bytes())
    return {path: path.read_bytes() for path in place.iterdir() if path.is_file()}


@pytest.mark.parametrize("compressed", [False, True])
def test_an_image_with_its_voxels_in_the_same_file_names_no_other(place: Path, compressed: bool) -> None:
    """Voxels are bytes of any kind: taken for names of files, they were too long for one."""
    image = sitk.ReadImage(str(place / "ct.nii.gz"))
    sitk.WriteImage(image, str(place / "ct.mha"), useCompression=compressed)
    assert files_of(place / "ct.mha") == [place / "ct.mha"]
    check_outputs({"-o": (place / "new.nii.gz", [".nii.gz"])}, [("IMAGE", place / "ct.mha")])
    (place / "list.mhd").write_bytes(b"NDims = 3\r\nElementDataFile = LIST\r\na.raw\r\nb.raw\r\n")
    assert [one.name for one in files_of(place / "list.mhd")] == ["list.mhd", "a.raw", "b.raw"]
    (place / "odd.mhd").write_bytes(b"ElementDataFile = " + b"x" * 5000)
    check_outputs({"-o": (place / "new.nii.gz", [".nii.gz"])}, [("IMAGE", place / "odd.mhd")])


CASES = {
    "labels of the first pair": (*TWO, *SLICES, "-o", "a.promptset", "--segmentation", "first.nii.gz"),
    "labels of the second pair": (*TWO, *SLICES, "-o", "a.promptset", "--segmentation", "second.nii.gz"),
    "image of the first pair": (*TWO, *SLICES, "-o", "a.promptset", "--segmentation", "ct.nii.gz"),
    "by a link": (*TWO, *SLICES, "-o", "a.promptset", "--segmentation", "link.nii.gz"),
    "by another spelling": (*TWO, *SLICES, "-o", "a.promptset", "--segmentation", "./none/../first.nii.gz"),
    "the former round": tuple(tune_words(start_from="kidney.promptset", output="kidney.promptset")),
    "some of a prompt set": (*SEGMENT, "--prompts", "kidney.promptset:left kidney", "-o", "kidney.promptset"),
    "a merged prompt set": ("prompts", "merge", "kidney.promptset", "abdomen-ct", "-o", "kidney.promptset"),
    "a merged structure": (
        "prompts",
        "merge",
        "kidney.promptset:left kidney",
        "abdomen-ct",
        "-o",
        "./kidney.promptset",
    ),
    "the image as a map": ("segment", "liver.nii.gz", *SEGMENT[2:], "-o", "o.nii.gz", "--probabilities", "."),
    "the result as a map": (*SEGMENT, "-o", "maps/liver.nii.gz", "--probabilities", "maps"),
    "the backbone of a run": ("pretrain", "d.json", "-o", ".", "--name", "own", "--start-from", "own.safetensors"),
    "the description of a run": ("pretrain", ".", "-o", ".", "--name", "dataset"),
    "prompts of a run": ("pretrain", "d.json", "-o", ".", "--start-from", "punet-ct", "--prompts", "kidney.promptset"),
}


@pytest.mark.parametrize("case", CASES)
def test_inputs_stay(case: str, promptseg: Promptseg, files: dict[Path, bytes], place: Path) -> None:
    (place / "none").mkdir()
    (place / "maps").mkdir()
    for name in ("d", "dataset"):
        (place / f"{name}.json").write_text("{}")
    outcome = promptseg(*CASES[case])
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert {path: path.read_bytes() for path in files} == files
    assert (place / "dataset.json").read_text() == "{}"
    assert not (place / "a.promptset").exists()


def test_the_file_in_the_way_is_named(promptseg: Promptseg, files: dict[Path, bytes]) -> None:
    err = promptseg(*CASES["labels of the first pair"]).err
    assert "--segmentation and LABELS name the same file 'first.nii.gz'" in err


def test_voxels_in_a_file_of_their_own_are_an_input_too(place: Path) -> None:
    (place / "a.nhdr").write_text("NRRD0004\ntype: short\nencoding: raw\ndata file: b.nrrd\n\n")
    (place / "l.nhdr").write_text("NRRD0004\ntype: short\ndata file: LIST\nc.nrrd\nd.nrrd\n")
    (place / "m.mhd").write_text("ObjectType = Image\nElementDataFile = e.nrrd\n")
    assert place / "b.nrrd" in files_of(place / "a.nhdr")
    assert {place / "c.nrrd", place / "d.nrrd"} <= set(files_of(place / "l.nhdr"))
    assert place / "e.nrrd" in files_of(place / "m.mhd")


def test_what_is_shipped_is_an_input_too(place: Path) -> None:
    assert resources.resource("PromptSets", "abdomen-ct.promptset") in files_of("abdomen-ct:liver")
    assert resources.resource("Models", "punet-ct.safetensors") in files_of("punet-ct")


def test_a_slice_of_a_series_stays(promptseg: Promptseg, place: Path) -> None:
    (place / "series").mkdir()
    (place / "series" / "a.nrrd").write_bytes(bytes(128) + b"DICM" + bytes(100))
    outcome = promptseg("segment", "series", "--prompts", "abdomen-ct", "-o", "series/a.nrrd")
    assert outcome.status == 2
    assert "IMAGE name the same file" in outcome.err


def test_the_folder_of_the_user_is_found_where_no_shell_did(promptseg: Promptseg, place: Path, monkeypatch) -> None:
    home = place / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", os.fspath(home))
    monkeypatch.setenv("USERPROFILE", os.fspath(home))
    outcome = promptseg(*SEGMENT[:3], "abdomen-ct:liver", "-o", "~/out.nii.gz", "--device", "cpu")
    assert outcome.status == 0
    assert (home / "out.nii.gz").is_file()
    assert not (place / "~").exists()
    assert promptseg("evaluate", "~/out.nii.gz", "~/out.nii.gz").status == 0


def test_no_two_structures_share_a_map() -> None:
    names = [
        "liver",
        "Liver",
        "LIVER",
        "a/b:c",
        "a_b_c",
        "a b c",
        "a:b_c",
        "left kidney",
        "left_kidney",
        "Leber",
        "con",
    ]
    names += ["ä", "a\u0308", "x" * 200, "x" * 199 + "y", "..", "liver.1234567890"]
    files = [map_name(name) for name in names]
    assert len({file.casefold() for file in files}) == len(names)
    assert all(len(file) < 100 and file.isascii() and "/" not in file and ":" not in file for file in files)
    assert map_name("left kidney") == "left_kidney.nii.gz"


def test_review_takes_the_map_of_the_structure(promptseg: Promptseg, place: Path) -> None:
    pytest.importorskip("matplotlib")
    image = sitk.ReadImage("ct.nii.gz")
    labels = np.zeros(sitk.GetArrayFromImage(image).shape, np.uint8)
    labels[30:50, 5:15, 5:15], labels[50:60, 5:15, 5:15] = 1, 2
    found = sitk.GetImageFromArray(labels)
    found.CopyInformation(image)
    for number, name in enumerate(("Liver", "liver")):
        for key, value in (("ID", f"S{number}"), ("Name", name), ("LabelValue", number + 1), ("Layer", 0)):
            found.SetMetaData(f"Segment{number}_{key}", str(value))
    sitk.WriteImage(found, "two.seg.nrrd")
    (place / "maps").mkdir()
    for name, share in (("Liver", 0.5), ("liver", 0.0)):
        probability = sitk.GetImageFromArray(np.where(labels == 1, share, 0).astype(np.float32) + np.float32(1e-30))
        probability.CopyInformation(image)
        probability[0, 0, 0] = 0.25
        sitk.WriteImage(probability, os.fspath(place / "maps" / map_name(name)))
    words = ("review", "ct.nii.gz", "two.seg.nrrd", "--probabilities", "maps", "-o", "r.html", "--json")
    uncertain = [one["uncertain_ml"] for one in promptseg(*words).result["structures"]]
    assert uncertain[0] == pytest.approx(2000 * 0.01 / 2, rel=0.01)
    assert uncertain[1] < 0.1
    (place / "maps" / map_name("liver")).unlink()
    assert "No map of probabilities in maps: 'liver" in promptseg(*words[:-1]).out


def test_an_error_after_a_result_was_written_says_so(promptseg: Promptseg, place: Path, monkeypatch) -> None:
    from PromptSegLib.volumes import io

    def full(path, *_: object) -> None:
        raise OutputError(f"{path} could not be written (No space left on device)", "choose another folder")

    monkeypatch.setattr(io, "write_map", full)
    outcome = promptseg(*SEGMENT, "-o", "out.nii.gz", "--probabilities", "maps")
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert last.endswith("(No space left on device) (out.nii.gz was written); choose another folder.")
    assert (place / "out.nii.gz").is_file()


def test_volumes_are_told_and_what_was_not_found(promptseg: Promptseg, monkeypatch) -> None:
    from PromptSegLib.segment import segmenter
    from PromptSegLib.volumes.io import read_labels

    result = promptseg(*SEGMENT, "-o", "out.seg.nrrd", "--json").result
    for name, ml in result["volumes_ml"].items():
        assert ml == pytest.approx(np.count_nonzero(read_labels("out.seg.nrrd").mask(name)) * 0.01, abs=1e-3)
    assert result["nothing_found"] == []

    real = segmenter.clean_map

    def lose_the_spleen(logits, components) -> None:
        real(logits, components)
        if not lost:
            lost.append(logits)
        else:
            logits.slices.clear()

    lost: list[object] = []
    monkeypatch.setattr(segmenter, "clean_map", lose_the_spleen)
    out = promptseg(*SEGMENT, "-o", "out.nii.gz").out
    assert "Nothing was found of: 'spleen'.\n" in out
    assert "volume ml" in out
    lost.clear()
    result = promptseg(*SEGMENT, "-o", "out.nii.gz", "--json").result
    assert (result["nothing_found"], result["volumes_ml"]["spleen"]) == (["spleen"], 0)
