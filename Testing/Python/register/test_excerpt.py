"""Drawn slices that are remembered: as the network saw them, in a file, and learned from in the next patient."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.contours.crop import crop_of
from PromptSegLib.register.excerpt import MAX_SLICES, Excerpt, identity_of
from PromptSegLib.register.teachers import Memory, remembered
from PromptSegLib.tune.examples import Drawing
from PromptSegLib.tune.remembered import drawings_of
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Volume


def drawn(one, value, chosen, axis=0) -> SliceAnnotations:
    return SliceAnnotations.from_labels(one.labels, one.volume.grid, value, chosen, axis=axis)


def excerpt(one, value, chosen, axis=0) -> Excerpt:
    work = WorkingVolume(one.volume, axis=axis)
    annotations = drawn(one, value, chosen, axis)
    return Excerpt.of(work, annotations, crop_of(work, annotations))


@pytest.mark.parametrize(("axis", "chosen"), [(0, (18, 26, 33)), (1, (20, 24)), (2, (20, 25))])
def test_the_network_sees_what_it_saw(teacher, axis, chosen) -> None:
    value = 3
    there = np.flatnonzero((teacher.labels == value).any(tuple(a for a in range(3) if a != axis)))
    chosen = [int(there[0]), int(there[len(there) // 2]), int(there[-1])]
    one = excerpt(teacher, value, chosen, axis)
    work, again = WorkingVolume(teacher.volume, axis=axis), one.working(2.0)
    assert (again.plane, again.slice_mm, again.offsets) == (work.plane, pytest.approx(work.slice_mm), work.offsets)
    inputs = again.inputs(one.annotations.used())
    before = work.inputs(chosen)
    for n, (k, at) in enumerate(zip(chosen, one.annotations.used(), strict=True)):
        mask, kept = (
            w.mask_to_working(a.slices[i].labelled() == 1)
            for w, a, i in ((work, drawn(teacher, value, chosen, axis), k), (again, one.annotations, at))
        )
        assert kept.sum() == pytest.approx(mask.sum(), rel=0.02)
        for channel in range(5):  # the slice itself, and those around it
            told, known = (np.average(x[n, ..., channel], weights=m) for x, m in ((inputs, kept), (before, mask)))
            assert told == pytest.approx(known, abs=0.05)


def test_it_is_cut_to_the_surroundings_and_to_some_slices(teacher) -> None:
    there = np.flatnonzero((teacher.labels == 4).any((1, 2)))
    one = excerpt(teacher, 4, [int(k) for k in there])
    assert len(one.drawn) == MAX_SLICES
    assert {int(there[0]), int(there[-1])} <= set(one.drawn)
    assert one.planes.shape[1] * one.planes.shape[2] < 0.8 * teacher.volume.voxels[0].size
    assert list(one.some(2).drawn) == [int(there[0]), int(there[-1])]


def test_it_comes_back_from_a_file_and_is_its_volume_s_alone(teacher, other, tmp_path) -> None:
    one = excerpt(teacher, 3, [12, 18])
    kept = remembered(teacher.volume, {"kidney": (teacher.labels == 3, None)}, drawn={"kidney": one})
    Memory([kept]).write(tmp_path / "a.memory")
    (again,) = Memory.read(tmp_path / "a.memory").drawn("kidney")
    assert np.array_equal(again.planes, one.planes)
    assert np.array_equal(again.masks, one.masks)
    assert again.to_json() == one.to_json()
    as_float = Volume(teacher.volume.voxels.astype(np.float32), teacher.volume.grid)
    assert identity_of(as_float) == one.identity
    assert identity_of(other.volume) != one.identity


def test_patients_add_up_and_one_is_not_kept_twice(teacher, other, kits) -> None:
    def known(one, chosen, name="kidney"):
        some = excerpt(one, 3, chosen)
        return remembered(one.volume, {name: (one.labels == 3, None)}, drawn={name: some})

    first = Memory().joined([known(teacher, [12, 18])])
    both = first.joined([known(other, [18, 21])])
    again = both.joined([known(teacher, [12, 15, 18])])
    assert [len(one.drawn["kidney"].drawn) for one in again.teachers] == [2, 3]
    assert again.names == ["kidney"]
    named = again.called("left kidney", "kidney")
    assert named.names == ["left kidney"]
    assert len(named.drawn("left kidney")) == 2
    assert named.called("spleen").teachers == ()


def test_a_round_learns_from_earlier_patients_too(trained, kit) -> None:
    from PromptSegLib.session import Session
    from PromptSegLib.tune.tuner import TuningRecipe

    first, second = (kit.make_phantom(seed, values=(1, 2, 3, 4)) for seed in (31, 32))
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(first.volume)
    slices = drawn(first, kit.new, [6, 9, 12])
    learned = session.tune(slices, Structure("new"), steps=6)
    made = session.segment([learned.prompt], drawn={"new": slices})
    teacher = session.remember(made, slices, learned.prompt)
    before = teacher.drawn["new"]
    session.set_volume(second.volume)
    own, options = drawn(second, kit.new, [7, 11]), {"start_from": learned.prompt, "steps": 3}
    looked = session.tune(own, Structure("new"), remembered=[before], **options)
    assert {one.index for one in looked.left_out} == {7, 11}  # nothing is left out of what is remembered
    assert {one.volume for one in looked.left_out} == {0}
    assert looked.notes[-1] == "Learned from 3 slices of an earlier patient, too."
    options["recipe"] = TuningRecipe(folds=0)  # all steps are taken
    alone = session.tune(own, Structure("new"), **options)
    both, same = (session.tune(own, Structure("new"), remembered=[before], **options) for _ in range(2))
    assert not any("earlier" in note for note in alone.notes)
    assert (both.prompt.card.slices, both.prompt.card.volumes, alone.prompt.card.slices) == (5, 2, 2)
    assert any(not torch.equal(alone.prompt.tensors[k], both.prompt.tensors[k]) for k in alone.prompt.tensors)
    assert all(torch.equal(same.prompt.tensors[k], both.prompt.tensors[k]) for k in same.prompt.tensors)
    truth = second.labels == kit.new
    dice = [kit.dice(session.segment([p], drawn={"new": own}).mask("new"), truth) for p in (alone.prompt, both.prompt)]
    assert dice[1] > dice[0] - 0.03


def test_what_is_of_the_very_volume_or_of_another_plane_is_no_other_patient(kit) -> None:
    first, second = (kit.make_phantom(seed, values=(1, 2, 3, 4)) for seed in (31, 32))
    own, work = drawn(second, kit.new, [7, 11]), WorkingVolume(second.volume, axis=0)
    at_hand = [Drawing(work, own)]
    assert drawings_of([excerpt(second, kit.new, [7, 11])], at_hand) == []
    assert drawings_of([excerpt(first, kit.new, [12, 18], axis=1)], at_hand) == []
    before = excerpt(first, kit.new, [6, 9, 12])
    three = [replace(before, identity=str(n)) for n in range(3)]
    found = drawings_of(three, at_hand, 7)
    assert [len(one.annotations.used()) for one in found] == [3, 2, 2]
    assert all(one.remembered for one in found)


def test_drafts_and_absent_slices_are_kept_as_they_are(teacher) -> None:
    full = drawn(teacher, 3, [12, 18])
    draft = np.where(full.slices[12].mask == 1, 1, 255).astype(np.uint8)
    mixed = replace(
        full,
        slices={12: Slice(SliceStatus.DRAFT, draft), 18: full.slices[18], 40: Slice(SliceStatus.ABSENT, 0 * draft)},
    )
    work = WorkingVolume(teacher.volume, axis=0)
    one = Excerpt.of(work, mixed, crop_of(work, mixed))
    again = Excerpt.from_parts(json.loads(json.dumps(one.to_json())), one.planes, one.masks)
    assert [s.status.value for s in again.drawn.values()] == ["draft", "complete", "absent"]
    assert (again.drawn[12].labelled() == 255).any()
    assert not again.drawn[40].labelled().any()
