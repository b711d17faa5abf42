"""``tune`` keeps what the next patient starts from, ``segment`` uses it, ``prompts show`` lists it; all of it can be
turned off."""

from __future__ import annotations

import pytest

from PromptSegCli.commands.arguments import remembers
from PromptSegLib.register.teachers import Memory

from .conftest import tune_words

QUICK = tune_words(slices="52", absent=None, steps=1)


@pytest.fixture(autouse=True)
def kept(place, monkeypatch) -> None:
    """As users have it."""
    monkeypatch.delenv("PROMPTSEG_MEMORY")


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


@pytest.mark.parametrize(("value", "kept"), [("off", False), ("0", False), ("no", False), ("on", True), ("", True)])
def test_one_setting_turns_it_off(monkeypatch, value, kept) -> None:
    monkeypatch.setenv("PROMPTSEG_MEMORY", value)
    assert remembers() is kept
