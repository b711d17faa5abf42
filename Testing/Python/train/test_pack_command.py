"""The command that packs data sets for a machine with a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.datasets.loading import load_part, read_datasets
from PromptSegLib.datasets.pack import read_pack
from PromptSegTrain import pack


def test_the_command_packs_a_data_set(kit, tmp_path, capsys) -> None:
    path = kit.write_dataset(tmp_path / "phantoms", (1, 2))
    target = tmp_path / "phantoms.pack"
    options = ["-o", str(target), "--cache", str(tmp_path / "cache"), "--validation", "0.5"]
    assert pack.main([str(path), *options]) == 0
    assert capsys.readouterr().out.startswith("phantoms: 1 volumes to learn from, 1 to check, all slices")
    [part] = read_pack(target)
    cached = load_part(read_datasets([path])[0], 0.5, 1, tmp_path / "cache")
    assert np.array_equal(part.training[0].grey, cached.training[0].grey)
    assert np.array_equal(part.training[0].labels, cached.training[0].labels)
    assert pack.main([str(tmp_path / "none.json"), *options]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--validation", "-0.5"], ["--validation", "x"], ["--seed", "1.5"]])
def test_numbers_that_have_no_meaning_are_refused(tmp_path, words, capsys) -> None:
    with pytest.raises(SystemExit):
        pack.main(["x.json", "-o", str(tmp_path / "x.pack"), "--cache", str(tmp_path), *words])
    assert "is not a" in capsys.readouterr().err


def test_no_data_set_is_written_over(kit, tmp_path, capsys) -> None:
    path = kit.write_dataset(tmp_path / "phantoms", (1, 2))
    target = tmp_path / "phantoms.pack"
    assert pack.main([str(path), "-o", str(target), "--cache", str(tmp_path / "cache"), "--validation", "0.5"]) == 0
    before = {one: one.read_bytes() for one in (path, target)}
    other = kit.write_dataset(tmp_path / "other", (3, 4))
    (tmp_path / "link.pack").symlink_to(target)
    for output, said in (
        (target, "nothing is written over an input"),
        (tmp_path / "link.pack", "nothing is written over an input"),
        (path, "The format of dataset.json is not known"),
        (tmp_path / "none" / "x.pack", "There is no folder"),
    ):
        words = [str(target), str(other), "-o", str(output), "--cache", str(tmp_path / "new")]
        assert pack.main(words) == 2
        assert said in capsys.readouterr().err
    assert {one: one.read_bytes() for one in before} == before
    assert not (tmp_path / "new").exists()
