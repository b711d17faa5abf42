"""Put the tables of ``docs/benchmarks.md`` in place, from the result files of ``Testing/Benchmarks/results``.

``python Resources/make_benchmarks_page.py`` replaces each line that ends with ``<!-- results: NAME -->``, and the
table below it, by the command that measured NAME.json, the machine, and the table. A test fails when page and files
differ.

A result file has ``command``, ``machine``, ``columns``, ``digits`` of each column's decimals and ``rows``; and where it
has them ``signed``, the columns whose numbers have a sign, and ``side_by_side``, how many rows share a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "Testing" / "Benchmarks" / "results"
PLACE = re.compile(r"^.*<!-- results: ([\w-]+) -->\n(?:\n(?:\|.*\n)+)?", re.MULTILINE)


def table(name: str, result: Mapping[str, Any]) -> str:
    """Command, machine and table in Markdown; rows that begin with "mean" are bold."""
    how = f"`{result['command']}`" if result["command"].startswith(("python", "PYTHONPATH")) else result["command"]
    how += f", {result['machine']}:" if result["machine"] else ":"
    columns = result["columns"]
    signed = [name in result.get("signed", ()) for name in columns]
    rows = []
    for row in result["rows"]:
        cells = [_cell(value, *how) for value, *how in zip(row, result["digits"], signed, strict=True)]
        if str(row[0]).startswith("mean"):
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        rows.append(cells)
    beside = result.get("side_by_side", 1)
    high = -(-len(rows) // beside)
    lines = [[c for row in rows[n::high] for c in row] for n in range(high)]
    width = len(columns) * beside
    lines = [line + [""] * (width - len(line)) for line in lines]
    parts = [f"{how} <!-- results: {name} -->", "", _row(list(columns) * beside), _row(["---"] * width)]
    return "\n".join([*parts, *map(_row, lines), ""])


def _cell(value: float | str, digits: int, signed: bool) -> str:
    if isinstance(value, str):
        return value
    return f"{value:{'+' if signed else ''}.{0 if isinstance(value, int) else digits}f}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def page(text: str) -> str:
    """The page with every table as its file has it."""

    def put(found: re.Match[str]) -> str:
        return table(found[1], json.loads((RESULTS / f"{found[1]}.json").read_text(encoding="utf-8")))

    return PLACE.sub(put, text)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    print(PAGE)


if __name__ == "__main__":
    main()
