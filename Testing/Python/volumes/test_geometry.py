"""Where voxels lie, by the standards: headers that contradict themselves, say nothing, or are not quite square."""

from __future__ import annotations

import gzip
import itertools
import locale
import shutil
import struct
import subprocess

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.errors import GridError, InputError
from PromptSegLib.volumes.geometry import parse_orientation
from PromptSegLib.volumes.io import read_labels, read_volume, write_labels, write_map
from PromptSegLib.volumes.preprocess import nearest_axes
from PromptSegLib.volumes.volume import Grid

MM = (1.5, 1.25, 5.0)
SFORM = ((-1.5, 0, 0, 100), (0, 1.25, 0, -80), (0, 0, 5, -300))
HU = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)


def nifti(path, *, pixdim=MM, handed=1.0, qform=0, sform=1, matrix=SFORM, quaternion=(0, 0, 0), shift=(0, 0, 0), hu=HU,
          kind=4, slope=1.0, inter=0.0, units=2, order="<", dim=None, magic=b"n+1\0", offset=352):  # fmt: skip
    head = bytearray(352)
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + "8h", head, 40, *(dim or (3, *hu.shape[::-1], 1, 1, 1, 1)))
    struct.pack_into(order + "2h", head, 70, kind, hu.dtype.itemsize * 8)
    struct.pack_into(order + "8f", head, 76, handed, *pixdim, 0, 0, 0, 0)
    struct.pack_into(order + "3f", head, 108, offset, slope, inter)
    head[123] = units
    struct.pack_into(order + "2h", head, 252, qform, sform)
    struct.pack_into(order + "6f", head, 256, *quaternion, *shift)
    struct.pack_into(order + "12f", head, 280, *np.ravel(matrix))
    head[344:348] = magic
    data = bytes(head) + hu.astype(hu.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.name.endswith("gz") else data)
    return path


def nifti2(path, *, qform=0, sform=1, matrix=SFORM, pixdim=MM, hu=HU):
    head = bytearray(544)
    struct.pack_into("<i", head, 0, 540)
    head[4:12] = b"n+2\0\r\n\x1a\n"
    struct.pack_into("<2h", head, 12, 4, 16)
    struct.pack_into("<8q", head, 16, 3, *hu.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<8d", head, 104, 1, *pixdim, 0, 0, 0, 0)
    struct.pack_into("<q2d", head, 168, 544, 1, 0)
    struct.pack_into("<2i", head, 344, qform, sform)
    struct.pack_into("<12d", head, 400, *np.ravel(matrix))
    struct.pack_into("<i", head, 500, 2)
    path.write_bytes(bytes(head) + hu.tobytes())
    return path


def nrrd(path, lines, hu=HU, kind="short"):
    head = f"NRRD0004\ntype: {kind}\ndimension: 3\nsizes: {hu.shape[2]} {hu.shape[1]} {hu.shape[0]}\nendian: little\n"
    path.write_bytes((head + "encoding: raw\n" + (lines and lines + "\n") + "\n").encode() + hu.tobytes())
    return path


def mha(path, lines, hu=HU, kind="SHORT"):
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n" + lines
    size = " ".join(map(str, hu.shape[::-1]))
    path.write_bytes(
        (head + f"DimSize = {size}\nElementType = MET_{kind}\nElementDataFile = LOCAL\n").encode() + hu.tobytes()
    )
    return path


def ras(volume) -> np.ndarray:
    return volume.grid.ijk_to_ras


def expected(matrix=SFORM) -> np.ndarray:
    return np.vstack([matrix, [0, 0, 0, 1]])


def _said(path, **more) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path, **more)
    assert caught.value.remedy
    return str(caught.value)


QUARTER = (0.0, 0.0, np.sqrt(0.5))  # a quarter turn about the long axis


def test_the_sform_has_its_own_lengths(tmp_path):
    """As nibabel and the standard: pixdim counts for the qform alone. ITK takes it for both."""
    volume = read_volume(nifti(tmp_path / "a.nii.gz", pixdim=(1, 1, 1)))
    assert np.allclose(ras(volume), expected())
    assert "1.5 x 1.25 x 5 mm (sform) and as 1 x 1 x 1 mm (pixdim); the sform was taken" in volume.notes[0]
    for pixdim in ((-1.5, 1.25, 5), (1.5, -1.25, 5), (0, 0, 0), (np.nan, 1.25, 5), (-1.5, -1.25, -5)):
        volume = read_volume(nifti(tmp_path / "a.nii", pixdim=pixdim))
        assert np.allclose(ras(volume), expected())
        assert len(volume.notes) == 1, pixdim
    assert read_volume(nifti(tmp_path / "a.nii")).notes == ()
    assert read_volume(nifti2(tmp_path / "2.nii")).notes == ()
    assert np.allclose(ras(read_volume(nifti2(tmp_path / "2.nii", pixdim=(2, 2, 2)))), expected())


