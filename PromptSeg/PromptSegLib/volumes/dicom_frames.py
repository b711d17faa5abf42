"""What a DICOM file says of each of its frames: where it lies and how large its pixels are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .dicom_file import INTERCEPT, ORIENTATION, PIXEL_SPACING, POSITION, SLOPE, Elements

SPACING_BETWEEN, THICKNESS = 0x00180088, 0x00180050
# Functional groups of files with several frames, and what is looked up in them.
_GROUP_OF = {
    POSITION: 0x00209113, ORIENTATION: 0x00209116, SLOPE: 0x00289145, INTERCEPT: 0x00289145,
    PIXEL_SPACING: 0x00289110, SPACING_BETWEEN: 0x00289110, THICKNESS: 0x00289110,
}  # fmt: skip


def numbers_of(of: Elements, groups: Sequence[Elements], tag: int) -> list[float] | None:
    """The numbers of a frame: its own, those that all frames share, or the file's; None if there are none.

    ``groups`` are the frame's own functional groups and the shared ones, in this order.
    """
    for group in groups:
        for item in group.sequences.get(_GROUP_OF[tag], []):
            if tag in item.values:
                return item.numbers(tag)
    return of.numbers(tag)


def unit_axes(directions: Sequence[float]) -> np.ndarray | None:
    """The cosines (3, 2) of a row and of a column, of length 1, of six numbers; None if these are no two directions."""
    axes = np.array(directions, dtype=np.float64).reshape(2, 3).T
    lengths = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite(axes)) or not np.all(lengths > 1e-6):
        return None
    axes = axes / lengths
    return axes if np.linalg.norm(np.cross(axes[:, 0], axes[:, 1])) >= 0.01 else None
