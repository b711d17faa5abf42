"""How much a prompt's network counts beside what was carried over is told by where it was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.earlier_patients import LABELLED, EarlierPatients, network_dice
from PromptSegLib.progress import ignore, never
from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.register.blend import blend_of, most_beside
from PromptSegLib.register.teachers import Teacher, remembered
from PromptSegLib.segment.segmenter import WorkingVolumes

DRAWN, BEGUN = Card(network_dice=0.7), Card(network_dice=0.7, begun_dice=0.9)
SHIPPED = Card(validation_dice=0.9)


@pytest.fixture(scope="module")
def volume(kit):
    return kit.make_phantom(11).volume


@pytest.fixture(scope="module")
def teacher(kit) -> Teacher:
    other = kit.make_phantom(12)
    return remembered(other.volume, {"liver": (other.labels == 1, 0.9)})


@pytest.fixture(scope="module")
def earlier(volume) -> EarlierPatients:
    return EarlierPatients(WorkingVolumes(volume), torch.device("cpu"))


def factors(earlier, teacher, prompts, card: Card, by_hand: SliceAnnotations | None = None):
    prompt: Prompt = replace(prompts["liver"], card=card)
    found = earlier.locate({"liver": [teacher]}, [prompt], ignore, never)["liver"]
    assert found.prior is not None
    return earlier.location(prompt, found, by_hand, never).blend(0.5, 0.5), found


def test_a_prompt_of_one_patient_counts_less_in_another_than_in_its_own(earlier, teacher, prompts, volume, kit) -> None:
    there, found = factors(earlier, teacher, prompts, DRAWN)
    assert there == blend_of(0.7, 0.5, found.fits, known=0.5, elsewhere=True)
    labels = kit.make_phantom(11).labels
    own = SliceAnnotations.from_labels(labels, volume.grid, 1, [int((labels == 1).any((1, 2)).argmax()) + 2])
    here, found = factors(earlier, teacher, prompts, DRAWN, own)
    assert here == blend_of(0.7, 0.5, found.fits, known=0.5)


def test_a_shipped_prompt_counts_as_it_did_in_other_patients(earlier, teacher, prompts) -> None:
    blend, found = factors(earlier, teacher, prompts, SHIPPED)
    assert blend == blend_of(0.9, 0.5, found.fits, known=0.5, most=most_beside(0.9, 0.5, None))


def test_one_that_was_recognised_counts_as_taught_with_the_dice_that_it_had_elsewhere(
    earlier, teacher, prompts
) -> None:
    assert network_dice(replace(prompts["liver"], card=BEGUN)) == 0.9
    blend, found = factors(earlier, teacher, prompts, BEGUN)
    assert blend == blend_of(0.9, 0.5, found.fits, known=0.5, elsewhere=True)


def test_a_prompt_that_is_sure_of_itself_does_not_do_without_a_place_that_the_overview_network_knows(
    earlier, teacher, prompts
) -> None:
    for card, counts in ((DRAWN, True), (BEGUN, False), (SHIPPED, False)):
        prompt = replace(prompts["liver"], card=card)
        found = earlier.locate({"liver": [teacher]}, [prompt], ignore, never)["liver"]
        unknown, known = (
            earlier.location(prompt, replace(found, labelled=dice), None, never).blend(0.5, 0.95)
            for dice in (LABELLED - 0.1, LABELLED)
        )
        assert unknown[1] < 0.2
        assert (known[1] > 0.5) == counts


@pytest.mark.parametrize(("card", "boxed"), [(DRAWN, True), (BEGUN, False), (SHIPPED, False)])
def test_a_prompt_of_many_patients_is_asked_for_everywhere(earlier, teacher, prompts, card, boxed) -> None:
    prompt = replace(prompts["liver"], card=card)
    found = earlier.locate({"liver": [teacher]}, [prompt], ignore, never)["liver"]
    location = earlier.location(prompt, found, None, never)
    assert (location.span is not None, location.crop is not None) == (boxed, boxed)
