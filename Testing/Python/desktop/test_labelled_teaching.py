"""A structure is taught from the segmented volumes of a scene, or from a data set: the logic, and the page."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import find
from PromptSegLib.desktop import labelled_teaching
from PromptSegLib.desktop.labelled_teaching import OddValuesError
from PromptSegLib.desktop.runs import Runs
from PromptSegLib.errors import InputError, OutputError, Stopped
from PromptSegLib.locked import locked
from PromptSegLib.mrml import nodes
from PromptSegLib.mrml.labelled_pairs import pairs_of
from PromptSegLib.mrml.vtk_images import array_of
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register.teachers import Memory

SMALL = """
from PromptSegLib.datasets import tasks
from PromptSegLib.labelled import learn
tasks.SIZES = ((64, 64),)
learn.SetRecipe.__init__.__defaults__ = tuple(2 if d == 1000 else d for d in learn.SetRecipe.__init__.__defaults__)
""".strip()
"""Phantoms are no larger; two steps."""
LONG = SMALL.replace("(2 if", "(10**6 if")


def add_patients(desk, scene, kit, seeds=(41, 42, 43, 44), name="liver", label=1):
    """CTs with the structure segmented in all of their slices, called after patients."""
    for seed in seeds:
        one = kit.make_phantom(seed, (12, 32, 32))
        volume = desk.add_ct(scene, one.volume)
        volume.SetName(f"DOE^JOHN {seed}")
        node = nodes.new_segmentation(volume)
        desk.draw(node, one.labels == label, one.volume, name, range(len(one.labels)))


def without_air(node) -> None:
    """Values as of an MR: none below 0."""
    array = array_of(node.GetImageData())
    array[:] = np.abs(array)


@pytest.fixture
def quick(make_desk):
    return make_desk(SMALL)


def test_from_the_scene_to_my_structures(quick, scene, kit) -> None:
    add_patients(quick, scene, kit)
    told: list = []
    pairs = pairs_of(scene, "liver")
    job = quick.logic.labelled.from_scene(pairs, find("liver"), minutes=5, on_progress=told.append)
    assert quick.logic.labelled.runs.folder.is_dir()
    result = job.wait()
    assert result.complete
    assert set(result.dice) < {pair.volume.GetName() for pair in pairs}, "on screen they go by their names"
    shares = [one.fraction for one in told]
    assert shares == sorted(shares)
    assert {"gather", "learn", "validate"} <= {one.stage for one in told}
    assert [one.metrics["step"] for one in told if "dice" in one.metrics] == [0, 2]
    (mine,) = [one for one in quick.logic.library.sets() if not one.shipped]
    (entry,) = mine.prompts
    assert (entry.text, entry.structure) == (result.text, find("liver"))
    assert entry.card.extra["subjects"] == {"training": 3, "held_out": 1}
    assert Memory.read(entry.memory).names == ["liver"], "the next patient starts from three of them"
    kept = b"".join(one.read_bytes() for one in quick.logic.library.folder.rglob("*") if one.is_file())
    assert b"DOE" not in kept, "what may be exported has no name of a patient"
    assert not quick.logic.labelled.runs.folder.exists()
    assert not any(quick.service.jobs.root.iterdir())
    other = quick.add_ct(scene, kit.make_phantom(49, (12, 32, 32)).volume)
    carried = quick.logic.segment(other, [result.text], review=False).wait()
    assert "liver" in carried.expected, "three of the patients are registered with the next one"


def test_what_could_not_be_kept_is_not_lost(quick, scene, kit, monkeypatch) -> None:
    add_patients(quick, scene, kit)
    labelled, library = quick.logic.labelled, quick.logic.library

    def full(*_: object, **__: object) -> None:
        raise OutputError("The disk is full", "free some space")

    with monkeypatch.context() as patch:
        patch.setattr(library, "save", full)
        with pytest.raises(OutputError, match="disk is full"):
            labelled.from_scene(pairs_of(scene, "liver"), find("liver"), minutes=5).wait()
    (run,) = labelled.runs.unfinished()
    result = labelled.go_on(run, minutes=5).wait()
    assert result.complete
    assert library.entry(result.text) is not None
    assert not labelled.runs.folder.exists()


def test_two_windows_begin_runs_of_one_name(tmp_path, monkeypatch) -> None:
    runs = Runs(lambda: tmp_path)
    other = Runs(lambda: tmp_path)
    write, begun = runs._write, []

    def late(run, **more) -> None:
        if not begun:
            begun.append(other.new(Structure("liver"), 4))
        write(run, **more)

    monkeypatch.setattr(runs, "_write", late)
    mine = runs.new(Structure("liver"), 3)
    assert mine.folder != begun[0].folder
    assert json.loads(begun[0].file.read_text())["volumes"] == 4


def test_stopped_with_the_best_and_gone_on_with(make_desk, scene, kit, monkeypatch) -> None:
    desk = make_desk(LONG)
    add_patients(desk, scene, kit)
    labelled, looks = desk.logic.labelled, []

    def hear(report) -> None:
        if "dice" in report.metrics:
            looks.append(report.metrics["step"])
            if len(looks) == 2:
                scene.Clear(0)  # what was handed over is not needed any more
                job.keep_best()

    pairs = pairs_of(scene, "liver")
    job = labelled.from_scene(pairs, Structure("my liver"), minutes=30, on_progress=hear)
    result = job.wait()
    assert (result.stopped, result.complete) == (True, False)
    (run,) = Runs(lambda: desk.logic.library.folder).unfinished()
    assert (run.structure.name, run.volumes, run.kept, run.steps) == ("my liver", 4, result.text, result.steps)
    before = desk.logic.library.folder / "my-liver.promptset"
    assert before.is_file()
    again = labelled.go_on(run, minutes=1e-6).wait()  # the time is over at once: nothing more is learned
    assert not again.complete
    own = [one for entry in desk.logic.library.sets() if not entry.shipped for one in entry.prompts]
    assert [one.text for one in own] == [again.text], "in the place of what the same run had left"
    labelled.runs.remove(run)
    assert labelled.runs.unfinished() == []


def test_cancelled_while_volumes_are_handed_over_nothing_stays(quick, scene, kit) -> None:
    add_patients(quick, scene, kit)
    labelled = quick.logic.labelled
    for stop in ("cancel", "keep_best"):
        job = labelled.from_scene(
            pairs_of(scene, "liver"), find("liver"), minutes=5,
            on_progress=lambda report, stop=stop: getattr(job, stop)() if "2/4" in report.message else None,  # noqa: B023
        )  # fmt: skip
        with pytest.raises(Stopped):
            job.wait()
        assert not labelled.runs.folder.exists()
    assert not [one for one in quick.logic.library.sets() if not one.shipped]


def test_what_cannot_teach_is_said_before_anything_is_learned(quick, scene, kit) -> None:
    labelled, liver = quick.logic.labelled, find("liver")
    add_patients(quick, scene, kit, (41, 42, 43))
    pairs = pairs_of(scene, "liver")
    with pytest.raises(InputError, match="2 segmented volumes of liver are ticked, and 3 are needed; load and"):
        labelled.from_scene(pairs[:2], liver, minutes=5)
    with pytest.raises(InputError, match="is ticked with two segmentations; untick one"):
        labelled.from_scene([*pairs, pairs[0]], liver, minutes=5)
    phantom = kit.make_phantom(50, (12, 32, 32))
    odd = quick.add_ct(scene, phantom.volume)
    without_air(odd)
    node = nodes.new_segmentation(odd)
    quick.draw(node, phantom.labels == 1, phantom.volume, "liver", range(12))
    with pytest.raises(OddValuesError, match=r"do not look like a CT's in HU: .*; untick it, or load it again"):
        labelled.from_scene(pairs_of(scene, "liver"), liver, minutes=5).wait()
    assert not labelled.runs.folder.exists()
    assert labelled.from_scene(pairs_of(scene, "liver"), liver, minutes=5, odd=True).wait().complete


def test_from_a_data_set_on_disk(quick, kit, tmp_path) -> None:
    data = kit.write_dataset(tmp_path / "set", (1, 2, 3, 4))
    labelled = quick.logic.labelled
    told = labelled.describe(str(data.parent)).wait()
    assert told["volumes"] == 4
    assert "spleen" in told["structures"]
    result = labelled.from_dataset(str(data.parent), "spleen", minutes=5).wait()
    (prompt,) = PromptSet.read(result.text.rpartition(":")[0]).values()
    assert prompt.structure == find("spleen")
    with pytest.raises(Exception, match=r"cannot be read; name a dataset\.json"):
        labelled.describe(str(tmp_path)).wait()
    with pytest.raises(Exception, match="No data set has a structure 'pancreas'; choose of"):
        labelled.from_dataset(str(data.parent), "pancreas", minutes=5).wait()
    assert not labelled.runs.folder.exists()


def test_files_of_runs_that_say_something_else_are_left_alone(tmp_path) -> None:
    runs = Runs(lambda: tmp_path)
    run = runs.new(Structure("a/b"), 3)
    assert run.file.name == "a-b.json"
    assert runs.unfinished() == [], "nothing to go on from"
    for text in ("{", "[]", "{}", json.dumps({"structure": {"name": 3}}), '{"structure": null, "volumes": "x"}'):
        run.file.write_text(text)
        run.folder.mkdir(exist_ok=True)
        (run.folder / "last.safetensors").write_bytes(b"")
        assert runs.unfinished() == []
    assert runs.new(Structure("a/b")).file.name == "a-b-2.json"


def test_what_a_crash_left_behind_goes_after_a_day(tmp_path) -> None:
    runs = Runs(lambda: tmp_path)
    old, young, begun = (runs.new(Structure(name), 3) for name in ("old", "young", "begun"))
    for run in (old, young, begun):
        run.folder.mkdir()
        (run.folder / "volume.npy").write_bytes(b"a patient")
    (begun.folder / "last.safetensors").write_bytes(b"")
    for run in (old, begun):
        os.utime(run.file, (1.0, 1.0))
    runs.new(Structure("next"))
    assert not old.folder.exists()
    assert not old.file.exists()
    with locked(begun.folder, "", ""), pytest.raises(OutputError, match="The run of begun is being worked on; stop it"):
        runs.forget(begun)
    assert young.folder.exists()
    assert runs.unfinished() == [begun]


# The page


@pytest.fixture
def short(monkeypatch):
    """The window's worker computes with small slices, and makes two steps."""
    original = labelled_teaching.Job.do_request

    def request(self, do, fields, *rest, **more):
        if do == "learn":
            fields = {**fields, "steps": 2}
        return original(self, do, fields, *rest, **more)

    monkeypatch.setattr(labelled_teaching.Job, "do_request", request)


