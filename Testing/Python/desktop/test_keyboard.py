"""Without a mouse: the order of the focus, keys beside what is typed, a review from the first slice to the last."""

from __future__ import annotations

from itertools import pairwise

import pytest

from PromptSegLib.mrml.decisions import ACCEPTED, FLAGGED, decision_of

from .test_layout import HEIGHT, WIDTH, area, in_sight, settle  # noqa: F401
from .test_review import reviewed, said  # noqa: F401

FOCUS = {
    "QLineEdit", "QComboBox", "QAbstractButton", "QAbstractItemView", "QAbstractSlider", "QPlainTextEdit", "Painted",
}  # fmt: skip


def kinds_of(widget) -> set[str]:
    return {cls.__name__ for cls in type(widget).__mro__}


def inside_another(widget) -> bool:
    """Whether Qt made it as a part of another control."""
    if str(widget.objectName).startswith("qt_") or kinds_of(widget) & {"QHeaderView", "QScrollBar"}:
        return True
    owner = widget.parentWidget()
    while owner is not None:
        if kinds_of(owner) & {"QComboBox", "QAbstractItemView", "QPlainTextEdit"}:
            return True
        owner = owner.parentWidget()
    return False


def controls(panel):
    """What a user can act on or read, but for the inside of Slicer's Segment Editor."""
    from standin.binding import QtWidgets

    editor = panel.teach.editor.editor
    for one in panel.widget.findChildren(QtWidgets.QWidget):
        if kinds_of(one) & FOCUS and not inside_another(one) and not editor.isAncestorOf(one):
            yield one


def press(widget, key: str) -> None:
    """A key, as the window gets it: shortcuts come first, then the widget."""
    from standin.binding import REAL

    if REAL:
        pytest.skip("Qt's own test library is PySide6's here")
    from PySide6 import QtCore, QtTest

    QtTest.QTest.keyClick(widget, getattr(QtCore.Qt.Key, f"Key_{key}"))


def walk(panel, module, window) -> list:
    """The widgets that the Tab key goes to, from the volume on, until it comes back there."""
    from standin.binding import QtWidgets

    module.parent.activateWindow()
    first = panel.volumes.volumes
    first.setFocus()
    settle(window)
    found = [QtWidgets.QApplication.focusWidget()]
    assert found[0] is not None
    for _ in range(150):
        press(QtWidgets.QApplication.focusWidget(), "Tab")
        now = QtWidgets.QApplication.focusWidget()
        if now is found[0]:
            return found
        assert now not in found, f"Tab does not get past {now}"
        found.append(now)
    raise AssertionError("Tab does not come back")


