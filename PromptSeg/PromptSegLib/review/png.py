"""Pictures as PNG files (ISO/IEC 15948), with the standard library alone: 3D Slicer has no matplotlib of its own."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _INDEXED = 2, 3
_NONE, _UP = 0, 2


def png_of(rgb: np.ndarray) -> bytes:
    """The PNG file of a picture (rows, columns, 3) uint8. Raises ``ValueError`` for another array."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise ValueError(f"a picture is (rows, columns, 3) uint8, not {rgb.shape} {rgb.dtype}")
    lines = rgb.reshape(len(rgb), -1).copy()
    lines[1:] -= rgb.reshape(len(rgb), -1)[:-1]  # differences from the line above compress better
    return _file(lines, rgb.shape[1], _RGB, _UP)


def indexed_png_of(pixels: np.ndarray, palette: np.ndarray) -> bytes:
    """The PNG file of a picture of few colours: ``pixels`` (rows, columns) uint8 are rows of ``palette`` (n, 3) uint8,
    n at most 256. Raises ``ValueError`` for other arrays."""
    if pixels.ndim != 2 or pixels.dtype != np.uint8 or not pixels.size or palette.dtype != np.uint8:
        raise ValueError(f"a picture is (rows, columns) uint8, not {pixels.shape} {pixels.dtype}")
    if palette.ndim != 2 or palette.shape[1] != 3 or not int(pixels.max()) < len(palette) <= 256:
        raise ValueError(f"a palette of {palette.shape} has not the colours of {int(pixels.max()) + 1} numbers")
    return _file(pixels, pixels.shape[1], _INDEXED, _NONE, palette.tobytes())


def data_uri(rgb: np.ndarray) -> str:
    """A picture as an address that holds it, for a page that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png_of(rgb)).decode("ascii")


def _file(lines: np.ndarray, columns: int, colours: int, kind: int, palette: bytes = b"") -> bytes:
    """A file of filtered lines (rows, bytes) of 8 bits a value."""
    header = struct.pack(">2I5B", columns, len(lines), 8, colours, 0, 0, 0)
    body = np.hstack([np.full((len(lines), 1), kind, np.uint8), lines]).tobytes()
    parts = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(body, 9 if palette else 6)), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in parts if data or name == b"IEND")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
