"""The page of a cohort: one HTML file with everything in it, which no network is needed for.

What it shows is put in as JSON, and written to the page as text by the script in ``report.html``: whatever a name
holds, it stays a name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PromptSegLib import __version__
from PromptSegLib.atomic import replacing
from PromptSegLib.errors import few

from .details import read_details
from .folder import Folder
from .items import Skipped
from .manifest import FAILED, KEPT, Record
from .results import LIMIT, Distribution, Row, distributions, rows_of, worst

PICTURES = 24
BINS = 24
_MARK = "outlier"
_WHY = {
    "large": f"{_MARK}: large for this cohort",
    "small": f"{_MARK}: small for this cohort",
    "missing": f"{_MARK}: not found, which most have",
}


@dataclass(frozen=True)
class Cohort:
    """All that the page tells: ``waiting`` is how many volumes nobody got to; ``prompts`` has ids by structure."""

    records: Sequence[Record]
    left_out: Sequence[Skipped]
    waiting: int
    prompts: Mapping[str, str]
    backbone: str


def write_report(folder: Folder, cohort: Cohort) -> None:
    """Write ``report.html``, complete or not at all. Raises :class:`OutputError`."""
    page = render(folder, cohort).encode("utf-8", "replace")
    with replacing(folder.report) as file:
        file.write(page)


def render(folder: Folder, cohort: Cohort) -> str:
    """The page; pictures come from the folder."""
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    text = json.dumps(_content(folder, cohort), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return template.replace(">DATA<", f">{text.replace('<', chr(92) + 'u003c')}<", 1)


def _content(folder: Folder, cohort: Cohort) -> dict[str, Any]:
    records = cohort.records
    known = distributions(records)
    rows = rows_of(records, known)
    failed = [one for one in records if one.status == FAILED]
    done = len(records) - len(failed)
    figures = [(f"{done:,}", "volumes done"), (f"{len(failed):,}", "failed")]
    figures += [(f"{cohort.waiting:,}", "still to do")] if cohort.waiting else []
    figures += [(f"{sum(1 for row in rows if row.outlier):,}", "outliers")]
    figures += [(f"{len(cohort.left_out):,}", "left out")]
    shown = worst(rows, PICTURES)
    return {
        "title": f"Cohort of {len(records) + cohort.waiting:,} volumes",
        "lead": f"{few(list(known), 8)} in {folder.root.name}." if known else folder.root.name,
        "figures": figures,
        "mark": _MARK,
        "notes": {
            "structures": "Against the cohort's own distribution: an outlier lies further than a modified"
            f" z-score of {LIMIT:g} of the logarithm of the volume from the median, where eight or more are known.",
            "worst": "Outliers, the farthest first; then the lowest Dice with a reference, expected Dice and"
            " confidence. A picture is the slice with most of the structure.",
        },
        "structures": [
            _structure(one, [row for row in rows if row.structure.name == one.name]) for one in known.values()
        ],
        "worst": _tiles(folder, shown),
        "failed": [{"subject": one.subject, "problem": one.problem, "image": one.image} for one in failed],
        "rows": [_row(row) for row in rows],
        "has": {
            "expected": any(row.structure.expected for row in rows),
            "dice": any(row.structure.dice is not None for row in rows),
        },
        "left": [{"what": one.what, "reason": one.reason} for one in cohort.left_out],
        "details": [{"name": name, "value": value} for name, value in _details(cohort)],
    }


def _structure(known: Distribution, rows: Sequence[Row]) -> dict[str, Any]:
    volumes = [row.structure.volume_ml for row in rows if row.structure.volume_ml > 0]
    logs = [math.log(value) for value in volumes]
    low, high = (min(logs), max(logs)) if logs else (0.0, 0.0)
    bins = [0] * BINS
    for value in logs:
        bins[min(BINS - 1, int((value - low) / (high - low or 1.0) * BINS))] += 1
    marks = [
        round((math.log(row.structure.volume_ml) - low) / (high - low or 1.0), 3)
        for row in rows
        if row.outlier and row.structure.volume_ml > 0
    ]
    return {
        "name": known.name,
        "found": known.found,
        "count": known.count,
        "median": round(known.median, 2),
        "low": round(known.low, 2),
        "high": round(known.high, 2),
        "outliers": sum(1 for row in rows if row.outlier),
        "min": round(min(volumes, default=0.0), 2),
        "max": round(max(volumes, default=0.0), 2),
        "bins": bins,
        "marks": marks[:200],
    }


def _row(row: Row) -> dict[str, Any]:
    one = row.structure
    remarks = [_WHY[row.outlier]] if row.outlier else []
    remarks += ["changed by hand"] if row.record.status == KEPT else []
    found: dict[str, Any] = {
        "subject": row.record.subject,
        "structure": one.name,
        "ml": one.volume_ml,
        "remarks": "; ".join([*remarks, *row.record.warnings]),
    }
    more = {
        "z": None if row.z is None else round(row.z, 2),
        "confidence": one.confidence,
        "expected": None if one.expected is None else round(one.expected[0], 3),
        "dice": one.dice,
        "hd95": one.hd95_mm,
        "nsd": one.nsd_2mm,
    }
    return found | {name: value for name, value in more.items() if value is not None}


def _tiles(folder: Folder, rows: Sequence[Row]) -> list[dict[str, Any]]:
    tiles = []
    for row in rows:
        one = row.structure
        why = [_WHY[row.outlier]] if row.outlier else []
        why.append(f"{one.volume_ml:,.1f} ml")
        why += [f"Dice {one.dice:.2f}"] if one.dice is not None else []
        why += [f"expected Dice {one.expected[0]:.2f}"] if one.expected is not None else []
        why += [f"confidence {one.confidence:.2f}"] if one.confidence is not None else []
        picture = read_details(folder.details(row.record.subject))[1].get(one.name, "")
        tiles.append({"subject": row.record.subject, "structure": one.name, "why": ", ".join(why), "picture": picture})
    return tiles


def _details(cohort: Cohort) -> list[tuple[str, str]]:
    seconds = [one.seconds["all"] for one in cohort.records if "all" in one.seconds and one.status != FAILED]
    peaks = [one.peak_mib for one in cohort.records if one.peak_mib]
    details = [("PromptSeg", ", ".join(sorted({one.version or __version__ for one in cohort.records})) or __version__)]
    details.append(("Backbone", cohort.backbone))
    details += [(f"Prompt for {name}", mark) for name, mark in cohort.prompts.items()]
    if seconds:
        ordered = sorted(seconds)
        details.append(("Seconds a volume", f"{ordered[len(ordered) // 2]:.1f} (median), at most {ordered[-1]:.1f}"))
    if peaks:
        details.append(("Memory", f"at most {max(peaks) / 1024:.1f} GB in one process"))
    details += [("Computers", few(sorted({one.worker.rpartition(":")[0] for one in cohort.records if one.worker}), 8))]
    return [detail for detail in details if detail[1]]
