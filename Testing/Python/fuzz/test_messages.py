"""Lines between a face and the worker, and lists of data sets, tampered with."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from PromptSegLib.datasets.description import read_dataset
from PromptSegLib.worker.client import Conversation
from PromptSegLib.worker.protocol import EVENTS, Lines, decode_event, decode_request, encode

from .attack import attack, broken, survives, tampered

GRID = {
    "size": [5, 4, 3],
    "origin": [0.0, 1.5, 2.0],
    "spacing": [1.0, 1.0, 2.0],
    "direction": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
}
VOLUME = {"file": "a/volume.npy", "grid": GRID, "name": "ct", "modality": "CT"}
DRAWN = {"axis": 0, "grid": GRID, "file": "a/drawn.npy", "slices": [{"index": 1, "status": "complete"}]}
STRUCTURE = {"name": "liver", "colour": [0.5, 0.5, 1.0], "code": {"scheme": "SCT", "value": "1", "meaning": "Liver"},
             "synonyms": ["hepar"]}  # fmt: skip
REQUESTS: list[dict[str, Any]] = [
    {"id": "1", "do": "set_volume", "volume": VOLUME},
    {"id": "1", "do": "segment", "volume": VOLUME, "prompts": ["a:b", {"file": "x.promptset", "name": "a"}],
     "drawn": {"liver": DRAWN}, "maps": ["probability"], "review": True, "axis": 1},
    {"id": "1", "do": "tune", "volume": VOLUME, "annotations": DRAWN, "structure": STRUCTURE, "start_from": "x",
     "steps": 3, "seed": 1, "preview": True, "segment": True, "suggest": 2},
    {"id": "1", "do": "review", "grid": GRID, "structures": [
        {"name": "a", "mask": {"file": "a/b.npy", "low": [0, 0, 0]}, "drawn": [1], "estimate": 0.5}]},
    {"id": "1", "do": "export", "prompts": [{"file": "x.promptset", "name": "a"}], "memory": True},
    {"id": "1", "do": "prompts", "folders": ["/tmp"]},
    {"id": "1", "do": "gather", "folder": "/tmp/r", "number": 1, "volume": VOLUME, "structure": "liver",
     "mask": {"file": "a/b.npy", "low": [0, 0, 0]}},
    {"id": "1", "do": "learn", "folder": "/tmp/r", "structure": STRUCTURE, "datasets": ["/d"], "validation": 0.25,
     "time_budget": 60.0, "steps": 3, "seed": 1, "resume": True},
    {"id": "1", "do": "cancel", "of": "2", "keep": True},
]  # fmt: skip
ANSWERS: list[dict[str, Any]] = [
    {"id": "1", "event": "progress", "stage": "segment", "fraction": 0.5, "message": "slice 3"},
    {"id": "1", "event": "metric", "stage": "read", "metrics": {"seconds": 1.5}},
    {"id": "1", "event": "warning", "message": "careful"},
    {"id": "1", "event": "error", "kind": "input", "problem": "A", "remedy": "B", "message": "A; B."},
    {"id": "1", "event": "done", "status": "done", "result": {"masks": []}},
    {"id": None, "event": "hello", "protocol": 1, "version": "1", "pid": 3},
]  # fmt: skip


def line(values: Any) -> bytes:
    return json.dumps(values).encode() + b"\n"


lines_in = st.lists(
    st.one_of(
        st.sampled_from(REQUESTS).flatmap(tampered).map(line),
        st.sampled_from(REQUESTS).map(line).flatmap(lambda one: broken(one, len(one))),
        st.binary(max_size=60),
    ),
    max_size=4,
).map(b"".join)


def test_requests() -> None:
    def check(given: tuple[bytes, int]) -> None:
        data, size = given
        lines = Lines()
        found = [one for start in range(0, len(data), size) for one in lines.feed(data[start : start + size])]
        assert found == Lines().feed(data), "how bytes come does not matter"
        for one in found:
            request = survives(lambda one=one: decode_request(one))
            if request is not None:
                assert decode_request(encode(request).strip()) == request

    attack(st.tuples(lines_in, st.integers(1, 50)), check, 250)


def test_answers() -> None:
    one = st.one_of(
        st.sampled_from(ANSWERS).flatmap(tampered).map(line),
        st.sampled_from(ANSWERS).map(line).flatmap(lambda one: broken(one, len(one))),
        st.binary(max_size=60),
    )

    def check(data: list[bytes]) -> None:
        for part in data:
            for whole in Lines().feed(part):
                survives(lambda whole=whole: decode_event(whole))
        talk = Conversation()
        talk.started(0.0)
        talk.request("1", "info", {})
        for now, part in enumerate((line(ANSWERS[-1]), *data)):
            for event in talk.feed(part):
                assert event["event"] in EVENTS
            talk.tick(float(now))
        talk.ended(1)
        talk.started(99.0)
        talk.ended(1)
        assert not talk.busy, "what two processes did not answer is answered"

    attack(st.lists(one, max_size=4), check, 250)


DECATHLON = {
    "name": "a", "licence": "CC0", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "b"},
    "numTraining": 1, "training": [{"image": "./case.nii.gz", "label": "./label.nii.gz"}], "absent_is_negative": False,
}  # fmt: skip
NNUNET = {
    "channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "numTraining": 1, "file_ending": ".nii.gz",
}  # fmt: skip


def test_data_sets(tmp_path) -> None:
    for file in ("case.nii.gz", "label.nii.gz", "imagesTr/c_0000.nii.gz", "labelsTr/c.nii.gz"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    path = tmp_path / "dataset.json"

    def check(changed: Any) -> None:
        path.write_bytes(changed if isinstance(changed, bytes) else json.dumps(changed).encode())
        survives(lambda: read_dataset(path))

    bases = st.sampled_from((DECATHLON, NNUNET))
    texts = bases.map(lambda one: json.dumps(one).encode()).flatmap(lambda one: broken(one, len(one)))
    attack(st.one_of(bases.flatmap(tampered), texts), check, 300)
