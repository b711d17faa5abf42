"""How fast the network is, beside its authors' published code, and where the time goes: tables in Markdown.

    PYTHONPATH=PromptSeg python Testing/Benchmarks/speed.py --repetitions 9 [--published FOLDER]

Compare minima: they suffer least from whatever else the machine does. "8 structures" of one slice are one batch; of
eight slices, one structure after the other. The paper's sizes have prompts in every block, so that a tuning step runs
the whole network; the shipped model's tuning steps start from slices that were encoded once. ``--published`` runs the
authors' code (see ``published.py``) in turn with ours, in float32, one slice: ratios are those of one run.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from published import Published
from result_file import write_result
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from PromptSegLib.model.config import PUNetConfig, paper
from PromptSegLib.model.precision import default_threads, fast_dtype, keep_freed_memory, pick_device
from PromptSegLib.model.punet import PUNet
from PromptSegLib.review.machine import computer

SIDE = 256


class Subject:
    """One configuration in one precision, ready to run: ``tasks`` are what is timed."""

    def __init__(self, config: PUNetConfig, device: torch.device, dtype: torch.dtype, slices: int) -> None:
        torch.manual_seed(0)
        self.net = PUNet(config).to(device, dtype).freeze()
        self.images = (torch.rand(slices, SIDE, SIDE, config.in_channels) * 2 - 1).to(device, dtype)
        shapes = self.net.prompt_shapes()
        self.prompts = [{k: torch.randn(s).to(device, dtype) for k, s in shapes.items()} for _ in range(8)]
        self.stacked = {k: torch.stack([p[k] for p in self.prompts]) for k in shapes}
        # With prompts from the first level on there is nothing that could be encoded once.
        self.cached = None
        if self.net.first_prompted:
            with torch.no_grad():
                self.cached = self.net.encode(self.images)
        self.tasks: dict[str, Callable[[], object]] = {
            "1 structure": self.one,
            "8 structures": self.eight,
            "tuning step": self.step,
        }

    @torch.inference_mode()
    def one(self) -> None:
        self.net.decode(self.net.encode(self.images), self.prompts[0])

    @torch.inference_mode()
    def eight(self) -> None:
        encoded = self.net.encode(self.images)
        if len(self.images) == 1:
            self.net.decode(encoded.select([0] * 8), self.stacked)
        else:
            for prompt in self.prompts:
                self.net.decode(encoded, prompt)

    def step(self) -> None:
        leaves = {k: v.clone().requires_grad_() for k, v in self.prompts[0].items()}
        self.net.decode(self.cached or self.net.encode(self.images), leaves).mean().backward()


def seconds(runs: Sequence[Callable[[], object]], repetitions: int, wait: Callable[[], None]) -> list[list[float]]:
    """Each repetition's times of each run, taken in turn, after a round that does not count."""
    times: list[list[float]] = [[] for _ in runs]
    for n in range(repetitions + 1):
        for run, found in zip(runs, times, strict=True):
            wait()
            start = time.perf_counter()
            run()
            wait()
            if n:
                found.append(time.perf_counter() - start)
    return times


def flops(run: Callable[[], object]) -> int:
    """Floating point operations of one run; attention is counted as the two products that it is."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def matmul_rate(device: torch.device, dtype: torch.dtype, wait: Callable[[], None], side: int = 1024) -> float:
    """Operations a second of one large matrix product."""
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    return 2 * side**3 / min(seconds([lambda: a @ b], 20, wait)[0])


def top_operators(run: Callable[[], object], count: int = 10) -> list[tuple[str, float]]:
    """Name and share of the time of the costliest operators."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        run()
    events = sorted(profiler.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in events)
    return [(e.key.removeprefix("aten::"), e.self_cpu_time_total / total) for e in events[:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--slices", type=int, nargs="+", default=[1, 8], help="slices in a batch")
    parser.add_argument("--configs", nargs="+", choices=["paper", "shipped"], default=["paper", "shipped"])
    parser.add_argument("--precisions", nargs="+", choices=["best", "fp32"], default=["best", "fp32"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--published", type=Path, metavar="FOLDER", help="the authors' code, to be timed in turn")
    parser.add_argument("--result", type=Path, help="write the table there as well, for docs/benchmarks.md")
    parser.add_argument("--no-profile", action="store_true", help="leave out where the time goes")
    arguments = parser.parse_args()

    device = pick_device(arguments.device)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    dtypes = [fast_dtype(device) if p == "best" else torch.float32 for p in arguments.precisions]
    dtypes = list(dict.fromkeys(dtypes))
    peak = {dtype: matmul_rate(device, dtype, wait) for dtype in dtypes}
    print(f"torch {torch.__version__}, {device}, {arguments.threads} threads, {platform.machine()}")
    for dtype, rate in peak.items():
        print(f"torch.matmul 1024 x 1024 in {str(dtype)[6:]}: {rate / 1e9:.0f} GFLOP/s")

    theirs = Published(arguments.published, SIDE) if arguments.published else None
    columns = ["sizes", "precision", "slices", f"{SIDE} x {SIDE}", "min s", "median s"]
    columns += ["published, min s", "times faster"] if theirs else []
    columns += ["GFLOP", "GFLOP/s", "of matmul %"]
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    rows: list[list[float | str]] = []
    shares: list[tuple[str, list[tuple[str, float]]]] = []
    for name in arguments.configs:
        for dtype in dtypes:
            for slices in arguments.slices:
                subject = Subject(paper() if name == "paper" else PUNetConfig(), device, dtype, slices)
                for task, run in subject.tasks.items():
                    times, *other = seconds(
                        [run, *([theirs.tasks[task]] if theirs else [])], arguments.repetitions, wait
                    )
                    fastest, work = min(times), flops(run)
                    row = [name, str(dtype)[6:], slices, task, round(fastest, 4), round(statistics.median(times), 4)]
                    row += [x for o in other for x in (round(min(o), 3), round(min(o) * slices / fastest, 1))]
                    rate = work / fastest
                    row += [round(work / 1e9, 1), round(rate / 1e9), round(100 * rate / peak[dtype])]
                    rows.append(row)
                    print(f"| {' | '.join(map(str, row))} |", flush=True)
                    if slices == arguments.slices[0] and not arguments.no_profile:
                        shares.append((f"{name}, {str(dtype)[6:]}, {task}", top_operators(run)))
    if arguments.result:
        digits = [0, 0, 0, 0, 3, 3, *((3, 1) if theirs else ()), 1, 0, 0]
        write_result(arguments.result, computer(device), columns, digits, rows)
    for title, operators in shares:
        print(f"\n{title}: " + ", ".join(f"{op} {share:.0%}" for op, share in operators))


if __name__ == "__main__":
    main()
