"""The page and the table of a review, which the command and 3D Slicer write alike."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from PromptSegLib.review.findings import Auxiliary, Review, StructureReview, review
from PromptSegLib.review.metrics import ScoreRow
from PromptSegLib.review.page import ACCEPTED, FLAGGED, SEEN, WARNING, About, Decision, page, pictures_of
from PromptSegLib.review.report_html import render
from PromptSegLib.review.review_csv import COLUMNS, csv_of
from PromptSegLib.review.wording import Wording
from PromptSegLib.volumes.volume import Grid, Volume

GRID = Grid((20, 20, 10), spacing=(2.0, 2.0, 5.0))
NAME = "liver <b>"


@pytest.fixture
def masks() -> dict[str, np.ndarray]:
    mask = np.zeros(GRID.shape, bool)
    mask[2:8, 5:15, 5:15] = True
    mask[5] = np.roll(mask[5], 4, axis=0)
    return {NAME: mask, "gall\nbladder": np.zeros(GRID.shape, bool)}


@pytest.fixture
def about() -> About:
    decisions = {NAME: Decision("Flagged", "Dr. <Who>", "2026-11-28 03:00")}
    return About("ct.nii.gz", "organs.seg.nrrd", GRID, "2026-11-28 03:05", decisions=decisions, looked_at=(1, 2))


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html[html.index("<body>") :]).split())


def test_the_page_says_what_was_reviewed_by_whom_and_when(masks, about) -> None:
    volume = Volume(np.zeros(GRID.shape, np.int16), GRID, name="ct.nii.gz")
    found = review(masks, GRID)
    html = render(page(found, about, pictures_of(found, volume, masks), "Review of organs.seg.nrrd"))
    said = text_of(html)
    for words in (
        "Review of organs.seg.nrrd", "2 structures of ct.nii.gz, looked at without a reference, 2026-11-28 03:05.",
        "20 x 20 x 10 voxels of 2 x 2 x 5 mm", "axial, counted along K from 0", "1 of 2 slices that need review",
        "Flagged Dr. &lt;Who&gt;, 2026-11-28 03:00", "PromptSeg", "Slice K = 5", WARNING,
    ):  # fmt: skip
        assert words in said
    assert NAME not in html  # what comes from a file is never markup
    assert html.count("data:image/png;base64,") == len(found.structures[0].slices) > 0
    assert not re.search(r"https?:|<script|<link|src=", html)


def test_with_a_reference_the_measures_are_there(masks, about) -> None:
    reference = np.zeros(GRID.shape, bool)
    reference[2:8, 5:15, 5:15] = True
    found = review({NAME: masks[NAME]}, GRID, {NAME: Auxiliary(reference=reference)})
    said = text_of(render(page(found, about, {})))
    assert "compared with a reference" in said
    score = found.structures[0].score
    for text in ("HD95 (mm)", "NSD 2 mm", f"{score.dice:.3f}", f"{score.nsd_2mm:.3f}", f"{score.hd95_mm:.1f}"):
        assert text in said


def test_what_went_through_json_gives_the_same_page_and_table(masks, about) -> None:
    auxiliary = {NAME: Auxiliary(reference=np.roll(masks[NAME], 1, axis=1), estimate=0.8)}
    auxiliary["gall\nbladder"] = Auxiliary(reference=masks[NAME])
    found = review(masks, GRID, auxiliary)
    rows = json.loads(json.dumps(found.to_json()))["structures"]
    again = Review(tuple(StructureReview.from_json(row) for row in rows), found.axis)
    assert again.structures[1].score.hd95_mm == math.inf
    assert again.structures[0].slices == found.structures[0].slices
    cells = [re.findall(r"<t[dh][^>]*>([^<]*)<", render(page(one, about, {}))) for one in (found, again)]
    assert cells[0] == cells[1]
    assert csv_of(found, about) == csv_of(again, about)


def test_a_score_without_numbers_is_not_defined() -> None:
    assert all(math.isnan(value) for value in vars(ScoreRow.from_json({})).values())
    assert math.isnan(ScoreRow.from_json({"dice": None, "hd95_mm": None}).hd95_mm)
    assert math.isnan(ScoreRow.from_json({"dice": "x", "hd95_mm": None}).hd95_mm)  # scenes come from anybody


def test_the_table_is_read_by_spreadsheets_and_runs_no_formula(masks, about) -> None:
    found = review({"=HYPERLINK(1)": masks[NAME], 'a "b", c': masks[NAME]}, GRID)
    lines = list(csv.DictReader(io.StringIO(csv_of(found, about))))
    assert tuple(lines[0]) == COLUMNS
    of_slices = [line for line in lines if line["slice"]]
    lines = [line for line in lines if not line["slice"]]
    assert [line["structure"] for line in lines] == ["'=HYPERLINK(1)", 'a "b", c']
    assert [line["slice"] for line in of_slices if line["structure"] == lines[0]["structure"]] == lines[0][
        "slices"
    ].split()
    assert lines[0]["volume_ml"] == "12.0000"
    assert lines[0]["dice"] == ""
    assert lines[0]["slices"].split()[0] == "5"
    assert {line["date"] for line in lines} == {"2026-11-28 03:05"}


def test_each_slice_has_its_own_decision(masks, about) -> None:
    volume = Volume(np.zeros(GRID.shape, np.int16), GRID, name="ct.nii.gz")
    found = review(masks, GRID)
    index, other = (one.index for one in found.structures[0].slices[:2])
    made = {(NAME, index): Decision(ACCEPTED, "Dr. <Who>", "2026-11-28 03:01"), (NAME, other): Decision(SEEN)}
    about = replace(about, slices=made)
    said = text_of(render(page(found, about, pictures_of(found, volume, masks))))
    assert "\u2713 Accepted, Dr. &lt;Who&gt;, 2026-11-28 03:01" in said
    assert "\u2022 Looked at" in said
    assert "1 of 2 slices that need review; 1 accepted, 0 flagged" in said
    lines = {line["slice"]: line for line in csv.DictReader(io.StringIO(csv_of(found, about)))}
    assert [lines[str(index)][key] for key in ("decision", "decided_by", "decided_on")] == [
        "Accepted", "Dr. <Who>", "2026-11-28 03:01"
    ]  # fmt: skip
    assert "differs by" in lines[str(index)]["remarks"]
    assert lines[str(index)]["volume_ml"] == ""


def test_a_page_in_another_language_has_no_english(masks, about) -> None:
    """Every text of its own is asked for in that language, and everything that was said of slices."""
    volume = Volume(np.zeros(GRID.shape, np.int16), GRID, name="ct.nii.gz")
    reference = np.roll(masks[NAME], 1, axis=1)
    about = replace(about, slices={(NAME, 5): Decision(FLAGGED)})
    marked = Wording("xx", *3 * (lambda text: re.sub(r"[A-Za-z]+(?![^{]*})", "\u2020", text),))
    for auxiliary in ({}, {NAME: Auxiliary(reference=reference)}, {NAME: Auxiliary(estimate=0.8)}):
        found = review(masks, GRID, auxiliary)
        html = render(page(found, about, pictures_of(found, volume, masks), "\u2020", marked))
        assert '<html lang="xx">' in html
        body = re.sub(r"data:[^\"]*|<svg class=.chart.*?</svg>", "", html[html.index("<body>") :], flags=re.DOTALL)
        seen = re.findall(r"aria-label=\"([^\"]*)\"", body) + re.sub(r"<[^>]+>", "\n", body).split("\n")
        known = r"PromptSeg [\w.+]+|ct\.nii\.gz|organs\.seg\.nrrd|Dr\. &lt;Who&gt;|\b[KRmlx]+\b|&\w+;"
        assert [text for text in seen if re.search("[A-Za-z]", re.sub(known, "", text))] == []


def test_thousands_are_set_off_without_a_comma(about) -> None:
    large = Review((StructureReview("liver", 1480.55, (), ()),))
    assert "1\u202f480.5" in render(page(large, about, {})) or "1\u202f480.6" in render(page(large, about, {}))
