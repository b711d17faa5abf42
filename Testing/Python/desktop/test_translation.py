"""Every text that is shown can be translated; German is complete, is what the file for Qt holds, and fits the panel."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from PromptSegLib.mrml import nodes

from .test_layout import WIDTH, area, settle, states  # noqa: F401

ROOT = Path(__file__).resolve().parents[3]
SHOWING = {
    "setText", "setToolTip", "setWindowTitle", "setPlaceholderText", "setAccessibleName", "setAccessibleDescription",
    "setTitle", "setPlainText", "setHeaderLabels", "setHorizontalHeaderLabels", "addTab", "addItem", "addItems",
    "addRow", "drawText", "QLabel", "QPushButton", "QCheckBox", "QGroupBox", "QAction", "QTableWidgetItem", "button",
    "text_label", "as_tip", "tell", "warn", "confirmOkCancelDisplay", "getOpenFileName", "getSaveFileName",
    "getExistingDirectory",
}  # fmt: skip
"""Calls whose texts a user sees."""
NOT_SHOWN = {"C", "A", "U", "N", "review.html", "structure", "remarks"}
"""Keys, names of files and of fields."""
FILES = [ROOT / "PromptSeg" / "PromptSeg.py", *sorted((ROOT / "PromptSeg" / "PromptSegLib" / "desktop").rglob("*.py"))]


@pytest.fixture(scope="module")
def tool():
    """``Resources/make_translations.py``."""
    spec = importlib.util.spec_from_file_location("make_translations", ROOT / "Resources" / "make_translations.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def untranslated(source: str) -> list[str]:
    """Texts in a file that are shown and do not go through ``_()``."""

    def literals(node: ast.AST):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name != "_":
                shown = node.args[2:3] if name == "Progress" else node.args  # and not the stage
                for one in [*shown, *([node.func.value] if isinstance(node.func, ast.Attribute) else ())]:
                    yield from literals(one)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and any(c.isalpha() for c in node.value):
                yield node
        elif isinstance(node, ast.FormattedValue):
            yield from literals(node.value)  # and not its format
        else:
            for child in ast.iter_child_nodes(node):
                yield from literals(child)

    found = []
    for node in ast.walk(ast.parse(source)):
        name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
        if isinstance(node, ast.Call) and name in SHOWING:
            shown = (*node.args, *(one.value for one in node.keywords))
            found += [f"line {one.lineno}: {one.value!r}" for part in shown for one in literals(part)
                      if one.value not in NOT_SHOWN]  # fmt: skip
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_text_that_is_shown_can_be_translated(path) -> None:
    assert untranslated(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "w.setText('Hello')",
        "w.setText(f'{n} slices')",
        "w.setText('a' if n else _('b'))",
        "qt.QLabel('Hello')",
        "button(_('a'), 'a tip', go)",
        "message.tell('Not ' + _('found'))",
        "message.tell('Found: {n}'.format(n=1))",
    ],
)
def test_a_text_that_cannot_be_is_found(line) -> None:
    assert untranslated(line)


def test_a_translation_is_complete_and_has_the_placeholders_of_its_text(tool) -> None:
    wanted = {(context, text) for context, texts in tool.extract().items() for text in texts}
    for path in tool.FOLDER.glob("*.ts"):
        known = tool.read(path)
        assert set(known) == wanted, "python Resources/make_translations.py"
        assert all(known.values()), [one for one, text in known.items() if not text]
        for (_context, text), translated in known.items():
            for pattern in (r"\{[^{}]*\}", r"^\d\.", r"\.\.\.$", r":$", r"\*\.\w+"):
                assert sorted(re.findall(pattern, text)) == sorted(re.findall(pattern, translated)), text


def test_the_files_that_qt_reads_are_made_of_the_translations(tool, imitated_qt) -> None:
    for path in tool.FOLDER.glob("*.ts"):
        translator = imitated_qt.QTranslator()
        assert translator.load(str(path.with_suffix(".qm")))
        for (context, text), translated in tool.read(path).items():
            assert translator.translate(context, text) == translated, "python Resources/make_translations.py"


def test_a_text_that_is_no_literal_is_refused(tool, tmp_path) -> None:
    path = tmp_path / "x.py"
    path.write_text("_(f'{n} slices')")
    with pytest.raises(SystemExit, match="literal"):
        tool.texts_of(path)


@pytest.fixture
def imitated_qt(application):
    """PySide6; the host of ``Testing/PythonQt`` need not do it again."""
    from standin.binding import REAL, QtCore

    if REAL:
        pytest.skip("this is PythonQt itself")
    return QtCore


@pytest.fixture
def german(window):
    """3D Slicer set to German."""
    from standin.application import speak

    speak(window, "de_DE")
    window.loadTranslations(str(ROOT / "PromptSeg" / "Resources" / "Translations"))
    yield
    speak(window, "")


@pytest.fixture
def marked(window, monkeypatch):
    """A language in which every text that is translated has a mark."""
    import slicer.i18n

    monkeypatch.setattr(slicer.i18n, "translate", lambda context, text: f"\u00ab{text}\u00bb")


def texts(panel) -> list[str]:
    """What is seen, is told by a tool tip, or is read aloud, but for Slicer's own Segment Editor."""
    from standin.binding import QtWidgets

    found = []
    for one in panel.widget.findChildren(QtWidgets.QWidget):
        if one.objectName.startswith("qt_") or panel.teach.editor.editor.isAncestorOf(one):
            continue
        if not one.isVisibleTo(panel.widget):
            continue
        found += [one.toolTip, one.accessibleName]
        if isinstance(one, QtWidgets.QLabel | QtWidgets.QAbstractButton):
            found.append(one.text)
        elif isinstance(one, QtWidgets.QLineEdit):
            found.append(one.placeholderText)
        elif isinstance(one, QtWidgets.QComboBox):
            found += [one.itemText(n) for n in range(one.count)]
        elif isinstance(one, QtWidgets.QTabWidget):
            found += [one.tabText(n) for n in range(one.count)]
        elif isinstance(one, QtWidgets.QTreeWidget):
            found += [one.headerItem().text(n) for n in range(one.columnCount)]
        elif isinstance(one, QtWidgets.QTableWidget):
            found += [one.horizontalHeaderItem(n).text() for n in range(one.columnCount)]
    return [str(text) for text in found if text and any(c.isalpha() for c in str(text))]


