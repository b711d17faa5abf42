"""The worker as a window's thread sees it: whatever a listener does, every other request and piece of work goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from PromptSegLib.errors import InputError, PromptSegError, Stopped
from PromptSegLib.worker.service import Service


class Spoken:
    """A transport that says what it is told to, and keeps what is written to it."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes | int]] = []
        self.written = b""

    def say(self, *events: dict[str, Any]) -> None:
        """All in one turn."""
        self.said.append(("out", b"".join(json.dumps(event).encode() + b"\n" for event in events)))

    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written.splitlines()]

    def poll(self) -> list[tuple[str, bytes | int]]:
        found, self.said = self.said, []
        return found

    def write(self, data: bytes) -> None:
        self.written += data

    def terminate(self) -> None:
        pass

    def kill(self) -> None:
        self.said.append(("end", -9))

    def close(self) -> None:
        pass


class Heard(dict):
    """The listeners of a request: those of ``raising`` raise what they are given after they took note."""

    def __init__(self, raising: tuple[str, ...] = (), error: BaseException | None = None) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.problem: PromptSegError | None = None
        for name in ("on_event", "on_done", "on_error", "on_stopped"):
            self[name] = self._listener(name, name in raising, error or KeyError("oops"))

    def _listener(self, name: str, raises: bool, error: BaseException):
        def listen(*what: Any) -> None:
            self.calls.append(name)
            if name == "on_error":
                (self.problem,) = what
            if raises:
                raise error

        return listen


@pytest.fixture
def ready():
    """(a service, its transport), with a worker that has said hello."""
    spoken, now = Spoken(), [0.0]
    service = Service(lambda words, env: spoken, clock=lambda: now[0])
    service.now = now
    hello = service.request("info", {}, identity="hello")
    service.poll()
    spoken.say({"id": None, "event": "hello", "protocol": 1}, done("hello"))
    service.poll()
    assert not hello.running
    spoken.written = b""
    yield service, spoken
    service.close()


def done(identity: str, status: str = "done") -> dict[str, Any]:
    return {"id": identity, "event": "done", "status": status, "result": {}}


def error(identity: str) -> dict[str, Any]:
    return {
        "id": identity,
        "event": "error",
        "kind": "problem",
        "problem": "No",
        "remedy": "try",
        "message": "No; try.",
    }


def stage(identity: str) -> dict[str, Any]:
    return {"id": identity, "event": "stage", "stage": "begin", "message": ""}


@pytest.mark.parametrize(
    ("raising", "event"),
    [
        (("on_done",), done("a")),
        (("on_event",), stage("a")),
        (("on_error",), error("a")),
        (("on_stopped",), done("a", "stopped")),
        (("on_done", "on_error"), done("a")),
        (("on_event", "on_error"), stage("a")),
        (("on_stopped", "on_error"), done("a", "stopped")),
    ],
)
def test_a_listener_that_raises_takes_nothing_from_the_others(ready, raising, event, caplog) -> None:
    service, spoken = ready
    bad, good, steps = Heard(raising), Heard(), Heard()
    service.request("info", {}, identity="a", **bad)
    service.request("info", {}, identity="b", **good)
    service.steps((None for _ in range(3)), steps["on_done"], steps["on_error"])
    service.poll()
    spoken.say(event, stage("b"), done("b"))
    service.poll()
    assert good.calls == ["on_event", "on_done"]
    assert steps.calls == ["on_done"]
    assert bad.calls.count("on_error") == 1
    spoken.say(done("a"))  # as the worker does, sooner or later, where it is let go
    service.poll()
    assert not service.busy
    assert "oops" in caplog.text


def test_it_ends_its_own_request_by_an_error_and_the_worker_is_told_to_stop(ready) -> None:
    service, spoken = ready
    heard = Heard(("on_event",))
    request = service.request("info", {}, identity="a", **heard)
    service.poll()
    spoken.say(stage("a"), stage("a"))
    service.poll()
    service.poll()
    assert heard.calls == ["on_event", "on_error"]
    assert "PromptSeg made a mistake (KeyError: 'oops')" in str(heard.problem)
    assert not request.running
    assert [one["of"] for one in spoken.asked() if one["do"] == "cancel"] == ["a"]


def test_a_user_s_problem_in_a_listener_is_told_as_it_is(ready) -> None:
    service, spoken = ready
    heard = Heard(("on_done",), InputError("The volume is gone", "load it again"))
    service.request("info", {}, identity="a", **heard)
    service.poll()
    spoken.say(done("a"))
    service.poll()
    assert str(heard.problem) == "The volume is gone; load it again."


def test_a_listener_that_was_stopped_stops_its_request(ready) -> None:
    service, spoken = ready
    heard = Heard(("on_event",), Stopped())
    service.request("info", {}, identity="a", **heard)
    service.poll()
    spoken.say(stage("a"))
    service.poll()
    service.now[0] += 2
    service.poll()
    assert heard.calls == ["on_event", "on_stopped"]


@pytest.mark.parametrize("where", ["then", "work", "close", "on_stopped"])
def test_a_piece_of_work_that_raises_takes_nothing_from_the_others(ready, where) -> None:
    service, _ = ready
    heard, other = Heard(("on_done", "on_stopped") if where in ("then", "on_stopped") else ()), Heard()

    def work():
        try:
            yield
            if where == "work":
                raise KeyError("oops")
            if where in ("close", "on_stopped"):
                while True:
                    yield
        finally:
            if where == "close":
                raise KeyError("oops")

    steps = service.steps(work(), heard["on_done"], heard["on_error"], heard["on_stopped"])
    service.steps((None for _ in range(3)), other["on_done"], other["on_error"])
    clock = service.clock
    service.clock = lambda: service.now.append(0) or len(service.now)  # each look at the clock ends a slice
    service.poll()
    if where in ("close", "on_stopped"):
        steps.cancel()
    for _ in range(20):
        service.poll()
    service.clock = clock
    assert other.calls == ["on_done"]
    assert not steps.running
    assert not service.busy
    assert ("on_error" in heard.calls) == (where != "close")


def test_what_came_first_is_told_first_also_when_a_listener_waits(ready) -> None:
    service, spoken = ready
    order: list[str] = []

    def wait(_: Any) -> None:
        order.append("a")
        spoken.say(done("c"))
        service.poll()

    service.request("info", {}, identity="a", on_done=wait)
    service.request("info", {}, identity="b", on_done=lambda _: order.append("b"))
    service.request("info", {}, identity="c", on_done=lambda _: order.append("c"))
    service.poll()
    spoken.say(done("a"), done("b"))
    service.poll()
    assert order == ["a", "b", "c"]


def test_a_program_that_no_system_call_takes_is_a_sentence(ready) -> None:
    def start(words, env):
        raise ValueError("embedded null byte")

    heard = Heard()
    service = Service(start)
    service.request("info", {}, **heard)
    service.poll()
    assert "cannot be started" in str(heard.problem)
    service.close()
