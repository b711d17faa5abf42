"""Temporary files that cannot be had: one sentence that names where, and never "damaged"."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.atomic import remove_unfinished
from PromptSegLib.errors import OutputError, as_problem
from PromptSegLib.scratch import scratch
from PromptSegLib.volumes.io import read_volume
from PromptSegLib.worker.jobs import Jobs


def unusable(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """No folder for temporary files, or one on a full disk; gives why."""
    if kind == "none":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
        return "No such file or directory"

    def full(self: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    return "No space left on device"


def test_it_is_gone_afterwards() -> None:
    with scratch() as folder:
        (folder / "a").write_text("x")
    assert not folder.exists()
    with pytest.raises(ZeroDivisionError), scratch() as folder:
        raise ZeroDivisionError
    assert not folder.exists()


def test_it_is_gone_with_a_process_that_is_ended() -> None:
    """A slice of a patient that a decoder got there must not stay in the temporary files."""
    with scratch() as folder:
        (folder / "a.dcm").write_bytes(b"pixels")
        remove_unfinished()
        assert not folder.exists()


@pytest.mark.parametrize("kind", ["none", "full"])
def test_a_compressed_slice_is_not_called_damaged(tmp_path, kind, monkeypatch) -> None:
    folder = tmp_path / "ct"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    writer.KeepOriginalImageUIDOn()
    for k in range(3):
        image = sitk.GetImageFromArray(np.random.default_rng(k).integers(0, 2000, (1, 20, 24)).astype(np.uint16))
        for tag, text in {
            "0008|0060": "CT", "0020|000d": "1.2", "0020|000e": "1.2.3", "0020|0032": f"0\\0\\{5 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0", "0028|1052": "-1024", "0028|1053": "1", "0008|0018": f"1.2.3.{k + 1}",
        }.items():  # fmt: skip
            image.SetMetaData(tag, text)
        writer.SetFileName(str(folder / f"{k}.dcm"))
        writer.Execute(image)
    assert read_volume(folder).voxels.shape == (3, 20, 24)
    why = unusable(kind, tmp_path, monkeypatch)
    with pytest.raises(OutputError, match=rf"Temporary files cannot be written in .*{why}\); .*TMPDIR"):
        read_volume(folder)


def test_a_worker_without_them(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"No folder can be made for temporary files in .*none .*TMPDIR"):
        Jobs.create()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ENOTCONN])
def test_what_a_system_may_run_out_of_is_no_defect(number: int) -> None:
    found = as_problem(OSError(number, "x", "a.nii"))
    assert found is not None
    assert found.remedy
