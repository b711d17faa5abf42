"""Pictures as PNG files (ISO/IEC 15948), with the standard library alone: 3D Slicer has no matplotlib of its own."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _UP = 2, 2


def png_of(rgb: np.ndarray) -> bytes:
    """The PNG file of a picture (rows, columns, 3) uint8. Raises ``ValueError`` for another array."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise ValueError(f"a picture is (rows, columns, 3) uint8, not {rgb.shape} {rgb.dtype}")
    rows, columns, _ = rgb.shape
    lines = np.empty((rows, 1 + 3 * columns), np.uint8)
    lines[:, 0] = _UP  # each line is kept as its difference from the one above, which compresses better
    flat = rgb.reshape(rows, -1)
    lines[0, 1:] = flat[0]
    lines[1:, 1:] = flat[1:] - flat[:-1]
    header = struct.pack(">2I5B", columns, rows, 8, _RGB, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def data_uri(rgb: np.ndarray) -> str:
    """A picture as an address that holds it, for a page that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png_of(rgb)).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
