"""The folder of a demonstration: its files appear together, or not at all, and replace only those of another one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PromptSegLib import atomic
from PromptSegLib.atomic import folder_for
from PromptSegLib.errors import OutputError


def check_apart(folder: Path, names: Sequence[str]) -> None:
    """Raise :class:`OutputError` where a file would take the place of one that no demonstration has written: all that
    it writes, ``names``, are there, or none."""
    there = [folder / name for name in names if os.path.lexists(folder / name)]
    if 0 < len(there) < len(names):
        raise OutputError(
            f"{there[0]} is there already, and no demonstration has written it", "choose another folder for -o"
        )


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """A hidden folder in ``folder`` for unfinished files; both are taken away again if nothing comes of it.

    Raises :class:`OutputError` where it cannot be made.
    """
    with folder_for(folder), ExitStack() as stack:
        try:
            place = stack.enter_context(atomic.workplace(folder))
        except OSError as error:
            raise OutputError(
                f"The folder {folder} cannot be written to ({error.strerror})", "choose another one"
            ) from error
        yield place


def move(source: Path, target: Path) -> Path:
    """Put a finished file in its place; gives that. Raises :class:`OutputError`."""
    try:
        source.replace(target)
    except OSError as error:
        raise OutputError(f"{target} could not be written ({error.strerror})", "choose another folder") from error
    return target
