"""A worker that is told what no request is."""

from __future__ import annotations

import json
import time


def wait_until(true, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(found)


def test_requests_that_are_none_leave_the_worker_as_it_was(own_worker) -> None:
    """Whatever a line holds, it is answered, and the thread that reads goes on."""
    worker = own_worker()
    worker.call("prompts")
    huge = "9" * 400
    answered = [
        json.dumps({"id": "a", "do": "review", "structures": [], "grid": {"size": [1, 1, 1], "origin": ["?", 0, 0],
                    "spacing": [1, 1, 1], "direction": [1, 0, 0, 0, 1, 0, 0, 0, 1]}}).replace('"?"', huge),
        '{"id": "b", "do": "tune", "steps": NaN}', '{"id": "c", "do": "info", "\\ud800": 1}', '{"id": "\\ud800"}',
        f'{{"id": {huge}}}', "[" * 50_000,
    ]  # fmt: skip
    heard = []
    worker.process.write("".join(f"{line}\n" for line in answered).encode())

    def listen() -> bool:
        found, _ = worker.process.said.get(timeout=10)[1], None
        heard.extend(json.loads(line) for line in found.splitlines())
        return len(heard) >= len(answered)

    assert wait_until(listen)
    assert all(event["event"] == "error" and event["kind"] == "request" for event in heard)
    assert [event["id"] for event in heard] == ["a", "b", "c", None, None, None]
    assert worker.call("prompts")["sets"] is not None