@pytest.fixture
def page(panel, loaded, desk, slicer, kit):
    add_patients(desk, slicer.mrmlScene, kit)
    panel.tabs.setCurrentIndex(1)
    panel.sets.open(True)
    return panel.sets


def test_by_mouse(page, panel, pump, short, window) -> None:
    assert page.widget.visible
    assert not panel.teach.widget.visible
    assert page.structure.currentText == "liver (4)"
    assert len(page.ticked) == 4
    assert page.teach.enabled
    page.teach.click()
    assert page.teach.text == "Stop and keep best"
    pump(lambda: not page.running.running)
    assert page.message.text.startswith("liver is learned: Dice ")
    assert "DOE^JOHN" in page.message.text
    (entry,) = [one for one in panel.segment.structures.ticked_entries if "subjects" in one.card.extra]
    assert entry.structure.name == "liver"
    assert "whole volumes: 3 learned from, 1 held out" in "\n".join(panel.segment.structures._lines(entry))
    page.open(False)
    assert panel.teach.widget.visible
    assert not page.widget.visible


def test_ticks_follow_the_user_and_too_few_are_said(page, window, slicer, desk, kit) -> None:
    import qt

    for item, _pair in page._pairs[:2]:
        item.setCheckState(0, qt.Qt.Unchecked)
    assert not page.teach.enabled
    assert page.said.text == "2 of 4 ticked; 3 are needed."
    page.refresh()
    assert len(page.ticked) == 2
    add_patients(desk, slicer.mrmlScene, kit, (45,))
    page.refresh()
    assert page.said.text == "3 of 5 ticked."
    assert page.teach.enabled
    slicer.mrmlScene.Clear(0)
    assert not page._pairs, "nothing keeps them alive"
    page.enter()
    assert "No volume of the scene is segmented" in page.said.text
    assert not page.teach.enabled


