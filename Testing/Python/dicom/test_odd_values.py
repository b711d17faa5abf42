"""A CT series with values that are no CT's, or that are stored as few do."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_volume

from .conftest import COLUMN, ROW, write_ct


@pytest.mark.parametrize("fields", [{"RescaleIntercept": "9.3e18"}, {"RescaleSlope": "1e30"}])
def test_values_that_no_whole_number_holds(tmp_path, fields) -> None:
    """That is said, or what can be made of them is read."""
    folder = write_ct(tmp_path / "ct", **fields)
    try:
        volume = read_volume(folder)
    except InputError:
        return
    assert volume.voxels.dtype == np.float32
    assert np.all(np.isfinite(volume.voxels))


def files_of(folder) -> list:
    """The files of a series from below upwards."""
    up = np.cross(ROW, COLUMN)
    return sorted(
        (path for path in folder.iterdir()), key=lambda path: np.dot(pydicom.dcmread(path).ImagePositionPatient, up)
    )


@pytest.mark.parametrize("packed", [False, True])
def test_an_icon_is_passed_over(tmp_path, packed) -> None:
    """Its pixels may be compressed, piece by piece, although those of the slice are not."""
    plain = read_volume(write_ct(tmp_path / "plain"))
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation, icon.Rows, icon.Columns = 1, "MONOCHROME2", 8, 8
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = encapsulate([b"\xff\xd8abcd\xff\xd9", b"\xfe\xff\0\xe0" * 5]) if packed else bytes(64)
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", packed
    folder = write_ct(tmp_path / "ct", IconImageSequence=[icon])
    assert np.array_equal(read_volume(folder).voxels, plain.voxels)


@pytest.mark.parametrize("kind", ["OB", "OW"])
@pytest.mark.parametrize("shape", [(4, 30, 32), (4, 15, 33)])
def test_bytes_in_big_words(tmp_path, kind, shape) -> None:
    """Big-endian files of former days store bytes two by two, the second one first, where their type says words."""
    folder = write_ct(tmp_path / "ct", shape)
    stored = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    for path, plane in zip(files_of(folder), stored, strict=True):
        one = pydicom.dcmread(path)
        one.BitsAllocated, one.BitsStored, one.HighBit = 8, 8, 7
        data = plane.tobytes() + b"\0" * (plane.size % 2)
        one.PixelData = data if kind == "OB" else np.frombuffer(data, ">u2").astype("<u2").tobytes()
        one["PixelData"].VR = kind
        one.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        pydicom.dcmwrite(path, one, implicit_vr=False, little_endian=False)
    found = [pydicom.dcmread(path).pixel_array for path in files_of(folder)]
    assert np.array_equal(found, stored)
    assert np.array_equal(read_volume(folder).voxels, stored.astype(int) - 1024)
