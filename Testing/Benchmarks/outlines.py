"""Outlines between drawn slices without any network: interpolated, carried by the picture, and mixed as it ships.

    python Testing/Benchmarks/outlines.py DATASET/dataset.json --cases a,b --margin-mm 20 -k 3 5 9 \
        --json outlines.json [--set FIELD_SIGMA=1 HELD_MM=2]

Dice on undrawn slices between the outermost drawn ones, on the working grid; k slices spread evenly over a structure's
extent, ends included. ``--set`` changes constants of :mod:`PromptSegLib.tune.carry` for one more column.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from few_slices import Rows, Task, add_arguments, evenly_spaced, mean, tasks

from PromptSegLib.tune import carry
from PromptSegLib.tune.fusion import outlines_of
from PromptSegLib.volumes.preprocess import WorkingVolume

SHIPS = "mixed, as it ships"
WAYS: dict[str, dict[str, Any]] = {
    "interpolated": {"SHARE": 0.0, "HELD_MM": 100.0},
    "carried": {"SHARE": 1.0},
    SHIPS: {},
}


def measure(task: Task, k: int, constants: Mapping[str, Any]) -> tuple[float, float]:
    """(Dice, seconds of one core) with other constants."""
    former = {name: getattr(carry, name) for name in constants}
    annotations, work = task.draw(evenly_spaced(task.mask, k)), WorkingVolume(task.volume)
    try:
        for name, value in constants.items():
            setattr(carry, name, value)
        start = time.process_time()
        found = outlines_of(work, annotations)
        seconds = time.process_time() - start
    finally:
        for name, value in former.items():
            setattr(carry, name, value)
    both = total = 0
    for index, distance in found.items():
        inside, there = distance > 0, work.mask_to_working(task.mask[index]) > 0.5
        both += int(np.count_nonzero(inside & there))
        total += int(np.count_nonzero(inside) + np.count_nonzero(there))
    return (2 * both / total if total else float("nan")), seconds


def main() -> None:
    """Measure what is missing, then print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("-k", type=int, nargs="+", default=[3, 5, 9])
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="constants for one more column")
    options = parser.parse_args()
    torch.set_num_threads(options.threads or 1)
    ways = dict(WAYS)
    if options.set:
        ways[" ".join(options.set)] = {n: ast.literal_eval(v) for n, v in (one.split("=", 1) for one in options.set)}
    rows = Rows(options.json)
    for task in tasks(options, 2):
        for k in options.k:
            if np.count_nonzero(task.mask.any((1, 2))) <= k:
                continue
            for name, constants in ways.items():
                key = f"{task.case} {task.structure} {k} {name}"
                if key not in rows.rows:
                    dice, seconds = measure(task, k, constants)
                    rows.add(key, {"structure": task.structure, "k": k, "way": name, "dice": dice, "seconds": seconds})
                    print(f"{key}: {dice:.3f}, {seconds:.1f} s", flush=True)
    found = json.loads(options.json.read_text(encoding="utf-8")).values()
    names = list(dict.fromkeys(r["way"] for r in found))
    print(f"\n| k | pairs | {' | '.join(names)} | CPU seconds as it ships |\n" + "|---" * (len(names) + 3) + "|")
    for k in sorted({r["k"] for r in found}):
        here = {n: [r for r in found if r["k"] == k and r["way"] == n] for n in names}
        cells = [f"{mean([r['dice'] for r in here[n]]):.3f}" for n in names]
        print(f"| {k} | {len(here[SHIPS])} | {' | '.join(cells)} | {mean([r['seconds'] for r in here[SHIPS]]):.1f} |")


if __name__ == "__main__":
    main()
