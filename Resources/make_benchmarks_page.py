"""Put the tables of the pages with figures in place, from result files.

``python Resources/make_benchmarks_page.py`` replaces each line that ends with ``<!-- results: NAME -->``, and the table
below it, by the commands that measured ``Testing/Benchmarks/results/NAME.json``, the machine, and the table; several
names make one table. A test fails when a page and its files differ.

A result file has ``command``, ``machine``, ``columns``, ``digits`` of each column's decimals and ``rows``; and where it
has them ``signed``, the columns whose numbers have a sign, and ``side_by_side``, how many rows share a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(ROOT / "docs" / f"{name}.md" for name in ("benchmarks", "benchmarks-teaching", "experiments"))
RESULTS = ROOT / "Testing" / "Benchmarks" / "results"
PLACE = re.compile(r"^.*<!-- results: ([\w -]+) -->\n(?:\n(?:\|.*\n)+)?", re.MULTILINE)


def table(name: str, results: Sequence[Mapping[str, Any]]) -> str:
    """Commands, machine and table in Markdown; rows that begin with "mean" are bold.

    Several results have the first one's layout; where one of them has fewer columns, those at the end are empty.
    """
    first = results[0]
    how = "; ".join(f"`{one['command']}`" if _is_call(one["command"]) else one["command"] for one in results)
    machines = list(dict.fromkeys(one["machine"] for one in results if one["machine"]))
    columns = first["columns"]
    signed = [name in first.get("signed", ()) for name in columns]
    rows = []
    for row in (row for one in results for row in one["rows"]):
        full = [*row, *[""] * (len(columns) - len(row))]
        cells = [_cell(value, *how) for value, *how in zip(full, first["digits"], signed, strict=True)]
        if str(row[0]).startswith("mean"):
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        rows.append(cells)
    beside = first.get("side_by_side", 1)
    high = -(-len(rows) // beside)
    lines = [[c for row in rows[n::high] for c in row] for n in range(high)]
    width = len(columns) * beside
    lines = [line + [""] * (width - len(line)) for line in lines]
    heads = [f"{', '.join([how, *machines])}: <!-- results: {name} -->", "", _row(list(columns) * beside)]
    return "\n".join([*heads, _row(["---"] * width), *map(_row, lines), ""])


def _is_call(command: str) -> bool:
    return command.startswith(("python", "PYTHONPATH"))


def _cell(value: float | str, digits: int, signed: bool) -> str:
    if isinstance(value, str):
        return value
    return f"{value:{'+' if signed else ''}.{0 if isinstance(value, int) else digits}f}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def page(text: str) -> str:
    """The page with every table as its files have it."""

    def put(found: re.Match[str]) -> str:
        files = [RESULTS / f"{name}.json" for name in found[1].split()]
        return table(found[1], [json.loads(file.read_text(encoding="utf-8")) for file in files])

    return PLACE.sub(put, text)


def main() -> None:
    """Write the pages."""
    for path in PAGES:
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
        print(path)


if __name__ == "__main__":
    main()
