"""Volumes come in with the voxels and the grid that the file has."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.geometry import check_extent
from PromptSegLib.volumes.io import read_volume, write_map
from PromptSegLib.volumes.volume import Grid

ENDINGS = ("nii", "nii.gz", "nrrd", "mha", "mhd")


def _grid(image: sitk.Image):
    return image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()


@pytest.mark.parametrize("ending", ENDINGS)
def test_reads_what_is_in_the_file(tmp_path, make_image, hu, direction, ending):
    path = tmp_path / f"case 1 ü.{ending}"
    sitk.WriteImage(make_image(hu, direction), path, useCompression=True)
    volume = read_volume(path)
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels, hu)
    assert volume.name == "case 1 ü"
    grid = volume.grid
    assert (grid.size, grid.origin, grid.spacing, grid.direction) == _grid(sitk.ReadImage(path))


@pytest.mark.parametrize(
    ("kind", "scale", "expected"),
    [
        (np.uint8, 0.02, np.int16),
        (np.int16, 1, np.int16),
        (np.uint16, 1, np.int16),
        (np.int32, 1, np.int16),
        (np.int32, 100, np.float32),
        (np.float32, 1, np.float32),
        (np.float64, 1, np.float32),
    ],
)
def test_keeps_int16_where_it_fits(tmp_path, make_image, hu, kind, scale, expected):
    array = (np.abs(hu).astype(np.float64) * scale).astype(kind)
    sitk.WriteImage(make_image(array), tmp_path / "a.nrrd")
    voxels = read_volume(tmp_path / "a.nrrd").voxels
    assert voxels.dtype == expected
    assert np.array_equal(voxels, array)


def test_applies_the_slope_of_a_nifti(tmp_path, make_image, hu):
    path = tmp_path / "a.nii"
    sitk.WriteImage(make_image(hu), path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, 0.5, -10)
    path.write_bytes(data)
    volume = read_volume(path)
    assert volume.voxels.dtype == np.float32
    assert np.allclose(volume.voxels, hu * 0.5 - 10)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd"])
def test_takes_a_fourth_dimension_of_one(tmp_path, make_image, hu, ending):
    image = make_image(hu)
    sitk.WriteImage(sitk.JoinSeries([image]), tmp_path / f"a.{ending}")
    volume = read_volume(tmp_path / f"a.{ending}")
    assert np.array_equal(volume.voxels, hu)
    assert np.allclose(volume.grid.spacing, image.GetSpacing())


def _said(path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    text = str(caught.value)
    assert caught.value.remedy
    assert "\n" not in text
    assert "itk" not in text.lower()
    assert text.endswith(".")
    return text


def test_refuses_what_is_missing_or_empty(tmp_path):
    assert "There is no file" in _said(tmp_path / "none.nii.gz")
    assert "There is no file" in _said(tmp_path / "none" / "none.nrrd")
    (tmp_path / "folder").mkdir()
    assert "is empty" in _said(tmp_path / "folder")
    (tmp_path / "a.nii").touch()
    assert "empty file" in _said(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.dcm", "a"])
def test_refuses_a_text_file(tmp_path, name):
    (tmp_path / name).write_text("These are my notes on the patient. " * 50)
    assert "not an image" in _said(tmp_path / name)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.97])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
def test_refuses_half_a_file(tmp_path, make_image, ending, share, capfd):
    array = np.random.default_rng(0).integers(-1000, 1000, (20, 30, 40)).astype(np.int16)
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(make_image(array), path, useCompression=ending != "nii")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "damaged or was not copied completely" in _said(path)
    assert capfd.readouterr().err == ""


def test_refuses_a_nifti_whose_bytes_changed(tmp_path, make_image, hu):
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(make_image(hu), path)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    packed = bytearray(gzip.compress(raw))
    packed[-8] ^= 0xFF  # the checksum
    path.write_bytes(packed)
    assert "damaged" in _said(path)


def test_refuses_colour_planes_and_sequences(tmp_path, make_image, hu):
    image = make_image(hu)
    sitk.WriteImage(sitk.Compose([sitk.Cast(sitk.Abs(image), sitk.sitkUInt8)] * 3), tmp_path / "colour.nrrd")
    assert "3 values per voxel" in _said(tmp_path / "colour.nrrd")
    sitk.WriteImage(sitk.Cast(sitk.Abs(image[:, :, 0]), sitk.sitkUInt8), tmp_path / "plane.png")
    assert "2-D" in _said(tmp_path / "plane.png")
    sitk.WriteImage(image[:, :, 0], tmp_path / "plane.nii")
    assert "2-D" in _said(tmp_path / "plane.nii")
    sitk.WriteImage(sitk.JoinSeries([image, image]), tmp_path / "time.nii.gz")
    assert "sequence" in _said(tmp_path / "time.nii.gz")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_values_that_are_no_numbers(tmp_path, make_image, hu, value):
    array = hu.astype(np.float32)
    array[2, 3, 4] = value
    sitk.WriteImage(make_image(array), tmp_path / "a.nrrd")
    assert "not numbers" in _said(tmp_path / "a.nrrd")


def test_refuses_a_constant_image(tmp_path, make_image):
    sitk.WriteImage(make_image(np.full((4, 5, 6), -1000, np.int16)), tmp_path / "a.nrrd")
    assert "constant" in _said(tmp_path / "a.nrrd")


@pytest.mark.parametrize("qform", [0, 1])
def test_refuses_a_sheared_nifti(tmp_path, make_image, hu, qform, capfd):
    path = tmp_path / "a.nii"
    sitk.WriteImage(make_image(hu, np.eye(3)), path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2h", data, 252, qform, 1)
    struct.pack_into("<4f", data, 280, -0.7421875, 0.2, 0, 0)
    path.write_bytes(data)
    assert "sheared" in _said(path)
    assert capfd.readouterr().err == ""


def test_refuses_what_may_not_be_read(tmp_path, make_image, hu, denied):
    sitk.WriteImage(make_image(hu), tmp_path / "a.nrrd")
    with denied(tmp_path / "a.nrrd"):
        assert "may not be read" in _said(tmp_path / "a.nrrd")
    folder = tmp_path / "closed"
    folder.mkdir()
    with denied(folder):
        assert "may not be read" in _said(folder)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
def test_a_map_of_probabilities_round_trips(tmp_path, make_image, hu, ending):
    sitk.WriteImage(make_image(hu), tmp_path / f"in.{ending}")
    grid = read_volume(tmp_path / f"in.{ending}").grid
    share = np.random.default_rng(2).random(hu.shape, np.float32)
    write_map(tmp_path / f"p.{ending}", share.astype(np.float64), grid)
    back = read_volume(tmp_path / f"p.{ending}")
    assert back.voxels.dtype == np.float32
    assert np.array_equal(back.voxels, share)
    assert back.grid == grid


@pytest.mark.parametrize(
    ("spacing", "origin", "said"),
    [
        (
            (1000.0, 1.0, 1.0),
            (0.0, 0.0, 0.0),
            r"voxels of 1000 x 1 x 1 mm and is .* long, which no scanner",
        ),
        ((1e30, 1.0, 1.0), (0.0, 0.0, 0.0), "which no scanner's volume is; correct its spacing"),
        ((1.0, 1e-9, 1.0), (0.0, 0.0, 0.0), "which no scanner's volume is; correct its spacing"),
        ((1.0, 1.0, 1.0), (0.0, 1e30, 0.0), r"lies 1e\+30 mm away from the origin"),
    ],
)
@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_a_volume_of_a_hundred_metres_is_refused(tmp_path, kit, ending, spacing, origin, said) -> None:
    """Its working grid would end the process for want of memory."""
    voxels = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
    grid = Grid((8, 7, 6), origin, spacing)
    kit.save_image(tmp_path / f"x{ending}", voxels, grid)
    with pytest.raises(InputError, match=said):
        read_volume(tmp_path / f"x{ending}")
    with pytest.raises(InputError, match=said):
        check_extent(grid, "x")
