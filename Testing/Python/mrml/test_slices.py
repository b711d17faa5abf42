"""Drawn slices: status that goes with the segment, and annotations along any axis."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from PromptSegLib.annotations import IGNORE, SliceStatus
from PromptSegLib.errors import AnnotationError, GridError
from PromptSegLib.mrml.marks import SliceMarks
from PromptSegLib.mrml.nodes import new_segmentation, segment_mask, tag
from PromptSegLib.mrml.slices import (
    TAG,
    annotations_of,
    drawn_along,
    keep_drafts,
    mark,
    marks_of,
    set_marks,
    statuses_of,
)
from PromptSegLib.volumes.volume import Grid

DRAFT, COMPLETE, ABSENT, UNTOUCHED = (
    SliceStatus.DRAFT,
    SliceStatus.COMPLETE,
    SliceStatus.ABSENT,
    SliceStatus.UNTOUCHED,
)


@pytest.fixture
def drawn(add_volume, make_grid, draw, blob):
    """(segmentation node, id of the segment with ``blob``, volume node)."""
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    return node, draw(node, blob, make_grid()), volume_node


def test_marks_are_text_and_back(make_grid) -> None:
    marks = SliceMarks(make_grid()).with_status(0, 3, COMPLETE).with_status(2, 7, ABSENT).with_status(0, 1, DRAFT)
    text = marks.to_text()
    assert not set("|\n\r") & set(text)
    back = SliceMarks.from_text(text, make_grid())
    assert back.statuses == marks.statuses
    assert back.of(0) == {1: DRAFT, 3: COMPLETE}
    assert back.of(1) == {}
    assert back.with_status(0, 3, UNTOUCHED).of(0) == {1: DRAFT}
    assert SliceMarks.from_text("", make_grid()).statuses == {}


def test_marks_of_another_volume_are_refused_and_rounding_is_not_another_volume(make_grid) -> None:
    grid = make_grid()
    text = SliceMarks(grid).with_status(0, 3, COMPLETE).to_text()
    rounded = Grid.from_ijk_to_ras(grid.ijk_to_ras.astype(np.float32), grid.shape)
    assert SliceMarks.from_text(text, rounded).of(0) == {3: COMPLETE}
    # A coordinate on the edge of the hash's rounding: one bit less, another hash, the same place.
    edge = Grid(grid.size, (-124.5625, 0.0, 0.0))
    near = Grid(grid.size, (-124.56250001, 0.0, 0.0))
    assert edge.digest != near.digest
    assert SliceMarks.from_text(SliceMarks(edge).with_status(0, 3, COMPLETE).to_text(), near).of(0) == {3: COMPLETE}
    i, j, k = grid.size
    others = [
        Grid((i, j, k + 1), grid.origin, grid.spacing, grid.direction),
        Grid(grid.size, grid.origin, (*grid.spacing[:2], 2.6), grid.direction),
        Grid(grid.size, (grid.origin[0] + 0.5, *grid.origin[1:]), grid.spacing, grid.direction),
    ]
    for other in others:
        with pytest.raises(GridError, match="kidney were marked on another volume, or the volume was changed"):
            SliceMarks.from_text(text, other, "kidney")


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"slices": {"x": {"complete": [1]}}}, {"slices": {"k": {"done": [1]}}}, {"slices": 3},
     {"slices": {"k": {"complete": [99]}}}, {"size": [1]}, {"ijk_to_ras": "none"}],
)  # fmt: skip
def test_marks_that_cannot_be_read_are_refused(make_grid, change) -> None:
    text = SliceMarks(make_grid()).with_status(0, 3, COMPLETE).to_text()
    for bad in (json.dumps({**json.loads(text), **change}), text[:-5], "[]"):
        with pytest.raises(AnnotationError, match="slice marks of kidney cannot be read"):
            SliceMarks.from_text(bad, make_grid(), "kidney")


def test_status_goes_with_the_segment(drawn) -> None:
    node, segment_id, volume_node = drawn
    mark(node, segment_id, volume_node, 0, 2, COMPLETE)
    mark(node, segment_id, volume_node, 0, 5, ABSENT)
    node.GetSegmentation().GetSegment(segment_id).SetName("renamed")
    node.SetName("also renamed")
    assert marks_of(node, segment_id, volume_node).of(0) == {2: COMPLETE, 5: ABSENT}
    assert statuses_of(node, segment_id, volume_node, 0) == [UNTOUCHED, DRAFT, COMPLETE, DRAFT, DRAFT, ABSENT]
    mark(node, segment_id, volume_node, 0, 2, UNTOUCHED)
    mark(node, segment_id, volume_node, 0, 5, UNTOUCHED)
    assert tag(node.GetSegmentation().GetSegment(segment_id), TAG) == ""


def test_what_contradicts_the_drawing_is_refused_and_changes_nothing(drawn) -> None:
    node, segment_id, volume_node = drawn
    for index, status, why in ((2, ABSENT, "something is drawn"), (0, COMPLETE, "nothing is drawn")):
        with pytest.raises(AnnotationError, match=why):
            mark(node, segment_id, volume_node, 0, index, status)
    with pytest.raises(AnnotationError, match="no slice 6"):
        mark(node, segment_id, volume_node, 0, 6, COMPLETE)
    with pytest.raises(AnnotationError, match="no such segment"):
        marks_of(node, "none", volume_node)
    assert marks_of(node, segment_id, volume_node).statuses == {}


def test_annotations_along_every_axis(add_volume, make_grid, draw, blob, direction) -> None:
    volume_node = add_volume(grid=make_grid(direction))
    for axis in range(3):
        node = new_segmentation(volume_node)
        segment_id = draw(node, blob, make_grid(direction))
        painted = np.flatnonzero(blob.any(axis=tuple(a for a in range(3) if a != axis)))
        complete, empty = int(painted[0]), int(np.setdiff1d(np.arange(blob.shape[axis]), painted)[0])
        mark(node, segment_id, volume_node, axis, complete, COMPLETE)
        mark(node, segment_id, volume_node, axis, empty, ABSENT)
        annotations = annotations_of(node, segment_id, volume_node, axis)
        assert annotations.axis == axis
        assert annotations.grid.matches(make_grid(direction))
        assert sorted(annotations.slices) == sorted([*painted, empty])
        for index, one in annotations.slices.items():
            plane = blob.take(index, axis=axis)
            assert one.status is {complete: COMPLETE, empty: ABSENT}.get(index, DRAFT)
            assert np.array_equal(one.mask, np.where(plane, 1, IGNORE if one.status is DRAFT else 0))
        assert annotations.drawn() == painted.tolist()


def test_background_strokes_count_in_drafts_and_yield_to_the_structure(drawn, draw, make_grid, blob) -> None:
    node, segment_id, volume_node = drawn
    strokes = np.zeros_like(blob)
    strokes[2, :, 0:3] = strokes[0, 0, 0] = True
    background = draw(node, strokes, make_grid(), "background")
    annotations = annotations_of(node, segment_id, volume_node, 0, background)
    expected = np.where(blob[2], 1, np.where(strokes[2], 0, IGNORE))
    assert np.array_equal(annotations.slices[2].mask, expected)
    assert (annotations.slices[0].mask != IGNORE).sum() == 1
    assert annotations.drawn() == [1, 2, 3, 4]


def test_a_mark_that_became_wrong_is_told_when_it_matters(drawn, draw, make_grid, blob) -> None:
    node, segment_id, volume_node = drawn
    mark(node, segment_id, volume_node, 0, 4, COMPLETE)
    segment = node.GetSegmentation().GetSegment(segment_id)
    from PromptSegLib.mrml.vtk_images import array_of

    array_of(segment.GetRepresentation("Binary labelmap"))[4] = 0  # erased by hand
    with pytest.raises(AnnotationError, match="Slice 4 is marked as complete, and nothing is drawn"):
        annotations_of(node, segment_id, volume_node, 0)


def test_a_changed_volume_is_refused(drawn, add_volume, make_grid) -> None:
    node, segment_id, volume_node = drawn
    mark(node, segment_id, volume_node, 0, 2, COMPLETE)
    volume_node.SetSpacing(1.0, 1.0, 1.0)
    with pytest.raises(GridError, match="marked on another volume, or the volume was changed"):
        marks_of(node, segment_id, volume_node)


def test_a_shared_label_map_is_told_apart(add_volume, make_grid, draw, blob, slicer) -> None:
    from PromptSegLib.mrml.vtk_images import oriented_image

    volume_node = add_volume()
    node = new_segmentation(volume_node)
    both = np.where(blob, 3, 0).astype(np.uint8)
    both[5, 6, 7] = 8
    image = oriented_image(both, (0, 0, 0), make_grid().ijk_to_ras)
    for name, value in (("a", 3), ("b", 8)):
        segment = slicer.vtkSegment()
        segment.AddRepresentation("Binary labelmap", image)
        segment.SetLabelValue(value)
        node.GetSegmentation().AddSegment(segment, name)
    assert annotations_of(node, "a", volume_node, 0).drawn() == [1, 2, 3, 4]
    assert annotations_of(node, "b", volume_node, 0).drawn() == [5]


@pytest.mark.parametrize("crop", [False, True])
def test_marks_survive_a_seg_nrrd(slicer, scene, drawn, tmp_path, crop) -> None:
    node, segment_id, volume_node = drawn
    mark(node, segment_id, volume_node, 0, 2, COMPLETE)
    mark(node, segment_id, volume_node, 1, 0, ABSENT)
    storage = scene.AddNode(slicer.vtkMRMLSegmentationStorageNode())
    storage.SetCropToMinimumExtent(crop)
    storage.SetFileName(str(tmp_path / "a.seg.nrrd"))
    assert storage.WriteData(node)
    again = scene.AddNode(slicer.vtkMRMLSegmentationNode())
    assert storage.ReadData(again)
    assert marks_of(again, segment_id, volume_node).statuses == {(0, 2): COMPLETE, (1, 0): ABSENT}
    before, after = (annotations_of(one, segment_id, volume_node, 0) for one in (node, again))
    assert all(np.array_equal(after.slices[k].mask, one.mask) for k, one in before.slices.items())


def test_marks_survive_saving_and_loading_the_scene(scene, drawn, saved) -> None:
    node, segment_id, volume_node = drawn
    mark(node, segment_id, volume_node, 0, 2, COMPLETE)
    loaded = saved(scene)
    volume_again = loaded.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    again = loaded.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert marks_of(again, segment_id, volume_again).of(0) == {2: COMPLETE}
    assert np.array_equal(segment_mask(again, segment_id, volume_again), segment_mask(node, segment_id, volume_node))


def test_undo_takes_marks_back_with_the_voxels(slicer, drawn) -> None:
    node, segment_id, volume_node = drawn
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(node.GetSegmentation())
    mark(node, segment_id, volume_node, 0, 2, COMPLETE)
    history.SaveState()
    mark(node, segment_id, volume_node, 0, 3, COMPLETE)
    assert history.RestorePreviousState()
    assert marks_of(node, segment_id, volume_node).of(0) == {2: COMPLETE}


def test_marks_can_be_cleared(drawn, make_grid) -> None:
    node, segment_id, volume_node = drawn
    mark(node, segment_id, volume_node, 0, 2, COMPLETE)
    set_marks(node, segment_id, SliceMarks(make_grid()))
    assert marks_of(node, segment_id, volume_node).statuses == {}


def test_what_was_drawn_in_slicer_can_be_taught(drawn) -> None:
    # To the worker's door: the same type as everybody else's annotations, with all that tuning asks of them.
    node, segment_id, volume_node = drawn
    for index in (1, 3):
        mark(node, segment_id, volume_node, 0, index, COMPLETE)
    annotations = annotations_of(node, segment_id, volume_node, 0)
    native = annotations.native_slices(0)
    assert {k: set(np.unique(native[k])) for k in (1, 3)} == {1: {0, 1}, 3: {0, 1}}
    assert all(a < b for a, b in itertools.pairwise(annotations.used()))


@pytest.fixture
def sagittal(add_volume, make_grid, draw, blob):
    """``blob`` drawn in two slices along axis 2 and in no other."""
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    there = [int(n) for n in np.flatnonzero(blob.any(axis=(0, 1)))][:2]
    only = np.zeros_like(blob)
    only[:, :, there] = blob[:, :, there]
    return node, draw(node, only, make_grid()), volume_node, there


def test_what_is_marked_along_one_axis_is_no_draft_along_another(sagittal) -> None:
    *where, there = sagittal
    for index in there:
        mark(*where, 2, index, COMPLETE)
    assert [n for n, one in enumerate(statuses_of(*where, 2)) if one is COMPLETE] == there
    for axis in (0, 1):
        assert set(statuses_of(*where, axis)) == {UNTOUCHED}
        assert annotations_of(*where, axis).slices == {}


def test_drafts_stay_with_the_axis_that_they_were_drawn_along(sagittal, draw, make_grid, blob) -> None:
    *where, there = sagittal
    assert set(statuses_of(*where, 0)) == {DRAFT, UNTOUCHED}  # nothing says yet along which axis
    keep_drafts(*where, 2)
    assert [n for n, one in enumerate(statuses_of(*where, 2)) if one is DRAFT] == there
    assert set(statuses_of(*where, 0)) == {UNTOUCHED}
    keep_drafts(*where, 0)
    assert marks_of(*where).of(0) == {}
    mark(*where, 2, there[0], UNTOUCHED)
    assert statuses_of(*where, 2)[there[0]] is DRAFT  # it is painted on
    node, segment_id, _volume = where
    segment = node.GetSegmentation().GetSegment(segment_id)
    keep_drafts(*where, 2)
    other = draw(node, blob & False, make_grid(), "empty")  # all erased
    segment.RemoveRepresentation("Binary labelmap")
    empty = node.GetSegmentation().GetSegment(other).GetRepresentation("Binary labelmap")
    segment.AddRepresentation("Binary labelmap", empty)
    assert set(statuses_of(*where, 2)) == {UNTOUCHED}
    assert annotations_of(*where, 2).slices == {}


def test_one_slice_drawn_in_another_view_is_a_draft_of_that_view(add_volume, make_grid, draw, blob) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    index = int(np.flatnonzero(blob.any(axis=(0, 1)))[0])
    only = np.zeros_like(blob)
    only[:, :, index] = True
    where = node, draw(node, only, make_grid()), volume_node
    assert drawn_along(*where, 0) == 2
    assert drawn_along(*where, 2) == 2
    keep_drafts(*where, 2)
    assert drawn_along(*where, 0) == 0


def test_a_drawn_structure_has_the_colour_that_is_known_of_it(add_volume) -> None:
    from PromptSegLib.anatomy.terminology import find
    from PromptSegLib.mrml.slices import add_segment

    node = new_segmentation(add_volume())
    segment = node.GetSegmentation().GetSegment(add_segment(node, "left kidney"))
    assert segment.GetColor() == pytest.approx(find("left kidney").colour)
