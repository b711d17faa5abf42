"""What DICOM label objects say of their structures: texts in their character set, codes and colours."""

from __future__ import annotations

import struct

import numpy as np

from ..anatomy.structure import Code
from .dicom_file import Elements

_CHARACTER_SET = 0x00080005
_CODECS = {
    "ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk", "ISO_IR 13": "shift_jis", "ISO_IR 166": "iso8859_11",
    "ISO_IR 100": "latin-1", "ISO_IR 101": "iso8859_2", "ISO_IR 109": "iso8859_3", "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5", "ISO_IR 127": "iso8859_6", "ISO_IR 126": "iso8859_7", "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9", "ISO_IR 203": "iso8859_15", "ISO 2022 IR 87": "iso2022_jp_2",
    "ISO 2022 IR 149": "euc_kr", "ISO 2022 IR 58": "iso2022_kr",
}  # fmt: skip
_CODE_VALUE, _SCHEME, _MEANING = 0x00080100, 0x00080102, 0x00080104
_LONGEST = 200
_D65 = (0.95047, 1.0, 1.08883)
_XYZ_TO_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])


def codec_of(file: Elements) -> str:
    """The codec of a file's texts: the last of its character sets, which extends the others; UTF-8 if there is none,
    in which plain ASCII is written the same."""
    sets = [part.strip() for part in file.text(_CHARACTER_SET).split("\\")]
    names = [one if one in _CODECS else one.replace("ISO 2022 IR ", "ISO_IR ") for one in sets]
    return next((_CODECS[one] for one in reversed(names) if one in _CODECS), "utf-8")


def text(of: Elements, tag: int, codec: str) -> str:
    """A text on one line, without what no screen can show; empty if there is none."""
    raw = of.values.get(tag, b"").strip(b"\0 ")
    try:
        found = raw.decode(codec)
    except UnicodeDecodeError:
        found = raw.decode("latin-1")
    return "".join(c for c in " ".join(found.split()) if c.isprintable())[:_LONGEST].strip()


def name_of(of: Elements, label: int, description: int, codec: str) -> str:
    """The name of a structure: its label, or what describes it where the label, of at most 64 characters and without
    backslashes, is that shortened; empty if there is neither."""
    short, long = text(of, label, codec), text(of, description, codec)
    return long if not short or (short != long and _fits(short, long)) else short


def _fits(short: str, long: str) -> bool:
    plain = long.replace("\\", "/")
    return plain == short or (short.endswith("...") and plain.startswith(short[:-3]))


def code(of: Elements, tag: int, codec: str) -> Code | None:
    """The first code of a code sequence; None if there is none, or it is not complete."""
    items = of.sequences.get(tag) or [Elements()]
    parts = [text(items[0], one, codec) for one in (_SCHEME, _CODE_VALUE, _MEANING)]
    return Code(*parts) if all(parts) else None


def integer(of: Elements, tag: int) -> int | None:
    """The whole number in an integer string (IS); None if there is none."""
    try:
        return int(of.text(tag))
    except ValueError:
        return None


def colour_of_lab(of: Elements, tag: int) -> tuple[float, float, float] | None:
    """(r, g, b) from 0 to 1 of a CIELab value as DICOM scales it (PS3.3, C.10.7.1.1); None if there is none."""
    raw = of.values.get(tag, b"")
    if len(raw) < 6:
        return None
    scaled = np.array(struct.unpack_from(">3H" if of.big else "<3H", raw)) / 65535
    lightness, a, b = scaled[0] * 100, scaled[1] * 255 - 128, scaled[2] * 255 - 128
    y = (lightness + 16) / 116
    parts = np.array([y + a / 500, y, y - b / 200])
    xyz = np.where(parts > 6 / 29, parts**3, (parts - 16 / 116) * 3 * (6 / 29) ** 2) * _D65
    linear = np.clip(_XYZ_TO_RGB @ xyz, 0, 1)
    red, green, blue = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return float(red), float(green), float(blue)
