"""Contours between drawn slices without the backbone: interpolated, carried by the picture, and judged as it ships.

    python Testing/Benchmarks/contour_fusion.py DATASET/dataset.json --cases a,b --margin-mm 20 -k 3 5 9 \
        --json contours.json [--net contour-fusion.safetensors] [--spacing 2] [--set FIELD_SIGMA=1]

Dice on undrawn slices between the outermost drawn ones, on the volume's own grid; k slices spread evenly over a
structure's extent, ends included. ``--spacing`` follows contours on another working grid (mm), ``--net`` takes another
network than the one that ships, ``--set`` changes constants of :mod:`PromptSegLib.contours.demons`: all make rows of
their own.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from few_slices import Rows, Task, add_arguments, evenly_spaced, mean, tasks

from PromptSegLib.contours import demons
from PromptSegLib.contours.fusion import contour_spacing, contours_of, slice_gaps
from PromptSegLib.contours.fusion_net import ContourFusionNet, contour_fusion_net
from PromptSegLib.volumes.preprocess import WorkingVolume

METHODS = ("interpolated", "propagated", "scored")


def measure(task: Task, k: int, net: ContourFusionNet, spacing: float | None) -> tuple[dict[str, float], float]:
    """Dice by way, and seconds of one core for all that ships."""
    annotations = task.draw(evenly_spaced(task.mask, k))
    work = WorkingVolume(task.volume, spacing=spacing or contour_spacing(task.volume, annotations, 2.0))
    start = time.process_time()
    scored = contours_of(work, annotations, net=net)
    seconds = time.process_time() - start
    sums = {name: np.zeros(2, int) for name in METHODS}

    def count(name: str, signed: np.ndarray, index: int) -> None:
        inside, found = np.zeros(task.mask.shape[1:], bool), work.to_native(signed.clip(-1, 1), -0.9)
        if found is not None:
            inside[found[0]] = found[1] > 0
        there = task.mask[index]
        sums[name] += np.count_nonzero(inside & there), np.count_nonzero(inside) + np.count_nonzero(there)

    for one in slice_gaps(work, annotations):
        features = one.features()
        for index, shape in one.shape.items():
            count("interpolated", shape, index)
            count("scored", scored[index], index)
            carried = shape
            if one.propagation is not None:
                near, far = features[index][0][:2]
                t = min(index - one.low, one.high - index) / (one.high - one.low)
                carried = np.full(work.size, -1.0, np.float32)
                carried[one.propagation.box] = (1 - t) * near + t * far
            count("propagated", carried, index)
    return {name: (2 * both / total if total else float("nan")) for name, (both, total) in sums.items()}, seconds


def with_constants(
    constants: Mapping[str, Any], task: Task, k: int, net: ContourFusionNet, spacing: float | None
) -> tuple[dict[str, float], float]:
    """:func:`measure` with other constants of registration."""
    former = {name: getattr(demons, name) for name in constants}
    try:
        for name, value in constants.items():
            setattr(demons, name, value)
        return measure(task, k, net, spacing)
    finally:
        for name, value in former.items():
            setattr(demons, name, value)


def main() -> None:
    """Measure what is missing, then print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("-k", type=int, nargs="+", default=[3, 5, 9])
    parser.add_argument("--net", type=Path, help="another contour fusion network")
    parser.add_argument("--spacing", type=float, help="in mm, of the working grid that contours are followed on")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other constants of registration")
    options = parser.parse_args()
    torch.set_num_threads(options.threads or 1)
    constants = {n: ast.literal_eval(v) for n, v in (one.split("=", 1) for one in options.set)}
    others = [options.net.name] if options.net else []
    others += [f"{options.spacing:g} mm"] if options.spacing else []
    setting = " ".join([*others, *options.set]) or "as it ships"
    rows, net = Rows(options.json), contour_fusion_net(options.net)
    for task in tasks(options, 2):
        for k in options.k:
            if np.count_nonzero(task.mask.any((1, 2))) <= k:
                continue
            key = f"{task.case} {task.structure} {k} {setting}"
            if key not in rows.rows:
                dice, seconds = with_constants(constants, task, k, net, options.spacing)
                place = {"case": task.case, "structure": task.structure, "k": k, "setting": setting}
                rows.add(key, {**place, "dice": dice, "seconds": seconds})
                print(f"{key}: {', '.join(f'{n} {v:.3f}' for n, v in dice.items())}, {seconds:.1f} s", flush=True)
    found = json.loads(options.json.read_text(encoding="utf-8")).values()
    print(f"\n| setting | k | pairs | {' | '.join(METHODS)} | CPU seconds |\n" + "|---" * (len(METHODS) + 4) + "|")
    for name in dict.fromkeys(r["setting"] for r in found):
        for k in sorted({r["k"] for r in found}):
            here = [r for r in found if r["k"] == k and r["setting"] == name]
            if here:
                cells = [f"{mean([r['dice'][w] for r in here]):.3f}" for w in METHODS]
                seconds = mean([r["seconds"] for r in here])
                print(f"| {name} | {k} | {len(here)} | {' | '.join(cells)} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
