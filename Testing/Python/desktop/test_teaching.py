"""Teaching from drawn slices in a segmentation node: rounds, previews, going back, keeping; with a real worker."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.annotations import SliceStatus
from PromptSegLib.errors import AnnotationError, OutputError, Stopped
from PromptSegLib.mrml import nodes, slices
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.worker.service import wait


def by_name(node) -> dict[str, str]:
    contents = node.GetSegmentation()
    return {contents.GetSegment(one).GetName(): one for one in contents.GetSegmentIDs()}


def test_a_round_shows_its_mask_beside_what_was_drawn(desk, ct, taught, phantom) -> None:
    node, segment_id = taught
    drawn = nodes.segment_mask(node, segment_id, ct)
    heard: list = []
    previews: list = []
    job = desk.logic.teach(
        ct, node, segment_id, "my liver", steps=6, on_progress=heard.append, on_preview=previews.append
    )
    result = job.wait()
    assert list(by_name(node)) == ["my liver", "my liver, taught"]
    assert result.result_segment_id == by_name(node)["my liver, taught"] == previews[0]
    mask = nodes.segment_mask(node, result.result_segment_id, ct)
    assert np.array_equal(mask[[5, 7]], (phantom.labels == 1)[[5, 7]]), "drawn slices come back as drawn"
    assert not mask[0].any(), "absent slices stay empty"
    assert np.array_equal(nodes.segment_mask(node, segment_id, ct), drawn)
    assert 0 <= result.leave_one_slice_out_dice <= 1
    assert {one["index"] for one in result.left_out} == {5, 7}
    assert any("loss" in one.metrics for one in heard)
    assert any("left_out_dice" in one.metrics for one in heard)
    assert result.suggestions
    assert desk.logic.rounds == [result]


def test_rounds_go_on_from_each_other_and_can_be_taken_back(desk, ct, taught, phantom) -> None:
    node, segment_id = taught
    first = desk.logic.teach(ct, node, segment_id, "my liver", steps=4).wait()
    one = nodes.segment_mask(node, first.result_segment_id, ct)
    desk.paint(node.GetSegmentation().GetSegment(segment_id), phantom.labels == 1, phantom.volume, (3, 5, 7))
    slices.mark(node, segment_id, ct, 0, 3, SliceStatus.COMPLETE)
    second = desk.logic.teach(ct, node, segment_id, "my liver", steps=4, start_from=first).wait()
    assert second.round == 2
    assert second.card.rounds == 2
    two = nodes.segment_mask(node, second.result_segment_id, ct)
    assert not np.array_equal(one, two)
    assert desk.logic.toggle_before_after() is False
    assert np.array_equal(nodes.segment_mask(node, second.result_segment_id, ct), one)
    assert desk.logic.toggle_before_after() is True
    assert np.array_equal(nodes.segment_mask(node, second.result_segment_id, ct), two)
    assert desk.logic.undo_round() is first
    assert np.array_equal(nodes.segment_mask(node, first.result_segment_id, ct), one)
    assert desk.logic.undo_round() is None
    assert list(by_name(node)) == ["my liver"]


def test_what_was_learned_is_kept_and_segments_the_next_volume(desk, ct, taught, scene, phantom) -> None:
    node, segment_id = taught
    result = desk.logic.teach(ct, node, segment_id, "my liver", steps=2).wait()
    text = desk.logic.accept(result, author="A. Person", note="five slices")
    kept = PromptSet.read(text.rpartition(":")[0])["my liver"]
    assert kept.card.author == "A. Person"
    assert kept.card.note == "five slices"
    other = desk.add_ct(scene, phantom.volume)
    found = desk.logic.segment(other, ["my liver"]).wait()
    assert [one.name for one in found.structures] == ["my liver"]


def test_a_preview_is_a_mask_and_no_round(desk, ct, taught) -> None:
    node, segment_id = taught
    shown = desk.logic.preview(ct, node, segment_id, "my liver").wait()
    assert by_name(node)["my liver, taught"] == shown
    assert desk.logic.rounds == []


def test_cancelling_takes_the_preview_away_and_keeping_the_best_does_not(desk, ct, taught) -> None:
    node, segment_id = taught
    shown: list = []
    job = desk.logic.teach(ct, node, segment_id, "my liver", steps=4000, on_preview=shown.append)
    assert wait(desk.service, lambda: not shown)
    assert "my liver, taught" in by_name(node)
    job.cancel()
    with pytest.raises(Stopped):
        job.wait()
    assert list(by_name(node)) == ["my liver"]
    seen: list = []
    job = desk.logic.teach(ct, node, segment_id, "my liver", steps=4000, on_progress=seen.append)
    assert wait(desk.service, lambda: not any("loss" in one.metrics for one in seen))
    job.keep_best()
    result = job.wait()
    assert result.stopped
    assert "my liver, taught" in by_name(node)


def test_suggestions_come_from_a_prompt_and_what_is_drawn(desk, ct, taught) -> None:
    node, segment_id = taught
    result = desk.logic.teach(ct, node, segment_id, "my liver", steps=2).wait()
    found = desk.logic.suggest(ct, node, segment_id, result.prompt).wait()
    assert all(one["index"] not in (0, 5, 7) and one["reason"] for one in found)


def test_nothing_drawn_is_told_before_a_worker_starts(desk, ct, phantom) -> None:
    node = nodes.new_segmentation(ct)
    segment_id = desk.draw(node, phantom.labels == 1, phantom.volume, "empty")
    slices.mark(node, segment_id, ct, 0, 3, SliceStatus.ABSENT)
    with pytest.raises(AnnotationError, match="No slice shows the structure yet"):
        desk.logic.teach(ct, node, segment_id, "thing").wait()
    assert not desk.service.warm


def test_another_axis_can_be_drawn_on(desk, ct, phantom) -> None:
    node = nodes.new_segmentation(ct)
    mask = phantom.labels == 1
    middle = int(np.flatnonzero(mask.any((0, 2)))[2])
    only = np.zeros_like(mask)
    only[:, [middle, middle + 2]] = mask[:, [middle, middle + 2]]
    segment_id = desk.draw(node, only, phantom.volume, "my liver", range(len(mask)))
    for index in (middle, middle + 2):
        slices.mark(node, segment_id, ct, 1, index, SliceStatus.COMPLETE)
    result = desk.logic.teach(ct, node, segment_id, "my liver", axis=1, steps=2).wait()
    found = nodes.segment_mask(node, result.result_segment_id, ct)
    assert np.array_equal(found[:, middle], mask[:, middle])


def test_a_library_that_cannot_be_written_is_told(desk, ct, taught, tmp_path) -> None:
    (tmp_path / "library").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be made"):
        desk.logic.library.check_writable()


def test_what_was_taught_here_stays_when_its_structure_is_segmented(desk, ct, taught, scene, phantom, kit) -> None:
    node, segment_id = taught
    drawn = nodes.segment_mask(node, segment_id, ct)
    result = desk.logic.teach(ct, node, segment_id, "my liver", steps=2).wait()
    text = desk.logic.accept(result)
    mine = nodes.segment_mask(node, result.result_segment_id, ct)
    again = desk.logic.segment(ct, [text], node).wait()
    assert again.segment_ids == (result.result_segment_id,)
    assert again.taught == ("my liver",)
    assert list(by_name(node)) == ["my liver", "my liver, taught"]
    assert np.array_equal(nodes.segment_mask(node, result.result_segment_id, ct), mine)
    assert np.array_equal(nodes.segment_mask(node, segment_id, ct), drawn)
    elsewhere = desk.logic.segment(ct, ["my liver"]).wait()  # into a new segmentation
    assert np.array_equal(nodes.segment_mask(elsewhere.node, elsewhere.segment_ids[0], ct), mine)
    other = desk.add_ct(scene, kit.make_phantom(6, (12, 32, 32)).volume)
    assert desk.logic.segment(other, [text]).wait().taught == ()  # another patient: what the network finds


def test_a_structure_that_was_taught_keeps_its_result_beside_a_shipped_one(desk, ct, taught, engine_files) -> None:
    node, segment_id = taught
    result = desk.logic.teach(ct, node, segment_id, "liver", steps=2).wait()
    mine = nodes.segment_mask(node, result.result_segment_id, ct)
    found = desk.logic.segment(ct, [f"{engine_files[1]}:liver"], node).wait()
    assert found.taught == ()
    assert found.segment_ids != (result.result_segment_id,)
    assert list(by_name(node)) == ["my liver", "liver, taught", "liver"]
    assert np.array_equal(nodes.segment_mask(node, result.result_segment_id, ct), mine)


def test_a_round_belongs_to_an_axis(desk, ct, phantom) -> None:
    node = nodes.new_segmentation(ct)
    mask = phantom.labels == 1
    there = [int(n) for n in np.flatnonzero(mask.any(axis=(0, 1)))]
    only = np.zeros_like(mask)
    chosen = there[len(there) // 3], there[2 * len(there) // 3]
    only[:, :, list(chosen)] = mask[:, :, list(chosen)]
    segment_id = desk.draw(node, only, phantom.volume, "my liver", range(len(only)))
    for index in chosen:
        slices.mark(node, segment_id, ct, 2, index, SliceStatus.COMPLETE)
    result = desk.logic.teach(ct, node, segment_id, "my liver", axis=2, steps=1).wait()
    assert result.axis == 2
    assert set(slices.statuses_of(node, segment_id, ct, 0)) == {SliceStatus.UNTOUCHED}
    with pytest.raises(AnnotationError, match="No slice shows the structure yet"):
        desk.logic.teach(ct, node, segment_id, "my liver", axis=0, steps=1).wait()
