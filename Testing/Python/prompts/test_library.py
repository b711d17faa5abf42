"""Prompt sets are found by the short texts that users type."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
import torch

from PromptSegLib import resources
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import find
from PromptSegLib.errors import PromptError
from PromptSegLib.prompts import library
from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.library import asked, once, pick, resolve, shipped
from PromptSegLib.prompts.promptset import Prompt, PromptSet


def write(path: Path, *names: str) -> None:
    tensors = [{"head": torch.ones(2) * k} for k in range(len(names))]
    prompts = [Prompt(find(n), "ab" * 32, t, Card(note=n)) for n, t in zip(names, tensors, strict=True)]
    PromptSet.of(path.stem, prompts, {"licence": "CC0"}).write(path)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """Two shipped sets, and a working folder with one of one's own."""
    sets = tmp_path / "Resources" / "PromptSets"
    sets.mkdir(parents=True)
    write(sets / "abdomen-ct.promptset", "liver", "spleen", "left kidney")
    write(sets / "thorax-ct.promptset", "aorta")
    write(tmp_path / "own.promptset", "pancreas", "liver")
    monkeypatch.setattr(resources, "_PLACES", (tmp_path / "Resources",))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shipped_sets_are_listed_by_name() -> None:
    assert [p.stem for p in shipped()] == ["abdomen-ct", "thorax-ct"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("abdomen-ct", ["liver", "spleen", "left kidney"]),
        ("thorax-ct", ["aorta"]),
        ("abdomen-ct:spleen", ["spleen"]),
        ("abdomen-ct:spleen,liver", ["spleen", "liver"]),
        ("abdomen-ct: Spleen , LIVER", ["spleen", "liver"]),
        ("abdomen-ct:liver,liver", ["liver"]),
        ("own.promptset", ["pancreas", "liver"]),
        ("./own.promptset", ["pancreas", "liver"]),
        ("own.promptset:liver", ["liver"]),
        ("Resources/PromptSets/thorax-ct.promptset", ["aorta"]),
    ],
)
def test_every_form_that_a_user_may_type(text, names) -> None:
    found = resolve(text)
    assert list(found) == names
    assert found.card == {"licence": "CC0"}


def test_a_synonym_names_a_structure() -> None:
    kidney = find("left kidney")
    for synonym in kidney.synonyms:
        assert list(resolve(f"abdomen-ct:{synonym}")) == ["left kidney"]


NAMES = ("kidney, left", "kidney", "left", "C7: body", "a/b", "a/b:c", "x,", ":", "Liver", "liver", " two  blanks ")


@pytest.fixture
def odd(place) -> Path:
    """A set whose names hold what texts are cut at."""
    prompts = [Prompt(Structure(n), "ab" * 32, {"head": torch.ones(2) * k}) for k, n in enumerate(NAMES)]
    PromptSet.of("odd", prompts).write(place / "odd.promptset")
    return place / "odd.promptset"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_hold_a_comma_a_colon_or_a_slash(odd, name) -> None:
    assert list(resolve(f"odd.promptset:{name}")) == [name]
    assert list(resolve(f"{odd}:{name}")) == [name]
    assert list(pick(odd, name)) == [name]
    assert list(asked({"file": str(odd), "name": name})) == [name]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("kidney, left,kidney", ["kidney, left", "kidney"]),
        ("left,kidney", ["left", "kidney"]),
        ("C7: BODY , KIDNEY", ["C7: body", "kidney"]),
        ("a/b:c,a/b,two blanks", ["a/b:c", "a/b", " two  blanks "]),
        ("LIVER", ["Liver"]),
    ],
)
def test_several_of_them(odd, text, names) -> None:
    assert list(resolve(f"odd.promptset:{text}")) == names


def test_a_file_and_a_name_are_taken_as_they_are(odd, place) -> None:
    with pytest.raises(PromptError, match="odd has no prompt for 'KIDNEY'; it has: 'kidney, left', 'kidney', "):
        pick(odd, "KIDNEY")
    assert list(pick("abdomen-ct", "spleen")) == ["spleen"]
    assert list(asked({"file": "thorax-ct"})) == ["aorta"]
    with pytest.raises(PromptError, match="There is no prompt set"):
        pick(place / "none.promptset", "liver")


def test_a_path_may_hold_a_colon(place) -> None:
    (place / "a:b").mkdir()
    write(place / "a:b" / "c:d.promptset", "liver", "spleen")
    assert list(resolve("a:b/c:d.promptset")) == ["liver", "spleen"]
    assert list(resolve("a:b/c:d.promptset:spleen")) == ["spleen"]
    assert list(resolve(str(place / "own.promptset"))) == ["pancreas", "liver"]


