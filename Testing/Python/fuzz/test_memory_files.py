"""Files that remember patients, tampered with: read whole and sensible, or refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.contours.crop import crop_of
from PromptSegLib.register.excerpt import Excerpt
from PromptSegLib.register.teachers import Memory, remembered
from PromptSegLib.volumes.preprocess import WorkingVolume

from .attack import attack, broken, survives, tampered


@pytest.fixture(scope="module")
def whole(kit, tmp_path_factory) -> bytes:
    """The bytes of a file of one patient with drawn slices."""
    small = kit.make_phantom(5, (12, 32, 32))
    drawn = SliceAnnotations.from_labels(small.labels, small.volume.grid, 1, [5, 7], [0])
    work = WorkingVolume(small.volume, axis=0)
    excerpt = Excerpt.of(work, drawn, crop_of(work, drawn))
    path = tmp_path_factory.mktemp("memory") / "own.memory"
    mask = {"liver": (small.labels == 1, 0.9)}
    Memory([remembered(small.volume, mask, drawn={"liver": excerpt})]).write(path)
    return path.read_bytes()


def test_memory_files(tmp_path, whole) -> None:
    length = int.from_bytes(whole[:8], "little")
    table, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    meta = table.pop("__metadata__")
    memory, path = json.loads(meta["memory"]), tmp_path / "x.memory"

    def check(changed: Any) -> None:
        kind, value = changed
        if kind == "bytes":
            path.write_bytes(value)
        else:
            head = {"__metadata__": {**meta, "memory": json.dumps(value)}, **table}
            head = head if kind == "memory" else {"__metadata__": meta, **value}
            text = json.dumps(head).encode()
            path.write_bytes(len(text).to_bytes(8, "little") + text + data)
        found = survives(lambda: Memory.read(path))
        for teacher in () if found is None else found.teachers:
            for name, mask in teacher.masks.items():
                assert mask.on(teacher.picture).shape == teacher.picture.grey.shape
                if name in teacher.drawn:
                    one = teacher.drawn[name]
                    assert np.isfinite(one.working(2.0).inputs(one.annotations.used())).all()

    kinds = {"bytes": broken(whole, 8 + length), "memory": tampered(memory), "table": tampered(table)}
    attack(st.one_of(*(strategy.map(lambda v, k=k: (k, v)) for k, strategy in kinds.items())), check, 200)
