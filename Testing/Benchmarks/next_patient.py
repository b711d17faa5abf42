"""A prompt from k slices of one subject, or of several, used on other subjects: Dice on their whole volumes.

    PYTHONPATH=PromptSeg:Testing/Benchmarks python Testing/Benchmarks/next_patient.py DATASET/dataset.json \
        --teachers a,b,c --cases d,e --structures liver,aorta --json next.json

The slices are spread evenly over the structure's extent, ends included; the first of the teachers is the one subject.
Beside them the prompt of ``--prompts`` that the backbone was trained with, from all of its subjects: what a few slices
could come to at best. ``--networks`` adds full fine-tuning (backbone and prompt learned further) and a small U-Net
from random numbers, on the slices of the one subject. Rows are kept in the JSON file, and what is there is not done
again.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from few_slices import Rows, Task, add_arguments, mean, tasks
from whole_networks import drawn_slices, fine_tuned, from_scratch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.model.backbone import Backbone
from PromptSegLib.prompts.library import resolve
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.review.metrics import score
from PromptSegLib.session import Session
from PromptSegTrain.simulate import evenly_spaced

NETWORKS = {"full fine-tuning": (fine_tuned, 150, 3e-4), "small U-Net": (from_scratch, 600, 2e-3)}
"""Steps of all slices, and the network's learning rate."""
Way = tuple[Backbone, Prompt, float, float | None]


def ways(session: Session, teachers: list[Task], k: int, shipped: Prompt | None, networks: bool) -> dict[str, Way]:
    """Each way's network and prompt, the seconds that it took to learn, and what the network alone found of the drawn
    slices while they were left out."""
    found: dict[str, Way] = {}
    backbone = session.backbone
    for count in sorted({1, len(teachers)}):
        start = time.perf_counter()
        pairs = [(t.volume, t.draw(evenly_spaced(t.mask, k))) for t in teachers[:count]]
        learned = session.tune(pairs, Structure(teachers[0].structure))
        title = "one subject" if count == 1 else f"{count} subjects"
        found[title] = (backbone, learned.prompt, time.perf_counter() - start, learned.network_dice)
    if shipped is not None:
        found["pre-trained"] = (backbone, shipped, float("nan"), None)
    if networks:
        slices = drawn_slices(teachers[:1], k)
        for title, (learn, steps, lr) in NETWORKS.items():
            start = time.perf_counter()
            made = learn(backbone, found["one subject"][1], slices, steps, lr)
            found[title] = (*made, time.perf_counter() - start, None)
    return found


def main() -> None:
    """Learn, use, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--teachers", required=True, help="names of the subjects whose slices are drawn, with commas")
    parser.add_argument("--prompts", default="abdomen-ct", help="the set that has the pre-trained prompts")
    parser.add_argument("--networks", action="store_true", help="also whole networks on the same slices")
    parser.add_argument("-k", type=int, default=5)
    options = parser.parse_args()
    teaching = argparse.Namespace(**{**vars(options), "cases": options.teachers})
    using = argparse.Namespace(**{**vars(options), "margin_mm": None})
    teachers: dict[str, list[Task]] = {}
    for task in tasks(teaching, options.k):
        teachers.setdefault(task.structure, []).append(task)
    patients: dict[str, list[Task]] = {}
    for task in tasks(using, 1):
        patients.setdefault(task.structure, []).append(task)
    rows, began = Rows(options.json), time.perf_counter()
    session, known = Session(options.backbone, threads=options.threads), resolve(options.prompts)
    for structure, some in teachers.items():
        key = f"{session.backbone.id[:12]} {options.teachers} {options.k} {structure}" + " networks" * options.networks
        todo = [t for t in patients.get(structure, ()) if f"{key} {t.case}" not in rows.rows]
        if not todo or time.perf_counter() - began > 60 * options.minutes:
            continue
        learned = ways(session, some, options.k, known.get(structure), options.networks)
        whole = session.backbone
        for task in todo:
            session.set_volume(task.volume)
            dice = {}
            for title, (backbone, prompt, *_) in learned.items():
                session.backbone = backbone
                mask = session.segment([prompt]).mask(prompt.structure.name)
                dice[title] = score(mask, task.mask, task.volume.grid.spacing[::-1]).dice
            session.backbone = whole
            seconds = {title: taken for title, (*_, taken, _) in learned.items()}
            here = {title: alone for title, (*_, alone) in learned.items() if alone is not None}
            row = {"structure": structure, "case": task.case, "dice": dice, "tune": seconds, "left_out": here}
            rows.add(f"{key} {task.case}", row)
            print(f"{structure}, {task.case}: " + ", ".join(f"{t} {d:.3f}" for t, d in dice.items()), flush=True)
    table(list(rows.rows.values()))


def table(rows: list[dict]) -> None:
    """Print each structure's mean over the subjects, side by side."""
    titles = list(dict.fromkeys(title for row in rows for title in row["dice"]))
    print(f"\n| structure | subjects | {' | '.join(titles)} |\n" + "|---" * (len(titles) + 2) + "|")
    columns: list[list[float]] = []
    for structure in dict.fromkeys(row["structure"] for row in rows):
        own = [row for row in rows if row["structure"] == structure]
        columns.append([mean([row["dice"].get(title, float("nan")) for row in own]) for title in titles])
        print(f"| {structure} | {len(own)} | " + " | ".join(f"{value:.3f}" for value in columns[-1]) + " |")
    means = [float(np.nanmean(column)) for column in zip(*columns, strict=True)]
    print(f"| **mean of {len(columns)}** | | " + " | ".join(f"**{value:.3f}**" for value in means) + " |")
    seconds = [mean([row["tune"].get(title, float("nan")) for row in rows]) for title in titles]
    print("Seconds to learn: " + ", ".join(f"{t} {s:.0f}" for t, s in zip(titles, seconds, strict=True)))


if __name__ == "__main__":
    main()
