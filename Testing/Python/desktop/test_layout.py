"""What is in sight in a window of 1280 x 800, that nothing widens the panel, and that names are never read as HTML."""

from __future__ import annotations

from pathlib import Path

import pytest

WIDTH, HEIGHT = 424, 576
"""What Slicer's module panel leaves to a module there, in pixels."""
HOSTILE = "<b>liver</b><img src='x'>"


@pytest.fixture
def area(module, window):
    """The panel in Slicer's scrolled panel of that size."""
    from standin.module_panel import ModulePanel

    made = ModulePanel(module.parent)
    assert (made.width, made.height) == (WIDTH, HEIGHT)
    made.show()
    yield made
    made._look.stop()
    made.takeWidget()
    made.close()


def settle(window) -> None:
    for _ in range(20):
        window.processEvents()


def in_sight(area, widget) -> bool:
    """Whether all of a widget is seen without scrolling."""
    from standin.binding import QtCore

    place = widget.mapTo(area.viewport(), QtCore.QPoint(0, 0))
    return widget.visible and place.y() >= 0 and place.y() + widget.height <= area.viewport().height


def states(panel, drawing):
    """The panel's states, one after the other."""
    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.desktop.results import TeachResult
    from PromptSegLib.progress import Progress
    from PromptSegLib.prompts.card import Card
    from PromptSegLib.tune.outcome import Estimate, LeftOutSlice, Outcome

    class Job:
        kind = "teach"

    yield "drawing"
    drawing.message.tell("Draw the structure in a few slices. " * 5)
    yield "told"
    drawing.message.clear()
    drawing.running.job = Job()
    drawing.running.widget.setVisible(True)
    drawing.curve.setVisible(True)
    drawing.running._show(Progress("tune", 0.4, "Learning a structure of a very long name " * 3, {}))
    drawing._changed(True)
    yield "running"
    drawing.running.job = None
    drawing.running.widget.setVisible(False)
    drawing.curve.setVisible(False)
    drawing._changed(False)
    known = tuple(LeftOutSlice(0, n, 0.95) for n in (3, 5, 7, 9))
    outcome = Outcome(known, 0.95, estimate=Estimate(0.95, 0.91, 0.97))
    drawing.rounds.result = TeachResult(1, Structure("x"), "x", "", Card(), outcome)
    drawing.rounds.refresh(False)
    yield "taught"
    panel.tabs.setCurrentIndex(0)
    yield "segment"
    panel.segment.message.tell("13 structures in 20 s. Not found: " + "a long name, " * 20, "Undo", lambda: None)
    yield "segmented"
    panel.tabs.setCurrentIndex(2)
    panel.review.rows = [
        {"structure": "a structure of a long name " * 3, "segment_id": "", "volume_ml": 1.0, "remarks": ["odd"],
         "estimate": 0.9, "slices": [{"index": 3, "why": "it differs from its neighbours a lot " * 4}]}
    ]  # fmt: skip
    panel.review.refresh()
    yield "reviewed"
    panel.show_check(True)
    yield "checked"


def room_of(percent: int) -> int:
    """What the module panel leaves to a module in a window of 1280 x 800 pixels, of which one is so large."""
    return 800 * 100 // percent - (800 - HEIGHT)


@pytest.mark.parametrize("percent", [100, 125, 150])
def test_with_larger_pixels_what_one_presses_and_what_comes_out_is_in_sight(
    area, panel, module, loaded, drawing, window, percent
) -> None:
    area.resize(WIDTH, room_of(percent))
    settle(window)
    for state in states(panel, drawing):
        settle(window)
        parts = pressed(panel, drawing, state)
        if percent == 150 and state != "drawing":  # with what is told, the tools are scrolled to
            parts = [one for one in parts if one not in (drawing.editor.editor._look._effects, drawing.curve)]
        out = [part for part in parts if not in_sight(area, part)]
        assert not out, (state, out, module.parent.height, area.viewport().height)
        assert area.width == WIDTH


@pytest.mark.parametrize("percent", [125, 150])
def test_with_larger_pixels_slices_are_seen_and_decided(area, panel, module, loaded, drawing, window, percent) -> None:
    area.resize(WIDTH, room_of(percent))
    panel.tabs.setCurrentIndex(2)
    slices = [{"index": n, "why": "differs by 40% from the adjacent slices " * 3, "risk": 0.3} for n in (3, 5, 7)]
    row = {"segment_id": "", "volume_ml": 12.5, "remarks": [], "estimate": 0.9, "slices": slices}
    panel.review.rows = [{**row, "structure": name} for name in ("inferior vena cava", "liver", "spleen", "aorta")]
    panel.review.refresh()
    panel.review.gallery.choose(0)
    settle(window)
    grid, why = panel.review.gallery.list, panel.review.slices.why
    for part in (panel.review.check, grid, panel.review.accept, panel.review.flag, panel.review.report):
        assert in_sight(area, part), (part, module.parent.height, area.viewport().height)
    assert grid.y + grid.height <= why.y
    assert why.fontMetrics().boundingRect(why.text).width() <= why.width
    assert "adjacent" in why.toolTip


