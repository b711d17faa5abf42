"""How much the drawn contours should weigh beside the network: Dice on undrawn slices at each weight, and what leaving
out drawn slices would have chosen.

    python Testing/Benchmarks/contour_weights.py DATASET/dataset.json --cases a,b --structures liver,aorta -k 5 \
        --json weights.jsonl
    python Testing/Benchmarks/contour_weights.py DATASET/dataset.json --json weights.jsonl --table

Rows are added to the file, one for each volume, structure and k.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from few_slices import add_arguments, dice_without, evenly_spaced, interpolations, tasks

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.contours.fusion import WEIGHTS
from PromptSegLib.session import Session
from PromptSegLib.tune import optimise

Choice = Callable[[optimise.LeftOut], tuple[int, float]]


def measure(options: argparse.Namespace, ks: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Teach once for each task, then look at the volume with every weight."""
    seen: list[optimise.LeftOut] = []
    original: Choice = optimise.LeftOut.choice

    def listening(left_out: optimise.LeftOut) -> tuple[int, float]:
        seen.append(left_out)
        return original(left_out)

    optimise.LeftOut.choice = listening  # type: ignore[method-assign]
    session = Session(options.backbone, threads=options.threads)
    for k in ks:
        for task in tasks(options, k + 2):
            slices = evenly_spaced(task.mask, k)
            annotations, structure = task.draw(slices), Structure(task.structure)
            session.set_volume(task.volume)
            learned = session.tune(annotations, structure)
            left_out = seen[-1]
            step, chosen = original(left_out)
            at = left_out.marks.index(step)
            between = [c[at, :, 0] for c in left_out.curves.values() if not np.isnan(c[at, :, 0]).any()]
            means = np.mean(between, 0).tolist() if between else []
            known = interpolations(task, k)
            row: dict[str, Any] = {
                "case": task.case,
                "structure": task.structure,
                "k": k,
                "chosen": chosen,
                "interpolation": max(known["fill"], known["blend"]),
                "left_out": {str(w): dice for w, dice in zip(WEIGHTS, means, strict=False)},
                "dice": {},
            }
            for weight in WEIGHTS:
                prompt = replace(learned.prompt, card=replace(learned.prompt.card, contour_weight=weight))
                mask = session.segment([prompt], drawn={structure.name: annotations}).mask(structure.name)
                row["dice"][str(weight)] = float(dice_without(mask, task, slices))
            yield row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: each weight for all, the choice, and the best there is, for each k."""
    lines = ["| k | weight | mean Dice | least above interpolation | pairs below it |", "|---|---|---|---|---|"]
    for k in sorted({row["k"] for row in rows}):
        here = [row for row in rows if row["k"] == k]
        better = np.array([row["interpolation"] for row in here])
        ways = {f"{w:g} for all": [row["dice"][str(w)] for row in here] for w in sorted(WEIGHTS)}
        ways["as left-out slices choose"] = [row["dice"][str(row["chosen"])] for row in here]
        ways["the best of each"] = [max(row["dice"].values()) for row in here]
        for name, values in ways.items():
            over = np.array(values) - better
            lines.append(
                f"| {k} | {name} | {np.mean(values):.3f} | {over.min():+.3f} | {(over < 0).sum()} of {len(over)} |"
            )
        lines.append(f"| {k} | better interpolation | {better.mean():.3f} | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("-k", nargs="+", type=int, default=[5])
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        for row in measure(options, options.k):
            with options.json.open("a", encoding="utf-8") as file:
                print(json.dumps(row), file=file)
            print(row["case"], row["structure"], row["k"], row["chosen"], flush=True)
    print(table([json.loads(line) for line in options.json.read_text(encoding="utf-8").splitlines()]))


if __name__ == "__main__":
    main()
