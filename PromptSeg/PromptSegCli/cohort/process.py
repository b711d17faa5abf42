"""A process of our own that segments one volume after the other: tasks come in as JSON lines, records go out.

It ends when its input closes, whatever it is doing, and when it takes more memory than it may.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from PromptSegLib.errors import PromptSegError, Stopped, as_problem
from PromptSegLib.progress import Progress
from PromptSegLib.threads import wait_passively
from PromptSegLib.worker.serve import take_over_pipes

TOO_LARGE = 75
"""Exit status of a process that needed more memory than it may take."""
_EVERY = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until standard input closes; ends the process."""
    wait_passively()
    parser = argparse.ArgumentParser("python -m PromptSegCli.cohort.process", description=__doc__, allow_abbrev=False)
    parser.add_argument("--threads", metavar="N", type=int, help="threads of the CPU")
    parser.add_argument("--memory", metavar="MIB", type=float, help="how much memory the process may take")
    args = parser.parse_args(arguments)
    source, sink = take_over_pipes()
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker(source, sink, args.threads, args.memory).run()
    return 0


class _Worker:
    def __init__(self, source: int, sink: int, threads: int | None, memory: float | None) -> None:
        self._source, self._sink, self._threads, self._memory = source, sink, threads, memory
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        self._writing = threading.Lock()
        self._said = 0.0

    def run(self) -> None:
        """Take one task after the other."""
        threading.Thread(target=self._read, name="tasks", daemon=True).start()
        if self._memory is not None:
            threading.Thread(target=self._watch, args=(self._memory,), name="memory", daemon=True).start()
        from .job import JobEngine, perform
        from .task import Task

        engine = JobEngine(self._threads)
        while True:
            values = self._waiting.get()
            try:
                record = perform(Task.from_json(values), engine, self._progress)
                self._tell(event="record", record=record.to_json() | {"peak_mib": _peak()})
            except Stopped:
                end()
            except Exception as error:
                problem = as_problem(error)
                if problem is None:
                    import traceback

                    traceback.print_exc()
                    problem = PromptSegError(f"This is a defect in PromptSeg ({type(error).__name__}: {error})")
                self._tell(event="refused", problem=problem.problem, remedy=problem.remedy)

    def _progress(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._said > _EVERY:
            self._said = now
            self._tell(event="progress", fraction=progress.fraction)

    def _tell(self, **event: Any) -> None:
        data = json.dumps(event).encode() + b"\n"
        with self._writing:
            try:
                while data:
                    data = data[os.write(self._sink, data) :]
            except OSError:  # nobody listens any more
                end()

    def _read(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while data := os.read(self._source, 65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._waiting.put(json.loads(line))
        end()

    def _watch(self, limit: float) -> None:
        """End the process when it has taken more memory than it may: before the system ends another one for it."""
        while True:
            taken = _peak()
            if taken is not None and taken > limit:
                end(TOO_LARGE)
            time.sleep(0.05)


def end(status: int = 0) -> None:
    """End the process now, from any thread, and leave nothing unfinished behind."""
    from PromptSegLib.atomic import remove_unfinished

    remove_unfinished()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(status)


def _peak() -> float | None:
    from PromptSegCli.memory_limit import peak_memory_mib

    return peak_memory_mib()


if __name__ == "__main__":
    sys.exit(main())