@pytest.mark.parametrize("points", [9, 11])
def test_with_larger_letters_what_one_presses_and_what_comes_out_is_in_sight(
    area, panel, module, loaded, drawing, window, points
) -> None:
    """Letters are as high as they are on a screen: a font is asked for what it takes."""
    import qt

    module.parent.setFont(qt.QFont("DejaVu Sans", points))
    panel.widget.look()
    for state in states(panel, drawing):
        settle(window)
        out = [part for part in pressed(panel, drawing, state) if not in_sight(area, part)]
        assert not out, (state, out, module.parent.height, area.viewport().height)


def test_the_panel_is_folded_where_there_is_little_room_and_unfolded_again(
    area, panel, loaded, drawing, window
) -> None:
    seen = {}
    for percent in (100, 125, 150, 100):
        area.resize(WIDTH, room_of(percent))
        settle(window)
        seen[percent] = panel.widget.room, panel.volumes._labels[0].visible, drawing.counts.visible
    assert seen == {100: (0, True, True), 125: (1, False, True), 150: (2, False, False)}
    assert "2 complete" in drawing.view.toolTip
    assert "HU" in panel.volumes.volumes.toolTip


def pressed(panel, drawing, state: str) -> list:
    """What one presses next in a state of the panel, and what came out."""
    tools = [drawing.editor.steps, drawing.editor.editor._look._effects]
    marks = [drawing.strip, drawing.complete, drawing.absent, drawing.next, drawing.teach]
    return {
        "drawing": [*marks, drawing.preview, *tools],
        "told": [*marks, drawing.message.widget, *tools],
        "running": [drawing.strip, drawing.teach, drawing.keep, drawing.running.widget, drawing.curve],
        "taught": [*marks, *tools, drawing.rounds.quality, drawing.rounds.accept, drawing.rounds.undo],
        "segment": [panel.segment.button, panel.segment.structures.search],
        "segmented": [panel.segment.button, panel.segment.structures.search, panel.segment.message._button],
        "reviewed": [panel.review.check, panel.review.accept, panel.review.flag, panel.review.report],
    }.get(state, [])


def test_nothing_widens_the_panel(area, panel, module, drawing, window) -> None:
    panel.volumes.volume.SetName("a volume of a very long name " * 5)
    panel.volumes._line.setText("a warning about it " * 20)
    widths = {}
    for state in states(panel, drawing):
        settle(window)
        asked = module.parent.sizeHint.width(), module.parent.minimumSizeHint.width()
        widths[state] = (*asked, module.parent.width)
        assert panel.widget.minimumSizeHint.width() <= area.viewport().width, state
    assert len(set(widths.values())) <= 2, widths  # with the scroll bar and without it
    assert {one[:2] for one in widths.values()} == {widths["drawing"][:2]}
    assert widths["drawing"][0] <= WIDTH
    assert (area.widest, area.width) == (WIDTH, WIDTH)


def test_slicers_panel_keeps_the_width_of_a_long_line(area, module, window) -> None:
    """The stand-in does so too: a text that wraps, but says nothing of its width, widens it for good."""
    import qt

    from PromptSegLib.desktop.panel.widgets import text_label

    long = "a line that says a great deal of what was found and of what was not found " * 8
    ours, other = text_label(long), qt.QLabel(long)
    other.setWordWrap(True)
    other.setFont(qt.QFont("DejaVu Sans", 12))
    module.layout.addWidget(ours)
    settle(window)
    assert area.width == WIDTH
    module.layout.addWidget(other)
    settle(window)
    assert area.width > WIDTH
    other.setText("")
    settle(window)
    assert area.width > WIDTH


