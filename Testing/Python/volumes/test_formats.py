"""Voxels as every file can hold them: in parts, packed, swapped, scaled; and what is cut short or promises too much."""

from __future__ import annotations

import bz2
import gzip
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.errors import InputError, PromptSegError
from PromptSegLib.volumes.images import check_readable
from PromptSegLib.volumes.io import read_labels, read_volume

HU = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
DIRECTIONS = "space: left-posterior-superior\nspace directions: (1.5,0,0) (0,1.25,0) (0,0,5)\nspace origin: (1,2,3)\n"


def _said(path, read=read_volume) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


def nrrd(path, data=b"", *, more="encoding: raw\n", kind="short", sizes="6 5 4", directions=DIRECTIONS, dimension=3):
    head = f"NRRD0005\n# a comment\ntype: {kind}\ndimension: {dimension}\nsizes: {sizes}\n{directions}{more}"
    path.write_bytes(head.encode() + b"\n" + data if data is not None else head.encode())
    return path


def nifti_head(kind=4, bits=16, *, order="<", slope=1.0, inter=0.0, magic=b"n+1\0", offset=352.0, size=(6, 5, 4)):
    head = bytearray(352)
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + "8h", head, 40, 3, *size, 1, 1, 1, 1)
    struct.pack_into(order + "2h", head, 70, kind, bits)
    struct.pack_into(order + "8f", head, 76, 1, 1.5, 1.25, 5, 0, 0, 0, 0)
    struct.pack_into(order + "3f", head, 108, offset, slope, inter)
    struct.pack_into(order + "2h", head, 252, 0, 1)
    struct.pack_into(order + "12f", head, 280, 1.5, 0, 0, 0, 0, 1.25, 0, 0, 0, 0, 5, 0)
    head[344:348] = magic
    return bytes(head)


KINDS = {"i1": 256, "u1": 2, "i2": 4, "u2": 512, "i4": 8, "u4": 768, "i8": 1024, "u8": 1280, "f4": 16, "f8": 64}
NRRD_KINDS = {
    "i1": "int8", "u1": "unsigned char", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint32_t",
    "i8": "long long", "u8": "uint64", "f4": "float", "f8": "double",
}  # fmt: skip
META_KINDS = {
    "i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "INT", "u4": "UINT", "i8": "LONG_LONG",
    "u8": "ULONG_LONG", "f4": "FLOAT", "f8": "DOUBLE",
}  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", KINDS)
def test_every_type_and_byte_order(tmp_path, kind, order):
    array = (np.arange(120).reshape(4, 5, 6) % 100).astype(order + kind)
    (tmp_path / "a.nii").write_bytes(nifti_head(KINDS[kind], 8 * array.itemsize, order=order) + array.tobytes())
    endian = "big" if order == ">" else "little"
    nrrd(tmp_path / "a.nrrd", array.tobytes(), kind=NRRD_KINDS[kind], more=f"encoding: raw\nendian: {endian}\n")
    head = f"NDims = 3\nDimSize = 6 5 4\nElementType = MET_{META_KINDS[kind]}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    head += f"BinaryDataByteOrderMSB = {order == '>'}\nElementSpacing = 1.5 1.25 5\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(head.encode() + array.tobytes())
    for ending in ("nii", "nrrd", "mha"):
        found = read_volume(tmp_path / f"a.{ending}")
        assert np.array_equal(found.voxels, array)
        assert found.voxels.dtype.isnative
        assert np.array_equal(read_labels(tmp_path / f"a.{ending}").array, array)


