"""Short controlled runs: one choice is changed at a time, everything else (data, seed, steps, batches) is the same.

    python Testing/Benchmarks/experiments.py DATASET/dataset.json --cache CACHE --out experiments.json --steps 300
    python Testing/Benchmarks/experiments.py --out experiments.json --table

Networks are trained from scratch on slices of half the working resolution (4 mm), so that a run takes minutes on one
core; a choice that only pays at full resolution is not seen here. Dice: every structure by its own prompt, on every
sixth slice of the held-out subjects. Finished runs are kept in ``--out`` and not repeated.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from PromptSegLib.datasets import tasks
from PromptSegLib.datasets.loading import Sample, load_part, read_datasets
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.model.config import PUNetConfig
from PromptSegLib.model.precision import fast_dtype, keep_freed_memory
from PromptSegTrain.pretraining_model import PretrainingModel, quick_dice
from PromptSegTrain.recipe import Recipe
from PromptSegTrain.step import average, optimiser_of, train_step

EVERY = 6
"""Of how many slices of held-out subjects one is looked at."""
SIZES = ((64, 96), (96, 96))
BASE = PUNetConfig(windows=(8, 8, 8, 6, 6))
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as shipped": ({}, {}),
    "no dense loss (binary passes only)": ({}, {"dense": 0.0}),
    "no few-shot tasks (no proposer)": ({"proposer_width": 0}, {}),
    "no encoder classifiers": ({}, {"deep": 0.0}),
    "prompts in the encoder too": ({"prompted_encoder_levels": (1, 2, 3, 4)}, {}),
    "one slice as input": ({"in_channels": 1}, {}),
    "head at half resolution": ({"head": "half", "head_width": 32}, {}),
    "head of 32 features": ({"head_width": 32}, {}),
    "batch normalisation": ({"norm": "batch"}, {}),
    "one background token": ({"background_tokens": 1}, {}),
    "shifted windows": ({"second": "shift"}, {}),
    "Muon": ({}, {"optimiser": "muon"}),
    "contrastive prototypes, weight 0.01": ({}, {"mode": "joint", "cpa": 0.01}),
    "contrastive prototypes, weight 0.1": ({}, {"mode": "joint", "cpa": 0.1}),
}


def halved(sample: Sample) -> Sample:
    """The sample at twice the pixel spacing: grey averaged over 2 x 2 pixels, of labels the most frequent kept."""
    n, height, width = sample.grey.shape
    h, w = height // 2, width // 2
    blocks = sample.grey[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2)
    grey = blocks.mean((2, 4)).round().astype(np.uint8)
    corners = sample.labels[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2).transpose(0, 1, 3, 2, 4).reshape(n, h, w, 4)
    votes = (corners[..., :, None] == corners[..., None, :]).sum(-1)
    labels = np.take_along_axis(corners, votes.argmax(-1)[..., None], -1)[..., 0]
    out = Sample(sample.name, grey, labels, sample.structures, sample.slice_mm)
    for index, name in enumerate(sample.structures):
        slices = np.flatnonzero((labels == index + 1).sum((1, 2)) >= 2)
        if len(slices):
            out.where[name] = slices
    return out


def run(
    training: Sequence[Sample], held_out: Sequence[Sample], names: list[str], config: PUNetConfig, recipe: Recipe
) -> dict[str, Any]:
    """Train one variant and give its Dice by structure, its mean, the seconds of a step and its parameters."""
    torch.manual_seed(recipe.seed)
    model = PretrainingModel(config, names)
    ema = copy.deepcopy(model).requires_grad_(False)
    optimiser = optimiser_of(model, recipe)
    sampler = TaskSampler([training], [1.0], names, recipe.seed)
    dtype = fast_dtype(torch.device("cpu"))
    fast = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
    model.train()
    fast.train()
    extra = {} if getattr(recipe, "mode", "supervised") == "supervised" else {"views": True}
    start = time.perf_counter()
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * recipe.rate(step)
        batch = sampler.draw(recipe.groups, recipe.prompt_tasks, **extra)
        arguments = (model, fast, optimiser, batch, dtype, recipe)
        parts = train_step(*arguments, ema) if extra else train_step(*arguments)
        average(ema, model, min(recipe.ema, (1 + step) / (10 + step)))
    seconds = (time.perf_counter() - start) / recipe.steps
    ema.to(dtype).eval()
    dice: dict[str, list[float]] = {}
    for sample in held_out:
        picked = np.arange(0, len(sample.grey), EVERY)
        stride = max(1, round(3.0 / sample.slice_mm))
        around = np.clip(picked[:, None] + np.array([-stride, 0, stride]), 0, len(sample.grey) - 1)
        grey = torch.from_numpy(sample.grey[around].astype(np.float32) / 127.5 - 1).permute(0, 2, 3, 1).contiguous()
        for name in sample.where:
            masks = torch.from_numpy(sample.labels[picked] == sample.structures.index(name) + 1)
            if masks.any():
                dice.setdefault(name, []).append(quick_dice(ema, grey, masks, names.index(name)))
    means = {name: round(float(np.mean(v)), 4) for name, v in dice.items()}
    count = sum(p.numel() for p in model.net.parameters())
    return {
        "dice": means,
        "mean": round(float(np.mean(list(means.values()))), 4),
        "seconds_per_step": round(seconds, 3),
        "parameters": count,
        "loss": round(parts["loss"], 4),
    }


def table(results: dict[str, Any]) -> str:
    """Markdown: a row for each variant, seeds side by side."""
    rows = ["| choice | mean Dice (each seed) | change | s a step |", "|---|---|---|---|"]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for key, value in results.items():
        by_name.setdefault(key.split(" #")[0], []).append(value)
    base = np.mean([v["mean"] for v in by_name.get("as shipped", [])] or [np.nan])
    for name, found in by_name.items():
        means = [v["mean"] for v in found]
        step = np.mean([v["seconds_per_step"] for v in found])
        each = ", ".join(f"{m:.3f}" for m in means)
        rows.append(f"| {name} | {np.mean(means):.3f} ({each}) | {np.mean(means) - base:+.3f} | {step:.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Run what is missing, seed by seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("experiments-cache"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", help="only variants that hold one of these words")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    results = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
    if not options.table:
        tasks.SIZES = SIZES
        keep_freed_memory()
        torch.set_flush_denormal(True)
        parts = [load_part(d, 0.25, 1, options.cache, max_validated=6) for d in read_datasets(options.datasets)]
        names = list(dict.fromkeys(n for p in parts for n in p.dataset.labels.values()))
        training = [halved(s) for p in parts for s in p.training]
        held_out = [halved(s) for p in parts for s in p.validation]
        for seed in options.seeds:
            for name, (sizes, changes) in VARIANTS.items():
                key = f"{name} #{seed}"
                if key in results or (options.only and not any(w in name for w in options.only)):
                    continue
                try:
                    recipe = replace(
                        Recipe(), steps=options.steps, warmup=30, decay=options.steps // 2, seed=seed, **changes
                    )
                    results[key] = run(training, held_out, names, replace(BASE, **sizes), recipe)
                except TypeError as error:  # a recipe without that field
                    print(f"{key}: left out, {error}", flush=True)
                    continue
                print(f"{key}: {results[key]['mean']:.3f}, {results[key]['seconds_per_step']:.2f} s", flush=True)
                options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
