"""Voxels from the bytes of a file: plain, gzip, zlib, bzip2 or text, complete or not at all.

What is missing must never become air, and a header that promises more than its file can hold must not ask for memory.
"""

from __future__ import annotations

import bz2
import gzip
import math
import zlib
from collections.abc import Sequence
from typing import IO, Protocol

import numpy as np

from ..errors import InputError, system_problem
from .room import check_room

_CHUNK = 1 << 22
_DEFLATE, _BZIP2 = 1032, 50_000  # the most that these can pack into one byte, and more
_LONGEST_NUMBER = 1000
_MAX_SKIPPED = 1 << 32
_BEYOND = 1 << 26
"""Bytes after the voxels that are read for the sake of the checksum: a few may be there, gigabytes are no image's."""


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Inflated:
    """A zlib stream as a file that can only be read; ``eof`` tells whether its end was reached."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._unpacker = file, zlib.decompressobj(zlib.MAX_WBITS | 32)

    @property
    def eof(self) -> bool:
        """Whether the stream came to its end."""
        return self._unpacker.eof

    def read(self, size: int = _CHUNK, /) -> bytes:
        """At most ``size`` bytes; none at the end of the stream or of the file."""
        while not self._unpacker.eof:
            given = self._unpacker.unconsumed_tail or self._file.read(_CHUNK)
            found = self._unpacker.decompress(given, size)
            if found or not given:
                return found
        return b""


def damaged(name: str) -> InputError:
    """The error for a file whose end is missing or whose bytes changed."""
    return InputError(f"{name} is damaged or was not copied completely", "copy or export it again")


def too_long(name: str) -> InputError:
    """The error for a compressed file that goes on long after what its header tells of."""
    return InputError(
        f"{name} goes on for more than {_BEYOND >> 20} MB after the voxels that its header tells of",
        "save it again with the program that made it, whose header and voxels then fit",
    )


def empty_array(name: str, shape: Sequence[int], dtype: np.dtype, available: int, packing: str) -> np.ndarray:
    """An array for what a file with ``available`` bytes of voxels promises. Raises :class:`InputError` if it cannot
    hold that much, or memory cannot."""
    ratio = {"zlib": _DEFLATE, "gzip": _DEFLATE, "bzip2": _BZIP2, "text": 1}.get(packing, 1)
    per = 1 if packing == "text" else dtype.itemsize
    if math.prod(shape) * per > available * ratio:
        raise damaged(name)
    check_room(name, math.prod(shape) * dtype.itemsize)
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError, OverflowError) as error:
        raise InputError(
            f"{name} does not fit into this computer's memory", "crop it or close other programs"
        ) from error


def fill(name: str, array: np.ndarray, file: IO[bytes], packing: str = "", skip: int = 0) -> None:
    """Fill a contiguous array with the bytes of ``file``, of which ``skip`` are left out once they are unpacked.

    ``packing`` is "" (plain), "gzip", "zlib", "bzip2", "text" or "hex". Raises :class:`InputError` for a file that is
    cut short or does not fit its checksum; what follows a complete stream does no harm.
    """
    if packing in ("text", "hex"):
        (_fill_from_text if packing == "text" else _fill_from_hex)(name, array, file)
        return
    stream: _Readable
    if packing == "gzip":
        stream = gzip.GzipFile(fileobj=file, mode="rb")
    elif packing == "zlib":
        stream = Inflated(file)
    elif packing == "bzip2":
        stream = bz2.BZ2File(file)
    else:
        stream = file
    view = array.reshape(-1).view(np.uint8)
    done = 0
    if skip > _MAX_SKIPPED:
        raise damaged(name)
    try:
        while skip > 0:
            found = len(stream.read(min(_CHUNK, skip)))
            if not found:
                raise damaged(name)
            skip -= found
        while done < len(view):
            chunk = stream.read(min(_CHUNK, len(view) - done))
            if not chunk:
                raise damaged(name)
            view[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
            done += len(chunk)
        if packing:
            beyond = 0
            while found := len(stream.read(_CHUNK)):  # to the checksum
                beyond += found
                if beyond > _BEYOND:
                    raise too_long(name)
    except (OSError, EOFError, zlib.error) as error:
        if (problem := system_problem(error)) is not None:
            raise problem from error
        # Bytes after a complete stream are harmless; a checksum that is missing or does not fit is not.
        if done < len(view) or "CRC" in str(error) or "length" in str(error) or not isinstance(error, OSError):
            raise damaged(name) from error


def _fill_from_text(name: str, array: np.ndarray, file: IO[bytes]) -> None:
    """Numbers between spaces or commas; a piece at a time, as a list of numbers takes many times their text."""
    flat, done, rest = array.reshape(-1), 0, b""
    try:
        while done < len(flat):
            piece = file.read(_CHUNK)
            text = rest + piece.replace(b",", b" ")
            end = max(map(text.rfind, (b" ", b"\n", b"\r", b"\t"))) + 1 if piece else len(text)
            rest = text[end:]
            if len(rest) > _LONGEST_NUMBER:
                raise damaged(name)
            found = _numbers(text[:end].split(), array.dtype)[: len(flat) - done]
            flat[done : done + len(found)] = found
            done += len(found)
            if not piece:
                break
    except (ValueError, UnicodeDecodeError, OverflowError) as error:
        raise damaged(name) from error
    if done < len(flat):
        raise damaged(name)


def _numbers(words: list[bytes], kind: np.dtype) -> np.ndarray:
    """Also whole numbers that are written as "7.0". Raises ``ValueError`` or ``OverflowError`` for what ``kind`` cannot
    hold."""
    try:
        return np.array(words).astype(kind)
    except ValueError:
        values = np.array(words).astype(np.float64)
        if kind.kind == "f" or np.any(values != np.round(values)):
            raise
        if len(values) and not (np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max):
            raise
        return values.astype(kind)


def _fill_from_hex(name: str, array: np.ndarray, file: IO[bytes]) -> None:
    try:
        found = np.frombuffer(bytes.fromhex(file.read(4 * array.nbytes + _CHUNK).decode("ascii")), array.dtype)
        array.reshape(-1)[:] = found[: array.size]
    except (ValueError, UnicodeDecodeError) as error:
        raise damaged(name) from error


def leave_out_lines(file: IO[bytes], count: int) -> None:
    """Go on after ``count`` lines, or to the end of a file that has fewer."""
    while count > 0:
        part = file.readline(_CHUNK)
        if not part:
            return
        count -= part.endswith(b"\n")


def native(array: np.ndarray) -> np.ndarray:
    """The same values in this machine's byte order; swapped in place."""
    if array.dtype.isnative:
        return array
    return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
