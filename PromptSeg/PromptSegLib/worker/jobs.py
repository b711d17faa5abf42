"""The private folder that arrays pass through between a front end and the worker.

The front end makes it and removes it; the worker removes it too when its standard input closes, so that images are not
left behind by a front end that crashed. Each request has a sub-folder named by its id.

Temporary files may be shared by containers and by computers, whose processes cannot be seen from here. So those who use
a folder keep it locked, and its name tells which system they run on: what is locked, or is another system's, is never
removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import weakref
from collections.abc import Generator
from pathlib import Path

import numpy as np

from ..atomic import replacing
from ..errors import InputError, OutputError, short, system_problem

_PREFIX = "promptseg-jobs-"
_STEP_BYTES = 4 * 2**20


class Jobs:
    """``root`` is a folder that only this user may read (mode 0700), and that is in use while this object lives."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._count = 0
        held = _hold(self.root)
        self._let_go = None if held is None else weakref.finalize(self, os.close, held)

    @classmethod
    def create(cls, parent: Path | str | None = None) -> Jobs:
        """A new one among the temporary files, or in ``parent``; what dead processes left there is removed.

        Raises :class:`OutputError` where no folder can be made.
        """
        place = Path(parent or "the temporary files")
        try:
            place = Path(parent or tempfile.gettempdir())
            for old in place.glob(f"{_PREFIX}*"):
                if _is_left_behind(old):
                    shutil.rmtree(old, ignore_errors=True)
            # mkdtemp gives mode 0700. By its last name, which others look for, the folder is locked from the first.
            made = cls(tempfile.mkdtemp(prefix=".promptseg-", dir=place))
            host, boot = _system()
            name = f"{_PREFIX}{os.getpid()}-{host}-{boot}-{made.root.name.rpartition('-')[2]}"
            made.root = made.root.rename(place / name)
            return made
        except OSError as error:
            raise OutputError(
                f"No folder can be made for temporary files in {place} ({error.strerror or 'none can be used'})",
                "free some space there, or name another folder in the environment variable TMPDIR",
            ) from error

    def new_id(self) -> str:
        """An id that this object gave to no request yet."""
        self._count += 1
        return str(self._count)

    def path(self, file: str) -> Path:
        """Where the file ``<job>/<name>`` is; its folder is made. Raises :class:`InputError` for one outside of
        ``root``."""
        parts = file.split("/")
        if len(parts) != 2 or any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
            raise InputError(f"{short(file)!r} is not a file of a job")
        folder = self.root / parts[0]
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise system_problem(error) or OutputError(
                f"The folder for temporary files {self.root} is gone or full ({error.strerror})", "try again"
            ) from error
        return folder / parts[1]

    def write_array(self, file: str, array: np.ndarray) -> str:
        """Write an array as ``.npy``, complete or not at all, and give ``file`` back. Raises :class:`OutputError`."""
        with replacing(self.path(file), durable=False) as handle:
            np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)
        return file

    def write_in_steps(self, file: str, array: np.ndarray) -> Generator[None, None, str]:
        """As :meth:`write_array`, a few megabytes at each step, for a thread that must not wait. Returns ``file``;
        raises :class:`OutputError`."""
        path = self.path(file)
        unfinished = path.with_name(f".{path.name}")
        step = max(1, _STEP_BYTES * len(array) // max(1, array.nbytes)) if array.ndim else 1
        try:
            with unfinished.open("wb") as handle:
                header = np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(array[:0]))
                np.lib.format.write_array_header_1_0(handle, {**header, "shape": array.shape, "fortran_order": False})
                for first in range(0, len(array), step):
                    handle.write(np.ascontiguousarray(array[first : first + step]).data)
                    yield
            unfinished.replace(path)
        except OSError as error:
            raise system_problem(error) or OutputError(
                f"The volume cannot be passed on: {self.root} is gone or full ({error.strerror})", "free some space"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()
        return file

    def read_array(self, file: str) -> np.ndarray:
        """Read an ``.npy`` of real numbers. Raises :class:`InputError` for one that is missing, damaged or holds
        anything else."""
        try:
            with self.path(file).open("rb") as handle:
                array = np.lib.format.read_array(handle, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise system_problem(error) or InputError(f"The array {file} cannot be read", "try again") from error
        if array.dtype.kind not in "biuf":
            raise InputError(f"The array {file} holds {array.dtype}, not numbers", "pass on real numbers")
        return array

    def remove(self, job: str) -> None:
        """Remove a request's files, if there are any."""
        if job not in ("", ".", "..") and not {"/", "\\", ":"} & set(job):
            shutil.rmtree(self.root / job, ignore_errors=True)

    def close(self) -> None:
        """Remove everything; may be called again."""
        shutil.rmtree(self.root, ignore_errors=True)
        if self._let_go is not None:
            self._let_go()


def _system() -> tuple[str, str]:
    """Short names of the computer or container and of the start of its system, "0" where the system does not tell."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return host, hashlib.sha256(boot.encode()).hexdigest()[:8] if boot else "0"


def _is_left_behind(folder: Path) -> bool:
    """Whether a job folder is certainly nobody's any more: nobody holds its lock, and the lock would show it."""
    process, *owner = folder.name[len(_PREFIX) :].split("-")[:3]
    if len(owner) != 2 or not process.isdigit():
        return False
    (host, boot), (own_host, own_boot) = owner, _system()
    # Locks are seen by all processes of one running system, containers too. Those of another computer may not be.
    if host != own_host and (own_boot == "0" or boot != own_boot):
        return False
    if os.name != "posix":
        return not is_alive(int(process))
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False  # another user's
    try:
        return _lock(descriptor, shared=False)
    finally:
        os.close(descriptor)


def _hold(folder: Path) -> int | None:
    """A descriptor that keeps a folder locked while it is open; None where folders cannot be locked."""
    if os.name != "posix":
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    _lock(descriptor, shared=True)
    return descriptor


def _lock(descriptor: int, *, shared: bool) -> bool:
    """Lock without waiting; False where another has it, or where the file system knows no locks."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_alive(process: int) -> bool:
    """Whether there is a process of that number."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x00100000, False, process)  # SYNCHRONIZE
        if not handle:
            return False
        ended = kernel.WaitForSingleObject(handle, 0) == 0
        kernel.CloseHandle(handle)
        return not ended
    with contextlib.suppress(PermissionError):  # it is there, and is another user's
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
