"""Files that appear whole or not at all.

A result is written to a hidden temporary file beside its target, flushed to disk, and renamed over the target in one
step; whatever goes wrong, or if the user stops, the temporary file is removed and an older file stays as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """A binary, seekable handle whose content becomes ``path`` when the block ends without an exception.

    Raises :class:`OutputError` where the file cannot be written: no folder, no permission, no space left.
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        _refuse_special(target)
        # O_EXCL: never write through a link that someone laid there; mode 0o666 leaves the rights to the user's umask.
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(temporary, flags, 0o666), "w+b") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(target)
    except OSError as error:
        raise _output_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def check_writable(path: PathLike, endings: Sequence[str] = ()) -> None:
    """Raise :class:`OutputError` now if ``path`` could not be written later: to be asked before a long run starts.

    ``endings`` lists what the name may end in; empty means anything. Nothing is left behind.
    """
    if endings:
        known_ending(path, endings)
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        if target.is_dir():
            raise OutputError(f"{target} is a folder, not a file", "give the name of a file in it")
        _refuse_special(target)
        if target.exists() and not os.access(target, os.W_OK):
            raise OutputError(f"{target} is there already and may not be changed", "choose another name")
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise _output_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def known_ending(path: PathLike, endings: Sequence[str]) -> str:
    """The longest of ``endings`` that the file's name ends in, in any case; raises :class:`OutputError` if none."""
    name = Path(path).name.lower()
    fitting = [ending for ending in endings if name.endswith(ending) and len(name) > len(ending)]
    if not fitting:
        known = ", ".join(endings)
        raise OutputError(
            f"The format of {Path(path).name} is not known from its name", f"use one of the endings {known}"
        )
    return max(fitting, key=len)


def _refuse_special(target: Path) -> None:
    """A device or a pipe must not be replaced by a file."""
    if target.exists() and not target.is_file() and not target.is_dir():
        raise OutputError(f"{target} is not an ordinary file", "choose another name")


def _temporary(target: Path) -> Path:
    if not target.name:
        raise OutputError(f"{target} is a folder, not a file", "give the name of a file in it")
    return target.with_name(f".{secrets.token_hex(6)}-{target.name[-60:]}")


def _output_error(target: Path, error: OSError) -> OutputError:
    folder = target.parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{target.name} could not be written: the disk is full", "free some space or choose another folder"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"The folder {folder} may not be written to", "choose another folder")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return OutputError(f"There is no folder {folder}", "make it first or choose another folder")
    return OutputError(f"{target} could not be written ({error.strerror or error})", "choose another folder")
