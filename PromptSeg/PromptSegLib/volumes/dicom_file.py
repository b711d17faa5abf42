"""One DICOM file: its elements, and its pixels as they are stored.

Read here, because what is needed lies in nested sequences (Enhanced CT), and because GDCM inverts MONOCHROME1, leaves
out damaged files without a word and cannot take every file name. It decodes what is compressed. The format: DICOM
PS3.5.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that everybody uses

from ..scratch import scratch
from .dicom_codestream import is_whole, unsupported
from .dicom_deflated import MAX_BYTES as MAX_DEFLATED
from .dicom_deflated import DeflatedBody, body_of
from .images import quiet
from .room import check_room

_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_IMPLICIT, BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_EXPLICIT, DEFLATED_FRAMES = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.8.1"
PLAIN = {_IMPLICIT, _EXPLICIT, BIG, DEFLATED}
_PIXELS = {0x7FE00008: "f4", 0x7FE00009: "f8", 0x7FE00010: ""}
# Sequences that must be known as such where a file does not give the type of its elements.
_SEQUENCES = {
    0x52009229, 0x52009230, 0x00209111, 0x00209113, 0x00209116, 0x00289110, 0x00289145,
    0x00081115, 0x0008114A, 0x00620002, 0x00620003, 0x0062000A, 0x0062000F, 0x00620011, 0x00082218, 0x00082220,
    0x30060010, 0x30060012, 0x30060014, 0x30060016, 0x30060020, 0x30060039, 0x30060040, 0x30060080, 0x30060086,
}  # fmt: skip
UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_FIRST_TYPES = (b"UL", b"CS", b"DA", b"UI", b"OB", b"SH")
_LONGEST = 1 << 16
"""Bytes of a value that is kept; of a contour's points, all are."""
_MAX_DEPTH, _MAX_ELEMENTS = 12, 2_000_000
_INFLATE = 1032  # the most bytes that one deflated byte stands for
_KEPT = 1 << 28
"""Bytes of all values that are kept of a deflated file, whose own size says little."""

SOP_CLASS, SOP_INSTANCE, MODALITY, IMAGE_TYPE = 0x00080016, 0x00080018, 0x00080060, 0x00080008
SERIES, SERIES_TEXT, FRAMES = 0x0020000E, 0x0008103E, 0x00280008
STUDY, FRAME_OF_REFERENCE = 0x0020000D, 0x00200052
CONTOUR_DATA = 0x30060050
POSITION, ORIENTATION, PIXEL_SPACING = 0x00200032, 0x00200037, 0x00280030
ROWS, COLUMNS, SAMPLES, PHOTOMETRIC = 0x00280010, 0x00280011, 0x00280002, 0x00280004
ALLOCATED, STORED, HIGH_BIT, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
INTERCEPT, SLOPE = 0x00281052, 0x00281053
SHARED_GROUPS, FRAME_GROUPS = 0x52009229, 0x52009230


class Incomplete(Exception):  # noqa: N818 - a finding about a file, turned into a sentence by whoever asked
    """The file ends, or makes no sense, before its elements do."""


@dataclass
class Elements:
    """Elements by tag: the raw bytes of values, and nested ones of sequences."""

    values: dict[int, bytes] = field(default_factory=dict)
    sequences: dict[int, list[Elements]] = field(default_factory=dict)
    big: bool = False

    def text(self, tag: int) -> str:
        """The value as text; empty if there is none."""
        return self.values.get(tag, b"").decode("latin-1").strip("\0 \t\r\n")

    def numbers(self, tag: int) -> list[float] | None:
        """The numbers of a decimal string; None if there are none or they are none."""
        try:
            return [float(part) for part in self.text(tag).split("\\")]
        except ValueError:
            return None

    def integer(self, tag: int, otherwise: int | None = None) -> int | None:
        """An unsigned short, or the number in an integer string; ``otherwise`` if there is none."""
        raw = self.values.get(tag, b"")
        if tag == FRAMES:
            try:
                return int(self.text(tag))
            except ValueError:
                return otherwise
        return struct.unpack_from(">H" if self.big else "<H", raw)[0] if len(raw) >= 2 else otherwise


