"""Files that follow their standard in ways that few programs use: the values are those that ITK reads, or refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import InputError
from PromptSegLib.volumes.images import read_image
from PromptSegLib.volumes.io import read_labels, write_labels
from PromptSegLib.volumes.volume import Grid

META = """ObjectType = Image
NDims = 3
BinaryData = True
{}Offset = 0 0 0
TransformMatrix = 1 0 0 0 1 0 0 0 1
ElementSpacing = 1 1 1
DimSize = 7 6 5
ElementType = MET_SHORT
ElementDataFile = {}
"""
NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 7 6 5
space directions: (1,0,0) (0,1,0) (0,0,1)
endian: little
encoding: {}
space origin: (0,0,0)
"""


def as_itk_reads_it(path, hu) -> None:
    assert np.array_equal(read_image(path).array, hu)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(path)), hu)


@pytest.mark.parametrize("true", ["True", "T", "true", "TRUE", "1", "t"])
def test_byte_order_and_packing_are_said_by_a_letter(tmp_path, hu, true) -> None:
    big = META.format(f"BinaryDataByteOrderMSB = {true}\n", "LOCAL").encode() + hu.astype(">i2").tobytes()
    (tmp_path / "big.mha").write_bytes(big)
    as_itk_reads_it(tmp_path / "big.mha", hu)
    packed = META.format(f"CompressedData = {true}\n", "LOCAL").encode() + zlib.compress(hu.tobytes())
    (tmp_path / "packed.mha").write_bytes(packed)
    assert np.array_equal(read_image(tmp_path / "packed.mha").array, hu)


@pytest.mark.parametrize("false", ["False", "F", "0", "no"])
def test_text_in_place_of_bytes(tmp_path, hu, false) -> None:
    text = META.replace("BinaryData = True", f"BinaryData = {false}").format("", "LOCAL")
    (tmp_path / "a.mha").write_text(text + " ".join(map(str, hu.ravel())))
    assert np.array_equal(read_image(tmp_path / "a.mha").array, hu)


@pytest.mark.parametrize("size", [600, 4096, -1])
def test_voxels_that_begin_further_behind(tmp_path, hu, size) -> None:
    head = META.format(f"HeaderSize = {size}\n", "LOCAL").encode()
    (tmp_path / "a.mha").write_bytes(head.ljust(abs(size), b"#") + hu.tobytes())
    as_itk_reads_it(tmp_path / "a.mha", hu)


def test_a_name_that_looks_like_a_pattern(tmp_path, hu) -> None:
    (tmp_path / "50 % of a b.raw").write_bytes(hu.tobytes())
    (tmp_path / "a.mhd").write_text(META.format("", "50 % of a b.raw"))
    assert np.array_equal(read_image(tmp_path / "a.mhd").array, hu)
    (tmp_path / "a.nhdr").write_text(NRRD.format("raw") + "data file: 50 % of a b.raw\n")
    assert np.array_equal(read_image(tmp_path / "a.nhdr").array, hu)


@pytest.mark.parametrize("pattern", ["%2000000000d", "%.999999999d", "%d%d", "%s", "%(a)d", "%*d", "%c"])
def test_a_pattern_asks_for_no_memory(tmp_path, pattern) -> None:
    for name, text in (
        ("a.mhd", META.format("", f"{pattern} 1 5 1")),
        ("a.nhdr", f"{NRRD}data file: {pattern} 1 5 1\n"),
    ):
        (tmp_path / name).write_text(text.format("raw") if name == "a.nhdr" else text)
        with pytest.raises(InputError, match="damaged"):
            read_image(tmp_path / name)


def test_numbered_files_with_zeros(tmp_path, hu) -> None:
    for k, plane in enumerate(hu):
        (tmp_path / f"s{k:03d}.raw").write_bytes(plane.tobytes())
    (tmp_path / "a.mhd").write_text(META.format("", "s%03d.raw 0 4 1"))
    as_itk_reads_it(tmp_path / "a.mhd", hu)


def test_whole_numbers_with_a_point(tmp_path, hu) -> None:
    (tmp_path / "a.nrrd").write_text(NRRD.format("txt") + "\n" + " ".join(f"{v}.0" for v in hu.ravel()))
    as_itk_reads_it(tmp_path / "a.nrrd", hu)


@pytest.mark.parametrize("value", ["7.5", "70000", "70000.0", "nan", "1e99", "x"])
def test_text_that_no_voxel_holds(tmp_path, hu, value) -> None:
    (tmp_path / "a.nrrd").write_text(NRRD.format("txt") + f"\n{value} " + " ".join(f"{v}.0" for v in hu.ravel()[1:]))
    with pytest.raises(InputError, match="damaged"):
        read_image(tmp_path / "a.nrrd")


@pytest.fixture
def segments(tmp_path):
    """Write a ``.seg.nrrd`` with three segments of a slice each, and parts of its header changed."""
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[0], labels[1], labels[2] = 1, 2, 3
    names = {1: Structure("one"), 2: Structure("two"), 3: Structure("three")}
    write_labels(tmp_path / "a.seg.nrrd", labels, Grid((6, 5, 4)), names)

    def write(former: str, new: str):
        data = (tmp_path / "a.seg.nrrd").read_bytes()
        assert former.encode() in data
        (tmp_path / "b.seg.nrrd").write_bytes(data.replace(former.encode(), new.encode()))
        return tmp_path / "b.seg.nrrd"

    return write


def test_two_segments_of_the_same_voxels_are_both_there(segments) -> None:
    labels = read_labels(segments("Segment1_LabelValue:=2", "Segment1_LabelValue:=1"))
    found = {one.name: labels.mask(one.name) for one in labels.names.values()}
    assert list(found) == ["one", "two", "three"]
    assert [np.flatnonzero(mask.any(axis=(1, 2))).tolist() for mask in found.values()] == [[0], [0], [2]]


def test_a_segment_in_no_layer_is_not_dropped_in_silence(segments) -> None:
    with pytest.raises(InputError, match="two is in no layer"):
        read_labels(segments("Segment1_Layer:=0", "Segment1_Layer:=1"))


def test_numbers_of_segments_may_have_zeros(segments) -> None:
    labels = read_labels(segments("Segment1_", "Segment01_"))
    assert [one.name for one in labels.names.values()] == ["one", "two", "three"]
