"""Ctrl-C and the terminate signal: the first asks a run to stop, the second ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from ..errors import Stopped


class StopOnSignal:
    """While entered, SIGINT and SIGTERM set a flag; calling the object reads it, so that it is a ``should_stop``.

    A second signal raises ``KeyboardInterrupt``, so that temporary files are still taken away, and a third is left to
    the system. Outside the main thread, where Python does not allow handlers, signals are left as they are.
    """

    def __init__(self, *, announce: bool = True) -> None:
        self._announce = announce
        self._count = 0
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether the user asked to stop."""
        return self._count > 0

    def check(self) -> None:
        """Raise :class:`Stopped` if the user asked to stop."""
        if self():
            raise Stopped

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # None: the handler was not installed from Python, and Python cannot put it back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt
        if self._announce:
            # Not by way of sys.stderr: a handler may come in the middle of a write to it.
            with contextlib.suppress(OSError, ValueError):
                if sys.stderr.isatty():
                    os.write(sys.stderr.fileno(), b"\r\x1b[KStopping; press Ctrl-C again to end at once.\n")
