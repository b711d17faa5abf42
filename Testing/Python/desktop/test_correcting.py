"""A result of a structure that was taught elsewhere is corrected and taught again, by mouse and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.mrml import nodes, slices
from PromptSegLib.mrml.correction import TAG, Correction, begin, correction_of, take_draft
from PromptSegLib.register.teachers import Memory


def test_what_was_found_becomes_a_draft_once(desk, ct, phantom) -> None:
    node, every = nodes.new_segmentation(ct), range(len(phantom.labels))
    result = desk.draw(node, phantom.labels == 1, phantom.volume, "liver", every)
    told = Correction(
        ("a|b.promptset", "liver"), result, 0, ({"index": 6, "reason": "Here."}, {"index": 4, "reason": ""})
    )
    segment_id = begin(node, "liver", told)
    assert correction_of(node, segment_id) == told
    saved: list = []
    assert take_draft(node, segment_id, ct, 6, lambda: saved.append(1))
    mask = nodes.segment_mask(node, segment_id, ct)
    assert np.array_equal(mask[6], phantom.labels[6] == 1)
    assert mask.sum() == mask[6].sum()
    assert [one.value for one in slices.statuses_of(node, segment_id, ct, 0)].count("draft") == 1
    assert not take_draft(node, segment_id, ct, 6, lambda: saved.append(1))  # it is drawn in
    slices.mark(node, segment_id, ct, 0, 4, slices.SliceStatus.ABSENT)
    assert not take_draft(node, segment_id, ct, 4)
    assert not take_draft(node, segment_id, ct, 99)
    assert saved == [1]
    assert np.array_equal(nodes.segment_mask(node, result, ct), phantom.labels == 1)
    node.GetSegmentation().RemoveSegment(result)
    assert not take_draft(node, segment_id, ct, 5)
    assert not take_draft(node, result, ct, 5)


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"prompt": ["a", "b"]}', '{"prompt": ["a"], "axis": 0, "result": "x", "slices": []}',
     '{"prompt": ["a", "b"], "axis": 7, "result": "x", "slices": []}',
     '{"prompt": ["a", "b"], "axis": 0, "result": "x", "slices": [{"index": -1, "reason": ""}]}',
     '{"prompt": ["a", "b"], "axis": 0, "result": "x", "slices": "abc"}',
     '{"prompt": ["a\\n", "b"], "axis": 0, "result": "x", "slices": []}'],
)  # fmt: skip
def test_a_stranger_s_tag_corrects_nothing(desk, ct, phantom, text) -> None:
    node = nodes.new_segmentation(ct)
    segment_id = desk.draw(node, phantom.labels == 1, phantom.volume, "liver")
    node.GetSegmentation().GetSegment(segment_id).SetTag(TAG, text)
    assert correction_of(node, segment_id) is None
    assert not take_draft(node, segment_id, ct, 5)


def test_by_mouse(panel, loaded, own, pump, monkeypatch, paint, phantom) -> None:
    asked: list = []
    original = panel.logic.teach
    monkeypatch.setattr(panel.logic, "teach", lambda *a, **k: asked.append(k) or original(*a, steps=1, **k))
    assert not panel.segment.correct.visible
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    assert panel.segment.correct.visible
    panel.segment.correct.click()
    teach = panel.teach
    assert panel.tabs.currentIndex == 1
    assert "least certain" in teach.message.text
    assert "What was found is drawn" in teach.message.text
    contents = panel.volumes.segmentation.GetSegmentation()
    assert [contents.GetSegment(one).GetName() for one in contents.GetSegmentIDs()] == ["liver, found", "liver"]
    first = teach.watch.place
    found = nodes.segment_mask(panel.volumes.segmentation, contents.GetSegmentIDs()[0], loaded)
    drawn = nodes.segment_mask(panel.volumes.segmentation, teach.segment_id, loaded)
    assert np.array_equal(drawn[first[1]], found[first[1]])
    assert drawn.sum() == drawn[first[1]].sum()
    paint(first[1])  # the user's corrections
    teach.mark_complete()
    teach.teach.click()
    pump(lambda: not teach.running.running)
    text = next(p for p in panel.logic.library.sets()[-1].prompts if p.text == own)
    assert asked[0]["examples"] == asked[0]["start_from"] == (str(text.path), "liver")
    teach.rounds.accept.click()
    ticked = panel.segment.structures.ticked
    assert len(ticked) == 1  # the new one took the other's place
    assert ticked != [own]
    kept = next(p for p in panel.logic.library.sets()[-1].prompts if p.text == ticked[0])
    assert list(Memory.read(kept.memory).drawn("liver")[0].drawn) == [first[1]]
    teach.teach.click()  # a further round goes on from the first, with the same patients
    pump(lambda: not teach.running.running)
    assert asked[1]["examples"] == asked[0]["examples"]
    assert asked[1]["start_from"] is panel.logic.rounds[0]


def test_the_button_says_what_it_is_about_and_follows_the_list(panel, loaded, own, pump) -> None:
    """All structures of a result can be corrected, those that come with PromptSeg, too."""
    segment = panel.segment
    groups = segment.structures._groups
    head, group = next((head, one) for head, one in groups if any(p.text == own for p in one.prompts))
    for one in group.prompts[:2]:
        segment.structures.tick(one.text)
    segment.button.click()
    pump(lambda: not segment.running.running)
    names = [one.structure.name for one in group.prompts[:2]]
    assert set(segment._corrections) <= set(names)
    found = [name for name in names if name in segment._corrections]
    assert found[0] in segment.correct.text
    for n, name in enumerate(names):
        segment.structures.tree.setCurrentItem(head.child(n))
        expected = name if name in found else found[0]
        assert expected in segment.correct.text