def test_an_unknown_set_is_refused_with_what_there_is() -> None:
    with pytest.raises(PromptError, match=r"no prompt set 'pelvis'; .*one of: abdomen-ct, thorax-ct\."):
        resolve("pelvis")


def test_an_unknown_structure_is_refused_with_what_there_is() -> None:
    with pytest.raises(PromptError, match=r"no prompt for 'femur'; it has: 'liver', 'spleen', 'left kidney'\."):
        resolve("abdomen-ct:liver,femur")


@pytest.mark.parametrize("text", ["abdomen-ct:", "abdomen-ct:liver,", "", ":", ":liver"])
def test_an_unfinished_text_is_refused(text) -> None:
    with pytest.raises(PromptError):
        resolve(text)


@pytest.mark.parametrize("text", ["a" * 5000, "a" * 5000 + ".promptset:liver", "a\0b", "\udcff.promptset", "a\0:b"])
def test_what_no_file_can_be_called_is_a_set_that_is_not_there(text) -> None:
    with pytest.raises(PromptError, match="There is no prompt set") as refused:
        resolve(text)
    assert len(str(refused.value)) < 500


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(PromptError, match=r"There is no prompt set .*none\.promptset"):
        resolve("none.promptset:liver")


def test_what_ships_can_be_read(monkeypatch) -> None:
    monkeypatch.undo()
    for path in shipped():
        assert len(resolve(path.stem)) > 0


def test_a_structure_that_two_sets_hold_alike_is_taken_once() -> None:
    """The shipped sets share the esophagus; two different prompts of one structure are a question, not an answer."""
    liver, spleen = resolve("abdomen-ct:liver,spleen").values()
    copy = replace(liver, card=replace(liver.card, note="of another set"))
    assert once([("a", liver), ("a", spleen), ("b", copy)]) == [liver, spleen]
    other = replace(liver, tensors={k: t + 1 for k, t in liver.tensors.items()})
    with pytest.raises(PromptError, match="'liver' is asked for twice, by a and b; ask for it once"):
        once([("a", liver), ("b", other)])
    short = replace(liver, tensors={k: t[:1] for k, t in liver.tensors.items()})
    with pytest.raises(PromptError, match="by a and b; ask for it once"):
        once([("a", liver), ("b", short)])
    with pytest.raises(PromptError, match="by a, given twice"):
        once([("a", liver), ("a", replace(liver))])


@pytest.mark.parametrize(
    ("windows", "wanted"),
    [
        ([(-124.0, 279.0), (-1000.0, 1500.0)], (-1000.0, 1500.0)),
        ([(-124.0, 279.0), (-200.0, 200.0), (-100.0, 300.0)], (-200.0, 300.0)),
        ([(-124.0, 279.0), None], None),
    ],
)
def test_of_windows_of_one_structure_all_count_in_any_order(windows, wanted) -> None:
    """The sets of abdomen and chest hold one esophagus; the volumes of the abdomen were clipped."""
    (liver,) = resolve("abdomen-ct:liver").values()
    alike = [replace(liver, card=replace(liver.card, window=window)) for window in windows]
    for order in permutations(alike):
        (found,) = once((str(n), one) for n, one in enumerate(order))
        assert found.card.window == wanted
        assert found.tensors is order[0].tensors


def test_prompts_that_see_volumes_in_different_ways_are_two() -> None:
    (liver,) = resolve("abdomen-ct:liver").values()
    other = replace(liver, card=replace(liver.card, spacing=liver.card.spacing + 0.5))
    with pytest.raises(PromptError, match="'liver' is asked for twice, by a and b; ask for it once"):
        once([("a", liver), ("b", other)])


def test_what_is_asked_for_is_told_in_short(tmp_path, monkeypatch, engine_files) -> None:
    (tmp_path / "own.promptset").write_bytes(engine_files[1].read_bytes())
    monkeypatch.chdir(tmp_path)
    for text in ("own.promptset:" + "a" * 5000, "a" * 5000, "own.promptset:" + "a, " * 2000, "x" * 5000 + ":"):
        with pytest.raises(PromptError) as caught:
            resolve(text)
        assert len(str(caught.value)) < 1000


def test_a_shipped_set_that_is_damaged_keeps_nobody_from_teaching(monkeypatch, tmp_path) -> None:
    (tmp_path / "broken.promptset").write_bytes(b"x")
    write(tmp_path / "whole.promptset", "liver", "spleen")
    monkeypatch.setattr(library, "shipped", lambda: [tmp_path / "broken.promptset", tmp_path / "whole.promptset"])
    library.coming_with.cache_clear()
    assert [p.structure.name for p in library.coming_with("ab" * 32)] == ["liver", "spleen"]
    library.coming_with.cache_clear()
