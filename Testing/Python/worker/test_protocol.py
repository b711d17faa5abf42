"""Lines in and out: what is refused, what is cut, what JSON cannot say."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from PromptSegLib.worker.process import PACKAGE
from PromptSegLib.worker.protocol import MAX_BYTES, REQUESTS, Lines, RequestError, decode_event, decode_request, encode

GRID = {"size": [3, 4, 5], "origin": [0, 0, 0.5], "spacing": [1, 1, 2], "direction": [1, 0, 0, 0, 1, 0, 0, 0, 1]}
VOLUME = {"file": "1/volume.npy", "grid": GRID, "name": "CT", "modality": "CT"}
ANNOTATIONS = {"axis": 0, "grid": GRID, "file": "1/drawn.npy", "slices": [{"index": 2, "status": "complete"}]}
STRUCTURE = {"name": "left kidney", "colour": [0.1, 0.2, 0.3], "code": None}
BOX = {"file": "1/m.npy", "low": [0, 1, 2]}
GOOD = [
    {"do": "set_volume", "volume": VOLUME},
    {"do": "segment", "prompts": ["abdomen-ct:liver"], "drawn": {"liver": ANNOTATIONS}, "maps": ["uncertainty"]},
    {"do": "tune", "annotations": ANNOTATIONS, "structure": STRUCTURE, "steps": 0, "segment": True, "volume": VOLUME},
    {"do": "suggest", "annotations": ANNOTATIONS, "prompt": "own.promptset", "limit": 2},
    {"do": "export", "prompts": [{"file": "own.promptset", "name": "liver"}], "memory": True},
    {"do": "prompts", "folders": ["/somewhere"]},
    {"do": "info"},
    {"do": "describe", "dataset": "/data/dataset.json"},
    {"do": "gather", "folder": "/r", "number": 1, "volume": VOLUME, "structure": "liver", "mask": BOX},
    {"do": "learn", "folder": "/r", "structure": STRUCTURE, "validation": 0.25, "time_budget": 60, "resume": True},
    {"do": "leave"},
    {"do": "review", "grid": GRID, "structures": [{"name": "liver", "mask": BOX}]},
    {"do": "cancel", "of": "7", "keep": True},
]


def line(**fields) -> bytes:
    return json.dumps({"id": "1", **fields}).encode()


def test_every_request_is_understood() -> None:
    assert {request["do"] for request in GOOD} == set(REQUESTS)
    for request in GOOD:
        assert decode_request(line(**request)) == {"id": "1", **request}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"do": "info"}', "id must be"),
        (b'{"id": "../x", "do": "info"}', "id must be"),
        (b'{"id": "1", "do": "format_disk"}', "no request 'format_disk'"),
        (line(do="info", more=1), "info has no field 'more'"),
        (line(do="segment"), "segment lacks the field 'prompts'"),
        (line(do="segment", prompts="liver"), "segment.prompts is not a list"),
        (line(do="segment", prompts=[3]), r"segment.prompts\[0\] is not a text"),
        (line(do="segment", prompts=["a"], maps=["__class__"]), r"maps\[0\] is not one of probability"),
        (line(do="set_volume", volume={**VOLUME, "file": "../../etc/passwd"}), "volume.file is not a file in a job"),
        (line(do="set_volume", volume={**VOLUME, "file": "1/.."}), "volume.file is not a file in a job"),
        (line(do="set_volume", volume={**VOLUME, "grid": {**GRID, "spacing": [1, 1, float("nan")]}}), "not a number"),
        (line(do="tune", annotations={**ANNOTATIONS, "axis": 3}, structure=STRUCTURE), "axis is not 0, 1 or 2"),
        (line(do="learn", folder="/r", structure=STRUCTURE, validation=1), "validation is not a share"),
        (line(do="learn", folder="/r", structure=STRUCTURE, datasets="a"), "datasets is not a list"),
        (line(do="tune", annotations=ANNOTATIONS, structure=STRUCTURE, steps=True), "steps is not a whole number"),
        (line(do="tune", annotations=ANNOTATIONS, structure=STRUCTURE, steps=-1), "steps is not a whole number"),
    ],
)
def test_a_malformed_request_is_refused_with_its_reason(bad, why) -> None:
    with pytest.raises(RequestError, match=why):
        decode_request(bad)


def test_lines_may_come_in_any_pieces() -> None:
    data = b'{"a": 1}\n\n  \r\n{"b": "\xc3\xa4"}\r\n{"c"'
    for size in (1, 3, 7, 100):
        lines = Lines()
        found = [one for start in range(0, len(data), size) for one in lines.feed(data[start : start + size])]
        assert found == [b'{"a": 1}', b'{"b": "\xc3\xa4"}']
        assert lines.feed(b": 2}\n") == [b'{"c": 2}']


def test_a_line_without_end_takes_no_memory_and_the_next_line_is_read() -> None:
    lines = Lines()
    found = [one for _ in range(40) for one in lines.feed(b"x" * (MAX_BYTES // 10))]
    assert len(lines._rest) <= MAX_BYTES
    assert found + lines.feed(b'y\n{"id": "2"}\n') == [None, b'{"id": "2"}']


def test_numbers_that_json_cannot_say_become_null_and_those_of_numpy_plain() -> None:
    message = {
        "event": "metric",
        "loss": float("nan"),
        "dice": np.float32(0.5),
        "n": np.int64(3),
        "all": np.array([1, np.inf]),
    }
    assert json.loads(encode(message)) == {"event": "metric", "loss": None, "dice": 0.5, "n": 3, "all": [1, None]}
    assert encode({"a": "line\nbreak"}).count(b"\n") == 1


@pytest.mark.parametrize("bad", [b"Loading...", b'{"id": "1"}', b'{"id": 3, "event": "done"}', b'{"event": "party"}'])
def test_what_is_no_event_is_refused(bad) -> None:
    with pytest.raises(RequestError):
        decode_event(bad)


HUGE = "9" * 400
"""A whole number that no floating-point number can be."""


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e999", "1e300", HUGE, "-" + HUGE, '"1"', "true", "[]", "{}", '"\\ud800"'],
)
@pytest.mark.parametrize(
    "field", ["spacing", "origin", "direction", "size", "colour", "steps", "seed", "axis", "index"]
)
def test_numbers_that_are_none_are_refused(field, value) -> None:
    message = json.loads(json.dumps({**GOOD[2], "id": "1", "seed": 1}))
    places = {
        "colour": (message["structure"], ["?", 0.2, 0.3]), "steps": (message, "?"), "seed": (message, "?"),
        "axis": (message["annotations"], "?"), "index": (message["annotations"]["slices"][0], "?"),
    }  # fmt: skip
    place, with_it = places.get(field) or (message["volume"]["grid"], ["?", *message["volume"]["grid"][field][1:]])
    place[field] = with_it
    line = json.dumps(message).replace('"?"', value)
    with pytest.raises(RequestError):
        decode_request(line.encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing": [0, 1, 1]}, {"spacing": [-1, 1, 1]}, {"size": [0, 4, 5]}, {"size": [2**31 - 1] * 3},
        {"direction": [0] * 9}, {"direction": [1, 0, 0, 1, 0, 0, 0, 0, 1]},
    ],
)  # fmt: skip
def test_a_grid_that_no_image_has_is_refused(changes) -> None:
    with pytest.raises(RequestError, match="grid"):
        decode_request(json.dumps({**GOOD[0], "id": "1", "volume": {**VOLUME, "grid": {**GRID, **changes}}}).encode())


def test_more_steps_than_anybody_waits_for_are_refused() -> None:
    with pytest.raises(RequestError, match="number of steps"):
        decode_request(json.dumps({**GOOD[2], "id": "1", "steps": 2**31 - 1}).encode())


@pytest.mark.parametrize(
    "event",
    [
        {"event": "progress", "fraction": "half"}, {"event": "progress", "fraction": [1]}, {"event": "stage"},
        {"event": "metric", "metrics": [1]}, {"event": "metric", "metrics": {"loss": "low"}},
        {"event": "error", "problem": "No"}, {"event": "error", "problem": 1, "remedy": 2, "kind": 3, "message": 4},
        {"event": "done"}, {"event": "done", "status": "done"}, {"event": "done", "status": "done", "result": []},
        {"event": "done", "status": 1, "result": {}}, {"event": "preview", "file": "1/a.npy"}, {"event": ["done"]},
        {"event": "artefact", "kind": "mask", "file": "../../etc/passwd"}, {"event": "warning"},
    ],
)  # fmt: skip
def test_an_event_that_lacks_what_faces_read_is_none(event) -> None:
    with pytest.raises(RequestError):
        decode_event(json.dumps({"id": "1", **event}).encode())


def test_events_may_say_more_and_what_is_not_finite_comes_as_null() -> None:
    line = encode({"id": "1", "event": "metric", "metrics": {"loss": float("nan"), "step": 1}, "more": [1]})
    assert decode_event(line)["metrics"] == {"loss": None, "step": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"id":' * 100_000,
        b'{"id": "\\ud800", "do": "info"}',
        b'{"id": "1", "do": "info", "\\ud800": 1}',
        b'{"id": "1", "do": ' + b"[" * 400 + b"]" * 400 + b"}",
        b'{"id": ' + HUGE.encode() + b', "do": "info"}',
        b'{"id": "1", "do": ' + HUGE.encode() + b"}",
        b'{"id": "1", "do": "cancel", "of": "\\ud800"}',
        b"\xff\xfe",
        b"\x00",
    ],
)
def test_whatever_comes_is_refused_in_a_sentence_that_can_be_written(line) -> None:
    with pytest.raises(RequestError) as error:
        decode_request(line)
    assert encode({"message": str(error.value)})
    with pytest.raises(RequestError) as error:
        decode_event(line)
    assert encode({"message": str(error.value)})


def test_the_face_needs_nothing_heavy() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(PACKAGE)!r})\n"
        "import PromptSegLib.worker.client, PromptSegLib.worker.process, PromptSegLib.worker.service\n"
        "heavy = {'torch', 'SimpleITK', 'scipy', 'safetensors', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_an_event_without_an_id_is_no_event() -> None:
    """Every face asks for it; the id null is that of the greeting."""
    with pytest.raises(RequestError, match="not an event"):
        decode_event(b'{"event": "progress", "fraction": 0.5}')
    assert decode_event(b'{"id": null, "event": "hello"}')["id"] is None
