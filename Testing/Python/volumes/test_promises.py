"""Files that promise or unpack to far more than they should cost little, and end in one sentence."""

from __future__ import annotations

import bz2
import gzip
import struct
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from PromptSegLib.errors import InputError
from PromptSegLib.volumes import dicom_file, room, stream
from PromptSegLib.volumes.dicom_codestream import is_whole
from PromptSegLib.volumes.dicom_file import Incomplete, read_elements, stored_pixels
from PromptSegLib.volumes.io import read_labels, read_volume

from .test_dicom_kinds import _plane
from .test_formats import HU, _said, nifti_head, nrrd

LITTLE = 20_000_000


class Peak:
    """The most memory that Python and numpy took in a block."""

    def __enter__(self) -> Peak:
        tracemalloc.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def _mha(path, data: bytes, sizes="6 5 4", kind="SHORT"):
    head = f"NDims = 3\nDimSize = {sizes}\nElementType = MET_{kind}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    path.write_bytes((head + "CompressedData = True\nElementDataFile = LOCAL\n").encode() + data)
    return path


@pytest.mark.parametrize("ending", ["nii.gz", "gz.nrrd", "bz2.nrrd", "mha"])
def test_what_unpacks_to_more_than_its_header_says(tmp_path, ending, monkeypatch):
    path, voxels = tmp_path / f"a.{ending}", HU.tobytes()

    def write(beyond: int) -> None:
        data = voxels + bytes(beyond)
        if ending == "nii.gz":
            path.write_bytes(gzip.compress(nifti_head() + data, 1))
        elif ending == "gz.nrrd":
            nrrd(path, gzip.compress(data, 1), more="encoding: gzip\n")
        elif ending == "bz2.nrrd":
            nrrd(path, bz2.compress(data, 1), more="encoding: bzip2\n")
        else:
            _mha(path, zlib.compress(data, 1))

    write(1000)
    assert np.array_equal(read_volume(path).voxels, HU)  # what follows does no harm
    write(stream._BEYOND + stream._CHUNK)
    with Peak() as peak:
        assert "goes on for more than 64 MB after the voxels that its header tells of" in _said(path)
    assert peak.size < LITTLE


def test_what_does_not_fit_into_the_memory_that_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda: 30e6)
    size = (512, 512, 80)
    many = np.zeros((80, 512, 512), np.int16)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti_head(size=size) + many.tobytes(), 1))
    nrrd(tmp_path / "a.nrrd", zlib.compress(many.tobytes(), 1), sizes="512 512 80", more="encoding: gzip\n")
    _mha(tmp_path / "a.mha", zlib.compress(many.tobytes(), 1), "512 512 80")
    with (tmp_path / "a.nii").open("wb") as file:
        file.write(nifti_head(size=size))
        file.truncate(352 + many.nbytes)  # a file with a hole takes no room on the disk either
    for name in ("a.nii.gz", "a.nrrd", "a.mha", "a.nii"):
        for read in (read_volume, read_labels):
            with Peak() as peak:
                assert "takes 0.0 GB, and 0.0 GB are free; crop it" in _said(tmp_path / name, read)
            assert peak.size < LITTLE


def test_what_grows_when_it_is_scaled(tmp_path, monkeypatch):
    """One byte a voxel fits, and four do not."""
    monkeypatch.setattr(room, "free_bytes", lambda: 30e6)
    for slope, kind in ((0.5, 2), (1.0, 2)):
        data = np.zeros((80, 512, 512), np.uint8)
        data[0] = 1
        head = nifti_head(kind, 8, size=(512, 512, 80), slope=slope)
        (tmp_path / "a.nii").write_bytes(head + data.tobytes())
        assert "does not fit into this computer's memory" in _said(tmp_path / "a.nii")


def test_free_memory_is_what_the_system_and_its_groups_leave(tmp_path, monkeypatch):
    assert room.free_bytes() is None or room.free_bytes() > 0
    here = tmp_path / "job"
    here.mkdir()
    (tmp_path / "memory.max").write_text("max\n")
    for name, text in (
        ("memory.max", "1000000000\n"),
        ("memory.current", "900000000\n"),
        ("memory.stat", "anon 500000000\ninactive_file 100000000\nactive_file 50000000\n"),
    ):
        (here / name).write_text(text)
    monkeypatch.setattr(room, "_GROUPS", tmp_path)
    monkeypatch.setattr(room.Path, "read_text", _as_group(room.Path.read_text))
    assert room._groups() == [250_000_000.0]
    with pytest.raises(InputError, match=r"a does not fit .* takes 0\.3 GB, and 0\.2 GB are free"):
        room.check_room("a", 300_000_000)


def _as_group(read):
    return lambda path, *more, **others: (
        "0::/job\n" if str(path) == "/proc/self/cgroup" else read(path, *more, **others)
    )


def test_text_takes_no_more_than_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "_CHUNK", 7)  # so that numbers lie across pieces
    for between in (" ", "\n", ", ", "\t\r\n  "):
        text = between.join(map(str, HU.ravel())).encode()
        nrrd(tmp_path / "a.nrrd", text, more="encoding: ascii\n")
        assert np.array_equal(read_volume(tmp_path / "a.nrrd").voxels, HU)
    nrrd(tmp_path / "a.nrrd", b"1" * 5000 + text, more="encoding: ascii\n")
    assert "is damaged" in _said(tmp_path / "a.nrrd")
    nrrd(tmp_path / "a.nrrd", text[:-8], more="encoding: ascii\n")
    assert "is damaged" in _said(tmp_path / "a.nrrd")


