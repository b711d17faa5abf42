"""The segments of a DICOM Segmentation (PS3.3, A.51), put where they lie on a grid.

Frames hold one segment each (BINARY), or the numbers of segments that exclude each other (LABELMAP), and may be fewer,
smaller, turned and in another order than the image's slices. Fractional ones are read where they are binary in truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..anatomy.structure import Structure
from ..errors import GridError, InputError
from .dicom_bits import PackedFrames
from .dicom_file import (
    ALLOCATED,
    COLUMNS,
    FRAME_GROUPS,
    FRAMES,
    ORIENTATION,
    PIXEL_SPACING,
    POSITION,
    ROWS,
    SHARED_GROUPS,
    DicomFile,
    Elements,
    Incomplete,
    stored_pixels,
)
from .dicom_frames import SPACING_BETWEEN, THICKNESS, numbers_of, unit_axes
from .dicom_text import code, codec_of, colour_of_lab, name_of
from .geometry import Place, differences, grid_at
from .stream import damaged
from .volume import Grid

_TYPE, _SEGMENTS, _IDENTIFICATION, _REFERENCED = 0x00620001, 0x00620002, 0x0062000A, 0x0062000B
_NUMBER, _LABEL, _DESCRIPTION, _COLOUR, _HIGHEST = 0x00620004, 0x00620005, 0x00620006, 0x0062000D, 0x0062000E
_CATEGORY, _KIND, _MODIFIER = 0x00620003, 0x0062000F, 0x00620011
_GREY = (0.5, 0.5, 0.5)
_EXPORT = "export it again from the program that made it"
_MAX_SLICES = 20_000
IN_PLANE, ACROSS = 0.1, 0.25
"""Voxels that a frame may be off in its plane and across it, which rounding and slices at uneven distances leave."""


@dataclass(frozen=True)
class Patch:
    """A part of a structure: bool (rows, columns) of slice ``index`` of an array (K, J, I) along ``axis``, from
    ``corner`` (row, column) of that slice on."""

    axis: int
    index: int
    corner: tuple[int, int]
    inside: np.ndarray


@dataclass(frozen=True)
class _Frame:
    number: int
    segment: int  # 0: its pixels say
    position: np.ndarray  # (3,) LPS mm
    axes: np.ndarray  # (3, 2)
    spacing: tuple[float, float]  # along a row, along a column


class SegmentationFile:
    """An opened Segmentation: ``structures`` by segment number. Raises :class:`InputError` for a file that is damaged
    or holds shares instead of segments."""

    def __init__(self, file: DicomFile) -> None:
        self.name, self._file = file.path.name, file
        of = file.elements
        rows, columns = of.integer(ROWS), of.integer(COLUMNS)
        if not rows or not columns or file.pixels is None:
            raise damaged(self.name)
        self.size = (columns, rows)
        self.structures = _structures(of, self.name)
        self._pixels = self._opened()
        self._frames = [self._frame(n) for n in range(len(self._pixels))]

    def _opened(self) -> PackedFrames | np.ndarray:
        of = self._file.elements
        try:
            if of.integer(ALLOCATED) == 1:
                return PackedFrames(self._file)
            pixels = stored_pixels(self._file)
        except Incomplete as error:
            raise InputError(
                f"{self.name} is damaged, was not copied completely, or is compressed in a way that is not known",
                "export it again, uncompressed",
            ) from error
        if of.text(_TYPE) == "FRACTIONAL":
            highest = of.integer(_HIGHEST) or 255
            for plane in pixels:
                if not np.isin(plane, (0, highest)).all():
                    raise InputError(
                        f"{self.name} holds shares of voxels instead of segments", "save it as a binary segmentation"
                    )
            pixels = pixels > 0
        return pixels

    def _frame(self, n: int) -> _Frame:
        of = self._file.elements
        shared = (of.sequences.get(SHARED_GROUPS) or [Elements()])[0]
        own = of.sequences.get(FRAME_GROUPS) or []
        frames = of.integer(FRAMES, 1) or 1
        if len(own) != frames and (own or frames > 1):
            raise InputError(f"{self.name} does not say of each of its frames where it lies", _EXPORT)
        groups = (own[n], shared) if own else (shared,)
        position, directions = numbers_of(of, groups, POSITION), numbers_of(of, groups, ORIENTATION)
        spacing = numbers_of(of, groups, PIXEL_SPACING)
        axes = unit_axes(directions) if directions is not None and len(directions) == 6 else None
        if (
            position is None or len(position) != 3 or axes is None or spacing is None or len(spacing) != 2
            or not np.all(np.isfinite([*position, *spacing])) or min(spacing) <= 0
        ):  # fmt: skip
            raise InputError(f"{self.name} does not say of each of its frames where it lies", _EXPORT)
        segment = 0
        if of.text(_TYPE) != "LABELMAP":
            found = [item.integer(_REFERENCED) for group in groups for item in group.sequences.get(_IDENTIFICATION, [])]
            if not found or found[0] not in self.structures:
                raise InputError(f"{self.name} has frames of a segment that it does not describe", _EXPORT)
            segment = found[0] or 0
        return _Frame(n, segment, np.array(position), axes, (spacing[1], spacing[0]))

    def own_grid(self) -> tuple[Grid, list[str]]:
        """The smallest grid that has all frames, and what a user should hear of it; raises :class:`GridError` if they
        lie on none."""
        first = self._frames[0]
        normal = np.cross(first.axes[:, 0], first.axes[:, 1])
        normal = normal / np.linalg.norm(normal)
        if any(not self._alike(first, one) for one in self._frames):
            raise GridError(f"{self.name} has frames in several directions", _EXPORT)
        along = np.array([float(one.position @ normal) for one in self._frames])
        step = self._distance(np.unique(np.round(along, 3)))
        places = (along - along.min()) / step
        if places.max() > _MAX_SLICES or np.abs(places - np.round(places)).max() > ACROSS:
            raise GridError(
                f"{self.name} has frames at uneven distances",
                "name the image that it was made of, or save it as a label map in 3D Slicer",
            )
        origin = self._frames[int(along.argmin())].position
        place = Place(np.column_stack([first.axes, normal]), (*first.spacing, step), tuple(map(float, origin)))  # type: ignore[arg-type]
        return grid_at((*self.size, int(np.round(places.max())) + 1), place, self.name)

    def _distance(self, places: np.ndarray) -> float:
        """The distance of slices in mm, fitted to the places (sorted, distinct) of those that are there."""
        of = self._file.elements
        shared = (of.sequences.get(SHARED_GROUPS) or [Elements()])[0]
        stated = [numbers_of(of, (shared,), tag) for tag in (SPACING_BETWEEN, THICKNESS)]
        step = next((abs(one[0]) for one in stated if one and np.isfinite(one[0]) and one[0]), 0.0)
        if len(places) < 2:
            return step or 1.0
        smallest = float(np.diff(places).min())
        if not 0 < step <= smallest * (1 + ACROSS):
            step = smallest
        count = max(round(float(places[-1] - places[0]) / step), 1)
        return float(places[-1] - places[0]) / count

    @staticmethod
    def _alike(first: _Frame, other: _Frame) -> bool:
        return bool(
            np.abs(first.axes - other.axes).max() < 1e-3 and np.allclose(first.spacing, other.spacing, rtol=1e-3)
        )

    def patches(self, number: int, grid: Grid) -> Iterator[Patch]:
        """The parts of the segment ``number`` on ``grid``, frame by frame; raises :class:`GridError` for frames that do
        not lie on it."""
        inverse = np.linalg.inv(grid.ijk_to_ras)
        for one in self._frames:
            if one.segment not in (0, number):
                continue
            try:
                pixels = self._pixels[one.number]
            except Incomplete as error:
                raise damaged(self.name) from error
            inside = pixels.astype(bool, copy=False) if one.segment else pixels == number
            if inside.any():
                yield self._placed(one, inside, grid, inverse)

    def _placed(self, one: _Frame, inside: np.ndarray, grid: Grid, inverse: np.ndarray) -> Patch:
        rows, columns = inside.shape
        steps = (inverse[:3, :3] * (-1, -1, 1)) @ (one.axes * one.spacing)  # voxels of the grid per pixel
        start = inverse[:3, :3] @ (one.position * (-1, -1, 1)) + inverse[:3, 3]
        along, down = (int(np.abs(steps[:, n]).argmax()) for n in (0, 1))
        wanted = np.zeros((3, 2))
        wanted[along, 0], wanted[down, 1] = np.sign(steps[along, 0]), np.sign(steps[down, 1])
        ends = np.array([[0, 0], [columns - 1, 0], [0, rows - 1], [columns - 1, rows - 1]]).T
        across = 3 - along - down
        off = np.abs((steps - wanted) @ ends + (start - np.round(start))[:, np.newaxis]).max(axis=1)
        if along == down or off[across] > ACROSS or max(off[along], off[down]) > IN_PLANE:
            raise GridError(
                f"{self.name} is on another grid than the image: {self._how(grid)}",
                "choose the series that it was made of, or resample it to the image's grid in 3D Slicer",
            )
        if wanted[along, 0] < 0:
            inside = inside[:, ::-1]
        if wanted[down, 1] < 0:
            inside = inside[::-1]
        low = np.round(start).astype(int)
        low[along] -= columns - 1 if wanted[along, 0] < 0 else 0
        low[down] -= rows - 1 if wanted[down, 1] < 0 else 0
        first, second = low[down], low[along]
        if along > down:  # rows of a patch follow the array's axes, which count the grid's backwards
            inside, first, second = inside.T, second, first
        tall, wide = (grid.size[n] for n in (max(along, down), min(along, down)))
        from_row, from_column = max(0, -first), max(0, -second)
        kept = inside[from_row : max(0, tall - first), from_column : max(0, wide - second)]
        index = int(low[across])
        if not 0 <= index < grid.size[across] or np.count_nonzero(kept) < np.count_nonzero(inside):
            raise GridError(
                f"{self.name} has labelled voxels outside the image", "choose the image that it was drawn on"
            )
        return Patch(2 - across, index, (int(first + from_row), int(second + from_column)), kept)

    def _how(self, grid: Grid) -> str:
        try:
            return differences(self.own_grid()[0], grid)
        except (GridError, InputError):
            return "its frames do not lie on the image's slices"


def _structures(of: Elements, name: str) -> dict[int, Structure]:
    codec = codec_of(of)
    found: dict[int, Structure] = {}
    for item in of.sequences.get(_SEGMENTS, []):
        number = item.integer(_NUMBER)
        if number == 0 and of.text(_TYPE) == "LABELMAP":
            continue  # the background
        if not number or number in found:
            raise InputError(f"{name} does not number its segments from 1 to 65535, each once", _EXPORT)
        kinds = item.sequences.get(_KIND) or [Elements()]
        # Where the modifier stands has changed between editions of the standard.
        modifier = code(kinds[0], _MODIFIER, codec) or code(item, _MODIFIER, codec)
        found[number] = Structure(
            name_of(item, _LABEL, _DESCRIPTION, codec) or f"segment {number}",
            code(item, _KIND, codec),
            colour_of_lab(item, _COLOUR) or _GREY,
            code(item, _CATEGORY, codec),
            modifier,
        )
    if not found:
        raise InputError(f"{name} describes no segment", _EXPORT)
    return found
