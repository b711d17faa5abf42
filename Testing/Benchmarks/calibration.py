"""How far the estimated Dice can be believed, and the line behind it fitted anew.

    python Testing/Benchmarks/few_slices.py DATASET/dataset.json -k 3 5 9 --json few.json
    python Testing/Benchmarks/calibration.py few.json [other.json ...] --picture reliability.svg

Takes the rows of ``few_slices.py``. Each volume is estimated by a line that was fitted to the other volumes: the table
and the picture are those. The width of its range is how far such estimates of the other volumes are off. The last line
is the fit to all, with the spread of all volumes, to be put into ``tune/estimate.py``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from PromptSegLib.tune.estimate import Calibration, Estimate, estimate, in_log_odds, log_odds

RIDGE = 1.0


def fit(rows: Sequence[Mapping[str, Any]]) -> Calibration:
    """Ridge regression of the true log-odds on the signs; weights that have the wrong direction are left out."""
    x = np.array([in_log_odds(r["signs"]) for r in rows])
    y = np.array([log_odds(r["dice"]) for r in rows])
    means = np.nan_to_num(np.nanmean(x, axis=0))
    centred = np.nan_to_num(x - means)
    used = [0, 1, 2, 3]
    while True:  # more agreement must never lower the estimate, a wider gap never raise it
        part = centred[:, used]
        weights = np.zeros(4)
        weights[used] = np.linalg.solve(part.T @ part + RIDGE * np.eye(len(used)), part.T @ (y - y.mean()))
        wrong = [n for n in used if weights[n] * (-1 if n == 3 else 1) < 0]
        if not wrong:
            break
        used = [n for n in used if n not in wrong]
    left = y - y.mean() - centred @ weights
    spread = float(np.sqrt((left**2).sum() / max(1, len(y) - 5)))
    a, b, c, d = (round(float(w), 3) for w in weights)
    e, f, g, h = (round(float(m), 3) for m in means)
    return Calibration((a, b, c, d), (e, f, g, h), round(float(y.mean()), 3), round(spread, 3), len(rows))


def main() -> None:
    """Estimate each volume from the others, print, draw, and fit to all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, nargs="+", help="what few_slices.py wrote")
    parser.add_argument("--variant", default="PromptSeg")
    parser.add_argument("--picture", type=Path, help="write the reliability plot as an SVG element")
    options = parser.parse_args()
    read = [json.loads(path.read_text(encoding="utf-8")) for path in options.json]
    rows = [r for file in read for r in file.values() if r["variant"] == options.variant and r["dice"] == r["dice"]]
    rows = [{**r, "signs": {k: math.nan if v is None else v for k, v in r["signs"].items()}} for r in rows]
    cases = sorted({r["case"] for r in rows})
    lines = {case: fit([r for r in rows if r["case"] != case] or rows) for case in cases}

    off: dict[str, list[float]] = {case: [] for case in cases}
    for r in rows:
        made = estimate(r["signs"], lines[r["case"]])
        if made is not None:
            off[r["case"]].append(log_odds(made.dice) - log_odds(r["dice"]))

    def spread_of(chosen: Sequence[str]) -> float:
        """Of the errors in some volumes, none of which was fitted to."""
        return round(float(np.sqrt(np.mean([e**2 for case in chosen for e in off[case]]))), 3)

    pairs: list[tuple[Estimate, float, float]] = []
    for r in rows:
        line = replace(lines[r["case"]], spread=spread_of([c for c in cases if c != r["case"]] or cases))
        made = estimate(r["signs"], line)
        if made is not None:
            pairs.append((made, r["dice"], r["signs"]["leave_one_out"]))
    predicted = np.array([p.dice for p, _, _ in pairs])
    true = np.array([t for _, t, _ in pairs])
    alone = np.array([loo for _, _, loo in pairs])
    inside = np.mean([p.low <= t <= p.high for p, t, _ in pairs])
    print(f"{len(pairs)} pairs of {len(cases)} volumes; each volume estimated from the others\n")
    error, together = np.abs(predicted - true).mean(), np.corrcoef(predicted, true)[0, 1]
    print(f"mean absolute error {error:.3f}; correlation {together:.3f}")
    known = ~np.isnan(alone)
    print(f"of the leave-one-slice-out Dice taken as it is: {np.abs(alone - true)[known].mean():.3f}")
    print(f"within the range: {inside:.0%} (80 % is meant)\n")
    print("| estimated | pairs | mean estimate | mean Dice |\n|---|---|---|---|")
    order = np.argsort(predicted)
    groups = [g for g in np.array_split(order, min(6, max(1, len(order) // 3))) if len(g)]
    points = [(float(predicted[g].mean()), float(true[g].mean())) for g in groups]
    for g, (p, t) in zip(groups, points, strict=True):
        print(f"| {predicted[g].min():.2f} to {predicted[g].max():.2f} | {len(g)} | {p:.3f} | {t:.3f} |")
    if options.picture:
        draw(options.picture, predicted, true)
    print(f"\nCALIBRATION = {replace(fit(rows), spread=spread_of(cases))}")


def draw(path: Path, predicted: np.ndarray, true: np.ndarray) -> None:
    """Estimated against true Dice, a point each, with the line of equality."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    axes.scatter(predicted, true, s=14, alpha=0.7, linewidths=0)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="estimated Dice", ylabel="Dice", aspect="equal")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
