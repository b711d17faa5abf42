"""The user's library: listing without torch, importing, exporting, deleting."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.desktop import catalogue
from PromptSegLib.desktop.catalogue import MINE, Library
from PromptSegLib.errors import OutputError, PromptError
from PromptSegLib.prompts.library import asked, pick
from PromptSegLib.prompts.promptfile import rewrite
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.volumes.volume import Grid
from PromptSegLib.worker.process import PACKAGE


def test_shipped_sets_and_ones_own(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    assert {one.name for one in library.sets()} == {"abdomen-ct", "head-neck-ct", "thorax-ct"}
    assert library.import_file(engine_files[1]) == ["liver", "spleen"]
    own = library.sets()[-1]
    assert (own.name, own.shipped) == (MINE, False)
    assert [one.structure.name for one in own.prompts] == ["liver", "spleen"]
    (shipped,) = {p.path for one in library.sets() for p in one.prompts if p.text == "abdomen-ct:liver"}
    liver = {"file": str(own.prompts[0].path), "name": "liver"}
    assert library.asked(["liver"]) == library.asked([own.prompts[0].text, "Liver"]) == [liver], "one's own comes first"
    assert library.asked(["abdomen-ct:liver", "oesophagus"]) == [
        {"file": str(shipped), "name": "liver"}, {"file": str(shipped), "name": "esophagus"}
    ]  # fmt: skip
    assert library.asked([("any.promptset", "C7: body"), "x.promptset:a"]) == [
        {"file": "any.promptset", "name": "C7: body"}, "x.promptset:a"
    ]  # fmt: skip
    with pytest.raises(PromptError, match="There is no prompt for 'cyst'"):
        library.asked(["cyst"])


def test_export_and_delete(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    liver, spleen = (one.text for one in library.sets()[-1].prompts)
    assert list(PromptSet.read(library.export([liver], tmp_path / "out.promptset"))) == ["liver"]
    both = library.export([liver, spleen], tmp_path / "both.promptset")
    assert both.read_bytes() == engine_files[1].read_bytes()
    with pytest.raises(PromptError, match="Only structures of your own"):
        library.delete("abdomen-ct:liver")
    library.delete(liver)
    assert [one.text for one in library.sets()[-1].prompts] == [spleen]
    kept, before = PromptSet.read(library.sets()[-1].prompts[0].path), PromptSet.read(engine_files[1])
    assert all((kept["spleen"].tensors[k] == v).all() for k, v in before["spleen"].tensors.items())
    library.delete(spleen)
    assert {one.name for one in library.sets()} == {"abdomen-ct", "head-neck-ct", "thorax-ct"}
    assert not list((tmp_path / "mine").iterdir())


def test_an_export_is_what_was_ticked_and_replaces_nothing(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    for _ in range(2):
        library.import_file(engine_files[1])
    texts = [one.text for one in library.sets()[-1].prompts]  # liver and spleen, twice
    folder = library.export([texts[0], texts[3]], tmp_path / "out.promptset")
    assert [list(PromptSet.read(one)) for one in sorted(folder.iterdir())] == [["liver"], ["spleen"]]
    library.export([texts[0], texts[3]], tmp_path / "out.promptset")
    assert len(list(folder.iterdir())) == 4
    source = library.sets()[-1].prompts[0].path
    with pytest.raises(OutputError, match="one of the files that the structures are kept in"):
        library.export([texts[0]], source)
    with pytest.raises(PromptError, match="is no prompt 'gone' any more"):
        library.export([texts[0], "gone"], tmp_path / "more.promptset")
    with pytest.raises(PromptError, match="nothing to export"):
        library.export([], tmp_path / "more.promptset")
    assert not (tmp_path / "more.promptset").exists()
    assert len(PromptSet.read(source)) == 2


def test_a_name_with_a_colon_is_kept_asked_for_and_deleted(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    (prompt,) = pick(engine_files[1], "liver").values()
    for number, name in enumerate(("C7: body", "C7", "body")):
        PromptSet.of(name, [replace(prompt, structure=Structure(name))]).write(tmp_path / f"{number}.promptset")
        text = library.save(tmp_path / f"{number}.promptset", Structure(name), author="A")
        (wanted,) = library.asked([text])
        assert list(asked(wanted)) == [name]
    library.delete(next(one.text for one in library.sets()[-1].prompts if one.structure.name == "C7: body"))
    assert {one.structure.name for one in library.sets()[-1].prompts} == {"C7", "body"}


def test_what_is_kept_and_exported_names_no_scan(tmp_path, engine_files) -> None:
    library, grid = Library(tmp_path / "mine"), Grid((9, 8, 7), (1.25, 2.5, 3.75))
    (prompt,) = pick(engine_files[1], "liver").values()
    old = replace(prompt.card, extra={"taught_on": [grid.digest]})  # as older files have it
    PromptSet.of("old", [replace(prompt, card=old)]).write(tmp_path / "old.promptset")
    assert grid.digest.encode() in (tmp_path / "old.promptset").read_bytes()
    text = library.save(tmp_path / "old.promptset", prompt.structure)
    out = library.export([text], tmp_path / "out.promptset")
    library.import_file(tmp_path / "old.promptset")
    for path in (out, *(tmp_path / "mine").iterdir()):
        assert grid.digest.encode() not in path.read_bytes()


def test_a_damaged_file_is_not_imported(tmp_path, engine_files) -> None:
    raw = bytearray(engine_files[1].read_bytes())
    raw[-1] ^= 1
    (tmp_path / "bad.promptset").write_bytes(raw)
    library = Library(tmp_path / "mine")
    with pytest.raises(PromptError, match="damaged or was changed"):
        library.import_file(tmp_path / "bad.promptset")
    assert not list((tmp_path / "mine").iterdir())


def test_a_damaged_file_is_told_and_the_others_are_listed(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    (tmp_path / "mine" / "bad.promptset").write_bytes(b"no prompt set at all")
    assert library.sets()[-1].name == MINE
    assert library.problems == [
        "bad.promptset is not a PromptSeg prompt set; choose a .promptset file that PromptSeg wrote."
    ]


def test_a_card_is_changed_and_the_tensors_stay(tmp_path, engine_files) -> None:
    rewrite(engine_files[1], tmp_path / "new.promptset", author="Ä. Person")
    old, new = PromptSet.read(engine_files[1]), PromptSet.read(tmp_path / "new.promptset")
    for name in old:
        assert new[name].card.author == "Ä. Person"
        assert all((new[name].tensors[k] == t).all() for k, t in old[name].tensors.items())
    raw = bytearray(engine_files[1].read_bytes())
    raw[-1] ^= 1
    (tmp_path / "bad.promptset").write_bytes(raw)
    with pytest.raises(PromptError, match="damaged or was changed"):
        rewrite(tmp_path / "bad.promptset", tmp_path / "worse.promptset")
    assert not (tmp_path / "worse.promptset").exists()


def test_listing_needs_neither_torch_nor_safetensors(tmp_path) -> None:
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['safetensors'] = None\n"
        f"sys.path.insert(0, {str(PACKAGE)!r})\n"
        "from PromptSegLib.desktop.catalogue import Library\n"
        f"print(sum(len(one.prompts) for one in Library({str(tmp_path)!r}).sets()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "26", answer.stderr


def test_files_are_read_again_only_when_they_changed(tmp_path, engine_files, monkeypatch) -> None:
    read: list[str] = []
    real = catalogue.read_header
    monkeypatch.setattr(catalogue, "read_header", lambda path: read.append(path.name) or real(path))
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    (tmp_path / "mine" / "bad.promptset").write_bytes(b"no prompt set at all")
    first = library.sets()
    assert len(read) == 5
    assert library.sets() == first
    assert read[5:] == ["bad.promptset"], "what is wrong is looked at each time, and told"
    assert len(library.problems) == 1
    own = first[-1].prompts[0].path
    state = own.stat()
    rewrite(engine_files[1], own, ["liver"])
    os.utime(own, ns=(state.st_atime_ns, state.st_mtime_ns))  # as copying with its times does
    assert [one.structure.name for one in library.sets()[-1].prompts] == ["liver"]
    own.unlink()
    assert [one.name for one in library.sets()] == [one.name for one in first[:3]]


def test_two_windows_take_turns_to_write(tmp_path, engine_files, monkeypatch) -> None:
    library, other = Library(tmp_path / "mine"), Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    text = library.sets()[-1].prompts[0].text
    monkeypatch.setattr(catalogue, "PATIENCE", 0.05)
    with other._writing():
        for change in (lambda: library.import_file(engine_files[1]), lambda: library.delete(text)):
            with pytest.raises(OutputError, match=r"Another 3D Slicer is writing to .*mine; try again in a moment"):
                change()
    library.delete(text)
    assert [one.structure.name for one in other.sets()[-1].prompts] == ["spleen"]


def test_a_name_that_is_taken_at_the_last_moment_is_not_replaced(tmp_path, engine_files, monkeypatch) -> None:
    """Not every disk knows locks."""
    library = Library(tmp_path / "mine")
    rewrite(engine_files[1], tmp_path / "one.promptset", ["liver"])
    free, taken = catalogue._free, []

    def late(folder, name):
        found = free(folder, name)
        if not taken:
            taken.append(found)
            rewrite(engine_files[1], found, ["spleen"])
        return found

    monkeypatch.setattr(catalogue, "_free", late)
    text = library.save(tmp_path / "one.promptset", Structure("left kidney"))
    assert not text.startswith(str(taken[0]))
    assert {one.structure.name for one in library.sets()[-1].prompts} == {"liver", "spleen"}


def test_of_a_prompt_and_its_patients_both_are_kept_or_none(tmp_path, engine_files, monkeypatch) -> None:
    library = Library(tmp_path / "mine")
    prompt, memory = tmp_path / "one.promptset", tmp_path / "a.memory"
    rewrite(engine_files[1], prompt, ["liver"])
    memory.write_bytes(b"patients")
    replacing = catalogue.replacing

    def full(path, **more):
        if str(path).endswith(".memory"):
            raise OutputError("The disk is full", "free some space")
        return replacing(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "replacing", full)
        with pytest.raises(OutputError, match="disk is full"):
            library.save(prompt, Structure("left kidney"), memory)
    assert list((tmp_path / "mine").iterdir()) == []
    entry = library.entry(library.save(prompt, Structure("left kidney"), memory))
    assert entry.path.name == "left-kidney.promptset"
    assert entry.memory.read_bytes() == b"patients"