def check_order(panel, module, window) -> None:
    """Every control that is there is reached, from top to bottom and from left to right."""
    from standin.binding import QtCore

    found = walk(panel, module, window)
    editor = panel.teach.editor.editor
    missing = [
        (type(one).__name__, one.accessibleName) for one in controls(panel)
        if one.isVisibleTo(module.parent) and one.enabled and one not in found and one.focusPolicy & QtCore.Qt.TabFocus
    ]  # fmt: skip
    assert not missing
    places = []
    for one in found:
        if not editor.isAncestorOf(one):
            middle = one.mapTo(module.parent, QtCore.QPoint(0, one.height // 2))
            places.append((middle.y(), middle.x(), type(one).__name__, one.accessibleName))
    for before, after in pairwise(places):
        same_row = abs(before[0] - after[0]) <= 12
        assert (after[1] > before[1]) if same_row else (after[0] > before[0]), (before, after)


def test_the_focus_goes_as_the_eye_does(panel, module, reviewed, window) -> None:  # noqa: F811
    for tab in (2, 0, 1):
        panel.tabs.setCurrentIndex(tab)
        settle(window)
        check_order(panel, module, window)
    panel.sets.open(True)
    settle(window)
    check_order(panel, module, window)
    panel.show_check(True)
    settle(window)
    check_order(panel, module, window)


def test_before_there_is_a_volume_the_sample_is_the_next_thing(module, window) -> None:
    module.parent.show()
    module.enter()
    settle(window)
    check_order(module.panel, module, window)
    assert module.panel.start.sample in walk(module.panel, module, window)


def test_everything_says_what_it_is(panel, module, reviewed, window) -> None:  # noqa: F811
    """A screen reader has a name for it: a text of its own, or one that was given."""
    unnamed = []
    for one in controls(panel):
        button = hasattr(one, "text") and not hasattr(one, "placeholderText") and not hasattr(one, "setPlainText")
        own = str(one.text) if button else ""
        if not own and not one.accessibleName and (not button or one.isVisibleTo(module.parent)):
            unnamed.append((type(one).__name__, one.toolTip))
        # A name that was given hides the text from a screen reader, so it must not be another one.
        assert not (own and one.accessibleName) or own == one.accessibleName, (own, one.accessibleName)
    assert not unnamed


def test_letters_are_typed_where_one_types_and_are_keys_elsewhere(panel, module, loaded, paint, window) -> None:
    panel.tabs.setCurrentIndex(1)
    module.parent.activateWindow()
    panel.teach.name.setFocus()
    settle(window)
    for key in "CANU":
        press(panel.teach.name, key)
    assert str(panel.teach.name.text).lower() == "canu"
    press(panel.teach.name, "Return")
    settle(window)
    assert panel.teach.segment_id
    paint(5)
    panel.teach.refresh()
    panel.teach._go(5)
    from standin.binding import QtWidgets

    for key, status in (("C", "complete"), ("U", "draft")):
        press(QtWidgets.QApplication.focusWidget() or module.parent, key)
        assert panel.teach._statuses[5].value == status
    assert str(panel.teach.name.text).lower() == "canu"


def test_a_review_is_one_key_a_slice(panel, module, reviewed, window) -> None:  # noqa: F811
    module.parent.activateWindow()
    panel.review.slices.begin()
    settle(window)
    from standin.binding import QtWidgets

    for _place in panel.review.gallery.places:
        press(QtWidgets.QApplication.focusWidget(), "Y")
    assert said(panel.review) == "5 of 5 looked at"
    contents = panel.volumes.segmentation.GetSegmentation()
    assert {decision_of(contents.GetSegment(row["segment_id"])) for row in panel.review.rows} == {ACCEPTED}


def test_a_review_of_13_structures_is_in_sight(area, panel, reviewed, window) -> None:  # noqa: F811
    score = {"dice": 0.9, "nsd_2mm": 0.9, "hd95_mm": 3.0}
    reviewed.rows = [{**reviewed.rows[n % 2], "structure": f"structure {n}", "score": score} for n in range(13)]
    reviewed.refresh()
    reviewed.message.tell("Saved: somewhere.")
    settle(window)
    seen = (reviewed.check, reviewed.accept, reviewed.flag, reviewed.report, reviewed.side, reviewed.slices.why)
    assert not [one.text for one in (*seen, reviewed.message._label) if not in_sight(area, one)]
    assert reviewed.gallery.list.height >= 140
    assert reviewed.table.height >= 4 * 22  # a head of two lines and three rows, or more
    assert (area.width, area.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("points", [9, 11.25, 13.5])
def test_larger_text_is_not_cut(application, points) -> None:
    """As with a screen that is scaled to 125 % and 150 %: the numbers of the strip and the table's names."""
    from standin.binding import QtGui

    from PromptSegLib.annotations import SliceStatus
    from PromptSegLib.desktop.panel.review_table import CHIP, ReviewTable
    from PromptSegLib.desktop.panel.strip import SliceStrip

    former = application._qt.font()
    font = QtGui.QFont(former)
    font.setPointSizeF(points)
    application._qt.setFont(font)
    try:
        strip = SliceStrip(lambda index: None)
        strip.resize(390, strip.minimumHeight)
        strip.show_statuses([SliceStatus.UNTOUCHED] * 188)
        strip.show_current(90)
        image = strip.grab().toImage()
        paper = image.pixelColor(389, 3).lightness()
        edges = [(x, y) for x in (0, 389) for y in range(strip.height - strip.line + 2, strip.height)]
        edges += [(x, strip.height - 1) for x in range(390)]
        assert not [one for one in edges if abs(image.pixelColor(*one).lightness() - paper) > 60]
        table = ReviewTable(lambda: None)
        table.table.resize(384, 200)
        row = {"structure": "right adrenal gland", "segment_id": "", "volume_ml": 1234.5, "remarks": [], "slices": [],
               "score": {"dice": 0.91, "nsd_2mm": 0.88, "hd95_mm": 14.2}}  # fmt: skip
        table.table.show()
        for _ in range(2):
            table.show([row] * 13, [FLAGGED] * 13, [(1.0, 0.5, 0.0)] * 13)
            application.processEvents()
        letters = (table.table.columnWidth(0) - CHIP) / table.table.fontMetrics().averageCharWidth()
        assert letters > 9
        assert "Volume (ml): 1234.5" in table.table.item(0, 0).toolTip()
        table.table.close()
    finally:
        application._qt.setFont(former)


@pytest.fixture
def main_window(module, slicer, monkeypatch):
    """A main window, as Slicer has it, with the module in it and a line to type in beside it."""
    from standin.binding import QtWidgets

    made = type("MainWindow", (QtWidgets.QMainWindow,), {})()  # to which Python may give attributes
    inner = QtWidgets.QWidget()
    layout = QtWidgets.QVBoxLayout(inner)
    made.line = QtWidgets.QLineEdit()
    layout.addWidget(made.line)
    layout.addWidget(module.parent)
    made.setCentralWidget(inner)
    made.show()
    made.activateWindow()
    monkeypatch.setattr(slicer.util, "mainWindow", lambda verbose=True: made)
    yield made
    module.parent.setParent(None)
    made.close()


def test_keys_are_the_main_windows_and_go_with_the_module(main_window, panel, module, loaded, paint, window) -> None:
    """They work wherever the focus is, but in a line that one types in, and none is left behind."""
    from standin.binding import QtCore, QtGui

    module.exit()
    module.enter()
    panel.tabs.setCurrentIndex(1)
    panel.teach.name.setText("my liver")
    panel.teach.begin.click()
    paint(5)
    panel.teach.refresh()
    panel.teach._go(5)
    main_window.line.setFocus()
    settle(window)
    press(main_window.line, "C")
    assert str(main_window.line.text).lower() == "c"
    assert panel.teach._statuses[5].value == "draft"
    panel.teach.view.setFocus()  # a letter would choose another view there
    settle(window)
    press(panel.teach.view, "C")
    assert panel.teach._statuses[5].value == "complete"
    panel.cleanup()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
    keys = [one.key.toString() for one in main_window.findChildren(QtGui.QShortcut) if one.parent() is main_window]
    assert not {"C", "A", "U", "N", "Y", "F"} & set(keys)