def test_values_that_are_no_hu_are_asked_about(page, pump, short, slicer) -> None:
    without_air(page._pairs[0][1].volume)
    page.teach.click()
    pump(lambda: not page.running.running)
    assert "do not look like a CT's in HU" in page.message.text
    assert "untick it" in page.message.text
    page.message._button.click()
    pump(lambda: not page.running.running)
    assert page.message.text.startswith("liver is learned")


def test_a_folder_without_a_data_set_and_one_with(page, pump, kit, tmp_path, monkeypatch) -> None:
    import qt

    chosen = [str(tmp_path)]
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: chosen[-1])
    page.folder.click()
    pump(lambda: not page.running.running)
    assert "name a dataset.json in the layout of the Decathlon or of nnU-Net" in page.message.text
    chosen.append(str(kit.write_dataset(tmp_path / "set", (1, 2, 3)).parent))
    page.folder.click()
    pump(lambda: not page.running.running)
    assert "3 volumes" in page.said.text
    assert page.structure.findText("spleen") >= 0
    assert page.teach.enabled
    assert not page.tree.visible
    page.scene.click()
    assert page.tree.visible
    assert page.structure.currentText == "liver (4)"


def test_what_was_stopped_is_offered_and_can_be_forgotten(page, panel, slicer, monkeypatch) -> None:
    runs = panel.logic.labelled.runs
    run = runs.keep(runs.new(find("heart"), 5), steps=150, dice=0.8123)
    run.folder.mkdir()
    (run.folder / "last.safetensors").write_bytes(b"")
    page.refresh()
    assert page.go_on.visible
    assert page.unfinished.text == "heart: stopped at step 150, Dice 0.81."
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **__: True)
    page.remove.click()
    assert not page.go_on.visible
    assert not run.folder.exists()


