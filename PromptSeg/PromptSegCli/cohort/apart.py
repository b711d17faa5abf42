"""The folder of results holds nothing of the user's that a cohort would write over."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from PromptSegLib.errors import OutputError
from PromptSegLib.inputs_stay import files_of

from .folder import Folder
from .items import Inputs
from .output import ENDINGS

_REMEDY = "choose another folder for the results"


def check_apart(folder: Folder, inputs: Inputs, named: Sequence[str], ending: str) -> None:
    """Raise :class:`OutputError` where a result, the table or the page would take the place of an input or, in a folder
    that no cohort has written to, of any file. ``named`` are all arguments that name files."""
    reports = [folder.results, folder.report]
    results = [folder.root / f"{one.subject}{ENDINGS[ending]}" for one in inputs.items]
    written = {os.path.normcase(os.path.realpath(path)) for path in (*reports, *results)}
    used: list[str | Path] = []
    for one in inputs.items:
        used += [*one.files, *_files(one.image), *_files(one.reference)]
    for text in named:
        used += _files(text)
    for file in used:
        if os.path.normcase(os.path.realpath(file)) in written and os.path.isfile(file):  # noqa: PTH113
            raise OutputError(f"'{file}' lies where a result is to be written, and no input is written over", _REMEDY)
    if not folder.state.is_dir():
        foreign = next((path for path in (*reports, *results) if os.path.lexists(path)), None)
        if foreign is not None:
            raise OutputError(f"{foreign} is there already, and no cohort has written it", _REMEDY)


def _files(text: str) -> list[Path]:
    if not text:
        return []
    with contextlib.suppress(OSError, ValueError):
        return files_of(text)
    return []
