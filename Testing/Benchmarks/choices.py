"""What each choice in the shipped configuration costs or saves: parameters, GFLOP and milliseconds a slice.

    python Testing/Benchmarks/choices.py [--size 192] [--repeats 7]

One field is set back at a time. "encode" is what all structures share, "decode" what each structure costs, "step" a
tuning step (forward and backward to the prompt). Minima of several repetitions on a batch of eight slices. The weights
are random: this is about cost, not about quality.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from PromptSegLib.model.config import PUNetConfig, paper
from PromptSegLib.model.losses import mask_loss
from PromptSegLib.model.precision import fast_dtype
from PromptSegLib.model.punet import PUNet

SHIPPED = PUNetConfig()
CHOICES = {
    "shipped": SHIPPED,
    "heads of the paper (8 everywhere)": replace(SHIPPED, heads=(8, 8, 8, 8, 8)),
    "attention at half resolution in the encoder too": replace(
        SHIPPED, encoder_blocks=(2, 2, 2, 2, 2), decoder_blocks=(2, 2, 2, 2)
    ),
    "windows of 8 everywhere": replace(SHIPPED, windows=(8, 8, 8, 8, 8)),
    "shifted windows": replace(SHIPPED, second="shift"),
    "no reduction before upsampling": replace(SHIPPED, up_project=False),
    "logits at half resolution": replace(SHIPPED, head="half", head_width=32),
    "batch normalisation": replace(SHIPPED, norm="batch"),
    "prompts in the encoder too": replace(SHIPPED, prompted_encoder_levels=(1, 2, 3, 4)),
    "the paper's sizes": paper(),
}


def fastest(function: Callable[[], object], repeats: int) -> float:
    """The least of several times, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(config: PUNetConfig, size: int, repeats: int, dtype: torch.dtype) -> tuple[float, ...]:
    """Backbone parameters, prompt share, GFLOP and milliseconds a slice of encode, decode and step."""
    torch.manual_seed(0)
    batch = 8
    net = PUNet(config).freeze()
    count = sum(p.numel() for p in net.parameters())
    share = sum(torch.Size(s).numel() for s in net.prompt_shapes().values()) / count
    net = net.to(dtype)
    images = torch.randn(batch, size, size, config.in_channels, dtype=dtype)
    prompt = {k: torch.randn(s, dtype=dtype) * 0.1 for k, s in net.prompt_shapes().items()}
    with torch.inference_mode():
        encoded = net.encode(images)
        encode = fastest(lambda: net.encode(images), repeats)
        decode = fastest(lambda: net.decode(encoded, prompt), repeats)
        counter = FlopCounterMode(display=False)
        with counter:
            net.decode(net.encode(images), prompt)
    encoded = net.encode(images)
    learned = {k: v.float().requires_grad_(True) for k, v in prompt.items()}
    target = (torch.rand(batch, size, size) > 0.9).float()

    def step() -> None:
        logits = net.decode(encoded, {k: v.to(dtype) for k, v in learned.items()})
        mask_loss(logits, target).mean().backward()

    scale = 1e3 / batch
    times = (encode * scale, decode * scale, fastest(step, repeats) * scale)
    return (count / 1e6, 100 * share, counter.get_total_flops() / batch / 1e9, *times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    dtype = fast_dtype(torch.device("cpu"))
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    print(f"{options.size} x {options.size}, batch 8, {dtype}, {threads}\n")
    columns = ("configuration", "M parameters", "prompt %", "GFLOP", "encode ms", "decode ms", "step ms")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name, config in CHOICES.items():
        row = measure(config, options.size, options.repeats, dtype)
        print(f"| {name} | {row[0]:.2f} | {row[1]:.2f} | " + " | ".join(f"{v:.1f}" for v in row[2:]) + " |", flush=True)


if __name__ == "__main__":
    main()
