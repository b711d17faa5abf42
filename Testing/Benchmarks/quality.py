"""How good the shipped prompt sets are: every structure on the validation subjects of the data it was trained on.

    python Testing/Benchmarks/quality.py DATASET/dataset.json --prompts abdomen-ct --json quality.json

The split is the one that pre-training used (``--validation``, ``--seed``): none of these subjects was trained on.
Masks are compared on the volumes' own grids. A structure that a reference does not hold is left out of that subject.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from result_file import write_result

from PromptSegLib.datasets.loading import read_dataset, split, subjects
from PromptSegLib.model.overview_net import overview_net
from PromptSegLib.prompts.library import resolve
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.review.machine import computer
from PromptSegLib.review.metrics import score
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_labels, read_volume

COLUMNS = ("structure", "subjects", "Dice", "min", "HD95 mm", "NSD 2 mm")


def with_share(prompt: Prompt, share: float) -> Prompt:
    """The prompt with that share of the overview network beside it."""
    return replace(prompt, card=replace(prompt.card, overview=(prompt.structure.name, share) if share else None))


def main() -> None:
    """Segment, compare, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--prompts", required=True, help="a prompt set, by name or file")
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--overview", type=Path, help="another overview network than the one that ships")
    parser.add_argument("--share", type=float, help="what share it has beside every prompt that it knows")
    parser.add_argument("--share-of", action="append", default=[], metavar="STRUCTURE=SHARE")
    parser.add_argument("--closer", help="what it looks at a second time, if not what its card says: A,B")
    parser.add_argument("--around", default="", help="and around which structures: A,B")
    parser.add_argument("--validation", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, help="only the first N volumes")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the Dice there as well, for a release")
    parser.add_argument("--result", type=Path, help="write the table there as well, for docs/benchmarks.md")
    options = parser.parse_args()

    dataset = read_dataset(options.dataset)
    _, cases = split(dataset, options.validation, options.seed)
    cases = cases[: options.limit]
    if not cases:
        raise SystemExit(
            f"Nobody of {dataset.name} is held out: raise --validation, or name the set it is derived from."
        )
    prompts = dict(resolve(options.prompts))
    session = Session(options.backbone, threads=options.threads, overview=options.overview)
    beside = (
        overview_net(options.overview) if options.overview or any(p.card.overview for p in prompts.values()) else None
    )
    if options.closer is not None and beside is not None:
        beside.card |= {"closer": options.closer.split(","), "around": options.around.split(",")}  # the session's too
    if options.share is not None and beside is not None:
        shares = {n: float(s) for n, _, s in (text.rpartition("=") for text in options.share_of)}
        for name in {*prompts} & {*beside.structures}:
            prompts[name] = with_share(prompts[name], shares.get(name, options.share))
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in prompts}
    for case in cases:
        volume = read_volume(case.image)
        reference = read_labels(case.label, volume.grid)
        start = time.perf_counter()
        session.set_volume(volume)
        result = session.segment(prompts.values())
        seconds = time.perf_counter() - start
        line = []
        for value, name in dataset.labels.items():
            there = reference.array == value
            if name not in prompts or not there.any():
                continue
            row = score(result.mask(name), there, volume.grid.spacing[::-1])
            rows[name].append({"dice": row.dice, "hd95": row.hd95_mm, "nsd2": row.nsd_2mm})
            line.append(f"{name} {row.dice:.2f}")
        print(f"{case.name}: {seconds:.1f} s; " + ", ".join(line), flush=True)

    print(f"\n{dataset.name}, {len(cases)} validation volumes: {', '.join(c.name for c in cases)}\n")
    table: list[list[float | str]] = []
    for name, found in rows.items():
        if found:
            dice = [r["dice"] for r in found]
            hd95 = [r["hd95"] for r in found if np.isfinite(r["hd95"])]
            nsd = round(float(np.mean([r["nsd2"] for r in found])), 3)
            median = round(float(np.median(hd95)), 1) if hd95 else "-"
            table.append([name, len(found), round(float(np.mean(dice)), 3), round(min(dice), 3), median, nsd])
    mean = float(np.mean([np.mean([r["dice"] for r in found]) for found in rows.values() if found]))
    table.append([f"mean of {len(table)} structures", "", round(mean, 3), "", "", ""])
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for row in table:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    if options.result:
        machine = computer(session.backbone.device)
        write_result(options.result, machine, COLUMNS, (0, 0, 3, 3, 1, 3), table, side_by_side=2)
    if options.json:
        means = {n: round(float(np.mean([r["dice"] for r in f])), 4) for n, f in rows.items() if f}
        record = {
            "dataset": dataset.name,
            "validation": subjects(cases),
            "dice": means,
            "backbone": session.backbone.id,
        }
        if beside is not None:
            record["overview"] = beside.card["id"]
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