def test_every_question_has_a_title() -> None:
    """Without one, the box is called "Slicer confirmation"."""
    import ast

    from PromptSegLib.desktop import core

    asked = 0
    for path in Path(core.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", "")
            if isinstance(node, ast.Call) and name.startswith("confirm") and name.endswith("Display"):
                asked += 1
                assert "windowTitle" in {one.arg for one in node.keywords}, (path.name, node.lineno)
    assert asked >= 3


def test_what_one_needs_is_in_sight(area, panel, module, drawing, window) -> None:
    editor = drawing.editor.editor
    for state in states(panel, drawing):
        settle(window)
        if state in ("drawing", "running", "taught"):
            tools = [] if state == "running" else [editor._look._effects, drawing.editor.steps]
            for widget in (drawing.strip, drawing.complete, drawing.teach, *tools):
                assert in_sight(area, widget), (state, widget)
        if state == "running":
            assert in_sight(area, drawing.keep)
            assert in_sight(area, drawing.curve)
        if state == "taught":
            for widget in (drawing.rounds.quality, drawing.rounds.accept, drawing.next):
                assert in_sight(area, widget)
        if state in ("segment", "segmented"):  # however high the other tabs are
            assert in_sight(area, panel.segment.button)
            assert in_sight(area, panel.segment.structures.search)
        if state == "segmented":
            assert in_sight(area, panel.segment.message._button)
        if state == "reviewed":
            assert in_sight(area, panel.review.accept)


def test_the_editor_shows_what_drawing_needs(panel, drawing, window) -> None:
    look = drawing.editor.editor._look
    settle(window)
    assert not look._masking.visible
    assert look._options.visible  # of the brush
    from standin.binding import QtWidgets

    for effect, left in (
        ("Paint", "Sphere brush"), ("Smoothing", "Apply to visible segments"), ("Erase", "Sphere brush"),
        ("Paint", "Sphere brush"),
    ):  # fmt: skip
        drawing.editor.editor.setActiveEffectByName(effect)
        settle(window)
        boxes = [one for one in look._options.findChildren(QtWidgets.QCheckBox) if one.visible]
        assert [one.text for one in boxes] == [left], effect
    node = drawing.editor._node()
    for masked in (True, False):
        node.SetSourceVolumeIntensityMask(masked)  # as Threshold does
        settle(window)
        assert look._masking.visible == masked
    low = look.table.height
    drawing.name.setText("another")
    drawing.begin.click()
    settle(window)
    assert look.table.height > low  # as high as its rows


def test_names_and_notes_of_strangers_are_shown_as_they_are(panel, loaded, window) -> None:
    import qt
    from standin.binding import QtWidgets

    from PromptSegLib.desktop.panel.widgets import as_tip

    for label in panel.widget.findChildren(QtWidgets.QLabel):
        own = label.text in ("Volume:", "Segmentation:", "Structure:", "Compare with:", "Overlay:", "Slices:")
        assert own or label.textFormat == qt.Qt.PlainText, label.text
    assert as_tip(HOSTILE) == "<p>&lt;b&gt;liver&lt;/b&gt;&lt;img src=&#x27;x&#x27;&gt;</p>"
    for item, _entry in panel.segment.structures._items:
        assert item.toolTip(0).startswith("<p>")
    panel.review.rows = [{"structure": HOSTILE, "segment_id": "", "volume_ml": 1.0, "remarks": [HOSTILE], "slices": []}]
    panel.review.refresh()
    assert "<b>" not in panel.review.table.item(0, 0).toolTip()
    panel.segment.message.tell(HOSTILE)
    assert panel.segment.message.text == HOSTILE


def test_buttons_that_cannot_act_say_why(panel, loaded, own) -> None:
    tab, structures = panel.segment, panel.segment.structures
    shipped = next(item for item, entry in structures._items if not structures.is_own(entry.text))
    mine = next(item for item, entry in structures._items if structures.is_own(entry.text))
    structures.tree.setCurrentItem(shipped)
    assert not tab.exporter.enabled
    assert not tab.remover.enabled
    assert "select or tick some of My structures" in tab.exporter.toolTip
    assert "select one of My structures" in tab.remover.toolTip
    structures.tree.setCurrentItem(mine)
    assert tab.exporter.enabled
    assert tab.remover.enabled
    structures.tree.setCurrentItem(shipped)
    structures.tick(own)
    assert tab.exporter.enabled
    assert not tab.remover.enabled


def test_showing_in_3d_looks_at_it(panel, loaded, window) -> None:
    panel.segment.show_3d.setChecked(True)
    assert window.layoutManager()._centred


def test_one_draft_is_seen_in_the_slice_in_view(drawing) -> None:
    from PromptSegLib.annotations import SliceStatus

    drawing.strip.resize(380, drawing.strip.height)
    pictures = []
    for status in (SliceStatus.UNTOUCHED, SliceStatus.DRAFT):
        drawing.strip.show_statuses([SliceStatus.UNTOUCHED] * 75 + [status] + [SliceStatus.UNTOUCHED] * 75)
        drawing.strip.show_current(75)
        image = drawing.strip.grab().toImage()
        pictures.append([image.pixelColor(x, y).lightness() for x in range(187, 194) for y in range(15, 30)])
    assert sum(abs(a - b) > 40 for a, b in zip(*pictures, strict=True)) > 15


def test_the_strip_goes_by_keys(drawing) -> None:
    def press(name: str) -> int:
        (key,) = (one for one in drawing.strip._keys if one.key.toString() == name)
        key.activated.emit()
        return drawing.watch.place[1]

    drawing._go(5)
    assert [press(name) for name in ("Right", "Left", "Home", "Left", "End")] == [6, 5, 0, 0, 11]


def test_everything_that_acts_has_a_name_and_the_keyboard(panel, loaded) -> None:
    from standin.binding import QtCore, QtWidgets

    for one in panel.widget.findChildren(QtWidgets.QAbstractButton):
        if panel.teach.editor.editor.isAncestorOf(one) or one.objectName.startswith("qt_") is not False:
            continue
        if type(one).__name__ in ("QPushButton", "QCheckBox"):
            assert one.focusPolicy & QtCore.Qt.TabFocus, one.text
    for part in (panel.opener, panel.teach.strip, panel.teach.view, panel.volumes.volumes, panel.review.table):
        assert part.accessibleName


def test_what_one_taught_comes_first_and_numbers_are_right(window, tmp_path) -> None:
    from types import SimpleNamespace

    import qt

    from PromptSegLib.anatomy.terminology import find
    from PromptSegLib.desktop.catalogue import MINE, PromptEntry, SetEntry
    from PromptSegLib.desktop.panel.structures import Structures
    from PromptSegLib.prompts.card import Card

    def entry(name: str, dice: float) -> PromptEntry:
        return PromptEntry(find(name), name, Card(validation_dice=dice), "", tmp_path / name)

    sets = [
        SetEntry("abdomen-ct", tmp_path, True, {}, (entry("liver", 0.945), entry("aorta", 0.87))),
        SetEntry(MINE, tmp_path, False, {}, (entry("heart", 0.9),)),
        SetEntry("abdomen-ct", tmp_path, False, {}, ()),  # a colleague's file of that name
    ]
    state = SimpleNamespace(ticked=["liver"], set_values=lambda *_: None)
    made = Structures(SimpleNamespace(sets=lambda: sets), state, lambda: None, lambda: None)
    made.refresh()
    heads = [made.tree.topLevelItem(n) for n in range(made.tree.topLevelItemCount)]
    assert [one.text(0) for one in heads] == ["My structures (0 of 1)", "abdomen-ct (0 of 0)", "Abdomen CT (1 of 2)"]
    liver = heads[2].child(0)
    assert liver.text(1) in ("0.94", "0.95")
    for item in (liver, made.tree.headerItem()):
        assert item.textAlignment(1) & qt.Qt.AlignRight
    state.ticked = ["aorta"]
    made.refresh()  # as when a scene comes: the rows stay, and their ticks are the scene's
    assert [made.tree.topLevelItem(n) for n in range(3)] == heads
    assert made.ticked == ["aorta"]
    assert [one.text(0) for one in heads][2] == "Abdomen CT (1 of 2)"
    made.tree.setCurrentItem(heads[0].child(0))
    assert made._card.text.startswith("heart: ")
    assert "\n" not in made._card.text  # the list needs the room


@pytest.mark.parametrize("on_dark", [False, True])
def test_a_box_that_is_not_ticked_is_seen(window, on_dark) -> None:
    import qt
    from standin.application import dark

    from PromptSegLib.desktop.panel.widgets import show_boxes

    dark(window, on_dark)
    try:
        tree = qt.QTreeWidget()
        show_boxes(tree)
        tree.setRootIsDecorated(False)
        item = qt.QTreeWidgetItem()
        item.setCheckState(0, qt.Qt.Unchecked)
        tree.addTopLevelItem(item)
        tree.resize(200, 120)
        tree.show()
        settle(window)
        place, image = tree.visualItemRect(item), tree.viewport().grab().toImage()
        colours = [image.pixelColor(x, y).lightness() for x in range(2, 20) for y in range(place.top(), place.bottom())]
        paper = image.pixelColor(150, 100).lightness()
        assert max(abs(one - paper) for one in colours) > 60
        tree.close()
    finally:
        dark(window, False)
