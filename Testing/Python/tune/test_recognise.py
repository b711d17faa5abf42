"""What was drawn and is known already: learning begins with the prompt that finds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.contours.fusion import WEIGHTS
from PromptSegLib.errors import AnnotationError, Stopped
from PromptSegLib.progress import never
from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.segment.segmenter import WorkingVolumes
from PromptSegLib.session import Session
from PromptSegLib.tune.examples import Drawing, make_examples
from PromptSegLib.tune.optimise import LeftOut
from PromptSegLib.tune.recognise import enough, recognise
from PromptSegLib.tune.tuner import TuningRecipe
from PromptSegLib.volumes.preprocess import FULL_WINDOW
from PromptSegLib.volumes.volume import Volume

LIVER = 1


@pytest.fixture(scope="module")
def phantom(kit):
    return kit.make_phantom(11, values=(LIVER, 2, 3, kit.new))


@pytest.fixture(scope="module")
def session(trained, phantom) -> Session:
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    return session


@pytest.fixture(scope="module")
def known(prompts) -> list[Prompt]:
    """As they ship: their Dice in other patients is known, and the overview network counts beside them."""
    return [replace(p, card=replace(p.card, validation_dice=0.9, overview=(n, 0.4))) for n, p in prompts.items()]


def drawn(phantom, value: int) -> SliceAnnotations:
    planes = [k for k in range(len(phantom.labels)) if (phantom.labels[k] == value).any()]
    return SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, value, planes[1:-1:3])


def drawings(session: Session, annotations: SliceAnnotations) -> list[Drawing]:
    return [Drawing(session._works.get(0), annotations)]


def test_a_structure_that_is_known_is_recognised_and_another_is_not(session, phantom, known, kit) -> None:
    found = recognise(session.backbone, drawings(session, drawn(phantom, LIVER)), known)
    assert found is not None
    assert found.prompt.structure.name == "liver"
    assert found.dice >= enough(found.prompt.card)
    assert recognise(session.backbone, drawings(session, drawn(phantom, kit.new)), known) is None
    assert recognise(session.backbone, drawings(session, drawn(phantom, LIVER)), known[1:]) is None


def test_only_prompts_that_see_slices_in_the_same_way_are_asked(session, phantom, known) -> None:
    own = drawings(session, drawn(phantom, LIVER))
    for change in ({"plane": "coronal"}, {"spacing": 3.0}):
        others = [replace(p, card=replace(p.card, **change)) for p in known]
        assert recognise(session.backbone, own, others) is None
    assert recognise(session.backbone, own, [replace(p, backbone_id="0" * 64) for p in known]) is None


def test_learning_begins_with_the_prompt_that_finds_it_and_says_so(session, phantom, known) -> None:
    liver, annotations = known[0], drawn(phantom, LIVER)
    first = session.tune(annotations, Structure("my liver"), known=known, steps=0)
    assert all(torch.equal(first.prompt.tensors[k], v.float()) for k, v in liver.tensors.items())
    assert first.prompt.structure.name == "my liver"
    assert first.notes[-1].startswith("PromptSeg knows this as liver: that prompt found")
    assert first.notes[-1].endswith("and learning began there.")
    learned = session.tune(annotations, Structure("my liver"), known=known, steps=2)
    assert learned.steps == 0  # what two steps gain is too little to give up what many patients taught
    assert learned.prompt.card.shared_tokens == liver.card.shared_tokens
    assert learned.prompt.card.begun_dice == 0.9
    assert learned.prompt.card.window == liver.card.window
    assert learned.prompt.card.carries
    assert not learned.prompt.card.knows  # its slices are a drawing, and no corrections
    later = session.tune(annotations, Structure("my liver"), start_from=learned.prompt, steps=1)
    assert (later.steps, later.prompt.card.begun_dice) == (0, 0.9)  # nor for one step
    assert later.prompt.card.shared_tokens == liver.card.shared_tokens
    assert later.prompt.card.overview == learned.prompt.card.overview == ("liver", 0.4)
    anew = session.tune(annotations, Structure("my liver"), known=(), steps=2)
    assert anew.prompt.card.begun_dice is None
    assert anew.prompt.card.overview is None
    assert not any("knows this as" in note for note in anew.notes)


def test_steps_that_left_out_slices_gain_from_are_taken(session, phantom, known) -> None:
    annotations, recipe = drawn(phantom, LIVER), TuningRecipe(gain=-1.0, check_every=2)
    learned = session.tune(annotations, Structure("my liver"), known=known, steps=2, recipe=recipe)
    assert learned.prompt.card.begun_dice == (None if learned.steps else 0.9)  # what was changed was measured nowhere
    assert learned.prompt.card.overview == (None if learned.steps else ("liver", 0.4))
    corrected = session.tune(annotations, Structure("liver"), start_from=known[0], steps=2, recipe=recipe)
    assert corrected.prompt.card.overview == ("liver", 0.4)  # it is the same structure still
    curve = LeftOut([0, 5], {0: np.array([[[0.8, 1.0]] * len(WEIGHTS), [[0.82, 1.0]] * len(WEIGHTS)])})
    assert curve.choice()[0] == 5
    assert replace(curve, gain=0.03).choice()[0] == 0
    assert replace(curve, gain=0.01).choice()[0] == 5


def test_a_single_slice_takes_the_known_prompt_as_it_is(session, phantom, known) -> None:
    plane = next(k for k in range(len(phantom.labels)) if (phantom.labels[k] == LIVER).sum() > 30)
    annotations = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, LIVER, [plane])
    learned = session.tune(annotations, Structure("my liver"), known=known)
    assert learned.steps == 0
    assert all(torch.equal(learned.prompt.tensors[k], v.float()) for k, v in known[0].tensors.items())


def test_prompts_of_another_backbone_change_nothing(session, phantom) -> None:
    annotations = drawn(phantom, LIVER)
    one, other = (session.tune(annotations, Structure("x"), known=k, steps=2).prompt for k in (None, ()))
    assert all(torch.equal(one.tensors[k], other.tensors[k]) for k in one.tensors)


def test_slices_that_show_too_little_to_tell_are_no_reason_to_refuse(session, phantom, known) -> None:
    fine = Volume.from_array(phantom.volume.voxels, np.diag([0.4, 0.4, 4.0, 1.0]))
    dot = np.zeros(fine.grid.shape, np.uint8)
    dot[[6, 9, 12], 20, 20] = 1
    annotations = SliceAnnotations.from_labels(dot, fine.grid, 1, [6, 9, 12])
    one = Drawing(WorkingVolumes(fine).get(0), annotations)
    with pytest.raises(AnnotationError, match="too small to learn from"):
        make_examples(session.backbone, [one], FULL_WINDOW, variants=0, seed=0, should_stop=never)
    assert recognise(session.backbone, [one], known) is None
    assert recognise(session.backbone, [replace(one, remembered=True)], known) is None


def test_it_stops_at_once(session, phantom, known) -> None:
    with pytest.raises(Stopped):
        recognise(session.backbone, drawings(session, drawn(phantom, LIVER)), known, should_stop=lambda: True)


def test_a_prompt_has_to_find_it_about_as_well_as_in_other_patients() -> None:
    assert enough(Card(validation_dice=0.9)) == pytest.approx(0.765)
    assert enough(Card(validation_dice=0.4)) == 0.5
    assert enough(Card()) == 0.7


def test_what_other_patients_had_of_it_is_what_is_expected_of_it() -> None:
    assert Card(begun_dice=0.8, network_dice=0.3).carries
    assert not Card(begun_dice=0.4, network_dice=0.9).carries
    assert Card.from_json(Card(begun_dice=0.8).to_json()).begun_dice == 0.8
