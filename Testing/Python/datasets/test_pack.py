"""Packs: what goes in comes out, no more than was allowed, and a file that was damaged or made up is refused."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib import atomic
from PromptSegLib.datasets import pack
from PromptSegLib.datasets.description import DataSet
from PromptSegLib.datasets.loading import load_part, read_datasets
from PromptSegLib.datasets.pack import read_pack, write_pack
from PromptSegLib.datasets.sample import Part, Sample, by_name, shown_in
from PromptSegLib.errors import InputError, OutputError, Stopped

NAMES = ("liver", "spleen", "my blob")


def make_sample(name: str, seed: int, count: int = 12, absent: tuple[str, ...] = ()) -> Sample:
    """Noise with a box for liver and spleen, the spleen in slice 1 alone."""
    random = np.random.default_rng(seed)
    grey = random.integers(0, 256, (count, 32, 32)).astype(np.uint8)
    labels = np.zeros_like(grey)
    labels[:, 4:14, 4:14], labels[1, 20:24, 20:24] = 1, 2
    return Sample(name, grey, labels, NAMES, 2.5, by_name(NAMES, shown_in(labels, 3)), absent)


def make_part(name: str, volumes: int, held_out: int = 3, **options) -> Part:
    training = [make_sample(f"{name}_{n}", n, **options) for n in range(volumes)]
    validation = [make_sample(f"{name}_v{n}", 100 + n, **options) for n in range(held_out)]
    dataset = DataSet(name, dict(enumerate(NAMES, 1)), (), "made for tests", bool(options.get("absent")))
    return Part(dataset, training, validation, [s.name for s in training], [s.name for s in validation])


def same(a: Sample, b: Sample) -> bool:
    arrays = np.array_equal(a.grey, b.grey) and np.array_equal(a.labels, b.labels)
    where = {n: s.tolist() for n, s in a.where.items()} == {n: s.tolist() for n, s in b.where.items()}
    rest = [(s.name, s.structures, s.slice_mm, s.absent) for s in (a, b)]
    return arrays and where and rest[0] == rest[1]


@pytest.fixture
def two() -> list[Part]:
    return [make_part("first", 4), make_part("second", 3, absent=("my blob",))]


@pytest.fixture
def packed(two, tmp_path) -> Path:
    write_pack(two, tmp_path / "data.pack")
    return tmp_path / "data.pack"


def test_what_goes_in_comes_out(two, packed) -> None:
    found = read_pack(packed)
    assert [p.dataset.name for p in found] == ["first", "second"]
    for before, after in zip(two, found, strict=True):
        assert after.dataset.labels == before.dataset.labels
        assert after.dataset.licence == "made for tests"
        assert after.dataset.absent_is_negative is before.dataset.absent_is_negative
        by = {s.name: s for s in (*before.training, *before.validation)}
        assert sorted(after.training_names) == before.training_names
        assert after.validation_names == before.validation_names  # also those that are left out were held out
        assert len(after.training) == len(before.training)
        assert [s.name for s in after.validation] == before.validation_names[:2]
        assert all(same(s, by[s.name]) for s in (*after.training, *after.validation))
        assert all(s.grey.dtype == s.labels.dtype == np.uint8 for s in after.training)


def test_the_same_data_make_the_same_file(two, packed) -> None:
    other = packed.with_name("other.pack")
    write_pack(two, other)
    assert other.read_bytes() == packed.read_bytes()


def test_it_says_what_was_left_out(two, tmp_path) -> None:
    first, second = write_pack(two, tmp_path / "data.pack")
    assert (first.left_out, first.every, first.lost) == (("first_v2",), 1, ())
    assert str(first) == "first: 4 volumes to learn from, 2 to check, all slices; left out: first_v2"
    assert len(second.training) == 3


@pytest.mark.parametrize("max_bytes", [120_000, 200_000, 400_000])
def test_a_pack_is_no_larger_than_allowed_and_shared_evenly(tmp_path, max_bytes) -> None:
    """The small data set is there whole; what it leaves goes to the large one."""
    parts = [make_part("large", 40), make_part("small", 3, held_out=1)]
    report = write_pack(parts, tmp_path / "data.pack", max_bytes, every=1)
    size = (tmp_path / "data.pack").stat().st_size
    assert max_bytes - 40_000 < size <= max_bytes
    assert len(report[1].training) == 3
    assert 0 < len(report[0].training) < 40
    kept = {*report[0].training, *report[0].validation, *report[0].left_out}
    assert kept == {*parts[0].training_names, *parts[0].validation_names}
    assert len(read_pack(tmp_path / "data.pack")[0].training) == len(report[0].training)


def test_slices_are_left_out_where_too_few_volumes_would_fit(tmp_path) -> None:
    part = make_part("large", 16, held_out=0)
    (report,) = write_pack([part], tmp_path / "data.pack", 70_000)
    assert report.every == 2
    assert report.lost == ("spleen",)  # it is in slice 1 alone
    assert "one slice in 2; left out" in str(report)
    assert str(report).endswith("no volume shows spleen")
    [found] = read_pack(tmp_path / "data.pack")
    assert 8 <= len(found.training) < 16
    one = found.training[0]
    original = next(s for s in part.training if s.name == one.name)
    assert np.array_equal(one.grey, original.grey[::2])
    assert one.slice_mm == 5.0
    assert list(one.where) == ["liver"]
    assert one.absent == ()  # lost by thinning is not absent


def test_nothing_fits(two, tmp_path) -> None:
    with pytest.raises(InputError, match=r"No volume of \w+ fits into its 0\.0 MB; allow a larger file"):
        write_pack(two, tmp_path / "data.pack", 10_000)
    assert not (tmp_path / "data.pack").exists()
    with pytest.raises(InputError, match="name each data set once"):
        write_pack([two[0], two[0]], tmp_path / "data.pack")


def test_stopping_and_a_full_disk_leave_the_former_file(two, packed, monkeypatch) -> None:
    before = packed.read_bytes()
    asked: list[int] = []
    with pytest.raises(Stopped):
        write_pack(two[:1], packed, should_stop=lambda: bool(asked.append(0)) or len(asked) > 5)

    def full(_handle) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_pack(two[:1], packed)
    assert packed.read_bytes() == before
    assert [p.name for p in packed.parent.iterdir()] == ["data.pack"]


def test_progress_grows_to_the_end(two, tmp_path) -> None:
    told: list[float] = []
    write_pack(two, tmp_path / "data.pack", on_progress=lambda report: told.append(report.fraction))
    assert told == sorted(told)
    assert told[0] == 0
    assert 0.8 < told[-1] < 1


def test_a_run_takes_packs_beside_data_sets(kit, packed, tmp_path) -> None:
    path = kit.write_dataset(tmp_path / "phantoms", (1, 2))
    values = json.loads(path.read_text())
    values["labels"]["3"] = "My_Blob"
    path.write_text(json.dumps(values))
    sets = read_datasets([path, packed])
    assert [d.name for d in sets] == ["phantoms", "first", "second"]
    parts = [load_part(d, 0.5, 1, tmp_path / "cache") for d in sets]
    assert list(parts[1].training[0].where) == ["liver", "spleen"]
    assert parts[1].training[0].structures == ("liver", "spleen", "My_Blob")  # the first spelling, for all
    assert parts[2].training[0].absent == ("My_Blob",)
    assert len(load_part(sets[1], 0.5, 1, tmp_path / "cache", max_validated=1).validation) == 1
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [next((tmp_path / "cache").glob("phantoms-*")).name]
    with pytest.raises(InputError, match="Two data sets are called first"):
        read_datasets([packed, packed])


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def arrays(**content: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **content)
    return file.getvalue()


SHAPE = (12, 32, 32)
ZEROS = np.zeros(SHAPE, np.uint8)
FORGED = {
    "another shape": arrays(grey=ZEROS[:6], labels=ZEROS),
    "two dimensions": arrays(grey=ZEROS.reshape(-1, 32), labels=ZEROS),
    "another type": arrays(grey=ZEROS.astype(np.int16), labels=ZEROS),
    "objects": arrays(grey=np.full(SHAPE, None, object), labels=ZEROS),
    "columns first": arrays(grey=np.asfortranarray(ZEROS), labels=ZEROS),
    "labels without a name": arrays(grey=ZEROS, labels=ZEROS + 4),
    "one array": arrays(grey=ZEROS),
    "three arrays": arrays(grey=ZEROS, labels=ZEROS, more=ZEROS),
    "no zip": b"nothing",
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_arrays_are_refused(packed, kind) -> None:
    content = {**members(packed), "0/0.npz": FORGED[kind]}
    with pytest.raises(InputError, match=r"data\.pack is not a whole pack of training data; write or copy it again"):
        read_pack(write(packed, content))


FALSE = {
    "no parts": lambda m: m.update(parts=[]),
    "another format": lambda m: m.update(format="zip"),
    "one subject learned from and held out": lambda m: m["parts"][0].update(
        held_out=[m["parts"][0]["cases"][0]["name"]]
    ),
    "a derived set with somebody held out": lambda m: m["parts"][0].update(derived_from="x"),
    "a subject that is a number": lambda m: m["parts"][0]["cases"][0].update(subject=3),
    "one data set twice": lambda m: m["parts"][1].update(name="first"),
    "a huge volume": lambda m: m["parts"][0]["cases"][0].update(shape=[100_000, 100_000, 100_000]),
    "a negative volume": lambda m: m["parts"][0]["cases"][0].update(shape=[-12, -32, 32]),
    "a volume of text": lambda m: m["parts"][0]["cases"][0].update(shape="abc"),
    "a spacing that is none": lambda m: m["parts"][0]["cases"][0].update(slice_mm=float("nan")),
    "a spacing beyond numbers": lambda m: m["parts"][0]["cases"][0].update(slice_mm=10**400),
    "a name that is a list": lambda m: m["parts"][0]["cases"][0].update(name=["a"]),
    "a case twice": lambda m: m["parts"][0]["cases"][0].update(name=m["parts"][0]["cases"][1]["name"]),
    "a case more": lambda m: m["parts"][0]["cases"].append({**m["parts"][0]["cases"][0], "name": "more"}),
    "an absent structure without a name": lambda m: m["parts"][1]["cases"][0].update(absent=[3]),
    "an absent structure that is there": lambda m: m["parts"][1]["cases"][0].update(absent=[0]),
    "no labels": lambda m: m["parts"][0].update(labels={}),
    "labels of another type": lambda m: m["parts"][0].update(labels=["liver"]),
    "held out is text": lambda m: m["parts"][0].update(held_out="abc"),
    "no cases": lambda m: m["parts"][0].pop("cases"),
}


@pytest.mark.parametrize("kind", FALSE)
def test_a_forged_manifest_is_refused(packed, kind) -> None:
    content = members(packed)
    manifest = json.loads(content["pack.json"])
    FALSE[kind](manifest)
    content["pack.json"] = json.dumps(manifest).encode()
    with pytest.raises(InputError, match="is not a whole pack of training data"):
        read_pack(write(packed, content))


def test_a_pack_of_an_earlier_version_is_to_be_written_again(packed) -> None:
    content = members(packed)
    content["pack.json"] = content["pack.json"].replace(pack.FORMAT.encode(), b"promptseg-pack-1")
    with pytest.raises(InputError, match="was made by another version of PromptSeg; write it again from the data"):
        read_pack(write(packed, content))


def test_subjects_and_where_they_come_from_are_kept(tmp_path) -> None:
    """Also where slices are left out, and a volume of a subject whose other one is there."""
    part = make_part("first", 16, held_out=0)
    part.dataset = replace(part.dataset, derived_from="other")
    for n, sample in enumerate(part.training):
        sample.subject = f"p{n // 8}"
    part.training_names = ["p0", "p1"]
    (report,) = write_pack([part], tmp_path / "data.pack", 70_000)
    assert report.every == 2
    [found] = read_pack(tmp_path / "data.pack")
    kept = {s.name: s.subject for s in found.training}
    assert set(kept.items()) < {(s.name, s.subject) for s in part.training}
    assert found.training_names == ["p0", "p1"]
    assert (found.dataset.derived_from, found.validation_names) == ("other", [])
    assert {*report.left_out} == {s.name for s in part.training} - {*kept}


@pytest.mark.parametrize("text", [b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_manifest_that_is_none_is_refused(packed, text) -> None:
    with pytest.raises(InputError, match="is not a whole pack of training data"):
        read_pack(write(packed, {**members(packed), "pack.json": text}))


def test_files_that_do_not_belong_are_refused(packed) -> None:
    content = members(packed)
    with pytest.raises(InputError, match="is not a whole pack"):
        read_pack(write(packed, {**content, "../../outside.npz": b""}))
    with pytest.raises(InputError, match="is not a whole pack"):
        read_pack(write(packed, content, zipfile.ZIP_DEFLATED))  # what is inside could be of any size
    del content["pack.json"]
    with pytest.raises(InputError, match="is not a whole pack"):
        read_pack(write(packed, content))
    assert len(list(packed.parent.iterdir())) == 1


def test_a_damaged_file_is_refused(packed) -> None:
    whole = packed.read_bytes()
    for data in (b"", b"PK", whole[: len(whole) // 2], whole[1000:]):
        packed.write_bytes(data)
        with pytest.raises(InputError, match="is not a whole pack of training data"):
            read_pack(packed)
    refused = 0
    for place in range(40, len(whole), len(whole) // 40):
        packed.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_pack(packed)
        except InputError:
            refused += 1
    assert refused >= 38  # a byte that nobody reads, such as a date, may differ
    with pytest.raises(InputError, match="There is no file"):
        read_pack(packed.with_name("none.pack"))
    with pytest.raises(InputError, match="is not a pack of training data"):
        read_pack(packed.parent)


def test_a_pack_of_another_recipe_is_refused(packed, monkeypatch) -> None:
    monkeypatch.setitem(pack.RECIPE, "spacing", 3.0)
    with pytest.raises(InputError, match="made by another version of PromptSeg; write it again from the data"):
        read_pack(packed)
