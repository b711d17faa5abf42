"""The paper's claim, measured: a prompt of under 1 % of the network is nearly as good as fine-tuning all of it.

    python Testing/Benchmarks/paper_claim.py BTCV/dataset.json --out runs/claim/results.json
    python Testing/Benchmarks/paper_claim.py --out runs/claim/results.json --table

A network is pre-trained on spleen, left kidney, gallbladder and liver, then learns esophagus, stomach and pancreas, one
at a time, in each of the ways of ``adaptation.py``, from all, 10 and 3 subjects. Every finished cell is written to the
JSON file; what is there is not computed again. Learning rates are chosen for each way on a structure that is neither
pre-trained nor asked for, on training subjects alone.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from adaptation import METHODS, Frozen, Slices, clock, examine, learn, lessons, questions, restrict
from paper_claim_table import mean, table

from PromptSegLib.atomic import replacing
from PromptSegLib.datasets import contrastive_views, loading, tasks
from PromptSegLib.datasets.loading import Sample
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.model.config import PUNetConfig, paper
from PromptSegLib.model.files import read_tensors, write_tensors
from PromptSegLib.model.precision import fast_dtype, keep_freed_memory, pick_device
from PromptSegTrain.pretraining_model import PretrainingModel
from PromptSegTrain.recipe import MODES, OPTIMISERS, Recipe
from PromptSegTrain.step import average, optimiser_of, train_step
from PromptSegTrain.validate import validate

BASE = ("spleen", "left kidney", "gallbladder", "liver")
NEW = ("esophagus", "stomach", "pancreas")
REHEARSAL = "inferior vena cava"
"""What learning rates are chosen on."""
REHEARSED = 4
"""Of how many of its steps the rehearsal of a learning rate has one."""
MAX_RATES = 3
"""Two for each way, and one beyond the better of them."""
FIRST = ("prompts", "decoder", "full", "head", "linear", "scratch")
AGAIN = ("prompts", "full", "readout", "both", "decoder", "head")  # with further seeds and other pre-trainings
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Settings:
    """What decides the figures; they are kept with the results, and other settings refuse to be mixed with them."""

    spacing: float = 3.0
    size: tuple[int, int] = (96, 128)
    config: str = "all blocks"
    pretraining_steps: int = 1000
    steps: int = 300
    batches: int = 60
    dense: float = 1.0
    """Weight of the loss of all base structures at once, which reaches the network past their deep tokens."""
    episodic: float = 0.0
    """Weight of few-shot tasks, drawn in other slices: base structures, unions of two, and all of one brightness."""
    cpa: float = 0.01
    """Weight of contrastive prototype assignment in mode "joint"."""
    head_width: int = 16
    """Features that the head compares."""
    optimiser: str = "adamw"
    """What moves the network's matrices in pre-training."""
    pseudo: float = 0.0
    """Share of the few-shot groups that are about regions of even grey, in volumes without any label of the new."""
    groups: int = 2
    every: int = 3
    base: tuple[str, ...] = BASE
    new: tuple[str, ...] = NEW
    rehearsal: str = REHEARSAL

    def network(self) -> PUNetConfig:
        """The sizes of the network."""
        if self.config == "paper":
            return paper()
        levels = (1, 2, 3, 4) if self.config == "all blocks" else (4,)
        width = PUNetConfig.proposer_width if self.episodic else 0
        return PUNetConfig(prompted_encoder_levels=levels, proposer_width=width, head_width=self.head_width)


@dataclass(frozen=True)
class Cell:
    """One figure to be measured: which pre-training, structure, number of subjects (0: all), method and seed."""

    mode: str
    structure: str
    subjects: int
    method: str
    seed: int

    @property
    def key(self) -> str:
        """Its name in the results."""
        return "|".join(str(v) for v in asdict(self).values())


