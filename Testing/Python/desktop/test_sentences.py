"""What the engine says is recognised by its key and values, so that the panel says it in another language."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.desktop.sentences import SENTENCES, recognise, spoken, told
from PromptSegLib.errors import InputError
from PromptSegLib.review.findings import Auxiliary, review
from PromptSegLib.tune.advice import advice
from PromptSegLib.volumes.plausible import warnings_of
from PromptSegLib.volumes.volume import Grid, Volume

LIBRARY = Path(__file__).resolve().parents[3] / "PromptSeg" / "PromptSegLib"
JOINED = {
    "review.both", "review.gap", "review.gaps", "review.jump", "review.jumps", "review.many_jumps", "suggest.beyond",
    "suggest.goes_on", "suggest.between_uncertain", "suggest.widest", "suggest.changes", "suggest.changes_uncertain",
    "advice.odd", "advice.beyond", "advice.beyond_both", "advice.border", "advice.part", "advice.parts", "advice.gone",
    "volume.modality", "volume.values", "problem.download", "problem.download_why", "plane.axial", "plane.coronal",
    "plane.sagittal", "set.pretrained", "problem.odd", "progress.kept", "progress.without",
}  # fmt: skip
"""Sentences that the engine joins of parts: the tests below have it say those that can be had at little cost."""


def skeletons() -> set[str]:
    """All texts of the library, with ``{}`` for what is filled in."""
    found = set()
    for path in LIBRARY.rglob("*.py"):
        if path.name == "sentences.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
                found.add("".join(map(str, parts)))
    return found


def test_every_sentence_is_one_that_the_engine_says() -> None:
    there = skeletons()
    gone = {key for key, text in SENTENCES.items() if re.sub(r"\{\w+\}", "{}", text) not in there}
    assert gone - JOINED == set(), "they were worded anew: change desktop/sentences.py and its translations"


GRID = Grid((40, 40, 30), (0.0, 0.0, 0.0), (1.0, 1.0, 3.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


def known(texts) -> set[str]:
    """The keys of sentences; fails for one that is not recognised."""
    found = {text: recognise(text) for text in texts}
    assert all(found.values()), [text for text, one in found.items() if one is None]
    return {one[0] for one in found.values()}


def body() -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    mask[5:25, 10:30, 10:30] = True
    return mask


def test_what_a_review_says_is_recognised() -> None:
    masks = {"empty": body() & False, "whole": body()}
    masks["parts"] = body()
    masks["parts"][8:20, 10:22, 32:38] = True
    masks["gaps"] = body()
    masks["gaps"][[9, 12]] = False
    masks["jumps"] = body()
    masks["jumps"][14, 10:24] = False
    masks["border"] = body()
    masks["border"][:, :12, 10:30] = True
    masks["specks"] = body()
    masks["specks"][2, 2, 2] = masks["specks"][2, 35, 35] = True
    remarks, whys = set(), set()
    uncertain = np.zeros(GRID.shape, np.float32)
    uncertain[14, 10:30, 10:30] = 0.9
    beside = {name: Auxiliary(uncertainty=uncertain) for name in masks}
    for one in review(masks, GRID, beside).structures:
        remarks |= known(one.remarks)
        whys |= known(found.why for found in one.slices)
    assert {"review.nothing", "review.parts", "review.gaps", "review.specks", "review.border"} <= remarks
    assert {"review.jump", "review.jumps"} & remarks
    assert {"review.wrong", "review.both", "review.differs"} & whys


def drawn(masks: dict[int, np.ndarray], absent=()) -> SliceAnnotations:
    values = {k: Slice(SliceStatus.COMPLETE, mask.astype(np.uint8)) for k, mask in masks.items()}
    values |= {k: Slice(SliceStatus.ABSENT, np.zeros(GRID.shape[1:], np.uint8)) for k in absent}
    return SliceAnnotations(0, GRID, dict(sorted(values.items())))


def test_what_is_said_of_drawn_slices_is_recognised() -> None:
    plane, parts, edge = (np.zeros(GRID.shape[1:], bool) for _ in range(3))
    plane[10:30, 10:30] = True
    parts[10:28, 5:15] = parts[10:28, 22:34] = True
    edge[:20, 10:30] = True
    said = {
        *known(advice([drawn({10: plane})], [])),
        *known(advice([drawn({8: plane, 12: parts, 16: plane, 20: edge}, absent=[14])], [])),
    }
    assert {"advice.one", "advice.part", "advice.border", "advice.gone"} <= said
    assert {"advice.beyond", "advice.beyond_both"} & said


@pytest.mark.parametrize("values", [np.full((9, 9, 9), 7), np.linspace(900, 3000, 729).reshape(9, 9, 9)])
def test_what_is_said_of_odd_volumes_is_recognised_with_its_reason(values) -> None:
    grid = Grid(values.shape[::-1], (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), GRID.direction)
    (text,) = warnings_of(Volume(values.astype(np.int16), grid, "x"))
    key, found = recognise(text)
    assert key == "volume.values"
    assert recognise(found["why"]) is not None


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("Here the network is most uncertain.", "Hier ist das Netz am unsichersten."),
        ("differs by 57% from the adjacent slices", "unterscheidet sich um 57% von den Nachbarschichten"),
        ("Learned from 3 slices of an earlier patient, too.", "Auch von 3 Schichten eines früheren Patienten gelernt."),
        ("2/4: slice 7 of 30", "2/4: Schicht 7 von 30"),
        ("CT is a label map; choose the CT itself.", "CT ist eine Label Map; wählen Sie das CT selbst."),
        ("Looking at left kidney", "linke Niere wird angesehen"),
        ("What nobody listed.", "What nobody listed."),
    ],
)
def test_it_is_said_in_german(application, text, german) -> None:
    from standin.application import speak

    speak(application, "de_DE")
    application.loadTranslations(str(LIBRARY.parent / "Resources" / "Translations"))
    try:
        assert spoken(text) == german
        assert told(InputError("CT is a label map", "choose the CT itself")).startswith("CT ist eine Label Map; wähl")
    finally:
        speak(application, "")
    assert spoken(text) == text


def test_every_structure_of_the_table_has_a_name_in_other_languages() -> None:
    from PromptSegLib.anatomy.terminology import structures
    from PromptSegLib.desktop.structure_names import NAMES

    assert {one.name for one in structures()} == NAMES


def test_structures_are_listed_and_found_by_their_german_names(window, tmp_path, monkeypatch) -> None:
    import types

    from standin.application import speak

    speak(window, "de_DE")
    window.loadTranslations(str(LIBRARY.parent / "Resources" / "Translations"))
    try:
        from PromptSegLib.desktop.catalogue import Library
        from PromptSegLib.desktop.panel.structures import Structures

        state = types.SimpleNamespace(ticked=[], set_values=lambda *_: None)
        made = Structures(Library(tmp_path), state, lambda: None, lambda: None)
        made.refresh()
        for search, found in (("milz", {"Milz", "Pfortader und Milzvene"}), ("left kidney", {"linke Niere"})):
            made.search.setText(search)
            assert {item.text(0) for item, _entry in made._items if not item.isHidden()} == found
        made.tick("abdomen-ct:left kidney")
        assert made.ticked == ["abdomen-ct:left kidney"], "what is asked for keeps its name"
    finally:
        speak(window, "")