def test_the_curve_follows_what_is_told(page) -> None:
    page.curve.setVisible(True)
    for step, told in ((0, {"dice": 0.1}), (20, {"loss": 0.9}), (50, {"loss": 0.5, "dice": 0.6}), (90, {"loss": 0.4})):
        page.curve.add({"step": step, **told})
    assert page.curve.dice == [(0, 0.1), (50, 0.6)]
    assert page.curve.losses == [(20, 0.9), (50, 0.5), (90, 0.4)]
    image = page.curve.grab().toImage()
    assert len({image.pixelColor(x, y).name() for x in range(0, 300, 3) for y in range(0, 90, 3)}) > 2
    page.curve.add({"step": 60, "loss": 0.45})  # gone on with from step 50
    assert page.curve.losses[-1] == (60, 0.45)
    page.curve.clear()
    assert not page.curve.dice
    assert np.isnan(page.curve._latest)


def test_what_one_presses_is_in_sight_at_1280_by_800(page, panel, module, window) -> None:
    """In Slicer's module panel of that window, with everything that may be said."""
    from standin.binding import QtCore, QtWidgets

    from PromptSegLib.progress import Progress

    area = QtWidgets.QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
    area.setWidget(module.parent)
    area.resize(424, 576)
    area.show()
    try:
        page.running.job = type("Job", (), {"kind": "learn"})
        page.running.widget.setVisible(True)
        page._buttons()
        page.running._show(Progress("learn", 0.4, "step 100 of 1000, loss 0.35, best Dice 0.70 (step 100)", {}))
        page.curve.setVisible(True)
        page.message.warn("The values of a volume of a long name do not look like a CT's in HU.")
        for busy in (True, False):
            if not busy:
                page.running.job = None
                page.running.widget.setVisible(False)
                page.curve.setVisible(False)
                page._buttons()
            for _ in range(20):
                window.processEvents()
            for widget in (page.structure, page.teach, page.opener, page.curve if busy else page.tree):
                place = widget.mapTo(area.viewport(), QtCore.QPoint(0, 0))
                assert widget.visible
                assert 0 <= place.y() <= area.viewport().height - widget.height, (busy, widget, place)
        assert panel.widget.minimumSizeHint.width() <= area.viewport().width
        assert module.parent.sizeHint.width() <= 424
    finally:
        area.takeWidget()
        area.close()
