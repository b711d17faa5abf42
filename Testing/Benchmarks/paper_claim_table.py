"""The figures of ``paper_claim.py`` as tables: points to full fine-tuning, and their spread over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from adaptation import METHODS


def table(values: Mapping[str, Any]) -> str:
    """Markdown: for each pre-training and number of subjects a table of methods."""
    cells = list(values["cells"].values())
    spent = "CPU seconds" if all(c.get("device", "cpu") == "cpu" for c in cells) else "seconds"
    new = values["settings"]["new"]
    lines = []
    for mode in dict.fromkeys(c["mode"] for c in cells):
        record = values["pretraining"][mode]
        known = ", ".join(f"{k} {v:.3f}" for k, v in record["dice"].items()) or "none"
        lines += [
            f"Pre-training: {mode}, {record['steps']} steps, {record['seconds']:.0f} {spent}; Dice: {known}.",
            "",
        ]
        for subjects in sorted({c["subjects"] for c in cells if c["mode"] == mode}, key=lambda n: -(n or 10**6)):
            here = [c for c in cells if (c["mode"], c["subjects"]) == (mode, subjects)]
            columns = ["method", *new, "mean", "to full, points", "trained", "share %", spent]
            lines += [f"**{subjects or 'All'} subjects**", "", f"| {' | '.join(columns)} |"]
            lines += ["|---" * len(columns) + "|"]
            lines += [_row(m, here, new) for m in METHODS if any(c["method"] == m for c in here)]
            lines.append("")
    rates = ", ".join(f"{METHODS[k].label} {v['chosen']:g}" for k, v in values["rates"].items())
    return "\n".join([*lines, f"Learning rates: {rates}"])


def _row(method: str, cells: Sequence[dict[str, Any]], new: Sequence[str]) -> str:
    """One method: means over seeds, and the spread of the seeds' means where there are several."""
    mine = [c for c in cells if c["method"] == method]
    by_structure = [[c["dice"] for c in mine if c["structure"] == n] for n in new]
    means, gaps = by_seed(mine, new), []
    whole = by_seed([c for c in cells if c["method"] == "full"], new)
    gaps = [100 * (means[s] - whole[s]) for s in means if s in whole]
    share, seconds = 100 * mine[0]["share"], mean(c["seconds"] for c in mine)
    columns = [
        METHODS[method].label,
        *(f"{mean(v):.3f}" if v else "-" for v in by_structure),
        _spread(list(means.values()), "{:.3f}"),
        "-" if method == "full" else _spread(gaps, "{:+.1f}"),
        f"{mine[0]['trained']:,}",
        f"{share:.3f}" if share < 10 else f"{share:.0f}",
        f"{seconds:.0f}",
    ]
    return f"| {' | '.join(columns)} |"


def by_seed(cells: Sequence[dict[str, Any]], new: Sequence[str]) -> dict[int, float]:
    """The mean over all structures, for each seed that has them all."""
    out = {}
    for seed in sorted({c["seed"] for c in cells}):
        found = {c["structure"]: c["dice"] for c in cells if c["seed"] == seed}
        if set(found) == set(new):
            out[seed] = mean(found.values())
    return out


def _spread(values: Sequence[float], form: str) -> str:
    """Mean, and the standard deviation where there is more than one."""
    if not values:
        return "-"
    text = form.format(mean(values))
    return text + (
        f" (SD {form.format(np.std(values, ddof=1)).lstrip('+')}, n = {len(values)})" if len(values) > 1 else ""
    )


def mean(values: Iterable[float]) -> float:
    """Of any numbers; NaN of none."""
    return float(np.mean(list(values) or [np.nan]))
