"""NRRD, attached and detached: voxels, key and value pairs, and where the voxels lie.

Read without ITK, whose numbers depend on the process' locale: with a decimal comma it reads 1.34 as 1. The format:
https://teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, short
from .data_files import listed, numbered, read_parts
from .geometry import PLAUSIBLE_MM, Place, unplaced
from .stream import damaged, empty_array, fill, leave_out_lines, native

_TYPES = {
    "signed char": "i1", "int8": "i1", "int8_t": "i1",
    "uchar": "u1", "unsigned char": "u1", "uint8": "u1", "uint8_t": "u1",
    "short": "i2", "short int": "i2", "signed short": "i2", "signed short int": "i2", "int16": "i2", "int16_t": "i2",
    "ushort": "u2", "unsigned short": "u2", "unsigned short int": "u2", "uint16": "u2", "uint16_t": "u2",
    "int": "i4", "signed int": "i4", "int32": "i4", "int32_t": "i4",
    "uint": "u4", "unsigned int": "u4", "uint32": "u4", "uint32_t": "u4",
    "longlong": "i8", "long long": "i8", "long long int": "i8", "signed long long": "i8",
    "signed long long int": "i8", "int64": "i8", "int64_t": "i8",
    "ulonglong": "u8", "unsigned long long": "u8", "unsigned long long int": "u8", "uint64": "u8", "uint64_t": "u8",
    "float": "f4", "double": "f8",
}  # fmt: skip
_PACKINGS = {
    "raw": "", "txt": "text", "text": "text", "ascii": "text", "hex": "hex",
    "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2",
}  # fmt: skip
# Which way the coordinates of a space run, in LPS; the others do not tell of the patient.
_SPACES = {
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
}  # fmt: skip
_UNITS = {
    "m": 1000.0, "meter": 1000.0, "metre": 1000.0, "meters": 1000.0, "metres": 1000.0, "cm": 10.0, "um": 0.001,
    "\u00b5m": 0.001, "\u03bcm": 0.001, "micron": 0.001, "microns": 0.001, "micrometer": 0.001,
}  # fmt: skip
_OF_SPACE = ("", "???", "none", "domain", "space")
_NOTHING: tuple[str, ...] = ()
_MAX_LINES, _LONGEST = 100_000, 1 << 24


@dataclass(frozen=True)
class _Header:
    path: Path
    values: dict[str, str]
    pairs: dict[str, str]
    files: list[str]
    end: int


def is_nrrd(path: Path) -> bool:
    """Whether the file begins as NRRD does."""
    with path.open("rb") as file:
        return file.read(4) == b"NRRD"


def read_nrrd(path: Path) -> tuple[np.ndarray, tuple[int, ...], Place, dict[str, str]]:
    """Voxels (K, J, I), or (K, J, I, C) with several values each, the size of a time axis (empty without one), where
    they lie, and the key and value pairs. Raises :class:`InputError`.
    """
    header = _read_header(path)
    name = path.name
    try:
        count = int(header.values["dimension"])
        sizes = [int(n) for n in header.values["sizes"].split()]
    except (KeyError, ValueError) as error:
        raise damaged(name) from error
    if count != len(sizes) or not 1 <= count <= 16 or min(sizes) < 1:
        raise damaged(name)
    vectors = _vectors(name, header.values.get("space directions", ""), count)
    other = _other_axis(name, header.values, sizes, vectors)
    kind = _TYPES.get(header.values.get("type", "").lower())
    packing = _PACKINGS.get(header.values.get("encoding", "").lower())
    if kind is None or packing is None:
        what = header.values.get("type" if kind is None else "encoding", "")
        if not what:
            raise damaged(name)
        raise InputError(
            f"{name} holds voxels of the kind '{short(what, 60)}', which PromptSeg does not support", "convert it"
        )
    order = ">" if header.values.get("endian", "little").lower() == "big" else "<"
    array = _voxels(header, sizes[::-1], np.dtype(order + kind), packing)
    place = _place(name, header.values, vectors, other, count)
    if other is None:
        return array, (), place, header.pairs
    # Array axes count from the other end than the file's.
    array = np.moveaxis(array, count - 1 - other, -1)
    if array.shape[-1] == 1:
        return array[..., 0], (), place, header.pairs
    kind_of_axis = _kinds(header.values, count)[other]
    time = kind_of_axis == "time" or (other == 3 and kind_of_axis in _OF_SPACE)
    return array, (array.shape[-1],) if time else (), place, header.pairs


def _read_header(path: Path) -> _Header:
    values: dict[str, str] = {}
    pairs: dict[str, str] = {}
    files: list[str] = []
    with path.open("rb") as file:
        file.readline()
        for _ in range(_MAX_LINES):
            line = file.readline(_LONGEST).rstrip(b"\r\n")
            if not line:
                break
            if line.startswith(b"#"):
                continue
            key, mark, value = line.partition(b":")
            if not mark:
                raise damaged(path.name)
            if value.startswith(b"="):
                pairs[_text(key)] = re.sub(r"\\([n\\])", lambda m: "\n" if m[1] == "n" else "\\", _text(value[1:]))
                continue
            field = re.sub(r"\s+", " ", _text(key)).strip().lower()
            if field in ("data file", "datafile"):
                files = _files(path, os.fsdecode(value.strip()), file)
                if files and value.strip().upper().startswith(b"LIST"):
                    break
                continue
            field = {"centers": "centerings", "lineskip": "line skip", "byteskip": "byte skip"}.get(field, field)
            if values.setdefault(field, _text(value).strip()) != _text(value).strip():
                raise InputError(
                    f"{path.name} gives its '{short(field, 60)}' twice, in different ways", "correct its header"
                )
        return _Header(path, values, pairs, files, file.tell())


def _files(path: Path, text: str, file) -> list[str]:  # type: ignore[no-untyped-def]
    parts = text.split()
    if parts and parts[0].upper() == "LIST":
        return listed(path.name, file)
    if "%" in text and len(parts) >= 4 and not (path.parent / text).is_file():
        return numbered(path.name, parts[0], *parts[1:4])
    return [text]


def _text(value: bytes) -> str:
    """UTF-8 as Slicer writes it; what is not is from an old Windows."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _voxels(header: _Header, shape: list[int], kind: np.dtype, packing: str) -> np.ndarray:
    try:
        lines, skip = (int(header.values.get(key, "0")) for key in ("line skip", "byte skip"))
    except ValueError as error:
        raise damaged(header.path.name) from error
    if lines < 0 or skip < -1 or (skip == -1 and packing):
        raise damaged(header.path.name)
    if header.files:
        return read_parts(header.path, header.files, shape, kind, packing, lines, skip)
    size = header.path.stat().st_size
    array = empty_array(header.path.name, shape, kind, size - header.end, packing)
    with header.path.open("rb") as file:
        file.seek(size - array.nbytes if skip == -1 else header.end)
        leave_out_lines(file, lines)
        fill(header.path.name, array, file, packing, max(0, skip))
    return native(array)


