"""The worker in 3D Slicer: by ``qt.QProcess``, and a ``qt.QTimer`` that turns the service. Nothing here waits."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import qt

from ..worker.process import PACKAGE, kill_tree
from ..worker.service import Service

_LEAVING: set[QtProcess] = set()
"""Processes whose input is closed and that have not ended yet: Qt would kill what is destroyed while it runs."""
BUSY_MS = 30
IDLE_MS = 2000


def python_executable() -> str:
    """Slicer's own Python, started with the libraries that it needs."""
    return shutil.which("PythonSlicer") or sys.executable


class QtProcess:
    """A :class:`~PromptSegLib.worker.service.Transport` by ``qt.QProcess``."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        self._said: list[tuple[str, bytes | int]] = []
        self._over = False
        self._process = qt.QProcess()
        settings = qt.QProcessEnvironment()
        for name, value in env.items():
            settings.insert(name, value)
        self._process.setProcessEnvironment(settings)
        self._process.setWorkingDirectory(str(PACKAGE))  # `-m` looks there first
        self._process.connect("readyReadStandardOutput()", self._read)
        self._process.connect("readyReadStandardError()", self._read)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._failed)
        self._process.start(words[0], list(words[1:]))

    @property
    def pid(self) -> int:
        """The child's number; 0 when it is gone."""
        return int(self._process.processId())

    def poll(self) -> list[tuple[str, bytes | int]]:
        """See :class:`~PromptSegLib.worker.service.Transport`."""
        if not self._over:
            self._read()
        found, self._said = self._said, []
        return found

    def write(self, data: bytes) -> None:
        """See :class:`~PromptSegLib.worker.service.Transport`."""
        if not self._over:
            self._process.write(data)

    def terminate(self) -> None:
        """See :class:`~PromptSegLib.worker.service.Transport`."""
        self._process.terminate()

    def kill(self) -> None:
        """With its children: what was started may be a launcher."""
        if self.pid:
            kill_tree(self.pid, patience=0.0)
        self._process.kill()

    def close(self) -> None:
        """The worker ends by itself when its input is closed; until then, this object stays."""
        if not self._over:
            self._over = True
            _LEAVING.add(self)
            with contextlib.suppress(Exception):  # the application may be half gone
                self._process.closeWriteChannel()

    def end(self, patience_ms: int = 500) -> None:
        """Before the application quits or the module is reloaded: nothing of it is left running."""
        with contextlib.suppress(Exception):
            if self._process.state() != qt.QProcess.NotRunning and not self._process.waitForFinished(patience_ms):
                self.kill()
                self._process.waitForFinished(patience_ms)
        _LEAVING.discard(self)

    def _read(self) -> None:
        for kind, read in (("out", "readAllStandardOutput"), ("log", "readAllStandardError")):
            data = as_bytes(getattr(self._process, read)())
            if data:
                self._said.append((kind, data))

    def _finished(self, status: int, how: Any) -> None:
        if self._over:
            _LEAVING.discard(self)
            return
        self._read()
        # Qt tells a crash from an exit, and not which signal it was; 9 is the usual one when memory runs out.
        crashed = how == qt.QProcess.CrashExit
        self._said.append(("end", -int(status) if crashed and status else int(status)))
        self._over = True

    def _failed(self, error: Any) -> None:
        if error == qt.QProcess.FailedToStart:  # other errors are followed by `finished`
            self._said.append(("log", str(self._process.errorString()).encode()))
            self._said.append(("end", 127))
            self._over = True


def end_all() -> None:
    """End what is still leaving; waits for half a second or so."""
    for one in list(_LEAVING):
        one.end()


class EventPump:
    """Polls a service: often while something is under way, now and then otherwise, and never once it is stopped."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self._poll)
        service.wake = self.wake
        self._timer.start(IDLE_MS)

    def wake(self) -> None:
        """There is something to do."""
        if self._timer.interval != BUSY_MS:
            self._timer.start(BUSY_MS)

    def stop(self) -> None:
        """Before the module goes."""
        self._timer.stop()
        self.service.wake = lambda: None

    def _poll(self) -> None:
        self.service.poll()
        if not self.service.active and self._timer.interval != IDLE_MS:
            self._timer.start(IDLE_MS)


def as_bytes(data: Any) -> bytes:
    """What a ``QByteArray`` holds, however the binding gives it."""
    inner = data.data() if hasattr(data, "data") else data
    if isinstance(inner, str):
        return inner.encode("utf-8", "surrogateescape")
    return bytes(inner) if inner is not None else b""
