"""``promptseg prompts export``: a taught prompt for others, with where it lies in open reference CTs."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register import references
from PromptSegLib.register.picture import picture_of
from PromptSegLib.register.references import Reference
from PromptSegLib.register.teachers import Memory, Teacher, remembered

from .conftest import Promptseg


@pytest.fixture
def people(kit, monkeypatch):
    """Two patients; the second stands in for the reference CTs."""
    first, second = (kit.make_phantom(seed, values=(1, 2, 3, 4)) for seed in (31, 33))
    picture = picture_of(second.volume)
    one = Reference("open", picture, Teacher(picture, {}).digest)
    monkeypatch.setattr(references, "references", lambda: (one,))
    return first, second


def test_a_taught_prompt_goes_to_others_without_its_patient(promptseg: Promptseg, place, people, kit) -> None:
    kept = remembered(people[0].volume, {"left kidney": (people[0].labels == kit.new, 0.9)})
    Memory([kept]).write(place / "kidney.memory")
    done = promptseg("prompts", "export", "kidney.promptset", "-o", "others.promptset", "--json")
    assert done.status == 0
    assert done.result["references"] == {"left kidney": 1}
    assert done.result["without"] == {}
    assert sorted(one.name for one in place.glob("others*")) == ["others.promptset"]
    (mask,) = PromptSet.read(place / "others.promptset")["left kidney"].masks
    assert mask.returned > 0.5
    again = promptseg("prompts", "show", "others.promptset")
    assert "reference CTs that show its place 1" in " ".join(again.out.split())
    assert np.array_equal(
        PromptSet.read(place / "others.promptset")["left kidney"].tensors["head.foreground"],
        PromptSet.read(place / "kidney.promptset")["left kidney"].tensors["head.foreground"],
    )


def test_what_no_patient_is_remembered_of_is_exported_and_told(promptseg: Promptseg, place, people) -> None:
    done = promptseg("prompts", "export", "kidney.promptset:left kidney", "-o", "others.promptset")
    assert done.status == 0
    assert "left kidney tells other computers nothing of its place: no patient is remembered." in done.out
    assert PromptSet.read(place / "others.promptset")["left kidney"].masks == ()


def test_inputs_stay_and_a_damaged_memory_is_told(promptseg: Promptseg, place, people) -> None:
    (place / "kidney.memory").write_bytes(b"something else")
    before = (place / "kidney.promptset").read_bytes()
    for target, said in (("kidney.promptset", "nothing is written over an input"), ("x.nrrd", ".promptset")):
        refused = promptseg("prompts", "export", "kidney.promptset", "-o", target)
        assert refused.status == 2
        assert said in refused.err
    refused = promptseg("prompts", "export", "kidney.promptset", "-o", "others.promptset")
    assert refused.status == 2
    assert "kidney.memory is not a PromptSeg memory file, or it is damaged" in refused.err
    assert (place / "kidney.promptset").read_bytes() == before
    assert not (place / "others.promptset").exists()
