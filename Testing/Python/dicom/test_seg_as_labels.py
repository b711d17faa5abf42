"""DICOM Segmentations come in as label maps, of ours and of others, on the image's grid."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib.errors import GridError, InputError
from PromptSegLib.volumes.io import read_labels, read_volume, write_labels
from PromptSegLib.volumes.volume import Grid, Volume

from ..conftest import turn
from .conftest import SHAPE, organ, read, result_of, write_ct


@pytest.fixture
def masks() -> dict[str, np.ndarray]:
    return {"liver": organ(), "left kidney": np.roll(organ(), 3, axis=2), "Größe": organ() & False}


@pytest.fixture
def seg(tmp_path, ct, masks):
    write_dicom_seg(result_of(masks, ct.grid), ct.source, tmp_path / "seg.dcm")
    return tmp_path / "seg.dcm"


def test_what_was_written_is_read(ct, masks, seg) -> None:
    found = read_labels(seg, ct.grid, source=ct.source)
    assert found.grid is ct.grid
    assert {value: one.name for value, one in found.names.items()} == dict(enumerate(masks, 1))
    for number, (name, mask) in enumerate(masks.items(), 1):
        np.testing.assert_array_equal(found.mask(name), mask)
        np.testing.assert_array_equal(found.mask(number), mask)
    kidney = found.names[2]
    assert (kidney.code.value, kidney.modifier.meaning, kidney.category.value) == ("64033007", "Left", "123037004")
    np.testing.assert_allclose(kidney.colour, np.array((185, 102, 83)) / 255, atol=1e-3)
    assert not found.notes


def test_without_an_image_it_has_a_grid_of_its_own(ct, masks, seg) -> None:
    found = read_labels(seg)
    there = np.flatnonzero(masks["liver"].any(axis=(1, 2)))
    assert found.grid.size == (SHAPE[2], SHAPE[1], there[-1] - there[0] + 1)
    np.testing.assert_allclose(found.grid.spacing, ct.grid.spacing)
    np.testing.assert_array_equal(found.mask("liver"), masks["liver"][there[0] : there[-1] + 1])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_every_way_to_write_elements(tmp_path, ct, masks, seg, syntax) -> None:
    one = read(seg)
    one.file_meta.TransferSyntaxUID = syntax
    one.save_as(tmp_path / "again.dcm", implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    found = read_labels(tmp_path / "again.dcm", ct.grid)
    for name, mask in masks.items():
        np.testing.assert_array_equal(found.mask(name), mask)


@pytest.mark.parametrize(
    ("order", "flips"), [((0, 1, 2), (1,)), ((0, 1, 2), (0, 2)), ((2, 1, 0), ()), ((1, 2, 0), (0, 1))]
)
def test_the_image_may_be_stored_in_another_order(ct, masks, seg, order, flips) -> None:
    turned, grid = turn(masks["left kidney"].astype(np.uint8), ct.grid, order, flips)
    np.testing.assert_array_equal(read_labels(seg, grid).mask("left kidney"), turned > 0)


def written(ct: Volume, path, array, kind="BINARY", **more):
    """A Segmentation of another program, of the slices 2 to 6."""
    images = [read(one) for one in ct.source.files][2:7]
    described = [
        hd.seg.SegmentDescription(
            number, name, codes.SCT.Tissue, codes.SCT.Tissue, hd.seg.SegmentAlgorithmTypeValues.MANUAL
        )
        for number, name in enumerate(("one", "two"), 1)
    ]  # fmt: skip
    made = hd.seg.Segmentation(
        images, array, kind, described, hd.UID(), 1, hd.UID(), 1, "maker", "model", "1", "1", **more
    )  # fmt: skip
    made.save_as(path)
    return path


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("BINARY", {}),
        ("BINARY", {"omit_empty_frames": False}),
        ("FRACTIONAL", {"max_fractional_value": 200}),
        ("FRACTIONAL", {"transfer_syntax_uid": pydicom.uid.RLELossless}),
        ("LABELMAP", {}),
    ],
)
def test_every_kind_of_segmentation(tmp_path, ct, kind, more) -> None:
    labels = np.random.default_rng(2).integers(0, 3, (5, *SHAPE[1:])).astype(np.uint8)
    found = read_labels(written(ct, tmp_path / "a.dcm", labels, kind, **more), ct.grid)
    expected = np.zeros(SHAPE, np.uint8)
    expected[2:7] = labels
    for value in (1, 2):
        np.testing.assert_array_equal(found.mask(value), expected == value)
    assert not found.overlapping


def test_shares_are_no_labels(tmp_path, ct) -> None:
    shares = np.random.default_rng(2).uniform(0, 1, (5, *SHAPE[1:], 2)) / 2
    path = written(ct, tmp_path / "a.dcm", shares, "FRACTIONAL")
    with pytest.raises(InputError, match="holds shares of voxels instead of segments; save it as a binary"):
        read_labels(path, ct.grid)


def test_labels_of_another_patient_are_refused(tmp_path, ct, seg) -> None:
    other = read_volume(write_ct(tmp_path / "other"))
    assert other.grid.matches(ct.grid)
    with pytest.raises(InputError, match=r"belongs to another frame of reference than the image.*choose the labels"):
        read_labels(seg, other.grid, source=other.source)
    frame = read(ct.source.files[0]).FrameOfReferenceUID
    again = read_volume(write_ct(tmp_path / "again", FrameOfReferenceUID=frame))
    found = read_labels(seg, again.grid, source=again.source)
    assert found.notes == ("seg.dcm was made of another series than the image; they share a frame of reference.",)


def test_labels_of_another_grid_are_refused(tmp_path, ct, seg) -> None:
    shifted = Grid(ct.grid.size, tuple(np.add(ct.grid.origin, (0.3, 0, 0))), ct.grid.spacing, ct.grid.direction)
    with pytest.raises(GridError, match=r"another grid than the image: .*origin .*; choose the series"):
        read_labels(seg, shifted)
    coarse = Grid(ct.grid.size, ct.grid.origin, (1.5, 1.6, 5.0), ct.grid.direction)
    with pytest.raises(GridError, match=r"spacing 0\.75 x 0\.8 x 2\.5 instead of 1\.5 x 1\.6 x 5 mm"):
        read_labels(seg, coarse)
    i, j, k = ct.grid.size
    with pytest.raises(GridError, match="labelled voxels outside the image; choose the image that it was drawn on"):
        read_labels(seg, Grid((i, j, k - 3), ct.grid.origin, ct.grid.spacing, ct.grid.direction))


def test_a_structure_that_is_not_there(ct, seg) -> None:
    found = read_labels(seg, ct.grid)
    with pytest.raises(InputError, match=r"seg.dcm has no label 'spleen'; choose one of 1 \('liver'\), 2 "):
        found.mask("spleen")


def test_a_folder_with_one_object(tmp_path, ct, masks, seg) -> None:
    """As archives export a series."""
    folder = write_ct(tmp_path / "export")
    with pytest.raises(InputError, match="is a folder, not a file"):
        read_labels(folder, ct.grid)
    seg.rename(folder / "x17")
    np.testing.assert_array_equal(read_labels(folder, ct.grid).mask("liver"), masks["liver"])
    (folder / "x18").write_bytes((folder / "x17").read_bytes())
    with pytest.raises(InputError, match="holds several DICOM objects with labels: x17, x18; name one of the files"):
        read_labels(folder, ct.grid)


def test_what_is_damaged_is_a_sentence(tmp_path, ct, seg) -> None:
    whole = seg.read_bytes()
    for share in (0.2, 0.6, 0.97):
        (tmp_path / "cut.dcm").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"damaged|not copied completely"):
            read_labels(tmp_path / "cut.dcm", ct.grid)
    one = read(seg)
    del one.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    one.save_as(tmp_path / "nowhere.dcm")
    with pytest.raises(InputError, match="does not say of each of its frames where it lies; export it again"):
        read_labels(tmp_path / "nowhere.dcm", ct.grid)
    one = read(seg)
    del one.SegmentSequence[1]
    one.save_as(tmp_path / "who.dcm")
    with pytest.raises(InputError, match="frames of a segment that it does not describe"):
        read_labels(tmp_path / "who.dcm", ct.grid)
    with pytest.raises(InputError, match=r"holds no labels \(its modality is CT\); choose a DICOM Segmentation"):
        read_labels(ct.source.files[0], ct.grid)


def test_slices_at_slightly_uneven_distances_are_found(tmp_path) -> None:
    def moved(k: int) -> list[str]:
        return [f"{v:.6f}" for v in (0.0, 0.0, k * 2.5 + (0.2 if k > 4 else 0.0))]

    folder = write_ct(tmp_path / "uneven", ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        one.ImagePositionPatient = moved(int(one.InstanceNumber) - 1)
        one.save_as(path)
    ct = read_volume(folder)
    assert any("slightly uneven" in note for note in ct.notes)
    write_dicom_seg(result_of({"liver": organ()}, ct.grid), ct.source, tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.dcm", ct.grid).mask("liver"), organ())


def test_a_uid_of_nobody_is_no_obstacle(tmp_path, ct, masks, seg) -> None:
    one = read(seg)
    one.FrameOfReferenceUID = generate_uid()
    one.save_as(tmp_path / "same-series.dcm")
    assert read_labels(tmp_path / "same-series.dcm", ct.grid, source=ct.source).mask("liver").any()
    write_labels(tmp_path / "a.nii.gz", masks["liver"].astype(np.uint8), ct.grid, {})
    assert read_labels(tmp_path / "a.nii.gz", ct.grid, source=ct.source).mask(1).any()
