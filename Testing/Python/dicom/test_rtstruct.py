"""A result goes out as an RT Structure Set, and structure sets come in as labels."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from PromptSegCli.dicom.rtstruct import write_rtstruct
from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib import __version__
from PromptSegLib.anatomy.structure import Code, Structure
from PromptSegLib.errors import GridError, InputError, OutputError, Stopped
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.volume import Grid

from ..conftest import turn
from .conftest import ORIGIN, SHAPE, Result, complaints, organ, read, result_of, write_ct

BACKBONE = "ab" * 32


@pytest.fixture
def masks() -> dict[str, np.ndarray]:
    return {"liver": organ(), "left kidney": np.roll(organ(), 3, axis=2), "Größe": organ() & False}


@pytest.fixture
def rtstruct(tmp_path, ct, masks):
    write_rtstruct(result_of(masks, ct.grid), ct.source, tmp_path / "rt.dcm", backbone_id=BACKBONE)
    return tmp_path / "rt.dcm"


def dice(a, b) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_there_and_back(ct, masks, rtstruct) -> None:
    found = read_labels(rtstruct, ct.grid, source=ct.source)
    assert {value: one.name for value, one in found.names.items()} == dict(enumerate(masks, 1))
    for number, (name, mask) in enumerate(masks.items(), 1):
        np.testing.assert_array_equal(found.mask(name), mask)  # and so a Dice of 1
        np.testing.assert_array_equal(found.mask(number), mask)
    assert not found.notes
    kidney = found.names[2]
    assert (kidney.code.value, kidney.modifier.meaning) == ("64033007", "Left")
    np.testing.assert_allclose(kidney.colour, np.array((185, 102, 83)) / 255)
    assert complaints(rtstruct) == []


def test_a_reader_that_fills_each_contour_by_itself_finds_the_organ(ct, masks, rtstruct) -> None:
    """As planning systems do: polygons in the plane of the slice that each refers to, holes by their channel."""

    images = {one.SOPInstanceUID: one for one in map(read, ct.source.files)}
    order = {one: k for k, one in enumerate(images)}
    found = np.zeros(SHAPE, bool)
    (drawn,) = [one for one in read(rtstruct).ROIContourSequence if one.ReferencedROINumber == 1]
    for contour in drawn.ContourSequence:
        uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
        points = np.array(contour.ContourData, float).reshape(-1, 3) - np.array(images[uid].ImagePositionPatient, float)
        row, column = np.array(images[uid].ImageOrientationPatient, float).reshape(2, 3)
        assert np.abs(points @ np.cross(row, column)).max() < 1e-3, "contours lie in their slices"
        x, y = points @ row / 0.75, points @ column / 0.8
        found[order[uid]] |= _winding(x, y, SHAPE[1:]) != 0
    assert dice(found, masks["liver"]) >= 0.99


def _winding(x, y, shape) -> np.ndarray:
    """How often a polygon winds around each pixel's centre, edge by edge."""
    j, i = np.indices(shape)
    wound = np.zeros(shape, int)
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        side = (x1 - x0) * (j - y0) - (i - x0) * (y1 - y0)
        wound += ((y0 <= j) & (y1 > j) & (side > 0)).astype(int) - ((y0 > j) & (y1 <= j) & (side < 0))
    return wound


def test_it_says_what_it_is_and_where_it_comes_from(ct, rtstruct) -> None:
    found, image = read(rtstruct), read(ct.source.files[0])
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "StudyDate"):
        assert getattr(found, name) == getattr(image, name)
    (frame,) = found.ReferencedFrameOfReferenceSequence
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == ct.source.series
    uids = [read(path).SOPInstanceUID for path in ct.source.files]
    assert [one.ReferencedSOPInstanceUID for one in series.ContourImageSequence] == uids
    assert [one.ROIName for one in found.StructureSetROISequence] == ["liver", "left kidney", "Größe"]
    (algorithm,) = found.StructureSetROISequence[0].ROIDerivationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("PromptSeg", __version__)
    assert BACKBONE in algorithm.AlgorithmParameters
    assert "ContourSequence" not in found.ROIContourSequence[2]


