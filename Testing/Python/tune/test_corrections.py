"""Which slices to correct first: where the most may be wrong, within the structure, and not two side by side."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.prior import SCALE
from PromptSegLib.segment.result import LogitMap
from PromptSegLib.tune.corrections import corrections
from PromptSegLib.volumes.preprocess import WorkingVolume


@pytest.fixture(scope="module")
def work(kit) -> WorkingVolume:
    return WorkingVolume(kit.make_phantom(31).volume)


def seen(work, uncertain: dict[int, float]) -> LogitMap:
    """A square in slices 4 to 20, with logits of 4 but in some slices; a dot in slice 1 that nobody is sure of."""
    slices = {}
    for k in range(4, 21):
        plane = np.full(work.size, -6.0)
        plane[10:30, 10:30] = uncertain.get(k, 4.0)
        slices[k] = np.rint(plane * SCALE).astype(np.int8)
    dot = np.full(work.size, -0.2)
    dot[0, 0] = 0.1
    slices[1] = np.rint(dot * SCALE).astype(np.int8)
    return LogitMap(work, slices)


def test_the_least_certain_slices_come_first_and_not_side_by_side(work) -> None:
    found = corrections(seen(work, {7: 0.3, 8: 0.2, 17: 0.4}), 2)
    assert found[0].index in (7, 8)
    assert found[1].index in (16, 17, 18)
    assert found[0].share > found[1].share > 0
    assert found[1].between == (found[0].index, None)
    assert "least certain" in found[0].reason


def test_where_nothing_was_found_nothing_is_suggested(work) -> None:
    assert corrections(LogitMap(work), 2) == []
    empty = {5: np.full(work.size, -2, np.int8)}
    assert corrections(LogitMap(work, empty), 2) == []


def test_never_more_than_there_are(work) -> None:
    one = seen(work, {})
    one.slices = {9: one.slices[9]}
    assert [s.index for s in corrections(one, 3)] == [9]
