"""A structure that the network never saw, taught in one patient, is found in the next; what it knows stays as good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.errors import Stopped
from PromptSegLib.register.teachers import Mask, Memory, remembered
from PromptSegLib.session import Session
from PromptSegLib.volumes.volume import Volume

VALUES = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def patients(kit):
    return [kit.make_phantom(seed, values=VALUES) for seed in (31, 32)]


@pytest.fixture(scope="module")
def opened(trained, patients):
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(patients[1].volume)
    return session


@pytest.fixture(scope="module")
def taught(trained, patients, kit):
    """A prompt of the new structure, and the teacher with PromptSeg's own mask of it."""
    first = patients[0]
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(first.volume)
    drawn = SliceAnnotations.from_labels(first.labels, first.volume.grid, kit.new, [5, 8, 11, 14])
    prompt = session.tune(drawn, Structure("new"), steps=5).prompt
    mask = session.segment([prompt], drawn={"new": drawn}).mask("new")
    liver = first.labels == 1
    return prompt, remembered(first.volume, {"new": (mask, 0.8), "liver": (liver, None)})


def test_what_the_network_does_not_know_is_carried_over(opened, taught, patients, kit) -> None:
    prompt, kept = taught
    prompt = replace(prompt, tensors={k: torch.zeros_like(t) for k, t in prompt.tensors.items()})  # knows nothing
    truth = patients[1].labels == kit.new
    alone = opened.segment([prompt])
    both = opened.segment([prompt], priors={"new": [kept]})
    assert kit.dice(both.mask("new"), truth) > 0.7
    assert kit.dice(both.mask("new"), truth) > kit.dice(alone.mask("new"), truth) + 0.05
    assert both.grid == patients[1].volume.grid
    assert not alone.notes


def test_what_it_knows_is_as_good_as_before(opened, taught, prompts, patients, kit) -> None:
    truth = patients[1].labels == 1
    alone = opened.segment([prompts["liver"]])
    both = opened.segment([prompts["liver"]], priors={"liver": [taught[1]]})
    assert kit.dice(both.mask("liver"), truth) > kit.dice(alone.mask("liver"), truth) - 0.02