@pytest.mark.parametrize(
    ("kind", "slope", "inter", "expected"),
    [
        ("i2", 0.0, -1024.0, lambda v: v),  # by the standard, a slope of 0 means unscaled
        ("i2", float("nan"), 5.0, lambda v: v),
        ("i2", float("inf"), 0.0, lambda v: v),
        ("i2", 1.0, float("nan"), lambda v: v),
        ("u2", 1.0, -1024.0, lambda v: v - 1024),
        ("i2", -1.0, 0.0, lambda v: -v),
        ("i4", 0.5, 0.25, lambda v: v / 2 + 0.25),
        ("u1", 20.0, -1024.0, lambda v: v * 20.0 - 1024),
        ("i2", 3000.0, 0.0, lambda v: v * 3000.0),  # far beyond 16 bits
    ],
)
def test_slope_and_intercept_of_nifti(tmp_path, kind, slope, inter, expected):
    values = np.arange(120).reshape(4, 5, 6)
    path = tmp_path / "a.nii"
    path.write_bytes(nifti_head(KINDS[kind], 8 * np.dtype(kind).itemsize, slope=slope, inter=inter)
                     + values.astype("<" + kind).tobytes())  # fmt: skip
    volume = read_volume(path)
    assert np.allclose(volume.voxels, expected(values))
    assert bool(volume.notes) != (slope != 0 and np.isfinite([slope, inter]).all())  # what was not followed is told
    assert volume.voxels.dtype == (np.int16 if slope != slope or slope in (0, 1, np.inf) else np.float32)


def test_large_whole_numbers_are_scaled_exactly(tmp_path):
    values = (2**30 + 64 * np.arange(120)).reshape(4, 5, 6).astype("<i4")
    (tmp_path / "a.nii").write_bytes(nifti_head(8, 32, slope=0.5, inter=-(2.0**29)) + values.tobytes())
    assert np.array_equal(read_volume(tmp_path / "a.nii").voxels, 32 * np.arange(120).reshape(4, 5, 6))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", [".hdr", ".img"])
def test_nifti_in_two_parts(tmp_path, packed, ending):
    pack = gzip.compress if packed else bytes
    more = ".gz" if packed else ""
    (tmp_path / f"a.hdr{more}").write_bytes(pack(nifti_head(magic=b"ni1\0", offset=0)))
    data = tmp_path / f"a.img{more}"
    data.write_bytes(pack(HU.tobytes()))
    path = tmp_path / f"a{ending}{more}"
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, HU)
    assert volume.name == "a"
    data.write_bytes(pack(HU.tobytes())[:-9])
    assert f"a.img{more} is damaged" in _said(path)
    data.unlink()
    assert "missing" in _said(tmp_path / f"a.hdr{more}")


def test_analyze_knows_no_orientation(tmp_path):
    (tmp_path / "a.hdr").write_bytes(nifti_head(magic=b"\0\0\0\0")[:348])
    (tmp_path / "a.img").write_bytes(HU.tobytes())
    assert "--orientation" in _said(tmp_path / "a.hdr")
    assert np.array_equal(read_volume(tmp_path / "a.hdr", "LAS").voxels, HU)


