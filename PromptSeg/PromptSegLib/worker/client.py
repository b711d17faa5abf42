"""The front end's side of the conversation, without a transport: bytes in, events out.

A front end moves the bytes, by ``qt.QProcess`` or by ``subprocess`` (:mod:`.process`), tells the time, and does what
:meth:`Conversation.tick` asks for. So one set of rules, and one set of tests, holds for all of them:

- a request is answered exactly once, by *done* or *error*, also when the worker is killed, runs out of memory, crashes,
  hangs or writes what is no event; the next request finds a worker again;
- cancelling takes three steps: ask; after :data:`TERMINATE_AFTER` seconds without an answer terminate the process;
  after :data:`KILL_AFTER` seconds kill it with its children. The user has the answer after :data:`RELEASE_AFTER`
  seconds in any case; what the worker still says about the request is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..errors import PromptSegError
from .protocol import PROTOCOL, Lines, RequestError, decode_event, decode_request, encode

RELEASE_AFTER = 1.0
TERMINATE_AFTER = 5.0
KILL_AFTER = 10.0
HELLO_WITHIN = 60.0
"""Seconds that a slow disk and a virus scanner may take until Python runs."""
_KILLED = (-9, 137)
_AGAIN = "try again; if it happens again, report it with the log"
_LOG_LINES = 200


class WorkerError(PromptSegError):
    """What the worker, or its end, said went wrong. ``kind`` is "problem", "defect", "request" or "worker"."""

    def __init__(self, problem: str, remedy: str, kind: str) -> None:
        super().__init__(problem, remedy)
        self.kind = kind


class Action(Enum):
    """What the transport must do."""

    NOTHING = "nothing"
    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"


@dataclass
class _Open:
    """A request without an answer: how often it was ``sent``, whether the worker was ``heard`` to work on it, when it
    was ``cancelled``; ``released`` if the user has an answer that the worker has not given."""

    line: bytes
    sent: int = 0
    heard: bool = False
    cancelled: float | None = None
    released: bool = False


class Conversation:
    """With one worker at a time. ``log`` holds the last lines of its standard error; ``hello`` its first event."""

    def __init__(self) -> None:
        self.hello: dict[str, Any] | None = None
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self._open: dict[str, _Open] = {}
        self._outbox = b""
        self._running = False
        self._started = 0.0
        self._lines = Lines()
        self._broken: tuple[str, str] | None = None
        self._asked: set[Action] = set()
        self._cancels = 0

    def is_open(self, identity: str) -> bool:
        """Whether the request waits for its answer."""
        return identity in self._open and not self._open[identity].released

    @property
    def busy(self) -> bool:
        """Whether any request waits for its answer."""
        return any(not one.released for one in self._open.values())

    @property
    def waiting(self) -> bool:
        """Whether the worker still has a request, also one whose user has the answer already."""
        return bool(self._open)

    def request(self, identity: str, do: str, fields: Mapping[str, Any]) -> None:
        """Send a request. Raises :class:`~PromptSegLib.worker.protocol.RequestError` for one that is malformed."""
        line = encode({"id": identity, "do": do, **{k: v for k, v in fields.items() if v is not None}})
        decode_request(line.strip())
        if identity in self._open:
            raise RequestError(f"The id {identity} is in use", "give every request an id of its own")
        call = self._open[identity] = _Open(line)
        if self._running and self._broken is None:
            self._outbox += line
            call.sent += 1

    def cancel(self, identity: str, now: float, *, keep: bool = False) -> None:
        """Ask to stop a request; with ``keep``, tuning is asked to end with the best so far, for which it may take its
        time."""
        call = self._open.get(identity)
        if call is None or call.released:
            return
        self._cancels += 1
        ask = {"id": f"cancel-{self._cancels}", "do": "cancel", "of": identity, "keep": keep}
        if self._running and self._broken is None:
            self._outbox += encode(ask)
        if not keep and call.cancelled is None:
            call.cancelled = now

    def started(self, now: float) -> None:
        """The transport has started a process: everything that has no answer goes to it."""
        self.hello, self._broken = None, None
        self._lines, self._asked = Lines(), set()
        self._running, self._started = True, now
        self._outbox = b"".join(call.line for call in self._open.values())
        for call in self._open.values():
            call.sent += 1

    def outgoing(self) -> bytes:
        """What is to be written to the worker's standard input now."""
        data, self._outbox = self._outbox, b""
        return data

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Events in what came from the worker's standard output."""
        found: list[dict[str, Any]] = []
        for line in self._lines.feed(data):
            if self._broken is not None:
                break
            try:
                event = decode_event(line)
            except RequestError as error:
                if self.hello is None:  # a launcher's greeting
                    self.log.append(repr(line)[:200])
                else:
                    self.log.append(str(error))
                    found += self._break("The computing process wrote something that is no message", _AGAIN)
                continue
            if self.hello is None:
                found += self._greet(event)
            else:
                found += self._hear(event)
        return found

    def feed_log(self, text: str) -> None:
        """Keep what came from the worker's standard error."""
        self.log.extend(line for line in text.splitlines() if line.strip())

    def ended(self, status: int | None) -> list[dict[str, Any]]:
        """The process ended, with its exit status or minus the number of the signal: answers for what was open."""
        self._running, self._outbox = False, b""
        waiting, self._open = self._open, {}
        found = []
        for identity, call in waiting.items():
            if call.released:
                continue
            if call.cancelled is not None:
                found.append(_stopped(identity))
            elif call.sent == 0 or (call.sent == 1 and not call.heard and self._broken is None):
                self._open[identity] = call  # the worker was gone, or was ended because of another: a new one does it
            else:
                found.append(self._failed(identity, status))
        return found

    def not_started(self, why: str) -> list[dict[str, Any]]:
        """The transport could not start a process: answers for what is open."""
        found = self._break(f"The computing process cannot be started ({why})", "install PromptSeg again")
        self._broken = None
        return found

    def tick(self, now: float) -> tuple[list[dict[str, Any]], Action]:
        """To be called a few times a second: answers that are due, and what the transport must do."""
        found = []
        action = Action.NOTHING
        for identity, call in self._open.items():
            if call.cancelled is None:
                continue
            waited = now - call.cancelled
            if waited >= RELEASE_AFTER and not call.released:
                call.released = True
                found.append(_stopped(identity))
            if waited >= KILL_AFTER:
                action = Action.KILL
            elif waited >= TERMINATE_AFTER and action is Action.NOTHING:
                action = Action.TERMINATE
        if not self._running:
            self._open = {identity: call for identity, call in self._open.items() if not call.released}
            return found, Action.START if self._open else Action.NOTHING
        if self.hello is None and self._broken is None and now - self._started >= HELLO_WITHIN:
            last = f": {self.log[-1]}" if self.log else ""
            found += self._break(f"The computing process did not start{last}", "run the self-check")
        if self._broken is not None:
            action = Action.KILL
        if action in self._asked:
            return found, Action.NOTHING
        if action is not Action.NOTHING:
            self._asked.add(action)
        return found, action

    def _greet(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        if event["event"] != "hello" or event.get("protocol") != PROTOCOL:
            return self._break(
                "The computing process belongs to another version of PromptSeg", "restart 3D Slicer or install it again"
            )
        self.hello = event
        return [event]

    def _hear(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        call = self._open.get(event["id"] or "")
        if call is None:
            return [event] if event["id"] is None else []
        call.heard = True
        if event["event"] in ("done", "error"):
            del self._open[event["id"]]
            if call.cancelled is not None and not call.released:
                return [_stopped(event["id"])]  # also if it was done or failed a moment before
        return [] if call.released else [event]

    def _break(self, problem: str, remedy: str) -> list[dict[str, Any]]:
        """Answer what is open, and have the process killed."""
        self._broken = (problem, remedy)
        waiting, self._open = self._open, {}
        return [
            _stopped(identity) if call.cancelled is not None else _error(identity, problem, remedy)
            for identity, call in waiting.items()
            if not call.released
        ]

    def _failed(self, identity: str, status: int | None) -> dict[str, Any]:
        if self._broken is not None:
            return _error(identity, *self._broken)
        if status in _KILLED:
            return _error(
                identity,
                "The computing process was ended by the system, most often because memory ran out",
                "close other programs or crop the volume, then try again",
            )
        how = "" if status is None else f" (signal {-status})" if status < 0 else f" (status {status})"
        if self.hello is None:
            last = f": {self.log[-1]}" if self.log else ""
            return _error(identity, f"The computing process did not start{how}{last}", "run the self-check")
        return _error(identity, f"The computing process ended unexpectedly{how}", _AGAIN)


def _stopped(identity: str) -> dict[str, Any]:
    return {"id": identity, "event": "done", "status": "stopped", "result": {}}


def _error(identity: str, problem: str, remedy: str) -> dict[str, Any]:
    message = f"{problem}; {remedy}."
    return {
        "id": identity,
        "event": "error",
        "kind": "worker",
        "problem": problem,
        "remedy": remedy,
        "message": message,
    }
