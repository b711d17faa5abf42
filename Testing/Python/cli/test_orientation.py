"""A file that does not say which way its axes run: no command guesses, and --orientation tells them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from .conftest import Promptseg


def without_orientation(path: Path, out: Path) -> None:
    """The same NIfTI file with both codes zero."""
    data = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<2h", data, 252, 0, 0)
    out.write_bytes(gzip.compress(data, 1))


@pytest.fixture
def bare(place) -> None:
    for name in ("ct", "labels"):
        without_orientation(Path(f"{name}.nii.gz"), Path(f"bare-{name}.nii.gz"))


def test_no_command_guesses(promptseg: Promptseg, bare) -> None:
    for words in (
        ("evaluate", "bare-labels.nii.gz", "bare-labels.nii.gz"),
        ("review", "bare-ct.nii.gz", "bare-labels.nii.gz", "-o", "r.html"),
        ("segment", "bare-ct.nii.gz", "--prompts", "abdomen-ct:liver", "-o", "o.nrrd"),
    ):
        outcome = promptseg(*words)
        assert outcome.status == 2
        assert "which way its axes run, so left and right cannot be known" in outcome.err
        assert "--orientation" in outcome.err
    assert not Path("r.html").exists()


def test_the_orientation_can_be_given(promptseg: Promptseg, bare) -> None:
    outcome = promptseg("evaluate", "bare-labels.nii.gz", "labels.nii.gz", "--orientation", "RPS", "--json")
    assert outcome.status == 2, "on the identity of LPS, the labels lie elsewhere"
    outcome = promptseg("evaluate", "bare-labels.nii.gz", "bare-labels.nii.gz", "--orientation", "ras", "--json")
    assert outcome.status == 0
    assert {row["dice"] for row in outcome.result["rows"]} == {1.0}
    assert [one["message"] for one in outcome.events if one["event"] == "warning"] == [
        "bare-labels.nii.gz does not say which way its axes run: RAS was taken (right, anterior, superior)."
    ]
    outcome = promptseg("evaluate", "labels.nii.gz", "labels.nii.gz", "--orientation", "up")
    assert outcome.status == 2
    assert "'up' is not an orientation" in outcome.err
