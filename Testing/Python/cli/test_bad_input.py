"""Whatever cannot be used is one sentence with a remedy, exit status 2, and nothing is written."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from .conftest import SHAPE, Promptseg, save, tune_words


def segment_words(
    image: str = "ct.nii.gz", prompts: str = "abdomen-ct", output: str = "out.nii.gz", *more: str
) -> list[str]:
    return ["segment", image, "--prompts", prompts, "-o", output, *more]


def image(array: np.ndarray, name: str = "bad.nii.gz") -> Callable[[Path], list[str]]:
    def make(place: Path) -> list[str]:
        save(array, place / name)
        return segment_words(name)

    return make


def file(name: str, content: Callable[[Path], bytes]) -> Callable[[Path], list[str]]:
    """A damaged image or prompt set by that name."""

    def make(place: Path) -> list[str]:
        (place / name).write_bytes(content(place))
        return segment_words(prompts=name) if name.endswith(".promptset") else segment_words(name)

    return make


def colour(place: Path) -> list[str]:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 9, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), os.fspath(place / "colour.nrrd"))
    return segment_words("colour.nrrd")


def four_dimensional(place: Path) -> list[str]:
    frames = np.random.default_rng(0).integers(-1000, 1000, (3, 6, 8, 9)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(frames, isVector=False), os.fspath(place / "4d.nii.gz"))
    return segment_words("4d.nii.gz")


def with_nan(place: Path) -> list[str]:
    array = np.random.default_rng(0).normal(0, 100, (6, 8, 9)).astype(np.float32)
    array[3, 4, 5] = np.nan
    return image(array, "nan.nrrd")(place)


def other_grid(place: Path) -> list[str]:
    save(np.full(SHAPE, 3, np.uint8), place / "shifted.nii.gz", spacing=(2.0, 2.0, 3.0))
    return tune_words(labels="shifted.nii.gz", segmentation="out.nii.gz")


def other_size(place: Path) -> list[str]:
    save(np.full((96, 28, 29), 3, np.uint8), place / "small.nii.gz")
    return tune_words(labels="small.nii.gz")


def tampered(place: Path) -> bytes:
    content = bytearray((place / "kidney.promptset").read_bytes())
    content[-20] ^= 0x40
    return bytes(content)


def pickled(_: Path) -> bytes:
    return b"cos\nsystem\n(S'touch pwned'\ntR."  # what a pickle that runs a command looks like


CASES: dict[str, Callable[[Path], list[str]]] = {
    "no such image": lambda _: segment_words("none.nii.gz"),
    "not an image": file("text.nii.gz", lambda _: b"this is a letter"),
    "an empty file": file("empty.nrrd", lambda _: b""),
    "a truncated image": file("short.nii.gz", lambda place: (place / "ct.nii.gz").read_bytes()[:20000]),
    "an image without its end": file("end.nii", lambda p: gzip.decompress((p / "ct.nii.gz").read_bytes())[:20000]),
    "a folder that is no series": lambda place: segment_words(os.fspath(_folder(place))),
    "colour": colour,
    "four dimensions": four_dimensional,
    "two dimensions": image(np.arange(72, dtype=np.int16).reshape(1, 8, 9)),
    "NaN": with_nan,
    "constant": image(np.full((6, 8, 9), -1000, np.int16)),
    "labels on another grid": other_grid,
    "labels of another size": other_size,
    "labels that are an image": lambda _: tune_words(labels="ct.nii.gz"),
    "no such labels": lambda _: tune_words(labels="none.nii.gz"),
    "a label that is not there": lambda _: tune_words(label=9),
    "a name that is not there": lambda _: tune_words(label="spleen"),
    "a slice that is not there": lambda _: tune_words(slices="40,52,96"),
    "an absent slice that is not there": lambda _: tune_words(absent="400"),
    "slices without the label": lambda _: tune_words(slices="10,12"),
    "an absent slice with the label": lambda _: tune_words(absent="50"),
    "a slice drawn and absent": lambda _: tune_words(absent="52"),
    "no such prompt set": lambda _: segment_words(prompts="thorax-ct"),
    "no such prompt file": lambda _: segment_words(prompts="none.promptset"),
    "no such structure": lambda _: segment_words(prompts="abdomen-ct:liver,lever"),
    "a structure twice": lambda _: segment_words(
        "ct.nii.gz", "abdomen-ct:liver", "out.nii.gz", "--prompts", "abdomen-ct:liver"
    ),
    "prompts for another backbone": lambda _: segment_words(prompts="foreign.promptset"),
    "a former round on another backbone": lambda _: tune_words(start_from="foreign.promptset"),
    "a name that no prompt set could hold": lambda _: tune_words(name="a" * 201),
    "a truncated prompt set": file("short.promptset", lambda p: (p / "kidney.promptset").read_bytes()[:-500]),
    "a prompt set cut in its header": file("cut.promptset", lambda p: (p / "kidney.promptset").read_bytes()[:100]),
    "a tampered prompt set": file("tampered.promptset", tampered),
    "a pickle": file("pickle.promptset", pickled),
    "no such backbone": lambda _: segment_words("ct.nii.gz", "abdomen-ct", "out.nii.gz", "--backbone", "punet-mr"),
    "a backbone that is none": lambda p: segment_words(
        "ct.nii.gz", "abdomen-ct", "out.nii.gz", "--backbone", os.fspath(_backbone(p))
    ),
    "a device that is not there": lambda _: segment_words(
        "ct.nii.gz", "abdomen-ct", "out.nii.gz", "--device", "cuda:99"
    ),
    "a device that nobody has": lambda _: segment_words("ct.nii.gz", "abdomen-ct", "out.nii.gz", "--device", "abacus"),
    "no such output folder": lambda _: segment_words(output="none/out.nii.gz"),
    "an output in a file": lambda _: segment_words(output="ct.nii.gz/out.nii.gz"),
    "an output that is a folder": lambda place: segment_words(output=os.fspath(_folder(place, "a.nii.gz"))),
    "an output of unknown kind": lambda _: segment_words(output="out.jpg"),
    "a prompt set of unknown kind": lambda _: tune_words(output="kidney.pkl"),
    "a segmentation of unknown kind": lambda _: tune_words(segmentation="kidney.stl"),
    "an output in place of the image": lambda _: segment_words(output="./ct.nii.gz"),
    "two outputs of one name": lambda _: tune_words(segmentation="labels.nii.gz"),
    "maps in a file": lambda _: segment_words("ct.nii.gz", "abdomen-ct", "out.nii.gz", "--probabilities", "ct.nii.gz"),
    "evaluate on another grid": lambda place: ["evaluate", other_grid(place)[2], "labels.nii.gz"],
    "evaluate a label that is not there": lambda _: ["evaluate", "labels.nii.gz", "labels.nii.gz", "--pairs", "1:9"],
    "evaluate a slice that is not there": lambda _: [
        "evaluate",
        "labels.nii.gz",
        "labels.nii.gz",
        "--skip-slices",
        "96",
    ],
    "merge a structure twice": lambda _: [
        *("prompts", "merge", "abdomen-ct", "abdomen-ct:liver", "-o", "out.promptset")
    ],
    "merge over backbones": lambda _: ["prompts", "merge", "abdomen-ct", "foreign.promptset", "-o", "out.promptset"],
    "show what is no prompt set": lambda _: ["prompts", "show", "ct.nii.gz"],
    "pretrain on nothing": lambda _: ["pretrain", "none.json", "-o", "run"],
    "pretrain on what is no data set": lambda _: ["pretrain", "ct.nii.gz", "-o", "run"],
}


def _folder(place: Path, name: str = "folder") -> Path:
    (place / name).mkdir()
    (place / name / "note.txt").write_text("not an image")
    return place / name


def _backbone(place: Path) -> Path:
    (place / "bad.safetensors").write_bytes((place / "kidney.promptset").read_bytes())
    return place / "bad.safetensors"


def contents(place: Path) -> dict[str, int]:
    return {os.fspath(path): path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}


def assert_refused(promptseg: Promptseg, words: list[str], place: Path) -> str:
    """The command refuses, in one sentence, and writes nothing; gives the sentence."""
    before = contents(place)
    outcome = promptseg(*words)
    assert outcome.status == 2, outcome.err
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.endswith(".\n")
    assert "Traceback" not in outcome.err
    assert "defect" not in outcome.err
    assert contents(place) == before
    return outcome.err.strip()


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, promptseg: Promptseg, place) -> None:
    words = CASES[case](place)
    sentence = assert_refused(promptseg, words, place)
    before = contents(place)
    outcome = promptseg(*words, "--json")
    assert outcome.status == 2
    assert outcome.events[-1] == {"event": "error", "message": sentence}
    assert contents(place) == before


def test_a_pickle_is_not_run(promptseg: Promptseg, place) -> None:
    assert_refused(promptseg, CASES["a pickle"](place), place)
    assert not (place / "pwned").exists()


def test_foreign_prompts_name_both_backbones(promptseg: Promptseg, place) -> None:
    from PromptSegLib.model.backbone import load_backbone
    from PromptSegLib.prompts.promptset import PromptSet

    sentence = assert_refused(promptseg, segment_words(prompts="foreign.promptset"), place)
    assert load_backbone("punet-ct", "cpu").id[:12] in sentence
    assert PromptSet.read("foreign.promptset")["pancreas"].backbone_id[:12] in sentence


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("segment", "", "--prompts", "abdomen-ct", "-o", "o.nrrd"), "Argument IMAGE: '' is no name of a file"),
        (("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", " "), "Argument -o/--output: ' ' is no name"),
        (
            ("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "o.nrrd", "--probabilities", ""),
            "--probabilities: ''",
        ),
        (
            ("segment", "ct\0.nii.gz", "--prompts", "abdomen-ct", "-o", "o.nrrd"),
            "'ct\\x00.nii.gz' is no name of a file",
        ),
        (("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "x" * 300 + ".nrrd"), "is too long for this disk"),
    ],
)
def test_names_that_no_file_has(words, said: str, promptseg: Promptseg, place) -> None:
    before = set(place.iterdir())
    outcome = promptseg(*words)
    assert outcome.status == 2
    assert said in outcome.err
    assert len(outcome.err) < 500
    assert set(place.iterdir()) == before


def test_what_is_odd_about_values_and_labels_is_told_by_every_command(promptseg: Promptseg, place) -> None:
    for package in ("jinja2", "matplotlib"):
        pytest.importorskip(package)
    sitk.WriteImage(sitk.ReadImage("ct.nii.gz") + 1024, "shifted.nii.gz")
    err = promptseg("review", "shifted.nii.gz", "labels.nii.gz", "-o", "r.html").err
    assert "Warning: The values of shifted do not look like a CT's in HU" in err
    sitk.WriteImage(sitk.ReadImage("labels.nii.gz"), "labels.nrrd")
    head, voxels = (place / "labels.nrrd").read_bytes().split(b"\n\n", 1)
    (place / "labels.nrrd").write_bytes(head + b'\nspace units: "m" "m" "m"\n\n' + voxels)
    suggest = ("suggest", "ct.nii.gz", "labels.nrrd", "--label", 3, "--slices", "40,64", "--prompt", "kidney.promptset")
    for words in (tune_words(labels="labels.nrrd", steps=0), suggest):
        outcome = promptseg(*words)
        assert outcome.status == 0
        assert "Warning: labels.nrrd gives its spacing in 'm', which cannot be" in outcome.err


@pytest.mark.parametrize("words", [segment_words(output="closed/out.nii.gz"), tune_words(output="closed/a.promptset")])
def test_a_folder_that_may_not_be_written(words: list[str], promptseg: Promptseg, place) -> None:
    if os.name != "posix":
        pytest.skip("needs POSIX permissions")
    import PromptSegLib.prompts.promptset
    import PromptSegLib.volumes.io  # noqa: F401 - now, because another user may not be allowed to read them

    closed = place / "closed"
    closed.mkdir(mode=0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        outcome = promptseg(*words)
    finally:
        os.seteuid(user)
    assert outcome.status == 2
    assert "may not be written" in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        segment_words(),
        segment_words(output="out.seg.nrrd"),
        tune_words(),
        ["prompts", "merge", "abdomen-ct", "kidney.promptset", "-o", "out.promptset"],
    ],
    ids=lambda words: words[0] + words[-1],
)
def test_a_full_disk(words: list[str], promptseg: Promptseg, place, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = contents(place)
    outcome = promptseg(*words)
    assert outcome.status == 2
    *_, sentence = outcome.err.splitlines()
    assert "disk is full" in sentence or os.strerror(errno.ENOSPC) in sentence
    assert contents(place) == before


def test_a_disk_that_is_full_after_the_result_keeps_it_and_no_empty_folder(promptseg, place, monkeypatch) -> None:
    files: list[int] = []

    def full(descriptor: int) -> None:
        files.append(descriptor)
        if len(files) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = contents(place)
    outcome = promptseg(*segment_words(), "--probabilities", "new/maps")
    assert outcome.status == 2
    *_, sentence = outcome.err.splitlines()
    assert "disk is full" in sentence
    assert "out.nii.gz was written" in sentence
    assert set(contents(place)) - set(before) == {str(place / "out.nii.gz")}
    assert not (place / "new").exists()
