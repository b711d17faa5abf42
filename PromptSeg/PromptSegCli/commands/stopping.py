"""Ctrl-C, the terminate signal and a terminal that is closed: the first asks a run to stop, the second ends it.

What computes asks at least five times a second whether to stop. Loading libraries, reading and writing cannot be asked:
a thread that the system wakes at the signal itself then takes temporary files away, says so and ends the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from PromptSegLib.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
NOTHING_WRITTEN = "Stopped; nothing was written."
_PATIENCE = 0.3
"""Seconds from the signal until a process that does not ask is ended."""
_ANNOUNCE = 1.0
"""Seconds from the signal until a run that keeps what it has, and needs longer for it, says that it will."""


class StopOnSignal:
    """While entered, SIGINT, SIGTERM and SIGHUP (unless it is ignored, as after nohup) set a flag; calling the object
    reads it, so that it is a ``should_stop``.

    A second signal raises ``KeyboardInterrupt``, so that temporary files are still taken away, and a third is left to
    the system. Outside the main thread, where Python does not allow handlers, signals are left as they are.

    With ``own_process``, a process that does not ask in time is ended with status 130, with :attr:`sentence`, and once
    left, signals no longer count. ``json_lines`` says that programs read standard output.
    """

    def __init__(self, *, json_lines: bool = False, own_process: bool = False) -> None:
        self.sentence = NOTHING_WRITTEN
        self.ended = False
        """Whether the last word was said, so that nothing may follow it."""
        self._json_lines, self.own_process = json_lines, own_process
        self._count = 0
        self._keeping = 0
        self._left = threading.Event()
        self._before: dict[int, Any] = {}
        self._woken: tuple[socket.socket, socket.socket] | None = None

    def __call__(self) -> bool:
        """Whether the user asked to stop."""
        return self._count > 0

    def check(self) -> None:
        """Raise :class:`Stopped` if the user asked to stop."""
        if self():
            raise Stopped

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """For work that asks, and keeps what it has when it is stopped: it is given the time for that."""
        self._keeping += 1
        try:
            yield
        finally:
            self._keeping -= 1

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._receive)
            if self.own_process:
                self._woken = socket.socketpair()
                for end in self._woken:
                    end.setblocking(False)
                signal.set_wakeup_fd(self._woken[1].fileno(), warn_on_full_buffer=False)
                self._woken[0].setblocking(True)
                threading.Thread(target=self._watch, args=(self._woken[0],), name="signals", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._woken is not None:
            signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            # None: the handler was not installed from Python, and Python cannot put it back.
            former = signal.SIG_DFL if handler is None else handler
            signal.signal(number, signal.SIG_IGN if self.own_process else former)
        self._before.clear()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt

    def _watch(self, source: socket.socket) -> None:
        """Wait for a signal; in a thread of its own, because the main one may be inside a library for long."""
        while True:
            try:
                numbers = source.recv(16)
            except OSError:
                return
            if not numbers:
                return
            if not any(number in SIGNALS for number in numbers) or signal.getsignal(numbers[0]) != self._receive:
                continue
            if self._left.wait(_PATIENCE):
                return
            if not self._keeping:
                self._end()
            if not self._left.wait(_ANNOUNCE - _PATIENCE) and self._count < 2 and not self._json_lines:
                _say(2, "\r\x1b[KStopping; press Ctrl-C again to end at once.\n", terminal=True)

    def _end(self) -> None:
        """End the process now, from any thread."""
        self.ended = True
        atomic = sys.modules.get("PromptSegLib.atomic")  # importing it now could wait for the main thread
        if atomic is not None:
            atomic.remove_unfinished()
        _say(2, "\r\x1b[K\x1b[?25h", terminal=True)  # a progress bar hides the cursor
        _say(2, f"{self.sentence}\n")
        if self._json_lines:
            _say(1, f'{{"event": "stopped", "message": {_json(self.sentence)}}}\n')
        os._exit(130)


def _say(descriptor: int, text: str, *, terminal: bool = False) -> None:
    """Not by way of Python's streams: the main thread may be in the middle of a write to them."""
    with contextlib.suppress(OSError, ValueError):
        if not terminal or os.isatty(descriptor):
            os.write(descriptor, text.encode("utf-8", "backslashreplace"))


def _json(text: str) -> str:
    import json

    return json.dumps(text)
