"""The user's library: listing without torch, importing, exporting, deleting."""

from __future__ import annotations

import subprocess
import sys

import pytest

from PromptSegLib.desktop.library import MINE, Library
from PromptSegLib.errors import PromptError
from PromptSegLib.prompts.promptset import PromptSet, rewrite_card
from PromptSegLib.worker.process import PACKAGE


def test_shipped_sets_and_ones_own(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    assert {one.name for one in library.sets()} == {"abdomen-ct", "head-neck-ct"}
    assert library.import_file(engine_files[1]) == ["liver", "spleen"]
    own = library.sets()[-1]
    assert (own.name, own.shipped) == (MINE, False)
    assert [one.structure.name for one in own.prompts] == ["liver", "spleen"]
    assert library.texts(["liver"]) == [own.prompts[0].text], "one's own comes before a shipped one"
    assert library.texts(["abdomen-ct:liver", "oesophagus"]) == ["abdomen-ct:liver", "abdomen-ct:esophagus"]


def test_export_and_delete(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    text = library.sets()[-1].prompts[0].text
    assert library.export([text], tmp_path / "out.promptset").read_bytes() == engine_files[1].read_bytes()
    with pytest.raises(PromptError, match="Only structures of your own"):
        library.delete("abdomen-ct:liver")
    library.delete(text)
    assert {one.name for one in library.sets()} == {"abdomen-ct", "head-neck-ct"}


def test_a_damaged_file_is_told_and_the_others_are_listed(tmp_path, engine_files) -> None:
    library = Library(tmp_path / "mine")
    library.import_file(engine_files[1])
    (tmp_path / "mine" / "bad.promptset").write_bytes(b"no prompt set at all")
    assert library.sets()[-1].name == MINE
    assert library.problems == [
        "bad.promptset is not a PromptSeg prompt set; choose a .promptset file that PromptSeg wrote."
    ]


def test_a_card_is_changed_and_the_tensors_stay(tmp_path, engine_files) -> None:
    rewrite_card(engine_files[1], tmp_path / "new.promptset", {"author": "Ä. Person"})
    old, new = PromptSet.read(engine_files[1]), PromptSet.read(tmp_path / "new.promptset")
    for name in old:
        assert new[name].card["author"] == "Ä. Person"
        assert all((new[name].tensors[k] == t).all() for k, t in old[name].tensors.items())
    raw = bytearray(engine_files[1].read_bytes())
    raw[-1] ^= 1
    (tmp_path / "bad.promptset").write_bytes(raw)
    with pytest.raises(PromptError, match="damaged or was changed"):
        rewrite_card(tmp_path / "bad.promptset", tmp_path / "worse.promptset", {})
    assert not (tmp_path / "worse.promptset").exists()


def test_listing_needs_neither_torch_nor_safetensors(tmp_path) -> None:
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['safetensors'] = None\n"
        f"sys.path.insert(0, {str(PACKAGE)!r})\n"
        "from PromptSegLib.desktop.library import Library\n"
        f"print(sum(len(one.prompts) for one in Library({str(tmp_path)!r}).sets()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "20", answer.stderr
