"""Which volumes are outliers, and the table that programs read."""

from __future__ import annotations

import csv
import math
from types import SimpleNamespace

import numpy as np
import pytest

from PromptSegCli.cohort.items import Skipped
from PromptSegCli.cohort.job import _of_others
from PromptSegCli.cohort.manifest import DONE, FAILED, Record, StructureResult
from PromptSegCli.cohort.results import COLUMNS, distributions, rows_of, worst, write_results


def records(volumes, name="liver", **more) -> list[Record]:
    return [
        Record(f"p{n:03d}", "a.nii", "key", DONE, f"p{n}.nrrd", structures=(StructureResult(name, float(ml), **more),))
        for n, ml in enumerate(volumes)
    ]


def outliers(volumes) -> dict[str, str]:
    made = records(volumes)
    return {row.record.subject: row.outlier for row in rows_of(made, distributions(made)) if row.outlier}


def test_what_lies_far_from_the_cohort_is_an_outlier_upwards_and_downwards_alike() -> None:
    usual = np.exp(np.random.default_rng(0).normal(math.log(1500), 0.15, 60))
    assert outliers(usual) == {}
    assert outliers([*usual, 6000, 350, 0]) == {"p060": "large", "p061": "small", "p062": "missing"}


def test_few_or_equal_volumes_say_nothing() -> None:
    assert outliers([1000, 1100, 90000]) == {}
    assert outliers([1000.0] * 20) == {}


def test_one_odd_among_equal_ones_is_an_outlier() -> None:
    assert outliers([1000.0] * 20 + [1500.0]) == {"p020": "large"}


def test_a_structure_that_most_lack_is_not_missed() -> None:
    assert outliers([0.0] * 20 + [5.0] * 10) == {}


def test_a_distribution_has_median_and_quartiles_of_where_it_was_found() -> None:
    (one,) = distributions(records([0, 1, 2, 3, 4, 5, 6, 7, 8])).values()
    assert (one.count, one.found, one.median, one.low, one.high) == (9, 8, 4.5, 3, 6)
    (none,) = distributions(records([0, 0])).values()
    assert (none.found, none.median) == (0, 0)


def test_the_worst_come_first() -> None:
    made = records([1000.0 + n for n in range(20)] + [90000.0], confidence=0.9)
    made += records([1010.0], confidence=0.3)
    made += records([1011.0], dice=0.1, confidence=0.99)
    first = worst(rows_of(made, distributions(made)), 3)
    assert [row.structure.volume_ml for row in first] == [90000.0, 1011.0, 1010.0]


def test_the_table_has_a_line_for_each_structure_failure_and_what_was_left_out(tmp_path) -> None:
    made = records([10, 20])
    made.append(Record("=1+1", "b.nii", "key", FAILED, problem="It is damaged; export it again."))
    write_results(tmp_path / "results.csv", made, [Skipped("c", "a\nscout")])
    with (tmp_path / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["status"] for row in rows] == ["done", "done", "failed", "left out"]
    assert rows[0]["volume_ml"] == "10.0"
    assert rows[2]["subject"] == "'=1+1"  # a spreadsheet would compute it
    assert rows[2]["message"] == "It is damaged; export it again."
    assert rows[3]["message"] == "a scout"


@pytest.mark.parametrize("value", ["", "plain", "Müller 3"])
def test_ordinary_names_stay_as_they_are(tmp_path, value: str) -> None:
    write_results(tmp_path / "results.csv", [Record(value, "b.nii", "key", FAILED, problem="x.")], [])
    with (tmp_path / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["subject"] == value


def test_a_result_is_not_compared_with_help_of_its_own_mask() -> None:
    """Whoever was taught in is a patient of the cohort, too: what stays of this one is no other patient's."""
    own, other = (SimpleNamespace(masks={"cyst": None}) for _ in range(2))
    session = SimpleNamespace(others=lambda memory, name: [one for one in memory.of(name) if one is not own])
    assert _of_others(session, {"cyst": [own, other]}) == (
        {"cyst": [other]}, ["Taught in this very CT, so that the comparison tells little of others: 'cyst'."]
    )  # fmt: skip
    assert _of_others(session, {"cyst": [other]}) == ({"cyst": [other]}, [])
