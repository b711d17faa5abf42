"""Locks between processes, so that two of them do not write to one folder at once.

A lock ends with the process that has it, however that ends. Where a file system knows none, nothing is locked: files
are then still complete or not there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import OutputError

LOCK = ".lock"
"""The file that is locked in a folder on Windows, where folders cannot be."""
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_EVERY = 0.02


@contextlib.contextmanager
def locked(folder: Path, problem: str, remedy: str, patience: float = 0.0) -> Iterator[None]:
    """Have the lock of a folder while the block lasts.

    Raises :class:`OutputError` with ``problem`` and ``remedy`` where somebody else still has it after ``patience``
    seconds.
    """
    descriptor = _open(folder)
    if descriptor is None:  # what cannot be written to is told by who writes
        yield
        return
    until = time.monotonic() + patience
    try:
        while not _free(descriptor):
            if time.monotonic() >= until:
                raise OutputError(problem, remedy)
            time.sleep(_EVERY)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether somebody has the lock of a folder now."""
    descriptor = _open(folder)
    if descriptor is None:
        return False
    try:
        return not _free(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> None:
    """Lock an open file without waiting; ``OSError`` where another has it."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 4096, os.SEEK_SET)  # beyond the text, which others may read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_taken(error: OSError) -> bool:
    """Whether :func:`lock` failed because another has it, and not for want of locks."""
    return error.errno in _TAKEN


def _open(folder: Path) -> int | None:
    try:
        if sys.platform == "win32":
            return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None


def _free(descriptor: int) -> bool:
    """Take a lock that nobody has; True as well where there are none."""
    try:
        lock(descriptor)
    except OSError as error:
        return not is_taken(error)
    return True
