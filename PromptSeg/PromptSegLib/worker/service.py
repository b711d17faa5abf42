"""The worker as a window's thread sees it: nothing here waits, and everything happens in :meth:`Service.poll`.

A front end calls :meth:`Service.poll` some twenty times a second while something is going on (in Slicer a ``qt.QTimer``
does). Requests and pieces of work are started at once and answer through callbacks, exactly once each. How bytes reach
the worker is the transport's business: ``qt.QProcess`` in Slicer, ``subprocess`` in scripts and tests.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import PromptSegError, Stopped, as_problem
from ..progress import Progress
from .client import Action, Conversation, WorkerError
from .jobs import Jobs
from .process import Process, command, environment

SLICE = 0.02
"""Seconds that pieces of work may take from the window's thread in one turn."""
IDLE_AFTER = 600.0
"""Seconds without work after which the worker is ended, to give its memory back; the next request starts it again."""

Done = Callable[[dict[str, Any]], None]
Failed = Callable[[PromptSegError], None]
Work = Generator[None, None, Any]


class Transport(Protocol):
    """A running worker process."""

    def poll(self) -> list[tuple[str, bytes | int]]:
        """What it said since: ``("out", bytes)``, ``("log", bytes)`` and, once, ``("end", status)``."""

    def write(self, data: bytes) -> None:
        """Write to its standard input, without waiting."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it with its children."""

    def close(self) -> None:
        """Close its input, at which it ends by itself, and forget it."""


StartProcess = Callable[[Sequence[str], Mapping[str, str]], Transport]
"""Starts a command in an environment; raises ``OSError`` where that fails at once."""


class Piped:
    """A :class:`Transport` by ``subprocess``, for scripts and tests."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = Process(words, env)

    @property
    def pid(self) -> int:
        """The child's number."""
        return self._process.pid

    def poll(self) -> list[tuple[str, bytes | int]]:
        """See :class:`Transport`."""
        found = []
        while True:
            try:
                found.append(self._process.said.get_nowait())
            except queue.Empty:
                return found

    def write(self, data: bytes) -> None:
        """See :class:`Transport`."""
        self._process.write(data)

    def terminate(self) -> None:
        """See :class:`Transport`."""
        self._process.terminate()

    def kill(self) -> None:
        """See :class:`Transport`."""
        self._process.kill()

    def close(self) -> None:
        """See :class:`Transport`."""
        self._process.close()


def _as_problem(error: Exception, what: str) -> PromptSegError:
    """What is said of an exception: the user's own problem as it is, a defect with a line in the log."""
    problem = as_problem(error)
    if problem is None:
        logging.getLogger(__name__).exception("%s failed", what)
        detail = f"{type(error).__name__}: {error}"
        problem = PromptSegError(f"PromptSeg made a mistake ({detail})", "report it with the log")
    return problem


