"""No input of a cohort, and no file of the user's, is written over by its results."""

from __future__ import annotations

import pytest

from .conftest import scan


def test_a_list_that_is_called_as_the_results_stays(cohort, tmp_path) -> None:
    scan(tmp_path / "scans/a.nii.gz")
    (tmp_path / "out").mkdir()
    table = tmp_path / "out" / "results.csv"
    table.write_text("image\n../scans/a.nii.gz\n")
    (tmp_path / "link.csv").symlink_to(table)
    for name in ("out/results.csv", "link.csv"):
        outcome = cohort(name, "--jobs", 1)
        assert outcome.status == 2
        assert "lies where a result is to be written, and no input is written over" in outcome.err
    assert table.read_text() == "image\n../scans/a.nii.gz\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.csv"]


def test_an_image_where_its_result_would_be_stays(cohort, tmp_path) -> None:
    before = scan(tmp_path / "out/a.nii.gz").read_bytes()
    outcome = cohort(tmp_path / "out/a.nii.gz", "--jobs", 1, "--format", "nii.gz")
    assert outcome.status == 2
    assert "no input is written over" in outcome.err
    assert (tmp_path / "out/a.nii.gz").read_bytes() == before


@pytest.mark.parametrize("name", ["results.csv", "report.html", "a.seg.nrrd"])
def test_a_table_or_a_page_of_the_users_stays(name: str, cohort, tmp_path) -> None:
    scan(tmp_path / "scans/a.nii.gz")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    outcome = cohort("scans", "--jobs", 1)
    assert outcome.status == 2
    assert f"{name} is there already, and no cohort has written it" in outcome.err
    assert (tmp_path / "out" / name).read_text() == "mine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
