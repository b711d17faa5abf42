"""``tune`` keeps what the next patient starts from, ``segment`` uses it, ``prompts show`` lists it; all of it can be
turned off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.prompts.library import remembers
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register.teachers import Memory

from .conftest import tune_words

QUICK = tune_words(slices="52", absent=None, steps=1)


@pytest.fixture(autouse=True)
def kept(place, monkeypatch) -> None:
    """As users have it."""
    monkeypatch.delenv("PROMPTSEG_MEMORY")


def test_who_names_another_file_is_not_told_to_delete_it(promptseg, place) -> None:
    for name in ("ct.nii.gz", "kidney.promptset"):
        said = promptseg(*QUICK, "--examples", name)
        assert said.status == 2
        assert "choose the .memory file beside a prompt" in said.err
        assert "delete" not in said.err


def test_tune_keeps_a_memory_and_segment_uses_it(promptseg, place) -> None:
    assert promptseg(*QUICK, "--json").result["memory"] == "new.memory"
    size = (place / "new.promptset").stat().st_size
    assert (place / "new.memory").stat().st_size < 2_000_000
    (teacher,) = Memory.read(place / "new.memory").of("left kidney")
    ml = float(teacher.masks["left kidney"].on(teacher.picture).sum()) * 0.027
    assert ml > 5
    segment = ("segment", "ct.nii.gz", "--prompts", "new.promptset", "-o", "a.nii.gz", "--device", "cpu")
    used = promptseg(*segment, "--json")
    assert used.status == 0
    assert any(one.get("stage") == "register" for one in used.events)
    left = promptseg(*segment, "--no-memory", "--json")
    assert not any(one.get("stage") == "register" for one in left.events)
    shown = promptseg("prompts", "show", "new.promptset")
    assert "new.memory" in shown.out
    assert "delete it to forget them" in " ".join(shown.out.split())

    (place / "new.memory").write_bytes(b"something else")
    said = promptseg(*segment)
    assert said.status == 0
    assert "new.memory is not a PromptSeg memory file" in " ".join((said.out + said.err).split())
    (place / "new.memory").unlink()
    assert promptseg(*QUICK, "--no-memory", "--json").result["memory"] is None
    assert not (place / "new.memory").exists()
    assert (place / "new.promptset").stat().st_size == size  # no picture was in it


@pytest.mark.parametrize(
    "words",
    [
        (*QUICK, "--no-memory"),
        ("prompts", "merge", "kidney.promptset", "other.promptset", "-o", "new.promptset"),
        ("prompts", "export", "kidney.promptset", "-o", "new.promptset"),
    ],
)
def test_what_a_replaced_prompt_remembered_goes_with_it(promptseg, place, words) -> None:
    """Or the new prompt would start from patients it was not taught in, and their pictures would outlive theirs."""
    (prompt,) = PromptSet.read(place / "kidney.promptset").values()
    PromptSet.of("other", [replace(prompt, structure=Structure("other"))]).write(place / "other.promptset")
    for name in ("new.memory", "kidney.memory"):
        (place / name).write_bytes(b"a picture")
    if words[1] == "export":
        (place / "kidney.memory").unlink()
    said = promptseg(*words)
    assert said.status == 0, said.err
    assert not (place / "new.memory").exists()
    assert (place / "kidney.memory").exists() == (words[1] != "export")
    assert ("The patients in kidney.memory stay there" in " ".join(said.out.split())) == (words[1] == "merge")


@pytest.mark.parametrize(("value", "kept"), [("off", False), ("0", False), ("no", False), ("on", True), ("", True)])
def test_one_setting_turns_it_off(monkeypatch, value, kept) -> None:
    monkeypatch.setenv("PROMPTSEG_MEMORY", value)
    assert remembers() is kept


def test_the_second_patient_is_learned_from_with_the_first(promptseg, place, inputs) -> None:
    import numpy as np

    from PromptSegLib.volumes.io import read_volume

    from .conftest import save

    assert promptseg(*QUICK).status == 0
    voxels = read_volume(str(place / "ct.nii.gz")).voxels
    shifted = np.roll(voxels, 2, axis=2)
    save(shifted, place / "ct2.nii.gz")
    labels = np.roll(read_volume(str(place / "labels.nii.gz")).voxels, 2, axis=2)
    labels[0:4, 0:4, :] = 0
    save(labels.astype(np.uint8), place / "labels2.nii.gz")
    second = tune_words(
        image="ct2.nii.gz", labels="labels2.nii.gz", slices="52", absent=None, steps=1,
        start_from="new.promptset", output="both.promptset", name="my kidney",
    )  # fmt: skip
    result = promptseg(*second, "--json").result
    assert result["memory"] == "both.memory"
    both = Memory.read(place / "both.memory")
    assert both.names == ["my kidney"]
    assert [list(one.drawn["my kidney"].drawn) for one in both.teachers] == [[52], [52]]
    shown = promptseg("prompts", "show", "both.promptset", "--json").result["prompts"][0]["card"]
    assert (shown["slices"], shown["volumes"]) == (2, 2)

    (place / "new.memory").rename(place / "elsewhere.memory")
    named = [*second, "--examples", "elsewhere.memory"]
    assert promptseg(*named, "--json").result["memory"] == "both.memory"
    assert len(Memory.read(place / "both.memory").teachers) == 2
    alone = promptseg(*named, "--no-memory", "--json").result
    assert alone["memory"] is None
    said = promptseg(*tune_words(slices="52", absent=None, steps=1, name="spleen"), "--examples", "elsewhere.memory")
    assert said.status == 2
    assert "elsewhere.memory has no drawn slices of 'spleen'; it knows 'left kidney'" in " ".join(said.err.split())
    said = promptseg(*tune_words(slices="52", absent=None, steps=1), "--examples", "foreign.promptset")
    assert said.status == 2
    assert "is not a PromptSeg memory file" in " ".join(said.err.split())


def test_the_file_of_examples_is_not_written_over(promptseg, place) -> None:
    assert promptseg(*QUICK).status == 0
    before = (place / "new.memory").read_bytes()
    (place / "link.memory").symlink_to("new.memory")
    for name in ("new.memory", "link.memory"):
        outcome = promptseg(*QUICK, "--examples", name)
        assert outcome.status == 2
        assert "The .memory file of -o and --examples name the same file" in outcome.err
    assert (place / "new.memory").read_bytes() == before
    assert promptseg(*QUICK, "--examples", "new.memory", "--no-memory").status == 0
    assert (place / "new.memory").read_bytes() == before
