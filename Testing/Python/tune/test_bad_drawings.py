"""Whatever is drawn is learned from or refused in a sentence; drawn slices come back as drawn, absent ones empty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import IGNORE, Slice, SliceAnnotations, SliceStatus
from PromptSegLib.errors import AnnotationError
from PromptSegLib.session import Session
from PromptSegLib.volumes.volume import Volume

NEW = Structure("thing")


def complete(volume: Volume, masks: dict[int, np.ndarray], absent: tuple[int, ...] = (), axis: int = 0):
    slices = {k: Slice(SliceStatus.COMPLETE, m.astype(np.uint8)) for k, m in masks.items()}
    shape = [n for a, n in enumerate(volume.grid.shape) if a != axis]
    slices |= {k: Slice(SliceStatus.ABSENT, np.zeros(shape, np.uint8)) for k in absent}
    return SliceAnnotations(axis, volume.grid, slices)


def teach(session: Session, annotations: SliceAnnotations, steps: int = 1):
    """Learn and segment; what was decided by hand must come back exactly."""
    learned = session.tune(annotations, NEW, steps=steps)
    assert all(torch.isfinite(t).all() for t in learned.prompt.tensors.values())
    found = session.segment([learned.prompt], drawn={"thing": annotations}).mask("thing")
    view = np.moveaxis(found, annotations.axis, 0)
    for index in annotations.used():
        labelled = annotations.slices[index].labelled()
        known = labelled != IGNORE
        assert np.array_equal(view[index][known], labelled[known] == 1), index
    return learned, found


def liver(phantom, index: int, axis: int = 0) -> np.ndarray:
    return (phantom.labels == 1).take(index, axis)


def test_two_structures_where_one_was_meant(session, phantom) -> None:
    masks = {k: liver(phantom, k) for k in (8, 12, 16)}
    masks[12] = masks[12] | (phantom.labels[12] == 2)
    learned, _ = teach(session, complete(phantom.volume, masks))
    assert any(note.startswith("Slice 12 shows separate parts") for note in learned.notes)


def test_a_mask_that_touches_the_border(session, phantom) -> None:
    mask = np.zeros(phantom.labels.shape[1:], bool)
    mask[10:20, :12] = True
    learned, _ = teach(session, complete(phantom.volume, {8: mask, 14: mask}))
    assert any("touches the border of the image" in note for note in learned.notes)


def test_one_single_slice(session, phantom) -> None:
    learned, found = teach(session, complete(phantom.volume, {12: liver(phantom, 12)}))
    assert learned.leave_one_out_dice is None
    assert any("Only one slice shows the structure" in note for note in learned.notes)
    assert found[12].any()


def test_only_absent_slices(session, phantom) -> None:
    with pytest.raises(AnnotationError) as refused:
        session.tune(complete(phantom.volume, {}, absent=(0, 23)), NEW)
    assert str(refused.value) == "No drawn slice shows the structure; draw it in at least one slice."


def test_contradicting_slices(session, phantom) -> None:
    """Liver in three slices, spleen in the fourth, and one in their midst is said to be empty."""
    masks = {k: liver(phantom, k) for k in (8, 10, 16)} | {13: phantom.labels[13] == 2}
    learned, found = teach(session, complete(phantom.volume, masks, absent=(11,)), steps=5)
    assert any(note.startswith("Slice 11 is marked as without the structure") for note in learned.notes)
    assert not found[11].any()


def test_a_volume_with_another_spacing_than_the_prompt_was_taught_on(session, phantom) -> None:
    """Every second slice and pixel of the same patient: the same prompt goes on, and learns there."""
    learned, _ = teach(session, complete(phantom.volume, {k: liver(phantom, k) for k in (8, 16)}), steps=5)
    matrix = phantom.volume.ijk_to_ras @ np.diag([2.0, 2.0, 2.0, 1.0])
    coarse = Volume.from_array(np.ascontiguousarray(phantom.volume.voxels[::2, ::2, ::2]), matrix, "coarse")
    labels = phantom.labels[::2, ::2, ::2] == 1
    before = session.volume
    session.set_volume(coarse)
    try:
        annotations = complete(coarse, {6: labels[6]})
        found = session.segment([learned.prompt], drawn={"thing": annotations}).mask("thing")
        assert np.array_equal(found[6], labels[6])
        assert found.shape == labels.shape
        more = session.tune(annotations, NEW, start_from=learned.prompt, steps=1).prompt
        assert more.card.spacing == learned.prompt.card.spacing
        assert more.card.slice_mm == pytest.approx(2 * learned.prompt.card.slice_mm)
    finally:
        session.set_volume(before)


def test_a_structure_of_five_voxels(session, phantom) -> None:
    mask = np.zeros(phantom.labels.shape[1:], bool)
    mask[20, 20:25] = True
    _, found = teach(session, complete(phantom.volume, {12: mask}))
    assert found[12].sum() == 5


def test_a_volume_with_a_single_slice(trained, phantom) -> None:
    grid = replace(phantom.volume.grid, size=(*phantom.volume.grid.size[:2], 1))
    flat = Session(trained / "tiny.safetensors", "cpu", threads=1)
    flat.set_volume(Volume(phantom.volume.voxels[12:13], grid))
    annotations = complete(flat.volume, {0: liver(phantom, 12)})
    learned, found = teach(flat, annotations)
    assert np.array_equal(found[0], liver(phantom, 12))
    assert flat.suggest(annotations, learned.prompt) == []


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis(session, phantom, axis) -> None:
    there = np.flatnonzero((phantom.labels == 1).any(tuple(a for a in range(3) if a != axis)))
    chosen = [int(there[len(there) // 3]), int(there[2 * len(there) // 3])]
    learned, _ = teach(session, complete(phantom.volume, {k: liver(phantom, k, axis) for k in chosen}, (0,), axis))
    assert learned.prompt.card.plane == ("axial", "coronal", "sagittal")[axis]


def test_several_structures_in_the_same_slices(session, phantom) -> None:
    drawn = {
        name: complete(phantom.volume, {k: phantom.labels[k] == value for k in (10, 14)})
        for value, name in ((1, "liver"), (2, "spleen"))
    }
    prompts = [session.tune(a, Structure(name), steps=1).prompt for name, a in drawn.items()]
    found = session.segment(prompts, drawn=drawn)
    for value, name in ((1, "liver"), (2, "spleen")):
        for k in (10, 14):
            assert np.array_equal(found.mask(name)[k], phantom.labels[k] == value)
            assert np.array_equal(found.labels[k] == value, phantom.labels[k] == value)


def test_negative_strokes_count(session, phantom) -> None:
    """Background that is painted, all else undecided: never found there, and learned from."""
    strokes = np.full(phantom.labels.shape[1:], IGNORE, np.uint8)
    strokes[liver(phantom, 12)] = 1
    strokes[phantom.labels[12] == 2] = 0
    slices = {12: Slice(SliceStatus.DRAFT, strokes)}
    annotations = SliceAnnotations(0, phantom.volume.grid, slices)
    learned, found = teach(session, annotations, steps=3)
    assert not found[12][phantom.labels[12] == 2].any()
    positive = {12: Slice(SliceStatus.DRAFT, np.where(strokes == 0, IGNORE, strokes).astype(np.uint8))}
    other = session.tune(SliceAnnotations(0, phantom.volume.grid, positive), NEW, steps=3).prompt
    assert not all(torch.equal(other.tensors[k], learned.prompt.tensors[k]) for k in other.tensors)
