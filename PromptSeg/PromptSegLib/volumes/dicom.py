"""A folder that holds a DICOM series, or a file that holds a whole Enhanced CT, as a volume.

A missing slice, two time points in one series or a tilted gantry give a volume that looks right and measures wrong.
They are found here, from each slice's own position, before a voxel is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, quoted, short, system_problem
from .dicom_file import (
    ALLOCATED,
    COLUMNS,
    FRAME_GROUPS,
    FRAME_OF_REFERENCE,
    FRAMES,
    IMAGE_TYPE,
    INTERCEPT,
    MODALITY,
    ORIENTATION,
    PIXEL_SPACING,
    POSITION,
    ROWS,
    SAMPLES,
    SERIES,
    SERIES_TEXT,
    SHARED_GROUPS,
    SLOPE,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    DicomFile,
    Elements,
    Incomplete,
    is_dicom,
    read_elements,
    stored_pixels,
)
from .dicom_frames import numbers_of, unit_axes
from .dicom_meaning import check_one_patient, check_values, unit_notes
from .geometry import Place, grid_at
from .images import Image, check_readable
from .room import check_room
from .stream import damaged
from .volume import DicomSource

# What a study's folder may hold beside its images.
_NOT_IMAGES = {
    "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "SEG", "SR", "PR", "KO", "REG", "DOC", "ECG", "FID", "RWV", "AU",
}  # fmt: skip
_CLASSES = "1.2.840.10008.5.1.4.1.1."
# Storage classes of images with one slice a file (CT, MR, PET) or many (Enhanced).
_SLICES = {_CLASSES + one for one in ("2", "4", "128", "2.1", "2.2", "4.1", "130")}
_EVEN = 0.02  # unevenness of the slice distance, as a share of it, that nobody need hear of
_TOLERATED = 0.10  # ... that is worth a warning; more is an error
_TILT_DEGREES = 0.5
_DRIFT_MM = 0.5
_ADVICE = "export the whole series again"
_REGULARISE = "load it in 3D Slicer, which can regularise it while loading, and save it as NRRD"


@dataclass(frozen=True)
class _Slice:
    file: DicomFile
    frame: int
    position: np.ndarray  # (3,) LPS mm of the first voxel
    axes: np.ndarray  # (3, 2) cosines of a row and of a column, of length 1
    size: tuple[int, int]  # columns, rows
    spacing: tuple[float, float]  # mm along a row and along a column
    rescale: tuple[float, float]  # slope, intercept
    odd_rescale: str  # what is odd about them

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self.file.path.name + (
            f" (frame {self.frame + 1})" if self.file.elements.integer(FRAMES, 1) != 1 else ""
        )


def is_multiframe(path: Path) -> bool:
    """Whether this is a DICOM file that holds several slices."""
    try:
        return path.is_file() and is_dicom(path) and (read_elements(path).elements.integer(FRAMES, 1) or 1) > 1
    except (Incomplete, OSError) as error:
        if (problem := system_problem(error)) is not None:
            raise problem from error
        return False


def read_series(folder: Path, series: str = "") -> Image:
    """Read the one image series in ``folder``, or the one with the UID ``series``; or a file with several slices.

    Raises :class:`InputError` if there is none, if there are several (listed), or if its slices do not make a volume.
    """
    check_readable(folder)
    notes: list[str] = []
    if folder.is_file():
        where, files = f"The DICOM file {folder.name}", [_opened(folder)]
    else:
        where, files = f"The DICOM series in {folder}", _choose(folder, series)
    return _image(where, files, notes)


def read_slices(paths: Sequence[Path], where: str) -> Image:
    """Read one series from its files, wherever they lie; ``where`` begins the sentences about it. Raises as
    :func:`read_series`."""
    return _image(where, [_opened(path) for path in paths], [])


def _image(where: str, files: Sequence[DicomFile], notes: list[str]) -> Image:
    """The volume that the files of one series make."""
    files = _without_odd(where, files, notes)
    notes += check_one_patient(where, files) + unit_notes(where, files)
    slices = _stacked([one for file in files for one in _slices(file)])
    notes += _rescale_notes(where, slices)
    distance = _check_geometry(where, slices, notes)
    first = slices[0]
    normal = np.cross(first.axes[:, 0], first.axes[:, 1])
    place = Place(
        np.column_stack([first.axes, normal]),
        (*first.spacing, distance),
        (float(first.position[0]), float(first.position[1]), float(first.position[2])),
    )
    grid, more = grid_at((*first.size, len(slices)), place, where)
    modality = first.file.elements.text(MODALITY) or "CT"
    source = DicomSource(
        tuple((one.file.path, one.frame) for one in slices),
        *(first.file.elements.text(tag) for tag in (SERIES, STUDY, FRAME_OF_REFERENCE)),
    )
    notes = [*dict.fromkeys(notes), *more]
    return Image(_voxels(slices), grid, {"SeriesInstanceUID": source.series}, modality, tuple(notes), source=source)


def _opened(path: Path) -> DicomFile:
    try:
        return read_elements(path)
    except Incomplete as error:
        raise InputError(
            f"{path} is damaged or was not copied completely", "export the series again or remove the file"
        ) from error
    except OSError as error:
        raise system_problem(error) or InputError(
            f"{path} may not be read", "ask for permission or copy the series to a folder of yours"
        ) from error


def _choose(folder: Path, series: str) -> list[DicomFile]:
    """The files of the series to read."""
    found: dict[str, list[DicomFile]] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        try:
            if not is_dicom(path):
                continue
        except OSError as error:
            raise system_problem(error) or InputError(
                f"{path} may not be read", "ask for permission or copy the series to a folder of yours"
            ) from error
        with path.open("rb") as file:
            sure = file.read(132)[128:] == b"DICM"
        try:
            one = _opened(path)
        except InputError:
            if sure:
                raise
            continue
        of = one.elements
        if of.text(MODALITY) in _NOT_IMAGES:
            continue
        if one.pixels is None:
            if of.text(SOP_CLASS) in _SLICES:
                raise InputError(
                    f"{path} is a slice without pixels (PixelData)", "export the series again or remove the file"
                )
            continue
        found.setdefault(of.text(SERIES), []).append(one)
    texts = {uid: files[0].elements.text(SERIES_TEXT) or "no description" for uid, files in found.items()}
    listed = ", ".join(
        f"{short(uid)} ({short(texts[uid])}, {len(files)} files)" for uid, files in sorted(found.items())
    )
    if series:
        if series not in found:
            raise InputError(f"{folder} holds no DICOM series {series}", f"choose one of {listed or 'another folder'}")
        return found[series]
    if not found:
        raise InputError(
            f"The folder {folder} holds no DICOM images", "choose the folder that holds the series' files themselves"
        )
    if len(found) > 1:
        raise InputError(
            f"The folder {folder} holds {len(found)} DICOM series: {listed}",
            f"choose one as {folder}#UID, with its number as UID",
        )
    return next(iter(found.values()))


def _without_odd(where: str, files: Sequence[DicomFile], notes: list[str]) -> list[DicomFile]:
    """The files without a scout view, if it says that it is one, and without copies of one and the same file."""
    scouts = [one for one in files if "LOCALIZER" in one.elements.text(IMAGE_TYPE).upper().split("\\")]
    kept = [one for one in files if one not in scouts]
    if scouts and kept:
        names = quoted((one.path.name for one in scouts), 3)
        were = "was" if len(scouts) == 1 else "were"
        notes.append(f"{where} holds {_count(len(scouts), 'localiser')}, which {were} left out: {names}.")
    else:
        kept = list(files)
    seen: dict[str, DicomFile] = {}
    copies = []
    for one in sorted(kept, key=lambda one: (len(one.path.name), one.path.name)):  # "003.dcm" before "003 (1).dcm"
        uid = one.elements.text(SOP_INSTANCE)
        former = seen.get(uid) if uid else None
        if former is None:
            seen[uid or os.fspath(one.path)] = one
        elif one.elements.values == former.elements.values and np.array_equal(_pixels(one), _pixels(former)):
            copies.append(one)
        else:
            raise InputError(
                f"{where} has two different files that claim to be the same: {former.path.name} and {one.path.name}",
                "remove one of them",
            )
    if copies:
        names = quoted((one.path.name for one in copies), 3)
        notes.append(f"{where} holds {_count(len(copies), 'file')} twice; left out: {names}.")
    return [one for one in kept if one not in copies]


def _count(n: int, what: str) -> str:
    return f"a {what}" if n == 1 else f"{n} {what}s"


def _slices(file: DicomFile) -> Iterable[_Slice]:
    """The slices of a file; raises :class:`InputError` for one that does not say where it lies or what its values
    mean."""
    of, name = file.elements, file.path.name
    if (of.integer(SAMPLES, 1) or 1) > 1:
        raise InputError(f"{name} is a colour image", "choose a CT series")
    check_values(of, name)
    rows, columns, frames = of.integer(ROWS), of.integer(COLUMNS), of.integer(FRAMES, 1)
    if not rows or not columns or not of.integer(ALLOCATED) or not frames or frames < 1:
        raise InputError(f"{name} does not say how many pixels it has, or how they are stored", _ADVICE)
    shared = (of.sequences.get(SHARED_GROUPS) or [Elements()])[0]
    own = of.sequences.get(FRAME_GROUPS) or []
    if frames > 1 and len(own) != frames:
        raise InputError(
            f"{name} has {frames} frames and does not say where they lie", "choose a CT series, or Enhanced CT"
        )
    for n in range(frames):
        groups = (own[n], shared) if n < len(own) else (shared,)
        position = numbers_of(of, groups, POSITION)
        directions = numbers_of(of, groups, ORIENTATION)
        if position is None or directions is None or len(position) != 3 or len(directions) != 6:
            raise InputError(
                f"{name} does not say where its slice lies (ImagePositionPatient, ImageOrientationPatient)", _ADVICE
            )
        axes = unit_axes(directions) if np.all(np.isfinite(position)) else None
        if axes is None:
            raise InputError(f"{name} does not say which way its rows and columns run", _ADVICE)
        spacing = numbers_of(of, groups, PIXEL_SPACING)
        if spacing is None or len(spacing) != 2 or not np.all(np.isfinite(spacing)) or min(spacing) <= 0:
            raise InputError(
                f"{name} does not say how large its pixels are (PixelSpacing)",
                "export the original series, not pictures made of it",
            )
        rescale, odd = _rescale(name, of, groups)
        yield _Slice(file, n, np.array(position), axes, (columns, rows), (spacing[1], spacing[0]), rescale, odd)


def _rescale(name: str, of: Elements, groups: Sequence[Elements]) -> tuple[tuple[float, float], str]:
    slope, intercept = numbers_of(of, groups, SLOPE), numbers_of(of, groups, INTERCEPT)
    a, b = (slope or [1.0])[0], (intercept or [0.0])[0]
    if not np.isfinite(a) or not np.isfinite(b):
        raise InputError(f"{name} has a RescaleSlope or RescaleIntercept that is no number", _ADVICE)
    if a == 0:
        return (1.0, b), "with a RescaleSlope of 0: 1 was taken"
    if intercept is None and of.text(MODALITY) in ("", "CT"):
        return (a, b), "without RescaleIntercept, so that their values may be no HU: they were taken as they are"
    return (a, b), ""


def _rescale_notes(where: str, slices: Sequence[_Slice]) -> list[str]:
    """A sentence for each oddity of how values are scaled, with the names of the files where it is not in all."""
    notes = []
    for odd in dict.fromkeys(one.odd_rescale for one in slices if one.odd_rescale):
        names = [one.name for one in slices if one.odd_rescale == odd]
        some = "" if len(names) == len(slices) else f" ({quoted(names, 3)})"
        notes.append(f"{where} has {_count(len(names), 'slice')}{some} {odd}.")
    return notes


def _stacked(slices: list[_Slice]) -> list[_Slice]:
    """The slices along their normal."""
    normal = np.cross(slices[0].axes[:, 0], slices[0].axes[:, 1])
    return sorted(slices, key=lambda one: float(one.position @ normal))


def _pixels(file: DicomFile) -> np.ndarray:
    try:
        return stored_pixels(file)
    except Incomplete as error:
        raise damaged(file.path.name) from error
    except OSError as error:
        raise system_problem(error) or InputError(
            f"{file.path} may not be read", "ask for permission or copy the series to a folder of yours"
        ) from error


def _voxels(slices: Sequence[_Slice]) -> np.ndarray:
    """Rescaled voxels (K, J, I): int16 where all are whole numbers that fit, else float32."""
    (columns, rows), limits = slices[0].size, np.iinfo(np.int16)
    check_room("The series", len(slices) * rows * columns * 2)
    try:
        out = np.empty((len(slices), rows, columns), np.int16)
    except MemoryError as error:
        raise InputError("The series does not fit into this computer's memory", "close other programs") from error
    integer = all(float(n).is_integer() and abs(n) < 1 << 31 for one in slices for n in one.rescale)
    if not integer:
        out = out.astype(np.float32)
    last: tuple[DicomFile, np.ndarray] | None = None
    for k, one in enumerate(slices):
        if last is None or last[0] is not one.file:
            last = (one.file, _pixels(one.file))
        stored = last[1][one.frame]
        slope, intercept = one.rescale
        if stored.dtype.kind in "iu" and integer:
            plane = stored.astype(np.int64) * int(slope) + int(intercept)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                plane = stored.astype(np.float64) * slope + intercept
        if out.dtype == np.int16 and (plane.dtype.kind == "f" or plane.min() < limits.min or plane.max() > limits.max):
            out = out.astype(np.float32)
        out[k] = plane
    return out


def _check_geometry(where: str, slices: Sequence[_Slice], notes: list[str]) -> float:
    """Raise unless the slices are equal, parallel, stacked along their normal and evenly spaced; gives their distance
    in mm."""
    if len(slices) < 2:
        raise InputError(f"{where} has only one slice", "choose a series that makes a volume")
    first = slices[len(slices) // 2]  # a scout lies at an end
    odd = [
        one
        for one in slices
        if one.size != first.size
        or np.abs(one.axes - first.axes).max() > 1e-3
        or np.abs(np.subtract(one.spacing, first.spacing)).max() > 1e-3
    ]
    if odd:
        odd = odd if 2 * len(odd) <= len(slices) else [one for one in slices if one not in odd]
        raise InputError(
            f"{where} mixes slices of several sizes or directions; odd are {quoted((one.name for one in odd), 3)}",
            "move them out of the folder, or choose a series with parallel slices",
        )
    normal = np.cross(first.axes[:, 0], first.axes[:, 1])
    normal = normal / np.linalg.norm(normal)
    steps = np.diff([one.position for one in slices], axis=0)
    along = steps @ normal
    if np.abs(along).min() < 1e-3:
        at = int(np.abs(along).argmin())
        raise InputError(
            f"{where} has several slices at one place, as a sequence over time has: {slices[at].name} and"
            f" {slices[at + 1].name}",
            "export one time point alone",
        )
    distance = float(np.median(along))
    unevenness = float(np.abs(along - distance).max()) / abs(distance)
    worst = int(np.abs(along - distance).argmax())
    between = f"{slices[worst].name} and {slices[worst + 1].name}"
    if unevenness > _TOLERATED:
        gaps = int(np.sum(np.round(along / distance) > 1))
        if gaps and np.abs(along / distance - np.round(along / distance)).max() < _TOLERATED:
            missing = int(np.sum(np.round(along / distance) - 1))
            raise InputError(
                f"{where} lacks {missing} of its slices, in {gaps} places, such as between {between}", _ADVICE
            )
        low, high = np.abs(along).min(), np.abs(along).max()
        raise InputError(
            f"{where} is not evenly spaced: its slices are {low:.3g} to {high:.3g} mm apart,"
            f" {along[worst]:.3g} mm between {between}",
            "load it in 3D Slicer, which can make it even while loading, and save it as NRRD",
        )
    extent = slices[-1].position - slices[0].position
    sideways = float(np.linalg.norm(extent - (extent @ normal) * normal))
    tilt = float(np.degrees(np.arctan2(sideways, abs(extent @ normal))))
    if tilt > _TILT_DEGREES and sideways > _DRIFT_MM:
        raise InputError(f"{where} was scanned with a gantry tilted by {tilt:.1f} degrees", _REGULARISE)
    mean = float(extent @ normal) / (len(slices) - 1)
    if unevenness > _EVEN:
        notes.append(
            f"{where} is slightly uneven: {along[worst]:.3g} mm between {between}, {distance:.3g} mm elsewhere;"
            f" {mean:.4g} mm was taken for all."
        )
    return mean
