"""Teaching from a few slices against interpolation: Dice on the slices that were not drawn, and seconds.

    python Testing/Benchmarks/few_slices.py DATASET/dataset.json --cases a,b --structures liver,aorta -k 3 5 9 \
        --json few.json [--ablate] [--left-out spleen] [--minutes 10]

k slices are spread evenly over a structure's extent, ends included. Interpolation is ITK's morphological filter ("Fill
between slices") and the aligned signed distance; per structure the better of both means is what is to be beaten. Rows
are kept in the JSON file after each run, and what is there is not done again. ``--left-out`` names structures that the
backbone was not trained on: they get a mean of their own. ``suggestions.py`` and ``calibration.py`` go on from here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import numpy as np
from uncertainty import CANDIDATES, area, candidates, risk_coverage

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.contours.interpolation import morphological, signed_distance
from PromptSegLib.datasets.loading import Case, read_dataset, split
from PromptSegLib.model.backbone import Backbone
from PromptSegLib.review.metrics import score
from PromptSegLib.segment.result import LogitMap
from PromptSegLib.session import Session
from PromptSegLib.tune import fit
from PromptSegLib.tune.estimate import predictors
from PromptSegLib.tune.examples import Examples
from PromptSegLib.tune.optimise import Tensors, optimise
from PromptSegLib.tune.tuner import TuningRecipe
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.volume import Grid, Volume
from PromptSegTrain.simulate import evenly_spaced

OURS = "PromptSeg"


@dataclass(frozen=True)
class Lever:
    """One choice set back: ``recipe`` learns anew, and of the tensors only those whose names begin as ``learn`` says;
    ``weight`` only fuses the learned prompt in another way."""

    recipe: TuningRecipe | None = None
    weight: float | None = None
    learn: tuple[str, ...] = ("",)


LEVERS = {
    OURS: Lever(TuningRecipe()),
    "network alone": Lever(weight=0.0),
    "contours alone": Lever(weight=1000.0),
    "contours' weight 15": Lever(weight=15.0),
    "contours' weight 40": Lever(weight=40.0),
    "proposal only": Lever(TuningRecipe(steps=0, folds=0)),
    "head tokens only": Lever(TuningRecipe(), learn=("head.",)),
    "decoder and head": Lever(TuningRecipe(), learn=("decoder.", "head.")),
    "no variants": Lever(TuningRecipe(variants=0)),
    "no leaving out: 30 steps": Lever(TuningRecipe(folds=0)),
    "60 steps at most": Lever(TuningRecipe(steps=60)),
    "half the rate": Lever(TuningRecipe(lr=0.1)),
}


@dataclass(frozen=True)
class Task:
    """One structure of one volume; ``mask`` (K, J, I) is the reference."""

    case: str
    structure: str
    volume: Volume
    mask: np.ndarray

    def draw(self, slices: Sequence[int]) -> SliceAnnotations:
        """These slices as a user would draw them."""
        return SliceAnnotations.from_labels(self.mask.astype(np.uint8), self.volume.grid, 1, slices)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What all scripts on teaching from few slices are told."""
    parser.add_argument("dataset", type=Path, help="dataset.json in the Decathlon layout")
    parser.add_argument("--cases", help="names with commas; default: the validation split of pre-training")
    parser.add_argument("--structures", help="names with commas; default: all")
    parser.add_argument("--left-out", default="", help="structures that the backbone was not trained on")
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--validation", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, help="only the first N cases")
    parser.add_argument("--margin-mm", type=float, help="only slices up to this far from the structure")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing new after so long")
    parser.add_argument("--json", type=Path, required=True, help="where rows are kept")


def tasks(options: argparse.Namespace, minimum: int) -> Iterator[Task]:
    """Every structure on at least ``minimum`` slices of every case."""
    dataset = read_dataset(options.dataset)
    held_out: Sequence[Case] = split(dataset, options.validation, options.seed)[1]
    names = options.cases.split(",") if options.cases else [c.name for c in held_out]
    wanted = options.structures.split(",") if options.structures else list(dataset.labels.values())
    unknown = ({*names} - {c.name for c in dataset.cases}) | ({*wanted} - {*dataset.labels.values()})
    if unknown:
        raise SystemExit(f"{dataset.name} has no {', '.join(sorted(unknown))}.")
    for case in [c for name in names for c in dataset.cases if c.name == name][: options.limit]:
        volume = read_volume(case.image)
        labels = read_labels(case.label, volume.grid).array
        for value, structure in dataset.labels.items():
            mask = labels == value
            count = np.count_nonzero(mask.any((1, 2))) if structure in wanted else 0
            if count >= minimum:
                yield cropped(Task(case.name, structure, volume, mask), options.margin_mm)
            elif count:
                print(f"{case.name}: {structure} is in {count} slices only and is left out")


