"""Processes on this computer that stay warm: each gets the next volume when it is free.

One that dies takes nothing with it but the volume that it had, which is done once more, alone and with all the memory
there is; so a volume that is too large for its share of the memory, or that lost its process to another program's
hunger, is not lost, and one that kills every process is told of.
"""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PromptSegLib.errors import OutputError, PromptSegError
from PromptSegLib.worker.process import Process, environment

from .folder import remove_unfinished
from .manifest import FAILED, Record
from .process import TOO_LARGE
from .task import Task

_LOG = 4000
_MAX_STARTS = 3
"""Processes in a row that end before they have done anything: then something else is wrong."""


@dataclass
class _Slot:
    """A place for one process, on one device."""

    device: str
    process: Process | None = None
    task: Task | None = None
    alone: bool = False
    """Whether its process has all the memory."""
    fraction: float = 0.0
    heard: bool = False
    """Whether its process has said anything."""
    rest: bytes = b""
    log: bytes = b""


class Pool:
    """``devices`` has one device for each process. ``memory`` (MiB) is what all of them may take together; None is no
    limit. :meth:`poll` gives what is done; closing ends all within a second."""

    def __init__(
        self, tasks: Iterable[Task], devices: Sequence[str], threads: int | None = None, memory: float | None = None
    ) -> None:
        self._slots = [_Slot(device) for device in devices]
        self._waiting = deque(tasks)
        self._again: deque[Task] = deque()
        self._why: dict[str, str] = {}
        self._threads, self._memory = threads, memory
        self._failed_starts = 0
        self.note = ""

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """How many volumes are done at once."""
        return len(self._slots)

    @property
    def open(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting or self._again or any(slot.task for slot in self._slots))

    @property
    def under_way(self) -> float:
        """How much is done of the volumes that are being done: a number of volumes."""
        return sum(slot.fraction for slot in self._slots if slot.task)

    def poll(self, seconds: float) -> list[Record]:
        """What was done within a moment. Raises :class:`PromptSegError` where no volume can be done at all."""
        self._assign()
        found: list[Record] = []
        until = time.monotonic() + seconds
        while True:
            for slot in self._slots:
                found += self._hear(slot)
            if found or time.monotonic() >= until:
                return found
            time.sleep(0.01)

    def close(self) -> None:
        """End all processes, each of which takes its unfinished files away; nothing is left after a second."""
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            assert slot.process is not None
            slot.process.close_input()
        until = time.monotonic() + 0.6
        for slot in running:
            assert slot.process is not None
            slot.process.close(max(0.0, until - time.monotonic()))
            if slot.task is not None:
                remove_unfinished(Path(slot.task.root, slot.task.output))
            slot.process, slot.task = None, None
        self._waiting.clear()
        self._again.clear()

    def _assign(self) -> None:
        """Give what waits to free processes. What must be alone waits until all others are done."""
        for slot in self._slots:
            if slot.task is None and self._waiting and not any(one.alone and one.task for one in self._slots):
                self._give(slot, self._waiting.popleft(), alone=len(self._slots) == 1)
        if self._again and not self._waiting and not any(slot.task for slot in self._slots):
            for slot in self._slots[1:]:
                self._end(slot)  # what they hold is memory that the one may need
            self._give(self._slots[0], self._again.popleft(), alone=True)

    def _give(self, slot: _Slot, task: Task, *, alone: bool) -> None:
        if slot.process is not None and slot.alone != alone:
            self._end(slot)
        if slot.process is None:
            slot.alone, slot.rest, slot.log, slot.heard = alone, b"", b"", False
            slot.process = self._start(None if self._memory is None else self._memory / (1 if alone else self.workers))
        slot.task, slot.fraction = task, 0.0
        slot.process.write(json.dumps({**task.to_json(), "device": slot.device}).encode() + b"\n")

    def _start(self, memory: float | None) -> Process:
        words = [sys.executable, "-m", "PromptSegCli.cohort.process"]
        words += [] if self._threads is None else ["--threads", str(self._threads)]
        words += [] if memory is None else ["--memory", f"{memory:.0f}"]
        try:
            return Process(words, environment())
        except OSError as error:
            raise PromptSegError(f"No process can be started ({error.strerror})", "close other programs") from error

    def _end(self, slot: _Slot) -> None:
        if slot.process is not None:
            slot.process.close()
            slot.process = None

    def _hear(self, slot: _Slot) -> list[Record]:
        found: list[Record] = []
        while slot.process is not None:
            try:
                kind, what = slot.process.said.get_nowait()
            except queue.Empty:
                break
            if isinstance(what, int):
                found += self._ended(slot, what)
            elif kind == "log":
                slot.log = (slot.log + what)[-_LOG:]
            else:
                *lines, slot.rest = (slot.rest + what).split(b"\n")
                for line in lines:
                    found += self._take(slot, json.loads(line))
        return found

    def _take(self, slot: _Slot, event: dict[str, Any]) -> list[Record]:
        slot.heard, self._failed_starts = True, 0
        if event["event"] == "progress":
            slot.fraction = float(event["fraction"] or 0.0)
        elif event["event"] == "refused":
            raise PromptSegError(event["problem"], event["remedy"])
        elif event["event"] == "record" and slot.task is not None:
            slot.task = None
            return [Record.from_json(event["record"])]
        return []

    def _ended(self, slot: _Slot, status: int) -> list[Record]:
        """What becomes of the volume that a process had when it died."""
        assert slot.process is not None
        slot.process.close()
        slot.process = None
        task, slot.task = slot.task, None
        if task is None:
            return []
        with contextlib.suppress(OSError, OutputError):
            remove_unfinished(Path(task.root, task.output))
        why, kind = self._reason(status), "memory" if status == TOO_LARGE else "process"
        if not slot.heard and kind == "process":
            self._failed_starts += 1
            if self._failed_starts > _MAX_STARTS + self.workers:
                last = slot.log.decode("utf-8", "replace").strip().splitlines()[-1:]
                raise PromptSegError(
                    f"The computing processes end before they have done anything ({' '.join([why, *last])})",
                    "segment one of the volumes with promptseg segment --debug and report what it prints",
                )
        if not slot.alone or (kind == "process" and task.subject not in self._why):
            self._why[task.subject] = why
            self._again.append(task)
            return []
        problem = self._sentence(task, why, kind)
        return [Record(task.subject, task.image, task.key, FAILED, problem=problem, kind=kind)]

    def _reason(self, status: int) -> str:
        if status == TOO_LARGE:
            return "it needs more memory than it may take"
        if status < 0:
            name = next((one.name for one in signal.Signals if one == -status), str(-status))
            return f"its process was ended by {name}"
        return f"its process ended with status {status}"

    def _sentence(self, task: Task, why: str, kind: str) -> str:
        if kind == "memory":
            limit = f" ({self._memory / 1024:.1f} GB)" if self._memory else ""
            return str(
                PromptSegError(
                    f"{task.subject} needs more memory than the run may take{limit}",
                    "allow more with --memory, or crop it",
                )
            )
        return str(
            PromptSegError(
                f"{task.subject} could not be done: {why}, twice",
                "the memory may not be enough or a file damaged: try promptseg segment with it alone",
            )
        )
