"""Any image file that ITK reads, as an array on a grid, or one sentence why not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that everybody uses

from ..errors import InputError
from .intact import check_whole, sheared
from .volume import Grid

ENDINGS = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd")
_FORMATS = "choose a NIfTI, NRRD or MHA file, or the folder of a DICOM series"


@dataclass(frozen=True)
class Image:
    """``array`` (K, J, I), or (K, J, I, C) with C values a voxel, of the file's own type, on ``grid``; ``fields`` are
    the file's key and value pairs.
    """

    array: np.ndarray
    grid: Grid
    fields: Mapping[str, str]


def read_image(path: Path, *, components: bool = False) -> Image:
    """Read one 3-D image file (not DICOM). With ``components``, several values a voxel are allowed.

    Raises :class:`InputError` if the file is missing, damaged, of an unknown format or not a 3-D image.
    """
    check_readable(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file", "choose a NIfTI, NRRD or MHA file in it")
    check_whole(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    with quiet():
        try:
            kind = sitk.ImageFileReader.GetImageIOFromFileName(os.fspath(path))
            if kind == "GDCMImageIO":
                raise InputError(
                    f"{path.name} is a single DICOM file", "choose the folder that holds all files of its series"
                )
            reader.ReadImageInformation()
            _check_shape(path, reader, components)
            size = list(reader.GetSize())
            if len(size) > 3:
                reader.SetExtractSize(size[:3] + [0] * (len(size) - 3))
            image = reader.Execute()
        except RuntimeError as error:
            raise _input_error(path, str(error)) from error
    fields = {key: _text(image.GetMetaData(key)) for key in image.GetMetaDataKeys()}
    return Image(sitk.GetArrayFromImage(image), grid_of(image, path.name), fields)


def grid_of(image: sitk.Image, name: str) -> Grid:
    """The grid of a 3-D SimpleITK image, bit for bit; raises :class:`InputError` if it is none."""
    numbers = np.array((*image.GetOrigin(), *image.GetSpacing(), *image.GetDirection()))
    axes = np.reshape(image.GetDirection(), (3, 3))
    if not np.all(np.isfinite(numbers)) or min(image.GetSpacing()) <= 0 or abs(np.linalg.det(axes)) < 1e-6:
        raise InputError(
            f"{name} does not say where its voxels lie: its spacing or direction is not valid", "export it again"
        )
    i, j, k = image.GetSize()
    return Grid((i, j, k), image.GetOrigin(), image.GetSpacing(), image.GetDirection())


def check_readable(path: Path) -> None:
    """Raise :class:`InputError` if there is no such file or folder, it is empty, or it may not be read."""
    try:
        if path.is_dir():
            if next(path.iterdir(), None) is None:
                raise InputError(f"The folder {path} is empty", "choose the folder that holds the DICOM files")
            return
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}", "check the name and the folder") from error
    except PermissionError as error:
        raise InputError(f"{path} may not be read", "ask for permission or copy it to a folder of yours") from error
    except OSError as error:
        raise InputError(
            f"{path} could not be read ({error.strerror or error})", "copy it to a local folder"
        ) from error
    if not first:
        raise InputError(f"{path.name} is an empty file", "copy or export it again")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep ITK's warnings off the screen: what matters of them is checked and said in our own words."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _check_shape(path: Path, reader: sitk.ImageFileReader, components: bool) -> None:
    size, count = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) == 2 or (len(size) == 3 and size[2] == 1 and not components):
        raise InputError(f"{path.name} is a single 2-D image, not a volume", "choose a 3-D volume")
    if any(n > 1 for n in size[3:]):
        frames = " x ".join(str(n) for n in size)
        raise InputError(
            f"{path.name} is a sequence with {len(size)} dimensions ({frames})",
            "save one of its time points as a 3-D volume",
        )
    if count > 1 and not components:
        raise InputError(
            f"{path.name} has {count} values per voxel, such as a colour image or a vector field", "choose a CT volume"
        )


def _text(value: str) -> str:
    """SimpleITK hands bytes that are not UTF-8 back as surrogates; show them as question marks."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _input_error(path: Path, message: str) -> InputError:
    if "orthonormal" in message:
        return sheared(path)
    if "Unable to determine ImageIO" in message:
        return InputError(f"{path.name} is not an image that PromptSeg can read", _FORMATS)
    if "allocate" in message or "bad_alloc" in message:
        return InputError(f"{path.name} does not fit into this computer's memory", "crop it or close other programs")
    return InputError(f"{path.name} is damaged or was not copied completely", "copy or export it again")
