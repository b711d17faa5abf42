"""How many drawn slices the suggestions save: Dice after each slice, by who says which slice is drawn next.

    python Testing/Benchmarks/suggestions.py DATASET/dataset.json --cases a,b --json suggest.json --picture suggest.svg

All begin with the first and the last slice of a structure. *Suggestion* follows ``suggest``; *farthest first* halves
the widest gap; *evenly spaced* draws n slices afresh for each n, as a user would who knew n beforehand. The prompt is
learned once, from ``--taught`` evenly spaced slices, and stays the same for all three, so that only the choice of
slices differs; ``--network none`` leaves the network out. Dice is that of the whole mask, drawn slices as drawn.
Then, for each Dice that evenly spaced drawing reaches: how many slices the others need for it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from few_slices import Rows, Task, add_arguments, mean, tasks

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.contours.fusion import WEIGHTS, contour_spacing, prior_of
from PromptSegLib.prior import SCALE
from PromptSegLib.segment.result import LogitMap, Segmentation
from PromptSegLib.segment.segmenter import clean_map
from PromptSegLib.session import Session
from PromptSegLib.tune.suggest import suggest
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegTrain.simulate import evenly_spaced

UNCERTAIN, NOTHING = 0.0, -6.0
TARGETS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
STRATEGIES = ("suggestion", "farthest first", "evenly spaced")


class Simulation:
    """One structure of one volume; the network's logits are computed once."""

    def __init__(self, session: Session, task: Task, taught: int, network: bool) -> None:
        self.task, self.weight = task, WEIGHTS[0]
        session.set_volume(task.volume)
        self.fine = WorkingVolume(
            task.volume, spacing=contour_spacing(task.volume, task.draw(evenly_spaced(task.mask, 2)), 2.0)
        )
        if not network:
            self.work = WorkingVolume(task.volume)
            self.logits: Mapping[int, np.ndarray] = {}
            self.empty = UNCERTAIN
            return
        slices = evenly_spaced(task.mask, taught)
        result = session.tune(task.draw(slices), Structure(task.structure))
        prompt = replace(result.prompt, card=replace(result.prompt.card, components="all"))
        self.weight = float(prompt.card.contour_weight or 0.0)
        found = session.segment([prompt]).maps[task.structure]
        self.work, self.empty = found.work, NOTHING
        self.logits = {k: v.astype(np.float32) / SCALE for k, v in found.slices.items()}

    def after(self, slices: Sequence[int]) -> tuple[LogitMap, float]:
        """What comes out once these slices are drawn, and its Dice."""
        annotations = self.task.draw(slices)
        weight = self.weight or WEIGHTS[0]
        found = LogitMap(
            self.fine, drawn=annotations.native_slices(0), prior=prior_of(self.fine, annotations, weight)
        )  # fmt: skip
        nothing = np.full(self.work.size, self.empty, np.float32)
        for k in range(self.work.count):
            found.put(k, self.logits.get(k, nothing), self.work)
        clean_map(found, "substantial")
        structure = Structure(self.task.structure)
        labels = np.zeros(self.task.mask.shape, np.uint8)
        mask = Segmentation(labels, self.task.volume.grid, (structure,), {structure.name: found}).mask(structure.name)
        total = np.count_nonzero(mask) + np.count_nonzero(self.task.mask)
        return found, 2 * np.count_nonzero(mask & self.task.mask) / total

    def run(self, choose: Callable[[LogitMap, list[int], int], list[int]], limit: int) -> tuple[list[float], float]:
        """Dice with 2, 3, ... ``limit`` slices, and the mean seconds of a choice."""
        slices, curve, seconds = evenly_spaced(self.task.mask, 2), [], []
        for n in range(2, limit + 1):
            found, dice = self.after(slices)
            curve.append(dice)
            start = time.perf_counter()
            slices = choose(found, slices, n + 1)
            seconds.append(time.perf_counter() - start)
        return curve, mean(seconds)

    def suggested(self, found: LogitMap, slices: list[int], _: int) -> list[int]:
        """The next slice by suggestion; one without the structure is not drawn, but known as absent."""
        best = suggest(found, self.task.draw(slices), limit=8)
        there = [s.index for s in best if self.task.mask[s.index].any()]
        return sorted([*slices, *there[:1]]) if there else self.farthest(found, slices, 0)

    def farthest(self, _: LogitMap, slices: list[int], __: int) -> list[int]:
        """The middle of the widest gap."""
        gap, a = max((b - a, -a) for a, b in pairwise(slices))
        return sorted({*slices, -a + gap // 2})

    def evenly(self, _: LogitMap, __: list[int], n: int) -> list[int]:
        """All anew."""
        return evenly_spaced(self.task.mask, n)


def needed(curve: Sequence[float], target: float) -> float:
    """Slices needed for a Dice, between whole numbers by the line between them; NaN if it is never reached."""
    for n, dice in enumerate(curve):
        if dice >= target:
            before = curve[n - 1] if n else dice
            part = 0.0 if n == 0 or dice == before else (target - before) / (dice - before)
            return 2.0 + (n - 1 + part if n else 0.0)
    return float("nan")


def report(rows: Sequence[Mapping[str, Any]], picture: Path | None) -> None:
    """Curves and savings, averaged."""
    length = max(len(r["suggestion"]) for r in rows)
    curves = {s: [mean([r[s][n] for r in rows if len(r[s]) > n]) for n in range(length)] for s in STRATEGIES}
    print(f"\n| slices | {' | '.join(STRATEGIES)} |\n|---|---|---|---|")
    for n in range(length):
        print(f"| {n + 2} | " + " | ".join(f"{curves[s][n]:.3f}" for s in STRATEGIES) + " |")
    print("\n| Dice | suggestion needs | farthest first needs | evenly spaced needs | pairs |\n|---|---|---|---|---|")
    ratios: list[float] = []
    for target in TARGETS:
        counts = [[needed(r[s], target) for s in STRATEGIES] for r in rows]
        both = [c for c in counts if all(v == v for v in c) and c[2] > 2]
        if both:
            ratios += [c[0] / c[2] for c in both]
            print(f"| {target} | " + " | ".join(f"{mean(column):.2f}" for column in zip(*both, strict=True)), end="")
            print(f" | {len(both)} |")
    on_curve = [needed(curves["suggestion"], d) / (n + 2) for n, d in enumerate(curves["evenly spaced"]) if n]
    print(
        f"\nSuggestion / evenly spaced, mean of pairs and Dice: {mean(ratios):.3f}; on mean curves {mean(on_curve):.3f}"
    )
    print(f"Seconds of a suggestion: mean {mean([r['seconds'] for r in rows]):.3f}, {len(rows)} pairs")
    if picture:
        from PromptSegLib.review.figures import Series, chart

        counts = [n + 2 for n in range(length)]
        roles = zip(("ours", "fill", "blend"), STRATEGIES, strict=True)
        series = [Series(role, counts, curves[name], points=True) for role, name in roles]
        drawn = chart(series, ("drawn slices", "Dice"), "Dice by number of drawn slices")
        picture.write_text(standing_alone(drawn), encoding="utf-8")


COLOURS = {"ink": "#222", "faint": "#bbb", "ours": "#1f6fb2", "fill": "#b2561f", "blend": "#5a5a5a"}


def standing_alone(svg: str) -> str:
    """A report's chart as a file of its own, with the colours that a report's style sheet would give it."""
    for role, colour in COLOURS.items():
        svg = svg.replace(f"var(--{role})", colour)
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return svg.replace(
        '<svg class="chart"', f'<svg {names} width="497" height="292" style="background:#fff;font-family:sans-serif"', 1
    )


def main() -> None:
    """Simulate what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--taught", type=int, default=3, help="slices that the prompt is learned from")
    parser.add_argument("--network", choices=("tuned", "none"), default="tuned")
    parser.add_argument("--slices", type=int, default=9, help="draw up to so many")
    parser.add_argument("--picture", type=Path, help="write the curves as an SVG file")
    options = parser.parse_args()
    rows, began = Rows(options.json), time.perf_counter()
    session = Session(options.backbone, threads=options.threads)
    made = f"{session.backbone.id[:12]} {options.network} {options.taught}"
    for task in tasks(options, options.slices + 2):
        key = f"{made} {task.case} {task.structure}"
        if key in rows.rows or time.perf_counter() - began > 60 * options.minutes:
            continue
        one = Simulation(session, task, options.taught, options.network == "tuned")
        row: dict[str, Any] = {}
        row["suggestion"], row["seconds"] = one.run(one.suggested, options.slices)
        row["farthest first"], _ = one.run(one.farthest, options.slices)
        row["evenly spaced"], _ = one.run(one.evenly, options.slices)
        rows.add(key, row)
        print(f"{key}: " + ", ".join(f"{s} {mean(row[s]):.3f}" for s in STRATEGIES), flush=True)
    report([r for n, r in rows.rows.items() if n.startswith(made)], options.picture)


if __name__ == "__main__":
    main()