def test_the_qform_by_the_standard(tmp_path):
    path = tmp_path / "a.nii"
    volume = read_volume(nifti(path, qform=1, sform=0, quaternion=QUARTER, shift=(1, 2, 3)))
    assert np.allclose(ras(volume)[:3], [[0, -1.25, 0, 1], [1.5, 0, 0, 2], [0, 0, 5, 3]], atol=1e-6)
    assert volume.notes == ()
    volume = read_volume(nifti(path, qform=1, sform=0, handed=-1, quaternion=QUARTER))
    assert np.allclose(ras(volume)[2], [0, 0, -5, 0], atol=1e-6)
    # A negative pixdim has no meaning: nibabel drops the sign, ITK mirrors.
    volume = read_volume(nifti(path, qform=1, sform=0, pixdim=(-1.5, 1.25, 5)))
    assert np.allclose(ras(volume)[:3], [[1.5, 0, 0, 0], [0, 1.25, 0, 0], [0, 0, 5, 0]], atol=1e-6)
    assert "negative spacing" in volume.notes[0]
    volume = read_volume(nifti(path, qform=1, sform=0, pixdim=(1.5, 1.25, 0)))
    assert volume.grid.spacing == (1.5, 1.25, 1)
    assert "1 mm was taken where it is 0" in volume.notes[0]


