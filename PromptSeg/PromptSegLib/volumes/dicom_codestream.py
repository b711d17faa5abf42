"""Compressed pixels, looked at before a decoder gets them: what ends early, or says that it is larger than its slice,
costs decoders gigabytes before they notice.

The formats: ITU-T T.81 (JPEG), T.87 (JPEG-LS) and T.800 (JPEG 2000).
"""

from __future__ import annotations

import struct

from ..errors import InputError, short

_JPEG, _JPEG2000 = "1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.4.9"  # and further digits
_RLE, _GE_SWAPPED = "1.2.840.10008.1.2.5", "1.2.840.113619.5.2"
_DECODED = {*(f"{_JPEG}{n}" for n in (50, 51, 52, 53, 54, 55, 57, 70, 80, 81, 90, 91, 92, 93)), _RLE, _GE_SWAPPED}
_NAMES = {"20": "HTJ2K", "11": "JPEG XL", "10": "video", "9": "JPIP", "8.1": "Deflated Image Frame"}
_NO_FRAME = (0xC4, 0xC8, 0xCC)
"""Markers among those of frames that are none: tables of codes, and what is reserved."""


def is_whole(stream: bytes, syntax: str, rows: int, columns: int) -> bool:
    """Whether the pixels of one slice in a DICOM transfer syntax have the slice's size and, as far as that can be seen
    without decoding them, their end. True for syntaxes that are no JPEG."""
    if syntax.startswith(_JPEG2000):
        return _is_whole_jpeg2000(stream, rows, columns)
    return not syntax.startswith(_JPEG) or _has_size(stream, rows, columns)


def unsupported(name: str, syntax: str) -> InputError | None:
    """The error for a transfer syntax that nobody here can decode; None for any other."""
    if syntax in _DECODED:
        return None
    ending = syntax.removeprefix(_JPEG) if syntax.startswith(_JPEG) else syntax.removeprefix(_JPEG[:-2])
    kind = next((kind for start, kind in _NAMES.items() if ending.startswith(start)), "")
    what = kind or f"transfer syntax {short(syntax, 70)}"
    return InputError(
        f"{name} is compressed in a way that PromptSeg does not support ({what})",
        "decompress the series, for instance with dcmdjp2k, gdcmconv --raw or 3D Slicer, or export it uncompressed",
    )


def _has_size(stream: bytes, rows: int, columns: int) -> bool:
    """Of JPEG and JPEG-LS: what the frame's header says, whose rows may be told later as 0 here."""
    place = 2
    while stream[:2] == b"\xff\xd8" and place + 9 <= len(stream):
        mark, kind, length = struct.unpack_from(">BBH", stream, place)
        if mark != 0xFF:
            return False
        if kind == 0xFF:  # filling
            place += 1
            continue
        if (0xC0 <= kind <= 0xCF and kind not in _NO_FRAME) or kind == 0xF7:
            tall, wide = struct.unpack_from(">HH", stream, place + 5)
            return wide == columns and tall in (0, rows)
        place += 2 + length
    return False


def _is_whole_jpeg2000(data: bytes, rows: int, columns: int) -> bool:
    """Whether it has the size, one value a pixel, and all its parts of tiles."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 24:
        return False
    wide, tall, left, top = struct.unpack_from(">IIII", data, start + 8)
    if (wide - left, tall - top) != (columns, rows) or data[start + 40 : start + 42] != b"\0\1":
        return False
    place = start + 2
    while place + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, place)
        if marker == 0xFFD9:
            return True
        if marker == 0xFF90:  # a part of a tile, which says how long it is; 0 is up to the end
            if place + 12 > len(data):
                return False
            (part,) = struct.unpack_from(">I", data, place + 6)
            if part == 0:
                return b"\xff\xd9" in data[-3:]
            if part < 14:
                return False
            place += part
        elif marker >= 0xFF4F and length >= 2:
            place += 2 + length
        else:
            return False
    return data[place : place + 2] == b"\xff\xd9"
