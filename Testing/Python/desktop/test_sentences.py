"""What the engine says is recognised by its key and values, so that the panel says it in another language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib import errors
from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.desktop.sentences import HERE, SENTENCES, recognise, spoken, told
from PromptSegLib.errors import InputError, PromptSegError
from PromptSegLib.review.findings import Auxiliary, review
from PromptSegLib.tune.advice import advice
from PromptSegLib.volumes.plausible import warnings_of
from PromptSegLib.volumes.volume import Grid, Volume

LIBRARY = Path(__file__).resolve().parents[3] / "PromptSeg" / "PromptSegLib"
CUT = {"problem.odd"}
"""What is left of another sentence."""
COMMANDS = (
    "anatomy/", "annotations.py", "contours/", "datasets/", "inputs_stay.py", "model/config.py", "register/excerpt.py",
    "review/", "volumes/", "worker/jobs.py", "worker/payload.py", "worker/protocol.py", "worker/serve.py",
)  # fmt: skip
"""What only commands meet, or a front end that passes on what it must not."""
PANEL = (
    "review/findings.py", "review/risk.py", "volumes/plausible.py", "volumes/room.py", "volumes/volume.py",
)  # fmt: skip
"""Of these, what the panel meets, too."""
OF_COMMANDS = {
    "{} already holds a run", "add --resume to go on with it, or remove the folder",
    "{} holds files that are not of a run, which would be kept there",
    "choose another name for -o, or move the folder", "{} would be learned from and held out",
    "give each volume of the data sets a name of its own",
    "leave out the data set that is derived from the other, or make it anew of who is learned from there",
    "No data set has a structure '{}'",
    "There is no device called {}", "choose auto, cpu, cuda or mps", "{} names no structure after the colon",
    "name at least one prompt", "set one first", "There is no volume to learn from",
    "name at least one with what was drawn in it", "The drawn slices belong to another volume than {}: {}",
    "The number of steps must not be {}, and {} is", "There is no slice {}", "choose a slice of the volume",
    "What belongs to '{}' is not on the image's grid: {}", "use one grid for all", "{} has {} dimensions, not 3",
    "choose a single 3-D volume", "{} has {} voxels on a grid of {}", "A prompt names no backbone",
    "{} and {} both have a prompt for {}",
    "name which structures of one of them are wanted after a colon, as in abdomen-ct:liver,spleen",
    "The set's card is not {}", "{} cannot be used: its card is not {}",
}  # fmt: skip
"""Options of commands, and what no panel can ask for."""


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
    assert gone == CUT, "they were worded anew, or are joined of parts: change them, or desktop/sentences.py"


def texts_in(node: ast.AST) -> Iterator[str]:
    """The texts that an argument may be, with ``{}`` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (*texts_in(node.body), *texts_in(node.orelse))


def said_in(source: str) -> set[str]:
    """What a file says to a user: problems and remedies, what is under way, and other sentences."""
    tree, found = ast.parse(source), set()
    beside: set[int] = set()
    for node in ast.walk(tree):
        name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
        if isinstance(node, ast.JoinedStr):
            beside |= {id(one) for one in node.values}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            beside.add(id(node.value))  # documentation
        elif isinstance(node, ast.Call) and name == "_":
            beside |= {id(one) for one in node.args}  # the panel's own
        elif isinstance(node, ast.Call) and name in KINDS:
            found |= {text for one in node.args[:2] for text in texts_in(one)}
        elif isinstance(node, ast.Call) and name == "Progress":
            found |= {text for one in node.args[2:3] for text in texts_in(one)}
    for node in ast.walk(tree):
        if id(node) not in beside:
            found |= {text for text in texts_in(node) if re.fullmatch(r"[A-Z{].* .* .*[a-z}]\.", text)}
    return {text for text in found if re.search("[a-z]", text)}


KINDS = {one.__name__ for one in vars(errors).values() if isinstance(one, type) and issubclass(one, PromptSegError)}


def test_what_the_panel_may_say_is_listed() -> None:
    left = set()
    for path in LIBRARY.rglob("*.py"):
        name = path.relative_to(LIBRARY).as_posix()
        if name.startswith(COMMANDS) and name not in PANEL:
            continue
        said = said_in(path.read_text(encoding="utf-8")) - OF_COMMANDS
        left |= {(name, text) for text in said if not recognise(text.replace("{}", "x"))}
    assert left == set(), "give it a key in desktop/sentences.py or problems.py"


@pytest.mark.parametrize(
    "line",
    [
        "raise InputError(f'{name} is odd', 'choose another')",
        "raise OutputError('Full' if full else f'No room in {path}')",
        "tell(Progress('x', 0.5, f'Doing {what}'))",
        "notes.append('It is not what it should be.')",
    ],
)
def test_what_is_said_is_found(line) -> None:
    assert said_in(line)


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


def test_the_panel_names_no_option_of_a_command(application) -> None:
    assert not [text for key, text in SENTENCES.items() if "--" in HERE.get(key, text)]
    problem = "The GPU's memory is not enough; close what else uses it, or compute on the CPU (--device cpu)."
    assert spoken(problem) == "The GPU's memory is not enough; close what else uses it, or crop the volume."


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("Here the network is most uncertain.", "Hier ist das Netz am unsichersten."),
        ("differs by 57% from the adjacent slices", "unterscheidet sich um 57% von den Nachbarschichten"),
        ("Learned from 3 slices of an earlier patient, too.", "Auch von 3 Schichten eines früheren Patienten gelernt."),
        (
            "PromptSeg knows this as left kidney: that prompt found the drawn slices with a Dice of 0.91, and learning "
            "began there.",
            "PromptSeg kennt dies als linke Niere: Dieser Prompt fand die gezeichneten Schichten mit einem Dice von "
            "0.91, und das Lernen begann dort.",
        ),
        ("2/4: slice 7 of 30", "2/4: Schicht 7 von 30"),
        ("CT is a label map; choose the CT itself.", "CT ist eine Label Map; wählen Sie das CT selbst."),
        ("Looking at left kidney", "linke Niere wird angesehen"),
        ("The disk is full (x.nrrd)", "Die Festplatte ist voll (x.nrrd)"),
        (
            "x cannot be used: it has no name or no card; get the file again.",
            "x kann nicht verwendet werden: Es hat keinen Namen oder keine Karte; besorgen Sie die Datei neu.",
        ),
        (
            "x has no prompt for 'heart'; it has: 'liver', 'left kidney' and 3 more.",
            "x hat keinen Prompt für 'Herz'; vorhanden sind: 'Leber', 'linke Niere' und 3 weitere.",
        ),
        ("liver, my own: changed since", "Leber, my own: seither geändert"),
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
