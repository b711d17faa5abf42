"""The library remembers the patient that a structure was taught in: kept, used in the next one, listed, forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.desktop.catalogue import Library
from PromptSegLib.errors import PromptError, Stopped
from PromptSegLib.prompts.library import memory_beside
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register.picture import Picture
from PromptSegLib.register.register import REGISTERING
from PromptSegLib.register.teachers import Mask, Memory, Teacher


@pytest.fixture
def kept(desk, ct, taught) -> str:
    """The text of a structure that was taught and accepted."""
    node, segment_id = taught
    return desk.logic.accept(desk.logic.teach(ct, node, segment_id, "my liver", steps=1).wait())


@pytest.fixture
def other(desk, scene, kit):
    """Another patient's CT."""
    return desk.add_ct(scene, kit.make_phantom(6, (12, 32, 32)).volume)


def own_entry(library):
    (entry,) = library.sets()[-1].prompts
    return entry


def test_accepting_keeps_the_patient_and_the_next_one_is_registered(desk, kept, other, taught, ct) -> None:
    entry = own_entry(desk.logic.library)
    (teacher,) = Memory.read(entry.memory).of("my liver")
    assert sorted(teacher.drawn["my liver"].drawn) == [0, 5, 7]
    heard: list = []
    found = desk.logic.segment(other, [kept], on_progress=heard.append).wait()
    assert any(one.message == REGISTERING for one in heard)
    assert isinstance(found.notes, tuple)
    assert found.corrections["my liver"]["axis"] == 0
    again = desk.logic.teach(ct, *taught, "my liver", steps=1, start_from=desk.logic.rounds[-1]).wait()
    memory = Memory.read(memory_beside(again.prompt))
    assert len(memory.teachers) == 1


def test_switched_off_nothing_is_kept_and_nothing_used(desk, ct, taught, other, kept) -> None:
    desk.logic.context.remembers = False
    heard: list = []
    desk.logic.segment(other, [kept], on_progress=heard.append).wait()
    assert not any(one.message == REGISTERING for one in heard)
    result = desk.logic.teach(ct, *taught, "my liver", steps=1).wait()
    assert not memory_beside(result.prompt).exists()
    text = desk.logic.accept(result)
    assert not memory_beside(text.rpartition(":")[0]).exists()


def test_what_was_taught_before_it_was_switched_off_is_not_kept_after(desk, ct, taught) -> None:
    result = desk.logic.teach(ct, *taught, "my liver", steps=1).wait()
    desk.logic.context.remembers = False
    desk.logic.accept(result)
    assert own_entry(desk.logic.library).memory is None


def memory_at(path: Path) -> Path:
    path.write_bytes(b"a picture of a patient")
    return path


def test_an_export_and_an_import_take_no_picture_along(tmp_path, engine_files) -> None:
    library, came = Library(tmp_path / "mine"), tmp_path / "came.promptset"
    came.write_bytes(engine_files[1].read_bytes())
    memory_at(memory_beside(came))
    library.import_file(came)
    assert [one.suffix for one in (tmp_path / "mine").iterdir()] == [".promptset"]
    entry = library.sets()[-1].prompts[0]
    memory_at(memory_beside(entry.path))
    (tmp_path / "out").mkdir()
    memory_at(tmp_path / "out" / "x.memory")  # of a file that is replaced
    library.export([entry.text], tmp_path / "out" / "x.promptset")
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["x.promptset"]
    assert b"a picture of a patient" not in (tmp_path / "out" / "x.promptset").read_bytes()


