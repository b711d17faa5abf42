"""Files that appear complete or not at all.

A result is written to a hidden temporary file beside its target, flushed to disk, and renamed over the target in one
step; whatever goes wrong, or if the user stops, the temporary file is removed and an older file stays as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError, TakenError, short, system_problem

PathLike = str | os.PathLike[str]
_unfinished: set[Path] = set()
_workplaces: set[Path] = set()
_empty: list[Path] = []
"""Folders that were made for files which are not there yet, the outer ones last."""
_KEPT = ("user.", "system.posix_acl_access")
"""Extended attributes of a replaced file that stay: tags, and who else may read it."""


@contextlib.contextmanager
def replacing(path: PathLike, *, durable: bool = True, new: bool = False) -> Iterator[BinaryIO]:
    """A binary, seekable handle whose content becomes ``path`` when the block ends without an exception.

    A new file gets the rights that the user's umask leaves it. One that takes the place of another gets that one's
    mode and, where the system allows it, its owner, group and extended attributes; symbolic links stay links to it,
    while further hard links keep what they had. ``durable`` waits until the content is on the disk: not needed for what
    does not outlive the process. With ``new``, nothing is replaced: :class:`TakenError` is raised where a file of that
    name is there by then, also one that another process has written meanwhile.

    Raises :class:`OutputError` where the file cannot be written: no folder, no permission, no space left.
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    _unfinished.add(temporary)
    try:
        _refuse(target)
        former = target.stat() if target.exists() else None
        mode = 0o666 if former is None else stat.S_IMODE(former.st_mode) & 0o777
        # O_EXCL: never write through a link that someone laid there. The umask is taken from `mode`: at no time may
        # anyone read the new file who could not read the former one.
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(temporary, flags, mode), "w+b") as handle:
            yield handle
            handle.flush()
            if former is not None:
                _like(handle.fileno(), target, former)
            if durable:
                os.fsync(handle.fileno())
        if new:
            _put(temporary, target)
        else:
            temporary.replace(target)
    except FileExistsError as error:
        raise TakenError(f"{target} is there already", "choose another name") from error
    except OSError as error:
        raise _output_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _unfinished.discard(temporary)


def _put(temporary: Path, target: Path) -> None:
    """Give a file its name. Raises ``FileExistsError`` where there is one of that name."""
    if os.name == "nt":
        temporary.rename(target)
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a disk that knows no second name for a file
        if os.path.lexists(target):
            raise FileExistsError from None
        temporary.replace(target)


@contextlib.contextmanager
def folder_for(path: PathLike) -> Iterator[Path]:
    """Make a folder, with those above it, for what the block writes there. Where the block raises, those that were made
    and hold nothing are taken away again.

    Raises :class:`OutputError` where it cannot be made.
    """
    folder = Path(path)
    made = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    _empty.extend(made)
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _folder_error(folder, error) from error
        yield folder
    except BaseException:
        _remove_empty(made)
        raise
    finally:
        for place in made:
            _empty.remove(place)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove_unfinished() -> None:
    """Take away the temporary files of all that is being written, and the folders that were made for it: for a process
    that ends now, from any thread."""
    for temporary in tuple(_unfinished):
        with contextlib.suppress(OSError):
            temporary.unlink()
    for folder in tuple(_workplaces):
        shutil.rmtree(folder, ignore_errors=True)
    _remove_empty(tuple(_empty))


@contextlib.contextmanager
def workplace(parent: PathLike) -> Iterator[Path]:
    """A hidden folder in ``parent`` for unfinished files, which only the user may read; gone when the block ends, and
    when the process does (:func:`remove_unfinished`). Raises ``OSError``."""
    with tempfile.TemporaryDirectory(prefix=".promptseg-", dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _workplaces.add(folder)
        try:
            yield folder
        finally:
            _workplaces.discard(folder)


def _like(descriptor: int, target: Path, former: os.stat_result) -> None:
    """Give an open file the owner, group, mode and extended attributes of ``target``, as far as the system allows."""
    if os.name != "posix":
        return
    mode = stat.S_IMODE(former.st_mode) & 0o777
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (former.st_uid, former.st_gid):
        try:
            os.fchown(descriptor, former.st_uid, former.st_gid)
        except OSError:
            try:
                os.fchown(descriptor, -1, former.st_gid)
            except OSError:
                # What the former group might do is not for the group that the file has now.
                mode &= ~0o070 | (mode & 0o007) << 3
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # not every file system has them
            wanted = {name: os.getxattr(target, name) for name in os.listxattr(target) if name.startswith(_KEPT)}
            for name in os.listxattr(descriptor):
                if name.startswith(_KEPT) and name not in wanted:  # a folder's default, which may let others in
                    os.removexattr(descriptor, name)
            for name, value in wanted.items():
                os.setxattr(descriptor, name, value)


def check_writable(path: PathLike, endings: Sequence[str] = ()) -> None:
    """Raise :class:`OutputError` now if ``path`` could not be written later: to be asked before a long run starts.

    ``endings`` lists what the name may end in; empty means anything. Nothing is left behind.
    """
    if endings:
        known_ending(path, endings)
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        _refuse(target)
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


def _refuse(target: Path) -> None:
    """Raise :class:`OutputError` for what must not be replaced by a file: a folder, a device, a pipe, a link that leads
    back to itself, and what the user may not change."""
    if target.is_dir():
        raise OutputError(f"{target} is a folder, not a file", "give the name of a file in it")
    if (target.exists() and not target.is_file()) or target.is_symlink():
        raise OutputError(f"{target} is not an ordinary file", "choose another name")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"{target} is there already and may not be changed", "choose another name")


def _temporary(target: Path) -> Path:
    if not target.name:
        raise OutputError(f"{target} is a folder, not a file", "give the name of a file in it")
    return target.with_name(f".{secrets.token_hex(6)}-{target.name[-60:]}")


def _folder_error(folder: Path, error: OSError) -> OutputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    taken = error.errno in (errno.EEXIST, errno.ENOTDIR)
    why = "the disk is full" if full else "there is a file of that name" if taken else error.strerror
    return OutputError(
        f"The folder {short(folder)} cannot be made ({why})", "free some space" if full else "choose another one"
    )


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
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(f"The name {short(target)} is too long for this disk", "choose a shorter one")
    problem = system_problem(error)
    if problem is not None:
        return OutputError(f"{target} could not be written ({error.strerror})", problem.remedy)
    return OutputError(f"{target} could not be written ({error.strerror or error})", "choose another folder")