def _vectors(name: str, text: str, count: int) -> list[list[float] | None]:
    found: list[list[float] | None] = []
    for part in re.findall(r"none|\([^)]*\)", text.lower()):
        try:
            numbers = None if part == "none" else [float(n) for n in part[1:-1].split(",")]
        except ValueError as error:
            raise damaged(name) from error
        found.append(None if numbers is None or all(math.isnan(n) for n in numbers) else numbers)
    if found and len(found) != count:
        raise damaged(name)
    return found or [None] * count


def _kinds(values: dict[str, str], count: int) -> list[str]:
    kinds = values.get("kinds", "").lower().split()
    return kinds if len(kinds) == count else [""] * count


def _other_axis(name: str, values: dict[str, str], sizes: list[int], vectors: list[list[float] | None]) -> int | None:
    """The axis that is none of space, if there is one; raises for what has fewer or more than three of space."""
    count = len(sizes)
    if count == 3 and vectors.count(None) in (0, 3):
        kinds = _kinds(values, count)
        if not any(kind not in _OF_SPACE for kind in kinds):
            return None
    if count == 4:
        if vectors.count(None) == 1:
            return vectors.index(None)
        kinds = _kinds(values, count)
        odd = [n for n, kind in enumerate(kinds) if kind not in _OF_SPACE]
        if len(odd) == 1:
            return odd[0]
        if vectors.count(None) in (0, 4):
            return 3
    if count < 4:
        raise InputError(f"{name} is a single 2-D image, not a volume", "choose a 3-D volume")
    frames = " x ".join(str(n) for n in sizes)
    raise InputError(
        f"{name} is a sequence with {count} dimensions ({frames})", "save one of its time points as a 3-D volume"
    )


