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
    *sorted((ROOT / "Testing" / "Slicer").rglob("*.py")),
]
LISTS = {"slicer.util": "slicer_util", "slicer.app": "slicer_app", "slicer.modules": "modules"}


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_name_is_there_in_slicer(application, path) -> None:
    unknown = unknown_names(path.read_text(encoding="utf-8"))
    assert not unknown, "\n".join(unknown)


def unknown_names(source: str) -> list[str]:
    """What a file reads from or imports of qt, ctk, slicer and vtk that is not there in Slicer."""
    import vtk
    from standin.facts import facts, names_of

    modules = {"qt": "qt_names", "ctk": "ctk_names", "slicer": "slicer_names"}
    unknown = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module in facts()["python_modules"]:
            there = facts()["python_modules"][node.module]
            unknown += [f"line {node.lineno}: {node.module}.{a.name}" for a in node.names if a.name not in there]
        parent = dotted(node.value) if isinstance(node, ast.Attribute) else ""
        known = None
        if parent in modules:
            known = set(facts()[modules[parent]])
        elif parent in LISTS:
            known = set(facts()[LISTS[parent]])
        elif parent == "vtk":
            known = set(dir(vtk))
        elif parent.startswith(("qt.", "ctk.")):
            known = names_of(parent)
        if known is not None and node.attr not in known and not node.attr.startswith("__"):
            unknown.append(f"line {node.lineno}: {parent}.{node.attr}")
    return unknown


@pytest.mark.parametrize(
    "line",
    [
        "qt.QLabell()",
        "ctk.ctkProgressBar()",
        "slicer.getNode('CT')",
        "slicer.util.loadVolumes",
        "slicer.app.layoutManagers()",
        "slicer.modules.promptsegs",
        "qt.QSlider.Horizontal",
        "vtk.vtkMatrix5x5()",
        "from slicer.i18n import gettext",
    ],
)
def test_a_name_that_slicer_lacks_is_found_in_the_source(application, line) -> None:
    assert unknown_names(line)


@pytest.fixture
def imitated(application):
    """The application where PySide6 plays PythonQt: PythonQt itself needs no watching."""
    from standin.binding import REAL

    if REAL:
        pytest.skip("this is PythonQt itself")
    return application


def test_the_stand_in_offers_nothing_that_slicer_lacks(imitated) -> None:
    from standin.application import Application, LayoutManager, SliceWidget
    from standin.facts import facts, names_of, signals_of
    from standin.widgets import CTK, SLICER

    for cls, known in (
        (Application, set(facts()["slicer_app"])),
        (LayoutManager, set(facts()["layoutManager"]) | names_of("qt.QWidget")),
        (SliceWidget, names_of("slicer.qMRMLSliceWidget")),
    ):
        assert not {one for one in vars(cls) if not one.startswith("_")} - known, cls
    for prefix, classes in (("ctk", CTK), ("slicer", SLICER)):
        for name, cls in classes.items():
            kind = f"{prefix}.{name}"
            own = {one for one in vars(cls) if not one.startswith("_") and one != "staticMetaObject"}
            assert not own - names_of(kind), kind
            assert signals_of(kind), kind


def test_a_name_that_slicer_lacks_fails(imitated, slicer, tmp_path) -> None:
    import ctk
    import qt

    # As a file of the product would write it.
    folder = tmp_path / "PromptSeg" / "PromptSegLib" / "desktop"
    folder.mkdir(parents=True)

    def run(text: str) -> None:
        source = folder / f"x{len(list(folder.iterdir()))}.py"
        source.write_text(text)
        exec(compile(text, str(source), "exec"), {"qt": qt, "ctk": ctk, "slicer": slicer})

    run("w = qt.QLabel()\nw.text = 'a'\nassert w.text == 'a'")
    run("w = qt.QTableWidgetItem('a')\nw.setText('b')\nassert w.text() == 'b'")
    for text, message in (
        ("qt.QLabel().txt = 'a'", "no txt in 3D Slicer"),
        ("w = qt.QLabel()\nw.setTxt('a')", "setTxt"),
        ("qt.QComboBox().connect('currentIndexChanged(float)', print)", "no signal currentIndexChanged"),
        ("ctk.ctkCollapsibleButton().setCollapsed(True)", "no setCollapsed in 3D Slicer"),
        ("ctk.ctkCollapsibleButton().colapsed = True", "no colapsed in 3D Slicer"),
        ("slicer.qMRMLNodeComboBox().setNodeTypes(['x'])", "no setNodeTypes in 3D Slicer"),
        ("slicer.qMRMLSegmentEditorWidget().readonly = True", "no readonly in 3D Slicer"),
        ("qt.QTableWidgetItem('a').colour = 1", "no colour in 3D Slicer"),
        ("qt.QColor.fromString('red').isValidColorName('red')", "no isValidColorName in 3D Slicer"),
        ("slicer.app.userSettingsFile", "no userSettingsFile in 3D Slicer"),
        ("qt.QNothing", "qt has no QNothing"),
        ("w = qt.QLabel()\nw.text()", "not callable"),
    ):
        with pytest.raises((AttributeError, TypeError), match=message):
            run(text)
