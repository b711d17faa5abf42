from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import GridError, InputError, Stopped
from PromptSegLib.review.evaluate import evaluate, parse_pairs
from PromptSegLib.volumes.io import read_labels, write_labels
from PromptSegLib.volumes.labels import LabelMap
from PromptSegLib.volumes.volume import Grid

GRID = Grid((10, 9, 8), (5.0, -3.0, 2.0), (0.5, 1.0, 2.0))


def labels(names: dict[int, str] | None = None, **places: int) -> LabelMap:
    """A label map of 3 x 3 x 3 cubes, left or right, with the given values."""
    array = np.zeros(GRID.shape, dtype=np.uint8)
    for place, value in places.items():
        i = {"left": 1, "left_and_one": 2, "right": 6}[place]
        array[2:5, 3:6, i : i + 3] = value
    return LabelMap(array, GRID, {value: Structure(name) for value, name in (names or {}).items()})


def test_equal_values_belong_together_where_a_file_has_no_names() -> None:
    result = evaluate(labels(left=1, right=2), labels({1: "spleen", 3: "liver"}, left_and_one=1, right=3))
    (row,) = result.rows
    assert (row.name, row.segmentation_value, row.reference_value) == ("spleen", 1, 1)
    assert row.score.dice == pytest.approx(2 / 3)
    assert row.score.hd95_mm == pytest.approx(0.5)  # one voxel along I, whose spacing is the grid's first
    assert (result.only_in_segmentation, result.only_in_reference) == (("label 2",), ("liver",))


def test_equal_names_belong_together_whatever_their_values() -> None:
    result = evaluate(
        labels({1: "Liver", 2: "spleen"}, left=1, right=2), labels({1: "spleen", 7: "liver"}, left=7, right=1)
    )
    assert [(row.segmentation_value, row.reference_value, row.score.dice) for row in result.rows] == [
        (1, 7, 1.0),
        (2, 1, 1.0),
    ]
    assert result.mean.dice == 1.0


def test_pairs_say_which_belong_together() -> None:
    result = evaluate(labels(left=1, right=2), labels(left=6, right=3), parse_pairs("1:6,2:3"))
    assert [row.score.dice for row in result.rows] == [1.0, 1.0]
    assert [row.name for row in result.rows] == ["label 6", "label 3"]


def test_skipped_slices_reach_the_scores() -> None:
    segmentation, reference = labels(left=1), labels(left=1)
    segmentation.array[4] = 0
    assert evaluate(segmentation, reference).mean.dice == pytest.approx(0.8)
    assert evaluate(segmentation, reference, skip_slices=[4]).mean.dice == 1.0
    with pytest.raises(InputError, match="Slice 8 is not in the volume"):
        evaluate(segmentation, reference, skip_slices=[8])


def test_a_missed_structure_counts_nothing_and_is_told() -> None:
    result = evaluate(labels(left=1), labels(left=1, right=2), {1: 1, 5: 2})
    assert [row.score.dice for row in result.rows] == [1.0, 0.0]
    assert (result.mean.dice, result.mean.hd95_mm, result.mean.defined, result.mean.missed) == (0.5, 0.0, 2, 1)
    told = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert told["rows"][1]["hd95_mm"] is None
    assert told["rows"][1]["structure"] == "label 2"


def test_what_neither_side_has_is_left_out_of_the_mean() -> None:
    names = {1: "liver", 2: "gallbladder"}
    result = evaluate(labels(names, left=1), labels(names, left=1))
    assert math.isnan(result.rows[1].score.dice)
    assert (result.mean.dice, result.mean.defined, result.mean.missed) == (1.0, 1, 0)


def test_what_cannot_be_compared_is_said() -> None:
    elsewhere = LabelMap(labels(left=1).array, Grid(GRID.size, (0.0, 0.0, 0.0), GRID.spacing))
    with pytest.raises(GridError, match="on another grid than the reference"):
        evaluate(labels(left=1), elsewhere)
    with pytest.raises(InputError, match=r"share no label value; say which labels belong together \(--pairs\)"):
        evaluate(labels(left=1), labels(left=2))
    with pytest.raises(InputError, match=r"The segmentation has no labels at all; .*for example 2:2: what is missing"):
        evaluate(labels(left=0), labels(left=2))
    assert evaluate(labels(left=0), labels(left=2), {2: 2}).mean.dice == 0  # the remedy
    with pytest.raises(InputError, match="The reference has no labels at all"):
        evaluate(labels(left=2), labels(left=0))
    with pytest.raises(InputError, match="share no name"):
        evaluate(labels({1: "liver"}, left=1), labels({1: "spleen"}, left=1))
    with pytest.raises(InputError, match=r"Label 9 is not in the reference; choose from what it holds \(1\)"):
        evaluate(labels(left=1), labels(left=1), {1: 9})


def test_it_stops_when_asked_and_tells_how_far_it_is() -> None:
    heard: list[float] = []
    evaluate(labels(left=1), labels(left=1), on_progress=lambda p: heard.append(p.fraction))
    assert heard == [0.0, 1.0]
    with pytest.raises(Stopped):
        evaluate(labels(left=1), labels(left=1), should_stop=lambda: True)


def test_files_of_two_kinds(tmp_path: Path) -> None:
    names = {1: Structure("spleen"), 2: Structure("liver")}
    write_labels(tmp_path / "a.seg.nrrd", labels(left=2, right=1).array, GRID, names)
    write_labels(tmp_path / "b.nii.gz", labels(left=2, right=1).array, GRID, names)
    result = evaluate(read_labels(tmp_path / "a.seg.nrrd"), read_labels(tmp_path / "b.nii.gz"))
    assert [(row.name, row.score.dice) for row in result.rows] == [("spleen", 1.0), ("liver", 1.0)]


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "1:6,", "a:b", "1;6", "-1:2", "1:2:3", "0:1", "1:0", "1:2,1:3", "1:2,3:2"]
)
def test_pairs_that_are_none(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_pairs(text)
    assert str(caught.value).endswith(".")
    assert "; " in str(caught.value)


def test_pairs() -> None:
    assert parse_pairs("1:6, 2:3") == {1: 6, 2: 3}
