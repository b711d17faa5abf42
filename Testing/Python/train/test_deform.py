"""Volumes that are deformed towards each other: with their labels, by subjects to learn from, as a data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.datasets.loading import read_dataset, split
from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.volume import Grid
from PromptSegTrain import deform


@pytest.fixture(scope="module")
def few(kit, tmp_path_factory) -> Path:
    """Three subjects, one of whom is larger and has no spleen; the seed 1 holds out the second."""
    path = kit.write_dataset(tmp_path_factory.mktemp("few") / "few", (1, 2, 3), without={3: 2})
    for name in ("case_3.nii.gz", "case_3_labels.nii.gz"):
        one = read_volume(path.parent / name)
        grid = Grid(one.grid.size, one.grid.origin, tuple(1.2 * s for s in one.grid.spacing), one.grid.direction)
        kit.save_image(path.parent / name, one.voxels, grid)
    # A value beyond a byte.
    values = json.loads(path.read_text())
    values["labels"] = {"0": "background", "1": "liver", "2": "spleen", "300": "aorta"}
    path.write_text(json.dumps(values))
    for n in (1, 2, 3):
        one = read_volume(path.parent / f"case_{n}_labels.nii.gz")
        labels = one.voxels.astype(np.uint16)
        labels[labels == 3] = 300
        kit.save_image(path.parent / f"case_{n}_labels.nii.gz", labels, one.grid)
    return path


@pytest.fixture(scope="module")
def made(few, tmp_path_factory) -> Path:
    """The folder that the command writes."""
    folder = tmp_path_factory.mktemp("deformed") / "made"
    assert deform.main([str(few), "-o", str(folder), "--validation", "0.34"]) == 0
    return folder


def millilitres(labels: np.ndarray, grid: Grid, value: int) -> float:
    return float((labels == value).sum() * np.prod(grid.spacing) / 1000)


def test_it_is_a_data_set_that_says_whose_subjects_it_holds(few, made) -> None:
    training, held_out = split(read_dataset(few), 0.34)
    assert [c.name for c in held_out] == ["case_2"]
    found = read_dataset(made)
    assert (found.name, found.derived_from, found.licence) == ("phantoms-deformed", "phantoms", "made for tests")
    assert found.labels == {1: "liver", 2: "spleen", 300: "aorta"}
    a, b = (c.name for c in training)
    assert {c.name: c.subject for c in found.cases} == {f"{a}-as-{b}": a, f"{b}-as-{a}": b}
    assert "case_2" not in (made / "dataset.json").read_text()
    assert split(found, 0.5) == (list(found.cases), [])


def test_labels_go_with_the_picture_and_sizes_are_the_other_s(few, made) -> None:
    cases = {c.name: c for c in read_dataset(few).cases}
    for case in read_dataset(made).cases:
        volume = read_volume(case.image)
        labels = read_labels(case.label, volume.grid).array
        before, target = (cases[name] for name in case.name.split("-as-"))
        shown = {1: 95, 2: -100, 300: 900} if before.name == "case_1" else {1: 95, 300: 900}
        assert {*np.unique(labels)} == {0, *shown}
        for value, hu in shown.items():
            assert np.median(volume.voxels[labels == value]) == pytest.approx(hu, abs=8)
        other = read_volume(target.image)
        size = millilitres(read_labels(target.label, other.grid).array, other.grid, 1)
        own = read_volume(before.image)
        was = millilitres(read_labels(before.label, own.grid).array, own.grid, 1)
        now = millilitres(labels, volume.grid, 1)
        assert abs(np.log(now / size)) < 0.5 * abs(np.log(was / size))
        assert volume.grid.spacing == pytest.approx(other.grid.spacing, rel=1e-5)


def test_it_goes_on_where_it_was_stopped_and_comes_to_the_same(few, made, tmp_path, monkeypatch, capsys) -> None:
    words = [str(few), "-o", str(tmp_path / "again"), "--validation", "0.34"]
    register, calls = deform.register, []

    def once(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return register(*arguments)

    monkeypatch.setattr(deform, "register", once)
    assert deform.main(words) == 130
    assert capsys.readouterr().err == "Stopped.\n"
    assert len(read_dataset(tmp_path / "again").cases) == 1
    assert deform.main(words) == 0
    assert len(calls) == 3
    assert "done before" in capsys.readouterr().out
    for one in (p for p in made.rglob("*") if p.is_file()):
        assert (tmp_path / "again" / one.relative_to(made)).read_bytes() == one.read_bytes()
    assert deform.main(words) == 0
    assert len(calls) == 3


def test_nothing_else_is_written_into(few, made, tmp_path, capsys) -> None:
    before = {path: path.read_bytes() for path in (few, made / "dataset.json")}
    (tmp_path / "file").write_text("")
    for folder, more, said in (
        (few.parent, [], "holds something else than what was begun with this command; choose another folder"),
        (made, ["--each", "9"], "holds something else"),
        (tmp_path / "file", [], "there is a file of that name"),
        (tmp_path / "none", ["--validation", "0.67"], "has one subject to learn from; name a data set of more"),
    ):
        assert deform.main([str(few), "-o", str(folder), "--validation", "0.34", *more]) == 2
        assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("words", [["--each", "0"], ["--validation", "1"], ["--validation", "nan"], ["--seed", "-1"]])
def test_numbers_that_have_no_meaning_are_refused(few, tmp_path, words, capsys) -> None:
    with pytest.raises(SystemExit):
        deform.main([str(few), "-o", str(tmp_path / "x"), *words])
    assert "is not a" in capsys.readouterr().err


def test_a_volume_is_not_deformed_to_another_of_its_subject() -> None:
    found = list(deform.pairs(["a", "a", "b", "c"], 9, 1))
    assert {(n, m) for n, m, _ in found} == {
        *((0, 2), (0, 3), (1, 2), (1, 3)), *((2, 0), (2, 1), (2, 3)), *((3, 0), (3, 1), (3, 2))
    }  # fmt: skip
    assert all(deform.SHARE[0] <= part <= deform.SHARE[1] for _, _, part in found)
    assert list(deform.pairs(["a", "a", "b", "c"], 9, 1)) == found
    assert len(list(deform.pairs(["a", "b", "c", "d"], 2, 1))) == 8


def test_volumes_that_do_not_fit_are_left_out(kit, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(deform, "MIN_SLICES", 99)
    path = kit.write_dataset(tmp_path / "two", (1, 2))
    lines = deform.deform(read_dataset(path), tmp_path / "made", 1, 0.0, 1)
    assert next(lines) == "case_1-as-case_2: left out, too few slices are shown"
    with pytest.raises(InputError, match="No two volumes of phantoms fit each other"):
        list(lines)
