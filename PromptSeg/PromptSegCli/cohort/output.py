"""The formats that a volume's result can be written in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.atomic import folder_for
from PromptSegLib.errors import InputError
from PromptSegLib.progress import ShouldStop

from ..dicom.result import FORMATS, RTSTRUCT_ENDING
from ..dicom.result import write_result as write_dicom
from ..dicom.series import check_can_write, check_source
from ..masks import Masks
from .manifest import digest_of_file

if TYPE_CHECKING:
    from PromptSegLib.segment.result import Segmentation
    from PromptSegLib.volumes.volume import Volume

    from .task import Task

ENDINGS = {
    "seg.nrrd": ".seg.nrrd", "nii.gz": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha",
    "dicom-seg": ".dcm", "rtstruct": RTSTRUCT_ENDING,
}  # fmt: skip
"""What a result's name ends in, by format."""


def check_format(kind: str) -> None:
    """Raise :class:`InputError` for a format that there is not, and :class:`PromptSegError` for one whose package is
    not installed."""
    if kind not in ENDINGS:
        raise InputError(f"There is no format {kind}", f"choose one of {', '.join(ENDINGS)}")
    if kind in FORMATS:
        check_can_write()


def check_image(kind: str, volume: Volume) -> None:
    """Raise :class:`InputError` for a volume of which there can be no result of that format."""
    if kind in FORMATS:
        check_source(volume.source)


def write_result(
    path: Path, task: Task, result: Segmentation, volume: Volume, should_stop: ShouldStop
) -> tuple[int, int, str, list[str]]:
    """Write a result, complete or not at all; gives size, time and SHA-256 of the file, and what a user should hear of
    it. Raises :class:`OutputError` and ``Stopped``."""
    with folder_for(path.parent):
        notes = _write(path, task, result, volume, should_stop)
    found = path.stat()
    return found.st_size, found.st_mtime_ns, digest_of_file(path), notes


def _write(path: Path, task: Task, result: Segmentation, volume: Volume, should_stop: ShouldStop) -> list[str]:
    from PromptSegLib.volumes.io import write_labels, write_segments

    if task.format in FORMATS:
        return write_dicom(path, task.format, result, volume.source, task.backbone_id, should_stop)
    if task.format == "seg.nrrd":
        write_segments(path, Masks(result), result.grid)
    else:
        write_labels(path, result.labels, result.grid, dict(enumerate(result.structures, 1)))
    return []
