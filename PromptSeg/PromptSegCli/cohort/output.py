"""The formats that a volume's result can be written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PromptSegLib.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.segment.result import Segmentation

    from .task import Task

ENDINGS = {"seg.nrrd": ".seg.nrrd", "nii.gz": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha"}
"""What a result's name ends in, by format."""


def write_result(path: Path, task: Task, result: Segmentation) -> tuple[int, int]:
    """Write a result, whole or not at all; gives size and time of the file. Raises :class:`OutputError`."""
    from PromptSegLib.volumes.io import write_labels, write_segments

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path.parent} cannot be made ({error.strerror})", "free some space") from error
    if task.format == "seg.nrrd":
        write_segments(path, Masks(result), result.grid)
    else:
        write_labels(path, result.labels, result.grid, dict(enumerate(result.structures, 1)))
    found = path.stat()
    return found.st_size, found.st_mtime_ns


class Masks(Mapping):  # type: ignore[type-arg]
    """The masks of a result by structure, each made when it is asked for: together they may not fit into memory."""

    def __init__(self, result: Segmentation) -> None:
        self._result = result

    def __getitem__(self, structure: Structure) -> np.ndarray:
        return self._result.mask(structure.name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._result.structures)

    def __len__(self) -> int:
        return len(self._result.structures)
