"""A DICOM series comes in as one volume, or with one sentence why not."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_volume

STEP = 2.5
ROW, COLUMN = np.array([0.6, 0.8, 0.0]), np.array([-0.8, 0.6, 0.0])
ORIGIN = np.array([-100.0, 20.0, 300.0])


def _write(path, series, number, position, stored, *, slope="1", intercept="-1024", **more):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = more.pop("SOPClassUID", CTImageStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    one.StudyInstanceUID, one.SeriesInstanceUID = series + ".1", series
    one.Modality = more.pop("Modality", "CT")
    one.PatientName, one.PatientID, one.InstanceNumber = "Test^Case", "1", number
    one.SeriesDescription = more.pop("SeriesDescription", "thorax")
    if stored is not None:
        one.ImagePositionPatient = [f"{v:.6f}" for v in position]
        one.ImageOrientationPatient = [f"{v:.6f}" for v in (*ROW, *COLUMN)]
        one.PixelSpacing = ["0.8", "0.7"]
        one.SliceThickness = str(STEP)
        one.Rows, one.Columns = stored.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 0
        one.RescaleSlope, one.RescaleIntercept = slope, intercept
        one.PixelData = stored.astype(np.uint16).tobytes()
    for key, value in more.items():
        setattr(one, key, value)
    one.save_as(path, enforce_file_format=True)


@pytest.fixture
def stored():
    return np.random.default_rng(0).integers(0, 3000, (6, 5, 7))


@pytest.fixture
def write_series():
    def write(folder, stored, *, positions=None, series="1.2.826.0.1.1", prefix="", **more):
        folder.mkdir(exist_ok=True)
        normal = np.cross(ROW, COLUMN)
        positions = positions if positions is not None else [ORIGIN + k * STEP * normal for k in range(len(stored))]
        names = np.random.default_rng(3).permutation(len(stored))  # names do not tell the order
        for k, plane in enumerate(stored):
            _write(folder / f"{prefix}{names[k]:03d}.dcm", series, int(names[k]), positions[k], plane, **more)
        return folder

    return write


def _said(path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_series_with_shuffled_names(tmp_path, write_series, stored, capfd):
    volume = read_volume(write_series(tmp_path / "ct", stored))
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels, stored - 1024)
    assert volume.name == "ct"
    assert np.allclose(volume.grid.origin, ORIGIN)
    assert np.allclose(volume.grid.spacing, (0.7, 0.8, STEP))
    assert np.allclose(np.reshape(volume.grid.direction, (3, 3)).T, [ROW, COLUMN, np.cross(ROW, COLUMN)], atol=1e-6)
    assert capfd.readouterr().err == ""


def test_the_rescale_slope_is_honoured(tmp_path, write_series, stored):
    volume = read_volume(write_series(tmp_path / "ct", stored, slope="0.5", intercept="-1000"))
    assert np.allclose(volume.voxels, stored * 0.5 - 1000)


def test_each_slice_may_have_its_own_slope(tmp_path, write_series, stored):
    folder = write_series(tmp_path / "ct", stored)
    for path in sorted(folder.iterdir()):
        one = pydicom.dcmread(path)
        k = round((float(one.ImagePositionPatient[2]) - ORIGIN[2]) / STEP)
        one.RescaleSlope = str(1 + k / 4)
        one.save_as(path)
    slopes = (1 + np.arange(6) / 4)[:, None, None]
    assert np.allclose(read_volume(folder).voxels, stored * slopes - 1024)


def test_several_series_are_listed_and_one_can_be_picked(tmp_path, write_series, stored):
    folder = write_series(tmp_path / "ct", stored, series="1.2.3.1")
    write_series(folder, stored[::-1], series="1.2.3.2", prefix="b", SeriesDescription="late phase")
    text = _said(folder)
    assert "1.2.3.1" in text
    assert "1.2.3.2 (late phase, 6 files)" in text
    assert np.array_equal(read_volume(f"{folder}#1.2.3.2").voxels, stored[::-1] - 1024)
    assert "1.2.3.1" in _said(f"{folder}#1.2.3.9")


def test_objects_that_are_no_images_do_not_count(tmp_path, write_series, stored):
    folder = write_series(tmp_path / "ct", stored)
    _write(folder / "rs.dcm", "1.2.9", 1, ORIGIN, None, Modality="RTSTRUCT", SOPClassUID=RTStructureSetStorage)
    assert np.array_equal(read_volume(folder).voxels, stored - 1024)


def test_refuses_missing_slices(tmp_path, write_series, stored):
    normal = np.cross(ROW, COLUMN)
    positions = [ORIGIN + k * STEP * normal for k in (0, 1, 2, 4, 5, 8)]
    text = _said(write_series(tmp_path / "ct", stored, positions=positions))
    assert "lacks 3 of its slices" in text


def test_refuses_uneven_slices_and_warns_of_nearly_even_ones(tmp_path, write_series, stored):
    normal = np.cross(ROW, COLUMN)
    uneven = [ORIGIN + z * normal for z in (0, 2.5, 5, 8.4, 10.9, 13.4)]
    assert "not evenly spaced" in _said(write_series(tmp_path / "a", stored, positions=uneven))
    nearly = [ORIGIN + z * normal for z in (0, 2.5, 5.1, 7.6, 10.1, 12.6)]
    volume = read_volume(write_series(tmp_path / "b", stored, positions=nearly))
    (note,) = volume.notes
    assert "slightly uneven: 2.6 mm between" in note
    assert "2.5 mm elsewhere; 2.52 mm was taken" in note
    assert volume.grid.spacing[2] == pytest.approx(2.52)


def test_refuses_two_time_points_in_one_series(tmp_path, write_series, stored):
    normal = np.cross(ROW, COLUMN)
    positions = [ORIGIN + (k // 2) * STEP * normal for k in range(6)]
    assert "several slices at one place" in _said(write_series(tmp_path / "ct", stored, positions=positions))


def test_refuses_a_tilted_gantry(tmp_path, write_series, stored):
    positions = [ORIGIN + k * (STEP * np.cross(ROW, COLUMN) + np.tan(np.radians(15)) * STEP * COLUMN) for k in range(6)]
    assert "tilted by 15.0 degrees" in _said(write_series(tmp_path / "ct", stored, positions=positions))


def test_refuses_slices_of_several_sizes_or_directions(tmp_path, write_series, stored):
    folder = write_series(tmp_path / "ct", stored)
    path = next(iter(sorted(folder.iterdir())))
    one = pydicom.dcmread(path)
    one.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    one.save_as(path)
    assert "several sizes or directions" in _said(folder)


def test_refuses_one_file_one_slice_and_none(tmp_path, write_series, stored):
    folder = write_series(tmp_path / "ct", stored)
    assert "single DICOM file" in _said(next(folder.iterdir()))
    assert "only one slice" in _said(write_series(tmp_path / "one", stored[:1]))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("nothing here")
    assert "holds no DICOM images" in _said(tmp_path / "notes")


@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("left", [0.97, 0.5])
def test_refuses_a_damaged_slice(tmp_path, write_series, stored, which, left):
    folder = write_series(tmp_path / "ct", stored)
    path = sorted(folder.iterdir())[which]
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    assert "damaged" in _said(folder)


def test_refuses_a_slice_that_may_not_be_read(tmp_path, write_series, stored, denied):
    folder = write_series(tmp_path / "ct", stored)
    with denied(sorted(folder.iterdir())[2]):
        assert "may not be read" in _said(folder)


def test_the_same_series_written_by_another_library(tmp_path, stored):
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(len(stored)):
        plane = sitk.GetImageFromArray((stored[k] - 1024).astype(np.int16)[np.newaxis])
        plane.SetSpacing((0.7, 0.8, STEP))
        for key, value in {
            "0008|0060": "CT",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.4",
            "0008|0018": f"1.2.3.4.{k + 1}",
            "0020|0032": f"0\\0\\{k * STEP}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            plane.SetMetaData(key, value)
        writer.SetFileName(str(tmp_path / f"{9 - k}.dcm"))
        writer.Execute(plane)
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.voxels, stored - 1024)
    assert volume.grid.spacing == (0.7, 0.8, STEP)