def cropped(task: Task, margin_mm: float | None) -> Task:
    """Only the slices up to ``margin_mm`` beyond the structure."""
    if margin_mm is None:
        return task
    low, high = span_around(task, margin_mm)
    matrix = task.volume.grid.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * low
    voxels = task.volume.voxels[low:high]
    part = Volume(voxels, Grid.from_ijk_to_ras(matrix, voxels.shape), task.volume.name)
    return replace(task, volume=part, mask=task.mask[low:high])


def span_around(task: Task, margin_mm: float) -> tuple[int, int]:
    """The first slice up to ``margin_mm`` before the structure, and the one after the last behind it."""
    there, margin = np.flatnonzero(task.mask.any((1, 2))), round(margin_mm / task.volume.grid.spacing[2])
    return max(0, int(there[0]) - margin), min(len(task.mask), int(there[-1]) + margin + 1)


class Rows:
    """Rows in a JSON file, by key; written after each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def add(self, key: str, row: dict[str, Any]) -> None:
        """Keep a row, whole or not at all."""
        self.rows[key] = row
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.path)


def dice_without(found: np.ndarray, task: Task, drawn: Sequence[int]) -> float:
    """Dice on the slices that were not drawn; NaN where there is nothing."""
    rest = np.setdiff1d(np.arange(len(task.mask)), drawn)
    total = np.count_nonzero(found[rest]) + np.count_nonzero(task.mask[rest])
    return 2 * np.count_nonzero(found[rest] & task.mask[rest]) / total if total else float("nan")


def interpolations(task: Task, k: int) -> dict[str, Any]:
    """Dice and seconds of both."""
    slices = evenly_spaced(task.mask, k)
    masks, depth = {n: task.mask[n] for n in slices}, len(task.mask)
    start = time.perf_counter()
    blend = signed_distance(masks, depth, task.volume.grid.spacing[::-1]) > 0
    middle = time.perf_counter()
    fill = morphological(masks, depth)
    seconds = {"blend": middle - start, "fill": time.perf_counter() - middle}
    return {
        "fill": dice_without(fill, task, slices), "blend": dice_without(blend, task, slices), "seconds": seconds
    }  # fmt: skip


@contextlib.contextmanager
def learning_only(beginnings: tuple[str, ...]) -> Iterator[None]:
    """Meanwhile, teaching changes only the tensors whose names begin so: the network is given the others as they were,
    so that they have no gradient."""

    def some(backbone: Backbone, examples: Examples, start: Tensors, *more: Any) -> Iterator[Any]:
        held = {k: v.to(backbone.dtype) for k, v in start.items() if not k.startswith(beginnings)}
        net = SimpleNamespace(decode=lambda encoded, tensors: backbone.net.decode(encoded, tensors | held))
        return optimise(cast(Backbone, SimpleNamespace(net=net, dtype=backbone.dtype)), examples, start, *more)

    with mock.patch.object(fit, "optimise", some):
        yield


def teach(session: Session, task: Task, k: int, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each of the levers ``names``: Dice, what is known without the reference, and seconds."""
    slices = evenly_spaced(task.mask, k)
    annotations, structure = task.draw(slices), Structure(task.structure)
    session.set_volume(task.volume)
    ours = None
    for name in names:
        lever = LEVERS[name]
        start = time.perf_counter()
        if lever.recipe is not None or ours is None:
            with learning_only(lever.learn):
                learned = session.tune(annotations, structure, recipe=lever.recipe or TuningRecipe())
            ours = learned if name == OURS or ours is None else ours
        else:
            learned = ours
        taught = time.perf_counter()
        prompt = learned.prompt
        if lever.weight is not None:
            prompt = replace(prompt, card=replace(prompt.card, contour_weight=lever.weight))
        found = session.segment([prompt], drawn={structure.name: annotations})
        done = time.perf_counter()
        mask = found.mask(structure.name)
        assert all(np.array_equal(mask[n], task.mask[n]) for n in slices), "drawn slices come back as drawn"
        row = score(mask, task.mask, task.volume.grid.spacing[::-1], slices)
        yield (
            name,
            {
                "slices": slices,
                "dice": row.dice,
                "hd95": row.hd95_mm,
                "nsd2": row.nsd_2mm,
                "leave_one_out": learned.leave_one_out,
                "signs": predictors(found.maps[structure.name], annotations, learned.leave_one_out_dice),
                "risk": risks(found.maps[structure.name], task.mask, slices),
                "weight": prompt.card.contour_weight,
                "steps": prompt.card.steps,
                "first_mask": learned.seconds["first mask"],
                "seconds": {"tune": taught - start, "segment": done - taught},
            },
        )


