"""Training data: how it is split, and what is kept of it on disk."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib import atomic
from PromptSegLib.datasets import loading as data
from PromptSegLib.datasets.loading import (
    Case,
    leave_out,
    load_part,
    load_samples,
    mark_absent,
    read_dataset,
    split_cases,
    subjects,
)
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.errors import GridError, InputError, OutputError, Stopped


@pytest.fixture
def small(kit, tmp_path) -> Path:
    """Two volumes; the second has no spleen."""
    return kit.write_dataset(tmp_path / "small", (1, 2), without={2: 2})


def change(path: Path, **values) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


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


def test_the_shipped_split_stays() -> None:
    """What cards say was held out, and what was measured on it, hangs on it."""
    numbers = (0, 1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 19, 20, 21, 23, 24, 26, 27, 28)
    _, validation = split_cases([Case(f"btcv_{n:02}", Path(), Path()) for n in numbers], 0.25, 1)
    assert [c.name for c in validation] == [f"btcv_{n:02}" for n in (6, 12, 17, 26, 27, 28)]


def test_all_volumes_of_a_subject_are_on_one_side(small) -> None:
    cases = [Case(f"{n}_{scan}", Path(), Path(), f"{n}") for n in range(8) for scan in "abc"[: 1 + n % 3]]
    training, validation = split_cases(cases, 0.25, 3)
    assert len(subjects(validation)) == 2
    assert not {*subjects(training)} & {*subjects(validation)}
    assert sorted(c.name for c in (*training, *validation)) == [c.name for c in cases]
    part = load_part(read_dataset(change(small, subject_until="_")), 0.5, 1, small.parent / "cache")
    assert (part.training_names, part.validation_names) == (["case"], [])  # one subject alone is not held out
    assert [(s.name, s.subject) for s in part.training] == [("case_1", "case"), ("case_2", "case")]


def test_nobody_of_a_derived_set_is_held_out(small) -> None:
    dataset = read_dataset(change(small, derived_from="others"))
    part = load_part(dataset, 0.5, 1, small.parent / "cache")
    assert (part.training_names, part.validation_names, part.validation) == (["case_1", "case_2"], [], [])


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


def test_progress_is_told_over_all_cases_and_only_while_they_are_made(small) -> None:
    told: list[tuple[float, str]] = []
    for _ in range(2):
        load_part(
            read_dataset(small),
            0.5,
            1,
            small.parent / "cache",
            on_progress=lambda report: told.append((report.fraction, report.message)),
        )
    assert [fraction for fraction, _ in told] == [0.0, 0.5, 0.5, 1.0]
    assert told[0][1].startswith("Preparing phantoms, volume 1 of 1: case_")


def test_a_full_disk_leaves_no_half_case_and_the_other_cases_whole(small, prepared, monkeypatch) -> None:
    def load():
        prepared.clear()
        return load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")

    written = []
    original = atomic.os.fsync

    def full(handle) -> None:
        written.append(handle)
        if len(written) == 5:  # the second case's labels: three files are the first case's
            raise OSError(errno.ENOSPC, "No space left on device")
        original(handle)

    with monkeypatch.context() as broken:
        broken.setattr(atomic.os, "fsync", full)
        with pytest.raises(OutputError, match="the disk is full; free some space"):
            load()
    left = sorted(p.name for p in (small.parent / "cache").rglob("*"))
    assert [name for name in left if not name.startswith("phantoms")] == [
        "case.json", "case_1", "grey.npy", "labels.npy"
    ]  # fmt: skip
    assert len(load()) == 2
    assert prepared == ["case_2"]


def test_a_cache_that_cannot_be_made(small) -> None:
    (small.parent / "cache").write_text("a file")
    with pytest.raises(OutputError, match="cannot be made"):
        load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")


@pytest.mark.parametrize("name", ["grey.npy", "labels.npy", "case.json"])
def test_damaged_arrays_are_made_again(small, prepared, name) -> None:
    def load():
        prepared.clear()
        return load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")

    before = np.array(load()[0].labels)
    file = next((small.parent / "cache").rglob(f"case_1/{name}"))
    file.write_bytes(file.read_bytes()[:120])
    assert np.array_equal(load()[0].labels, before)
    assert prepared == ["case_1"]


def test_another_table_of_labels_makes_another_cache(small, prepared) -> None:
    load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")
    change(small, labels={"1": "spleen", "2": "liver", "3": "aorta"})
    prepared.clear()
    first, _ = load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")
    assert prepared == ["case_1", "case_2"]
    assert first.structures == ("spleen", "liver", "aorta")


def test_a_cache_that_does_not_say_which_slices_show_what(small, prepared) -> None:
    """As former versions wrote it."""
    before = load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")
    for file in (small.parent / "cache").rglob("case.json"):
        info = json.loads(file.read_text())
        del info["where"]
        file.write_text(json.dumps(info))
    prepared.clear()
    after = load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")
    assert prepared == []
    for a, b in zip(before, after, strict=True):
        assert {n: s.tolist() for n, s in a.where.items()} == {n: s.tolist() for n, s in b.where.items()}


def test_what_is_missing_is_absent_if_the_data_set_says_so(small) -> None:
    cache = small.parent / "cache"
    assert [s.absent for s in load_samples(read_dataset(small), read_dataset(small).cases, cache)] == [(), ()]
    change(small, absent_is_negative=True)
    full, partial = load_samples(read_dataset(small), read_dataset(small).cases, cache)
    assert full.absent == ()
    assert partial.absent == ("spleen",)
    assert partial.annotated == ("liver", "aorta", "spleen")


@pytest.mark.parametrize(("shape", "message"), [((8, 8), "2-D image"), ((2, 4, 8, 8), "4 dimensions")])
@pytest.mark.parametrize("file", ["case_1.nii.gz", "case_1_labels.nii.gz"])
def test_images_that_are_no_volumes(small, shape, message, file) -> None:
    import SimpleITK as sitk  # noqa: N813

    array = np.arange(np.prod(shape)).reshape(shape).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(small.parent / file))
    with pytest.raises(InputError, match=f"phantoms, case_1: .*{message}"):
        load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")


def test_volumes_and_labels_that_do_not_fit(small, kit) -> None:
    def load() -> None:
        load_samples(read_dataset(small), read_dataset(small).cases, small.parent / "cache")

    phantom = kit.make_phantom(1, values=(1, 4))
    labels = small.parent / "case_1_labels.nii.gz"
    kit.save_image(labels, phantom.labels, phantom.volume.grid)
    with pytest.raises(InputError, match=r"labels of case_1 hold \[4\]"):
        load()
    kit.save_image(labels, phantom.labels, replace(phantom.volume.grid, origin=(500.0, 0.0, 0.0)))
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
    with pytest.raises(InputError, match="no annotated volume in its training part; add volumes or lower --validation"):
        load_part(read_dataset(small), 0.99, 1, small.parent / "cache")  # nothing is left to learn from


def test_structures_of_other_data_sets_can_be_taken_as_absent(small) -> None:
    part = load_part(read_dataset(small), 0.0, 1, small.parent / "cache")
    full, partial = part.training
    names = ["liver", "aorta", "spleen", "larynx"]
    mark_absent([part], {"phantoms": ["larynx", "spleen"]}, names)
    assert full.absent == ("larynx",)  # it shows a spleen
    assert partial.absent == ("larynx", "spleen")
    with pytest.raises(InputError, match="no data set 'brains'"):
        mark_absent([part], {"brains": ["larynx"]}, names)
    with pytest.raises(InputError, match="No data set annotates 'toe'"):
        mark_absent([part], {"phantoms": ["toe"]}, names)


def test_what_is_left_out_is_background_that_nobody_annotated(small) -> None:
    change(small, absent_is_negative=True)
    part = load_part(read_dataset(small), 0.0, 1, small.parent / "cache")
    (left,) = leave_out([part], ["aorta", "spleen"])
    assert list(left.dataset.labels.values()) == ["liver"]
    assert [s.annotated for s in left.training] == [("liver",), ("liver",)]
    assert all(set(s.annotated) == {"liver", "aorta", "spleen"} for s in part.training)  # as it was
    batch = TaskSampler([left.training], [1.0], ["liver"], 1).draw(4)
    assert batch.labels.unique().tolist() == [0, 1]
    assert batch.annotated[:, 1:].all()  # pixels of what is left out count as outside of the liver
    assert leave_out([part], [])[0].training[0].where.keys() == part.training[0].where.keys()
    with pytest.raises(InputError, match="No data set annotates 'toe'; choose of 'liver', 'spleen', 'aorta'"):
        leave_out([part], ["toe", "liver"])
    with pytest.raises(InputError, match="phantoms has nothing left to learn from"):
        leave_out([part], ["liver", "aorta", "spleen"])
