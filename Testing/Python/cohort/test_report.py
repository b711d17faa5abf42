"""The page of a cohort: everything in one file, nothing from elsewhere, and names that stay names."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from PromptSegCli.cohort.details import write_details
from PromptSegCli.cohort.folder import Folder
from PromptSegCli.cohort.items import Skipped
from PromptSegCli.cohort.manifest import DONE, FAILED, KEPT, Record, StructureResult
from PromptSegCli.cohort.report import PICTURES, Cohort, render, write_report
from PromptSegCli.cohort.thumbnails import SIDE, thumbnail
from PromptSegLib.volumes.volume import Grid, Volume

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 'é"


class Parts(HTMLParser):
    """What a page is made of: texts of scripts, and every address in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, Any], str]] = []
        self.addresses: list[str] = []
        self._inside: dict[str, Any] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        named = dict(attrs)
        self.addresses += [named[key] for key in ("src", "href", "data", "action") if key in named]
        if tag == "script":
            self._inside = named

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self.scripts.append((self._inside, data))
            self._inside = None


def cohort(**changes: Any) -> Cohort:
    volumes = np.exp(np.random.default_rng(0).normal(7, 0.2, 30))
    records = [
        Record(f"p{n:02d}", "a.nii", "key", DONE, f"p{n}.nrrd", structures=(StructureResult("liver", float(ml), 0.9),))
        for n, ml in enumerate([*volumes, 90000.0])
    ]
    records[0] = replace(records[0], status=KEPT, warnings=("Odd.",))
    records.append(Record(HOSTILE, HOSTILE, "key", FAILED, problem="It is damaged; export it again."))
    whole = Cohort(records, [Skipped(HOSTILE, "a scout view")], 4, {"liver": "abc"}, "def")
    return replace(whole, **changes)


def content(page: str) -> dict[str, Any]:
    ((_, data),) = [one for one in Parts(page).scripts if one[0].get("type") == "application/json"]
    return json.loads(data)


def test_the_page_has_everything_in_it_and_asks_nobody(tmp_path) -> None:
    page = render(Folder(tmp_path), cohort())
    parts = Parts(page)
    assert len(parts.scripts) == 2
    assert parts.addresses == []
    assert "default-src 'none'" in page
    assert re.findall(r"(?:https?:)?//(?!www\.w3\.org)[\w.]+\.\w+", page) == []
    assert "@import" not in page
    assert "url(" not in page


def test_names_from_files_cannot_leave_the_data(tmp_path) -> None:
    page = render(Folder(tmp_path), cohort())
    assert content(page)["failed"] == [
        {"subject": HOSTILE, "problem": "It is damaged; export it again.", "image": HOSTILE}
    ]
    assert "innerHTML" not in page  # the script writes texts, never elements


def test_outliers_failures_and_what_was_left_out_are_told(tmp_path) -> None:
    folder = Folder(tmp_path)
    odd = cohort().records[30]
    write_details(folder.details("p30"), odd, {"liver": "UE5H"})
    told = content(render(folder, cohort()))
    assert [figure[0] for figure in told["figures"]] == ["31", "1", "4", "1", "1"]
    assert told["worst"][0]["subject"] == "p30"
    assert told["worst"][0]["picture"] == "UE5H"
    assert "large for this cohort" in told["worst"][0]["why"]
    assert len(told["worst"]) == PICTURES
    assert told["structures"][0]["outliers"] == 1
    assert sum(told["structures"][0]["bins"]) == 31
    (mended,) = [row for row in told["rows"] if row["subject"] == "p00"]
    assert mended["remarks"] == "changed by hand; Odd."
    assert told["left"] == [{"what": HOSTILE, "reason": "a scout view"}]


@pytest.mark.parametrize("records", [[], [Record("x", "a", "k", FAILED, problem="No.")]])
def test_a_cohort_of_which_nothing_is_done_has_a_page(tmp_path, records) -> None:
    told = content(render(Folder(tmp_path), cohort(records=records)))
    assert told["rows"] == []
    write_report(Folder(tmp_path), cohort(records=records))
    assert (tmp_path / "report.html").is_file()


def test_a_picture_shows_the_slice_with_most_of_a_structure() -> None:
    import base64
    import struct

    shape = (10, 40, 50)
    grid = Grid(shape[::-1], spacing=(2.0, 4.0, 5.0))
    mask = np.zeros(shape, bool)
    assert thumbnail(Volume(np.zeros(shape, np.int16), grid), mask) == ""
    mask[7, 10:20, 10:30] = True
    png = base64.b64decode(thumbnail(Volume(np.zeros(shape, np.int16), grid), mask))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert max(width, height) == SIDE
