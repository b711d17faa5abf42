"""What is painted in a segment: looked at once, and asked for its slices along each axis."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class Paint:
    """``box`` (K, J, I) bool begins at ``low`` (k, j, i) of a volume of that ``shape``; nothing is outside of it.

    What is kept is cut to the smallest box: an editor's boxes are as large as all that it ever held.
    """

    def __init__(self, box: np.ndarray, low: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
        found = [np.flatnonzero(there) for there in _seen(box)]
        spans = [(int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0) for there in found]
        self.box = box[tuple(slice(*span) for span in spans)].copy()
        k, j, i = (start + span[0] for start, span in zip(low, spans, strict=True))
        self.low = k, j, i
        self.shape = shape

    def along(self, axis: int, without: Iterable[tuple[int, int]] = ()) -> list[int]:
        """The slices along ``axis`` that have a voxel outside of the slices ``without`` (axis, index)."""
        box = self.box
        for other, index in without:
            if 0 <= index - self.low[other] < box.shape[other]:
                box = box.copy() if box is self.box else box
                box[(slice(None),) * other + (index - self.low[other],)] = False
        return [int(index) + self.low[axis] for index in np.flatnonzero(_seen(box)[axis])]

    def slice(self, axis: int, index: int) -> np.ndarray:
        """One whole slice along ``axis``: bool, the other two axes in their order."""
        others = [other for other in range(3) if other != axis]
        out = np.zeros([self.shape[other] for other in others], bool)
        if 0 <= index - self.low[axis] < self.box.shape[axis]:
            part = self.box.take(index - self.low[axis], axis=axis)
            row, column = (self.low[other] for other in others)
            out[row : row + part.shape[0], column : column + part.shape[1]] = part
        return out


def _seen(box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each axis, which of its slices have a voxel: in two passes over all."""
    planes: np.ndarray = np.any(box, axis=2)
    return np.any(planes, axis=1), np.any(planes, axis=0), np.any(box, axis=(0, 1))
