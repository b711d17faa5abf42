"""What a user drew: slices of one volume with their status and masks, for one structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .errors import AnnotationError, GridError
from .volumes.volume import Grid

IGNORE = 255


class SliceStatus(str, Enum):
    """How much a drawn slice says."""

    UNTOUCHED = "untouched"
    """Unlabelled: gives no loss."""
    DRAFT = "draft"
    """Only what is painted counts, structure or background."""
    COMPLETE = "complete"
    """What is not painted is background."""
    ABSENT = "absent"
    """The structure is not in this slice."""


@dataclass(frozen=True)
class Slice:
    """One slice: ``mask`` is uint8 on the native slice, 1 structure, 0 background, 255 not labelled."""

    status: SliceStatus
    mask: np.ndarray

    def labelled(self) -> np.ndarray:
        """``mask`` with what the status adds: complete and absent slices have no unlabelled voxel."""
        if self.status is SliceStatus.ABSENT:
            return np.zeros_like(self.mask)
        if self.status is SliceStatus.COMPLETE:
            return np.where(self.mask == 1, 1, 0).astype(np.uint8)
        if self.status is SliceStatus.UNTOUCHED:
            return np.full_like(self.mask, IGNORE)
        return self.mask


@dataclass(frozen=True)
class SliceAnnotations:
    """Slices along array axis ``axis`` (0 = K, 1 = J, 2 = I) of the volume on ``grid``, by index.

    Raises :class:`AnnotationError` for a slice that the volume does not have or a mask of another size.
    """

    axis: int
    grid: Grid
    slices: Mapping[int, Slice]

    def __post_init__(self) -> None:
        shape = list(self.grid.shape)
        count = shape.pop(self.axis)
        for index, drawn in self.slices.items():
            if not 0 <= index < count:
                raise AnnotationError(f"There is no slice {index}", f"the volume has slices 0 to {count - 1}")
            if drawn.mask.shape != tuple(shape):
                raise AnnotationError(f"The mask of slice {index} is {drawn.mask.shape}, the slices are {tuple(shape)}")

    @classmethod
    def from_labels(
        cls,
        labels: np.ndarray,
        grid: Grid,
        label: int,
        slices: Sequence[int],
        absent: Sequence[int] = (),
        axis: int = 0,
    ) -> SliceAnnotations:
        """Complete slices ``slices`` and absent slices ``absent`` of one value of a label map (K, J, I).

        Raises :class:`GridError` or :class:`AnnotationError` if they do not fit the label map.
        """
        if labels.shape != grid.shape:
            raise GridError(
                "The label map and the image have different sizes", "resample the labels to the image's grid"
            )
        if set(slices) & set(absent):
            both = sorted(set(slices) & set(absent))
            raise AnnotationError(f"Slice {both[0]} is named as drawn and as absent", "name it once")
        count = labels.shape[axis]
        chosen: dict[int, Slice] = {}
        for index in sorted({*slices, *absent}):
            if not 0 <= index < count:
                raise AnnotationError(f"There is no slice {index}", f"the volume has slices 0 to {count - 1}")
            mask = (labels.take(index, axis=axis) == label).astype(np.uint8)
            if index in absent and mask.any():
                raise AnnotationError(
                    f"Slice {index} is named as absent but holds label {label}", "take it from one of the lists"
                )
            if index in slices and not mask.any():
                where = np.flatnonzero((labels == label).any(tuple(a for a in range(3) if a != axis)))
                if not len(where):
                    raise AnnotationError(f"The label map does not hold label {label}", "choose a label that is drawn")
                raise AnnotationError(
                    f"Slice {index} does not hold label {label}, which is in slices {where[0]} to {where[-1]}",
                    "choose another slice, or name it as absent",
                )
            chosen[index] = Slice(SliceStatus.ABSENT if index in absent else SliceStatus.COMPLETE, mask)
        if not slices:
            raise AnnotationError("No drawn slice was named", "name at least one slice that shows the structure")
        return cls(axis, grid, chosen)

    def drawn(self) -> list[int]:
        """The slices that show the structure, in order."""
        return sorted(i for i, s in self.slices.items() if (s.labelled() == 1).any())

    def used(self) -> list[int]:
        """The slices that say anything, in order."""
        return sorted(i for i, s in self.slices.items() if (s.labelled() != IGNORE).any())

    def native_slices(self, axis: int) -> dict[int, np.ndarray]:
        """What is decided by hand, as uint8 slices 0 / 1 / 255 along ``axis``, whichever axis was drawn on."""
        if axis == self.axis:
            return {i: self.slices[i].labelled() for i in self.used()}
        stack = np.full(self.grid.shape, IGNORE, np.uint8)
        view = np.moveaxis(stack, self.axis, 0)
        for i in self.used():
            view[i] = self.slices[i].labelled()
        turned = np.moveaxis(stack, axis, 0)
        return {i: turned[i] for i in range(len(turned)) if (turned[i] != IGNORE).any()}
