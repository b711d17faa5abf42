"""Names: what the product asks of Qt, CTK and Slicer, and what the stand-in offers, is what a real Slicer has."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = [
    ROOT / "PromptSeg" / "PromptSeg.py",
    *sorted((ROOT / "PromptSeg" / "PromptSegLib" / "desktop").rglob("*.py")),
    *sorted((ROOT / "PromptSeg" / "PromptSegLib" / "mrml").rglob("*.py")),
]
LISTS = {"slicer.util": "slicer_util", "slicer.app": "slicer_app", "slicer.modules": "modules"}


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT / "PromptSeg")))
def test_every_name_is_there_in_slicer(application, path) -> None:
    from standin.facts import facts, names_of

    modules = {"qt": "qt_names", "ctk": "ctk_names", "slicer": "slicer_names"}
    unknown = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parent = dotted(node.value) if isinstance(node, ast.Attribute) else ""
        known = None
        if parent in modules:
            known = set(facts()[modules[parent]])
        elif parent in LISTS:
            known = set(facts()[LISTS[parent]])
        elif parent.startswith("qt."):
            known = names_of(parent)
        if known is not None and node.attr not in known and not node.attr.startswith("__"):
            unknown.append(f"line {node.lineno}: {parent}.{node.attr}")
    assert not unknown, "\n".join(unknown)


def test_the_stand_in_offers_nothing_that_slicer_lacks(application) -> None:
    from standin.facts import names_of, signals_of
    from standin.widgets import CTK, SLICER

    for prefix, classes in (("ctk", CTK), ("slicer", SLICER)):
        for name, cls in classes.items():
            kind = f"{prefix}.{name}"
            own = {one for one in vars(cls) if not one.startswith("_") and one != "staticMetaObject"}
            assert not own - names_of(kind), kind
            assert signals_of(kind), kind


def test_a_name_that_slicer_lacks_fails(application, tmp_path) -> None:
    import qt

    # As a file of the product would write it.
    folder = tmp_path / "PromptSeg" / "PromptSegLib" / "desktop"
    folder.mkdir(parents=True)

    def run(text: str) -> None:
        source = folder / f"x{len(list(folder.iterdir()))}.py"
        source.write_text(text)
        exec(compile(text, str(source), "exec"), {"qt": qt})

    run("w = qt.QLabel()\nw.text = 'a'\nassert w.text == 'a'")
    for text, message in (
        ("qt.QLabel().txt = 'a'", "no txt in 3D Slicer"),
        ("w = qt.QLabel()\nw.setTxt('a')", "setTxt"),
        ("qt.QComboBox().connect('currentIndexChanged(float)', print)", "no signal currentIndexChanged"),
        ("qt.QNothing", "qt has no QNothing"),
        ("w = qt.QLabel()\nw.text()", "not callable"),
    ):
        with pytest.raises((AttributeError, TypeError), match=message):
            run(text)
