"""The rules of the conversation, with bytes and times given by hand."""

from __future__ import annotations

import json

import pytest

from PromptSegLib.worker.client import Action, Conversation
from PromptSegLib.worker.protocol import RequestError

HELLO = {"id": None, "event": "hello", "protocol": 1, "pid": 12}


def say(conversation: Conversation, **event) -> list[dict]:
    return conversation.feed(json.dumps(event).encode() + b"\n")


def lines(data: bytes) -> list[dict]:
    return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def ready() -> Conversation:
    """A worker has said hello, and works on request "a"."""
    conversation = Conversation()
    conversation.request("a", "info", {})
    assert conversation.tick(0.0) == ([], Action.START)
    conversation.started(0.0)
    assert lines(conversation.outgoing()) == [{"id": "a", "do": "info"}]
    assert say(conversation, **HELLO)[0]["pid"] == 12
    say(conversation, id="a", event="stage", stage="begin")
    return conversation


def test_nothing_starts_before_it_is_needed() -> None:
    assert Conversation().tick(100.0) == ([], Action.NOTHING)


def test_a_request_is_answered_once(ready) -> None:
    assert ready.is_open("a")
    assert say(ready, id="a", event="progress", fraction=0.5)[0]["fraction"] == 0.5
    assert say(ready, id="a", event="done", status="done", result={"x": 1})[0]["result"] == {"x": 1}
    assert not ready.busy
    assert say(ready, id="a", event="done", status="done", result={}) == []
    assert say(ready, id="a", event="progress", fraction=0.7) == []


def test_malformed_and_repeated_requests_are_refused_here(ready) -> None:
    with pytest.raises(RequestError, match="no field"):
        ready.request("b", "info", {"x": 1})
    with pytest.raises(RequestError, match="in use"):
        ready.request("a", "info", {})
    assert ready.outgoing() == b""


def test_cancel_asks_then_terminates_then_kills(ready) -> None:
    ready.cancel("a", 100.0)
    assert [(one["do"], one["of"]) for one in lines(ready.outgoing())] == [("cancel", "a")]
    assert ready.tick(100.9) == ([], Action.NOTHING)
    answers, action = ready.tick(101.0)
    assert [one["status"] for one in answers] == ["stopped"]
    assert action is Action.NOTHING
    assert not ready.busy
    assert ready.tick(104.9) == ([], Action.NOTHING)
    assert ready.tick(105.0) == ([], Action.TERMINATE)
    assert ready.tick(105.1) == ([], Action.NOTHING)
    assert ready.tick(110.0) == ([], Action.KILL)
    assert ready.tick(110.1) == ([], Action.NOTHING)
    assert ready.ended(-9) == []
    assert ready.tick(111.0) == ([], Action.NOTHING)


def test_a_worker_that_answers_the_cancel_is_kept(ready) -> None:
    ready.cancel("a", 100.0)
    assert say(ready, id="a", event="done", status="stopped", result={})[0]["status"] == "stopped"
    assert ready.tick(120.0) == ([], Action.NOTHING)


def test_a_worker_that_answers_late_is_kept_and_not_heard_twice(ready) -> None:
    ready.cancel("a", 100.0)
    assert len(ready.tick(101.0)[0]) == 1
    assert say(ready, id="a", event="done", status="done", result={"x": 1}) == []
    assert ready.tick(120.0) == ([], Action.NOTHING)


def test_what_is_done_just_before_the_cancel_arrives_counts_as_stopped(ready) -> None:
    ready.cancel("a", 100.0)
    (answer,) = say(ready, id="a", event="done", status="done", result={"x": 1})
    assert (answer["status"], answer["result"]) == ("stopped", {})


def test_stop_and_keep_waits_for_the_result(ready) -> None:
    ready.cancel("a", 100.0, keep=True)
    assert lines(ready.outgoing())[0]["keep"] is True
    assert ready.tick(130.0) == ([], Action.NOTHING)
    assert say(ready, id="a", event="done", status="done", result={"x": 1})[0]["result"] == {"x": 1}


def test_a_request_that_waits_behind_a_hung_one_is_done_by_the_next_process(ready) -> None:
    ready.request("b", "prompts", {})
    ready.cancel("a", 100.0)
    ready.outgoing()
    ready.tick(101.0), ready.tick(105.0)
    assert ready.ended(-15) == []
    assert ready.tick(105.2) == ([], Action.START)
    ready.started(105.2)
    assert lines(ready.outgoing()) == [{"id": "b", "do": "prompts"}]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (-9, "memory ran out"),
        (137, "memory ran out"),
        (-11, "(signal 11)"),
        (3, "(status 3)"),
        (0, "(status 0)"),
    ],
)
def test_an_end_in_the_middle_gives_one_clear_message_and_the_next_request_a_new_process(ready, status, why) -> None:
    (answer,) = ready.ended(status)
    assert (answer["id"], answer["event"], answer["kind"]) == ("a", "error", "worker")
    assert why in answer["message"]
    assert "try again" in answer["message"]
    assert ready.tick(1.0) == ([], Action.NOTHING)
    ready.request("b", "info", {})
    assert ready.tick(2.0) == ([], Action.START)


def test_a_request_to_a_worker_that_died_while_idle_is_sent_again_but_not_for_ever(ready) -> None:
    say(ready, id="a", event="done", status="done", result={})
    ready.request("b", "info", {})
    assert ready.ended(-9) == []
    assert ready.tick(1.0) == ([], Action.START)
    ready.started(1.0)
    ready.feed_log("Traceback\nImportError: numpy\n")
    (answer,) = ready.ended(1)
    assert answer["problem"] == "The computing process did not start (status 1): ImportError: numpy"


def test_garbage_before_the_greeting_is_noise(ready) -> None:
    ready.ended(0)
    ready.started(1.0)
    assert ready.feed(b"Switch to module: Welcome\n\x00\x01\n") == []
    assert say(ready, **HELLO)
    assert any("Welcome" in line for line in ready.log)


def test_garbage_after_it_ends_the_worker_with_one_message(ready) -> None:
    (answer,) = ready.feed(b"Segmentation fault?\nmore of it\n")
    assert answer["event"] == "error"
    assert "is no message" in answer["message"]
    ready.request("b", "info", {})  # the next click may come before the process is gone
    assert ready.outgoing() == b""
    assert ready.tick(1.0) == ([], Action.KILL)
    assert ready.ended(-9) == []
    assert ready.tick(1.1) == ([], Action.START)


def test_another_version_is_refused() -> None:
    conversation = Conversation()
    conversation.request("a", "info", {})
    conversation.started(0.0)
    (answer,) = say(conversation, id=None, event="hello", protocol=99)
    assert "another version" in answer["message"]
    assert conversation.tick(0.1) == ([], Action.KILL)


def test_a_worker_that_never_greets_is_given_up() -> None:
    conversation = Conversation()
    conversation.request("a", "info", {})
    conversation.started(10.0)
    assert conversation.tick(69.0) == ([], Action.NOTHING)
    (answer,), action = conversation.tick(70.0)
    assert "did not start" in answer["message"]
    assert action is Action.KILL
