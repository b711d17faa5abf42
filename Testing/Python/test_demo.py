from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from PromptSegCli.demo import DemoResult, TaughtStructure, run_demo
from PromptSegCli.demo_folder import workplace
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.atomic import remove_unfinished
from PromptSegLib.contours import interpolation
from PromptSegLib.errors import BackboneError, InputError, OutputError, PromptSegError, Stopped
from PromptSegLib.progress import Progress
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.volumes.io import LabelMap, read_labels
from PromptSegLib.volumes.volume import Grid, Volume

TASKS = (TaughtStructure("ball", ("ball",), 3), TaughtStructure("rods", ("left rod", "right rod"), 3))
FILES = ["chest-ct.promptset", "chest-ct.seg.nrrd", "report.html"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> Path:
    """A tiny backbone with random weights."""
    import torch

    from PromptSegLib.model.backbone import write_backbone
    from PromptSegLib.model.config import tiny
    from PromptSegLib.model.punet import PUNet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PUNet(tiny())
    path = tmp_path_factory.mktemp("backbone") / "tiny.safetensors"
    write_backbone(path, net, {"note": "random weights, for tests"})
    return path


def sample() -> tuple[Volume, LabelMap]:
    """A body with a bright ball and two rods, and its reference."""
    k, j, i = np.indices((12, 40, 44))
    body = ((j - 20) / 17) ** 2 + ((i - 22) / 19) ** 2 <= 1
    labels = np.zeros(body.shape, np.uint8)
    labels[((k - 6) / 5) ** 2 + ((j - 20) / 8) ** 2 + ((i - 20) / 8) ** 2 <= 1] = 1
    labels[(abs(j - 22) < 3) & (abs(i - 8) < 3)] = 2
    labels[(abs(j - 22) < 3) & (abs(i - 36) < 3)] = 3
    noise = np.random.default_rng(0).normal(0, 10, body.shape)
    voxels = (np.where(body, 20 + 80 * (labels > 0), -1000) + noise).astype(np.int16)
    grid = Grid((44, 40, 12), (5.0, -7.5, 900.0), (2.5, 2.5, 5.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    names = {1: Structure("ball", colour=(0.0, 1.0, 0.0)), 2: Structure("left rod"), 3: Structure("right rod")}
    return Volume(voxels, grid), LabelMap(labels, grid, names)


def missing(*_: object) -> None:
    """In place of the filter of ITK, which takes seconds to start."""
    raise InputError("Fill between slices needs a package", "install it")


@pytest.fixture
def no_fill(monkeypatch) -> None:
    monkeypatch.setattr(interpolation, "morphological", missing)


@pytest.fixture(scope="module")
def demo(backbone):
    def run(folder: Path, *listeners, **changes):
        options = {
            "backbone": backbone,
            "device": "cpu",
            "threads": 1,
            "steps": 2,
            "tasks": TASKS,
            "sample": sample,
        }
        return run_demo(folder, *listeners, **{**options, **changes})

    return run


@dataclass(frozen=True)
class Made:
    """What a demonstration without ITK gave, and what it reported on the way."""

    folder: Path
    result: DemoResult
    reports: list[Progress]
    page: str


@pytest.fixture(scope="module")
def made(demo, tmp_path_factory) -> Made:
    folder, reports = tmp_path_factory.mktemp("made") / "new" / "demo", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpolation, "morphological", missing)
        result = demo(folder, reports.append)
    return Made(folder, result, reports, (folder / "report.html").read_text(encoding="utf-8"))


def test_it_writes_a_report_a_segmentation_and_the_prompts(made) -> None:
    assert sorted(path.name for path in made.folder.iterdir()) == FILES
    assert [path.name for path in made.result.files] == ["report.html", "chest-ct.seg.nrrd", "chest-ct.promptset"]
    assert len(made.result.numbers) == 3
    json.dumps(made.result.to_json(), allow_nan=False)
    fractions = [report.fraction for report in made.reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_the_segmentation_has_names_and_colours_and_what_was_shown(made) -> None:
    volume, reference = sample()
    found = read_labels(made.folder / "chest-ct.seg.nrrd", like=volume.grid)
    assert [found.names[value].name for value in sorted(found.names)] == ["ball", "rods"]
    assert found.names[1].colour == pytest.approx((0.0, 1.0, 0.0), abs=0.01)
    masks = {"ball": reference.mask(1), "rods": reference.mask(2) | reference.mask(3)}
    prompts = PromptSet.read(made.folder / "chest-ct.promptset")
    assert list(prompts) == ["ball", "rods"]
    for name, mask in masks.items():
        assert prompts[name].card.slices == 3
        occupied = np.flatnonzero(mask.any((1, 2)))
        for k in (occupied[0], occupied[-1]):  # both ends are shown, and come back as they were shown
            np.testing.assert_array_equal(found.mask(found.value_of(name))[k], mask[k])


def test_the_report_says_what_was_measured(made) -> None:
    assert not re.search(r"https?:|<script|src=", made.page)
    for number in made.result.numbers:
        assert f">{number.value}<" in made.page
        assert number.label in made.page
    assert PromptSet.read(made.folder / "chest-ct.promptset")["ball"].backbone_id in made.page
    for words in ("For research use only", "K = 1, 6, 11", "Leave-one-slice-out Dice", "Signed-distance interpolation"):
        assert words in made.page
    for heading in (
        "How good it is",
        "What was shown",
        "What came out",
        "The worst slices",
        "Slice by slice",
        "Limits",
    ):
        assert f">{heading}</h2>" in made.page


def test_without_itk_it_says_so_and_goes_on(made) -> None:
    (note,) = made.result.notes
    assert note.startswith("Fill between slices needs a package; install it.")
    assert note in made.page
    assert 'scope="row">Fill between slices' not in made.page


def test_fill_between_slices_has_its_row(demo, monkeypatch, tmp_path) -> None:
    def blend(masks, depth, should_stop):
        return interpolation.signed_distance(masks, depth, (5.0, 2.5, 2.5)) > 1

    monkeypatch.setattr(interpolation, "morphological", blend)
    assert demo(tmp_path).notes == ()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('scope="row">Fill between slices') == 2


@pytest.mark.parametrize("stage", ["read", "leave one out", "tune", "compare", "write"])
def test_stopping_leaves_nothing(demo, no_fill, tmp_path, stage) -> None:
    stages = []
    with pytest.raises(Stopped):
        demo(tmp_path / "demo", lambda report: stages.append(report.stage), lambda: stage in stages)
    assert stage in stages
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_an_earlier_demonstration_as_it_was(demo, no_fill, monkeypatch, tmp_path) -> None:
    for name in FILES:
        (tmp_path / name).write_text("earlier")

    def fail(*_: object) -> None:
        raise PromptSegError("No more")

    monkeypatch.setattr("PromptSegLib.review.report_html.write_report", fail)
    with pytest.raises(PromptSegError, match="No more"):
        demo(tmp_path, steps=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert {(tmp_path / name).read_text() for name in FILES} == {"earlier"}


@pytest.mark.parametrize("name", FILES)
def test_files_of_others_are_not_replaced(demo, tmp_path, name) -> None:
    (tmp_path / name).write_text("of a cohort")
    with pytest.raises(OutputError, match=f"{name} is there already, and no demonstration has written it"):
        demo(tmp_path)
    assert (tmp_path / name).read_text() == "of a cohort"


def test_a_demonstration_that_is_ended_leaves_no_folder(tmp_path) -> None:
    with workplace(tmp_path / "a" / "demo") as place:
        (place / "report.html").write_text("half")
        remove_unfinished()
        assert list(tmp_path.iterdir()) == []


def test_what_cannot_work_is_said_before_anything_is_made(demo, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be made"):
        demo(tmp_path / "file")
    with pytest.raises(BackboneError, match="no backbone called"):
        demo(tmp_path / "demo", backbone="none")
    with pytest.raises(InputError, match="pancreas"):
        demo(tmp_path / "demo", tasks=(TaughtStructure("pancreas", ("pancreas",)),))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
