"""Is a volume file whole?

ITK reads a NIfTI file that was cut short without a word and fills the rest with zeros; what is missing must not become
air. NRRD needs no help: its reader notices.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import InputError

_CHUNK = 1 << 20
_META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


def check_whole(path: Path) -> None:
    """Raise :class:`InputError` if a NIfTI or MetaImage file holds fewer bytes than its header promises, or if a NIfTI
    file's sform is sheared, which ITK would quietly replace by its qform.
    """
    with path.open("rb") as file:
        start = file.read(16)
    name = path.name.lower()
    if start[:2] == b"\x1f\x8b":
        with gzip.open(path, "rb") as packed:
            _check_nifti(path, packed)
    elif name.endswith(".nii"):
        with path.open("rb") as file:
            _check_nifti(path, file)
    elif name.endswith((".mha", ".mhd")):
        _check_meta(path)


def _check_nifti(path: Path, file: IO[bytes] | gzip.GzipFile) -> None:
    try:
        header = file.read(540)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path) from error
    found = _nifti_layout(path, header)
    if found is None:
        return
    offset, length, kind = found
    count, rest = len(header), header[offset:] if offset < len(header) else b""
    try:
        while chunk := file.read(_CHUNK):
            if kind is not None:
                rest = _check_finite(path, rest + chunk[max(0, offset - count) :], kind)
            count += len(chunk)
    except (OSError, EOFError, zlib.error) as error:
        # Bytes after a complete stream are harmless; a checksum that does not fit is not.
        if count < offset + length or "CRC" in str(error) or "length" in str(error):
            raise _damaged(path) from error
    if count < offset + length:
        raise _damaged(path)
    if kind is not None:
        _check_finite(path, rest, kind)


def _check_finite(path: Path, data: bytes, kind: np.dtype) -> bytes:
    """Refuse NaN and infinity, which ITK quietly reads as zero; gives the bytes of an unfinished last value."""
    whole = len(data) - len(data) % kind.itemsize
    if not np.isfinite(np.frombuffer(data[:whole], kind)).all():
        raise InputError(f"{path.name} holds values that are not numbers (NaN or infinite)", "export it again")
    return data[whole:]


def _nifti_layout(path: Path, header: bytes) -> tuple[int, int, np.dtype | None] | None:
    """Where a one-file NIfTI-1 or -2 says its voxels begin, how many bytes they are, and their type if they are
    floating point; None if this is no such header.
    """
    if len(header) < 348:
        return None
    for order in "<>":
        (size,) = struct.unpack_from(order + "i", header)
        if size == 348 and header[344:347] == b"n+1":
            dim = struct.unpack_from(order + "8h", header, 40)
            kind, bits = struct.unpack_from(order + "2h", header, 70)
            (offset,) = struct.unpack_from(order + "f", header, 108)
            (code,) = struct.unpack_from(order + "h", header, 254)
            sform = np.frombuffer(header, order + "f4", 12, 280)
        elif size == 540 and header[4:7] == b"n+2" and len(header) == 540:
            dim = struct.unpack_from(order + "8q", header, 16)
            kind, bits = struct.unpack_from(order + "2h", header, 12)
            (offset,) = struct.unpack_from(order + "q", header, 168)
            (code,) = struct.unpack_from(order + "i", header, 348)
            sform = np.frombuffer(header, order + "f8", 12, 400)
        else:
            continue
        if not 1 <= dim[0] <= 7 or any(n < 0 for n in dim[1 : dim[0] + 1]):
            raise _damaged(path)
        if code > 0:
            _check_orthogonal(path, sform.astype(np.float64).reshape(3, 4)[:, :3])
        floating = {16: "f4", 64: "f8"}.get(kind)
        length = math.prod(dim[1 : dim[0] + 1]) * bits // 8
        return int(offset), length, np.dtype(order + floating) if floating else None
    return None


def _check_orthogonal(path: Path, axes: np.ndarray) -> None:
    lengths = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite(axes)) or np.any(lengths == 0):
        raise InputError(
            f"{path.name} does not say where its voxels lie: its sform matrix is singular", "export it again"
        )
    cosines = (axes / lengths).T @ (axes / lengths)
    if np.abs(cosines - np.eye(3)).max() > 1e-3:
        raise sheared(path)


def sheared(path: Path) -> InputError:
    """The error for a volume whose axes are not at right angles."""
    return InputError(
        f"{path.name} is sheared: its axes are not at right angles",
        "resample it to a rectangular grid first, for instance with Resample Scalar/Vector/DWI Volume in 3D Slicer",
    )


def check_pixels_whole(path: Path, size: int) -> None:
    """Raise :class:`InputError` if a DICOM file ends before its ``size`` bytes of plain pixel data do; packed pixel
    data is left to its decoder, which notices.
    """
    data = path.read_bytes()
    length = struct.pack("<I", size + size % 2)
    for start in (b"\xe0\x7f\x10\x00OW\0\0" + length, b"\xe0\x7f\x10\x00OB\0\0" + length, b"\xe0\x7f\x10\x00" + length):
        place = data.find(start)
        if place >= 0 and len(data) < place + len(start) + size:
            raise _damaged(path)


def _check_meta(path: Path) -> None:
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(200):
            key, _equals, value = file.readline(4096).decode("latin-1").partition("=")
            fields[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                break
        here = file.tell()
    if fields.get("ElementDataFile", "").upper() != "LOCAL":
        return
    try:
        if fields.get("CompressedData", "").lower() == "true":
            expected = int(fields.get("CompressedDataSize", "0"))
        else:
            kind = fields["ElementType"].removeprefix("MET_").replace("UCHAR", "CHAR")
            kind = kind[1:] if kind[0] == "U" else kind
            channels = int(fields.get("ElementNumberOfChannels", "1"))
            expected = math.prod(int(n) for n in fields["DimSize"].split()) * _META_BYTES.get(kind, 1) * channels
    except (KeyError, ValueError, IndexError):
        return  # an unusual header: its reader decides
    if path.stat().st_size - here < expected:
        raise _damaged(path)


def _damaged(path: Path) -> InputError:
    return InputError(f"{path.name} is damaged or was not copied completely", "copy or export it again")