class Results:
    """The JSON file: settings, pre-trainings, learning rates and cells; written whole after every change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, Any] = {"settings": {}, "pretraining": {}, "rates": {}, "cells": {}}
        if path.is_file():
            self.values.update(json.loads(path.read_text(encoding="utf-8")))

    def bind(self, settings: Settings) -> None:
        """Refuse to go on with other settings than the file's."""
        wanted = json.loads(json.dumps(asdict(settings)))
        former = {k.replace("shown", "episodic"): v for k, v in self.values["settings"].items()}  # as it was called
        later = {k: v for k, v in asdict(Settings()).items() if k in ("optimiser", "pseudo")}
        if former and {**later, **former} != wanted:
            raise SystemExit(f"{self.path} was made with other settings: choose another --out")
        self.values["settings"] = wanted

    def put(self, part: str, key: str, value: Any) -> None:
        """Add one entry and write the file."""
        self.values[part][key] = value
        with replacing(self.path) as file:
            file.write(json.dumps(self.values, indent=1).encode())


@dataclass
class Material:
    """The volumes: ``training`` to learn from, ``held_out`` to ask about."""

    training: list[Sample]
    held_out: list[Sample]

    def some(self, count: int, seed: int) -> list[Sample]:
        """``count`` training subjects (0: all) drawn by ``seed``; a larger draw holds the smaller ones."""
        names = sorted(s.name for s in self.training)
        random.Random(seed).shuffle(names)
        chosen = set(names[: count or None])
        return [s for s in self.training if s.name in chosen]


def load(path: Path, settings: Settings, cache: Path) -> Material:
    """The data set at the settings' spacing, by the split that pre-training uses (a quarter is held out, seed 1)."""
    # The library has one working spacing; sizes that go with it are scaled alike.
    loading.RECIPE = {**loading.RECIPE, "spacing": settings.spacing}
    tasks.SIZES = (settings.size,) * 4
    scale = 2.0 / settings.spacing
    contrastive_views.TEACHER, large, small = (8 * round(side * scale / 8) for side in (192, 168, 120))
    contrastive_views.STUDENTS = (large, small)
    dataset = loading.read_dataset(path)
    part = loading.load_part(
        dataset, 0.25, 1, cache, max_validated=1000, regions=settings.pseudo > 0, on_progress=lambda p: say(p.message)
    )
    return Material(part.training, part.validation)


