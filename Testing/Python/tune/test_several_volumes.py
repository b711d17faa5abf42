"""One prompt is learned from what was drawn in several volumes, whatever their size and spacing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations, SliceStatus
from PromptSegLib.contours.fusion import WEIGHTS, weight_for
from PromptSegLib.errors import AnnotationError, GridError
from PromptSegLib.tune.examples import Drawing, make_examples
from PromptSegLib.tune.tuner import common_window
from PromptSegLib.volumes.preprocess import WorkingVolume

LIVER = Structure("liver")


def drawn(one, slices, axis=0, value=1) -> SliceAnnotations:
    return SliceAnnotations.from_labels(one.labels, one.volume.grid, value, slices, axis=axis)


@pytest.fixture(scope="module")
def second(kit):
    """A patient of another size."""
    return kit.make_phantom(5, shape=(18, 40, 64))


@pytest.fixture(scope="module")
def learned(session, phantom, second):
    pairs = [(phantom.volume, drawn(phantom, [8, 15])), (second.volume, drawn(second, [6, 11]))]
    return session.tune(pairs, LIVER, steps=4)


def test_all_slices_of_all_volumes_are_learned_from_and_left_out(learned, session, phantom) -> None:
    assert {(s.volume, s.index) for s in learned.left_out} == {(0, 8), (0, 15), (1, 6), (1, 11)}
    assert learned.leave_one_out_dice == pytest.approx(np.mean([s.dice for s in learned.left_out]))
    assert set(learned.leave_one_out) == {8, 15}
    assert (learned.prompt.card.volumes, learned.prompt.card.slices) == (2, 4)
    assert session.volume is phantom.volume


def test_it_serves_a_third_patient(learned, session, kit) -> None:
    third = kit.make_phantom(31)
    before = session.volume
    session.set_volume(third.volume)
    found = session.segment([learned.prompt]).mask("liver")
    session.set_volume(before)
    assert kit.dice(found, third.labels == 1) > 0.5


def test_a_list_of_one_is_the_volume_at_hand(session, phantom) -> None:
    annotations = drawn(phantom, [8, 15])
    one = session.tune(annotations, LIVER, steps=2).prompt
    same = session.tune([(phantom.volume, annotations)], LIVER, steps=2).prompt
    assert all(torch.equal(one.tensors[k], same.tensors[k]) for k in one.tensors)


def test_the_smaller_volume_is_padded_with_air_that_is_not_labelled(session, phantom, second) -> None:
    drawings = [Drawing(WorkingVolume(v.volume), drawn(v, [9])) for v in (phantom, second)]
    sizes = [d.work.size for d in drawings]
    whole = tuple(max(n) for n in zip(*sizes, strict=True))
    made = make_examples(
        session.backbone, drawings, (-1000.0, 1500.0), variants=0, seed=0, should_stop=lambda: False
    )  # fmt: skip
    assert made.places == [(0, 9), (1, 9)]
    assert made.target.shape == (1, 2, *whole)
    for n, (rows, columns) in enumerate(sizes):
        outside = torch.ones(whole, dtype=torch.bool)
        outside[:rows, :columns] = False
        assert not made.valid[0, n][outside].any()


def test_the_contours_weight_is_only_for_the_volumes_that_were_taught(learned, phantom, second, kit) -> None:
    card = replace(learned.prompt.card, contour_weight=0.0)
    assert weight_for(card, phantom.volume.grid) == weight_for(card, second.volume.grid) == 0.0
    assert weight_for(card, kit.turn(phantom.labels, phantom.volume.grid, (0, 1, 2), (0,))[1]) == WEIGHTS[0]


def test_the_narrowest_window_is_common_to_all(phantom) -> None:
    clipped = replace(phantom.volume, voxels=np.clip(phantom.volume.voxels, -125, 275))
    drawings = [Drawing(WorkingVolume(v), drawn(phantom, [9])) for v in (phantom.volume, clipped)]
    low, high = common_window(drawings)
    assert low >= -200
    assert high <= 400
    assert common_window(drawings) == common_window(drawings[::-1])


def test_what_does_not_go_together_is_refused(session, phantom, second) -> None:
    with pytest.raises(AnnotationError, match=r"drawn in axial and in coronal slices; draw in one plane"):
        session.tune([(phantom.volume, drawn(phantom, [9])), (second.volume, drawn(second, [20], 1))], LIVER)
    with pytest.raises(GridError, match="belong to another volume"):
        session.tune([(phantom.volume, drawn(second, [9]))], LIVER)
    with pytest.raises(AnnotationError, match="no volume to learn from"):
        session.tune([], LIVER)


def test_a_volume_may_only_say_where_the_structure_is_not(session, phantom, second) -> None:
    nothing = SliceAnnotations.from_labels(second.labels, second.volume.grid, 1, [9])
    absent = replace(nothing, slices={k: replace(s, status=SliceStatus.ABSENT) for k, s in nothing.slices.items()})
    found = session.tune([(phantom.volume, drawn(phantom, [8, 15])), (second.volume, absent)], LIVER, steps=1)
    assert found.prompt.card.slices == 3
    with pytest.raises(AnnotationError, match="No drawn slice shows the structure"):
        session.tune([(second.volume, absent)], LIVER)


def test_a_later_round_on_another_volume_counts_both(session, phantom, second) -> None:
    first = session.tune([(phantom.volume, drawn(phantom, [8]))], LIVER, steps=1).prompt
    assert first.card.taught_on == (phantom.volume.grid,)
    more = session.tune([(second.volume, drawn(second, [6]))], LIVER, steps=1, start_from=first).prompt
    assert more.card.volumes == 2