def test_what_it_knows_is_as_good_with_a_teacher_who_is_wrong(opened, taught, prompts, patients, kit) -> None:
    """Of the teacher's liver a half was kept; within the box around it the network sees a little less."""
    _, kept = taught
    mask = kept.masks["liver"]
    half = Mask(np.ascontiguousarray(mask.share[:, :, : mask.share.shape[2] // 2]), mask.first, 1.0)
    wrong = replace(kept, masks={"liver": half})
    alone = opened.segment([prompts["liver"]])
    both = opened.segment([prompts["liver"]], priors={"liver": [wrong]})
    assert kit.dice(both.mask("liver"), alone.mask("liver")) > 0.98
    truth = patients[1].labels == 1
    assert kit.dice(both.mask("liver"), truth) > kit.dice(alone.mask("liver"), truth) - 0.01


def test_structures_of_one_teacher_share_a_registration(opened, taught, prompts, monkeypatch) -> None:
    from PromptSegLib.register import located

    prompt, kept = taught
    made = []
    real = located.register

    def counting(*args, **options):
        made.append(1)
        return real(*args, **options)

    monkeypatch.setattr(located, "register", counting)
    opened.set_volume(Volume(opened.volume.voxels, opened.volume.grid))
    opened.segment([prompt, prompts["liver"]], priors={"new": [kept], "liver": [kept]})
    opened.segment([prompt], priors={"new": [kept]})
    assert len(made) == 1


def test_the_same_again_is_the_same(opened, taught) -> None:
    prompt, kept = taught
    once, again = (opened.segment([prompt], priors={"new": [kept]}).probability("new") for _ in range(2))
    assert np.array_equal(once, again)


def test_what_is_drawn_here_corrects_what_was_carried_over(opened, taught, patients, kit) -> None:
    prompt, kept = taught
    prompt = replace(prompt, tensors={k: torch.zeros_like(t) for k, t in prompt.tensors.items()})  # knows nothing
    mask = kept.masks["new"]
    moved = replace(kept, masks={"new": replace(mask, first=(mask.first[0], mask.first[1] + 2, mask.first[2]))})
    truth = patients[1].labels == kit.new
    drawn = SliceAnnotations.from_labels(patients[1].labels, patients[1].volume.grid, kit.new, [6, 14])
    found = {
        "carried over": opened.segment([prompt], priors={"new": [moved]}),
        "drawn": opened.segment([prompt], drawn={"new": drawn}),
        "both": opened.segment([prompt], drawn={"new": drawn}, priors={"new": [moved]}),
    }
    dice = {name: kit.dice(one.mask("new"), truth) for name, one in found.items()}
    assert np.array_equal(found["both"].mask("new")[[6, 14]], truth[[6, 14]])
    assert dice["both"] > max(dice["carried over"], dice["drawn"])
    assert not found["both"].expected


def test_a_patient_who_does_not_fit_is_told_and_changes_nothing(opened, taught, kit) -> None:
    prompt, kept = taught
    k, j, i = np.indices((30, 40, 40))
    far = np.sqrt((k - 15.0) ** 2 + (j - 20.0) ** 2 + (i - 20.0) ** 2) * 4
    hu = np.select([far < 50, far < 56], [35.0, 900.0], -1000.0) + np.random.default_rng(0).normal(0, 5, far.shape)
    session = opened
    former = session.volume
    try:
        session.set_volume(Volume.from_array(hu.astype(np.int16), np.diag([4.0, 4.0, 4.0, 1.0])))
        alone, both = session.segment([prompt]), session.segment([prompt], priors={"new": [kept]})
    finally:
        session.set_volume(former)
    assert np.array_equal(alone.mask("new"), both.mask("new"))
    assert len(both.notes) == 1
    assert both.notes[0].startswith("new could not be carried over from the patient it was taught in: ")


def test_a_prompt_whose_region_is_not_in_the_field_of_view_finds_nothing_and_says_so(
    trained, prompts, kits, teacher
) -> None:
    """An organ of the abdomen, and a CT of the chest; the network that learned on phantoms finds some of it there."""
    kept = remembered(teacher.volume, {"liver": (teacher.labels == 3, 0.9)})
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(kits.patient(kits.bent, low=50, high=190, seed=4).volume)
    found = session.segment([prompts["liver"]], priors={"liver": [kept]})
    assert not found.mask("liver").any()
    assert found.nothing_of() == ("liver",)
    assert found.notes == (
        "liver was not found: registered with where it was taught, "
        "the field of view does not show that part of the body.",
    )
    assert not found.expected


def test_it_stops(opened, taught) -> None:
    prompt, kept = taught
    opened.set_volume(Volume(opened.volume.voxels, opened.volume.grid))
    left = 40

    def soon() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    with pytest.raises(Stopped):
        opened.segment([prompt], priors={"new": [kept]}, should_stop=soon)


def test_progress_goes_from_start_to_end(opened, taught) -> None:
    prompt, kept = taught
    opened.set_volume(Volume(opened.volume.voxels, opened.volume.grid))
    seen = []
    opened.segment([prompt], priors={"new": [kept]}, on_progress=lambda p: seen.append((p.stage, p.fraction)))
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {"register", "segment"} <= {stage for stage, _ in seen}


def test_from_a_file(opened, taught, tmp_path) -> None:
    prompt, kept = taught
    Memory([kept]).write(tmp_path / "own.memory")
    read = Memory.read(tmp_path / "own.memory").of("new")
    a, b = (opened.segment([prompt], priors={"new": one}).mask("new") for one in ([kept], read))
    assert np.array_equal(a, b)
