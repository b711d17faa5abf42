"""Volumes with what was drawn in them, as the command line names them: pairs of IMAGE and LABELS, and their options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PromptSegLib.errors import InputError

if TYPE_CHECKING:
    from PromptSegLib.annotations import SliceAnnotations
    from PromptSegLib.volumes.volume import Volume


@dataclass(frozen=True)
class DrawnVolume:
    """One volume with what was drawn in it, as files and numbers."""

    image: str
    labels: str
    label: int | str
    slices: Sequence[int]
    absent: Sequence[int]

    def read(self, axis: int, orientation: str | None = None) -> tuple[Volume, SliceAnnotations]:
        """The volume and the drawn slices along ``axis``; raises :class:`PromptSegError`."""
        import numpy as np

        from PromptSegLib.annotations import SliceAnnotations
        from PromptSegLib.volumes.io import read_labels, read_volume

        volume = read_volume(self.image, orientation)
        labels = read_labels(self.labels, volume.grid, orientation, volume.source)
        notes = [*volume.notes, *labels.notes]
        if labels.turned:
            notes.append(
                f"The axes of {labels.name} run otherwise than those of {volume.name}: slices are counted in"
                f" {volume.name}."
            )
        value = labels.value_of(self.label)
        volume = replace(volume, notes=tuple(dict.fromkeys(notes)))
        array = labels.array
        if labels.overlapping:
            array = np.where(labels.mask(value), array.dtype.type(value), array.dtype.type(0))
        return volume, SliceAnnotations.from_labels(array, volume.grid, value, self.slices, self.absent, axis)


def drawn_volumes(args: argparse.Namespace) -> list[DrawnVolume]:
    """The pairs with their options; raises :class:`InputError` if numbers do not fit."""
    if len(args.pairs) % 2:
        raise InputError("An IMAGE has no LABELS", "name both for each volume, as in IMAGE LABELS IMAGE LABELS")
    count = len(args.pairs) // 2
    if len(args.slices) != count:
        raise InputError(
            f"There are {count} pairs of IMAGE and LABELS, and --slices was given {len(args.slices)} times",
            "give it once for each pair",
        )
    if len(args.absent) not in (0, count):
        raise InputError(
            f"There are {count} pairs of IMAGE and LABELS, and --absent was given {len(args.absent)} times",
            "give it once for each pair, with none where there is no such slice, or not at all",
        )
    if len(args.label) not in (1, count):
        raise InputError(
            f"There are {count} pairs of IMAGE and LABELS, and --label was given {len(args.label)} times",
            "give it once, or once for each pair",
        )
    labels = args.label * count if len(args.label) == 1 else args.label
    absent = args.absent or [()] * count
    files = zip(args.pairs[::2], args.pairs[1::2], strict=True)
    return [DrawnVolume(*pair, *rest) for pair, *rest in zip(files, labels, args.slices, absent, strict=True)]
