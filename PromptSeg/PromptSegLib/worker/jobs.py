"""The private folder that arrays pass through between a face and the worker.

The face makes it and removes it; the worker removes it too when its standard input closes, so that images are not left
behind by a face that crashed. Each request has a sub-folder named by its id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import numpy as np

from ..errors import InputError, OutputError
from ..volumes.atomic import replacing

_PREFIX = "promptseg-jobs-"
_STEP_BYTES = 4 * 2**20


class Jobs:
    """``root`` is a folder that only this user may read (mode 0700)."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._count = 0

    @classmethod
    def create(cls, parent: Path | str | None = None) -> Jobs:
        """A new one among the temporary files, or in ``parent``; what dead processes left there is removed.

        Raises :class:`OutputError` where no folder can be made.
        """
        place = Path(parent or tempfile.gettempdir())
        try:
            for old in place.glob(f"{_PREFIX}*"):
                owner = old.name[len(_PREFIX) :].partition("-")[0]
                if owner.isdigit() and not is_alive(int(owner)):
                    shutil.rmtree(old, ignore_errors=True)  # does nothing to another user's
            # mkdtemp gives mode 0700.
            return cls(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
        except OSError as error:
            raise OutputError(
                f"No folder can be made for temporary files in {place} ({error.strerror})", "free some space there"
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
            raise InputError(f"{file!r} is not a file of a job")
        folder = self.root / parts[0]
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder for temporary files {self.root} is gone or full ({error.strerror})", "try again"
            ) from error
        return folder / parts[1]

    def write_array(self, file: str, array: np.ndarray) -> str:
        """Write an array as ``.npy``, whole or not at all, and give ``file`` back. Raises :class:`OutputError`."""
        with replacing(self.path(file)) as handle:
            np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)
        return file

    def write_in_steps(self, file: str, array: np.ndarray) -> Generator[None, None, str]:
        """As :meth:`write_array`, a few megabytes at each step: for a thread that must not be held up."""
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
            raise OutputError(
                f"The volume cannot be passed on: {self.root} is gone or full ({error.strerror})", "free some space"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()
        return file

    def read_array(self, file: str) -> np.ndarray:
        """Read an ``.npy``. Raises :class:`InputError` for one that is missing, damaged or holds Python objects."""
        try:
            with self.path(file).open("rb") as handle:
                return np.lib.format.read_array(handle, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"The array {file} cannot be read", "try again") from error

    def remove(self, job: str) -> None:
        """Remove a request's files, if there are any."""
        if job not in ("", ".", "..") and not {"/", "\\", ":"} & set(job):
            shutil.rmtree(self.root / job, ignore_errors=True)

    def close(self) -> None:
        """Remove everything; may be called again."""
        shutil.rmtree(self.root, ignore_errors=True)


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
