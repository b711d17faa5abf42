"""Which slices to correct first: where the most may be wrong, within the structure, and not two side by side; and what
a corrected slice tells of its neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.prior import SCALE, Prior
from PromptSegLib.prompts.card import Card
from PromptSegLib.segment.result import LogitMap
from PromptSegLib.tune.advice import corrects
from PromptSegLib.tune.corrections import correct, corrections
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


def test_what_is_corrected_already_is_not_suggested_again(work) -> None:
    found = corrections(seen(work, {7: 0.3, 8: 0.2, 17: 0.4}), 2, known=(7,))
    assert found[0].index in (16, 17, 18)
    assert 7 not in [one.index for one in found]


def drawn_in(work, slices: dict[int, np.ndarray]) -> SliceAnnotations:
    labels = np.zeros(work.volume.grid.shape, np.uint8)
    for k, mask in slices.items():
        labels[k] = mask
    shown = [k for k, mask in slices.items() if mask.any()]
    return SliceAnnotations.from_labels(labels, work.volume.grid, 1, shown, [k for k in slices if k not in shown])


def test_a_correction_is_taken_along_and_fades(work, kit) -> None:
    """A drawn slice that is without half of what was found takes that half from its neighbours, not from far ones."""
    logits = seen(work, {})
    square = logits.slices[12] > 0
    half = square.copy()
    half[:, :20] = False
    native = np.asarray(work.to_native(np.where(half, 4.0, -6.0).astype(np.float32), -99.0)[1]) > 0
    before = {k: v.copy() for k, v in logits.slices.items()}
    correct(logits, drawn_in(work, {12: native}))
    areas = {k: int((v > 0).sum()) for k, v in logits.slices.items()}
    assert areas[12] < 0.6 * square.sum()
    assert areas[13] < 0.7 * square.sum()
    far = [k for k in before if abs(k - 12) * work.slice_mm > 20]
    assert far
    assert all(np.array_equal(logits.slices[k], before[k]) for k in far)


def test_where_close_contours_decide_nothing_is_brought(work) -> None:
    logits = seen(work, {})
    logits.prior = Prior({13: np.zeros(work.size, np.float16)}, 15.0)
    before = logits.slices[13].copy()
    correct(logits, drawn_in(work, {12: np.zeros(work.volume.grid.shape[1:], bool), 3: np.ones((48, 48), bool)}))
    assert np.array_equal(logits.slices[13], before)
    assert not (logits.slices.get(12, np.zeros(1)) > 0).any()


def test_slices_that_end_where_the_structure_goes_on_are_corrections_of_a_prompt_that_knows_it(work) -> None:
    shape = work.volume.grid.shape[1:]
    large, small = np.zeros(shape, bool), np.zeros(shape, bool)
    large[10:40, 10:40], small[20:22, 20:22] = True, True
    inner, whole = drawn_in(work, {8: large, 14: large}), drawn_in(work, {4: small, 8: large, 14: large, 18: small})
    known, taught = Card(validation_dice=0.9), Card(network_dice=0.9)
    assert corrects(known, inner)
    assert corrects(Card(corrects=True), inner)
    assert corrects(known, drawn_in(work, {8: large}))
    assert not corrects(known, whole)
    assert not corrects(taught, inner)
    assert not corrects(None, inner)
