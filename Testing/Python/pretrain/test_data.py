"""Training data: what a dataset.json must be, how it is split, and what is kept of it on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.errors import GridError, InputError, Stopped
from PromptSegLib.pretrain import data
from PromptSegLib.pretrain.data import Case, load_part, load_samples, read_dataset, read_datasets, split_cases


@pytest.fixture
def small(kit, tmp_path) -> Path:
    """Two volumes; the second has no spleen."""
    return kit.write_dataset(tmp_path / "small", (1, 2), without={2: 2})


def change(path: Path, **values) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


def test_a_dataset_and_its_folder(small) -> None:
    read = read_dataset(small)
    assert read == read_dataset(small.parent)
    assert (read.name, read.licence) == ("phantoms", "made for tests")
    assert read.labels == {1: "liver", 2: "spleen", 3: "aorta"}
    assert [c.name for c in read.cases] == ["case_1", "case_2"]


WRONG = {
    "labels missing": ({"labels": None}, "is not a Decathlon dataset.json"),
    "labels the other way round": ({"labels": {"liver": 1}}, "is not a Decathlon dataset.json"),
    "training is a number": ({"training": 2}, "is not a Decathlon dataset.json"),
    "entries without a label": ({"training": [{"image": "case_1.nii.gz"}]}, "is not a Decathlon dataset.json"),
    "no volume": ({"training": []}, "lists no training volume"),
    "background only": ({"labels": {"0": "background"}}, "lists no training volume or no label"),
    "a file that is not there": ({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}, "a.nii.gz, which is not"),
    "one name for two labels": ({"labels": {"1": "liver", "2": "liver"}}, "more than one label called 'liver'"),
    "a label without a name": ({"labels": {"1": " "}}, "without a readable name"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_dataset_is_refused(small, kind) -> None:
    values, message = WRONG[kind]
    with pytest.raises(InputError, match=message):
        read_dataset(change(small, **values))


def test_what_is_not_json_or_not_there_is_refused(small) -> None:
    small.write_text("{")
    with pytest.raises(InputError, match="is not a Decathlon"):
        read_dataset(small)
    small.write_text("[]")
    with pytest.raises(InputError, match="is not a Decathlon"):
        read_dataset(small)
    with pytest.raises(InputError, match="cannot be read"):
        read_dataset(small.parent / "none.json")


def test_one_volume_twice_is_refused(small) -> None:
    """It could be in both parts of the split, and both would share one place in the cache."""
    entry = {"image": "case_1.nii.gz", "label": "case_1_labels.nii.gz"}
    with pytest.raises(InputError, match="more than one volume called 'case_1'"):
        read_dataset(change(small, training=[entry, entry]))


def test_two_datasets_of_one_name_are_refused(small) -> None:
    with pytest.raises(InputError, match="Two data sets are called phantoms"):
        read_datasets([small, small])
    with pytest.raises(InputError, match="no data set"):
        read_datasets([])


def test_a_name_that_is_no_file_name(small) -> None:
    assert read_dataset(change(small, name="../A b/c")).file_name == "A-b-c"


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_the_split_is_by_subject_and_always_the_same(share) -> None:
    cases = [Case(f"s{n}", Path(f"{n}"), Path(f"{n}")) for n in range(20)]
    training, validation = split_cases(cases, share, seed=5)
    assert split_cases(cases[::-1], share, seed=5) == (training, validation)
    assert len(validation) == 20 * share
    assert {c.name for c in training}.isdisjoint(c.name for c in validation)
    assert sorted(c.name for c in [*training, *validation]) == sorted(c.name for c in cases)
    if share:
        assert split_cases(cases, share, seed=6)[1] != validation


def test_samples_are_what_the_network_sees(small, kit) -> None:
    full, partial = load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")
    assert full.grey.dtype == full.labels.dtype == np.uint8
    assert full.grey.shape == full.labels.shape == (24, 64, 64)
    assert set(full.where) == {"liver", "spleen", "aorta"}
    assert set(partial.where) == {"liver", "aorta"}  # what a volume lacks is not annotated there
    assert full.slice_mm == 4.0
    truth = kit.make_phantom(1).labels == 1
    volume = (full.labels == 1).sum() * 2.0 * 2.0 * 4.0
    assert volume == pytest.approx(truth.sum() * 2.5 * 2.5 * 4.0, rel=0.03)
    assert full.grey[full.labels == 1].mean() == pytest.approx(154, abs=3)  # 95 HU


def test_slices_run_from_inferior_to_superior(kit, tmp_path) -> None:
    """Also for a volume that is stored the other way round."""
    from PromptSegLib.volumes.io import read_volume

    path = kit.write_dataset(tmp_path / "up", (1,))
    up = load_samples(read_dataset(path), read_dataset(path).cases, tmp_path / "cache")[0]
    for name in ("case_1.nii.gz", "case_1_labels.nii.gz"):
        one = read_volume(path.parent / name)
        array, grid = kit.turn(one.voxels, one.grid, (0, 1, 2), (0,))
        kit.save_image(path.parent / name, array, grid)
    down = load_samples(read_dataset(path), read_dataset(path).cases, tmp_path / "cache2")[0]
    assert np.array_equal(up.grey, down.grey)
    assert np.array_equal(up.labels, down.labels)


@pytest.fixture
def prepared(monkeypatch) -> list[str]:
    """The names of the cases that are prepared."""
    names: list[str] = []
    original = data._prepare

    def listen(dataset, case, *rest):
        names.append(case.name)
        return original(dataset, case, *rest)

    monkeypatch.setattr(data, "_prepare", listen)
    return names


def test_the_cache_is_used_again_until_something_changes(small, prepared, monkeypatch, kit) -> None:
    def load():
        prepared.clear()
        return load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")

    before = load()
    assert prepared == ["case_1", "case_2"]
    after = load()
    assert prepared == []
    assert np.array_equal(before[0].grey, after[0].grey)
    # The labels of one case are corrected.
    phantom = kit.make_phantom(3)
    kit.save_image(
        small.parent / "case_2_labels.nii.gz", (phantom.labels == 3).astype(np.uint8) * 3, phantom.volume.grid
    )
    assert set(load()[1].where) == {"aorta"}
    assert prepared == ["case_2"]
    # Preparing was cut off.
    next((small.parent / "cache").rglob("case_1/case.json")).write_text("{")
    load()
    assert prepared == ["case_1"]
    monkeypatch.setitem(data.RECIPE, "spacing", 3.0)
    assert (load()[0].labels > 0).sum() < 0.6 * (before[0].labels > 0).sum()
    assert prepared == ["case_1", "case_2"]


def test_stopping_while_preparing_leaves_no_half_case(small, prepared) -> None:
    asked = []

    def stop() -> bool:
        asked.append(0)
        return len(asked) > 10

    with pytest.raises(Stopped):
        load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache", should_stop=stop)
    assert not list((small.parent / "cache").rglob("case.json"))
    assert len(load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")) == 2


def test_volumes_and_labels_that_do_not_fit(small, kit) -> None:
    def load() -> None:
        load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")

    phantom = kit.make_phantom(1, values=(1, 4))
    labels = small.parent / "case_1_labels.nii.gz"
    kit.save_image(labels, phantom.labels, phantom.volume.grid)
    with pytest.raises(InputError, match=r"labels of case_1 hold \[4\]"):
        load()
    kit.save_image(labels, *kit.turn(phantom.labels, phantom.volume.grid, (0, 1, 2), (0,)))
    with pytest.raises(GridError, match="case_1"):
        load()
    labels.write_bytes(labels.read_bytes()[:100])
    with pytest.raises(InputError, match="case_1"):
        load()


def test_nothing_to_learn_from_is_refused(small, kit) -> None:
    phantom = kit.make_phantom(1)
    for n in (1, 2):
        kit.save_image(small.parent / f"case_{n}_labels.nii.gz", phantom.labels * 0, phantom.volume.grid)
    with pytest.raises(InputError, match="no annotated volume in its training part"):
        load_part(read_dataset(small), 0.5, 1, small.parent / "cache")