def risks(logits: LogitMap, reference: np.ndarray, drawn: Sequence[int]) -> dict[str, float]:
    """Area under the risk-coverage curve of each candidate map, times 1000, on undrawn slices near the structure.

    *perfect* is what a map would have that puts all errors last.
    """
    there = np.flatnonzero(reference.any((1, 2)))
    maps: dict[str, list[np.ndarray]] = {name: [] for name in CANDIDATES}
    wrong: list[np.ndarray] = []
    flat = logits.work.mask_to_working(reference.any(0)) > 0.5
    box = tuple(slice(max(0, int(i.min()) - 10), int(i.max()) + 11) for i in np.nonzero(flat))
    if len(box) < 2 or not flat.any():
        return {}
    for k in range(int(there[0]), int(there[-1]) + 1):
        if k not in drawn:
            found = logits.slices.get(k)
            inside = np.zeros(flat.shape, bool) if found is None else found > 0
            wrong.append((inside ^ (logits.work.mask_to_working(reference[k]) > 0.5))[box].ravel())
            for name, values in candidates(logits, k).items():
                maps[name].append(values[box].ravel())
    if not wrong:
        return {}
    errors = np.concatenate(wrong)
    areas = {name: 1000 * area(*risk_coverage(np.concatenate(v).round(4), errors)) for name, v in maps.items()}
    return areas | {"perfect": 1000 * area(*risk_coverage(np.arange(len(errors)), np.sort(errors)))}


def mean(values: Sequence[float]) -> float:
    """Of what is defined."""
    known = [v for v in values if v == v]
    return sum(known) / len(known) if known else float("nan")


def table(rows: dict[str, dict[str, Any]], k: int, left_out: Sequence[str]) -> None:
    """Print the structures' means for one k, side by side."""
    here = [r for r in rows.values() if r["k"] == k]
    names = list(dict.fromkeys(r["structure"] for r in here))
    variants = [v for v in LEVERS if any(r["variant"] == v for r in here)]
    print(f"\nk = {k}\n\n| structure | volumes | {' | '.join(variants)} | fill | signed distance | better of both |")
    print("|---" * (len(variants) + 5) + "|")
    lines: dict[str, list[float]] = {}
    for name in names:
        own = [r for r in here if r["structure"] == name]
        values = [mean([r["dice"] for r in own if r["variant"] == v]) for v in variants]
        both = [mean([r[m] for r in own if r["variant"] == "interpolation"]) for m in ("fill", "blend")]
        lines[name] = [*values, *both, max(both)]
        count = len({r["case"] for r in own})
        flag = " (left out)" if name in left_out else ""
        print(f"| {name}{flag} | {count} | " + " | ".join(f"{v:.3f}" for v in lines[name]) + " |")
    groups = {"mean": names, "mean, left out": [n for n in names if n in left_out]}
    for title, members in groups.items():
        if members:
            means = [mean(column) for column in zip(*(lines[n] for n in members), strict=True)]
            print(f"| **{title}** of {len(members)} | | " + " | ".join(f"**{v:.3f}**" for v in means) + " |")
    for v in variants:
        own = [r["seconds"] for r in here if r["variant"] == v]
        print(
            f"{v}: {mean([s['tune'] for s in own]):.1f} s to learn, {mean([s['segment'] for s in own]):.1f} s a volume"
        )
    risk = [r["risk"] for r in here if r["variant"] == OURS and r["risk"]]
    if risk:
        areas = ", ".join(f"{name} {mean([r[name] for r in risk]):.2f}" for name in risk[0])
        print(f"Area under the risk-coverage curve, times 1000: {areas}")
    own = [r["seconds"] for r in here if r["variant"] == "interpolation"]
    print(f"fill {mean([s['fill'] for s in own]):.1f} s, signed distance {mean([s['blend'] for s in own]):.1f} s")


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("-k", type=int, nargs="+", default=[3, 5, 9])
    ablate = "also set back one choice at a time; names of levers, or nothing for all"
    parser.add_argument("--ablate", nargs="*", choices=list(LEVERS), metavar="LEVER", help=ablate)
    options = parser.parse_args()
    chosen = [OURS, *([] if options.ablate is None else [n for n in options.ablate or LEVERS if n != OURS])]
    rows, began = Rows(options.json), time.perf_counter()
    session = Session(options.backbone, threads=options.threads)
    for task in tasks(options, max(options.k) + 1):
        for k in options.k:
            place = {"case": task.case, "structure": task.structure, "k": k}
            key = f"{session.backbone.id[:12]} {task.case} {task.structure} {k}"
            missing = [n for n in chosen if f"{key} {n}" not in rows.rows]
            if time.perf_counter() - began > 60 * options.minutes:
                continue
            if f"{key} interpolation" not in rows.rows:
                rows.add(f"{key} interpolation", {**place, "variant": "interpolation", **interpolations(task, k)})
            if not missing:
                continue
            for name, row in teach(session, task, k, missing):
                rows.add(f"{key} {name}", {**place, "variant": name, **row})
                other = rows.rows[f"{key} interpolation"]
                better = max(other["fill"], other["blend"])
                seconds = row["seconds"]["tune"] + row["seconds"]["segment"]
                print(f"{key}: {name} {row['dice']:.3f}, interpolation {better:.3f}, {seconds:.1f} s", flush=True)
    own = {n: r for n, r in rows.rows.items() if n.startswith(session.backbone.id[:12])}
    for k in sorted({r["k"] for r in own.values()}):
        table(own, k, options.left_out.split(","))


if __name__ == "__main__":
    main()