DATA = (
    "phantom", "my liver", "a structure of a long name", "Learning a structure",
    "Draw the structure in a few slices. D", "13 structures in 20 s", "Undo", "Show 3D",
)  # fmt: skip
"""Names, what the tests themselves say, and a button of Slicer's own."""


def test_nothing_is_left_that_cannot_be_translated(marked, panel, module, drawing, window) -> None:
    left = set()
    for _state in states(panel, drawing):
        settle(window)
        left |= {text for text in texts(panel) if "\u00ab" not in text and not text.startswith(DATA)}
    assert left == set()


def test_nothing_is_left_before_there_is_a_volume_and_before_anything_is_drawn(marked, module, desk, phantom, slicer):
    module.enter()
    panel = module.panel
    assert [text for text in texts(panel) if "\u00ab" not in text] == []
    desk.add_ct(slicer.mrmlScene, phantom.volume)
    panel.refresh()
    panel.tabs.setCurrentIndex(1)
    assert [text for text in texts(panel) if "\u00ab" not in text and not text.startswith(DATA)] == []


def test_german_is_spoken_and_fits(german, area, panel, module, drawing, window, tool) -> None:  # noqa: F811
    known = tool.read(tool.FOLDER / "PromptSeg_de.ts")
    english = {text for (_context, text), translated in known.items() if text != translated}
    seen = set()
    for state in states(panel, drawing):
        settle(window)
        shown = set(texts(panel))
        assert shown & english <= {"Undo"}, state  # which the test itself says
        seen |= shown
        assert module.parent.sizeHint.width() <= WIDTH, state
        assert panel.widget.minimumSizeHint.width() <= area.viewport().width, state
    panel.show_check(False)
    panel.tabs.setCurrentIndex(1)
    panel.sets.open(True)
    settle(window)
    assert not set(texts(panel)) & english
    assert panel.widget.minimumSizeHint.width() <= area.viewport().width
    room = area.viewport().width - 30
    for context in ("panel.curve", "panel.example", "panel.learning_curve"):  # painted, and cut where they are too long
        for (its, text), translated in known.items():
            if its == context and not text.startswith(("Line:", "Example:")):
                assert panel.widget.fontMetrics().horizontalAdvance(translated) <= room, translated
    assert {"Anlernen", "Segmentieren", "Prüfen", "Schicht annehmen", "Selbsttest"} <= seen


def test_structures_are_named_in_german_and_written_in_english(german, panel, loaded, slicer) -> None:
    """What others read, and what codes belong to, does not depend on the language."""
    from PromptSegLib.desktop.structure_names import name_from, name_of

    assert [name_of(one) for one in ("liver, taught", "left kidney (2)", "liver, found (2)", "my own, taught")] == [
        "Leber, angelernt", "linke Niere (2)", "Leber, gefunden (2)", "my own, angelernt"
    ]  # fmt: skip
    assert [name_from(one) for one in ("Linke  niere", "Liver", "Eigenes")] == ["left kidney", "Liver", "Eigenes"]
    panel.tabs.setCurrentIndex(1)
    teach = panel.teach
    teach.name.setText("linke Niere")
    assert "64033007" in teach.naming.code.text
    teach.begin.click()
    segment = panel.volumes.segmentation.GetSegmentation().GetSegment(teach.segment_id)
    assert segment.GetName() == "left kidney"
    assert "64033007" in nodes.tag(segment, segment.GetTerminologyEntryTagName())
    panel.tabs.setCurrentIndex(0)
    panel.tabs.setCurrentIndex(1)
    assert teach.name.text == "linke Niere"
    tree = panel.segment.structures.tree
    assert "Abdomen-CT (0 von 13)" in [tree.topLevelItem(n).text(0) for n in range(tree.topLevelItemCount)]


def test_the_self_check_is_read_in_german_and_sent_in_english(german, panel, module, pump, window) -> None:
    module.enter()
    panel.show_check(True)
    pump(lambda: "tiny" in str(panel.check.text.toPlainText()))
    read = str(panel.check.text.toPlainText())
    panel.check.copy.click()
    sent = str(window.clipboard().text())
    for german, english in (("Rechnet mit", "Computes on"), ("Ihre eigenen Strukturen:", "Structures of your own:")):
        assert german in read
        assert english not in read
        assert english in sent
        assert german not in sent


def test_slicer_is_asked_for_the_module_s_language(window, german, monkeypatch) -> None:
    import importlib
    import sys
    import types

    monkeypatch.syspath_prepend(str(ROOT / "PromptSeg"))
    asked = []
    monkeypatch.setattr(type(window), "loadTranslations", lambda self, folder: asked.append(folder))
    parent = types.SimpleNamespace()
    importlib.import_module("PromptSeg").PromptSeg(parent)
    window._listeners.pop("startupCompleted()")
    sys.modules.pop("PromptSeg", None)
    assert [Path(one).name for one in asked] == ["Translations"]
    assert "Forschungssoftware" in parent.helpText
