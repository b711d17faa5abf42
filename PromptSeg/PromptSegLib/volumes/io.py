"""Reading volumes: NIfTI, NRRD, MHA and DICOM series in, with one sentence for whatever cannot be used.

This is the door to files: label maps are read and written in :mod:`.labels` and :mod:`.write`, and offered here as
well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..atomic import PathLike, check_writable
from ..errors import InputError
from .dicom import is_multiframe, read_series, read_slices
from .geometry import parse_orientation
from .images import ENDINGS, Image, check_readable, read_image
from .labels import LabelMap, read_labels
from .room import check_room
from .volume import Volume
from .write import LABEL_ENDINGS, MAP_ENDINGS, write_labels, write_map, write_segments

__all__ = [
    "LABEL_ENDINGS",
    "MAP_ENDINGS",
    "LabelMap",
    "check_writable",
    "read_dicom",
    "read_labels",
    "read_volume",
    "write_labels",
    "write_map",
    "write_segments",
]


def read_volume(path: PathLike, orientation: str | None = None) -> Volume:
    """Read a CT: a NIfTI, NRRD or MHA file, an Enhanced CT file, or a folder with one DICOM series
    (``folder#SeriesInstanceUID`` picks one of several).

    Voxels are (K, J, I) in HU, int16 where the file holds whole numbers that fit, else float32; the grid is the file's,
    bit for bit as SimpleITK reports it, unless the file contradicts itself: :attr:`Volume.notes` says what was taken.
    ``orientation``, the directions in which the voxel indices I, J and K grow (such as "LPS"), counts for a file that
    does not say them. Raises :class:`InputError` for anything that is not a finite, non-constant 3-D image, and for a
    file without orientation when none is given.
    """
    file, series = _split(path)
    if orientation is not None:
        parse_orientation(orientation)
    if file.is_dir() or is_multiframe(file):
        image = read_series(file, series)
    else:
        image = read_image(file, orientation=orientation)
    return _volume(image, _name(file))


def read_dicom(files: Sequence[Path], name: str) -> Volume:
    """Read a CT from the files of one DICOM series, wherever they lie; ``name`` is what the volume is called. Raises
    :class:`InputError` as :func:`read_volume`."""
    return _volume(read_slices(files, f"The DICOM series of {name}"), name)


def _volume(image: Image, name: str) -> Volume:
    volume = Volume(_compact(name, image.array), image.grid, name, image.modality, image.notes, image.source)
    _ = volume.range_hu  # raises for a constant image and for values that are no numbers
    return volume


def _split(path: PathLike) -> tuple[Path, str]:
    """A path and the series UID after ``#``, if any. A ``#`` in a real name is left alone."""
    named = Path(path).expanduser()
    folder, mark, series = str(named).rpartition("#")
    try:
        if mark and not named.exists() and Path(folder).is_dir():
            return Path(folder), series
        named.is_dir()
    except PermissionError:
        check_readable(named)
    return named, ""


def _name(path: Path) -> str:
    name = path.resolve().name.encode("utf-8", "replace").decode("utf-8")
    for ending in ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)] or name
    return name


def _compact(name: str, array: np.ndarray) -> np.ndarray:
    """int16 for whole-number types whose values fit, else float32; a view where nothing changes."""
    if np.issubdtype(array.dtype, np.complexfloating):
        raise InputError("The volume holds complex numbers", "choose a CT volume")
    if np.issubdtype(array.dtype, np.integer):
        limits = np.iinfo(np.int16)
        if np.can_cast(array.dtype, np.int16) or (array.min() >= limits.min and array.max() <= limits.max):
            if array.dtype != np.int16:
                check_room(name, array.size * 2)
            return array.astype(np.int16, copy=False)
    if array.dtype != np.float32:
        check_room(name, array.size * 4)
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which is refused afterwards
        return array.astype(np.float32, copy=False)
