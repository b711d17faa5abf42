"""One thing that was asked for and is under way: pieces of work and requests, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol

from ..errors import PromptSegError, Stopped
from ..progress import OnProgress, Progress
from ..worker.service import Service, progress_of

Listener = Callable[..., None]
PAUSE = 0.01


class Startable(Protocol):
    """A :class:`~PromptSegLib.worker.service.Request` or :class:`~PromptSegLib.worker.service.Steps`."""

    def cancel(self) -> None:
        """Stop the request or the piece of work; its listener hears of it."""


class Job:
    """What was asked for: ``kind`` is "segment", "preview", "teach", "suggest", "review", "export" or "check".

    Exactly one of ``on_done(result)``, ``on_error(PromptSegError)`` and ``on_stopped()`` is called, never within the
    call that made the job; ``on_stopped`` follows within a second of :meth:`cancel`.
    """

    def __init__(
        self,
        kind: str,
        service: Service,
        *,
        on_progress: OnProgress | None = None,
        on_done: Listener | None = None,
        on_error: Listener | None = None,
        on_stopped: Listener | None = None,
        pump: Callable[[], None] | None = None,
    ) -> None:
        self.kind, self.running = kind, True
        self.result: Any = None
        self.problem: PromptSegError | None = None
        self.stopped = False
        self.warned: list[str] = []
        """What the worker noticed on the way, but for what it says of the volume itself."""
        self._service, self._pump = service, pump
        self._on_progress, self._on_done, self._on_error, self._on_stopped = on_progress, on_done, on_error, on_stopped
        self._now: Startable | None = None
        self._fraction = 0.0
        self._cleanup: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Stop it; nothing of it is kept."""
        if self.running and self._now is not None:
            self._now.cancel()

    def keep_best(self) -> None:
        """Let teaching end with the best so far; anything else is cancelled."""
        if self.running and self._now is not None:
            getattr(self._now, "keep_best", self._now.cancel)()

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the end, while the window goes on; gives the result.

        Raises what went wrong, :class:`~PromptSegLib.errors.Stopped` where it was cancelled, ``TimeoutError``.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.running:
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"{self.kind} takes longer than {timeout:g} s")
            self._service.poll()
            if self._pump is not None:
                self._pump()
            time.sleep(PAUSE)
        if self.problem is not None:
            raise self.problem
        if self.stopped:
            raise Stopped
        return self.result

    def finally_do(self, cleanup: Callable[[], None]) -> None:
        """Do this when the job ends, however it ends."""
        self._cleanup.append(cleanup)

    def do_steps(self, work: Generator[None, None, Any], then: Callable[[Any], None]) -> None:
        """Go on with a piece of work in the window's thread."""
        self._now = self._service.steps(work, then, self.fail, self.stop)

    def do_request(
        self,
        do: str,
        fields: Mapping[str, Any],
        then: Callable[[dict[str, Any]], None],
        *,
        identity: str,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Go on with a request to the worker."""

        def hear(event: Mapping[str, Any]) -> None:
            found = progress_of(event)
            if found is not None:
                self.tell(found)
            if event["event"] == "warning" and event.get("about") != "volume" and event["message"] not in self.warned:
                self.warned.append(str(event["message"]))
            if on_event is not None and (found is None or "computer" in event):
                on_event(event)

        self._now = self._service.request(
            do,
            fields,
            identity=identity,
            on_event=hear,
            on_done=then,
            on_error=self.fail,
            on_stopped=self.stop,
        )

    def go_on(self, other: Job) -> None:
        """Go on with another job, whose listeners end this one; what it is warned of is this one's, too."""
        self._now = other
        other.warned = self.warned

    def tell(self, progress: Progress) -> None:
        """Pass progress on; a fraction that is not told stays as it was."""
        if progress.fraction == progress.fraction:
            self._fraction = max(self._fraction, progress.fraction)
        if self._on_progress is not None and self.running:
            self._on_progress(Progress(progress.stage, self._fraction, progress.message, progress.metrics))

    def finish(self, result: Any) -> None:
        """End with a result: ``on_done`` hears it."""
        self.result = result
        self._end(self._on_done, result)

    def fail(self, problem: PromptSegError) -> None:
        """End with what went wrong: ``on_error`` hears it."""
        self.problem = problem
        self._end(self._on_error, problem)

    def stop(self) -> None:
        """End as cancelled: ``on_stopped`` is called."""
        self.stopped = True
        self._end(self._on_stopped)

    def drop(self) -> None:
        """End it without telling anybody but ``on_stopped``: what it was for is gone."""
        if self.running:
            self.cancel()
            self.stop()

    def abandon(self, problem: PromptSegError) -> None:
        """End it now, with what went wrong."""
        if self.running:
            self.cancel()
            self.fail(problem)

    def _end(self, listener: Listener | None, *what: Any) -> None:
        if not self.running:
            return
        self.running = False
        for cleanup in self._cleanup:
            try:
                cleanup()
            except Exception:  # whatever it is: the others, and who waits for the end, are told all the same
                logging.getLogger(__name__).exception("What follows the end of %r failed", self.kind)
        if listener is not None:
            listener(*what)
