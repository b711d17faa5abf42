"""NIfTI, NRRD and MHA as bytes, slice by slice, on exactly the grid that was read.

ITK's own writers multiply cosines by spacings (NRRD) or go through a quaternion in single precision (NIfTI), so that
reading back gives a grid that differs in the last digits. Here the numbers written are those which ITK's readers turn
into the same grid again: for MHA always, for NRRD whenever the grid came from an NRRD file or its axes run along the
patient's, for NIfTI whenever it came from a NIfTI file. Otherwise NRRD differs by about 1e-15 and NIfTI, which holds
single precision, by about 1e-7 of the value. Writing our own bytes also makes a full disk an error, which ITK does not
report, and needs no second copy.
"""

from __future__ import annotations

import gzip
import itertools
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import numpy as np
from scipy.spatial.transform import Rotation

from .volume import Grid

_NRRD_TYPES = {"u1": "unsigned char", "u2": "unsigned short", "i2": "short", "f4": "float"}
_META_TYPES = {"u1": "MET_UCHAR", "u2": "MET_USHORT", "i2": "MET_SHORT", "f4": "MET_FLOAT"}
_NIFTI_TYPES = {"u1": 2, "u2": 512, "i2": 4, "f4": 16}
_LEVEL = 4  # of zlib: label maps shrink as well as with 6, in half the time
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_ULPS = sorted(range(-3, 4), key=abs)


def write_nrrd(file: BinaryIO, layers: Sequence[np.ndarray], grid: Grid, fields: Mapping[str, str]) -> None:
    """Write ``layers``, each (K, J, I), as gzipped NRRD with key and value pairs ``fields``; several layers make a
    list axis.
    """
    columns = np.reshape(grid.direction, (3, 3)).T
    vectors = [_nrrd_vector(axis.tolist(), spacing) for axis, spacing in zip(columns, grid.spacing, strict=True)]
    several = len(layers) > 1
    code = _type(layers[0])
    lines = [
        "NRRD0004",
        f"type: {_NRRD_TYPES[code]}",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in (*([len(layers)] if several else []), *grid.size)),
        "space directions: " + " ".join((*(["none"] if several else []), *(_point(v) for v in vectors))),
        "kinds: " + ("list " if several else "") + "domain domain domain",
        *(["endian: little"] if code != "u1" else []),
        "encoding: gzip",
        f"space origin: {_point(grid.origin)}",
        *(f"{key}:={_escaped(value)}" for key, value in sorted(fields.items())),
    ]
    file.write(("\n".join(lines) + "\n\n").encode())
    with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
        for planes in zip(*layers, strict=True):
            packed.write(_little(np.stack(planes, axis=-1) if several else planes[0]))


def write_mha(file: BinaryIO, array: np.ndarray, grid: Grid) -> None:
    """Write ``array`` (K, J, I) as compressed MetaImage."""
    columns = np.reshape(grid.direction, (3, 3)).T
    head = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        "CompressedDataSize = ",
    ]
    tail = [
        "",
        f"TransformMatrix = {_spaced(columns.ravel().tolist())}",
        f"Offset = {_spaced(grid.origin)}",
        "CenterOfRotation = 0 0 0",
        f"ElementSpacing = {_spaced(grid.spacing)}",
        "DimSize = " + " ".join(str(n) for n in grid.size),
        f"ElementType = {_META_TYPES[_type(array)]}",
        "ElementDataFile = LOCAL\n",
    ]
    file.write("\n".join(head).encode())
    hole = file.tell()
    file.write(b"0" * 16 + "\n".join(tail).encode())
    start = file.tell()
    packer = zlib.compressobj(_LEVEL)
    for plane in array:
        file.write(packer.compress(_little(plane)))
    file.write(packer.flush())
    length = file.tell() - start
    file.seek(hole)
    file.write(f"{length:<16d}".encode())


def write_nifti(file: BinaryIO, array: np.ndarray, grid: Grid, *, packed: bool) -> None:
    """Write ``array`` (K, J, I) as one-file NIfTI-1, gzipped if ``packed``."""
    header = _nifti_header(array, grid)
    if packed:
        with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as stream:
            stream.write(header)
            for plane in array:
                stream.write(_little(plane))
    else:
        file.write(header)
        for plane in array:
            file.write(_little(plane))


def _nifti_header(array: np.ndarray, grid: Grid) -> bytes:
    cosines = np.reshape(grid.direction, (3, 3)) * _LPS_TO_RAS[:, None]
    origin = np.asarray(grid.origin) * _LPS_TO_RAS
    columns = [_nifti_vector(axis.tolist(), spacing) for axis, spacing in zip(cosines.T, grid.spacing, strict=True)]
    handed = 1.0 if np.linalg.det(cosines) > 0 else -1.0
    x, y, z, w = Rotation.from_matrix(cosines * [1.0, 1.0, handed]).as_quat()
    sign = 1.0 if w >= 0 else -1.0
    code = _type(array)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *grid.size, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, _NIFTI_TYPES[code], 8 * array.dtype.itemsize)
    struct.pack_into("<8f", header, 76, handed, *grid.spacing, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352, 1, 0)  # offset, slope, intercept
    header[123] = 2  # millimetres
    struct.pack_into("<2h", header, 252, 1, 1)  # qform and sform: scanner coordinates
    struct.pack_into("<6f", header, 256, sign * x, sign * y, sign * z, *origin)
    for row in range(3):
        struct.pack_into("<4f", header, 280 + 16 * row, *(column[row] for column in columns), origin[row])
    header[344:348] = b"n+1\0"
    return bytes(header)


def _nrrd_vector(cosines: list[float], spacing: float) -> tuple[float, ...]:
    """The axis vector that ITK reads as exactly these cosines and this spacing."""

    def exact(v: tuple[float, ...]) -> bool:
        length = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        return length == spacing and [c * (1.0 / length) for c in v] == cosines

    return _search([c * spacing for c in cosines], exact, math.nextafter)


def _nifti_vector(cosines: list[float], spacing: float) -> tuple[float, ...]:
    """The single-precision sform column that ITK reads as exactly these cosines; it takes the spacing from pixdim."""

    def exact(v: tuple[float, ...]) -> bool:
        length = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        return [c / length for c in v] == cosines

    def step(value: float, towards: float) -> float:
        return float(np.nextafter(np.float32(value), np.float32(towards)))

    return _search([float(np.float32(c * spacing)) for c in cosines], exact, step)


def _search(
    start: list[float], exact: Callable[[tuple[float, ...]], bool], step: Callable[[float, float], float]
) -> tuple[float, ...]:
    """The vector within three units in the last place of ``start`` that is ``exact``, the nearest first; else
    ``start``.
    """

    def around(value: float) -> list[float]:
        found = []
        for n in _ULPS if value else [0]:
            moved = value
            for _ in range(abs(n)):
                moved = step(moved, math.copysign(math.inf, n))
            found.append(moved)
        return found

    for candidate in itertools.product(*(around(value) for value in start)):
        if exact(candidate):
            return candidate
    return tuple(start)


def _type(array: np.ndarray) -> str:
    return array.dtype.str[1:]


def _little(plane: np.ndarray) -> bytes:
    return plane.astype(plane.dtype.newbyteorder("<"), copy=False).tobytes()


def _point(numbers: Sequence[float]) -> str:
    return "(" + ",".join(repr(float(n)) for n in numbers) + ")"


def _spaced(numbers: Sequence[float]) -> str:
    return " ".join(repr(float(n)) for n in numbers)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\r", "").replace("\n", "\\n")