def pretrain(
    mode: str, material: Material, settings: Settings, dtype: torch.dtype, place: torch.device = CPU
) -> tuple[PretrainingModel, dict[str, Any]]:
    """Train network and prompts on the base structures alone; gives the moving average and its record."""
    steps = settings.pretraining_steps
    recipe = Recipe(
        steps=steps,
        groups=settings.groups,
        warmup=max(1, steps // 12),
        decay=max(1, steps // 2),
        ema=0.99,
        mode=mode,
        dense=settings.dense,
        episodic=settings.episodic,
        cpa=settings.cpa,
        optimiser=settings.optimiser,
    )
    began = clock(place)
    torch.manual_seed(recipe.seed)
    model = PretrainingModel(settings.network(), settings.base).to(place)
    ema = copy.deepcopy(model).requires_grad_(False)
    optimiser = optimiser_of(model, recipe)
    fast = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
    teacher = None if mode == "supervised" else copy.deepcopy(ema).to(dtype).eval()
    known = restrict(material.training, settings.base)
    sampler = TaskSampler([known], [1.0], settings.base, recipe.seed, place, pseudo=settings.pseudo)
    model.train()
    sums: dict[str, float] = {}
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * recipe.rate(step)
        batch = sampler.draw(recipe.groups, recipe.prompt_tasks, views=teacher is not None, tasks=mode != "self")
        if teacher is not None:
            with torch.no_grad():
                torch._foreach_copy_(list(teacher.parameters()), list(ema.parameters()))
        losses = train_step(model, fast, optimiser, batch.to(place), dtype, recipe, teacher)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value / 50
        average(ema, model, recipe.ema_decay(step))
        if (step + 1) % 50 == 0:
            seconds = clock(place) - began
            say(f"{mode}: step {step + 1}, {seconds:.0f} s, " + ", ".join(f"{k} {v:.3f}" for k, v in sums.items()))
            sums = {}
    record: dict[str, Any] = {"steps": recipe.steps, "seconds": round(clock(place) - began, 1), "dice": {}}
    if mode != "self":  # there, prompts of the base structures have learned nothing
        exact = copy.deepcopy(ema).to(dtype)
        held_out = restrict(material.held_out, settings.base)
        scores = validate(exact, held_out, settings.base, place, settings.every)
        record["dice"] = {k: round(v[0], 4) for k, v in scores.items()}
    return ema.eval(), record


class Experiment:
    """Everything that cells share, made when first needed and kept while it is used."""

    def __init__(
        self,
        material: Material,
        settings: Settings,
        results: Results,
        mode: str = "supervised",
        place: torch.device = CPU,
    ) -> None:
        self.material, self.settings, self.results = material, settings, results
        self.rehearsed_on, self.place = mode, place
        self.dtype = fast_dtype(place)
        self._frozen: dict[str, tuple[Frozen, Slices]] = {}
        self._pool: tuple[tuple, Slices] | None = None

    def frozen(self, mode: str) -> tuple[Frozen, Slices]:
        """The pre-trained network of ``mode`` and the held-out slices; trained now if it is not on disk."""
        if mode not in self._frozen:
            path = self.results.path.with_name(f"pretrained-{mode}.safetensors")
            if path.is_file() and mode in self.results.values["pretraining"]:
                model = PretrainingModel(self.settings.network(), self.settings.base)
                model.load_state_dict(read_tensors(path)[0])
            else:
                model, record = pretrain(mode, self.material, self.settings, self.dtype, self.place)
                write_tensors(path, {k: v.cpu() for k, v in model.state_dict().items()}, {"mode": mode})
                self.results.put("pretraining", mode, record)
                say(f"{mode}: {record}")
            frozen = Frozen.of(model.to(self.place), self.dtype)
            asked = questions(frozen, self.material.held_out, self.settings.new, self.settings.every)
            self._frozen = {mode: (frozen, asked)}
        return self._frozen[mode]

    def pool(self, mode: str, structure: str, subjects: Sequence[Sample], seed: int) -> Slices:
        """The slices to learn from: the same for all methods."""
        key = (mode, structure, tuple(s.name for s in subjects), seed)
        if self._pool is None or self._pool[0] != key:
            frozen, _ = self.frozen(mode)
            made = lessons(frozen, subjects, structure, self.settings.batches, self.settings.groups, 1000 + seed)
            self._pool = (key, made)
        return self._pool[1]

    def rate(self, method: str) -> float:
        """The learning rate of a method, chosen on the rehearsal structure: two training subjects are left out, and the
        first pre-training that was asked for is taken."""
        rates = self.results.values["rates"]
        if method not in rates:
            frozen, _ = self.frozen(self.rehearsed_on)
            taught, left_out = self.material.training[:-2], self.material.training[-2:]
            pool = self.pool(self.rehearsed_on, self.settings.rehearsal, taught, 0)
            asked = questions(frozen, left_out, [self.settings.rehearsal], self.settings.every)
            tried: dict[float, float] = {}
            waiting = list(METHODS[method].rates)
            while waiting:
                rate = waiting.pop(0)
                done = learn(METHODS[method], frozen, pool, max(1, self.settings.steps // REHEARSED), rate, 0)
                tried[rate] = round(mean(examine(done, asked, 1).values()), 4)
                best, ends = max(tried, key=lambda r: (tried[r], -r)), (min(tried), max(tried))
                if not waiting and best in ends and len(tried) < MAX_RATES:
                    waiting.append(float(f"{best / 3 if best == ends[0] else best * 3:.2g}"))
            self.results.put("rates", method, {"chosen": best, "tried": {str(k): v for k, v in tried.items()}})
            say(f"rate of {method}: {tried}")
        return float(rates[method]["chosen"])

    def run(self, cell: Cell) -> None:
        """Measure one cell and write it down."""
        rate = self.rate(cell.method)
        frozen, asked = self.frozen(cell.mode)
        subjects = self.material.some(cell.subjects, cell.seed)
        pool = self.pool(cell.mode, cell.structure, subjects, cell.seed)
        done = learn(METHODS[cell.method], frozen, pool, self.settings.steps, rate, cell.seed)
        dice = examine(done, asked, self.settings.new.index(cell.structure) + 1)
        row = {
            **asdict(cell),
            "rate": rate,
            "dice": round(mean(dice.values()), 4),
            "by_subject": {k: round(v, 4) for k, v in dice.items()},
            "trained": done.trained,
            "share": done.trained / frozen.size,
            "seconds": round(done.seconds, 2),
            "loss": round(done.loss, 4),
            "device": self.place.type,
        }
        self.results.put("cells", cell.key, row)
        say(f"{cell.key}: Dice {row['dice']:.3f}, loss {row['loss']:.3f}, {row['seconds']:.0f} s")


def plan(settings: Settings, modes: Sequence[str], seeds: int) -> Iterator[Cell]:
    """All cells, what matters most first."""
    rest = [m for m in METHODS if m not in FIRST]
    first = modes[0]

    def cells(mode: str, sizes: Sequence[int], methods: Sequence[str], seed: int) -> Iterator[Cell]:
        for size in sizes:
            for structure in settings.new:
                yield from (Cell(mode, structure, size, m, seed) for m in methods)

    yield from cells(first, (0, 3), FIRST, 1)
    for seed in range(2, seeds + 1):
        yield from cells(first, (3,), AGAIN, seed)
    yield from cells(first, (10,), FIRST, 1)
    yield from cells(first, (0, 3, 10), rest, 1)
    for mode in modes[1:]:
        yield from cells(mode, (0, 3, 10), AGAIN, 1)
    for seed in range(2, seeds + 1):
        yield from cells(first, (0, 10), AGAIN, seed)


def say(text: str) -> None:
    """One line of the log."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, nargs="?", help="dataset.json of btcv")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file of the results; weights lie beside it")
    parser.add_argument("--table", action="store_true", help="print what there is as markdown")
    parser.add_argument("--budget", type=float, default=1.0, help="multiplies all numbers of steps")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--spacing", type=float, default=3.0, help="in-plane, in mm")
    parser.add_argument("--config", choices=("all blocks", "decoder", "paper"), default="all blocks")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), help="only these ways")
    parser.add_argument("--structures", nargs="+", choices=NEW, help="only these structures")
    parser.add_argument("--subjects", nargs="+", type=int, help="only these numbers of subjects (0: all)")
    parser.add_argument("--dense", type=float, default=1.0, help="weight of the dense loss in pre-training")
    parser.add_argument("--episodic", type=float, default=0.0, help="weight of few-shot tasks in pre-training")
    parser.add_argument("--cpa", type=float, default=0.01, help="weight of prototype assignment in mode joint")
    parser.add_argument("--head-width", type=int, default=16, help="features that the head compares")
    parser.add_argument("--base", type=lambda text: tuple(text.split(",")), default=BASE, help="pre-trained structures")
    parser.add_argument("--optimiser", choices=OPTIMISERS, default="adamw", help="of pre-training")
    parser.add_argument("--pseudo", type=float, default=0.0, help="share of few-shot groups about unlabelled regions")
    parser.add_argument("--pretraining-steps", type=int, help="in place of what --budget makes of them")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="pre-trainings")
    options = parser.parse_args()
    results = Results(options.out)
    if options.table:
        print(table(results.values))
        return
    if options.dataset is None:
        parser.error("name the dataset.json")
    torch.set_flush_denormal(True)
    keep_freed_memory()
    usual = Settings()
    size = tuple(32 * round(side * usual.spacing / options.spacing / 32) for side in usual.size)
    settings = Settings(
        spacing=options.spacing,
        size=size,
        config=options.config,
        pretraining_steps=options.pretraining_steps or max(1, round(usual.pretraining_steps * options.budget)),
        steps=max(1, round(usual.steps * options.budget)),
        batches=max(1, round(usual.batches * options.budget)),
        dense=options.dense,
        episodic=options.episodic,
        cpa=options.cpa,
        head_width=options.head_width,
        base=options.base,
        optimiser=options.optimiser,
        pseudo=options.pseudo,
    )
    unknown = {*settings.base} - {*loading.read_dataset(options.dataset).labels.values()}
    if unknown or {*settings.base} & {*NEW, REHEARSAL}:
        parser.error(f"pre-train on other structures of the data set than {', '.join((*NEW, REHEARSAL))}")
    results.bind(settings)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    material = load(options.dataset, settings, options.out.parent / "cache")
    experiment = Experiment(material, settings, results, options.modes[0], pick_device(options.device))
    for cell in plan(settings, options.modes, options.seeds):
        only = {"method": options.methods, "subjects": options.subjects, "structure": options.structures}
        asked = all(not wanted or getattr(cell, name) in wanted for name, wanted in only.items())
        if asked and cell.key not in results.values["cells"]:
            experiment.run(cell)
    print(table(results.values))


if __name__ == "__main__":
    main()
