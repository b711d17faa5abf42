"""NIfTI-1, NIfTI-2 and their two-part form: voxels, and where they lie by the standard.

ITK and nibabel differ in what counts where a header contradicts itself. Here, as in nibabel and the standard: the sform
with its own lengths where it has a code, else the qform; where neither has, the orientation is unknown. Whatever had to
be decided is noted. The format: https://nifti.nimh.nih.gov/nifti-1 and nifti1.h there.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, system_problem
from .geometry import PLAUSIBLE_MM, Place, unplaced
from .room import check_room
from .stream import damaged, empty_array, fill, native

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_STRANGE = {
    1: "single bits", 32: "complex numbers", 128: "colours", 1536: "128-bit numbers", 1792: "complex numbers",
    2048: "complex numbers", 2304: "colours",
}  # fmt: skip
_LPS = np.array([-1.0, -1.0, 1.0])[:, None]
_SAME = 1e-6  # relative: what single precision makes of one number
_DIFFER = 1e-3
_TOLD_MM = 0.5
_UNITS = {1: (1000.0, "metres"), 3: (0.001, "micrometres")}


@dataclass(frozen=True)
class _Header:
    order: str
    pair: bool
    dim: tuple[int, ...]
    kind: int
    pixdim: np.ndarray  # (4,): the handedness of the qform, and mm
    offset: int
    slope: float
    inter: float
    units: int
    codes: tuple[int, int]  # qform, sform
    quaternion: np.ndarray  # (3,)
    shift: np.ndarray  # (3,)
    sform: np.ndarray  # (3, 4)
    length: int = 348
    analyze: bool = False


def is_nifti(path: Path) -> bool:
    """Whether the file begins as NIfTI, or as the Analyze 7.5 that it came from, does; plain or gzipped."""
    try:
        return _header(path) is not None
    except (OSError, EOFError, zlib.error) as error:
        if (problem := system_problem(error)) is not None:
            raise problem from error
        # A gzipped file that ends within its header: named for what it is meant to be.
        return path.name.lower().endswith((".nii.gz", ".hdr.gz", ".img.gz"))


def read_nifti(path: Path) -> tuple[np.ndarray, tuple[int, ...], Place]:
    """Voxels (K, J, I), the sizes of a fourth and further dimensions that were there (all 1), and where they lie.

    The two-part form is read by the name of either part. Raises :class:`InputError` for what is cut short, a sequence,
    or of a type that is no single number.
    """
    name = path.name
    try:
        header = _header(path)
    except (OSError, EOFError, zlib.error) as error:
        raise system_problem(error) or damaged(name) from error
    if header is None:
        raise damaged(name)
    size = _size(name, header)
    if header.kind not in _TYPES:
        kind = _STRANGE.get(header.kind, f"numbers of the unknown type {header.kind}")
        raise InputError(f"{name} holds {kind}, which PromptSeg does not support", "choose a CT volume")
    place = _place(name, header)
    voxels = _voxels(path, header, size)
    return _scaled(name, voxels, header), size[3:], _with_slope_note(name, header, place)


def _header(path: Path) -> _Header | None:
    path = _part(path, ".hdr") if path.name.lower().endswith((".img", ".img.gz")) else path
    if not path.is_file():
        return None
    with path.open("rb") as file:
        raw = file.read(540)
        if raw[:2] == b"\x1f\x8b":
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as packed:
                raw = packed.read(540)
    if len(raw) < 348:
        return None
    for order in "<>":
        if int.from_bytes(raw[:4], "little" if order == "<" else "big") == 348:
            return _first(raw, order, path)
        if int.from_bytes(raw[:4], "little" if order == "<" else "big") == 540 and raw[4:7] in (b"n+2", b"ni2"):
            return _second(raw, order) if len(raw) == 540 else None
    return None


def _reader(raw: bytes, order: str) -> Callable[..., np.ndarray]:
    """A function that gives ``count`` numbers of a type at a place."""

    def read(kind: str, place: int, count: int = 1) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # a header may hold any NaN
            found = np.frombuffer(raw, order + kind, count, place)
            return found.astype(np.float64 if kind[0] == "f" else np.int64)

    return read


def _first(raw: bytes, order: str, path: Path) -> _Header | None:
    analyze = raw[344:347] not in (b"n+1", b"ni1")
    if analyze and not path.name.lower().endswith((".hdr", ".hdr.gz")):
        return None
    read = _reader(raw, order)
    if analyze:
        nothing = np.zeros(3)
        return _Header(
            order, True, tuple(read("i2", 40, 8).tolist()), int(read("i2", 70)[0]), read("f4", 76, 4), 0, 0.0, 0.0, 2,
            (0, 0), nothing, nothing, np.zeros((3, 4)), 348, True,
        )  # fmt: skip
    codes = read("i2", 252, 2)
    return _Header(
        order, raw[344:347] == b"ni1", tuple(read("i2", 40, 8).tolist()), int(read("i2", 70)[0]), read("f4", 76, 4),
        _integer(read("f4", 108)[0]), float(read("f4", 112)[0]), float(read("f4", 116)[0]), raw[123],
        (int(codes[0]), int(codes[1])), read("f4", 256, 3), read("f4", 268, 3), read("f4", 280, 12).reshape(3, 4),
    )  # fmt: skip


def _second(raw: bytes, order: str) -> _Header:
    read = _reader(raw, order)
    codes = read("i4", 344, 2)
    return _Header(
        order, raw[4:7] == b"ni2", tuple(read("i8", 16, 8).tolist()), int(read("i2", 12)[0]), read("f8", 104, 4),
        int(read("i8", 168)[0]), float(read("f8", 176)[0]), float(read("f8", 184)[0]), int(read("i4", 500)[0]) & 255,
        (int(codes[0]), int(codes[1])), read("f8", 352, 3), read("f8", 376, 3), read("f8", 400, 12).reshape(3, 4), 540,
    )  # fmt: skip


def _integer(value: float) -> int:
    return int(value) if np.isfinite(value) else 0


def _size(name: str, header: _Header) -> tuple[int, ...]:
    """(I, J, K, ...), at least three; raises for what is no single volume."""
    count = header.dim[0]
    if not 1 <= count <= 7:
        raise damaged(name)
    size = header.dim[1 : count + 1]
    if any(n < 0 for n in size) or any(n == 0 for n in size[:3]):
        raise damaged(name)
    size = tuple(max(1, n) for n in size)
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    if len(size) < 3:
        raise InputError(f"{name} is a single 2-D image, not a volume", "choose a 3-D volume")
    if len(size) == 5 and size[3] == 1:
        raise InputError(
            f"{name} has {size[4]} values per voxel, such as a colour image or a vector field", "choose a CT volume"
        )
    if len(size) > 3:
        raise InputError(
            f"{name} is a sequence with {len(size)} dimensions ({' x '.join(map(str, size))})",
            "save one of its time points as a 3-D volume",
        )
    return size


def _part(path: Path, ending: str) -> Path:
    """The other part of a two-part file, gzipped or not, with whatever case its name has."""
    stem = path.name[: -7 if path.name.lower().endswith(".gz") else -4]
    for other in (ending, ending + ".gz", ending.upper(), ending.upper() + ".GZ"):
        if path.with_name(stem + other).is_file():
            return path.with_name(stem + other)
    return path.with_name(stem + ending)


def _voxels(path: Path, header: _Header, size: tuple[int, ...]) -> np.ndarray:
    data = path
    if header.pair:
        data = _part(path, ".img") if path.name.lower().endswith((".hdr", ".hdr.gz")) else path
        if not data.is_file():
            raise InputError(f"{path.name} is one part of two: {data.name} is missing", "copy both parts")
    skip = header.offset if header.pair or header.offset >= header.length else header.length + 4
    with data.open("rb") as file:
        packing = "gzip" if file.read(2) == b"\x1f\x8b" else ""
        file.seek(0)
        kind = np.dtype(header.order + _TYPES[header.kind])
        voxels = empty_array(data.name, size[2::-1], kind, data.stat().st_size, packing)
        fill(data.name, voxels, file, packing, max(0, skip))
    return native(voxels)


def _scaled(name: str, voxels: np.ndarray, header: _Header) -> np.ndarray:
    slope, inter = header.slope, header.inter if np.isfinite(header.inter) else 0.0
    if slope == 0 or not np.isfinite(slope) or (slope == 1 and inter == 0):
        return voxels
    if slope == 1 and inter == round(inter) and voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= 4:
        low, high = int(voxels.min()) + int(inter), int(voxels.max()) + int(inter)
        if np.iinfo(np.int16).min <= low and high <= np.iinfo(np.int16).max:
            out = np.empty(voxels.shape, np.int16)
            for plane, given in zip(out, voxels, strict=True):
                plane[:] = given.astype(np.int64) + int(inter)
            return out
    check_room(name, voxels.size * 4)
    scaled = np.empty(voxels.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows becomes infinite, which is refused afterwards
        for plane, given in zip(scaled, voxels, strict=True):
            plane[:] = given.astype(np.float64) * slope + inter
    return scaled


def _with_slope_note(name: str, header: _Header, place: Place) -> Place:
    """Say where the scaling of values that a header names cannot be followed. NaN is how nibabel writes none."""
    slope, inter = header.slope, header.inter
    unscaled = slope == 0 or not np.isfinite(slope)
    if header.analyze:
        return place
    if unscaled and (np.isinf(slope) or (np.isfinite(inter) and inter != 0)):
        what = f"the intercept {inter:g} and the slope {slope:g}: by the standard, its values are taken unscaled."
    elif not unscaled and not np.isfinite(inter):
        what = "an intercept that is no number: none was taken."
    else:
        return place
    return Place(place.axes, place.spacing, place.origin, (*place.notes, f"{name} has {what}"))


def _place(name: str, header: _Header) -> Place:
    notes: list[str] = []
    scale = _unit(name, header, notes)
    pixdim = header.pixdim[1:] * scale
    bad = ~np.isfinite(pixdim) | (pixdim == 0)
    spacing = np.where(bad, 1.0, np.abs(pixdim))
    qform = _qform(header, spacing, scale) if header.codes[0] > 0 else None
    if header.codes[1] > 0:
        place = _from_sform(name, header, pixdim, scale, notes)
        if place is not None:
            if qform is not None:
                _compare(name, header, place, qform, notes)
            return Place(place.axes, place.spacing, place.origin, tuple(notes))
        if qform is None:
            raise unplaced(name)
        notes.append(f"The sform of {name} is singular; its qform was taken.")
    known = None if bad.all() else tuple(float(v) for v in spacing)
    if known is not None and bad.any():
        notes.append(f"{name} has the spacing {_times(pixdim)} mm; 1 mm was taken where it is 0.")
    if np.any(pixdim < 0):
        notes.append(
            f"{name} has the negative spacing {_times(pixdim)} mm; its sign was dropped, as the standard has none."
        )
    if qform is not None:
        return Place(qform.axes, known, qform.origin, tuple(notes))  # type: ignore[arg-type]
    return Place(None, known, None, tuple(notes))  # type: ignore[arg-type]


def _unit(name: str, header: _Header, notes: list[str]) -> float:
    """Millimetres in the header's unit of length: a wrong unit is not believed."""
    scale, word = _UNITS.get(header.units & 7, (1.0, "mm"))
    if scale == 1.0:
        return scale
    given = header.pixdim[1:]
    low, high = PLAUSIBLE_MM
    if all(low <= abs(v * scale) <= high for v in given):
        notes.append(f"{name} gives its spacing in {word}: {_times(given * scale)} mm was taken.")
        return scale
    notes.append(f"{name} gives its spacing in {word}, which cannot be: {_times(given)} mm was taken.")
    return 1.0


