"""A review as comma-separated values: a line for each structure, and after it one for each of its slices that need
review; to be read by spreadsheets and statistics alike, so it is in English everywhere."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from .. import __version__
from .findings import Review
from .page import About, Decision

COLUMNS = (
    "structure", "slice", "volume_ml", "expected_dice", "dice", "nsd_2mm", "hd95_mm", "may_be_wrong_ml", "decision",
    "decided_by", "decided_on", "slices", "remarks", "volume", "segmentation", "reference", "date", "version",
)  # fmt: skip


def csv_of(review: Review, about: About) -> str:
    """The text of the file. What is not known is empty, what is infinite "inf"; ``slice`` is empty in the line of a
    structure, whose ``slices`` are indices with blanks between. The line of a slice has its Dice, why it needs review
    (``remarks``) and its own decision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    of = (about.volume, about.segmentation, about.reference, about.when, __version__)

    def write(name: str, index: int | None, measures: Sequence[Any], made: Decision, slices: str, said: str) -> None:
        cells = (name, index, *measures, made.decision, made.by, made.when, slices, said, *of)
        writer.writerow([_cell(cell) for cell in cells])

    for one in review.structures:
        score = one.score
        compared = (None, None, None) if score is None else (score.dice, score.nsd_2mm, score.hd95_mm)
        measures = (one.volume_ml, one.estimate, *compared, one.uncertain_ml)
        listed = " ".join(str(found.index) for found in one.slices)
        write(one.name, None, measures, about.decisions.get(one.name, Decision()), listed, " ".join(one.remarks))
        for found in one.slices:
            made = about.slices.get((one.name, found.index), Decision())
            write(one.name, found.index, (None, None, found.dice, None, None, None), made, "", found.why)
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) else "inf"
    text = str(value)
    # A cell that begins so would be run as a formula by spreadsheets.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
