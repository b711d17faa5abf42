"""MetaImage (.mha and .mhd): voxels, and where they lie.

Read without ITK, so that nothing depends on the process' locale or on the bytes of a name. The format:
https://docs.itk.org/en/latest/learn/metaio.html.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import InputError, short
from .data_files import listed, numbered, read_parts
from .geometry import Place, unplaced
from .stream import damaged, empty_array, fill, native

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_LETTERS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "I": (2, 1), "S": (2, -1)}
_MAX_LINES = 10_000


def is_metaimage(path: Path) -> bool:
    """Whether the file begins as a MetaImage header does."""
    with path.open("rb") as file:
        start = file.read(4096)
    first = start.partition(b"=")[0].strip()
    return first in (b"ObjectType", b"NDims", b"Comment") and b"NDims" in start and b"=" in start


def read_metaimage(path: Path) -> tuple[np.ndarray, tuple[int, ...], Place, dict[str, str]]:
    """Voxels (K, J, I), or (K, J, I, C) with several values each, the sizes of further dimensions (empty without),
    where they lie, and the header's fields. Raises :class:`InputError`.
    """
    name = path.name
    fields, files, end = _read_header(path)
    try:
        count = int(fields["NDims"])
        sizes = [int(n) for n in fields["DimSize"].split()]
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        header_size = int(fields.get("HeaderSize", "0"))
        kind = fields["ElementType"]
    except (KeyError, ValueError) as error:
        raise damaged(name) from error
    if count != len(sizes) or not 1 <= count <= 10 or min(sizes) < 1 or not 1 <= channels <= 1000:
        raise damaged(name)
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    if len(sizes) < 3:
        raise InputError(f"{name} is a single 2-D image, not a volume", "choose a 3-D volume")
    if kind not in _TYPES:
        raise InputError(
            f"{name} holds voxels of the kind '{short(kind, 60)}', which PromptSeg does not support", "convert it"
        )
    big = _is_true(fields, "BinaryDataByteOrderMSB", _is_true(fields, "ElementByteOrderMSB", False))
    shape = [*sizes[::-1], *([channels] if channels > 1 else [])]
    array = _voxels(path, fields, files, end, shape, np.dtype((">" if big else "<") + _TYPES[kind]), header_size)
    return array, tuple(sizes[3:]), _place(name, fields, count), fields


def _read_header(path: Path) -> tuple[dict[str, str], list[str], int]:
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(_MAX_LINES):
            line = file.readline(1 << 20)
            if not line:
                break
            key, mark, value = line.partition(b"=")
            if not mark:
                continue
            field = key.strip().decode("latin-1")
            given = value.strip().decode("utf-8", "replace")
            if fields.setdefault(field, given) != given and field != "Comment":
                raise InputError(
                    f"{path.name} gives its '{short(field, 60)}' twice, in different ways", "correct its header"
                )
            if field == "ElementDataFile":
                return fields, _files(path, os.fsdecode(value.strip()), file), file.tell()
    raise damaged(path.name)


def _files(path: Path, text: str, file) -> list[str]:  # type: ignore[no-untyped-def]
    """The files that hold the voxels; none where they follow the header."""
    parts = text.split()
    if text.upper() == "LOCAL":
        return []
    if parts and parts[0].upper() == "LIST":
        return listed(path.name, file)
    if "%" in text and len(parts) >= 4 and not (path.parent / text).is_file():
        return numbered(path.name, parts[0], *parts[1:4])
    return [text]


def _voxels(
    path: Path, fields: dict[str, str], files: list[str], end: int, shape: list[int], kind: np.dtype, header_size: int
) -> np.ndarray:
    packing = ""
    if not _is_true(fields, "BinaryData", True):
        packing = "text"
    elif _is_true(fields, "CompressedData", False):
        packing = "zlib"
    if header_size < -1:
        raise damaged(path.name)
    if files:
        return read_parts(path, files, shape, kind, packing, 0, 0 if packing else header_size)
    size = path.stat().st_size
    if not packing:  # counted from the beginning of the file
        end = max(end, header_size)
    array = empty_array(path.name, shape, kind, size - end, packing)
    with path.open("rb") as file:
        file.seek(size - array.nbytes if header_size == -1 and not packing else end)
        fill(path.name, array, file, packing)
    return native(array)


def _is_true(fields: dict[str, str], key: str, otherwise: bool) -> bool:
    """As ITK reads it: by the first letter."""
    return fields[key][:1] in ("T", "t", "1") if fields.get(key) else otherwise


def _place(name: str, fields: dict[str, str], count: int) -> Place:
    spacing = _numbers(name, fields, ("ElementSpacing", "ElementSize"), count)
    origin = _numbers(name, fields, ("Offset", "Position", "Origin"), count)
    matrix = _numbers(name, fields, ("TransformMatrix", "Rotation", "Orientation"), count * count)
    axes = None
    if matrix is not None:
        axes = np.reshape(matrix, (count, count))[:3, :3].T
        if not np.all(np.isfinite(axes)):
            raise unplaced(name)
        if not axes.any():  # no matrix, but a placeholder for one
            axes = None
    letters = fields.get("AnatomicalOrientation", "").strip().upper()
    anatomy = _from_letters(letters)
    notes = _scale_notes(name, fields)
    if axes is None:
        axes = anatomy
        if anatomy is not None and not np.array_equal(anatomy, np.eye(3)):
            notes.append(
                f"{name} has no TransformMatrix; its AnatomicalOrientation {letters} was taken, which 3D Slicer does"
                " not read."
            )
    elif anatomy is not None:
        along = (anatomy * axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12)).sum(0)
        if not (np.all(along > 0.5) or np.all(along < -0.5)):  # some programs name the other ends of all axes
            notes.append(
                f"The AnatomicalOrientation {letters} of {name} contradicts its TransformMatrix, which was taken, as 3D"
                " Slicer does."
            )
    at = None if origin is None else (origin[0], origin[1], origin[2])
    return Place(axes, None if spacing is None else (spacing[0], spacing[1], spacing[2]), at, tuple(notes))


def _scale_notes(name: str, fields: dict[str, str]) -> list[str]:
    """What a file asks for that nobody does."""
    keys = ("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset")
    slope, offset = (_numbers(name, fields, (key,), 1) or [usual] for key, usual in zip(keys, (1.0, 0.0), strict=True))
    if slope[0] == 1 and offset[0] == 0:
        return []
    return [
        f"{name} names the slope {slope[0]:g} and the offset {offset[0]:g} for its values; as in 3D Slicer, they were"
        " taken unscaled."
    ]


def _from_letters(text: str) -> np.ndarray | None:
    """ITK's letters say where axes come from: RAI runs to the left, posterior and superior."""
    letters = text.strip().upper()
    if len(letters) != 3 or not set(letters) <= set(_LETTERS) or len({_LETTERS[one][0] for one in letters}) < 3:
        return None
    axes = np.zeros((3, 3))
    for column, one in enumerate(letters):
        row, sign = _LETTERS[one]
        axes[row, column] = sign
    return axes


def _numbers(name: str, fields: dict[str, str], keys: tuple[str, ...], count: int) -> list[float] | None:
    text = next((fields[key] for key in keys if key in fields), None)
    if text is None:
        return None
    try:
        numbers = [float(n) for n in text.split()]
    except ValueError as error:
        raise damaged(name) from error
    if len(numbers) < count:
        raise damaged(name)
    return numbers[:count]