@dataclass
class DicomFile:
    """A file's elements, and where its pixels are: (tag, place, length) or None. ``in_words`` says that they are stored
    two bytes at a time (OW), in the file's byte order."""

    path: Path
    syntax: str
    elements: Elements
    pixels: tuple[int, int, int] | None
    in_words: bool = False


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM does."""
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:] == b"DICM":
        return True
    # Old files have no preamble: the first element is of group 2 or 8, and short.
    first = start[:2] in (b"\x02\0", b"\x08\0") and start[3:4] == b"\0"
    return first and (start[4:6] in _FIRST_TYPES or 0 < int.from_bytes(start[4:8], "little") < 256)


def read_elements(path: Path, last: int | None = None) -> DicomFile:
    """The elements of a file, without its pixels; up to the tag ``last`` if given. Raises :class:`Incomplete`, or
    ``OSError``."""
    with path.open("rb") as file:
        return _Parser(path, file).read(file, last)


class _Parser:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file: BinaryIO | DeflatedBody = file
        self.end = path.stat().st_size
        self.count, self.kept = 0, 0
        self.pixels: tuple[int, int, int] | None = None
        self.explicit, self.big, self.in_words = True, False, False

    def read(self, file: BinaryIO, last: int | None = None) -> DicomFile:
        start = file.read(132)
        file.seek(132 if start[128:] == b"DICM" else 0)
        meta = Elements()
        place = file.tell()
        while file.tell() < self.end:
            place = file.tell()
            head = file.read(2)
            file.seek(place)
            if head != b"\x02\0":
                break
            self._element(meta, 0)
        syntax = meta.text(0x00020010) or self._guess(file, place)
        self.explicit, self.big = syntax != _IMPLICIT, syntax == BIG
        if syntax == DEFLATED:
            self.file, self.end = DeflatedBody(file), MAX_DEFLATED
        elements = Elements(big=self.big)
        try:
            while self.pixels is None and self._more():
                if self._element(elements, 0) == last:
                    break
        except zlib.error as error:
            raise Incomplete from error
        if not elements.values:
            raise Incomplete
        return DicomFile(self.path, syntax, elements, self.pixels, self.in_words)

    def _more(self) -> bool:
        return self.file.more() if isinstance(self.file, DeflatedBody) else self.file.tell() < self.end

    @staticmethod
    def _guess(file: BinaryIO, place: int) -> str:
        file.seek(place)
        head = file.read(6)
        file.seek(place)
        return _EXPLICIT if head[4:6].isalpha() and head[4:6].isupper() else _IMPLICIT

    def _take(self, count: int) -> bytes:
        found = self.file.read(count)
        if len(found) < count:
            raise Incomplete
        return found

    def _tag(self) -> int:
        group, element = struct.unpack(">HH" if self.big else "<HH", self._take(4))
        return int(group) << 16 | int(element)

    def _head(self) -> tuple[int, bytes, int]:
        """Tag, type and length of the next element."""
        self.count += 1
        if self.count > _MAX_ELEMENTS:
            raise Incomplete
        order = ">" if self.big else "<"
        tag = self._tag()
        if tag >> 16 == 0xFFFE or not self.explicit:
            return tag, b"", struct.unpack(order + "I", self._take(4))[0]
        kind = self._take(2)
        if kind in _LONG:
            self._take(2)
            return tag, kind, struct.unpack(order + "I", self._take(4))[0]
        if not (kind.isalpha() and kind.isupper()):
            raise Incomplete
        return tag, kind, struct.unpack(order + "H", self._take(2))[0]

    def _element(self, into: Elements, depth: int) -> int:
        """Read one element into ``into``; gives its tag."""
        tag, kind, length = self._head()
        if tag >> 16 == 0xFFFE:
            return tag
        if tag in _PIXELS and depth == 0:
            self.pixels, self.in_words = (tag, self.file.tell(), length), kind == b"OW"
            return tag
        if length == UNDEFINED and kind in (b"OB", b"OW"):  # compressed pixels of an icon
            self._skip_fragments()
            return tag
        if kind == b"SQ" or length == UNDEFINED or (kind in (b"", b"UN") and tag in _SEQUENCES):
            # A sequence of unknown type is written without types.
            before, self.explicit = self.explicit, self.explicit and kind != b"UN"
            into.sequences[tag] = self._sequence(length, depth + 1)
            self.explicit = before
            return tag
        if self.file.tell() + length > self.end:
            raise Incomplete
        if length > _LONGEST and tag != CONTOUR_DATA:
            self._skip(length)
            return tag
        if isinstance(self.file, DeflatedBody):
            self.kept += length
            if self.kept > _KEPT:
                raise Incomplete
        into.values[tag] = self._take(length)
        return tag

    def _skip(self, length: int) -> None:
        if not isinstance(self.file, DeflatedBody):
            self.file.seek(length, os.SEEK_CUR)
        elif self.file.skip(length) < length:
            raise Incomplete

    def _skip_fragments(self) -> None:
        while True:
            tag, _, size = self._head()
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM or self.file.tell() + size > self.end:
                raise Incomplete
            self._skip(size)

    def _sequence(self, length: int, depth: int) -> list[Elements]:
        if depth > _MAX_DEPTH:
            raise Incomplete
        stop = self.file.tell() + length if length != UNDEFINED else UNDEFINED
        found = []
        while self.file.tell() < stop:
            tag, _, size = self._head()
            if tag == _SEQUENCE_END:
                break
            if tag != _ITEM:
                raise Incomplete
            item = Elements(big=self.big)
            end = self.file.tell() + size if size != UNDEFINED else UNDEFINED
            while self.file.tell() < end:
                if self._element(item, depth) == _ITEM_END:
                    break
            found.append(item)
        return found


def stored_pixels(one: DicomFile) -> np.ndarray:
    """The pixels of all frames (frames, rows, columns) as they are stored, whatever the file says of how to show them.

    Raises :class:`Incomplete` where bytes are missing, and :class:`InputError` where nobody can decode them or they do
    not fit into memory.
    """
    of = one.elements
    rows, columns, frames = of.integer(ROWS), of.integer(COLUMNS), of.integer(FRAMES, 1)
    if not rows or not columns or not frames or frames < 1 or one.pixels is None:
        raise Incomplete
    tag, _, length = one.pixels
    bits, signed = of.integer(ALLOCATED) or 0, bool(of.integer(SIGNED, 0))
    shape = (frames, rows, columns)
    check_room(one.path.name, frames * rows * columns * max(bits // 8, 1))
    if one.syntax not in PLAIN or length == UNDEFINED:
        found = _decoded(one, shape, bits, signed)
    else:
        kind = _PIXELS[tag] or {8: "u1", 16: "u2", 32: "u4"}.get(bits)
        if kind is None:
            raise Incomplete
        dtype = np.dtype((">" if one.syntax == BIG else "<") + kind)
        size = frames * rows * columns * dtype.itemsize
        swapped = dtype.itemsize == 1 and one.in_words and one.syntax == BIG
        data = np.frombuffer(pixel_bytes(one, size + size % 2 if swapped else size), dtype)
        if swapped:
            data = data.reshape(-1, 2)[:, ::-1].reshape(-1)[:size]
        found = data.reshape(shape).astype(dtype.newbyteorder("="))
        if dtype.kind == "u":
            found = _without_overlay(found, of, bits, signed)
    return found


def pixel_bytes(one: DicomFile, size: int) -> bytes:
    """The first ``size`` bytes of pixels that are not compressed frame by frame. Raises :class:`Incomplete` where there
    are fewer."""
    if one.pixels is None:
        raise Incomplete
    place, available = one.pixels[1], one.path.stat().st_size
    if one.syntax == DEFLATED:
        available *= _INFLATE
        place = 0
    if size > available - place:
        raise Incomplete
    check_room(one.path.name, size)
    with one.path.open("rb") as file:
        if one.syntax == DEFLATED:
            try:
                body = body_of(file, _LONG)
                body.skip(one.pixels[1])
                data = body.read(size)
            except (zlib.error, struct.error) as error:
                raise Incomplete from error
        else:
            file.seek(place)
            data = file.read(size)
    if len(data) < size:
        raise Incomplete
    return data


def _without_overlay(pixels: np.ndarray, of: Elements, bits: int, signed: bool) -> np.ndarray:
    """Only the bits that are stored, of which the highest may be a sign; in others, old files hide drawings."""
    stored = of.integer(STORED) or bits
    high = of.integer(HIGH_BIT, stored - 1)
    if not 1 <= stored <= bits or high is None or not stored - 1 <= high < bits:
        stored, high = bits, bits - 1
    if stored < bits or signed:
        # Up to the highest bit, then down again, with the sign or with zeros.
        pixels = pixels << np.array(bits - 1 - high, pixels.dtype)
        if signed:
            pixels = pixels.view(f"i{bits // 8}")
        pixels = pixels >> np.array(bits - stored, pixels.dtype)
    return pixels


def fragments(one: DicomFile, file: BinaryIO) -> Iterator[bytes]:
    """The pieces of encapsulated pixels, the table of offsets first. Raises :class:`Incomplete` without an end."""
    if one.pixels is None:
        raise Incomplete
    file.seek(one.pixels[1])
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise Incomplete
        group, element, length = struct.unpack("<HHI", head)
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            return
        piece = file.read(length)
        if tag != _ITEM or len(piece) < length:
            raise Incomplete
        yield piece


def _decoded(one: DicomFile, shape: tuple[int, int, int], bits: int, signed: bool) -> np.ndarray:
    """What GDCM makes of compressed pixels, handed to it in a file of our own that says nothing else."""
    frames, rows, columns = shape
    if one.syntax not in PLAIN:
        problem = unsupported(one.path.name, one.syntax)
        if problem is not None:
            raise problem
    with one.path.open("rb") as file:
        pieces = list(fragments(one, file))
    if len(pieces) < 2:
        raise Incomplete
    streams = pieces[1:] if len(pieces) - 1 == frames else [b"".join(pieces[1:])] if frames == 1 else []
    if not all(is_whole(stream, one.syntax, rows, columns) for stream in streams):
        raise Incomplete
    with scratch() as folder, quiet():
        path = folder / "a.dcm"
        path.write_bytes(_file_of(one, pieces, shape, bits, signed))
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(os.fspath(path))
        try:
            image = reader.Execute()
        except (RuntimeError, MemoryError) as error:
            raise Incomplete from error
    found = sitk.GetArrayFromImage(image).reshape(-1, *sitk.GetArrayViewFromImage(image).shape[-2:])
    if found.shape != shape:
        raise Incomplete
    return found


def _file_of(one: DicomFile, pieces: list[bytes], shape: tuple[int, int, int], bits: int, signed: bool) -> bytes:
    of = one.elements
    stored = of.integer(STORED) or bits
    kind = "1.2.840.10008.5.1.4.1.1.7" if shape[0] == 1 else "1.2.840.10008.5.1.4.1.1.7.3"

    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2) if vr in (b"UI", b"OB") else b" " * (len(value) % 2)
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
        return head + (struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))) + value

    meta = element(0x00020001, b"OB", b"\0\1") + element(0x00020002, b"UI", kind.encode())
    meta += element(0x00020003, b"UI", b"1.2.3.4") + element(0x00020010, b"UI", one.syntax.encode())
    numbers: Mapping[int, int] = {
        ROWS: shape[1], COLUMNS: shape[2], ALLOCATED: bits, STORED: stored,
        HIGH_BIT: of.integer(HIGH_BIT, stored - 1) or stored - 1, SIGNED: int(signed),
    }  # fmt: skip
    body = element(SOP_CLASS, b"UI", kind.encode()) + element(SOP_INSTANCE, b"UI", b"1.2.3.4")
    body += element(MODALITY, b"CS", b"OT") + element(SAMPLES, b"US", struct.pack("<H", 1))
    body += element(PHOTOMETRIC, b"CS", b"MONOCHROME2")
    if shape[0] > 1:
        body += element(FRAMES, b"IS", str(shape[0]).encode())
    body += b"".join(element(tag, b"US", struct.pack("<H", number)) for tag, number in numbers.items())
    data = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(piece)) + piece for piece in pieces)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, UNDEFINED) + data + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    length = element(0x00020000, b"UL", struct.pack("<I", len(meta)))
    return b"\0" * 128 + b"DICM" + length + meta + body + pixels
