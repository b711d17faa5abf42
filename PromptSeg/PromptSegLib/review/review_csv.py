"""A review as comma-separated values: a structure a line, to be read by spreadsheets and statistics alike."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from .. import __version__
from .findings import Review
from .page import About, Decision

COLUMNS = (
    "structure", "volume_ml", "expected_dice", "dice", "nsd_2mm", "hd95_mm", "may_be_wrong_ml", "decision",
    "decided_by", "decided_on", "slices", "remarks", "volume", "segmentation", "reference", "date", "version",
)  # fmt: skip


def csv_of(review: Review, about: About) -> str:
    """The text of the file. What is not known is empty, what is infinite "inf"; slices are indices with blanks
    between."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in review.structures:
        made, score = about.decisions.get(one.name, Decision()), one.score
        measures = (None, None, None) if score is None else (score.dice, score.nsd_2mm, score.hd95_mm)
        cells = (
            one.name, one.volume_ml, one.estimate, *measures, one.uncertain_ml, made.decision, made.by, made.when,
            " ".join(str(found.index) for found in one.slices), " ".join(one.remarks), about.volume,
            about.segmentation, about.reference, about.when, __version__,
        )  # fmt: skip
        writer.writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if math.isfinite(value) else "inf"
    text = str(value)
    # A cell that begins so would be run as a formula by spreadsheets.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
