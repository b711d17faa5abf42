"""The module opened for the first time: one obvious button, a sample with its liver, teaching shown in a picture."""

from __future__ import annotations

import hashlib

import pytest

from PromptSegLib.errors import InputError, Stopped


@pytest.fixture
def sample_data(window):
    """The module of that name, which needs the application."""
    from PromptSegLib.desktop import sample_data

    return sample_data


@pytest.fixture
def store(sample_data, tmp_path, phantom, kit, slicer, monkeypatch):
    """Where the sample is downloaded from: a folder. The cache is empty."""
    folder, cache = tmp_path / "store", tmp_path / "cache"
    folder.mkdir()
    cache.mkdir()
    kit.save_image(folder / "ct.nrrd", phantom.volume.voxels, phantom.volume.grid)
    digest = hashlib.sha256((folder / "ct.nrrd").read_bytes()).hexdigest()
    (folder / "ct.nrrd").rename(folder / digest)
    monkeypatch.setattr(sample_data, "STORE", folder.as_uri() + "/")
    monkeypatch.setattr(sample_data, "SAMPLES", {sample_data.FIRST: ("CTLiver", digest)})
    slicer.mrmlScene.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    return folder / digest


def seen(panel, kind) -> list[str]:
    """The texts of the visible widgets of a kind."""
    found = panel.widget.findChildren(kind)
    return [str(one.text) for one in found if one.isVisibleTo(panel.widget) and one.text]


def test_without_a_volume_there_is_one_button(module, window) -> None:
    from standin.binding import QtWidgets

    module.enter()
    panel = module.panel
    assert seen(panel, QtWidgets.QPushButton) == ["Try it on a sample CT"]
    assert not panel.tabs.isVisibleTo(panel.widget)
    assert not panel.volumes.segmentations.isVisibleTo(panel.widget)
    assert "github.com" in panel.start.sample.toolTip
    assert any("github.com" in one for one in seen(panel, QtWidgets.QLabel)), "it is said before the click"


def test_one_click_loads_the_sample_and_segments_its_liver(module, store, own, pump, monkeypatch, slicer) -> None:
    from PromptSegLib.desktop.panel import panel as panels

    monkeypatch.setattr(panels, "SHOWN", own)  # the tiny backbone has prompts of its own
    module.enter()
    panel = module.panel
    panel.start.sample.click()
    assert panel.start.sample.text == "Cancel"
    pump(lambda: panel.segment.running.running)
    assert panel.volumes.volume.GetName() == "CTLiver"
    assert panel.tabs.isVisibleTo(panel.widget)
    assert not panel.start.widget.isVisibleTo(panel.widget)
    pump(lambda: not panel.segment.running.running)
    contents = panel.volumes.segmentation.GetSegmentation()
    assert [contents.GetSegment(one).GetName() for one in contents.GetSegmentIDs()] == ["liver"]
    assert "tab Teach" in panel.segment.message.text
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    assert "tab Teach" not in panel.segment.message.text, "said once"


def test_what_was_downloaded_once_is_kept(module, sample_data, store) -> None:
    logic = module.logic.core
    sample_data.fetch(logic).wait()
    store.unlink()
    assert sample_data.fetch(logic).wait().GetName() == "CTLiver"


@pytest.mark.parametrize("how", ["not there", "another file"])
def test_a_download_that_fails_is_a_sentence(module, sample_data, store, pump, how) -> None:
    store.unlink() if how == "not there" else store.write_bytes(b"something else")
    module.enter()
    panel = module.panel
    panel.start.sample.click()
    pump(lambda: not panel.start.running.running)
    assert "could not be downloaded" in panel.start.message.text
    assert "connection to the internet" in panel.start.message.text
    assert panel.start.sample.text == "Try it on a sample CT"
    assert panel.volumes.volume is None
    with pytest.raises(InputError):
        sample_data.fetch(module.logic.core).wait()


def test_cancelling_leaves_nothing(module, sample_data, store, tmp_path) -> None:
    logic = module.logic.core
    job = sample_data.fetch(logic)
    job.cancel()
    with pytest.raises(Stopped):
        job.wait()
    download = sample_data._Download(sample_data.FIRST)
    download.stop = True
    download.run()  # stopped at its first block
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_volume_that_is_loaded_meanwhile_is_worked_on(module, store, desk, phantom, pump, slicer) -> None:
    module.enter()
    panel = module.panel
    panel.start.sample.click()
    mine = desk.add_ct(slicer.mrmlScene, phantom.volume)
    pump(lambda: panel.volumes.volume is not None)
    pump(lambda: not panel.start.running.running)
    assert panel.volumes.volume is mine
    assert not panel.segment.running.running


def test_teaching_is_shown_in_a_picture_until_something_is_drawn(panel, loaded, paint, window) -> None:
    panel.tabs.setCurrentIndex(1)
    assert panel.teach.example.visible
    image = panel.teach.example.grab().toImage()
    shades = {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}
    assert len(shades) > 8
    panel.teach.name.setText("my liver")
    panel.teach.begin.click()
    assert not panel.teach.example.visible


def test_a_step_shows_what_it_needs_and_buttons_say_why_they_cannot_act(panel, loaded, paint, own, pump) -> None:
    tab = panel.review
    panel.tabs.setCurrentIndex(2)
    assert not tab.check.enabled
    assert "segment or teach something first" in tab.check.toolTip
    assert "Segment or teach something first" in tab.hint.text
    panel.tabs.setCurrentIndex(1)
    panel.teach.name.setText("my liver")
    panel.teach.begin.click()
    for button in (panel.teach.preview, panel.teach.teach):
        assert not button.enabled
        assert "draw the structure in a slice first" in button.toolTip
    paint(5, 7)
    panel.teach.refresh()
    assert "about a minute" in panel.teach.teach.toolTip
    panel.tabs.setCurrentIndex(2)
    assert tab.check.enabled
    assert "Press Review" in tab.hint.text


def test_without_structures_of_ones_own_only_import_is_offered(panel, loaded, own, window) -> None:
    tab = panel.segment
    assert tab.exporter.visible
    for text in [entry.text for _item, entry in tab.structures._items if tab.structures.is_own(entry.text)]:
        panel.logic.library.delete(text)
    tab.structures.refresh()
    assert tab.importer.visible
    assert not any(one.visible for one in (tab.exporter, tab.remover, tab.forgetter))
