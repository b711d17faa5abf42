"""A folder that holds a DICOM series, as a volume.

GDCM finds the files of a series and applies the rescale slope. What it does not do is refuse: a missing
slice, two time points in one series or a tilted gantry give a volume that looks right and measures wrong. Those are
found here, from each file's own position, before a voxel is read.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that everybody uses

from ..errors import InputError
from .images import Image, check_readable, grid_of, quiet
from .intact import check_pixels_whole

# What a study's folder may hold beside its images.
_NOT_IMAGES = {
    "RTSTRUCT",
    "RTDOSE",
    "RTPLAN",
    "RTRECORD",
    "SEG",
    "SR",
    "PR",
    "KO",
    "REG",
    "DOC",
    "ECG",
    "FID",
    "RWV",
    "AU",
}
# Storage classes with one slice a file: CT, MR, PET.
_SLICES = {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128"}
_EVEN = 0.02  # unevenness of the slice distance, as a share of it, that nobody need hear of
_TOLERATED = 0.10  # ... that is worth a warning; more is an error
_TILT_DEGREES = 0.5
_DRIFT_MM = 0.5
_ADVICE = "export the whole series again"
_STRAIGHTEN = "load it in 3D Slicer, which can straighten it while loading, and save it as NRRD"


@dataclass(frozen=True)
class _Slice:
    file: Path
    position: np.ndarray  # (3,) LPS mm of the first voxel
    axes: np.ndarray  # (6,) cosines of a row and of a column
    size: tuple[int, int]
    rescale: tuple[str, str]


def read_series(folder: Path, series: str = "") -> Image:
    """Read the one image series in ``folder``, or the one with the UID ``series``.

    Raises :class:`InputError` if there is none, if there are several (listed), or if its slices do not make a volume.
    """
    check_readable(folder)
    with quiet():
        slices = _stacked([_slice(Path(name)) for name in _choose(folder, series)])
        _check_geometry(folder, slices)
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames([os.fspath(one.file) for one in slices])
        if len({one.rescale for one in slices}) > 1:
            reader.SetOutputPixelType(sitk.sitkFloat32)  # the first slice's type need not hold the others' values
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise InputError(f"The DICOM series in {folder} is damaged or packed in an unknown way", _ADVICE) from error
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise InputError(f"The DICOM series in {folder} is a colour image", "choose a CT series")
    return Image(sitk.GetArrayFromImage(image), grid_of(image, folder.name), {"SeriesInstanceUID": series})


def _choose(folder: Path, series: str) -> list[str]:
    """The files of the series to read."""
    found: dict[str, tuple[str, list[str]]] = {}
    known: set[str] = set()
    for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(os.fspath(folder)):
        files = list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(os.fspath(folder), uid))
        known.update(Path(file).name for file in files)
        tags = _tags(Path(files[0]))
        if tags.get("0008|0060", "") not in _NOT_IMAGES:
            found[uid] = (tags.get("0008|103e", "") or "no description", files)
    _check_nothing_dropped(folder, known)
    listed = ", ".join(f"{uid} ({text}, {len(files)} files)" for uid, (text, files) in sorted(found.items()))
    if series:
        if series not in found:
            raise InputError(f"{folder} holds no DICOM series {series}", f"choose one of {listed or 'another folder'}")
        return found[series][1]
    if not found:
        raise InputError(
            f"The folder {folder} holds no DICOM images", "choose the folder that holds the series' files themselves"
        )
    if len(found) > 1:
        raise InputError(
            f"The folder {folder} holds {len(found)} DICOM series: {listed}",
            f"choose one as {folder}#UID, with its number as UID",
        )
    return next(iter(found.values()))[1]


def _check_nothing_dropped(folder: Path, known: set[str]) -> None:
    """GDCM leaves out a damaged slice without a word, and the volume would end early."""
    for path in sorted(folder.iterdir()):
        if path.name in known or not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                start = file.read(1024)
        except OSError as error:
            raise InputError(
                f"{path} may not be read", "ask for permission or copy the series to a folder of yours"
            ) from error
        kind = re.search(rb"\x02\x00\x02\x00UI..([0-9.]+)", start, re.DOTALL)
        if start[128:132] == b"DICM" and kind and kind[1].decode() in _SLICES:
            raise InputError(
                f"{path} is damaged or was not copied completely", "export the series again or remove the file"
            )


def _reader(file: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(os.fspath(file))
    reader.ReadImageInformation()
    return reader


def _tags(file: Path) -> dict[str, str]:
    """The file's tags; empty for an object without an image, which ITK refuses."""
    try:
        reader = _reader(file)
    except RuntimeError:
        return {"0008|0060": "DOC"}
    keys = ("0008|0060", "0008|103e")
    return {key: reader.GetMetaData(key).strip() for key in keys if reader.HasMetaDataKey(key)}


