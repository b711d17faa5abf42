"""The folder of results: who writes to it, and where in it things are."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from PromptSegLib.atomic import check_writable
from PromptSegLib.errors import OutputError
from PromptSegLib.locked import is_taken, lock

STATE = ".cohort"
"""The folder in it that holds what is known about the run."""


class Folder:
    """``root`` with results, the report and :data:`STATE`; locked while entered, so that one run writes to it.

    Entering raises :class:`OutputError` where it cannot be made or written, or another run has it. The lock is the
    system's: it is gone with the process, however that ends.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self.state = self.root / STATE
        self.token = self.state / f"run-{secrets.token_hex(8)}"
        """A file that is there as long as the run goes on: workers elsewhere look whether they see it."""
        self._lock: int | None = None

    @property
    def manifest(self) -> Path:
        """What is done."""
        return self.state / "manifest.jsonl"

    @property
    def results(self) -> Path:
        """The table for programs."""
        return self.root / "results.csv"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.root / "report.html"

    def details(self, subject: str) -> Path:
        """What is kept of one volume: its record and the pictures of its structures."""
        return self.state / "volumes" / f"{subject}.json"

    def __enter__(self) -> Folder:
        try:
            self.state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot(self.root, error) from error
        for place in (self.root, self.state):
            check_writable(place / secrets.token_hex(6))
        self._take_lock()
        try:
            for old in self.state.glob("run-*"):
                old.unlink()
            self.token.write_text("")
        except OSError as error:
            self._give_lock()
            raise _cannot(self.root, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._give_lock()

    def stop(self) -> None:
        """Take the token away, which ends what still works for this run elsewhere."""
        with contextlib.suppress(OSError):
            self.token.unlink()

    def _take_lock(self) -> None:
        path = self.state / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise _cannot(self.root, error) from error
        try:
            lock(descriptor)
        except OSError as error:
            if is_taken(error):
                who = os.read(descriptor, 200).decode("utf-8", "replace").strip()
                os.close(descriptor)
                raise OutputError(
                    f"Another run writes to {self.root}{f' ({who})' if who else ''}",
                    "wait until it has ended, or choose another folder",
                ) from error
            # The file system knows no locks: whole files keep each run's results whole all the same.
        self._lock = descriptor
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())

    def _give_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _cannot(root: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"The disk of {root} is full", "free some space or choose another folder")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return OutputError(f"{root} is a file or lies below one", "choose another folder for the results")
    return OutputError(f"The folder {root} cannot be written to ({error.strerror})", "choose another folder")


def unfinished(path: Path) -> Iterator[Path]:
    """The temporary files that a process which was killed left beside ``path``."""
    for one in path.parent.glob(".*-*"):
        mark, _, name = one.name[1:].partition("-")
        if len(mark) == 12 and name == path.name[-60:]:
            yield one


def remove_unfinished(path: Path) -> None:
    """Take these away: nobody writes them any more."""
    for one in unfinished(path):
        with contextlib.suppress(OSError):
            one.unlink()
