"""The result files that ``docs/benchmarks.md`` is made from: see ``Resources/make_benchmarks_page.py``."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Cell = float | str


def write_result(
    path: Path, machine: str, columns: Sequence[str], digits: Sequence[int], rows: Sequence[Sequence[Cell]], **more: Any
) -> None:
    """Write one table: ``digits`` are the decimals of each column's numbers, ``more`` what else the page's script
    knows, such as ``side_by_side``."""
    found: dict[str, Any] = {"command": _command(), "machine": machine, "columns": list(columns)}
    found |= {"digits": list(digits), **more}
    fields = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in found.items()]
    lines = ",\n".join(f"    {json.dumps(list(row), ensure_ascii=False)}" for row in rows)
    text = ",\n".join([*fields, f'  "rows": [\n{lines}\n  ]'])
    path.write_text(f"{{\n{text}\n}}\n", encoding="utf-8", newline="\n")


def _command() -> str:
    """How this script was called, without the folders of this machine and without where it writes."""
    words, skip = [], False
    for word in sys.argv[1:]:
        if not skip and word not in ("--json", "--result", "--machine", "--threads", "--backbone", "--slices"):
            words.append("/".join(Path(word).parts[-2:]) if "/" in word else word)
        skip = word in ("--json", "--result", "--machine", "--threads", "--backbone", "--slices")
    return f"PYTHONPATH=PromptSeg python Testing/Benchmarks/{Path(sys.argv[0]).name} {shlex.join(words)}"
