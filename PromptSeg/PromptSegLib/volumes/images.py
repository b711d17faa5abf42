"""Any image file that PromptSeg reads, as an array on a grid, or one sentence why not."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that everybody uses

from ..errors import InputError, system_problem
from .geometry import grid_at, parse_orientation
from .metaimage import is_metaimage, read_metaimage
from .nifti import is_nifti, read_nifti
from .nrrd import is_nrrd, read_nrrd
from .stream import damaged
from .volume import DicomSource, Grid

ENDINGS = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr.gz", ".hdr", ".img.gz", ".img")
_FORMATS = "choose a NIfTI, NRRD or MHA file, or the folder of a DICOM series"
_FLAT = {"PNGImageIO": "PNG", "JPEGImageIO": "JPEG", "BMPImageIO": "BMP", "TIFFImageIO": "TIFF"}


@dataclass(frozen=True)
class Image:
    """``array`` (K, J, I), or (K, J, I, C) with C values a voxel, of the file's own type, on ``grid``; ``fields`` are
    the file's key and value pairs, ``notes`` sentences on what had to be decided.
    """

    array: np.ndarray
    grid: Grid
    fields: Mapping[str, str]
    modality: str = "CT"
    notes: tuple[str, ...] = ()
    oriented: bool = True
    """Whether the file says which way its axes run."""
    source: DicomSource | None = None


def read_image(path: Path, *, components: bool = False, orientation: str | None = None) -> Image:
    """Read one 3-D image file (not DICOM). With ``components``, several values a voxel are allowed.

    ``orientation``, three letters such as "LPS", counts where the file does not say which way its axes run. Raises
    :class:`InputError` if the file is missing, damaged, of an unknown format, not a 3-D image, sheared, or does not
    say where its voxels lie.
    """
    if orientation is not None:
        parse_orientation(orientation)  # refused also where it will not be needed
    check_readable(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file", "choose a NIfTI, NRRD or MHA file in it")
    name = path.name
    fields: dict[str, str] = {}
    try:
        if is_nrrd(path):
            array, more, place, fields = read_nrrd(path)
        elif is_nifti(path):
            array, more, place = read_nifti(path)
        elif is_metaimage(path):
            array, more, place, fields = read_metaimage(path)
        else:
            raise _unknown(path)
    except MemoryError as error:
        raise InputError(
            f"{name} does not fit into this computer's memory", "crop it or close other programs"
        ) from error
    except OSError as error:
        raise system_problem(error) or _unreadable(path, error) from error
    size = array.shape[2::-1]
    if more:
        frames = " x ".join(str(n) for n in (*size, *more))
        raise InputError(
            f"{name} is a sequence with {3 + len(more)} dimensions ({frames})",
            "save one of its time points as a 3-D volume",
        )
    if array.ndim > 3 and not components:
        raise InputError(
            f"{name} has {array.shape[3]} values per voxel, such as a colour image or a vector field",
            "choose a CT volume",
        )
    if min(size) == 1 and not components:
        raise InputError(f"{name} is a single 2-D image, not a volume", "choose a 3-D volume")
    grid, notes = grid_at(size, place, name, orientation)
    modality = fields.get("Modality", "").removeprefix("MET_MOD_") or "CT"
    return Image(array, grid, fields, "CT" if modality == "UNKNOWN" else modality, tuple(notes), place.axes is not None)


def check_readable(path: Path) -> None:
    """Raise :class:`InputError` if there is no such file or folder, it is empty, a pipe, or may not be read."""
    try:
        if path.is_dir():
            if next(path.iterdir(), None) is None:
                raise InputError(f"The folder {path} is empty", "choose the folder that holds the DICOM files")
            return
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise InputError(f"{path} is no ordinary file", "write the image to a file first")
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        raise system_problem(error) or _unreadable(path, error) from error
    except ValueError as error:  # a zero byte in the name
        raise InputError(f"There is no file {path}", "check the name and the folder") from error
    if not first:
        raise InputError(f"{path.name} is an empty file", "copy or export it again")


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"There is no file {path}", "check the name and the folder")
    if isinstance(error, PermissionError):
        return InputError(f"{path} may not be read", "ask for permission or copy it to a folder of yours")
    return InputError(f"{path} could not be read ({error.strerror or error})", "copy it to a local folder")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep ITK's warnings off the screen: what matters of them is checked and said in our own words."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def in_utf8(path: Path) -> bool:
    """Whether a name can be given to ITK: what is not UTF-8 would end the process."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _unknown(path: Path) -> InputError:
    """What a file is that is none of ours."""
    name = path.name
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:] == b"DICM":
        return InputError(f"{name} is a single DICOM file", "choose the folder that holds all files of its series")
    kind = ""
    if in_utf8(path):
        with quiet(), contextlib.suppress(RuntimeError):
            kind = sitk.ImageFileReader.GetImageIOFromFileName(os.fspath(path))
    if kind in _FLAT:
        return InputError(f"{name} is a 2-D image ({_FLAT[kind]}), not a volume", "choose a 3-D volume")
    if kind == "GDCMImageIO":
        return InputError(f"{name} is a single DICOM file", "choose the folder that holds all files of its series")
    lowered = name.lower()
    if kind in ("NiftiImageIO", "MetaImageIO", "NrrdImageIO") and lowered.endswith(ENDINGS) and _binary(start):
        return damaged(name)
    if kind and kind not in ("NiftiImageIO", "MetaImageIO", "NrrdImageIO"):
        return InputError(
            f"{name} is in a format that PromptSeg does not support ({kind.removesuffix('ImageIO')})",
            "save it as NRRD, for instance in 3D Slicer",
        )
    return InputError(f"{name} is not an image that PromptSeg can read", _FORMATS)


def _binary(start: bytes) -> bool:
    return any(byte < 9 for byte in start)
