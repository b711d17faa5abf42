"""What came out of a cohort: a table with a row for each structure of each volume, and the outliers.

A volume is an outlier in the cohort's own distribution of that structure by the modified z-score of the logarithm of
millilitres, from the median and the median absolute deviation, beyond 3.5 (Iglewicz and Hoaglin, How to Detect and
Handle Outliers, 1993). Logarithms, because sizes of organs are spread evenly upwards and downwards only there.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PromptSegLib.atomic import replacing

from .items import Skipped
from .manifest import FAILED, Record, StructureResult

LIMIT = 3.5
FEWEST = 8
"""Volumes that a distribution is made of at least."""
_MISSING = 0.5
"""A structure that this share of the cohort has is missed where it is not found."""
COLUMNS = (
    "subject", "image", "status", "structure", "volume_ml", "cohort_median_ml", "z", "outlier", "confidence",
    "expected_dice", "expected_low", "expected_high", "dice", "hd95_mm", "nsd_2mm", "seconds", "peak_mib", "output",
    "message",
)  # fmt: skip


@dataclass(frozen=True)
class Distribution:
    """The volumes of one structure in ml, where it was found: how many, median and quartiles; ``centre`` and ``spread``
    are of their logarithms, ``spread`` None where there is none."""

    name: str
    count: int
    found: int
    median: float
    low: float
    high: float
    centre: float
    spread: float | None

    def z(self, millilitres: float) -> float | None:
        """The modified z-score; None where nothing can be said."""
        if self.spread is None or millilitres <= 0:
            return None
        return (math.log(millilitres) - self.centre) / self.spread


@dataclass(frozen=True)
class Row:
    """One structure of one volume; ``outlier`` is "large", "small", "missing" or empty."""

    record: Record
    structure: StructureResult
    z: float | None
    outlier: str


def distributions(records: Sequence[Record]) -> dict[str, Distribution]:
    """By structure, in the order in which they first occur."""
    volumes: dict[str, list[float]] = {}
    for record in records:
        for one in record.structures:
            volumes.setdefault(one.name, []).append(one.volume_ml)
    return {name: _distribution(name, values) for name, values in volumes.items()}


def _distribution(name: str, values: Sequence[float]) -> Distribution:
    found = sorted(value for value in values if value > 0)
    if not found:
        return Distribution(name, len(values), 0, 0.0, 0.0, 0.0, 0.0, None)
    logs = [math.log(value) for value in found]
    centre = median(logs)
    off = [abs(value - centre) for value in logs]
    # 0.6745 is the deviation of a normal distribution's quartile; where most are equal, the mean deviation stands in.
    spread = median(off) / 0.6745 or sum(off) / len(off) * 1.2533
    known = spread if len(found) >= FEWEST and spread > 1e-9 else None
    quarter = len(found) // 4
    return Distribution(
        name, len(values), len(found), median(found), found[quarter], found[-1 - quarter], centre, known
    )


def rows_of(records: Sequence[Record], known: dict[str, Distribution]) -> list[Row]:
    """All structures of all volumes that are done."""
    rows = []
    for record in records:
        for one in record.structures:
            spread = known[one.name]
            z = spread.z(one.volume_ml)
            outlier = ""
            if z is not None and abs(z) > LIMIT:
                outlier = "large" if z > 0 else "small"
            elif one.volume_ml <= 0 and spread.count >= FEWEST and spread.found >= _MISSING * spread.count:
                outlier = "missing"
            rows.append(Row(record, one, z, outlier))
    return rows


def worst(rows: Sequence[Row], limit: int) -> list[Row]:
    """What needs review first: outliers by how far they are out, what is missing, then the lowest agreement with a
    reference, the lowest expected Dice and the lowest confidence."""

    def quality(row: Row) -> float:
        one = row.structure
        known = (one.dice, one.expected[0] if one.expected else None, one.confidence)
        return next((value for value in known if value is not None), 1.0)

    def far(row: Row) -> float:
        return abs(row.z) if row.z is not None else 0.0

    out = sorted((row for row in rows if row.outlier), key=lambda row: -far(row))
    rest = sorted((row for row in rows if not row.outlier), key=quality)
    return [*out, *rest][:limit]


def write_results(path: Path, records: Sequence[Record], left_out: Sequence[Skipped]) -> None:
    """Write ``results.csv``. Raises :class:`OutputError`."""
    known = distributions(records)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows_of(records, known):
        table.writerow(_fields(row, known[row.structure.name]))
    for record in records:
        if record.status == FAILED:
            table.writerow(_common(record) | {"message": record.problem})
    for one in left_out:
        table.writerow({"image": _text(one.what), "status": "left out", "message": _text(one.reason)})
    with replacing(path) as file:
        file.write(b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "replace"))  # spreadsheets know UTF-8 by the mark


def _fields(row: Row, known: Distribution) -> dict[str, object]:
    one = row.structure
    dice, low, high = one.expected or ("", "", "")
    return _common(row.record) | {
        "structure": _text(one.name),
        "volume_ml": one.volume_ml,
        "cohort_median_ml": round(known.median, 3) if known.found else "",
        "z": "" if row.z is None else round(row.z, 2),
        "outlier": row.outlier,
        "confidence": one.confidence,
        "expected_dice": dice,
        "expected_low": low,
        "expected_high": high,
        "dice": one.dice,
        "hd95_mm": one.hd95_mm,
        "nsd_2mm": one.nsd_2mm,
        "message": _text(" ".join(row.record.warnings)),
    }


def _common(record: Record) -> dict[str, object]:
    return {
        "subject": _text(record.subject),
        "image": _text(record.image),
        "status": record.status,
        "seconds": record.seconds.get("all", ""),
        "peak_mib": record.peak_mib or "",
        "output": _text(record.output),
    }


def _text(value: str) -> str:
    """One line that no spreadsheet takes for a formula."""
    line = " ".join(value.split())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line
