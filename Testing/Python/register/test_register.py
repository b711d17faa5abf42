"""A known deformation is found again, on whatever grids; what does not fit is said not to."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from PromptSegLib.errors import BackboneError, Stopped
from PromptSegLib.register.affine import Affine
from PromptSegLib.register.dense import _smoothed, convex_search
from PromptSegLib.register.grey_fit import PairFit, scored
from PromptSegLib.register.picture import Region, mask_in, picture_of
from PromptSegLib.register.register import frame_of, register
from PromptSegLib.register.views import looks
from PromptSegLib.volumes.volume import Volume


def pictures(*patients):
    return [picture_of(one.volume) for one in patients]


def region_of(picture, patient, values=(3,)) -> Region:
    """Around one small organ: quick."""
    found = Region.of(picture, mask_in(picture, np.isin(patient.labels, values), patient.volume.grid))
    assert found is not None
    return found


def errors_mm(deformation, patient, warp, values=(3,)) -> np.ndarray:
    """How far positions of the organs are carried from where the formula says that they belong."""
    k, j, i = np.nonzero(np.isin(patient.labels, values))
    matrix = patient.volume.ijk_to_ras
    ras = np.stack([i, j, k], -1)[::7] @ matrix[:3, :3].T + matrix[:3, 3]
    found = deformation.to_teacher(torch.from_numpy(ras[:, ::-1].copy()).float()).numpy()[:, ::-1]
    return np.linalg.norm(found - warp(ras), axis=1)


@pytest.fixture(scope="module")
def known(teacher, other):
    own, theirs = pictures(teacher, other)
    return own, theirs, register(theirs, own, region_of(own, teacher, (1, 3)))


def test_a_known_deformation_is_found(known, teacher, other, kits) -> None:
    _, _, found = known
    missed = errors_mm(found, other, kits.bent, (1, 3))
    assert np.median(missed) < 3.0
    assert np.percentile(missed, 90) < 7.0
    assert found.fit.fits
    assert found.fit.folding < 0.01


def test_a_further_region_starts_from_the_first(known, teacher, other, kits) -> None:
    """As well as it would be alone, and without the affine transform again."""
    own, theirs, first = known
    found = register(theirs, own, region_of(own, teacher, (2,)), known=first)
    assert found.affine is first.affine
    assert np.median(errors_mm(found, other, kits.bent, (2,))) < 3.0
    assert found.fit.fits


def test_organs_are_carried_over(known, teacher, other) -> None:
    own, theirs, found = known
    for value in (1, 3):
        mask = mask_in(own, teacher.labels == value, teacher.volume.grid)
        truth = mask_in(theirs, other.labels == value, other.volume.grid) > 0.5
        carried = found.carried(mask, own, frame_of(theirs)) > 0.5
        assert 2 * (carried & truth).sum() / (carried.sum() + truth.sum()) > 0.85, value


def test_the_same_once_more_is_the_same(known, teacher) -> None:
    own, theirs, _ = known
    found, again = (register(theirs, own, region_of(own, teacher)) for _ in range(2))
    assert np.array_equal(again.affine.matrix, found.affine.matrix)
    assert torch.equal(again.field, found.field)


@pytest.mark.parametrize(
    "how",
    [
        {"low": -100, "high": 200},
        {"low": -150, "high": 60, "spacing": (2.0, 2.0, 8.0)},
        {"turn": 14.0, "spacing": (3.0, 3.0, 3.0)},
        {"low": -100, "high": 90, "spacing": (5.0, 5.0, 1.0)},
    ],
    ids=["upper part", "lower part in 8 mm slices", "oblique", "short in 1 mm slices"],
)
def test_partial_overlap_and_other_grids(teacher, kits, how) -> None:
    here = kits.patient(kits.bent, seed=3, **how)
    own, theirs = pictures(teacher, here)
    found = register(theirs, own, region_of(own, teacher))
    assert np.median(errors_mm(found, here, kits.bent)) < 5.0
    assert found.fit.fits


def test_organs_give_a_start_of_their_own(teacher, other, kits) -> None:
    own, theirs = pictures(teacher, other)
    organs = organs_in(own, theirs, teacher, other)
    found = register(theirs, own, region_of(own, teacher), organs=organs)
    assert np.median(errors_mm(found, other, kits.bent)) < 3.0


def organs_in(own, theirs, teacher, other, values=(1, 2, 3, 4)) -> dict:
    """Maps of organs in the patient and in the teacher, on their pictures."""
    return {
        str(v): (
            mask_in(theirs, other.labels == v, other.volume.grid),
            mask_in(own, teacher.labels == v, teacher.volume.grid),
        )
        for v in values
    }


def test_organs_that_mislead_are_not_followed(teacher, other, kits) -> None:
    """Maps that lie elsewhere in one of both: grey values find the way."""
    own, theirs = pictures(teacher, other)
    wrong = {n: (p, np.roll(t, 25, 0)) for n, (p, t) in organs_in(own, theirs, teacher, other).items()}
    found = register(theirs, own, region_of(own, teacher), organs=wrong)
    assert np.median(errors_mm(found, other, kits.bent)) < 5.0


def test_what_the_overview_network_finds_gives_the_start(teacher, other, kits, monkeypatch) -> None:
    own, theirs = pictures(teacher, other)
    every = organs_in(own, theirs, teacher, other)

    class Seen:
        structures = tuple(every)

        def logits(self, grey, names, should_stop):
            at = 0 if grey.shape == theirs.grey.shape and np.array_equal(grey, theirs.grey) else 1
            return np.stack([12 * every[name][at] - 6 for name in names]).astype(np.float16)

    monkeypatch.setattr("PromptSegLib.register.affine.by_grey", lambda *_: Affine(np.eye(3, 4), -1.0))
    look = looks(SimpleNamespace(shared={}), Seen)
    assert {*look(own).organs()} == {*every}
    found = register(theirs, own, region_of(own, teacher), look=look, share=0.0)
    assert np.median(errors_mm(found, other, kits.bent)) < 5.0


def test_a_stop_leaves_no_organs_half_known(teacher, other) -> None:
    own, theirs = pictures(teacher, other)
    every = organs_in(own, theirs, teacher, other)
    seen = SimpleNamespace(
        structures=tuple(every),
        logits=lambda grey, names, should_stop: np.stack([12 * every[n][1] - 6 for n in names]).astype(np.float16),
    )
    view, asked = looks(SimpleNamespace(shared={}), lambda: seen)(own), iter([False, True])
    with pytest.raises(Stopped):
        view.organs(lambda: next(asked))
    assert {*view.organs()} == {*every}


def test_a_network_that_cannot_be_read_tells_of_no_organs(teacher) -> None:
    def missing():
        raise BackboneError("none", "get it")

    (own,) = pictures(teacher)
    assert looks(SimpleNamespace(shared={}), missing)(own).organs() == {}
    assert looks(SimpleNamespace(shared={}))(own).organs() == {}


def test_a_pair_that_does_not_fit_is_said_not_to(teacher, kits) -> None:
    """A head: a ball of bone and brain."""
    k, j, i = np.indices((60, 60, 60))
    far = np.sqrt((k - 30.0) ** 2 + (j - 30.0) ** 2 + (i - 30.0) ** 2) * 4
    hu = np.select([far < 80, far < 88, far < 94], [35.0, 900.0, 20.0], -1000.0)
    hu += np.random.default_rng(0).normal(0, 5, hu.shape)
    matrix = np.diag([4.0, 4.0, 4.0, 1.0])
    head = picture_of(Volume.from_array(hu.astype(np.int16), matrix, "head"))
    (own,) = pictures(teacher)
    for patient, other, region in ((head, own, region_of(own, teacher)), (own, head, Region.of(head, head.body * 1.0))):
        found = register(patient, other, region)
        assert not found.fit.fits
        assert found.fit.reason


def test_a_field_of_view_beside_the_organ_is_said(teacher, kits) -> None:
    """A chest, and an organ of the abdomen that was taught in a whole trunk."""
    own, theirs = pictures(teacher, kits.patient(kits.bent, low=50, high=190, seed=4))
    found = register(theirs, own, region_of(own, teacher))
    assert found.fit.outside
    assert not found.fit.fits
    assert "field of view" in found.fit.reason
    inside = register(theirs, own, Region((60.0, -40.0, -100.0), (130.0, 40.0, 100.0)))
    assert inside.fit.fits
    assert not inside.fit.outside


def test_nothing_in_common(teacher) -> None:
    air = np.full((30, 40, 40), -1000, np.int16)
    air[3, 3, 3] = 100
    empty = picture_of(Volume.from_array(air, np.diag([4.0, 4.0, 4.0, 1.0])))
    (own,) = pictures(teacher)
    found = register(empty, own, region_of(own, teacher))
    assert not found.fit.fits


def test_it_stops_at_any_time_and_asks_often(teacher, other) -> None:
    own, theirs = pictures(teacher, other)
    region, asked = region_of(own, teacher), 0

    def count() -> bool:
        nonlocal asked
        asked += 1
        return False

    seen = []
    register(theirs, own, region, on_progress=lambda p: seen.append(p.fraction), should_stop=count)
    assert asked > 250
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    for limit in (1, asked // 4, asked // 2, asked - 2):
        left = limit

        def soon() -> bool:
            nonlocal left
            left -= 1
            return left < 0

        with pytest.raises(Stopped):
            register(theirs, own, region, should_stop=soon)


GOOD = PairFit(0.8, 0.8, 0.7, 0.95, 8.0, 0.01, 0.9, (0.9, 1.1))
VERDICTS = {
    "good": ({}, True, ""),
    "of other parts of the body": ({"score": 0.3}, False, "do not fit"),
    "alike in nothing": ({"structure": 0.1}, False, "do not fit"),
    "missing itself": ({"inverse_mm": 35.0}, False, "does not agree with itself"),
    "folded": ({"folding": 0.21, "structure": 0.9}, False, "does not agree with itself"),
    "beside the field of view": ({"seen": 0.01}, False, "field of view"),
    "beside it, and nothing to compare": ({"seen": 0.0, "structure": -1.0, "inverse_mm": 99.0}, False, "field of view"),
    "beside it, of another body": ({"seen": 0.0, "structure": -1.0, "score": 0.5}, False, "do not fit"),
}


@pytest.mark.parametrize(("change", "fits", "said"), VERDICTS.values(), ids=VERDICTS.keys())
def test_what_a_fit_is_worth_is_said(change, fits, said) -> None:
    found = scored(replace(GOOD, **change))
    assert found.fits == fits
    assert said in found.reason
    assert bool(found.reason) == (not fits)
    assert found.outside == ("field of view" in said)


def test_of_two_registrations_one_after_the_other_the_lesser_counts() -> None:
    assert replace(GOOD, before=0.4).trust == 0.4
    assert replace(GOOD, before=0.9).trust == GOOD.trust
    assert replace(GOOD, before=0.4).trust_here == GOOD.trust


@pytest.mark.parametrize("shape", [(4, 8, 8), (2, 2, 2), (6, 4, 10)])
def test_pictures_of_a_few_voxels_are_searched(shape) -> None:
    """As of a thin or small volume at a coarse step: their blocks are fewer than the neighbours that are averaged."""
    image = torch.rand((6, *shape), generator=torch.Generator().manual_seed(1))
    known = torch.ones(shape)
    found = convex_search(image, image, known, known, 1)
    assert found.shape == (3, *(n // 2 for n in shape))
    assert float(found.abs().max()) < 0.2  # the same picture


def test_means_of_small_maps_are_those_of_torch() -> None:
    values = torch.rand((1, 1, 5, 4, 3), generator=torch.Generator().manual_seed(1))
    small, whole = _smoothed(values[:, :, :2]), _smoothed(values)
    assert torch.allclose(small[:, :, 0], whole[:, :, 0], atol=1e-6)
