"""A folder for files that another library has to read or write for a moment."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .atomic import workplace
from .errors import OutputError


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder among the temporary files that only the user may read, gone when the block or the process ends.

    Raises :class:`OutputError` where there is none to be had, and for every ``OSError`` of the block, which only works
    in it.
    """
    place = "the temporary files"
    try:
        place = tempfile.gettempdir()
        with workplace(place) as folder:
            yield folder
    except OSError as error:
        raise OutputError(
            f"Temporary files cannot be written in {place} ({error.strerror or 'no folder for them can be used'})",
            "free some space there, or name another folder in the environment variable TMPDIR",
        ) from error
