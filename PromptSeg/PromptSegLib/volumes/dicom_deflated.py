"""A deflated DICOM file read as it comes: a few bytes can unpack to gigabytes, which are never held at once."""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO

_CHUNK = 1 << 20
MAX_BYTES = 1 << 32
"""Bytes that a file may unpack to: what a DICOM element of known length can hold."""


class DeflatedBody:
    """The unpacked elements of a deflated file from where ``file`` stands on, to be read and skipped forward."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._unpacker = file, zlib.decompressobj(-zlib.MAX_WBITS)
        self._waiting, self._place = b"", 0

    def tell(self) -> int:
        """How many bytes were taken."""
        return self._place

    def more(self) -> bool:
        """Whether there is anything left. Raises ``zlib.error`` for what cannot be unpacked."""
        while not self._waiting and not self._unpacker.eof:
            given = self._unpacker.unconsumed_tail or self._file.read(_CHUNK)
            self._waiting = self._unpacker.decompress(given, _CHUNK)
            if not given and not self._waiting:
                break
        return bool(self._waiting)

    def read(self, size: int) -> bytes:
        """``size`` bytes, or what there is up to the end. Raises ``zlib.error``."""
        parts = []
        while size > 0 and self._place < MAX_BYTES and self.more():
            part, self._waiting = self._waiting[:size], self._waiting[size:]
            parts.append(part)
            self._place += len(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Leave out ``size`` bytes; gives how many there were. Raises ``zlib.error``."""
        left = size
        while left > 0:
            found = len(self.read(min(left, _CHUNK)))
            if not found:
                break
            left -= found
        return size - left


def body_of(file: BinaryIO, long_types: set[bytes]) -> DeflatedBody:
    """What follows the meta elements of a deflated file; ``long_types`` have a length of four bytes."""
    file.seek(132)
    while True:
        place = file.tell()
        head = file.read(8)
        if head[:2] != b"\x02\0":
            break
        if head[4:6] in long_types:
            file.seek(struct.unpack("<I", file.read(4))[0], os.SEEK_CUR)
        else:
            file.seek(struct.unpack("<H", head[6:8])[0], os.SEEK_CUR)
    file.seek(place)
    return DeflatedBody(file)
