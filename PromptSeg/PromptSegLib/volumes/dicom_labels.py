"""DICOM objects that hold labels, as the layers of a label map: which kind a file is, whether it belongs to the image,
and which structures exclude each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..anatomy.structure import Structure
from ..atomic import PathLike
from ..errors import InputError, PromptSegError, few, quoted, system_problem
from .dicom_contours import StructureSetFile
from .dicom_file import FRAME_OF_REFERENCE, MODALITY, SERIES, SOP_CLASS, DicomFile, Incomplete, is_dicom, read_elements
from .dicom_seg import Patch, SegmentationFile
from .room import check_room
from .segnrrd import Segment
from .volume import DicomSource, Grid

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SEGMENTATIONS = (f"{_STORAGE}66.4", f"{_STORAGE}66.7")
_STRUCTURE_SET = f"{_STORAGE}481.3"
_LABELS = (*_SEGMENTATIONS, _STRUCTURE_SET)
_REFERENCED_SERIES = 0x00081115


@dataclass(frozen=True)
class ObjectLabels:
    """``layers`` (K, J, I) of segments that exclude each other, on ``grid``; ``notes`` are for the user. ``refused``
    has the names of structures that cannot be used by number, and why."""

    layers: list[np.ndarray]
    grid: Grid
    segments: list[Segment]
    notes: tuple[str, ...] = ()
    refused: Mapping[int, tuple[str, PromptSegError]] = field(default_factory=dict)


def is_label_object(path: PathLike) -> bool:
    """Whether this is a DICOM file that holds labels, or a folder with such a file."""
    return _kind(_file_of(Path(path).expanduser())) in _LABELS


def holds_contours(path: PathLike) -> bool:
    """As :func:`is_label_object`, of contours, which need the grid of an image."""
    return _kind(_file_of(Path(path).expanduser())) == _STRUCTURE_SET


def _kind(file: Path) -> str:
    """The class of a DICOM object; empty for anything else."""
    try:
        return read_elements(file, SOP_CLASS).elements.text(SOP_CLASS) if file.is_file() and is_dicom(file) else ""
    except (Incomplete, OSError) as error:
        if (problem := system_problem(error)) is not None:
            raise problem from error
        return ""


def _file_of(path: Path) -> Path:
    """The one file with labels in a folder, as archives export it; raises :class:`InputError` if there are several."""
    try:
        if not path.is_dir():
            return path
        found = [one for one in sorted(path.iterdir()) if _kind(one) in _LABELS]
    except OSError as error:
        if (problem := system_problem(error)) is not None:
            raise problem from error
        return path
    if len(found) > 1:
        names = few([one.name for one in found])
        raise InputError(f"The folder {path} holds several DICOM objects with labels: {names}", "name one of the files")
    return found[0] if found else path


def read_label_object(path: Path, like: Grid | None, source: DicomSource | None) -> ObjectLabels | None:
    """The labels of a DICOM file, or of the only such file in a folder, on ``like`` if given, else on a grid of its
    own; None for anything that is not DICOM.

    ``source`` is the series of the image that they are wanted for: labels of another frame of reference are refused.
    Raises :class:`InputError` for a damaged file or another DICOM object, :class:`GridError` where the labels do not
    lie on ``like``.
    """
    path = _file_of(path)
    try:
        if not path.is_file() or not is_dicom(path):
            return None
        file = read_elements(path)
    except Incomplete as error:
        raise InputError(
            f"{path.name} is damaged or was not copied completely", "copy it again from where it came"
        ) from error
    except OSError as error:
        raise system_problem(error) or InputError(
            f"{path} may not be read", "ask for permission or copy it to a folder of yours"
        ) from error
    kind = file.elements.text(SOP_CLASS)
    if kind in _SEGMENTATIONS:
        return _segmentation(file, like, source)
    if kind == _STRUCTURE_SET:
        return _structure_set(file, like, source)
    what = file.elements.text(MODALITY) or "unknown"
    raise InputError(
        f"{path.name} is a DICOM object that holds no labels (its modality is {what})",
        "choose a DICOM Segmentation (SEG) or RT Structure Set (RTSTRUCT)",
    )


def _segmentation(file: DicomFile, like: Grid | None, source: DicomSource | None) -> ObjectLabels:
    opened = SegmentationFile(file)
    series = [item.text(SERIES) for item in file.elements.sequences.get(_REFERENCED_SERIES, [])]
    notes = belongs(opened.name, file.elements.text(FRAME_OF_REFERENCE), series, source)
    grid = like
    if grid is None:
        grid, more = opened.own_grid()
        notes += more
    layers, segments = layered(opened.structures, lambda number: opened.patches(number, grid), grid)
    return ObjectLabels(layers, grid, segments, tuple(notes))


def _structure_set(file: DicomFile, like: Grid | None, source: DicomSource | None) -> ObjectLabels:
    opened = StructureSetFile(file)
    if like is None:
        raise InputError(
            f"{opened.name} holds contours, which have no voxels of their own",
            "name the image that they were drawn on as well",
        )
    notes = list(opened.notes)
    found, refused = opened.patches(like, notes)
    for number, frame in opened.frames_of_reference.items():
        try:
            more = belongs(opened.name, frame, opened.series, source)
        except InputError as error:
            refused[number] = error
            continue
        notes += [one for one in more if one not in notes]
    structures = {number: one for number, one in opened.structures.items() if number not in refused}
    if not structures:
        raise next(iter(refused.values()))
    names = [opened.structures[number].name for number in refused]
    if names:
        first = next(iter(refused.values()))
        notes.append(f"{opened.name}: {quoted(names)} cannot be used ({first.problem}).")
    layers, segments = layered(structures, found.__getitem__, like)
    why = {number: (opened.structures[number].name, error) for number, error in refused.items()}
    return ObjectLabels(layers, like, segments, tuple(notes), why)


def belongs(name: str, frame_of_reference: str, series: Iterable[str], source: DicomSource | None) -> list[str]:
    """Raise :class:`InputError` where labels belong to another frame of reference than the image, whose numbers mean
    other places; gives what a user should hear where they were made of another series."""
    known = [uid for uid in series if uid]
    if source is None or (source.series and source.series in known):
        return []
    if frame_of_reference and source.frame_of_reference and frame_of_reference != source.frame_of_reference:
        raise InputError(
            f"{name} belongs to another frame of reference than the image: to another patient, or another examination",
            "choose the labels that were made of this series, or the series that they were made of",
        )
    if known and source.series:
        return [f"{name} was made of another series than the image; they share a frame of reference."]
    return []


def layered(
    structures: Mapping[int, Structure], patches: Callable[[int], Iterable[Patch]], grid: Grid
) -> tuple[list[np.ndarray], list[Segment]]:
    """Layers (K, J, I), in as few as a first fit finds, and the segments in them.

    ``patches`` gives the parts of a structure by number, 1 to 65535, and is asked twice of each.
    """
    kind = np.uint8 if max(structures) <= 255 else np.uint16
    check_room("The grid of the labels", math.prod(grid.shape) * np.dtype(kind).itemsize)
    layers = [np.zeros(grid.shape, kind)]
    segments = []
    for number, structure in sorted(structures.items()):
        taken = [False] * len(layers)
        for one in patches(number):
            for n, former in enumerate(layers):
                taken[n] = taken[n] or bool(_part(former, one)[one.inside].any())
        if all(taken):
            layers.append(np.zeros(grid.shape, kind))
            taken.append(False)
        layer = taken.index(False)
        for one in patches(number):
            _part(layers[layer], one)[one.inside] = number
        segments.append(Segment(structure, number, layer))
    return layers, segments


def _part(layer: np.ndarray, one: Patch) -> np.ndarray:
    row, column = one.corner
    rows, columns = one.inside.shape
    return np.moveaxis(layer, one.axis, 0)[one.index, row : row + rows, column : column + columns]