@pytest.mark.parametrize("seed", range(6))
def test_a_qform_alone_is_what_itk_reads(tmp_path, seed):
    """Also to the last bit, where nothing is contradictory."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=4)
    q = q / np.linalg.norm(q) * np.sign(q[0])
    path = nifti(
        tmp_path / "a.nii", qform=1 + seed % 2, sform=0, handed=1 - 2 * (seed % 2), quaternion=q[1:],
        pixdim=rng.uniform(0.5, 5, 3), shift=rng.normal(size=3) * 100,
    )  # fmt: skip
    found, image = read_volume(path).grid, sitk.ReadImage(path)
    assert (found.size, found.origin, found.spacing) == (image.GetSize(), image.GetOrigin(), image.GetSpacing())
    assert np.allclose(found.direction, image.GetDirection(), rtol=0, atol=2e-7)


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (2, 1), (1, 4)])
def test_two_forms_that_differ_are_told(tmp_path, codes):
    path = tmp_path / "a.nii"
    volume = read_volume(nifti(path, qform=codes[0], sform=codes[1], quaternion=QUARTER))
    assert np.allclose(ras(volume), expected())
    assert "put voxels up to" in volume.notes[0]
    assert "the sform was taken" in volume.notes[0]
    # Turned half about the long axis, as the sform is, mirrored: the same grid.
    same = nifti(path, qform=codes[0], sform=codes[1], quaternion=(0, 1, 0), handed=-1, shift=(100, -80, -300))
    assert read_volume(same).notes == ()


def test_a_singular_sform_leaves_the_qform(tmp_path):
    path = tmp_path / "a.nii"
    for matrix in (np.zeros((3, 4)), np.ones((3, 4)), np.full((3, 4), np.nan)):
        volume = read_volume(nifti(path, qform=1, matrix=matrix, shift=(1, 2, 3)))
        assert np.allclose(ras(volume), [[1.5, 0, 0, 1], [0, 1.25, 0, 2], [0, 0, 5, 3], [0, 0, 0, 1]], atol=1e-6)
        assert "singular" in volume.notes[0]
        assert "where its voxels lie" in _said(nifti(path, matrix=matrix))


def test_units(tmp_path):
    path = tmp_path / "a.nii"
    small = np.array(SFORM) / 1000
    volume = read_volume(nifti(path, units=1, matrix=small, pixdim=np.array(MM) / 1000))
    assert np.allclose(ras(volume), expected())
    assert "in metres: 1.5 x 1.25 x 5 mm was taken" in volume.notes[0]
    volume = read_volume(nifti(path, units=3, matrix=np.array(SFORM) * 1000, pixdim=np.array(MM) * 1000))
    assert np.allclose(ras(volume), expected())
    volume = read_volume(nifti(path, units=3))  # mm, whatever it says
    assert np.allclose(ras(volume), expected())
    assert "cannot be" in volume.notes[0]
    for units in (0, 2, 8 | 2):
        assert read_volume(nifti(path, units=units)).notes == ()


def _without_orientation(folder):
    yield nifti(folder / "codes.nii.gz", sform=0)
    yield nifti(folder / "filled.nii", sform=0, quaternion=QUARTER)
    yield nrrd(folder / "none.nrrd", "")
    yield nrrd(folder / "spacings.nrrd", "spacings: 1.5 1.25 5")
    yield nrrd(folder / "xyz.nrrd", "space: scanner-xyz\nspace directions: (1.5,0,0) (0,1.25,0) (0,0,5)")
    yield nrrd(folder / "3d.nrrd", "space: 3D-right-handed\nspace directions: (1.5,0,0) (0,1.25,0) (0,0,5)")
    yield nrrd(folder / "dimension.nrrd", "space dimension: 3\nspace directions: (1.5,0,0) (0,1.25,0) (0,0,5)")
    yield mha(folder / "none.mha", "")
    yield mha(folder / "spacing.mha", "ElementSpacing = 1.5 1.25 5\n")
    yield mha(folder / "zeros.mha", "TransformMatrix = 0 0 0 0 0 0 0 0 0\nElementSpacing = 1.5 1.25 5\n")
    yield mha(folder / "unknown.mha", "AnatomicalOrientation = ???\nElementSpacing = 1.5 1.25 5\n")


def test_an_orientation_that_nobody_knows_is_asked_for(tmp_path):
    for path in _without_orientation(tmp_path):
        text = _said(path)
        assert f"{path.name} does not say which way its axes run, so left and right cannot be known" in text
        assert "--orientation" in text
        for letters in ("LPS", "ras", "LAS", "SPL"):
            volume = read_volume(path, orientation=letters)
            axes = np.reshape(volume.grid.direction, (3, 3))
            assert np.array_equal(axes, parse_orientation(letters))
            assert f"{letters.upper()} was taken" in " ".join(volume.notes)
            plain = path.name in ("none.nrrd", "none.mha")
            assert volume.grid.spacing == ((1, 1, 1) if plain else MM)
            assert ("does not say how large its voxels are: 1 mm" in " ".join(volume.notes)) == plain
            assert np.array_equal(volume.voxels, HU)


def test_an_orientation_does_not_overrule_a_file(tmp_path):
    volume = read_volume(nifti(tmp_path / "a.nii"), orientation="LPS")
    assert np.allclose(ras(volume), expected())
    assert volume.notes == ()


@pytest.mark.parametrize("text", ["", "LP", "LPSA", "LRS", "XYZ", "LLL", "up"])
def test_what_is_no_orientation(tmp_path, text):
    assert f"'{text}' is not an orientation" in _said(nifti(tmp_path / "a.nii"), orientation=text)


def test_all_48_orientations():
    found = set()
    for letters in itertools.permutations("LPS"):
        for flips in itertools.product((0, 1), repeat=3):
            word = "".join({"L": "LR", "P": "PA", "S": "SI"}[a][f] for a, f in zip(letters, flips, strict=True))
            axes = parse_orientation(word)
            assert abs(np.linalg.det(axes)) == 1
            found.add(axes.tobytes())
    assert len(found) == 48


def test_labels_without_orientation_take_the_images_place(tmp_path):
    """Their file does not say where they lie, and the user says that they are like the image."""
    image = read_volume(nifti(tmp_path / "a.nii"))
    drawn = (HU > 500).astype(np.uint8)
    path = nifti(tmp_path / "l.nii", sform=0, hu=drawn, kind=2)
    with pytest.raises(InputError, match="--orientation"):
        read_labels(path, image.grid)
    found = read_labels(path, image.grid, "LAS")
    assert found.grid is image.grid
    assert np.array_equal(found.array, drawn)
    with pytest.raises(GridError, match="direction"):
        read_labels(path, image.grid, "LPS")
    nrrd(tmp_path / "l.nrrd", "", drawn, "uchar")
    assert read_labels(tmp_path / "l.nrrd", image.grid, "LAS").grid is image.grid
    nifti(path, sform=0, hu=drawn, kind=2, pixdim=(1.5, 1.5, 5))
    with pytest.raises(GridError, match="spacing"):
        read_labels(path, image.grid, "LAS")


def _with_axes(folder, axes):
    """The same axes (columns, LPS) in every format, and in NIfTI with and without a qform."""
    scaled = axes * MM
    matrix = np.column_stack([scaled * [[-1], [-1], [1]], [100, -80, -300]])
    vectors = " ".join("(" + ",".join(repr(float(v)) for v in column) + ")" for column in scaled.T)
    yield nifti(folder / "a.nii", matrix=matrix)
    yield nifti(folder / "q.nii", matrix=matrix, qform=1, quaternion=(0, 0, 1), shift=(100, -80, -300))
    yield nifti2(folder / "2.nii", matrix=matrix)
    yield nrrd(folder / "a.nrrd", f"space: left-posterior-superior\nspace directions: {vectors}\nspace origin: (0,0,0)")
    columns = " ".join(repr(float(v)) for v in (axes / np.linalg.norm(axes, axis=0)).T.ravel())
    yield mha(folder / "a.mha", f"TransformMatrix = {columns}\nOffset = 0 0 0\nElementSpacing = 1.5 1.25 5\n")


SHEARS = [(0, 1), (1, 0), (0, 2), (2, 1)]


@pytest.mark.parametrize("off", [1e-5, 1e-4, 5e-4, 9e-4, -9e-4])
@pytest.mark.parametrize("place", SHEARS)
def test_rounding_noise_is_squared_up(tmp_path, off, place):
    axes = np.eye(3)
    axes[place] = off
    for path in _with_axes(tmp_path, axes):
        grid = read_volume(path).grid
        found = np.reshape(grid.direction, (3, 3))
        assert np.allclose(found.T @ found, np.eye(3), rtol=0, atol=1e-12)
        assert np.abs(found - axes).max() < 1e-3
        assert np.allclose(grid.spacing, MM, rtol=1e-6)
        # What is written of it can be read, by us and by ITK, and lies on the same grid.
        for ending in ("nii.gz", "nrrd", "mha"):
            write_labels(tmp_path / f"o.{ending}", (HU > 0).astype(np.uint8), grid, {})
            assert read_labels(tmp_path / f"o.{ending}", grid).grid is grid
            assert np.allclose(sitk.ReadImage(tmp_path / f"o.{ending}").GetDirection(), grid.direction, atol=1e-6)


@pytest.mark.parametrize("off", [2e-3, 0.1, -0.1, 1.0])
@pytest.mark.parametrize("place", SHEARS)
def test_real_shear_is_refused_in_every_format(tmp_path, off, place):
    axes = np.eye(3)
    axes[place] = off
    for path in _with_axes(tmp_path, axes):
        text = _said(path)
        assert f"{path.name} is sheared: its axes are off the right angle by" in text
        assert "not support" in text


@pytest.mark.parametrize("place", SHEARS)
def test_shear_of_what_comes_as_an_array(place):
    """As from 3D Slicer's nodes and the Python interface."""
    for off in (1e-4, 2e-3, 0.3):
        axes = np.eye(3)
        axes[place] = off
        matrix = np.eye(4)
        matrix[:3, :3] = axes * MM
        if off > 1e-3:
            with pytest.raises(GridError, match="sheared"):
                Grid.from_ijk_to_ras(matrix, HU.shape)
        else:
            found = np.reshape(Grid.from_ijk_to_ras(matrix, HU.shape).direction, (3, 3))
            assert np.allclose(found.T @ found, np.eye(3), rtol=0, atol=1e-12)


