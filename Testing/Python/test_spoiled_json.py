"""JSON that another has made or spoiled, wherever it is read: what cannot be used is nothing, or one sentence."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from PromptSegCli.cohort.details import read_details
from PromptSegCli.cohort.manifest import DONE, Manifest, Record, StructureResult
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceStatus
from PromptSegLib.datasets.sample_cache import open_sample, write_sample
from PromptSegLib.desktop.panel_state import PanelState
from PromptSegLib.desktop.runs import Runs
from PromptSegLib.errors import PromptSegError
from PromptSegLib.labelled import run_folder
from PromptSegLib.mrml.marks import SliceMarks
from PromptSegLib.prompts import taught_on
from PromptSegLib.prompts.card import Card
from PromptSegLib.volumes.volume import Grid, Volume

GRID = Grid((7, 6, 5), (1.0, 2.0, 3.0), (0.5, 0.5, 2.0))
NASTY = [
    "Infinity", "-Infinity", "NaN", "1" + "0" * 400, "-1e999", "null", "true", '""', '"' + "x" * 5000 + '"', "[]", "{}",
    "[[[[]]]]", "[" * 5000 + "]" * 5000, '{"a": 1, "a": 2}', "0.5", "-1", '"\\u0000"', '"\\ud800"', "[1, 2, 3]",
]  # fmt: skip


def spoiled(text: str) -> Iterator[str]:
    """``text`` with each of its values in turn replaced by each of the nasty ones."""
    mark = "\ufffc"

    def places(value: Any) -> Iterator[Any]:
        yield mark
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from ({**value, key: one} for one in places(inner))
        elif isinstance(value, list):
            for n, inner in enumerate(value[:2]):
                yield from ([*value[:n], one, *value[n + 1 :]] for one in places(inner))

    for whole in places(json.loads(text)):
        for nasty in NASTY:
            yield json.dumps(whole, ensure_ascii=False).replace(f'"{mark}"', nasty)


def marks() -> tuple[str, Callable[[str], object]]:
    text = SliceMarks(GRID).with_status(0, 2, SliceStatus.COMPLETE).to_text()
    return text, lambda one: SliceMarks.from_text(one, GRID)


def state() -> tuple[str, Callable[[str], object]]:
    class Node:
        text = ""

        def GetParameter(self, name: str) -> str:
            return self.text

        def GetNodeReference(self, role: str) -> Any:
            return self

        def GetClassName(self) -> str:
            return "vtkMRMLSegmentationNode"

        def GetSegmentation(self) -> Any:
            return self

        def GetSegment(self, name: str) -> Any:
            return self

    node = Node()

    def read(text: str) -> None:
        node.text = text
        panel = PanelState(lambda: node)
        assert all(isinstance(one, str) for one in panel.ticked)
        rows, axis = panel.review
        assert type(axis) is int
        for row in rows:
            assert f"{row['volume_ml']:.1f}"

    slices = [{"index": 3, "why": "x", "risk": 0.5}]
    score = {"dice": 0.9, "hd95_mm": 2.0}
    row = {
        "structure": "liver",
        "segment_id": "a",
        "remarks": ["x"],
        "slices": slices,
        "volume_ml": 3.0,
        "score": score,
    }
    return json.dumps({"rows": [{**row, "estimate": 0.8}], "axis": 1}), read


def a_file(path: Path, read: Callable[[], object]) -> tuple[str, Callable[[str], object]]:
    def again(text: str) -> object:
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        return read()

    return path.read_text(encoding="utf-8"), again


def run(folder: Path) -> tuple[str, Callable[[str], object]]:
    runs = Runs(lambda: folder)
    made = runs.keep(runs.new(Structure("liver"), 3), kept="a", steps=3, dice=0.5)
    made.folder.mkdir()
    (made.folder / "last.safetensors").touch()
    assert len(runs.unfinished()) == 1
    return a_file(made.file, runs.unfinished)


def mark_of_a_run(folder: Path) -> tuple[str, Callable[[str], object]]:
    run_folder.begin(folder / "a.run")
    (path,) = (folder / "a.run").iterdir()
    return a_file(path, lambda: run_folder._mark(folder / "a.run"))


def sample(folder: Path) -> tuple[str, Callable[[str], object]]:
    voxels = np.random.default_rng(0).integers(-1000, 1000, (6, 40, 40)).astype(np.int16)
    volume = Volume(voxels, Grid((40, 40, 6), spacing=(2.0, 2.0, 3.0)))
    write_sample(folder / "a", volume, ["liver"], lambda n, k, axis: voxels.take(k, axis) > 0)
    assert open_sample(folder / "a", "a", ("liver",)) is not None
    return a_file(folder / "a" / "case.json", lambda: open_sample(folder / "a", "a", ("liver",)))


def record() -> Record:
    rows = (StructureResult("liver", 1.0, 0.5, (0.8, 0.7, 0.9), 0.9, 2.0, 0.8),)
    return Record("p", "a.nii", "k", DONE, "p.nrrd", 3, 4, "d", rows, ("w",), {"all": 1.0}, 9.0, prompts={"liver": "x"})


def manifest(folder: Path) -> tuple[str, Callable[[str], object]]:
    (folder / "m.jsonl").write_text(json.dumps(record().to_json()) + "\n")

    def read() -> None:
        known = Manifest(folder / "m.jsonl")
        for subject in known.records:
            known.state(subject, "k", folder)

    return a_file(folder / "m.jsonl", read)


def details(folder: Path) -> tuple[str, Callable[[str], object]]:
    (folder / "d.json").write_text(json.dumps({"record": record().to_json(), "pictures": {"liver": "abc"}}))
    return a_file(folder / "d.json", lambda: read_details(folder / "d.json"))


def grids(folder: Path) -> tuple[str, Callable[[str], object]]:
    arrays = {"a": np.zeros(3, np.float16)}
    taught_on.remember(arrays, Card(taught_on=(GRID, "0123456789abcdef")))
    (path,) = (folder / "taught").iterdir()

    def read() -> None:
        card = Card(taught_on=taught_on.recall(arrays, Card()))  # refuses what is no grid
        card.taught_there(GRID)

    assert len(taught_on.recall(arrays, Card())) == 2
    return a_file(path, read)


@pytest.mark.parametrize("make", [marks, state, run, mark_of_a_run, sample, manifest, details, grids])
def test_whatever_stands_there_is_read_or_refused(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(taught_on.VARIABLE, str(tmp_path))
    text, read = make() if make in (marks, state) else make(tmp_path)
    read(text)
    for one in spoiled(text):
        with contextlib.suppress(PromptSegError) if make is marks else contextlib.nullcontext():
            read(one)
