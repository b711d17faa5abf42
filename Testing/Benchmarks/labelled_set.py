"""One structure learned from a labelled set: a prompt, all of the network, and five slices; Dice of held-out subjects.

    PYTHONPATH=PromptSeg:Testing/Benchmarks python Testing/Benchmarks/labelled_set.py DATASET/dataset.json \
        --structures heart --held-out a,b --backbone FILE.safetensors --json FILE.json [--result FILE.json]

All other subjects of the set teach. *prompt* is ``promptseg tune --dataset``; *all of the network* learns with the same
start, slices in the same order, loss, steps and average, prompt included. Neither looks at the held-out subjects, so
the last step is kept. *With three places*, three of the subjects that taught are registered with the patient, as
Segment does on the same computer. *Five slices* are drawn in the first subject, whose own mask has *its place*.
Everything is segmented as a user would, in whole volumes. A backbone that has learned from a held-out subject is
refused. Rows are kept in the JSON file, and what is there is not done again; ``--result`` makes the table from all rows
of that file, whichever backbones they are of.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from few_slices import Rows, Task, mean, tasks
from result_file import write_result

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.datasets.description import read_dataset
from PromptSegLib.datasets.loading import load_samples, subjects
from PromptSegLib.datasets.provenance import both, learned_from, subjects_of
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.labelled import run_folder
from PromptSegLib.labelled.carried_subjects import memory_of
from PromptSegLib.labelled.learn import BALANCE, SetResult, learn
from PromptSegLib.labelled.set_recipe import SetRecipe
from PromptSegLib.model.backbone import Backbone
from PromptSegLib.model.losses import mask_loss
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.register.teachers import MAX_USED, Memory
from PromptSegLib.review.metrics import score
from PromptSegLib.session import Session
from PromptSegTrain.simulate import evenly_spaced

WHOLE, PLACES, FEW = "all of the network", "prompt with three places", ("five slices", "five slices with its place")
WAYS = ("prompt", WHOLE, PLACES, *FEW)
RATE = 3e-4
"""Of all of the network; its prompt learns at the rate of prompts."""


def part_of(path: Path, names: list[str], folder: Path) -> Path:
    """A dataset.json of these subjects alone."""
    dataset = read_dataset(path)
    training = [
        {"image": str(c.image), "label": str(c.label), "subject": c.subject} for c in dataset.cases if c.name in names
    ]
    labels = {str(value): name for value, name in dataset.labels.items()}
    told = {"name": dataset.name, "licence": dataset.licence, "labels": labels, "training": training}
    (folder / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    return folder / "dataset.json"


def fine_tuned(
    backbone: Backbone, part: Path, structure: str, first: Prompt, recipe: SetRecipe, cache: Path
) -> tuple[Backbone, Prompt]:
    """All of the network and the prompt, learned as :func:`learn` learns the prompt alone."""
    dataset = read_dataset(part)
    samples = [
        replace(s, where={structure: s.where[structure]}, absent=())
        for s in load_samples(dataset, dataset.cases, cache) if structure in s.where
    ]  # fmt: skip
    sampler = TaskSampler([samples], [1.0], [structure], recipe.seed)
    sampler.draw(4)  # what the first prompt was proposed from
    net = copy.deepcopy(backbone.net).float().requires_grad_(True)
    fast = copy.deepcopy(net).to(backbone.dtype)
    own = list(net.parameters())
    tensors = {k: v.clone().float().requires_grad_(True) for k, v in first.tensors.items()}
    learned = [*own, *tensors.values()]
    average = [p.detach().clone() for p in learned]
    rates = [{"params": own, "peak": RATE}, {"params": list(tensors.values()), "peak": recipe.lr}]
    optimiser = torch.optim.Adam(rates, lr=RATE, betas=(0.9, 0.95))
    for step in range(recipe.steps):
        fall = 0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * step / recipe.steps))
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / recipe.warmup) * fall
        batch = sampler.draw(recipe.groups)
        with torch.no_grad():
            torch._foreach_copy_(list(fast.parameters()), own)
        fast.zero_grad(set_to_none=True)
        optimiser.zero_grad(set_to_none=True)
        prompt = {k: v.to(backbone.dtype) for k, v in tensors.items()}
        logits = fast.decode(fast.encode(batch.images.to(backbone.dtype)), prompt)
        mask_loss(logits, (batch.labels == 1).float(), balance=BALANCE).mean().backward()
        for p, f in zip(own, fast.parameters(), strict=True):
            p.grad = None if f.grad is None else f.grad.float()
        torch.nn.utils.clip_grad_norm_(own, 1.0)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, learned, 1 - min(recipe.ema, (2 + step) / (11 + step)))
    with torch.no_grad():
        torch._foreach_copy_(own, average[: len(own)])
    kept = dict(zip(tensors, average[len(own) :], strict=True))
    return replace(backbone, net=net.to(backbone.dtype).freeze()), replace(first, tensors=kept)


def learned_by(
    way: str, session: Session, part: Path, teachers: list[Task], options: argparse.Namespace
) -> tuple[Backbone, Prompt, Memory, float]:
    """Backbone, prompt, earlier patients and CPU seconds of one way. A prompt that was learned is kept in the cache."""
    backbone, structure, began = session.backbone, teachers[0].structure, time.process_time()
    recipe = SetRecipe(steps=options.steps, validation=0.0, seed=options.seed)
    if way not in FEW:
        title = f"{backbone.id[:12]} {structure} {options.steps}".replace(" ", "-")
        file = options.cache / f"{title}.promptset"
        made = learned(backbone, part, structure, recipe if way != WHOLE else replace(recipe, steps=0), options.cache)
        if way == WHOLE:
            both_learned = fine_tuned(backbone, part, structure, made.prompt, recipe, options.cache)
            return *both_learned, Memory(), time.process_time() - began
        PromptSet.of(title, [made.prompt]).write(file)
        known = memory_of(made.subjects, [part], options.cache, structure) if way == PLACES else Memory()
        return backbone, made.prompt, known, time.process_time() - began
    task = teachers[0]
    drawn = task.draw(evenly_spaced(task.mask, 5))
    session.set_volume(task.volume)
    prompt = session.tune(drawn, Structure(structure)).prompt
    memory = Memory()
    if way == FEW[1]:
        found = session.segment([prompt], drawn={structure: drawn})
        memory = Memory([session.remember(found, drawn, prompt)])
    return backbone, prompt, memory, time.process_time() - began


def learned(backbone: Backbone, part: Path, structure: str, recipe: SetRecipe, cache: Path) -> SetResult:
    """As ``promptseg tune --dataset`` does, with a cache that stays."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run_folder.take(run)
        (run / run_folder.CACHE).symlink_to(cache.resolve())
        return learn(backbone, [part], structure, run, recipe=recipe)


