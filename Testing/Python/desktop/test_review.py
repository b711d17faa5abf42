"""The Review tab: the gallery and its keys, decisions, overlays, and the table."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from PromptSegLib.mrml import nodes, overlay
from PromptSegLib.mrml.decisions import ACCEPTED, FLAGGED, decided_by, decision_of
from PromptSegLib.mrml.vtk_images import array_of

PLACES = {"liver": ((5, 0.4), (3, 0.1)), "spleen": ((6, 0.2), (7, 0.05), (4, 0.03))}


@pytest.fixture
def reviewed(panel, loaded, desk, phantom, pump, slicer):
    """A segmentation of two structures, and a review of it whose slices are known."""
    node = nodes.new_segmentation(loaded)
    ids = {
        name: desk.draw(node, phantom.labels == value, phantom.volume, name, range(12))
        for value, name in ((1, "liver"), (2, "spleen"))
    }
    panel.volumes.choose_segmentation(node)
    rows = [
        {"structure": name, "segment_id": ids[name], "volume_ml": 12.5, "remarks": [],
         "slices": [{"index": n, "why": f"differs by {risk:.0%} from the adjacent slices", "risk": risk}
                    for n, risk in places]}
        for name, places in PLACES.items()
    ]  # fmt: skip
    panel.state.keep_review(rows, 0)
    panel.tabs.setCurrentIndex(2)
    pump(lambda: not panel.review.slices.drawing)
    return panel.review


@pytest.fixture
def reference(loaded, desk, phantom, slicer):
    """Another segmentation: the liver, one row of voxels further."""
    node = nodes.new_segmentation(loaded, "expert")
    desk.draw(node, np.roll(phantom.labels == 1, 1, axis=1), phantom.volume, "Liver", range(12))
    return node


def picture(review, number: int) -> np.ndarray:
    """Red, green and blue of every second pixel of a picture in the gallery."""
    from PromptSegLib.desktop.panel.gallery import SIZE

    image = review.gallery.list.item(number).icon().pixmap(SIZE, SIZE).toImage()
    assert (image.width(), image.height()) == (SIZE, SIZE)
    colours = [image.pixelColor(x, y) for y in range(0, SIZE, 2) for x in range(0, SIZE, 2)]
    return np.array([(one.red(), one.green(), one.blue()) for one in colours])


def press(review, name: str) -> None:
    for key in (*review.gallery._keys, *review._keys):
        if key.key.toString() == name:
            key.activated.emit()


def said(review) -> str:
    return str(review.slices.counted.text)


def test_pictures_show_ct_and_contour_in_the_windows_greys(reviewed, loaded, pump) -> None:
    from PromptSegLib.review.thumbnails import OURS

    assert [(one.structure, one.index) for one in reviewed.gallery.places] == [
        ("liver", 5), ("spleen", 6), ("liver", 3), ("spleen", 7), ("spleen", 4)
    ]  # fmt: skip
    seen = picture(reviewed, 0)
    assert (seen == OURS).all(axis=1).sum() > 10
    grey = (seen.max(axis=1) == seen.min(axis=1)).mean()
    assert grey > 0.8
    display = loaded.GetDisplayNode()
    display.SetAutoWindowLevel(0)
    display.SetWindowLevel(10.0, -2000.0)  # everything is white
    pump(lambda: reviewed.slices._later.isActive() is False and not reviewed.slices.drawing)
    assert np.median(picture(reviewed, 0)) == 255


def test_by_structure(reviewed) -> None:
    reviewed.slices.order.setCurrentIndex(1)
    reviewed.slices._list()
    assert [one.index for one in reviewed.gallery.places] == [5, 3, 6, 7, 4]
    assert not reviewed.gallery.missing()  # no picture is made twice


def test_the_gallery_is_laid_out_once_at_an_update(reviewed, panel, monkeypatch) -> None:
    laid, show = [], reviewed.gallery.show
    monkeypatch.setattr(reviewed.gallery, "show", lambda places: (laid.append(len(places)), show(places)))
    reviewed.refresh()
    reviewed.restore()
    assert laid == []
    found = json.loads(json.dumps(reviewed.rows))
    found[0]["slices"].pop()
    reviewed.refresh()  # as when the job ends
    reviewed._done({"axis": 0, "structures": found}, panel.volumes.segmentation)
    assert laid == [4]


def test_the_slice_at_hand_stays_in_sight_where_the_list_becomes_lower(reviewed, module, window) -> None:
    grid = reviewed.gallery.list
    grid.setFixedHeight(330)
    reviewed.gallery.choose(len(reviewed.gallery.places) - 1)
    for height in (330, 160):
        grid.setFixedHeight(height)
        reviewed.overlay.refresh()  # as when a legend is shown
        for _ in range(10):
            window.processEvents()
        seen = grid.visualItemRect(grid.item(grid.currentRow))
        assert seen.bottom() <= grid.viewport().height, height


def test_a_long_reason_does_not_lie_over_the_pictures(reviewed, panel, module, window) -> None:
    from standin.module_panel import ModulePanel

    area = ModulePanel(module.parent)
    area.show()
    try:
        panel.review.message.tell("Saved in a folder of a long name. " * 6)
        reviewed.rows[0]["slices"][0]["why"] = "differs from its neighbours a lot " * 4
        reviewed.refresh()
        reviewed.gallery.choose(0)
        for _ in range(20):
            window.processEvents()
        why, grid = reviewed.slices.why, reviewed.gallery.list
        assert why.height >= why.heightForWidth(why.width)
        assert grid.y + grid.height <= why.y
    finally:
        area._look.stop()
        area.takeWidget()
        area.close()


def test_a_review_without_the_mouse(reviewed, panel, slicer) -> None:
    contents = panel.volumes.segmentation.GetSegmentation()
    segments = [contents.GetSegment(row["segment_id"]) for row in reviewed.rows]
    assert said(reviewed) == "0 of 5 looked at"
    assert not reviewed.accept.enabled
    press(reviewed, "Right")
    assert panel.teach.watch.place == (0, 5)
    assert "liver, slice 5: differs by 40%" in reviewed.slices.why.text
    assert said(reviewed) == "1 of 5 looked at"
    assert reviewed.accept.text == "Accept slice"
    press(reviewed, "Right")
    press(reviewed, "Left")
    assert panel.teach.watch.place == (0, 5)
    press(reviewed, "Left")  # the first stays at hand
    assert panel.teach.watch.place == (0, 5)
    press(reviewed, "Y")
    assert panel.teach.watch.place == (0, 6)  # on to the next
    press(reviewed, "F")
    press(reviewed, "Y")
    assert [decision_of(one) for one in segments] == [ACCEPTED, FLAGGED]
    by, when = decided_by(segments[0])
    assert by
    assert when[:2] == "20"
    assert [reviewed.gallery.list.item(n).text().splitlines()[0] for n in range(3)] == [
        "Slice 5 \u2713",
        "Slice 6 \u2691",
        "Slice 3 \u2713",
    ]
    press(reviewed, "Y")
    press(reviewed, "Y")
    assert said(reviewed) == "5 of 5 looked at"
    assert decision_of(segments[1]) == FLAGGED
    reviewed.gallery.choose(1)
    press(reviewed, "Y")  # thought better of it
    assert [decision_of(one) for one in segments] == [ACCEPTED, ACCEPTED]
    last = reviewed.table.columnCount - 1
    assert [reviewed.table.item(n, last).text() for n in range(2)] == ["Completed", "Completed"]


def test_the_scene_remembers_what_was_looked_at(reviewed, panel, module) -> None:
    press(reviewed, "Right")
    press(reviewed, "F")
    module.exit()
    assert not any(key.isEnabled() for key in reviewed._keys)
    module.enter()
    assert said(reviewed) == "2 of 5 looked at"  # and the next
    assert reviewed.gallery.places[0].looked == FLAGGED
    kept = json.loads(panel.state.text("Review"))
    kept["rows"][0]["slices"][0]["looked"] = 3
    panel.state.set_values("Review", kept)
    assert [row["structure"] for row in panel.state.review[0]] == ["spleen"]  # a scene may come from anybody


def test_a_structure_that_is_chosen_is_what_the_buttons_are_about(reviewed, panel) -> None:
    press(reviewed, "Right")
    reviewed.table.selectRow(1)
    assert reviewed.accept.text == "Accept structure"
    assert reviewed.gallery.current is None
    reviewed.flag.click()
    spleen = panel.volumes.segmentation.GetSegmentation().GetSegment(reviewed.rows[1]["segment_id"])
    assert decision_of(spleen) == FLAGGED
    reviewed.flag.click()
    assert decision_of(spleen) == ""
    press(reviewed, "Right")
    assert reviewed.gallery.current.structure == "spleen"
    assert not reviewed.table.selectedItems()


def test_after_a_review_the_first_slice_is_in_sight(panel, loaded, own, pump, phantom, desk) -> None:
    node = nodes.new_segmentation(loaded)
    mask = phantom.labels == 1
    mask[6] = np.roll(mask[6], 6, axis=1)
    desk.draw(node, mask, phantom.volume, "liver", range(12))
    panel.volumes.choose_segmentation(node)
    panel.tabs.setCurrentIndex(2)
    review = panel.review
    review.check.click()
    pump(lambda: not review.running.running)
    assert panel.teach.watch.place == (0, 6)
    assert review.gallery.current.index == 6
    assert all(one.risk >= 0.02 for one in review.gallery.places)
    assert " 0%" not in " ".join(one.why for one in review.gallery.places)
    pump(lambda: not review.slices.drawing)
    press(review, "Y")
    review.check.click()
    pump(lambda: not review.running.running)
    assert [one.looked for one in review.gallery.places][:2] == [ACCEPTED, "seen"]  # nothing was changed since


def test_numbers_are_right_and_their_units_in_the_head(reviewed, slicer) -> None:
    import qt

    score = {"dice": 0.91, "nsd_2mm": 0.8, "hd95_mm": 4.25}
    scored = {**reviewed.rows[0], "score": score, "estimate": 0.8}  # where it is measured, none is expected
    reviewed.structures.show([scored, reviewed.rows[1]], ["", FLAGGED], [(1.0, 0.0, 0.0), ()])
    table = reviewed.table
    heads = [table.horizontalHeaderItem(n).text() for n in range(table.columnCount)]
    assert heads == ["Structure", "Volume\n(ml)", "Dice", "NSD", "HD95\n(mm)", "Status"]
    assert [table.item(0, n).text() for n in range(6)] == ["liver", "12.5", "0.91", "0.80", "4.2", ""]
    assert [table.item(1, n).text() for n in range(6)] == ["spleen", "12.5", "", "", "", "Flagged"]
    for number in range(1, 5):
        assert table.item(0, number).textAlignment() & qt.Qt.AlignRight
        assert table.horizontalHeaderItem(number).textAlignment() & qt.Qt.AlignRight


def test_what_differs_from_a_reference_in_two_colours(
    reviewed, panel, loaded, reference, phantom, pump, slicer
) -> None:
    row, view = reviewed.overlay, slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert not row.row.visible  # nothing to show
    reviewed.reference.setCurrentNode(reference)
    row.refresh()
    assert [row.choice.itemText(n) for n in range(row.choice.count)] == ["None", "Differences"]
    row.show("reference")
    pump(lambda: not row.overlays.busy)
    shown = slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID())
    ours, theirs = phantom.labels == 1, np.roll(phantom.labels == 1, 1, axis=1)
    values = array_of(shown.GetImageData())
    assert np.array_equal(values == overlay.ONLY_FIRST, ours & ~theirs)
    assert np.array_equal(values == overlay.ONLY_SECOND, theirs & ~ours)
    assert row.legend.accessibleName == "false positive - false negative"
    row.opacity.setValue(30)
    assert view.GetForegroundOpacity() == pytest.approx(0.3)
    panel.tabs.setCurrentIndex(0)
    assert view.GetForegroundVolumeID() is None
    assert slicer.mrmlScene.GetNodeByID(shown.GetID()) is None


def test_segmentations_with_nothing_in_common_are_told(reviewed, reference, pump) -> None:
    contents = reference.GetSegmentation()
    contents.GetSegment(contents.GetNthSegmentID(0)).SetName("something else")
    reviewed.reference.setCurrentNode(reference)
    reviewed.overlay.refresh()
    reviewed.overlay.show("reference")
    pump(lambda: not reviewed.overlay.overlays.busy)
    assert "have no structure in common" in reviewed.message.text
    assert reviewed.overlay.choice.currentText == "None"


def test_uncertainty_has_a_legend(panel, loaded, own, pump, slicer) -> None:
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    panel.tabs.setCurrentIndex(2)
    row = panel.review.overlay
    assert row.row.visible
    row.show("uncertainty")
    assert row.legend.visible
    assert row.legend.accessibleName == "rather sure - uncertain"
    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    node = slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID())
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node).GetTitleText() == "Uncertainty (%)"
    image = row.legend.grab().toImage()
    colours = {image.pixelColor(x, image.height() // 2).name() for x in range(0, image.width(), 4)}
    assert len(colours) > 10
    row.show("")
    assert view.GetForegroundVolumeID() is None
    assert not row.legend.visible


def test_the_report_has_pictures_and_tells_who_decided(reviewed, panel, pump, tmp_path, monkeypatch) -> None:
    import qt

    press(reviewed, "Right")
    for key in "YFY":
        press(reviewed, key)

    def save(name: str) -> str:
        monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *a: str(tmp_path / name))
        reviewed.report.click()
        assert not reviewed.report.enabled
        pump(lambda: not reviewed.writing)
        return (tmp_path / name).read_text(encoding="utf-8") if (tmp_path / name).is_file() else ""

    page = save("review.html")
    assert page.count("data:image/png;base64,") == 5
    segment = panel.volumes.segmentation.GetSegmentation().GetSegment(reviewed.rows[0]["segment_id"])
    by, when = decided_by(segment)
    for words in (f"<td>Completed</td><td>{by}, {when}</td>", "<td>Flagged</td>", "4 of 5 slices", "research use"):
        assert words in page
    rows = list(csv.DictReader(io.StringIO(save("review.csv"))))
    assert {row["decision"] for row in rows if not row["slice"]} == {"Completed", "Flagged"}
    made = [(row["decision"], row["decided_by"], row["decided_on"]) for row in rows if row["slice"] == "5"]
    assert made[0][:2] == ("Accepted", by)
    assert made[0][2] in page
    assert f"Accepted, {by}, {made[0][2]}" in page
    assert save("review.txt") == ""
    assert "must end in" in reviewed.message.text or ".html" in reviewed.message.text


def test_the_page_is_in_the_language_of_slicer(reviewed, pump, window, tmp_path, monkeypatch) -> None:
    from pathlib import Path

    import qt
    from standin.application import speak

    press(reviewed, "Right")
    press(reviewed, "Y")
    speak(window, "de_DE")
    window.loadTranslations(str(Path(nodes.__file__).parents[2] / "Resources" / "Translations"))
    found = {}
    try:
        for name in ("review.html", "review.csv"):
            monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *a, name=name: str(tmp_path / name))
            reviewed.report.click()
            pump(lambda: not reviewed.writing)
            found[name] = (tmp_path / name).read_text(encoding="utf-8")
    finally:
        speak(window, "")
    for words in ('<html lang="de">', "Leber", "Milz", "unterscheidet sich um 40% von den Nachbarschichten",
                  "Angenommen, ", "axial", "Nur für die Forschung", "Prüfung von "):  # fmt: skip
        assert words in found["review.html"], words
    for words in ("liver", "differs by 40%", "Accepted"):
        assert words in found["review.csv"], "tables are joined across languages"


def test_what_a_round_of_teaching_changed(window, loaded, slicer) -> None:
    from types import SimpleNamespace

    from PromptSegLib.desktop.overlays import ROUND, Overlays

    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    found = [SimpleNamespace(found=SimpleNamespace(mask=np.ones((1, 2, 2), bool), low=(1, row, 1))) for row in (1, 2)]
    logic = SimpleNamespace(rounds=found[:1], has_uncertainty=False)
    words = dict.fromkeys(("differences", "ours", "theirs", "after", "before"), "x")
    overlays = Overlays(logic, words)
    assert overlays.available(None, None) == []
    logic.rounds = found
    assert overlays.available(None, None) == [ROUND]
    overlays.show(ROUND, loaded, None, None, 0.5, lambda problem: None)
    values = array_of(slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID()).GetImageData())
    assert values[1, 1:4, 1].tolist() == [overlay.ONLY_SECOND, 0, overlay.ONLY_FIRST]
    overlays.end()
    assert view.GetForegroundVolumeID() is None
