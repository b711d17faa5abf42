"""Which DICOM object a result becomes, and writing it: for commands, which have a path and perhaps a format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.errors import OutputError

if TYPE_CHECKING:
    from PromptSegLib.segment.result import Segmentation
    from PromptSegLib.volumes.volume import DicomSource

FORMATS = ("dicom-seg", "rtstruct")
ENDING, RTSTRUCT_ENDING = ".dcm", ".rtstruct.dcm"


def format_of(path: Path, asked: str | None = None) -> str | None:
    """Which of :data:`FORMATS` a result of that name becomes; None for one that is not DICOM.

    ``asked`` is what the user wants it to be. Raises :class:`OutputError` where the name says something else, and
    :class:`PromptSegError` where the packages that write DICOM are not installed.
    """
    if not path.name.lower().endswith(ENDING) or path.name.lower() == ENDING:
        if asked:
            raise OutputError(
                f"The format {asked} is a DICOM file, and {path.name} is named as another", "end its name in .dcm"
            )
        return None
    from .series import check_can_write

    check_can_write()
    named = "rtstruct" if path.name.lower().endswith(RTSTRUCT_ENDING) else None
    if asked and named and asked != named:
        raise OutputError(f"The format is to be {asked}, and {path.name} is named as {named}", "choose one of the two")
    return asked or named or "dicom-seg"


def write_result(
    path: Path,
    kind: str,
    segmentation: Segmentation,
    source: DicomSource | None,
    backbone_id: str,
    should_stop: Callable[[], bool],
) -> list[str]:
    """Write a result as ``kind``, one of :data:`FORMATS`; gives notes and raises as :func:`.seg.write_dicom_seg`."""
    from .rtstruct import write_rtstruct
    from .seg import write_dicom_seg

    write = write_rtstruct if kind == "rtstruct" else write_dicom_seg
    return write(segmentation, source, path, backbone_id=backbone_id, should_stop=should_stop)