class Request:
    """One request under way. ``cancel`` is answered within a second, by ``on_stopped``.

    A listener that raises ends its own request, by ``on_error``, and nothing else; what ``on_error`` and ``on_stopped``
    raise goes to the log.
    """

    def __init__(self, service: Service, identity: str, **listeners: Any) -> None:
        self.id, self.running = identity, True
        self._service, self._listeners = service, listeners

    def cancel(self) -> None:
        """Stop it; what it has done so far is dropped."""
        if self.running:
            self._service.conversation.cancel(self.id, self._service.clock())

    def keep_best(self) -> None:
        """Let tuning end with the best so far."""
        if self.running:
            self._service.conversation.cancel(self.id, self._service.clock(), keep=True)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Pass an event on. Raises nothing."""
        kind = event["event"]
        if kind == "error":
            self._end("on_error", WorkerError(event["problem"], event["remedy"], event["kind"]))
        elif kind == "done" and event["status"] == "stopped":
            self._end("on_stopped")
        elif kind == "done":
            self._end("on_done", dict(event["result"]))
        elif self._listeners.get("on_event") is not None:
            try:
                self._listeners["on_event"](event)
            except Stopped:
                self.cancel()
            except Exception as error:
                problem = _as_problem(error, f"What follows {kind}")
                self._service.let_go(self)
                self._end("on_error", problem)

    def _end(self, name: str, *what: Any) -> None:
        self.running = False
        listeners, self._listeners = self._listeners, {}
        _call_last(listeners.get(name), listeners.get("on_error"), *what)


def _call_last(listener: Callable[..., None] | None, on_error: Failed | None, *what: Any) -> None:
    """Call the last listener of something; where it raises, ``on_error``, unless that is the one. Raises nothing."""
    if listener is None:
        return
    try:
        listener(*what)
    except Exception as error:
        problem = _as_problem(error, "What follows a piece of work")
        if on_error is not None and listener is not on_error:
            _call_last(on_error, None, problem)
        else:
            logging.getLogger(__name__).error("%s", problem)


class Steps:
    """A generator that is run in slices of :data:`SLICE` seconds; what it returns goes to ``then``."""

    def __init__(self, work: Work, then: Callable[[Any], None], on_error: Failed, on_stopped: Callable[[], None]):
        self.running = True
        self._work, self._then, self._on_error, self._on_stopped = work, then, on_error, on_stopped
        self._stop = False

    def cancel(self) -> None:
        """Stop between two steps; ``on_stopped`` follows in the next turn."""
        self._stop = True

    def go(self, until: float, clock: Callable[[], float]) -> None:
        """Do steps until the time is up."""
        if self._stop:
            self.running = False
            with contextlib.suppress(Exception):  # what it would clean up is no reason to hold the others up
                self._work.close()
            _call_last(self._on_stopped, self._on_error)
            return
        last: tuple[Callable[..., None], tuple[Any, ...]]
        try:
            next(self._work)
            while clock() < until and not self._stop:
                next(self._work)
            return
        except StopIteration as end:
            last = self._then, (end.value,)
        except Stopped:
            last = self._on_stopped, ()
        except Exception as error:
            last = self._on_error, (_as_problem(error, "A piece of work"),)
        self.running = False
        _call_last(last[0], self._on_error, *last[1])


class Service:
    """One worker at a time, started when it is needed and again when it is gone.

    ``log`` holds the last lines of its standard error. Raises :class:`~PromptSegLib.errors.OutputError` at the first
    request where no folder for arrays can be made.
    """

    def __init__(
        self,
        start: StartProcess = Piped,
        *,
        backbone: str | Path = "punet-ct",
        device: str = "auto",
        threads: int | None = None,
        python: str = "",
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        idle_after: float = IDLE_AFTER,
    ) -> None:
        self.conversation, self.clock = Conversation(), clock
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something to do: a front end then begins to call :meth:`poll` often."""
        self.idle_after = idle_after
        self._start, self._env = start, env
        self._settings = (str(backbone), device, threads, python)
        self._jobs: Jobs | None = None
        self._process: Transport | None = None
        self._requests: dict[str, Request] = {}
        self._steps: deque[Steps] = deque()
        self._pending: deque[Mapping[str, Any]] = deque()
        self._used = clock()

    @property
    def jobs(self) -> Jobs:
        """The private folder for arrays, made when it is first needed."""
        if self._jobs is None:
            self._jobs = Jobs.create()
        return self._jobs

    @property
    def log(self) -> list[str]:
        """The last lines that the worker wrote to standard error."""
        return list(self.conversation.log)

    @property
    def busy(self) -> bool:
        """Whether a request or a piece of work is under way."""
        return bool(self._requests or self._steps)

    @property
    def active(self) -> bool:
        """Whether :meth:`poll` has anything to do soon: also while a worker that was let go still runs."""
        return self.busy or self.conversation.waiting

    @property
    def warm(self) -> bool:
        """Whether a worker process runs."""
        return self._process is not None

    def request(
        self,
        do: str,
        fields: Mapping[str, Any],
        *,
        identity: str = "",
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        on_done: Done | None = None,
        on_error: Failed | None = None,
        on_stopped: Callable[[], None] | None = None,
    ) -> Request:
        """Begin a request of :mod:`.protocol`. Raises :class:`~.protocol.RequestError` for a malformed one."""
        identity = identity or self.jobs.new_id()
        self.conversation.request(identity, do, fields)
        listeners = {"on_event": on_event, "on_done": on_done, "on_error": on_error, "on_stopped": on_stopped}
        made = self._requests[identity] = Request(self, identity, **listeners)
        self.wake()
        return made

    def steps(
        self,
        work: Work,
        then: Callable[[Any], None],
        on_error: Failed,
        on_stopped: Callable[[], None] = lambda: None,
    ) -> Steps:
        """Begin to run a generator in small slices of the window's time."""
        made = Steps(work, then, on_error, on_stopped)
        self._steps.append(made)
        self.wake()
        return made

    def poll(self) -> None:
        """Move bytes, tell what happened, and do the next slice of work."""
        now = self.clock()
        found, action = self.conversation.tick(now)
        if action is Action.START:
            found += self._begin(now)
        elif self._process is not None and action is Action.TERMINATE:
            self._process.terminate()
        elif self._process is not None and action is Action.KILL:
            self._process.kill()
        if self._process is not None:
            data = self.conversation.outgoing()
            if data:
                self._process.write(data)
            for kind, what in self._process.poll():
                if isinstance(what, int):
                    self._process.close()
                    self._process = None
                    found += self.conversation.ended(what)
                    break
                if kind == "out":
                    found += self.conversation.feed(what)
                else:
                    self.conversation.feed_log(what.decode("utf-8", "replace"))
        # A listener may poll itself, to wait for something: what came first is told first all the same.
        self._pending += found
        while self._pending:
            self._tell(self._pending.popleft())
        if self._steps:
            work = self._steps.popleft()
            work.go(self.clock() + SLICE, self.clock)
            if work.running:
                self._steps.append(work)
        if self.busy:
            self._used = self.clock()
        elif self._process is not None and self.clock() - self._used > self.idle_after:
            self._used = self.clock()
            self.request("leave", {})

    def let_go(self, request: Request) -> None:
        """Stop a request that nobody listens to any more."""
        self._requests.pop(request.id, None)
        self.conversation.cancel(request.id, self.clock())

    def close(self) -> None:
        """End everything: callbacks are not called any more, the process ends by itself, the folder is removed."""
        self._requests.clear()
        self._steps.clear()
        self._pending.clear()
        if self._process is not None:
            self._process.close()
            self._process = None
        self.conversation = Conversation()
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None

    def _begin(self, now: float) -> list[dict[str, Any]]:
        backbone, device, threads, python = self._settings
        words = command(self.jobs.root, backbone, device, threads, python)
        try:
            self._process = self._start(words, environment(self._env))
        except (OSError, ValueError) as error:  # ValueError: a path that no system call takes
            return self.conversation.not_started(f"{words[0]}: {getattr(error, 'strerror', None) or error}")
        self.conversation.started(now)
        return []

    def _tell(self, event: Mapping[str, Any]) -> None:
        request = self._requests.get(event["id"] or "")
        if request is None:
            return
        if event["event"] in ("done", "error"):
            del self._requests[request.id]
        request.hear(event)


def wait(service: Service, running: Callable[[], bool], seconds: float | None = None, pause: float = 0.01) -> bool:
    """Turn until ``running`` says no, for scripts without a window; False if the time is up before."""
    until = None if seconds is None else time.monotonic() + seconds
    while running():
        if until is not None and time.monotonic() > until:
            return False
        service.poll()
        time.sleep(pause)
    return True


def progress_of(event: Mapping[str, Any]) -> Progress | None:
    """A *progress*, *stage* or *metric* event as :class:`~PromptSegLib.progress.Progress`; NaN is a fraction that the
    event does not tell."""
    kind = event["event"]
    if kind == "metric":
        metrics = {k: float(v) for k, v in (event.get("metrics") or {}).items() if v is not None}
        return Progress(str(event.get("stage", "")), float("nan"), "", metrics)
    if kind in ("progress", "stage"):
        fraction = event.get("fraction")
        return Progress(
            str(event.get("stage", "")),
            float("nan") if fraction is None else min(1.0, max(0.0, float(fraction))),
            str(event.get("message", "")),
        )
    return None
