"""The structures of a DICOM RT Structure Set (PS3.3, A.19), filled on the slices of the image that they were drawn on.

A structure that cannot be used (points alone, contours beside the slices) is left out and does not spoil the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..anatomy.structure import Structure
from ..errors import GridError, InputError, PromptSegError
from .dicom_file import CONTOUR_DATA, FRAME_OF_REFERENCE, SERIES, DicomFile, Elements
from .dicom_seg import ACROSS, Patch
from .dicom_text import code, codec_of, integer, name_of
from .polygons import filled
from .volume import Grid

_ROIS, _ROI_NUMBER, _ROI_NAME, _ROI_FRAME = 0x30060020, 0x30060022, 0x30060026, 0x30060024
_ROI_DESCRIPTION = 0x30060028
_DRAWN, _DRAWN_ROI, _ROI_COLOUR = 0x30060039, 0x30060084, 0x3006002A
_CONTOURS, _KIND, _COUNT = 0x30060040, 0x30060042, 0x30060046
_OBSERVATIONS, _CODE, _MODIFIER = 0x30060080, 0x30060086, 0x00620011
_FRAMES, _STUDIES, _SERIES = 0x30060010, 0x30060012, 0x30060014
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_GREY = (0.5, 0.5, 0.5)
_BEYOND = 1.0  # voxels that a contour may lie beyond the image's edge
_SERIES_REMEDY = "choose the series that they were drawn on"


@dataclass(frozen=True)
class _Roi:
    structure: Structure
    frame_of_reference: str
    contours: list[Elements]


class StructureSetFile:
    """An opened Structure Set: ``structures`` by ROI number, or counted from 1 where a label map cannot hold those.

    ``frames_of_reference`` are those of the structures by number, ``series`` those that it refers to.
    """

    def __init__(self, file: DicomFile) -> None:
        self.name = file.path.name
        of = file.elements
        rois = _rois(of)
        if not rois:
            raise InputError(f"{self.name} holds no structure", "export it again from the program that made it")
        numbered = all(isinstance(n, int) and 1 <= n <= np.iinfo(np.uint16).max for n, _ in rois)
        unique = len({n for n, _ in rois}) == len(rois)
        self.notes = (
            () if numbered and unique else (f"The structures of {self.name} are numbered from 1 in their order.",)
        )
        self._rois = {(n if numbered and unique else place) or 0: roi for place, (n, roi) in enumerate(rois, 1)}
        self.structures = {number: roi.structure for number, roi in self._rois.items()}
        self.frames_of_reference = {number: roi.frame_of_reference for number, roi in self._rois.items()}
        self.series = [
            series.text(SERIES)
            for frame in of.sequences.get(_FRAMES, [])
            for study in frame.sequences.get(_STUDIES, [])
            for series in study.sequences.get(_SERIES, [])
        ]

    def patches(self, grid: Grid, notes: list[str]) -> tuple[dict[int, list[Patch]], dict[int, PromptSegError]]:
        """The filled slices of each structure by number, and why others cannot be used."""
        found: dict[int, list[Patch]] = {}
        refused: dict[int, PromptSegError] = {}
        inverse = np.linalg.inv(grid.ijk_to_ras)
        for number, roi in self._rois.items():
            try:
                found[number] = list(self._filled(roi, grid, inverse, notes))
            except (InputError, GridError) as error:
                refused[number] = error
        return found, refused

    def _filled(self, roi: _Roi, grid: Grid, inverse: np.ndarray, notes: list[str]) -> Iterator[Patch]:
        name = f"'{roi.structure.name}' in {self.name}"
        closed = [one for one in roi.contours if one.text(_KIND) in _CLOSED]
        if roi.contours and not closed:
            raise InputError(f"{name} is made of points or open lines", "choose a structure with closed contours")
        loops = [(inverse @ _homogeneous(self._points(one, name)))[:3] for one in closed]
        if not loops:
            return
        # The axis of the grid across the contours: the one along which they extend least.
        spread = np.sum([np.ptp(one, axis=1) for one in loops], axis=0) * grid.spacing
        across = int(spread.argmin())
        slices: dict[int, list[np.ndarray]] = {}
        for one in loops:
            index = int(np.round(np.mean(one[across])))
            off = float(np.abs(one[across] - index).max())
            if off > ACROSS:
                off_mm = off * grid.spacing[across]
                raise GridError(f"{name} has contours {off_mm:.3g} mm off the slices of the image", _SERIES_REMEDY)
            plane = np.delete(one, across, axis=0)
            size = np.delete(grid.size, across)[:, np.newaxis]
            beyond = np.any(plane < -_BEYOND) or np.any(plane > size - 1 + _BEYOND)
            if not 0 <= index < grid.size[across] or beyond:
                raise GridError(f"{name} has contours outside the image", _SERIES_REMEDY)
            slices.setdefault(index, []).append(plane.T)
        order = sorted(slices)
        extent = order[-1] - order[0] + 1
        if extent > len(order):
            notes.append(
                f"{name} has no contour in {extent - len(order)} of the {extent} slices from its first to its last; it"
                " was taken to be absent there."
            )
        across_array = 2 - across
        shape = tuple(np.delete(grid.shape, across_array))
        for index in order:
            yield _cropped(across_array, index, filled(slices[index], (int(shape[0]), int(shape[1]))))

    def _points(self, one: Elements, name: str) -> np.ndarray:
        """The points (3, N) of a contour, LPS in mm."""
        numbers = one.text(CONTOUR_DATA).split("\\")
        try:
            points = np.array(numbers, dtype=np.float64)
        except ValueError:
            points = np.full(1, np.nan)
        count = integer(one, _COUNT)
        if len(points) % 3 or not np.all(np.isfinite(points)) or count not in (None, len(points) // 3):
            raise InputError(f"{name} has damaged contours", "export it again from the program that made it")
        return points.reshape(-1, 3).T


def _homogeneous(lps: np.ndarray) -> np.ndarray:
    """RAS points (4, N) of LPS points (3, N)."""
    return np.vstack([-lps[0], -lps[1], lps[2], np.ones(lps.shape[1])])


def _cropped(axis: int, index: int, inside: np.ndarray) -> Patch:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return Patch(axis, index, (0, 0), inside[:0, :0])
    box = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Patch(axis, index, (int(rows[0]), int(columns[0])), box.copy())


def _rois(of: Elements) -> list[tuple[int | None, _Roi]]:
    """The structures and their numbers, in the order of the file."""
    codec = codec_of(of)
    drawn = _by_roi(of, _DRAWN)
    seen = _by_roi(of, _OBSERVATIONS)
    found = []
    for item in of.sequences.get(_ROIS, []):
        number = integer(item, _ROI_NUMBER)
        structure = Structure(name_of(item, _ROI_NAME, _ROI_DESCRIPTION, codec) or f"structure {number}", colour=_GREY)
        contours: list[Elements] = []
        if number in drawn:
            contours = drawn[number].sequences.get(_CONTOURS, [])
            structure = replace(structure, colour=_colour(drawn[number]))
        if number in seen:
            kinds = seen[number].sequences.get(_CODE) or [Elements()]
            modifier = code(kinds[0], _MODIFIER, codec)
            structure = replace(structure, code=code(seen[number], _CODE, codec), modifier=modifier)
        frame = item.text(_ROI_FRAME) or of.text(FRAME_OF_REFERENCE)
        found.append((number, _Roi(structure, frame, contours)))
    return found


def _by_roi(of: Elements, tag: int) -> Mapping[int | None, Elements]:
    items = {integer(item, _DRAWN_ROI): item for item in of.sequences.get(tag, [])}
    items.pop(None, None)
    return items


def _colour(item: Elements) -> tuple[float, float, float]:
    numbers = item.numbers(_ROI_COLOUR)
    if numbers is None or len(numbers) != 3 or not np.all(np.isfinite(numbers)):
        return _GREY
    red, green, blue = (min(max(n / 255, 0.0), 1.0) for n in numbers)
    return red, green, blue