PACKINGS = {
    "raw": HU.tobytes(),
    "gzip": gzip.compress(HU.tobytes()),
    "bzip2": bz2.compress(HU.tobytes()),
    "text": " ".join(map(str, HU.ravel())).encode(),
    "hex": HU.tobytes().hex().encode(),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_nrrd_packed_and_in_parts(tmp_path, packing):
    data = PACKINGS[packing]
    assert np.array_equal(read_volume(nrrd(tmp_path / "a.nrrd", data, more=f"encoding: {packing}\n")).voxels, HU)
    apart = nrrd(tmp_path / "a.nhdr", None, more=f"encoding: {packing}\nlineskip: 2\ndata file: a b.raw\n")
    (tmp_path / "a b.raw").write_bytes(b"one\ntwo\n" + data)
    assert np.array_equal(read_volume(apart).voxels, HU)
    (tmp_path / "a b.raw").write_bytes(b"one\ntwo\n" + data[: len(data) * 2 // 3])
    assert "a b.raw is damaged" in _said(apart)
    assert "a.nrrd is damaged" in _said(
        nrrd(tmp_path / "a.nrrd", data[: len(data) * 2 // 3], more=f"encoding: {packing}\n")
    )
    (tmp_path / "a b.raw").unlink()
    assert "a b.raw is missing" in _said(apart)


def test_nrrd_over_several_files_and_from_the_end(tmp_path):
    for k, plane in enumerate(HU):
        (tmp_path / f"s{k + 1:02d}.raw").write_bytes(b"head of some length" + plane.tobytes())
    names = "".join(f"s{k + 1:02d}.raw\n" for k in range(4))
    for where in (f"data file: LIST\n{names}", "data file: s%02d.raw 1 4 1\n"):
        path = nrrd(tmp_path / "a.nhdr", None, more=f"encoding: raw\nbyte skip: -1\n{where}")
        assert np.array_equal(read_volume(path).voxels, HU)
    path = nrrd(tmp_path / "a.nhdr", None, more="encoding: raw\nbyte skip: 19\ndata file: s%02d.raw 1 5 1\n")
    assert "s05.raw is missing" in _said(path)
    path = nrrd(tmp_path / "a.nhdr", None, more="encoding: raw\nbyte skip: 19\ndata file: s%02d.raw 1 3 1\n")
    assert "damaged" in _said(path)
    path = nrrd(tmp_path / "a.nhdr", None, more="encoding: raw\ndata file: s%02d.raw 1 99999999999 1\n")
    assert "damaged" in _said(path)


def test_metaimage_in_parts(tmp_path):
    head = "NDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    path = tmp_path / "a.mhd"
    (tmp_path / "a.raw").write_bytes(HU.tobytes())
    (tmp_path / "a.zraw").write_bytes(zlib.compress(HU.tobytes()))
    path.write_text(head + "ElementDataFile = a.raw\n")
    assert np.array_equal(read_volume(path).voxels, HU)
    path.write_text(head + "CompressedData = True\nElementDataFile = a.zraw\n")
    assert np.array_equal(read_volume(path).voxels, HU)
    for k, plane in enumerate(HU):
        (tmp_path / f"{k}.raw").write_bytes(b"12345" + plane.tobytes())
    path.write_text(head + "HeaderSize = 5\nElementDataFile = LIST\n0.raw\n1.raw\n2.raw\n3.raw\n")
    assert np.array_equal(read_volume(path).voxels, HU)
    path.write_text(head + "HeaderSize = -1\nElementDataFile = %d.raw 0 3 1\n")
    assert np.array_equal(read_volume(path).voxels, HU)
    path.write_text(head + "BinaryData = False\nElementDataFile = LOCAL\n" + " ".join(map(str, HU.ravel())))
    assert np.array_equal(read_volume(path).voxels, HU)
    for name, rest in (("a.raw", ""), ("a.zraw", "CompressedData = True\n")):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-11])
        path.write_text(head + rest + f"ElementDataFile = {name}\n")
        assert f"{name} is damaged" in _said(path)
    path.write_text(head + "ElementDataFile = gone.raw\n")
    assert "gone.raw is missing" in _said(path)


@pytest.mark.parametrize("place", range(4))
def test_an_axis_of_layers_wherever_it_lies(tmp_path, place):
    layers = np.stack([HU, HU + 1, HU + 2], axis=-1)  # (K, J, I, C)
    array = np.moveaxis(layers, -1, 3 - place)
    sizes = " ".join(map(str, array.shape[::-1]))
    vectors = ["(1.5,0,0)", "(0,1.25,0)", "(0,0,5)"]
    vectors.insert(place, "none")
    kinds = ["domain"] * 3
    kinds.insert(place, "list")
    lines = f"space: LPS\nspace directions: {' '.join(vectors)}\nkinds: {' '.join(kinds)}\n"
    path = nrrd(tmp_path / "a.nrrd", np.abs(array).tobytes(), sizes=sizes, dimension=4, directions=lines)
    assert "3 values per voxel" in _said(path)
    one = np.moveaxis(layers[..., :1], -1, 3 - place)
    sizes = " ".join(map(str, one.shape[::-1]))
    path = nrrd(tmp_path / "a.nrrd", one.tobytes(), sizes=sizes, dimension=4, directions=lines)
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, HU)
    assert volume.grid.spacing == (1.5, 1.25, 5)


def test_a_single_slice_is_no_volume_but_may_hold_labels(tmp_path):
    for axis in range(3):
        plane = np.take(np.abs(HU) % 3, [0], axis)
        image = sitk.GetImageFromArray(plane)
        for ending in ("nii.gz", "nrrd", "mha"):
            path = tmp_path / f"a.{ending}"
            sitk.WriteImage(image, path)
            assert "2-D" in _said(path)
            assert np.array_equal(read_labels(path).array, plane)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("noise", [-3e-5, 3e-5, 0.004])
def test_labels_that_are_nearly_whole_are_labels(tmp_path, kind, noise):
    """nibabel scales to 16 bits and back: 0.99997."""
    labels = (np.abs(HU) % 4).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(labels + kind(noise) * np.sign(HU)), tmp_path / "a.nrrd")
    found = read_labels(tmp_path / "a.nrrd")
    assert np.array_equal(found.array, labels)
    assert found.array.dtype == np.uint8
    sitk.WriteImage(sitk.GetImageFromArray(labels + kind(0.05)), tmp_path / "a.nrrd")
    assert "not whole numbers" in _said(tmp_path / "a.nrrd", read_labels)


def _segmentation(path, array, fields):
    image = sitk.GetImageFromArray(array)
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, path)
    return path