def test_squaring_up_is_told_where_it_moves_voxels(tmp_path):
    axes = np.eye(3)
    axes[0, 1] = 9e-4
    hu = np.random.default_rng(0).integers(0, 1000, (2, 300, 2)).astype(np.int16) - 500
    scaled = np.column_stack([axes * MM * [[-1], [-1], [1]], [0, 0, 0]])
    volume = read_volume(nifti(tmp_path / "a.nii", matrix=scaled, hu=hu))
    assert "off the right angle by 0.052 degrees; they were squared up" in volume.notes[0]


def test_singular_and_broken_geometry(tmp_path):
    for lines in (
        "space: LPS\nspace directions: (0,0,0) (0,1,0) (0,0,1)",
        "space: LPS\nspace directions: (1,0,0) (1,0,0) (0,0,1)",
        "space: LPS\nspace directions: (1,0,0) (0,inf,0) (0,0,1)",
        "space: LPS\nspace directions: (1,0) (0,1) (0,0)",
    ):
        assert "where its voxels lie" in _said(nrrd(tmp_path / "a.nrrd", lines))
    good = "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
    for lines in (*(good + f"ElementSpacing = 1 {bad} 1\n" for bad in ("0", "-1", "nan")),
                  "TransformMatrix = 1 0 0 1 0 0 0 0 1\n", "TransformMatrix = 1 0 0 0 inf 0 0 0 1\n",
                  "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = nan 0 0\n"):  # fmt: skip
        assert "where its voxels lie" in _said(mha(tmp_path / "a.mha", lines))
    assert "damaged" in _said(mha(tmp_path / "a.mha", "TransformMatrix = 1 0 0 0\n"))
    assert "damaged" in _said(nrrd(tmp_path / "a.nrrd", "space: LPS\nspace directions: (a,0,0) (0,1,0) (0,0,1)"))


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", (-1, -1, 1)), ("RAS", (-1, -1, 1)), ("left-anterior-superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)), ("left-posterior-superior", (1, 1, 1)), ("LPS", (1, 1, 1)),
    ],
)  # fmt: skip
def test_the_spaces_of_nrrd(tmp_path, space, signs):
    lines = f"space: {space}\nspace directions: (0,1.5,0) (0,0,1.25) (-5,0,0)\nspace origin: (1,2,3)"
    path = nrrd(tmp_path / "a.nrrd", lines)
    grid, image = read_volume(path).grid, sitk.ReadImage(path)
    assert (grid.origin, grid.spacing) == (image.GetOrigin(), image.GetSpacing())
    assert np.array_equal(grid.direction, image.GetDirection())
    assert grid.origin == tuple(np.array((1, 2, 3)) * signs)


