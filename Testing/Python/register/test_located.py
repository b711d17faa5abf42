"""What several teachers and known organs say of one structure comes together in its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from PromptSegLib.errors import Stopped
from PromptSegLib.register.located import Registrations
from PromptSegLib.register.picture import mask_in, picture_of
from PromptSegLib.register.teachers import Teacher, remembered


class Seen:
    """A picture of which an overview network knows the ``labels`` (S, A, R), and nothing else is compared."""

    def __init__(self, labels) -> None:
        self._labels = labels

    def telling(self, mask, should_stop) -> float:
        return 0.0

    def organs(self, should_stop) -> dict:
        return {}

    def labels(self, should_stop):
        return self._labels


@pytest.fixture(scope="module")
def kept(teacher) -> Teacher:
    """The teacher in whom the organ 3 was taught."""
    return remembered(teacher.volume, {"kidney": (teacher.labels == 3, 0.9)})


@pytest.fixture(scope="module")
def alone(other) -> Registrations:
    return Registrations(other.volume)


def place_of(registrations, teachers) -> np.ndarray:
    found = registrations.locate({"kidney": teachers})["kidney"]
    assert found.prior is not None
    whole = np.full(registrations.picture().grey.shape, -6.0, np.float32)
    whole[found.prior.box] = found.prior.place
    return whole


def test_organs_that_are_known_in_both_sharpen_the_place(alone, kept, teacher, other, kit) -> None:
    pictures = {one.digest: (one, patient) for one, patient in (
        (kept.picture, teacher), (alone.picture(), other)
    )}  # fmt: skip

    def look(picture):
        own, patient = pictures[picture.digest]
        labels = np.zeros(own.grey.shape, np.uint8)
        for value in (1, 3):
            labels[mask_in(own, patient.labels == value, patient.volume.grid) > 0.5] = value
        return Seen(labels)

    truth = mask_in(alone.picture(), other.labels == 3, other.volume.grid) > 0.5
    told = Registrations.on(alone.picture(), look=look)
    told._known = alone._known  # one registration serves both
    without = place_of(alone, [kept])
    assert kit.dice(place_of(told, [kept]) > 0, truth) > max(0.9, kit.dice(without > 0, truth) + 0.02)


def test_a_teacher_whose_mask_lies_on_nothing_hardly_counts(alone, kept, other, kit) -> None:
    """Of the same registration, so that only the mask differs."""
    mask = kept.masks["kidney"]
    astray = replace(mask, first=(mask.first[0] + 14, *mask.first[1:]))
    wrong = replace(kept, masks={"kidney": astray})
    truth = mask_in(alone.picture(), other.labels == 3, other.volume.grid) > 0.5
    alone.locate({"kidney": [kept]})
    one, both = (place_of(alone, teachers) > 0 for teachers in ([kept], [kept, wrong]))
    assert kit.dice(place_of(alone, [wrong]) > 0, truth) < 0.5
    assert kit.dice(both, truth) > kit.dice(one, truth) - 0.05


def test_it_stops_while_organs_are_looked_for(alone, kept) -> None:
    class Stops(Seen):
        def labels(self, should_stop):
            raise Stopped

    registrations = Registrations.on(alone.picture(), look=lambda _: Stops(None))
    registrations._known = alone._known
    with pytest.raises(Stopped):
        registrations.locate({"kidney": [kept]})
    assert registrations.warp({"kidney": [kept]})["kidney"].masks  # masks alone need no organs


def test_one_patient_seen_twice_is_found_where_it_was(teacher, kept, kit) -> None:
    registrations = Registrations(teacher.volume)
    truth = mask_in(picture_of(teacher.volume), teacher.labels == 3, teacher.volume.grid) > 0.5
    assert kit.dice(place_of(registrations, [kept]) > 0, truth) > 0.9