def test_large_contours_are_kept_whole(tmp_path) -> None:
    shape = (3, 300, 300)
    ct = read_volume(write_ct(tmp_path / "large", shape))
    comb = np.zeros(shape, bool)
    comb[:, 10:290:2, 10:290] = comb[:, 10:290, 10] = True
    comb[1] = (np.indices(shape[1:]) // 2 % 2).any(axis=0)
    write_rtstruct(result_of({"comb": comb}, ct.grid), ct.source, tmp_path / "rt.dcm")
    assert max(len(one.ContourData) for one in read(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence) > 9000
    np.testing.assert_array_equal(read_labels(tmp_path / "rt.dcm", ct.grid).mask("comb"), comb)


@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), (1,)), ((2, 1, 0), ()), ((1, 2, 0), (0, 1))])
def test_the_image_may_be_stored_in_another_order(ct, masks, rtstruct, order, flips) -> None:
    turned, grid = turn(masks["left kidney"].astype(np.uint8), ct.grid, order, flips)
    np.testing.assert_array_equal(read_labels(rtstruct, grid).mask("left kidney"), turned > 0)


def changed(path, change, tmp_path):
    one = pydicom.dcmread(path)
    one.decode()
    change(one)
    one.save_as(tmp_path / "changed.dcm")
    return tmp_path / "changed.dcm"


def test_structures_that_cannot_be_used_do_not_spoil_the_others(tmp_path, ct, masks, rtstruct) -> None:
    def change(one) -> None:
        for contour in one.ROIContourSequence[0].ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            contour.ContourData = [f"{v:.4f}" for v in np.add(points, (0, 0, 1.1)).ravel()]

    path = changed(rtstruct, change, tmp_path)
    found = read_labels(path, ct.grid)
    np.testing.assert_array_equal(found.mask("left kidney"), masks["left kidney"])
    assert "'liver' cannot be used" in found.notes[0]
    for which in ("liver", 1):
        with pytest.raises(GridError, match=r"contours 1\.1 mm off the slices of the image; choose the series"):
            found.mask(which)
    with pytest.raises(InputError, match="has no label 'spleen'; choose one of 2"):
        found.mask("spleen")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: setattr(c, "ContourData", c.ContourData[:-1]), "has damaged contours; export it again"),
        (lambda c: setattr(c, "NumberOfContourPoints", 3), "has damaged contours; export it again"),
        (lambda c: setattr(c, "ContourGeometricType", "POINT"), "points or open lines; choose a structure with closed"),
    ],
)
def test_what_is_wrong_with_the_only_structure_is_said(tmp_path, ct, rtstruct, change, said) -> None:
    def both(one) -> None:
        for roi in one.ROIContourSequence[:2]:
            for contour in roi.ContourSequence:
                change(contour)
        del one.StructureSetROISequence[2]

    with pytest.raises(InputError, match=said):
        read_labels(changed(rtstruct, both, tmp_path), ct.grid)


def test_contours_of_another_series_are_refused(tmp_path, ct, rtstruct) -> None:
    other = read_volume(write_ct(tmp_path / "other"))
    with pytest.raises(InputError, match=r"another frame of reference than the image.*choose the labels"):
        read_labels(rtstruct, other.grid, source=other.source)
    i, j, k = ct.grid.size
    for size in ((i, j, k - 3), (i - 8, j, k)):
        with pytest.raises(GridError, match="has contours outside the image; choose the series"):
            read_labels(rtstruct, Grid(size, ct.grid.origin, ct.grid.spacing, ct.grid.direction)).mask("liver")
    thick = Grid((i, j, 5), ct.grid.origin, (0.75, 0.8, 5.0), ct.grid.direction)
    with pytest.raises(GridError, match=r"2\.5 mm off the slices of the image"):
        read_labels(rtstruct, thick).mask("liver")
    thin = Grid((i, j, 2 * k), ct.grid.origin, (0.75, 0.8, 1.25), ct.grid.direction)
    notes = read_labels(rtstruct, thin).notes
    n = int(organ().any(axis=(1, 2)).sum())
    assert f"'liver' in rt.dcm has no contour in {n - 1} of the {2 * n - 1} slices from its first" in notes[0]
    with pytest.raises(InputError, match="contours, which have no voxels of their own; name the image"):
        read_labels(rtstruct)


