"""``promptseg segment`` and ``tune`` write DICOM where the CT came from DICOM."""

from __future__ import annotations

import errno
import importlib
import os
import re
import signal
import sys

import highdicom as hd
import numpy as np
import pydicom
import pytest

from PromptSegLib.prompts.library import resolve
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_labels, read_volume, write_labels

from ..dicom.conftest import write_ct
from .conftest import Promptseg, tune_words


@pytest.fixture
def series(place):
    """The DICOM series "ct" in the working folder."""
    return read_volume(write_ct(place / "ct", (12, 28, 30))).source


def test_segment_writes_a_dicom_segmentation(promptseg: Promptseg, series) -> None:
    outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", "-o", "out.dcm", "--device", "cpu")
    assert outcome.status == 0, outcome.err
    session = Session(device="cpu")
    session.set_volume(read_volume("ct"))
    expected = session.segment(resolve("abdomen-ct").values())
    found = hd.seg.segread("out.dcm")
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in series.files]
    stack = found.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for number, structure in enumerate(expected.structures):
        np.testing.assert_array_equal(stack[..., number], expected.mask(structure.name))
    assert (
        session.backbone.id
        in found.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    )


def test_tune_writes_one_of_the_first_volume(promptseg: Promptseg, series, place) -> None:
    grid = read_volume("ct").grid
    drawn = np.zeros(grid.shape, np.uint8)
    drawn[3:9, 8:20, 8:20] = 3

    write_labels("drawn.nii.gz", drawn, grid, {})
    words = tune_words(image="ct", labels="drawn.nii.gz", slices="3,6,8", absent="0", segmentation="own.dcm")
    outcome = promptseg(*words)
    assert outcome.status == 0, outcome.err
    assert hd.seg.segread("own.dcm").SegmentSequence[0].SegmentLabel == "left kidney"


def test_another_image_is_refused_before_the_work_begins(promptseg: Promptseg, place) -> None:
    outcome = promptseg("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "out.dcm")
    assert outcome.status == 2
    assert "refers to the DICOM series of the image" in outcome.err
    assert outcome.err.count("\n") == 1
    assert promptseg(*tune_words(segmentation="out.dcm")).status == 2
    assert not list(place.glob("*.dcm")) + list(place.glob("new*"))


def test_a_missing_package_is_a_sentence(promptseg: Promptseg, series, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", "-o", "out.dcm")
    assert outcome.status == 2
    assert 'run pip install "promptseg[dicom]"' in outcome.err


@pytest.mark.parametrize("words", [("-o", "out.rtstruct.dcm"), ("-o", "out.dcm", "--format", "rtstruct")])
def test_segment_writes_a_structure_set(promptseg: Promptseg, series, words) -> None:
    outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", "-o", "same.dcm", "--device", "cpu")
    assert outcome.status == 0, outcome.err
    outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", *words, "--device", "cpu")
    assert outcome.status == 0, outcome.err
    assert pydicom.dcmread(words[1]).Modality == "RTSTRUCT"
    grid = read_volume("ct").grid
    contours, voxels = read_labels(words[1], grid), read_labels("same.dcm", grid)
    for name in ("liver", "spleen"):
        np.testing.assert_array_equal(contours.mask(name), voxels.mask(name))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "out.nii.gz", "--format", "rtstruct"), r"out\.nii\.gz is named as another; end its name in \.dcm"),
        (("-o", "out.rtstruct.dcm", "--format", "dicom-seg"), "named as rtstruct; choose one of the two"),
        (("-o", "none/out.dcm"), "no folder"),
        (("-o", ".dcm"), "use one of the endings"),
    ],
)
def test_names_that_do_not_fit_are_a_sentence(promptseg: Promptseg, series, place, words, said) -> None:
    outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", *words)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert re.search(said, outcome.err)
    assert not list(place.glob("*out*"))


def test_a_series_that_lacks_slices_is_a_sentence(promptseg: Promptseg, series, place) -> None:
    series.files[5].unlink()
    outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", "-o", "out.dcm")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "lacks 1 of its slices" in outcome.err
    assert not list(place.glob("*.dcm"))


@pytest.mark.parametrize(("name", "module"), [("out.dcm", "seg"), ("out.rtstruct.dcm", "rtstruct")])
def test_ctrl_c_while_it_is_written(promptseg: Promptseg, series, place, monkeypatch, name, module) -> None:
    writer = importlib.import_module(f"PromptSegCli.dicom.{module}")
    original = writer.referred

    def pressed(*given):
        signal.raise_signal(signal.SIGINT)
        return original(*given)

    monkeypatch.setattr(writer, "referred", pressed)
    outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", "-o", name)
    assert (outcome.status, "nothing was written" in outcome.err) == (130, True)
    assert not list(place.glob("*.dcm")) + list(place.glob(".*"))


def test_a_full_disk_leaves_nothing(promptseg: Promptseg, series, place, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for name in ("out.dcm", "out.rtstruct.dcm"):
        outcome = promptseg("segment", "ct", "--prompts", "abdomen-ct", "-o", name)
        assert (outcome.status, "free some space" in outcome.err) == (2, True)
    assert not list(place.glob("*.dcm")) + list(place.glob(".*"))
