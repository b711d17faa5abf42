"""The command that packs data sets for a machine with a GPU."""

from __future__ import annotations

import numpy as np

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