@pytest.mark.parametrize("first", [0, 1, 7])
def test_segmentations_of_other_tools_keep_their_names(tmp_path, first):
    array = (np.abs(HU) % 3).astype(np.uint8)
    path = tmp_path / "a.seg.nrrd"
    two, one = f"Segment{first + 2}_", f"Segment{first}_"  # with a gap between
    given = read_labels(_segmentation(path, array, {
        one + "Name": "liver", one + "LabelValue": "2",
        two + "ID": "Segment_2", two + "LabelValue": "1", two + "Name": "x, y: z",
    }))  # fmt: skip
    assert {v: s.name for v, s in given.names.items()} == {2: "liver", 1: "x, y: z"}
    # Without values and layers, in the order of their numbers.
    given = read_labels(_segmentation(path, array, {one + "Name": "liver", two + "Name": "spleen"}))
    assert {v: s.name for v, s in given.names.items()} == {1: "liver", 2: "spleen"}
    assert np.array_equal(given.mask("spleen"), array == 2)
    given = read_labels(_segmentation(path, array, {one + "ID": "liver", one + "Color": "red", one + "Layer": "x"}))
    assert {v: s.name for v, s in given.names.items()} == {1: "liver"}


@pytest.mark.parametrize("value", ["70000", "65536", "0", "-1", "99999999999999999999"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_label_value_that_no_map_can_hold(tmp_path, value, layers):
    array = (np.abs(HU) % 2).astype(np.uint8)
    array = array if layers == 1 else np.stack([array, 1 - array], -1)
    image = sitk.GetImageFromArray(array, isVector=layers > 1)
    for key, text in {
        "Segment0_Name": "liver", "Segment0_LabelValue": value, "Segment0_Layer": "0",
        "Segment1_Name": "spleen", "Segment1_LabelValue": "1", "Segment1_Layer": str(layers - 1),
    }.items():  # fmt: skip
        image.SetMetaData(key, text)
    sitk.WriteImage(image, tmp_path / "a.seg.nrrd")
    text = _said(tmp_path / "a.seg.nrrd", read_labels)
    assert f"gives the segment 'liver' the label {value}" in text


def test_masks_do_not_look_through_the_whole_map_again(tmp_path, monkeypatch):
    sitk.WriteImage(sitk.GetImageFromArray((np.abs(HU) % 200).astype(np.uint8)), tmp_path / "a.nrrd")
    found = read_labels(tmp_path / "a.nrrd")
    assert found.values == tuple(sorted(set((np.abs(HU) % 200).ravel().tolist()) - {0}))
    monkeypatch.setattr("PromptSegLib.volumes.labels.painted", None)
    for value in found.values:
        assert np.array_equal(found.mask(value), np.abs(HU) % 200 == value)


def test_a_pipe_is_not_waited_for(tmp_path):
    if sys.platform == "win32":
        pytest.skip("has no pipes in folders")
    os.mkfifo(tmp_path / "a.nii")
    assert "no ordinary file" in _said(tmp_path / "a.nii")
    with pytest.raises(InputError, match="no ordinary file"):
        check_readable(Path(os.devnull))
    assert "There is no file" in _said("a\0b.nii")


def test_names_that_are_not_utf8(tmp_path):
    if sys.platform in ("win32", "darwin"):
        pytest.skip("has no such names")
    for ending in ("nrrd", "nii", "mha", "png", "txt"):
        sitk.WriteImage(sitk.GetImageFromArray(HU if ending not in ("png", "txt") else np.uint8(HU[0] & 1)),
                        tmp_path / ("a." + ending.replace("txt", "png")))  # fmt: skip
        path = os.fsdecode(os.fsencode(tmp_path) + b"/Sch\xe4del." + ending.encode())
        (tmp_path / ("a." + ending.replace("txt", "png"))).rename(path)
        if ending in ("png", "txt"):
            assert "Sch?del" in _said(path)
        else:
            volume = read_volume(path)
            assert np.array_equal(volume.voxels, HU)
            assert volume.name == "Sch?del"


@pytest.mark.parametrize("size", [(32767, 32767, 32767), (2000, 2000, 2000)])
def test_a_promise_that_a_file_cannot_keep_takes_no_memory(tmp_path, size):
    head = nifti_head(64, 64, size=size)
    (tmp_path / "a.nii").write_bytes(head + b"\0" * 100)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(head + b"\0" * 100))
    text = " ".join(map(str, size))
    nrrd(tmp_path / "a.nrrd", gzip.compress(b"1"), sizes=text, kind="double", more="encoding: gzip\n")
    meta = f"NDims = 3\nDimSize = {text}\nElementType = MET_DOUBLE\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    (tmp_path / "a.mha").write_text(meta + "CompressedData = True\nElementDataFile = LOCAL\nx")
    for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha"):
        assert f"{name} is damaged" in _said(tmp_path / name)


def test_what_is_not_supported_is_called_that(tmp_path):
    for kind, what in ((128, "colours"), (1792, "complex numbers"), (1, "single bits"), (7, "unknown type 7")):
        (tmp_path / "a.nii").write_bytes(nifti_head(kind, 24) + bytes(3 * 120))
        text = _said(tmp_path / "a.nii")
        assert what in text
        assert "does not support" in text
    assert "'block', which PromptSeg does not support" in _said(nrrd(tmp_path / "a.nrrd", b"", kind="block"))
    assert "'zrl', which" in _said(nrrd(tmp_path / "a.nrrd", b"", more="encoding: zrl\n"))
    sitk.WriteImage(sitk.GetImageFromArray(HU), tmp_path / "a.vtk")
    assert "format that PromptSeg does not support (VTK)" in _said(tmp_path / "a.vtk")


def _seeds(folder):
    yield folder / "a.nii", nifti_head() + HU.tobytes()
    yield folder / "b.nii", nifti_head(16, 32) + HU.astype("<f4").tobytes()
    yield folder / "a.nii.gz", gzip.compress(nifti_head() + HU.tobytes())
    yield folder / "a.nrrd", nrrd(folder / "x", PACKINGS["gzip"], more="encoding: gzip\n").read_bytes()
    yield folder / "b.nrrd", nrrd(folder / "x", PACKINGS["raw"]).read_bytes()
    meta = "NDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    yield folder / "a.mha", (meta + "ElementDataFile = LOCAL\n").encode() + HU.tobytes()
    packed = zlib.compress(HU.tobytes())
    yield folder / "b.mha", (meta + "CompressedData = True\nElementDataFile = LOCAL\n").encode() + packed


@pytest.mark.parametrize("which", range(7))
@pytest.mark.parametrize("read", [read_volume, read_labels])
def test_any_change_of_bytes_is_an_image_or_a_sentence(tmp_path, which, read):
    path, whole = list(_seeds(tmp_path))[which]
    rng, said = np.random.default_rng(which), []
    for n in range(400):
        data = bytearray(whole)
        if n % 8 == 0:
            data = data[: rng.integers(1, len(data))]
        head = min(len(data), 352)
        for at in rng.integers(0, head, rng.integers(1, 4)):
            data[at] = rng.choice([0, 1, 45, 48, 57, 255, rng.integers(0, 256)])
        path.write_bytes(data)
        try:
            read(path)
        except PromptSegError as error:
            said.append(str(error))
    assert said
    assert all(one.endswith(".") and "\n" not in one for one in said)