def _from_sform(name: str, header: _Header, pixdim: np.ndarray, scale: float, notes: list[str]) -> Place | None:
    matrix = header.sform * scale
    if not np.all(np.isfinite(matrix)):
        return None
    # Cosines as ITK computes them, so that they are the same bits.
    vectors = matrix[:, :3] * _LPS
    lengths = _lengths(vectors)
    if np.any(lengths < 1e-9) or abs(np.linalg.det(vectors / lengths)) < 1e-6:
        return None
    given = np.where(np.isfinite(pixdim), pixdim, 0.0)
    factor = _other_unit(lengths, given)
    if factor != 1.0:
        vectors, matrix, lengths = vectors * factor, matrix * factor, _lengths(vectors * factor)
        notes.append(
            f"The sform of {name} is in {'metres' if factor > 1 else 'micrometres'}, unlike its pixdim: the spacing"
            f" {_times(lengths)} mm was taken."
        )
    spacing = np.abs(given)
    if np.any(np.abs(lengths - given) > _SAME * lengths):
        if np.any(np.abs(lengths - given) > _DIFFER * lengths):
            notes.append(
                f"The header of {name} gives the spacing as {_times(lengths)} mm (sform) and as {_times(pixdim)} mm"
                " (pixdim); the sform was taken."
            )
        spacing = lengths
    origin = matrix[:, 3] * _LPS[:, 0]
    a, b, c = (float(v) for v in spacing)
    x, y, z = (float(v) for v in origin)
    return Place(vectors / lengths, (a, b, c), (x, y, z))


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.array([math.sqrt(float(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])) for v in vectors.T])