def _place(
    name: str, values: dict[str, str], vectors: list[list[float] | None], other: int | None, count: int
) -> Place:
    own = [v for n, v in enumerate(vectors) if n != other]
    spacing = _spacings(name, values, other, count)
    if any(v is None for v in own):
        return Place(None, spacing, None)
    if any(v is None or len(v) < 3 for v in own):
        raise unplaced(name)
    matrix = np.array([v[:3] for v in own if v is not None]).T
    if matrix.shape != (3, 3) or not np.all(np.isfinite(matrix)):
        raise unplaced(name)
    unit, notes = _unit(name, values.get("space units", ""), matrix)
    matrix = matrix * unit
    lengths = [math.sqrt(float(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])) for v in matrix.T]
    if min(lengths) < 1e-9:
        raise unplaced(name)
    a, b, c = lengths
    space = re.sub(r"-?time$|t$", "", values.get("space", "").lower()).rstrip("-")
    signs = _SPACES.get(space)
    if signs is None and count == 4 and values.get("space dimension", "") == "4":
        # How ITK writes four dimensions, though it means LPS.
        signs, notes = (
            (1, 1, 1),
            (
                *notes,
                f"{name} does not name its space; LPS was taken, as ITK writes four dimensions.",
            ),
        )
    if signs is None:
        return Place(None, (a, b, c), None, notes)
    # As ITK computes them, so that they are the same bits.
    axes = matrix * np.array([1.0 / n for n in lengths]) * np.array(signs, float)[:, None]
    origin = _origin(name, values.get("space origin", ""), signs)
    at = None if origin is None else (origin[0] * unit, origin[1] * unit, origin[2] * unit)
    return Place(axes, (a, b, c), at, notes)


def _unit(name: str, text: str, matrix: np.ndarray) -> tuple[float, tuple[str, ...]]:
    """Millimetres in the file's unit of length, and what is to be said of it."""
    units = {_text(one) for one in re.findall(rb'"([^"]*)"', text.encode("utf-8", "replace"))} - {""}
    scale = _UNITS.get(next(iter(units)).strip().lower(), 1.0) if len(units) == 1 else 1.0
    if scale == 1.0:
        return 1.0, _NOTHING
    (word,), low, high = units, *PLAUSIBLE_MM
    given = np.linalg.norm(matrix, axis=0)
    if np.all((low <= given * scale) & (given * scale <= high)):
        taken = " x ".join(f"{mm:.4g}" for mm in given * scale)
        note = f"{name} gives its spacing in '{short(word, 20)}': {taken} mm was taken, where 3D Slicer takes no unit."
        return scale, (note,)
    taken = " x ".join(f"{mm:.4g}" for mm in given)
    return 1.0, (f"{name} gives its spacing in '{short(word, 20)}', which cannot be: {taken} mm was taken.",)


def _spacings(name: str, values: dict[str, str], other: int | None, count: int) -> tuple[float, float, float] | None:
    try:
        numbers = [float(n) for n in values.get("spacings", "").split()]
    except ValueError as error:
        raise damaged(name) from error
    if len(numbers) != count:
        return None
    a, b, c = (abs(v) for n, v in enumerate(numbers) if n != other)
    return None if any(math.isnan(v) for v in (a, b, c)) else (a, b, c)


def _origin(name: str, text: str, signs: tuple[int, int, int]) -> tuple[float, float, float] | None:
    found = re.fullmatch(r"\(([^)]*)\)", text.strip())
    if not found:
        return None
    try:
        x, y, z = (float(n) * sign for n, sign in zip(found[1].split(",")[:3], signs, strict=True))
    except ValueError as error:
        raise damaged(name) from error
    return None if all(math.isnan(v) for v in (x, y, z)) else (x, y, z)
