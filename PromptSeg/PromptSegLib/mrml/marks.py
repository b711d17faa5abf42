"""Which slices of a volume are done, as text that a segment carries with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..annotations import SliceStatus
from ..errors import UNREADABLE, AnnotationError, GridError
from ..volumes.volume import Grid

AXES = "kji"
_FORMAT = 1


@dataclass(frozen=True)
class SliceMarks:
    """The status of slices by (array axis, index) of the volume on ``grid``; what is not listed is untouched."""

    grid: Grid
    statuses: Mapping[tuple[int, int], SliceStatus] = field(default_factory=dict)

    def of(self, axis: int) -> dict[int, SliceStatus]:
        """Status by index along one axis, in order."""
        return {index: status for (along, index), status in sorted(self.statuses.items()) if along == axis}

    def with_status(self, axis: int, index: int, status: SliceStatus) -> SliceMarks:
        """These with one slice changed. Raises :class:`AnnotationError` if the volume has no such slice."""
        if not (0 <= axis < 3 and 0 <= index < self.grid.shape[axis]):
            raise AnnotationError(f"There is no slice {index}", "choose a slice of the volume")
        changed = {**self.statuses, (axis, index): status}
        if status is SliceStatus.UNTOUCHED:
            del changed[axis, index]
        return replace(self, statuses=changed)

    def to_text(self) -> str:
        """One line, without the characters that separate tags."""
        slices: dict[str, dict[str, list[int]]] = {}
        for (axis, index), status in sorted(self.statuses.items()):
            slices.setdefault(AXES[axis], {}).setdefault(status.value, []).append(index)
        # Beside the hash, the numbers themselves: files in other formats keep fewer digits, and a hash of rounded
        # numbers then differs now and again although the volume is the same.
        geometry = {"size": list(self.grid.size), "ijk_to_ras": np.round(self.grid.ijk_to_ras[:3], 6).tolist()}
        return json.dumps(
            {"format": _FORMAT, "hash": self.grid.digest, **geometry, "slices": slices}, separators=(",", ":")
        )

    @classmethod
    def from_text(cls, text: str, grid: Grid, name: str = "The segment") -> SliceMarks:
        """The marks of a volume on ``grid``; none for an empty text.

        Raises :class:`GridError` if they were made on another volume, and :class:`AnnotationError` if they cannot be
        read.
        """
        if not text:
            return cls(grid)
        broken = AnnotationError(
            f"The slice marks of {name} cannot be read", "mark its slices again, or use a newer PromptSeg"
        )
        try:
            values = json.loads(text)
            if values["format"] != _FORMAT:
                raise broken
            i, j, k = (int(n) for n in values["size"])
            matrix = np.vstack([np.asarray(values["ijk_to_ras"], float).reshape(3, 4), [0, 0, 0, 1]])
            same = values["hash"] == grid.digest or Grid.from_ijk_to_ras(matrix, (k, j, i)).matches(grid)
            found = {
                (AXES.index(axis), int(index)): SliceStatus(status)
                for axis, statuses in values["slices"].items()
                for status, indices in statuses.items()
                for index in indices
            }
        except (GridError, *UNREADABLE) as error:
            raise broken from error
        if not same:
            raise GridError(
                f"The slices of {name} were marked on another volume, or the volume was changed",
                "choose the volume that they were drawn on, or clear the marks",
            )
        if any(not 0 <= index < grid.shape[axis] for axis, index in found):
            raise broken
        return cls(grid, found)