def test_patients_are_forgotten_alone_or_with_their_prompt(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    liver, spleen = library.sets()[-1].prompts
    path = memory_at(memory_beside(liver.path))
    assert liver.memory == spleen.memory == path
    library.forget(liver.text)
    assert liver.memory is None
    library.forget(liver.text)  # again: there is nothing to forget
    memory_at(path)
    library.delete(liver.text)
    library.delete(spleen.text)
    assert not list((tmp_path / "mine").iterdir())
    with pytest.raises(PromptError, match="beside structures of your own"):
        library.forget("abdomen-ct:liver")


def test_of_a_file_with_several_structures_one_is_forgotten_or_deleted(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    liver, spleen = library.sets()[-1].prompts
    path = memory_beside(liver.path)
    masks = {name: Mask(np.full((2, 2, 2), 255, np.uint8), (1, 1, 1)) for name in ("liver", "spleen")}
    whole = Memory([Teacher(Picture(np.full((9, 9, 9), 7, np.uint8), (0.0, 0.0, 0.0)), masks)])
    whole.write(path)
    library.forget(liver.text)
    assert (liver.memory, spleen.memory) == (None, path)
    assert Memory.read(path).names == ["spleen"]
    whole.write(path)
    library.delete(liver.text)
    assert Memory.read(path).names == ["spleen"]
    library.forget(library.sets()[-1].prompts[0].text)
    assert not path.exists()


def patient(value: int, *names: str) -> Teacher:
    mask = Mask(np.full((2, 2, 2), 255, np.uint8), (1, 1, 1))
    grey = np.full((9 + value, 9, 9), value, np.uint8)
    return Teacher(Picture(grey, (0.0, 0.0, 0.0)), {name: replace(mask, share=mask.share.copy()) for name in names})


def test_what_was_forgotten_stays_so_under_every_prompt_of_the_structure(tmp_path, engine_files) -> None:
    """Accepted later, a round knows the patients of before: they are in its file, too, and in those that wait."""
    library, prompt = Library(tmp_path / "mine"), tmp_path / "liver.promptset"
    PromptSet.of("liver", [PromptSet.read(engine_files[1])["liver"]]).write(prompt)
    one, two, three = patient(1, "liver"), patient(2, "liver"), patient(3, "liver")
    round_of = tmp_path / "round.memory"
    texts = []
    for teachers in ([one], [one, two]):
        Memory(teachers).write(round_of)
        texts.append(library.save(prompt, Structure("liver"), round_of))
    Memory([patient(1, "spleen")]).write(tmp_path / "mine" / "spleen.memory")
    assert library.forget(texts[0]) == ["spleen"]
    first, second = (memory_beside(text.rpartition(":")[0]) for text in texts)
    assert not first.exists()
    assert [t.digest for t in Memory.read(second).teachers] == [two.digest]
    Memory([one, three]).write(round_of)
    later = memory_beside(library.save(prompt, Structure("liver"), round_of).rpartition(":")[0])
    assert [t.digest for t in Memory.read(later).teachers] == [three.digest]
    Memory([two, one]).write(round_of)  # and drawn in again, it is kept again
    again = memory_beside(library.save(prompt, Structure("liver"), round_of).rpartition(":")[0])
    assert [t.digest for t in Memory.read(again).teachers] == [two.digest, one.digest]


def test_where_a_deleted_prompt_was_taught_is_forgotten_too(tmp_path, engine_files, monkeypatch) -> None:
    monkeypatch.setenv("PROMPTSEG_HOME", str(tmp_path / "home"))
    library, name = Library(tmp_path / "mine"), "liver"
    (prompt,) = (one for one in PromptSet.read(engine_files[1]).values() if one.structure.name == name)
    drawn = replace(prompt, card=replace(prompt.card, taught_on=("0123456789abcdef",), rounds=1))
    PromptSet.of("x", [drawn]).write(tmp_path / "x.promptset")
    text = library.save(tmp_path / "x.promptset", Structure(name))
    assert list((tmp_path / "home" / "taught").iterdir())
    library.delete(text)
    assert not list((tmp_path / "home" / "taught").iterdir())


def test_a_new_structure_takes_no_other_s_patients_over(tmp_path, engine_files) -> None:
    """A prompt's file was removed by hand, and what lay beside it stayed."""
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    entry = library.sets()[-1].prompts[0]
    left = memory_at(memory_beside(entry.path))
    entry.path.unlink()
    library.import_file(engine_files[1])
    assert library.sets()[-1].prompts[0].memory is None
    assert left.read_bytes() == b"a picture of a patient"


def test_the_panel_lists_forgets_and_switches_off(panel, loaded, own, pump, monkeypatch, slicer) -> None:
    from PromptSegLib.desktop.core import remembers_patients

    library = panel.logic.library
    entry = library.sets()[-1].prompts[0]
    memory_at(memory_beside(entry.path))
    panel.segment.structures.refresh()
    item = next(item for item, one in panel.segment.structures._items if one.text == entry.text)
    item.setSelected(True)
    assert "remembers on this computer" in panel.segment.structures._card.text
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **more: True, raising=False)
    assert panel.segment.forgetter.enabled
    panel.segment.structures.tick(own)
    panel.segment.button.click()
    pump(lambda: not panel.segment.running.running)
    assert "is not a PromptSeg memory file" in panel.segment.message.text
    panel.segment.structures.refresh()
    item = next(item for item, one in panel.segment.structures._items if one.text == entry.text)
    item.setSelected(True)
    panel.segment.forgetter.click()
    assert "Forgotten" in panel.segment.message.text
    assert not memory_beside(entry.path).exists()
    assert not panel.segment.forgetter.enabled
    assert remembers_patients()
    assert panel.check.remember.checked
    panel.check.remember.setChecked(False)
    assert not remembers_patients()
    assert not panel.logic.context.remembers
    panel.check.remember.setChecked(True)
    assert remembers_patients()


def test_an_export_of_a_remembered_structure_is_made_by_the_worker(desk, kept, tmp_path) -> None:
    """A phantom of 8 cm fits none of the reference CTs: it is exported all the same, and told."""
    heard: list = []
    path, without = desk.logic.export([kept], tmp_path / "out.promptset", on_progress=heard.append).wait()
    assert path == tmp_path / "out.promptset"
    assert PromptSet.read(path)["my liver"].masks == ()
    assert list(without) == ["my liver"]
    assert any(one.stage == "register" for one in heard)
    assert [one.name for one in tmp_path.glob("out*")] == ["out.promptset"]
    with pytest.raises(PromptError, match="There is no prompt 'gone' any more"):
        desk.logic.export(["gone"], tmp_path / "more.promptset").wait()


def test_an_export_is_stopped_within_a_second_and_writes_nothing(desk, kept, tmp_path) -> None:
    job = desk.logic.export([kept], tmp_path / "out.promptset", on_progress=lambda p: job.cancel())
    with pytest.raises(Stopped):
        job.wait()
    assert not (tmp_path / "out.promptset").exists()


def test_the_panel_exports_and_says_for_what_others_get_no_start(
    panel, loaded, own, pump, tmp_path, monkeypatch
) -> None:
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *given: str(tmp_path / "out"))
    panel.segment.structures.tick(own)
    assert panel.segment.exporter.enabled
    panel.segment.exporter.click()
    pump(lambda: not panel.segment.running.running)
    assert f"Saved: {tmp_path / 'out.promptset'}." in panel.segment.message.text
    assert "Others get no start in their patients for: " in panel.segment.message.text
    assert (tmp_path / "out.promptset").is_file()
