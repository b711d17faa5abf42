"""Results written: label maps, overlapping segments and probabilities, on the input's grid; complete or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..anatomy.structure import Structure
from ..atomic import PathLike, known_ending, replacing
from ..errors import GridError
from .encode import write_mha, write_nifti, write_nrrd
from .labels import painted
from .segnrrd import Segment, fields_of
from .volume import Grid

LABEL_ENDINGS = (".nii.gz", ".nrrd", ".seg.nrrd", ".mha", ".nii")
MAP_ENDINGS = (".nii.gz", ".nrrd", ".mha", ".nii")
_SEGMENT_ENDINGS = (".seg.nrrd",)
_MORE_COLOURS = ((0.56, 0.93, 0.56), (0.86, 0.96, 0.08), (0.31, 0.25, 0.0), (0.39, 0.58, 0.93), (0.85, 0.44, 0.84))


def write_labels(path: PathLike, labels: np.ndarray, grid: Grid, structures: Mapping[int, Structure]) -> None:
    """Write a label map (K, J, I), compressed, in the format of the name's ending (:data:`LABEL_ENDINGS`).

    NRRD files carry names, colours and terminology of ``structures`` (by value); ``.seg.nrrd`` opens in 3D Slicer as a
    segmentation, with a segment for each structure, painted or not, and for each value without a structure. Raises
    :class:`OutputError` if the file cannot be written and :class:`GridError` if the array is not on ``grid``.
    """
    ending = known_ending(path, LABEL_ENDINGS)
    array = _small(labels, grid)
    with replacing(path) as file:
        if ending.endswith("nrrd"):
            present = sorted(set(painted(array)) | set(structures))
            segments = [Segment(structures.get(v) or _unnamed(v), v) for v in present]
            write_nrrd(file, [array], grid, fields_of(segments, grid.size))
        elif ending == ".mha":
            write_mha(file, array, grid)
        else:
            write_nifti(file, array, grid, packed=ending == ".nii.gz")


def write_segments(path: PathLike, masks: Mapping[Structure, np.ndarray], grid: Grid) -> None:
    """Write a ``.seg.nrrd`` from one mask (K, J, I) per structure; masks may overlap, and are kept whole in as few
    layers as a first fit finds. Values count from 1 in the order of ``masks``.

    Raises :class:`OutputError` if the file cannot be written or is named otherwise, :class:`GridError` for a mask off
    ``grid``.
    """
    known_ending(path, _SEGMENT_ENDINGS)
    kind = np.uint8 if len(masks) <= 255 else np.uint16
    layers: list[np.ndarray] = []
    segments = []
    for value, (structure, mask) in enumerate(masks.items(), 1):
        _check_shape(mask, grid)
        inside = np.asarray(mask, dtype=bool)
        number = next((n for n, layer in enumerate(layers) if not np.any(layer[inside])), len(layers))
        if number == len(layers):
            layers.append(np.zeros(grid.shape, kind))
        layers[number][inside] = value
        segments.append(Segment(structure, value, number))
    with replacing(path) as file:
        write_nrrd(file, layers or [np.zeros(grid.shape, kind)], grid, fields_of(segments, grid.size))


def write_map(path: PathLike, array: np.ndarray, grid: Grid) -> None:
    """Write a map of real numbers (K, J, I), such as a probability, as float32 (:data:`MAP_ENDINGS`). Errors as
    above.
    """
    ending = known_ending(path, MAP_ENDINGS)
    _check_shape(array, grid)
    values = np.asarray(array, dtype=np.float32)
    with replacing(path) as file:
        if ending == ".nrrd":
            write_nrrd(file, [values], grid, {})
        elif ending == ".mha":
            write_mha(file, values, grid)
        else:
            write_nifti(file, values, grid, packed=ending == ".nii.gz")


def _small(labels: np.ndarray, grid: Grid) -> np.ndarray:
    """Labels as uint8, or uint16 where values need it."""
    _check_shape(labels, grid)
    if labels.dtype.kind not in "biu":
        raise TypeError(f"labels are whole numbers, not {labels.dtype}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ValueError(f"labels are 0 to 65535, not {low} to {high}")
    return labels.astype(np.uint8 if high <= 255 else np.uint16, copy=False)


def _check_shape(array: np.ndarray, grid: Grid) -> None:
    if array.shape != grid.shape:
        raise GridError(f"The result has {array.shape} voxels on a grid of {grid.shape}")


def _unnamed(value: int) -> Structure:
    return Structure(f"label {value}", colour=_MORE_COLOURS[value % len(_MORE_COLOURS)])
