"""``tune`` keeps what the next patient starts from, ``segment`` uses it, ``prompts show`` lists it; all of it can be
turned off."""

from __future__ import annotations

import pytest

from .conftest import tune_words


@pytest.fixture(autouse=True)
def kept(place, monkeypatch) -> None:
    """As users have it."""
    monkeypatch.delenv("PROMPTSEG_MEMORY")


def test_tune_keeps_a_memory_and_segment_uses_it(promptseg, place) -> None:
    told = promptseg(*tune_words(steps=1), "--json").result
    assert told["memory"] == "new.memory"
    assert (place / "new.memory").stat().st_size < 2_000_000
    used = promptseg(
        "segment", "ct.nii.gz", "--prompts", "new.promptset", "-o", "a.nii.gz", "--device", "cpu", "--json"
    )
    assert used.status == 0
    shown = promptseg("prompts", "show", "new.promptset")
    assert "new.memory" in shown.out
    assert "delete it to forget them" in " ".join(shown.out.split())


@pytest.mark.parametrize("how", ["option", "setting"])
def test_it_can_be_turned_off(promptseg, place, monkeypatch, how) -> None:
    if how == "setting":
        monkeypatch.setenv("PROMPTSEG_MEMORY", "off")
    option = ("--no-memory",) if how == "option" else ()
    assert promptseg(*tune_words(steps=1), *option, "--json").result["memory"] is None
    assert not (place / "new.memory").exists()


def test_a_damaged_memory_is_told_and_not_used(promptseg, place) -> None:
    promptseg(*tune_words(steps=1), "--no-memory")
    (place / "new.memory").write_bytes(b"something else")
    said = promptseg("segment", "ct.nii.gz", "--prompts", "new.promptset", "-o", "a.nii.gz", "--device", "cpu")
    assert said.status == 0
    assert "new.memory is not a PromptSeg memory file" in " ".join((said.out + said.err).split())


def test_a_prompt_file_itself_holds_no_picture(promptseg, place) -> None:
    promptseg(*tune_words(steps=1))
    with_memory = (place / "new.promptset").stat().st_size
    promptseg(*tune_words(steps=1), "--no-memory")
    assert (place / "new.promptset").stat().st_size == with_memory