def test_what_is_damaged_is_a_sentence(tmp_path, ct, rtstruct) -> None:
    whole = rtstruct.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / "cut.dcm").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=r"damaged|not copied completely"):
            read_labels(tmp_path / "cut.dcm", ct.grid)
    with pytest.raises(InputError, match="holds no structure"):
        read_labels(changed(rtstruct, lambda one: delattr(one, "StructureSetROISequence"), tmp_path), ct.grid)


def test_numbers_that_no_label_map_has_are_given_anew(tmp_path, ct, masks, rtstruct) -> None:
    def change(one) -> None:
        for items, name in (
            (one.StructureSetROISequence, "ROINumber"),
            (one.ROIContourSequence, "ReferencedROINumber"),
            (one.RTROIObservationsSequence, "ReferencedROINumber"),
        ):
            for number, item in enumerate(items):
                setattr(item, name, number * 70000)

    found = read_labels(changed(rtstruct, change, tmp_path), ct.grid)
    assert found.notes == ("The structures of changed.dcm are numbered from 1 in their order.",)
    np.testing.assert_array_equal(found.mask(2), masks["left kidney"])
    assert found.names[1].name == "liver"


def test_nothing_is_left_half_written(tmp_path, ct, masks) -> None:
    result = result_of(masks, ct.grid)
    with pytest.raises(OutputError, match="There is no folder"):
        write_rtstruct(result, ct.source, tmp_path / "none" / "out.dcm")
    asked = iter([False] * 3 + [True] * 9)
    with pytest.raises(Stopped):
        write_rtstruct(result, ct.source, tmp_path / "out.dcm", should_stop=lambda: next(asked))
    with pytest.raises(InputError, match="refers to the DICOM series"):
        write_rtstruct(result, None, tmp_path / "out.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]


def test_contours_lie_on_the_slices_where_these_are_uneven(tmp_path) -> None:
    folder = write_ct(tmp_path / "uneven")
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        k = int(one.InstanceNumber) - 1
        normal = np.cross(*np.array(one.ImageOrientationPatient, float).reshape(2, 3))
        one.ImagePositionPatient = [f"{v:.6f}" for v in ORIGIN + normal * (k * 2.5 + (0.2 if k > 4 else 0))]
        one.save_as(path)
    ct = read_volume(folder)
    write_rtstruct(result_of({"liver": organ()}, ct.grid), ct.source, tmp_path / "rt.dcm")
    np.testing.assert_array_equal(read_labels(tmp_path / "rt.dcm", ct.grid).mask("liver"), organ())
    images = {one.SOPInstanceUID: one for one in map(read, ct.source.files)}
    for contour in read(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence:
        image = images[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        points = np.array(contour.ContourData, float).reshape(-1, 3) - np.array(image.ImagePositionPatient, float)
        assert np.abs(points[:, 2]).max() < 1e-3


def test_long_names_and_codes_of_nobody_are_kept_as_far_as_they_can_be(tmp_path, ct) -> None:
    structures = (
        Structure("a name that is much longer than the sixty-four characters that a label may have " * 2),
        Structure("left\\right", Code("99" + "X" * 30, "1", "of a scheme that is too long")),
        Structure("mine", Code("99MINE", "A7", "My own")),
    )
    result = Result({one.name: organ() for one in structures}, structures, ct.grid, organ().astype(np.uint8))
    for write, name in ((write_dicom_seg, "seg.dcm"), (write_rtstruct, "rt.dcm")):
        write(result, ct.source, tmp_path / name)
        found = read_labels(tmp_path / name, ct.grid)
        assert [one.name for one in found.names.values()] == [one.name.strip() for one in structures]
        assert [one.code.value for one in found.names.values()] == ["85756007", "85756007", "A7"]
        assert complaints(tmp_path / name) == []
