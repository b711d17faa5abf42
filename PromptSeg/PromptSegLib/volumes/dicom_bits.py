"""The frames of a DICOM file with one bit a pixel, as a Segmentation has them, each unpacked when it is asked for.

Frames follow each other without a gap, so that one may begin within a byte (DICOM PS3.5, 8.1.1).
"""

from __future__ import annotations

import zlib

import numpy as np

from .dicom_file import (
    ALLOCATED,
    BIG,
    COLUMNS,
    DEFLATED_FRAMES,
    FRAMES,
    PLAIN,
    ROWS,
    UNDEFINED,
    DicomFile,
    Incomplete,
    fragments,
    pixel_bytes,
)


class PackedFrames:
    """The frames of ``one``, bool (rows, columns) each. Raises :class:`Incomplete` where bytes are missing, or where
    they are compressed in another way than by deflating each frame."""

    def __init__(self, one: DicomFile) -> None:
        of = one.elements
        rows, columns, count = of.integer(ROWS), of.integer(COLUMNS), of.integer(FRAMES, 1)
        if not rows or not columns or not count or count < 1 or one.pixels is None or of.integer(ALLOCATED) != 1:
            raise Incomplete
        self.shape, self.count = (rows, columns), count
        self._pieces: list[bytes] = []
        self._bits = np.zeros(0, np.uint8)
        if one.syntax == DEFLATED_FRAMES:
            with one.path.open("rb") as file:
                self._pieces = list(fragments(one, file))[1:]
            if len(self._pieces) != count:
                raise Incomplete
            return
        if one.syntax not in PLAIN or one.syntax == BIG or one.pixels[2] == UNDEFINED:
            raise Incomplete
        self._bits = np.frombuffer(pixel_bytes(one, -(-count * rows * columns // 8)), np.uint8)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < self.count:
            raise IndexError(index)
        size = self.shape[0] * self.shape[1]
        if self._pieces:
            part = np.unpackbits(_inflated(self._pieces[index], -(-size // 8)), bitorder="little")
            return part[:size].reshape(self.shape) > 0
        first = index * size
        part = np.unpackbits(self._bits[first // 8 : -(-(first + size) // 8)], bitorder="little")
        return part[first % 8 : first % 8 + size].reshape(self.shape) > 0


def _inflated(piece: bytes, size: int) -> np.ndarray:
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(piece, size)
    except zlib.error as error:
        raise Incomplete from error
    if len(data) < size:
        raise Incomplete
    return np.frombuffer(data, np.uint8)