def _other_unit(lengths: np.ndarray, given: np.ndarray) -> float:
    """What turns the sform into millimetres where its unit is not that of ``given``, plausible spacings; else 1."""
    low, high = PLAUSIBLE_MM
    if np.any(given < low) or np.any(given > high):
        return 1.0
    for factor in (1000.0, 0.001):
        if np.all(np.abs(lengths * factor - given) <= 0.01 * given):
            return factor
    return 1.0


def _qform(header: _Header, spacing: np.ndarray, scale: float) -> Place | None:
    """The qform as the standard computes it, rounded to single precision as its library does."""
    b, c, d = (float(v) for v in header.quaternion)
    if not np.all(np.isfinite([b, c, d, *header.shift])):
        return None
    a = 1.0 - (b * b + c * c + d * d)
    if a < 1e-7:
        a = 1.0 / math.sqrt(b * b + c * c + d * d)
        a, b, c, d = 0.0, b * a, c * a, d * a
    else:
        a = math.sqrt(a)
    rotation = np.array([
        [a * a + b * b - c * c - d * d, 2 * b * c - 2 * a * d, 2 * b * d + 2 * a * c],
        [2 * b * c + 2 * a * d, a * a + c * c - b * b - d * d, 2 * c * d - 2 * a * b],
        [2 * b * d - 2 * a * c, 2 * c * d + 2 * a * b, a * a + d * d - c * c - b * b],
    ])  # fmt: skip
    handed = -1.0 if header.pixdim[0] < 0 else 1.0
    vectors = (rotation * (spacing * [1, 1, handed])).astype(np.float32).astype(np.float64) * _LPS
    lengths = _lengths(vectors)
    x, y, z = (float(v) for v in header.shift * scale * _LPS[:, 0])
    return Place(vectors / lengths, None, (x, y, z))


def _compare(name: str, header: _Header, taken: Place, qform: Place, notes: list[str]) -> None:
    """Note where sform and qform put voxels at different places."""
    far = np.asarray(header.dim[1:4], float) * np.asarray(taken.spacing)
    turned = np.abs(np.subtract(taken.axes, qform.axes))  # type: ignore[arg-type]
    apart = np.abs(np.subtract(taken.origin, qform.origin)) + turned @ far  # type: ignore[arg-type]
    if apart.max() > _TOLD_MM:
        notes.append(
            f"The qform and the sform of {name} put voxels up to {apart.max():.3g} mm apart; the sform was taken,"
            " where 3D Slicer may take the qform."
        )


def _times(numbers: np.ndarray) -> str:
    return " x ".join(f"{float(n):.4g}" for n in numbers)
