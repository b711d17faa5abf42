"""What a pre-training leaves for prompts to work with: short runs of ``paper_claim.py``'s, choice by choice.

    python Testing/Benchmarks/pretrainings.py BTCV/dataset.json --cache CACHE --json pretrainings.jsonl --steps 400

Each network is pre-trained on the base structures; then every new structure is learned from the same slices by its
whole prompt, by head tokens alone and by a linear classifier. Printed is the loss that is left on these slices, and how
alike features inside and outside of the structure are (cosine of their mean directions): prompts choose among features,
and where all are alike there is nothing to choose. Finished runs are kept, and not repeated.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from adaptation import METHODS, Frozen, Slices, learn, lessons
from paper_claim import Material, Settings, load, pretrain
from torch.nn import functional

from PromptSegLib.model.precision import fast_dtype, keep_freed_memory

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "supervised": ("supervised", {}),
    "with the dense loss": ("supervised", {"dense": 1.0}),
    "with few-shot tasks": ("supervised", {"episodic": 1.0}),
    "with few-shot tasks, prompts from the bottleneck on": ("supervised", {"episodic": 1.0, "config": "decoder"}),
    "the same, head of 32 features": ("supervised", {"episodic": 1.0, "config": "decoder", "head_width": 32}),
    "joint, weight 1": ("joint", {"cpa": 1.0}),
    "joint, weight 0.1, head of 32 features": ("joint", {"cpa": 0.1, "head_width": 32}),
}
RATES = {"prompts": 0.3, "head": 0.1, "linear": 0.03}
"""Learning rates, as ``paper_claim.py`` chose them."""


def likeness(pool: Slices) -> float:
    """Cosine between the mean directions of features inside and outside of the structure."""
    f = functional.normalize(torch.cat([x.float().flatten(0, 2) for x in pool.features[:6]]), dim=-1)
    inside = torch.cat([(y > 0).flatten() for y in pool.labels[:6]])
    return float(functional.cosine_similarity(f[inside].mean(0), f[~inside].mean(0), dim=0))


def run(mode: str, material: Material, settings: Settings) -> dict[str, Any]:
    """One pre-training and what can be learned on it, by structure."""
    dtype = fast_dtype(torch.device("cpu"))
    model, record = pretrain(mode, material, settings, dtype)
    frozen = Frozen.of(model, dtype)
    row: dict[str, Any] = {"seconds": record["seconds"], "base": record["dice"], "cosine": {}, "loss": {}}
    for structure in settings.new:
        pool = lessons(frozen, material.training, structure, settings.batches, settings.groups, 1001)
        row["cosine"][structure] = round(likeness(pool), 3)
        row["loss"][structure] = {
            way: round(learn(METHODS[way], frozen, pool, settings.steps, rate, 1).loss, 3)
            for way, rate in RATES.items()
        }
    return row


def table(rows: dict[str, dict[str, Any]], new: tuple[str, ...]) -> str:
    """Markdown: a row for each pre-training."""
    lines = [
        f"| pre-training | CPU seconds | {' | '.join(f'{n}: cosine, loss' for n in new)} | mean loss: prompts, head |"
    ]
    lines.append("|---" * (3 + len(new)) + "|")
    for name, row in rows.items():
        mean = [sum(row["loss"][n][way] for n in new) / len(new) for way in ("prompts", "head")]
        each = " | ".join(f"{row['cosine'][n]:.2f}, {row['loss'][n]['prompts']:.3f}" for n in new)
        lines.append(f"| {name} | {row['seconds']:.0f} | {each} | {mean[0]:.3f}, {mean[1]:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True, help="where runs are kept, one a line")
    parser.add_argument("--steps", type=int, default=400, help="of pre-training")
    parser.add_argument("--learn", type=int, default=150, help="steps for each structure and way")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    keep_freed_memory()
    lines = options.json.read_text(encoding="utf-8").splitlines() if options.json.is_file() else []
    rows: dict[str, dict[str, Any]] = {}
    for line in lines:
        rows.update(json.loads(line))
    settings = Settings(pretraining_steps=options.steps, steps=options.learn, batches=40, dense=0.0)
    material = load(options.dataset, settings, options.cache)
    for name, (mode, changes) in VARIANTS.items():
        if name not in rows:
            rows[name] = run(mode, material, replace(settings, **changes))
            with options.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps({name: rows[name]}) + "\n")
    print(table(rows, settings.new))


if __name__ == "__main__":
    main()