def measure(options: argparse.Namespace, rows: Rows) -> None:
    """Learn in every way that is missing, and use it on the held-out subjects."""
    session = Session(options.backbone, threads=options.threads)
    dataset = read_dataset(options.dataset)
    held_out = options.held_out.split(",")
    whose = subjects(c for c in dataset.cases if c.name in held_out)
    learned = both(whose, subjects_of(learned_from(session.backbone.card), dataset.derived_from or dataset.name))
    if learned:
        raise SystemExit(f"The backbone has learned from {learned}.")
    names = [c.name for c in dataset.cases if c.subject not in whose]
    options.cache.mkdir(parents=True, exist_ok=True)
    every = {"margin_mm": None, "limit": None}
    for structure in options.structures.split(","):
        asked = {"dataset": options.dataset, "structures": structure, "validation": 0.0, "seed": 1}
        first = SimpleNamespace(**asked, cases=names[0], margin_mm=20.0, limit=1)
        teachers = list(tasks(first, 5)) or list(tasks(SimpleNamespace(**asked, **every, cases=",".join(names)), 5))[:1]
        measured = ",".join(held_out[: options.limit])
        patients = list(tasks(SimpleNamespace(**asked, **every, cases=measured), 1))
        for way in options.ways.split(","):
            key = f"{session.backbone.id[:12]} {dataset.name} {structure} {options.steps} {way}"
            if all(f"{key} {task.case}" in rows.rows for task in patients):
                continue
            with tempfile.TemporaryDirectory() as folder:
                part = part_of(options.dataset, names, Path(folder))
                backbone, prompt, memory, taken = learned_by(way, session, part, teachers, options)
            whole = session.backbone
            for task in patients:
                session.set_volume(task.volume)
                session.backbone = backbone
                others = session.others(memory, structure)[-MAX_USED:] if memory.teachers else []
                found = session.segment([prompt], priors={structure: others} if others else {})
                session.backbone = whole
                row = score(found.mask(prompt.structure.name), task.mask, task.volume.grid.spacing[::-1])
                entry = {
                    "structure": structure, "title": options.title or structure, "dataset": dataset.name, "way": way,
                    "case": task.case, "dice": row.dice, "hd95": row.hd95_mm, "cpu": taken,
                    "teachers": 1 if "five" in way else len(names),
                }  # fmt: skip
                rows.add(f"{key} {task.case}", entry)
                print(f"{key}, {task.case}: {row.dice:.3f}, {taken:.0f} s of CPU", flush=True)


