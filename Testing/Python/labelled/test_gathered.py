"""Volumes that a front end hands over one by one teach as a data set of the same volumes does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.datasets.sample import Sample
from PromptSegLib.errors import InputError, Stopped
from PromptSegLib.labelled import run_folder
from PromptSegLib.labelled.carried_subjects import memory_of, usual
from PromptSegLib.labelled.gathered import gather, samples
from PromptSegLib.labelled.learn import learn
from PromptSegLib.labelled.set_recipe import SetRecipe
from PromptSegLib.volumes.volume import Volume

QUICK = SetRecipe(steps=4, groups=1, look_every=2, validation=0.4, looked_at=1, look_stride=1)


def hand_over(kit, folder, structure: str, seeds=range(31, 36)) -> None:
    """Patients with a cyst, called after themselves."""
    run_folder.begin(folder)
    for number, seed in enumerate(seeds, 1):
        one = kit.make_phantom(seed, values=(1, 2, kit.new))
        volume = Volume(one.volume.voxels, one.volume.grid, f"DOE^JOHN {seed}")
        gather(folder / run_folder.CACHE, number, volume, one.labels == kit.new, structure)


def test_it_learns_what_a_data_set_of_these_volumes_would_teach(backbone, kit, labelled, tmp_path) -> None:
    """The voxels are the same; only the split goes by other names, so all of them teach."""
    recipe = replace(QUICK, validation=0.0)
    hand_over(kit, tmp_path / "a", "Renal_Cyst")
    found = learn(backbone, [], "Renal_Cyst", tmp_path / "a", recipe=recipe)
    other = learn(backbone, [labelled], "renal cyst", tmp_path / "b", recipe=recipe)
    assert all(torch.equal(found.prompt.tensors[k], v) for k, v in other.prompt.tensors.items())
    assert found.prompt.structure == other.prompt.structure
    assert (found.prompt.card.data, found.prompt.card.licence) == ((), "")


def test_subjects_are_numbers_and_no_name_is_kept(backbone, kit, tmp_path) -> None:
    hand_over(kit, tmp_path / "run", "renal cyst")
    found = learn(backbone, [], "renal cyst", tmp_path / "run", recipe=QUICK)
    split = found.subjects.split
    assert sorted(split["training"] + split["held_out"]) == [f"volume {n}" for n in range(1, 6)]
    assert set(found.dice) == set(split["held_out"])
    assert found.prompt.card.extra["subjects"] == {"training": 3, "held_out": 2}
    written = b"".join(one.read_bytes() for one in (tmp_path / "run").rglob("*") if one.is_file())
    assert b"DOE" not in written
    run_folder.remove(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_three_usual_subjects_that_taught_are_what_the_next_patient_starts_from(
    backbone, kit, labelled, tmp_path
) -> None:
    """The same from a data set and from volumes that were handed over; none of those that were held out."""
    made = learn(backbone, [labelled], "renal cyst", tmp_path / "set", recipe=replace(QUICK, validation=0.0))
    cache = tmp_path / "set" / run_folder.CACHE
    chosen = [one.name for one in usual(made.subjects.training, "Renal_Cyst")]
    assert len(chosen) == 3
    known = memory_of(made.subjects, [labelled], cache, "my cyst")
    assert known.names == ["my cyst"]
    run_folder.begin(tmp_path / "run")
    for name in chosen:
        one = kit.make_phantom(int(name[1:]), values=(1, 2, kit.new))
        place = tmp_path / "run" / run_folder.CACHE
        gather(place, int(name[1:]), one.volume, one.labels == kit.new, "my cyst", remember=True)
    found = learn(backbone, [], "my cyst", tmp_path / "run", recipe=replace(QUICK, validation=0.0))
    other = memory_of(found.subjects, [], place, "my cyst")
    for one, again in zip(known.teachers, other.teachers, strict=True):
        share, same = (each.masks["my cyst"].share.astype(int) for each in (one, again))
        assert share.shape == same.shape
        assert np.abs(share - same).mean() < 2
        assert np.abs(one.picture.grey.astype(int) - again.picture.grey).mean() < 2
    held = learn(backbone, [labelled], "renal cyst", tmp_path / "held", recipe=QUICK)
    taught = {one.name for one in held.subjects.training}
    assert {one.name for one in usual(held.subjects.training, "Renal_Cyst")} <= taught
    run_folder.remove(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_three_volumes_are_those_of_three_subjects() -> None:
    samples = []
    for n in range(6):
        labels = np.zeros((4, 8, 8), np.uint8)
        labels[:, :, : 2 + n] = 1
        where = {"cyst": np.arange(4)}
        samples.append(Sample(f"s{n}", labels, labels, ("cyst",), 3.0, where, subject="abbbcd"[n]))
    assert [one.name for one in usual(samples, "cyst")] == ["s0", "s2", "s4"]  # the median lies between s2 and s3


def test_too_few_volumes_and_empty_masks_are_told(backbone, kit, tmp_path) -> None:
    hand_over(kit, tmp_path / "run", "renal cyst", range(31, 33))
    with pytest.raises(
        InputError, match="renal cyst is in volumes of 2 subjects, and a labelled set needs 3; add volumes"
    ):
        learn(backbone, [], "renal cyst", tmp_path / "run", recipe=QUICK)
    one = kit.make_phantom(33)
    speck = np.zeros_like(one.labels, bool)
    for mask in (speck.copy(), speck):
        with pytest.raises(InputError, match=r"renal cyst is nowhere in .*; leave that volume out"):
            gather(tmp_path / "run" / run_folder.CACHE, 3, one.volume, mask, "renal cyst")
        speck[5, 5, 5] = True  # less than a slice can show
    assert len(samples(tmp_path / "run" / run_folder.CACHE, "renal cyst")) == 2


def test_handing_over_can_be_stopped_and_leaves_nothing_of_that_volume(kit, tmp_path) -> None:
    one = kit.make_phantom(33)
    with pytest.raises(Stopped):
        gather(tmp_path, 1, one.volume, one.labels == 1, "liver", lambda: True)
    assert samples(tmp_path, "liver") == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
