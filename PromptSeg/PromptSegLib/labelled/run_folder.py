"""The folder that a run on a labelled set is kept in: marked as ours, and only what a run made is taken away again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from ..atomic import folder_for, replacing
from ..datasets.loading import remove_cache
from ..errors import UNREADABLE, InputError, OutputError
from ..locked import LOCK, is_locked, locked
from ..model.files import read_header
from .checkpoint import FORMAT, LAST

CACHE = "cache"
_MARK, _WHAT = "promptseg-run.json", "the folder of a run of promptseg tune --dataset"


@contextlib.contextmanager
def taken(folder: Path) -> Iterator[None]:
    """:func:`begin` a folder, and keep other processes out while the block lasts. Raises :class:`OutputError`, also
    where another process is at it."""
    begin(folder)
    with locked(folder, f"Another process is at the run in {folder}", "wait until it has ended, or stop it there"):
        yield


def begin(folder: Path) -> None:
    """Make the folder and mark it; one that is there already must be empty or hold a run. Raises
    :class:`OutputError`."""
    made = not folder.exists()
    with folder_for(folder):
        try:
            there = any(folder.iterdir())
        except OSError as error:
            raise OutputError(
                f"The folder {folder} cannot be looked into ({error.strerror})", "choose another one"
            ) from error
        if not there:
            with replacing(folder / _MARK) as file:
                file.write(json.dumps({"is": _WHAT, "made": made}).encode())
        elif not _is_run(folder):
            raise OutputError(
                f"{folder} holds files that are not of a run, which would be kept there",
                "choose another name for -o, or move the folder",
            )


def remove(folder: Path) -> None:
    """Take away what a run keeps: the volumes, the checkpoint and the mark. What else lies there stays, and so does a
    folder that was there before the run."""
    if not _is_run(folder):
        return
    made = _mark(folder).get("made") is not False
    remove_cache(folder / CACHE)
    with contextlib.suppress(OSError):
        (folder / LAST).unlink(missing_ok=True)
        (folder / _MARK).unlink(missing_ok=True)
        (folder / LOCK).unlink(missing_ok=True)
        if made:
            folder.rmdir()


def remove_if_empty(folder: Path) -> None:
    """:func:`remove` the folder of a run that came to nothing, without a checkpoint and without a whole volume, unless
    another process is at it."""
    kept = (folder / LAST).exists() or any((folder / CACHE).glob("*/*/case.json"))
    if not kept and not is_locked(folder):
        remove(folder)


def _mark(folder: Path) -> dict[str, object]:
    try:
        found = json.loads((folder / _MARK).read_text(encoding="utf-8"))
    except (OSError, *UNREADABLE):
        return {}
    return found if isinstance(found, dict) and found.get("is") == _WHAT else {}


def _is_run(folder: Path) -> bool:
    if _mark(folder):
        return True
    try:  # runs of former versions have no mark
        return read_header(folder / LAST).get("format") == FORMAT
    except (InputError, OSError):
        return False