def test_lines_and_bytes_that_are_not_there_are_not_counted(tmp_path):
    nrrd(tmp_path / "a.nrrd", HU.tobytes(), more="line skip: 1000000000000000\nencoding: raw\n")
    assert "is damaged" in _said(tmp_path / "a.nrrd")
    nrrd(tmp_path / "a.nrrd", gzip.compress(HU.tobytes()), more="byte skip: 1000000000000000\nencoding: gzip\n")
    assert "is damaged" in _said(tmp_path / "a.nrrd")
    nrrd(tmp_path / "a.nhdr", b"x.raw\n" * 200_000, more="encoding: raw\ndata file: LIST\n", sizes="6 5 4")
    assert "is damaged" in _said(tmp_path / "a.nhdr")


def _deflated(path, *elements: tuple[int, int, bytes, bytes], cut: int = 0):
    """A deflated slice whose elements are led by others: (group, element, type, value)."""
    _plane(path, 0, HU[0] + 1024, syntax=ExplicitVRLittleEndian)
    with path.open("rb") as file:
        meta = pydicom.filereader.read_file_meta_info(path)
        meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        whole = file.read()
    body = whole[whole.index(b"\x08\0\x16\0UI") :]
    head = b"".join(struct.pack("<HH2sHI", g, e, vr, 0, len(v)) + v for g, e, vr, v in elements)
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    data = packer.compress(head + body) + packer.flush()
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        pydicom.filewriter.write_file_meta_info(file, meta)
        file.write(data[: len(data) - cut])
    return path


def test_a_deflated_file_is_never_held_unpacked(tmp_path, monkeypatch):
    path = _deflated(tmp_path / "a.dcm", (0x0003, 0x0010, b"OB", bytes(60_000_000)))
    with Peak() as peak:
        pixels = stored_pixels(read_elements(path))
    assert np.array_equal(pixels[0], HU[0] + 1024)
    assert peak.size < LITTLE
    many = [(0x3006, 0x0050, b"UC", bytes(100_000))] * 9
    assert np.array_equal(stored_pixels(read_elements(_deflated(path, *many)))[0], HU[0] + 1024)
    monkeypatch.setattr(dicom_file, "_KEPT", 500_000)
    with pytest.raises(Incomplete):
        read_elements(path)
    with pytest.raises(Incomplete):
        stored_pixels(read_elements(_deflated(path, cut=30)))
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(Incomplete):
        read_elements(path)


def test_more_pixels_than_a_file_has_are_not_asked_for(tmp_path):
    for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        path = tmp_path / "a.dcm"
        if syntax == ExplicitVRLittleEndian:
            _plane(path, 0, HU[0] + 1024, Rows=20_000, Columns=20_000)
        else:
            _plane(path, 0, HU[0] + 1024, Rows=20_000, Columns=20_000)
            one = pydicom.dcmread(path)
            one.file_meta.TransferSyntaxUID = syntax
            one.save_as(path)
        with Peak() as peak, pytest.raises(Incomplete):
            stored_pixels(read_elements(path))
        assert peak.size < LITTLE


def test_a_jpeg_of_another_size_is_not_decoded() -> None:
    """Its decoder would make an image of the size that the stream says."""

    def jpeg(kind: int, rows: int, columns: int) -> bytes:
        frame = struct.pack(">BBHBHHB", 0xFF, kind, 11, 16, rows, columns, 1) + b"\1\x11\0"
        table = struct.pack(">BBH", 0xFF, 0xC4, 5) + b"\0\0\0"
        return b"\xff\xd8\xff\xff" + table[1:] + frame + b"\xff\xda\0\x08" + bytes(20) + b"\xff\xd9"

    for syntax, kind in (("50", 0xC0), ("51", 0xC1), ("57", 0xC3), ("70", 0xC3), ("80", 0xF7)):
        syntax = f"1.2.840.10008.1.2.4.{syntax}"
        assert is_whole(jpeg(kind, 4, 5), syntax, 4, 5)
        assert is_whole(jpeg(kind, 0, 5), syntax, 4, 5)
        assert not is_whole(jpeg(kind, 65500, 65500), syntax, 4, 5)
        assert not is_whole(jpeg(kind, 4, 5)[:9], syntax, 4, 5)
        assert not is_whole(b"", syntax, 4, 5)


@pytest.mark.parametrize(
    ("syntax", "said"),
    [
        ("1.2.840.10008.1.2.4.201", "(HTJ2K)"),
        ("1.2.840.10008.1.2.4.110", "(JPEG XL)"),
        ("1.2.840.10008.1.2.4.102", "(video)"),
        ("1.2.840.10008.1.2.8.1", "(Deflated Image Frame)"),
        ("1.2.3.4", "(transfer syntax 1.2.3.4)"),
    ],
)
def test_an_unknown_compression_is_called_unsupported(tmp_path, syntax, said):
    for k in range(3):
        _plane(tmp_path / f"{k}.dcm", k, HU[0] + 1024)
        one = pydicom.dcmread(tmp_path / f"{k}.dcm")
        stand_in = f"1.2.3.{'9' * (len(syntax) - 6)}"  # pydicom writes no syntax that it does not know
        one.file_meta.TransferSyntaxUID = stand_in
        one.PixelData = pydicom.encaps.encapsulate([one.PixelData])
        one["PixelData"].VR, one["PixelData"].is_undefined_length = "OB", True
        one.save_as(tmp_path / f"{k}.dcm", implicit_vr=False, little_endian=True)
        data = (tmp_path / f"{k}.dcm").read_bytes()
        (tmp_path / f"{k}.dcm").write_bytes(data.replace(stand_in.encode(), syntax.encode()))
    text = _said(tmp_path)
    assert f"is compressed in a way that PromptSeg does not support {said}" in text
    assert "damaged" not in text
