"""Headers that contradict themselves, or ask for what nobody does: what is taken is right, and said."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_volume

VOXELS = np.random.default_rng(0).integers(-1000, 200, (4, 6, 5)).astype("<i2")
METRES = ((-0.002, 0, 0, 0.04), (0, 0.002, 0, -0.02), (0, 0, 0.0025, -0.3))
MICRONS = ((-2000, 0, 0, 40_000), (0, 2000, 0, -20_000), (0, 0, 2500, -300_000))
MM = ((-2, 0, 0, 40), (0, 2, 0, -20), (0, 0, 2.5, -300))


def nifti(path: Path, sform, pixdim=(2, 2, 2.5), slope: float = 1, inter: float = 0) -> Path:
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 5, 6, 4, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<8f", head, 76, 1, *pixdim, 0, 0, 0, 0)
    struct.pack_into("<3f", head, 108, 352, slope, inter)
    head[123] = 2
    struct.pack_into("<2h", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, *(n for row in sform for n in row))
    head[344:348] = b"n+1\0"
    path.write_bytes(gzip.compress(bytes(head) + VOXELS.tobytes()))
    return path


def nrrd(path: Path, **changes: str) -> Path:
    fields = {
        "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "5 6 4", "encoding": "raw",
        "space directions": "(2,0,0) (0,2,0) (0,0,2.5)", "space origin": "(-40,-20,-300)", "endian": "little",
    }  # fmt: skip
    fields |= {key.replace("_", " "): value for key, value in changes.items()}
    lines = [f"{key}: {value}" for key, value in fields.items()]
    path.write_bytes("\n".join(["NRRD0004", *lines, "", ""]).encode() + VOXELS.tobytes())
    return path


def meta(path: Path, without: str = "", **changes: str) -> Path:
    fields = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "-40 -20 -300", "AnatomicalOrientation": "RAI",
        "ElementSpacing": "2 2 2.5", "DimSize": "5 6 4", "ElementType": "MET_SHORT",
    } | changes  # fmt: skip
    lines = [f"{key} = {value}" for key, value in fields.items() if key != without]
    path.write_bytes("\n".join([*lines, "ElementDataFile = LOCAL", ""]).encode() + VOXELS.tobytes())
    return path


@pytest.mark.parametrize(("sform", "word"), [(METRES, "metres"), (MICRONS, "micrometres"), (MM, "")])
def test_an_sform_in_another_unit_than_pixdim(sform, word: str, tmp_path) -> None:
    volume = read_volume(nifti(tmp_path / "a.nii.gz", sform))
    assert np.allclose(volume.grid.spacing, (2, 2, 2.5))
    assert np.allclose(volume.grid.origin, (-40, 20, -300))
    assert ([f"The sform of a.nii.gz is in {word}, unlike its pixdim" in note for note in volume.notes] == [True]) == (
        word != ""
    )


def test_a_volume_of_half_a_millimetre_is_in_metres_and_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"is 0\.012 mm long, which no scanner's volume is; correct its spacing"):
        read_volume(nifti(tmp_path / "a.nii.gz", METRES, (0.002, 0.002, 0.0025)))


@pytest.mark.parametrize(
    ("slope", "inter", "said", "low"),
    [
        (1, math.nan, "an intercept that is no number: none was taken", VOXELS.min()),
        (2, math.inf, "an intercept that is no number: none was taken", 2 * VOXELS.min()),
        (math.inf, 0, "the slope inf: by the standard, its values are taken unscaled", VOXELS.min()),
        (math.nan, -1024, "the slope nan: by the standard, its values are taken unscaled", VOXELS.min()),
        (math.nan, math.nan, "", VOXELS.min()),
        (0, 0, "", VOXELS.min()),
    ],
)
def test_a_scaling_that_cannot_be_followed(slope: float, inter: float, said: str, low: float, tmp_path) -> None:
    volume = read_volume(nifti(tmp_path / "a.nii.gz", MM, slope=slope, inter=inter))
    assert volume.voxels.min() == low
    assert [said in note for note in volume.notes] == ([True] if said else [])


@pytest.mark.parametrize(
    ("units", "directions", "spacing", "said"),
    [
        ('"m" "m" "m"', "(0.002,0,0) (0,0.002,0) (0,0,0.0025)", (2, 2, 2.5), "in 'm': 2 x 2 x 2.5 mm was taken"),
        ('"cm" "cm" "cm"', "(.2,0,0) (0,.2,0) (0,0,.25)", (2, 2, 2.5), "in 'cm': 2 x 2 x 2.5 mm was taken"),
        ('"\u00b5m" "\u00b5m" "\u00b5m"', "(2000,0,0) (0,2000,0) (0,0,2500)", (2, 2, 2.5), "2 x 2 x 2.5 mm was taken"),
        ('"um" "um" "um"', "(2,0,0) (0,2,0) (0,0,2.5)", (2, 2, 2.5), "in 'um', which cannot be: 2 x 2 x 2.5 mm"),
        ('"mm" "mm" "mm"', "(2,0,0) (0,2,0) (0,0,2.5)", (2, 2, 2.5), ""),
        ('"" "" ""', "(2,0,0) (0,2,0) (0,0,2.5)", (2, 2, 2.5), ""),
    ],
)
def test_the_unit_of_an_nrrd(units: str, directions: str, spacing, said: str, tmp_path) -> None:
    volume = read_volume(
        nrrd(tmp_path / "a.nrrd", space_units=units, space_origin="(0,0,0)", space_directions=directions)
    )
    assert np.allclose(volume.grid.spacing, spacing)
    assert [said in note for note in volume.notes] == ([True] if said else [])


def test_the_origin_has_the_unit_too(tmp_path) -> None:
    path = nrrd(
        tmp_path / "a.nrrd",
        space_units='"m" "m" "m"',
        space_directions="(0.002,0,0) (0,0.002,0) (0,0,0.0025)",
        space_origin="(-0.04,-0.02,-0.3)",
    )
    assert np.allclose(read_volume(path).grid.origin, (-40, -20, -300))


def test_a_field_that_is_given_twice(tmp_path) -> None:
    assert read_volume(nrrd(tmp_path / "a.nrrd", **{"dimension ": "3"})).voxels.shape == (4, 6, 5)
    with pytest.raises(InputError, match=r"b\.nrrd gives its 'sizes' twice, in different ways"):
        read_volume(nrrd(tmp_path / "b.nrrd", **{"sizes ": "3 3 3"}))
    with pytest.raises(InputError, match=r"c\.mha gives its 'DimSize' twice, in different ways"):
        read_volume(meta(tmp_path / "c.mha", **{"DimSize ": "3 3 3"}))


@pytest.mark.parametrize(
    ("letters", "matrix", "contradicts"),
    [
        ("RAI", "1 0 0 0 1 0 0 0 1", False),
        ("LPS", "1 0 0 0 1 0 0 0 1", False),  # the other ends of the same axes, as some programs name them
        ("LAI", "1 0 0 0 1 0 0 0 1", True),
        ("LAS", "1 0 0 0 1 0 0 0 1", True),
        ("RAI", "-1 0 0 0 -1 0 0 0 1", True),
        ("LPI", "-1 0 0 0 -1 0 0 0 1", False),
        ("???", "-1 0 0 0 -1 0 0 0 1", False),
        ("RAI", "0.8 0.6 0 -0.6 0.8 0 0 0 1", False),
    ],
)
def test_letters_that_contradict_the_matrix(letters: str, matrix: str, contradicts: bool, tmp_path) -> None:
    volume = read_volume(meta(tmp_path / "a.mha", AnatomicalOrientation=letters, TransformMatrix=matrix))
    assert np.allclose(np.reshape(volume.grid.direction, (3, 3)).T.ravel(), [float(n) for n in matrix.split()])
    assert ["contradicts its TransformMatrix" in note for note in volume.notes] == [True] * contradicts


def test_letters_without_a_matrix_and_a_scaling_are_told(tmp_path) -> None:
    volume = read_volume(meta(tmp_path / "a.mha", "TransformMatrix", AnatomicalOrientation="LPI"))
    assert volume.grid.direction[0] == -1
    assert "a.mha has no TransformMatrix; its AnatomicalOrientation LPI was taken" in volume.notes[0]
    volume = read_volume(meta(tmp_path / "b.mha", ElementToIntensityFunctionSlope="2"))
    assert np.array_equal(volume.voxels, VOXELS)
    assert "b.mha names the slope 2 and the offset 0 for its values" in volume.notes[0]
