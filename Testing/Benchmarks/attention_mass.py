"""How much of the attention goes to a prompt's tokens in each block: where it is next to nothing, no tuning can steer.

    python Testing/Benchmarks/attention_mass.py DATASET/dataset.json --case btcv_06 [--prompts SET] [--backbone FILE]

Mean over heads, pixels and slices that show the structure of the softmax's share on the tokens; "even" is what they
would get if all keys were alike.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from PromptSegLib.datasets.loading import read_dataset
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.prompts.library import resolve
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.preprocess import WorkingVolume


def main() -> None:
    """Decode some slices of each structure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--case", required=True)
    parser.add_argument("--prompts", default="abdomen-ct")
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--slices", type=int, default=4)
    options = parser.parse_args()
    backbone = load_backbone(options.backbone, "cpu", torch.float32)
    dataset = read_dataset(options.dataset)
    case = next(c for c in dataset.cases if c.name == options.case)
    volume = read_volume(case.image)
    labels = read_labels(case.label, volume.grid)
    work = WorkingVolume(volume)
    found: dict[str, list[float]] = {}
    even: dict[str, float] = {}
    for value, name in dataset.labels.items():
        prompt = resolve(options.prompts).get(name)
        planes = np.flatnonzero((labels.array == value).any((1, 2)))
        if prompt is None or not len(planes):
            continue
        picked = planes[np.linspace(0, len(planes) - 1, options.slices + 2).astype(int)[1:-1]].tolist()
        with torch.inference_mode():
            encoded = backbone.net.encode(torch.from_numpy(work.inputs(picked)))
            for block, (share, expected) in shares(backbone.net, encoded, prompt.tensors).items():
                found.setdefault(block, []).append(share)
                even[block] = expected
    print("| block | share of the attention | least and most of a structure | even |\n|---|---|---|---|")
    for block, values in found.items():
        print(f"| {block} | {np.mean(values):.3f} | {min(values):.3f} to {max(values):.3f} | {even[block]:.3f} |")


def shares(net, encoded, prompt: dict[str, Tensor]) -> dict[str, tuple[float, float]]:
    """For each prompted block, by the name of its tokens, their share of the softmax, and the share of 16 among all
    keys."""
    names = [k.removesuffix(".tokens") for k in net.prompt_shapes() if k.endswith(".tokens")]  # in the order of passing
    seen: list[tuple[float, float]] = []

    def listen(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
        weight = (q.float() @ k.float().transpose(-1, -2) * scale + bias.float()).softmax(-1)
        count = k.shape[-2] - q.shape[-2]
        if count:
            seen.append((float(weight[..., -count:].sum(-1).mean()), count / k.shape[-2]))
        return (weight @ v.float()).to(v.dtype)

    with patch("PromptSegLib.model.attention.attend", listen):
        net.decode(encoded, prompt)
    return dict(zip(names, seen, strict=True))


if __name__ == "__main__":
    main()
