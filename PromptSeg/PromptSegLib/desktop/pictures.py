"""Pictures of the slices that a review found, made a piece at a time in the window's thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..mrml import nodes
from ..mrml.vtk_images import array_of
from .matching import matching

if TYPE_CHECKING:
    import numpy as np

SOFT_TISSUE = (-160.0, 240.0)
"""HU from black to white where a volume is not displayed."""


@dataclass(frozen=True)
class PicturePlace:
    """A slice of a segment that needs review: ``row`` and ``number`` say which of the review's it is."""

    row: int
    number: int
    structure: str
    segment_id: str
    index: int
    why: str
    risk: float
    looked: str = ""


def places_of(rows: Sequence[dict[str, Any]], by_structure: bool = False) -> list[PicturePlace]:
    """The slices of all rows of a review, the one of most risk first, or structure by structure in that order."""
    found = [
        PicturePlace(
            n, m, row["structure"], row["segment_id"], int(one["index"]), one["why"],
            float(one.get("risk") or 0.0), str(one.get("looked") or ""),
        )
        for n, row in enumerate(rows)
        for m, one in enumerate(row["slices"])
    ]  # fmt: skip
    if by_structure:
        return found
    # Slices of reviews that know of no risk (of older scenes): the worst of each structure, then the second of each.
    return sorted(found, key=lambda one: (-one.risk, one.number, one.row))


def window_of(volume_node: Any) -> tuple[float, float]:
    """HU from black to white, as the slice views show a volume."""
    display = volume_node.GetDisplayNode()
    if display is None or not display.GetWindow() > 0:
        return SOFT_TISSUE
    window, level = float(display.GetWindow()), float(display.GetLevel())
    return level - window / 2, level + window / 2


def draw(
    places: Sequence[PicturePlace],
    volume: Any,
    segmentation: Any,
    axis: int,
    on_picture: Callable[[PicturePlace, np.ndarray], None],
    *,
    size: int,
    reference: Any = None,
) -> Generator[None, None, None]:
    """Make a picture (size, size, 3) uint8 of each place, and tell of it, one a step. A segment that is gone has none.

    Raises ``GridError`` where a segment does not lie on the volume.
    """
    from ..review.thumbnails import OURS, REFERENCE, MaskBox, thumbnail

    grid, voxels, window = nodes.grid_of(volume), array_of(volume.GetImageData()), window_of(volume)
    known: dict[str, list[tuple[MaskBox, tuple[int, int, int]]]] = {}
    for place in places:
        if place.segment_id not in known:
            segment = segmentation.GetSegmentation().GetSegment(place.segment_id)
            if segment is None:
                continue
            known[place.segment_id] = [(MaskBox(*nodes.segment_box(segmentation, place.segment_id, volume)), OURS)]
            yield
            other = "" if reference is None else matching(segment, reference)
            if other:
                known[place.segment_id].append((MaskBox(*nodes.segment_box(reference, other, volume)), REFERENCE))
                yield
        if 0 <= place.index < grid.shape[axis]:
            contours = known[place.segment_id]
            on_picture(place, thumbnail(voxels, grid, axis, place.index, contours, window, size))
        yield