def table(rows: list[dict], path: Path, machine: str) -> None:
    """Mean Dice of each structure and of the ways that were measured, and how far the prompt is behind."""
    ways = [way for way in WAYS[2:] if any(r["way"] == way for r in rows)]
    lines: list[list[float | str]] = []
    for title in dict.fromkeys(r["title"] for r in rows):
        own = [r for r in rows if r["title"] == title]
        dice = {way: mean([r["dice"] for r in own if r["way"] == way]) for way in WAYS}
        cpu = [mean([r["cpu"] for r in own if r["way"] == way]) / 60 for way in WAYS[:2]]
        subjects = f"{max(r['teachers'] for r in own)} / {len({r['case'] for r in own})}"
        behind = 100 * (dice["prompt"] - dice[WHOLE])
        numbers = [dice["prompt"], dice[WHOLE], behind, *(dice[way] for way in ways)]
        minutes = " / ".join("-" if c != c else f"{c:.1f}" for c in cpu)
        lines.append([title, subjects, *("" if v != v else v for v in numbers), minutes])
    columns = ["structure", "taught by / held out", "prompt", WHOLE, "points between", *ways, "CPU min, prompt / all"]
    digits = [0, 0, 3, 3, 1, *[3] * len(ways), 0]
    write_result(path, machine, columns, digits, lines, signed=["points between"])


def main() -> None:
    """Measure what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="dataset.json in the Decathlon layout")
    parser.add_argument("--structures", help="names with commas")
    parser.add_argument("--held-out", help="names of subjects with commas; all others teach")
    parser.add_argument("--limit", type=int, help="measure on only the first N of the held-out subjects")
    parser.add_argument("--ways", default=",".join(WAYS), help="which to measure")
    parser.add_argument("--title", help="what the table calls the structure")
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cache", type=Path, default=Path("runs/labelled-set"), help="where prepared volumes are kept")
    parser.add_argument("--json", type=Path, required=True, help="where rows are kept")
    parser.add_argument("--result", type=Path, help="where the table goes")
    parser.add_argument("--machine", default="")
    options = parser.parse_args()
    rows = Rows(options.json)
    if options.structures:
        measure(options, rows)
    if options.result:
        table(list(rows.rows.values()), options.result, options.machine)


if __name__ == "__main__":
    main()
