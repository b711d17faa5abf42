"""Names that look alike are one name, wherever a name is asked for."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from PromptSegCli.cohort.items import Item, check_names
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import key
from PromptSegLib.errors import InputError
from PromptSegLib.review.evaluate import evaluate
from PromptSegLib.spelling import spelled
from PromptSegLib.volumes.labels import LabelMap
from PromptSegLib.volumes.volume import Grid

ONE = "Künstliche Hüfte é"
ALIKE = [
    unicodedata.normalize("NFD", ONE),
    unicodedata.normalize("NFD", ONE).upper(),
    "künstliche\u00a0hüfte  é ",
    "\u200fKünstliche\u200e Hüfte é\ufeff",
]


@pytest.mark.parametrize("name", ALIKE)
def test_names_that_look_alike(name: str) -> None:
    assert spelled(name) == spelled(ONE)
    assert key(name) == key(ONE)
    grid = Grid((2, 2, 2))
    labels = LabelMap(np.ones((2, 2, 2), np.uint8), grid, {1: Structure(ONE)})
    assert labels.value_of(name) == 1
    other = LabelMap(np.full((2, 2, 2), 3, np.uint8), grid, {3: Structure(name)})
    assert evaluate(labels, other).mean.dice == 1
    with pytest.raises(InputError, match="2 segments of labels are called"):
        LabelMap(labels.array, grid, {1: Structure(ALIKE[1]), 2: Structure(name.title())}).value_of(ONE)
    with pytest.raises(InputError, match="would both be called"):
        check_names([Item(ONE, "a"), Item(name, "b")])


@pytest.mark.parametrize("name", ["Kunstliche Hufte e", "Künstliche-Hüfte é", "Künstliche Hüfte", ""])
def test_other_names_are_others(name: str) -> None:
    assert spelled(name) != spelled(ONE)


def test_prompts_and_the_panels_catalogue(tmp_path) -> None:
    from PromptSegLib.desktop.catalogue import PromptEntry, _named
    from PromptSegLib.prompts.card import Card
    from PromptSegLib.prompts.library import _named as prompt_named
    from PromptSegLib.prompts.promptset import PromptSet

    entry = PromptEntry(Structure(ONE), "x.promptset:a", Card(), "x", tmp_path / "x.promptset")
    for name in ALIKE:
        assert _named([entry], name) is entry

    class One:
        structure = Structure(ONE)
        backbone_id = "x"

    found = PromptSet("x", {ONE: One()})  # type: ignore[dict-item]
    for name in ALIKE:
        assert prompt_named(found, name) is found[ONE]
