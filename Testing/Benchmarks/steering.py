"""Do prompts steer? What a structure's mask becomes when parts of its prompt are another structure's.

    python Testing/Benchmarks/steering.py BTCV/dataset.json --prompts abdomen-ct --subjects 3

Rows are the structure whose tokens are given, columns the structure that is looked for. Three exchanges: the whole
prompt, the deep tokens alone (the head keeps the wanted structure's), the head's tokens alone. If deep tokens steered
nothing, exchanging them would change nothing. Dice on the working grid, mean over held-out subjects (the split that
pre-training used), every few slices.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from PromptSegLib.datasets.loading import read_dataset, split
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.precision import keep_freed_memory
from PromptSegLib.model.punet import PUNet
from PromptSegLib.prompts.library import resolve
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.preprocess import WorkingVolume

BATCH = 8
EXCHANGES = {"whole": "the whole prompt", "deep": "deep tokens only", "head": "head tokens only"}
AVERAGE = "mean of all"
"""A row of its own: deep tokens that favour no structure."""


@torch.inference_mode()
def steering(
    net: PUNet, prompts: Mapping[str, Mapping[str, Tensor]], images: Tensor, masks: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """Dice under exchanged tokens, for each of ``EXCHANGES``: (given structures + the mean of all, wanted structures).

    ``images`` (N, H, W, C) -1..1 and ``masks`` (N, H, W) by structure; NaN where a structure is not in the masks. The
    mean has no row of its own but for deep tokens.
    """
    names, dtype = list(prompts), next(net.parameters()).dtype
    given = [{k: v.to(dtype) for k, v in prompts[n].items()} for n in names]
    given.append({k: torch.stack([p[k] for p in given]).mean(0) for k in given[0]})
    batched = [{k: v if k.endswith(".bias") else v[None] for k, v in p.items()} for p in given]
    count = len(names)
    both = {e: np.zeros((count + 1, count)) for e in EXCHANGES}
    total = {e: np.zeros((count + 1, count)) for e in EXCHANGES}
    for first in range(0, len(images), BATCH):
        encoded = net.encode(images[first : first + BATCH].to(dtype))
        height, width = encoded.size
        wanted = [masks[n][first : first + BATCH] > 0 if n in masks else None for n in names]
        for i, deep in enumerate(batched):
            features = net.pixel_features(encoded, deep)
            for j in range(count):
                found = net.head.logits(features, batched[j])[:, :height, :width] > 0
                pairs = [("deep", i, j)]  # deep tokens of i, asked for j with j's head
                if i < count:
                    pairs.append(("head", j, i))  # the head's tokens of j, asked for i
                if i == j:
                    pairs += [("whole", i, k) for k in range(count)]
                for exchange, row, column in pairs:
                    there = wanted[column]
                    if there is not None:
                        both[exchange][row, column] += 2.0 * float((found & there).sum())
                        total[exchange][row, column] += float(found.sum() + there.sum())
    absent = np.array([n not in masks or not bool((masks[n] > 0).any()) for n in names])
    out = {}
    for exchange in EXCHANGES:
        dice = np.where(total[exchange] > 0, both[exchange] / np.maximum(total[exchange], 1), np.nan)
        dice[:, absent] = np.nan
        out[exchange] = dice
    return out


def matrix(dice: np.ndarray, names: Sequence[str]) -> str:
    """Markdown: rows what is given, columns what is wanted, both numbered in the same order."""
    lines = ["| given | " + " | ".join(str(n + 1) for n in range(len(names))) + " |", "|---" * (len(names) + 1) + "|"]
    rows = [f"{n + 1} {name}" for n, name in enumerate(names)] + [AVERAGE]
    for label, row in zip(rows, dice, strict=True):
        if not np.isnan(row).all():
            lines.append(f"| {label} | " + " | ".join("-" if np.isnan(v) else f"{v:.2f}" for v in row) + " |")
    return "\n".join(lines)


def summary(dice: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Mean Dice of the right prompt, a wrong one, wrong deep tokens, the mean of all deep tokens, wrong head tokens."""
    count = dice["whole"].shape[1]
    right = np.eye(count, dtype=bool)
    square = {k: v[:count] for k, v in dice.items()}
    return {
        "right prompt": float(np.nanmean(square["whole"][right])),
        "another structure's prompt": float(np.nanmean(square["whole"][~right])),
        "another structure's deep tokens": float(np.nanmean(square["deep"][~right])),
        "mean of all deep tokens": float(np.nanmean(dice["deep"][count])),
        "another structure's head tokens": float(np.nanmean(square["head"][~right])),
    }


def main() -> None:
    """Print the summary and the matrices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--prompts", default="abdomen-ct", help="a prompt set, by name or file")
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--subjects", type=int, default=3)
    parser.add_argument("--every", type=int, default=4, help="which slices: every Nth")
    parser.add_argument("--validation", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    keep_freed_memory()
    dataset = read_dataset(options.dataset)
    cases = split(dataset, options.validation, options.seed)[1][: options.subjects]
    backbone = load_backbone(options.backbone, "cpu")
    prompts = {n: p.tensors for n, p in resolve(options.prompts).items() if n in dataset.labels.values()}
    measured = []
    for case in cases:
        volume = read_volume(case.image)
        labels = read_labels(case.label, volume.grid)
        work = WorkingVolume(volume)
        picked = list(range(0, work.count, options.every))
        masks = {}
        for value, name in dataset.labels.items():
            if name in prompts and (labels.array == value).any():
                planes = [work.mask_to_working(labels.array.take(k, axis=work.axis) == value) > 0.5 for k in picked]
                masks[name] = torch.from_numpy(np.stack(planes))
        measured.append(steering(backbone.net, prompts, torch.from_numpy(work.inputs(picked)), masks))
        print(f"{case.name}: right prompts {summary(measured[-1])['right prompt']:.3f}", flush=True)
    dice = {}
    for exchange in EXCHANGES:
        stacked = np.stack([m[exchange] for m in measured])
        known = ~np.isnan(stacked)
        dice[exchange] = np.where(known.any(0), np.nansum(stacked, 0) / np.maximum(known.sum(0), 1), np.nan)
    names = ", ".join(c.name for c in cases)
    print(f"\n{dataset.name}, {names}, every {options.every}th slice; backbone {backbone.id[:12]}\n")
    print("| given | mean Dice |\n|---|---|")
    for label, mean in summary(dice).items():
        print(f"| {label} | {mean:.3f} |")
    for exchange, label in EXCHANGES.items():
        print(f"\nExchanged: {label}\n\n{matrix(dice[exchange], list(prompts))}")


if __name__ == "__main__":
    main()
