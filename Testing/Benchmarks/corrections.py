"""What two corrected slices are worth where a shipped prompt knows the structure.

    PYTHONPATH=PromptSeg:Testing/Benchmarks python Testing/Benchmarks/corrections.py DATASET/dataset.json --cases a,b \
        --prompts abdomen-ct [--count 2] [--result corrections.json]

A volume is segmented, the slices of each structure that are least certain are corrected by the expert's mask, and the
structure is taught again from the shipped prompt. Compared: what was found, the same with the corrected slices alone
exchanged, and what comes out. Dice on whole volumes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from result_file import write_result

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.datasets.loading import read_dataset
from PromptSegLib.prompts.library import resolve
from PromptSegLib.review.machine import computer
from PromptSegLib.review.metrics import score
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_labels, read_volume


def main() -> None:
    """Correct, teach, compare, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--prompts", default="abdomen-ct")
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--count", type=int, default=2, help="slices to correct of each structure")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--result", type=Path, help="write the table there as well, for docs/benchmarks-teaching.md")
    options = parser.parse_args()
    dataset = read_dataset(options.dataset)
    wanted = set(options.cases.split(","))
    prompts, session = resolve(options.prompts), Session(options.backbone, threads=options.threads)
    table: list[list[float | str]] = []
    for case in (one for one in dataset.cases if one.name in wanted):
        volume = read_volume(case.image)
        reference = read_labels(case.label, volume.grid).array
        session.set_volume(volume)
        first = session.segment(prompts.values())
        for value, name in dataset.labels.items():
            truth = reference == value
            if name not in prompts or not truth.any():
                continue
            axis, suggested = session.corrections(first, prompts[name], options.count)
            slices = [one.index for one in suggested]
            shown = [k for k in slices if np.moveaxis(truth, axis, 0)[k].any()]
            found = first.mask(name)
            if not shown:
                continue
            exchanged = found.copy()
            np.moveaxis(exchanged, axis, 0)[slices] = np.moveaxis(truth, axis, 0)[slices]
            empty = [k for k in slices if k not in shown]
            drawn = SliceAnnotations.from_labels(truth.astype(np.uint8), volume.grid, 1, shown, empty, axis)
            began = time.perf_counter()
            learned = session.tune(drawn, prompts[name].structure, start_from=prompts[name]).prompt
            result = session.segment([learned], drawn={name: drawn}).mask(name)
            seconds = time.perf_counter() - began
            row = [round(score(m, truth, volume.grid.spacing[::-1]).dice, 3) for m in (found, exchanged, result)]
            table.append([f"{name} ({case.name})", *row, round(seconds, 1)])
            print(*table[-1], flush=True)
    columns = ["structure", "as found", f"{options.count} slices exchanged", "corrected and taught again", "s"]
    table.append(["mean", *(round(float(np.mean([row[n] for row in table])), 3) for n in range(1, len(columns)))])
    print(*table[-1])
    if options.result:
        write_result(options.result, computer(session.backbone.device), columns, (0, 3, 3, 3, 1), table, side_by_side=2)


if __name__ == "__main__":
    main()