def test_metaimage_by_its_letters_and_with_long_axes(tmp_path):
    """ITK's RAI comes from right, anterior and inferior: it runs to LPS."""
    letters = mha(tmp_path / "a.mha", "AnatomicalOrientation = RAI\nOffset = 1 2 3\nElementSpacing = 1.5 1.25 5\n")
    assert np.array_equal(read_volume(letters).grid.direction, np.eye(3).ravel())
    letters = mha(tmp_path / "a.mha", "AnatomicalOrientation = LPI\nElementSpacing = 1.5 1.25 5\n")
    assert np.array_equal(read_volume(letters).grid.direction, np.diag([-1.0, -1, 1]).ravel())
    long = mha(
        tmp_path / "a.mha", "TransformMatrix = 0 2 0 0 0 1 1 0 0\nElementSpacing = 1 1 1\nModality = MET_MOD_MR\n"
    )
    volume = read_volume(long)
    assert volume.grid.spacing == (2, 1, 1)
    assert nearest_axes(volume.grid) == ((0, -1), (2, 1), (1, -1))
    assert volume.modality == "MR"
    assert read_volume(mha(tmp_path / "a.mha", "TransformMatrix = 1 0 0 0 1 0 0 0 1\n")).modality == "CT"


def test_numbers_do_not_depend_on_the_locale(tmp_path, monkeypatch):
    """Qt and GTK set it: with a decimal comma, ITK reads 1.34 in NRRD as 1."""
    before = locale.setlocale(locale.LC_ALL)
    if shutil.which("localedef"):  # where none is installed, it can be made
        made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
        if subprocess.run(made, capture_output=True, check=False).returncode == 0:
            monkeypatch.setenv("LOCPATH", str(tmp_path))
    try:
        locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
    except locale.Error:
        pytest.skip("no locale with a decimal comma is installed")
    try:
        assert locale.localeconv()["decimal_point"] == ","
        grid = Grid((6, 5, 4), (-170.5, 0.25, -400.75), (0.703125, 1.34, 2.5))
        for ending in ("nrrd", "mha", "nii.gz"):
            write_map(tmp_path / f"a.{ending}", HU.astype(np.float32), grid)
            found = read_volume(tmp_path / f"a.{ending}").grid
            assert np.allclose(found.spacing, grid.spacing, atol=1e-6)
            assert np.allclose(found.origin, grid.origin, atol=1e-4)
    finally:
        locale.setlocale(locale.LC_ALL, before)


def test_a_digest_of_one_grid_read_twice():
    a = Grid((512, 512, 90), (-170.5, 1e-9, 3.0), (0.7, 0.7, 5))
    b = Grid((512, 512, 90), (-170.5, -1e-9, 3.0), (0.7, 0.7, 5))
    assert a.matches(b)
    assert a.digest != b.digest, "else nothing is tested"
    assert a.has_digest(b.digest)
    assert b.has_digest(a.digest)
    edge = [Grid((9, 9, 9), (0.0005 + noise, 2.0, 3.0)) for noise in (-1e-9, 1e-9)]
    assert edge[0].has_digest(edge[1].digest)
    assert edge[1].has_digest(edge[0].digest)
    for other in (Grid((512, 512, 91), a.origin, a.spacing), Grid(a.size, (-170.4, 0, 3), a.spacing)):
        assert not a.has_digest(other.digest)
