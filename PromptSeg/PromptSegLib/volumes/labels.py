"""A label map: which voxel belongs to which structure, also where structures overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..anatomy.structure import Structure
from ..atomic import PathLike
from ..errors import GridError, InputError, PromptSegError, short
from ..spelling import spelled
from .dicom_labels import read_label_object
from .geometry import differences
from .images import read_image
from .preprocess import nearest_axes
from .reorient import turn_onto
from .segnrrd import Segment, is_fractional, is_segmentation, segments_in
from .volume import DicomSource, Grid

_NEARLY = 0.01
_RESAMPLE = (
    "resample it to the image's grid, for instance with Resample Image (BRAINS), nearest neighbour, in 3D Slicer"
)


@dataclass(frozen=True)
class LabelMap:
    """``array`` (K, J, I) uint8 or uint16 on ``grid``; ``names`` has the structures that the file names, by value.

    Where segments overlap, ``array`` shows the last of them; :meth:`mask` has each of them whole.
    """

    array: np.ndarray
    grid: Grid
    names: Mapping[int, Structure] = field(default_factory=dict)
    name: str = "labels"
    layers: tuple[np.ndarray, ...] = ()
    places: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # value: (layer, value in that layer)
    notes: tuple[str, ...] = ()
    """What reading it had to decide, as :attr:`Volume.notes <PromptSegLib.volumes.volume.Volume.notes>`."""
    refused: Mapping[int, tuple[str, PromptSegError]] = field(default_factory=dict)
    """The names of structures that the file holds and that cannot be used, by value, and why: told to who asks."""
    turned: bool = False
    """Whether the file's axes run otherwise than the image's, to which they were brought: its slices have other
    numbers in it."""

    @cached_property
    def values(self) -> tuple[int, ...]:
        """The label values that are in the map, named or painted, in ascending order."""
        return tuple(sorted(set(painted(self.array)) | set(self.names)))

    @property
    def overlapping(self) -> bool:
        """Whether segments of the file may share voxels, so that ``array`` does not show each whole."""
        return bool(self.places)

    def value_of(self, which: int | str) -> int:
        """The value of a label given by value or by name, whose case only counts where several segments share it;
        raises :class:`InputError` if there is none, or several.
        """
        if isinstance(which, str):
            wanted = spelled(which)
            names = {value: name for value, (name, _) in self.refused.items()}
            names |= {value: one.name for value, one in self.names.items()}
            found = [value for value, name in names.items() if spelled(name) == wanted]
            if len(found) > 1:
                exactly = [value for value in found if names[value].strip() == which.strip()]
                found = exactly if len(exactly) == 1 else found
        else:
            found = [which] if which in self.names or which in self.values or which in self.refused else []
        if not found:
            asked = f"'{which}'" if isinstance(which, str) else which
            there = ", ".join(f"{v} ('{self.names[v].name}')" if v in self.names else str(v) for v in self.values)
            raise InputError(
                f"{self.name} has no label {asked}", f"choose one of {there}" if there else "it has no labels at all"
            )
        if len(found) > 1:
            listed = ", ".join(map(str, found))
            raise InputError(
                f"{len(found)} segments of {self.name} are called '{which}' (labels {listed})",
                f"name the one that is meant by its value, for example {found[0]}",
            )
        if found[0] in self.refused:
            raise self.refused[found[0]][1]
        return found[0]

    def plane(self, value: int, index: int, axis: int = 0) -> np.ndarray:
        """Bool slice ``index`` along ``axis`` of the array (K, J, I) of one label, whole also where others overlap it;
        empty for a value that is not there."""
        layer, inside = self.places.get(value, (None, value))
        array = self.array if layer is None else self.layers[layer]
        return array.take(index, axis) == inside

    def mask(self, which: int | str) -> np.ndarray:
        """Bool (K, J, I) of one label, by value or name, whole also where others overlap it."""
        value = self.value_of(which)
        if value in self.places:
            layer, inside = self.places[value]
            return self.layers[layer] == inside
        return self.array == value


def painted(array: np.ndarray) -> list[int]:
    """The values but 0 in an array (K, J, I) of uint8 or uint16, in ascending order; without sorting its voxels."""
    found = np.zeros(np.iinfo(array.dtype).max + 1, bool)
    for plane in array:
        found[plane] = True
    return [int(v) for v in np.flatnonzero(found) if v]


def read_labels(
    path: PathLike, like: Grid | None = None, orientation: str | None = None, source: DicomSource | None = None
) -> LabelMap:
    """Read a label map, a 3D Slicer segmentation (``.seg.nrrd``), a DICOM Segmentation or an RT Structure Set.

    With ``like``, the result lies on that grid: the same voxels with their axes in another order or direction are
    turned, a segmentation that Slicer cropped is put where it belongs, anything else that does not match within 0.01 mm
    is a :class:`GridError` that says how it differs. ``orientation`` is that of
    :func:`~PromptSegLib.volumes.io.read_volume`. With ``source``, the image's series, DICOM labels of another frame of
    reference are refused. Values within 0.01 of a whole number are that: other tools write 0.99997. Raises
    :class:`InputError` for values that are not whole numbers from 0 to 65535.
    """
    file = Path(path).expanduser()
    from_dicom = read_label_object(file, like, source)
    if from_dicom is not None:
        made = _label_map(from_dicom.layers, from_dicom.grid, from_dicom.segments, file.name)
        return replace(made, notes=from_dicom.notes, refused=from_dicom.refused)
    image = read_image(file, components=True, orientation=orientation)
    if image.array.ndim == 4 and not is_segmentation(image.fields):
        raise InputError(
            f"{file.name} has {image.array.shape[3]} values per voxel", "choose a label map with one number per voxel"
        )
    if is_fractional(image.fields):
        raise InputError(
            f"{file.name} holds shares of voxels instead of labels", "save it as a binary label map in 3D Slicer"
        )
    stack = image.array[..., np.newaxis] if image.array.ndim == 3 else image.array
    layers = [_integers(stack[..., c], file.name) for c in range(stack.shape[3])]
    segments = segments_in(image.fields, len(layers)) if is_segmentation(image.fields) else []
    _check_segments(segments, file.name)
    grid = image.grid
    turn = turn_onto(grid, like) if like is not None and image.oriented else None
    if like is not None and turn is not None:
        layers = [np.ascontiguousarray(turn.apply(layer)) for layer in layers]
        grid = turn.grid
    if like is not None:
        if grid.matches(like) or (not image.oriented and _same_but_for_the_place(grid, like)):
            grid = like
        elif segments or is_segmentation(image.fields):
            layers = _placed(layers, grid, image.grid, like, file.name)
            grid = like
        else:
            raise GridError(
                f"{file.name} is on another grid than the image: {differences(image.grid, like)}", _RESAMPLE
            )
    made = _label_map(layers, grid, segments, file.name)
    return replace(made, notes=image.notes, turned=turn is not None)


def _same_but_for_the_place(grid: Grid, like: Grid) -> bool:
    """Whether a grid that a file told nothing of, and a user the orientation, may be another."""
    size = grid.spacing == (1.0, 1.0, 1.0) or np.allclose(grid.spacing, like.spacing, rtol=1e-3, atol=0)
    return grid.size == like.size and size and nearest_axes(grid) == nearest_axes(like)


def _check_segments(segments: list[Segment], name: str) -> None:
    for one in segments:
        if not 1 <= one.value <= np.iinfo(np.uint16).max:
            raise InputError(
                f"{name} gives the segment '{one.structure.name}' the label {one.value}, which no label map can hold",
                "number the labels from 1 to 65535",
            )


def _label_map(layers: list[np.ndarray], grid: Grid, segments: list[Segment], name: str) -> LabelMap:
    names: dict[int, Structure] = {}
    places: dict[int, tuple[int, int]] = {}
    for one in segments:
        if not 0 <= one.layer < len(layers):
            raise InputError(
                f"{name} is damaged: the segment {short(one.structure.name)} is in no layer",
                "save it again in 3D Slicer",
            )
    # Values may recur, from layer to layer or as two segments of the same voxels; then number the segments anew.
    unique = len({one.value for one in segments}) == len(segments)
    if len(layers) == 1 and unique:
        return LabelMap(layers[0], grid, {one.value: one.structure for one in segments}, name)
    highest = max((one.value if unique else n for n, one in enumerate(segments, 1)), default=0)
    flat = np.zeros(grid.shape, np.uint8 if highest <= 255 else np.uint16)
    for number, one in enumerate(segments, 1):
        value = one.value if unique else number
        names[value], places[value] = one.structure, (one.layer, one.value)
        for k, plane in enumerate(layers[one.layer]):
            flat[k][plane == one.value] = value
    return LabelMap(flat, grid, names, name, tuple(layers), places)


def _placed(layers: list[np.ndarray], grid: Grid, told: Grid, like: Grid, name: str) -> list[np.ndarray]:
    """The layers on ``grid`` of a segmentation that covers only a part of ``like``, or sticks out of it, on ``like``;
    ``told`` is the file's own grid."""
    if grid.size == (1, 1, 1) and not any(layer.any() for layer in layers):
        return [np.zeros(like.shape, layer.dtype) for layer in layers]  # Slicer's way to write an empty segmentation
    change = np.linalg.inv(like.ijk_to_ras) @ grid.ijk_to_ras
    corners = np.array([[0.0, 0, 0, 1], [*grid.size, 1]]).T
    shift = (change @ corners - corners)[:3]
    offset = np.round(shift[:, :1])
    if np.abs(change[:3, :3] - np.eye(3)).max() > 1e-2 or np.abs(shift - offset).max() > 0.05:
        raise GridError(f"{name} is on another grid than the image: {differences(told, like)}", _RESAMPLE)
    low = offset[::-1, 0].astype(int)  # (K, J, I)
    shape, target = np.array(grid.shape), np.array(like.shape)
    start, stop = np.clip(-low, 0, shape), np.clip(target - low, 0, shape)
    inside = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    there = tuple(slice(int(a), int(b)) for a, b in zip(start + low, stop + low, strict=True))
    placed = []
    for layer in layers:
        if np.count_nonzero(layer[inside]) < np.count_nonzero(layer):
            raise GridError(f"{name} has labelled voxels outside the image", "choose the image that it was drawn on")
        full = np.zeros(like.shape, layer.dtype)
        full[there] = layer[inside]
        placed.append(full)
    return placed


def _integers(array: np.ndarray, name: str) -> np.ndarray:
    """The labels as uint8, or uint16 where values need it; checked slice by slice."""
    highest = 0
    for plane in array:
        low, high = float(plane.min()), float(plane.max())
        if not (np.isfinite(low) and np.isfinite(high)) or (
            plane.dtype.kind == "f" and np.abs(plane - np.round(plane)).max() > _NEARLY
        ):
            raise InputError(
                f"{name} is no label map: its values are not whole numbers", "choose a label map, not an image"
            )
        if low < -_NEARLY:
            raise InputError(
                f"{name} is no label map: it has the negative value {low:g}", "choose a label map, not an image"
            )
        if high > np.iinfo(np.uint16).max:
            raise InputError(f"{name} has the label {high:g}", "number the labels from 1 to 65535")
        highest = max(highest, round(high))
    kind = np.uint8 if highest <= 255 else np.uint16
    if array.dtype.kind != "f":
        return np.ascontiguousarray(array).astype(kind, copy=False)
    out = np.empty(array.shape, kind)
    for to, plane in zip(out, array, strict=True):
        to[:] = np.round(plane)
    return out