def _slice(file: Path) -> _Slice:
    try:
        reader = _reader(file)
        position = np.array([float(v) for v in reader.GetMetaData("0020|0032").split("\\")])
        axes = np.array([float(v) for v in reader.GetMetaData("0020|0037").split("\\")])
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{file.name} does not say where its slice lies, or is damaged", _ADVICE) from error
    if position.shape != (3,) or axes.shape != (6,):
        raise InputError(f"{file.name} does not say where its slice lies", _ADVICE)
    size = reader.GetSize()
    bits = reader.GetMetaData("0028|0100") if reader.HasMetaDataKey("0028|0100") else "0"
    check_pixels_whole(file, math.prod(size) * reader.GetNumberOfComponents() * (int(bits) // 8))
    keys = ("0028|1053", "0028|1052")  # rescale slope and intercept
    rescale = [reader.GetMetaData(key).strip() if reader.HasMetaDataKey(key) else "" for key in keys]
    return _Slice(file, position, axes, (size[0], size[1]), (rescale[0], rescale[1]))


def _stacked(slices: list[_Slice]) -> list[_Slice]:
    """The slices along their normal; GDCM falls back on file names where two slices lie at one place."""
    normal = np.cross(slices[0].axes[:3], slices[0].axes[3:])
    return sorted(slices, key=lambda one: float(one.position @ normal))


def _check_geometry(folder: Path, slices: list[_Slice]) -> None:
    """Raise unless the slices are equal, parallel, stacked along their normal and evenly spaced."""
    where = f"The DICOM series in {folder}"
    if len(slices) < 2:
        raise InputError(f"{where} has only one slice", "choose a series that makes a volume")
    first = slices[0]
    if any(one.size != first.size or np.abs(one.axes - first.axes).max() > 1e-3 for one in slices):
        raise InputError(f"{where} mixes slices of several sizes or directions", "choose a series with parallel slices")
    normal = np.cross(first.axes[:3], first.axes[3:])
    steps = np.diff([one.position for one in slices], axis=0)
    along = steps @ normal
    if np.abs(along).min() < 1e-3:
        raise InputError(
            f"{where} has several slices at one place, as a sequence over time has", "export one time point alone"
        )
    distance = float(np.median(along))
    unevenness = float(np.abs(along - distance).max()) / abs(distance)
    if unevenness > _TOLERATED:
        gaps = int(np.sum(np.round(along / distance) > 1))
        if gaps and np.abs(along / distance - np.round(along / distance)).max() < _TOLERATED:
            missing = int(np.sum(np.round(along / distance) - 1))
            raise InputError(f"{where} lacks {missing} of its slices, in {gaps} places", _ADVICE)
        low, high = np.abs(along).min(), np.abs(along).max()
        raise InputError(
            f"{where} is not evenly spaced: its slices are {low:.3g} to {high:.3g} mm apart",
            "load it in 3D Slicer, which can make it even while loading, and save it as NRRD",
        )
    whole = slices[-1].position - first.position
    sideways = float(np.linalg.norm(whole - (whole @ normal) * normal))
    tilt = float(np.degrees(np.arctan2(sideways, abs(whole @ normal))))
    if tilt > _TILT_DEGREES and sideways > _DRIFT_MM:
        raise InputError(f"{where} was scanned with a gantry tilted by {tilt:.1f} degrees", _STRAIGHTEN)
    if unevenness > _EVEN:
        warnings.warn(f"{where} is slightly uneven: slice distances differ by {unevenness:.0%}.", stacklevel=4)
