"""Train the overview network on the training subjects of data sets.

    python -m PromptSegTrain.overview DATASET.json ... -o FOLDER [--steps 6000] [--resume]

Whatever a volume annotates teaches; what it does not gives no loss. The split by subject is that of the backbone
(same --validation and --seed), so that figures of both together are honest. The run may be stopped at any time;
``--resume`` goes on where the last checkpoint was written, ``--start-from`` begins with the weights that a run left.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from PromptSegLib.atomic import folder_for
from PromptSegLib.datasets.loading import read_datasets, split, subjects
from PromptSegLib.datasets.provenance import check_derived, check_held_out, data_entry, learned_from, steps_so_far
from PromptSegLib.datasets.sample import Part
from PromptSegLib.errors import InputError, quoted
from PromptSegLib.model.files import read_tensors, write_tensors
from PromptSegLib.model.overview_net import WIDTHS, OverviewNet, chosen, overview_net, write_overview_net
from PromptSegLib.model.precision import fast_dtype, pick_device
from PromptSegLib.progress import Progress

from .muon import MuonAdamW
from .overview_data import CROPS, Crop, Crops, Scan, Size, load_scans, structures_in
from .tools import share, status_of, whole

CHECKPOINT, WEIGHTS = "last.safetensors", "overview-ct.safetensors"
LEAST = 3
"""A structure must be annotated in so many subjects to be learned."""
SMOOTH = 20.0
"""Voxels that are added to both sides of a Dice, so that a few do not decide."""
MATRICES, HEADS = 0.2, 5.0
"""How much slower or faster they learn than the rest: a step of Muon is to move a convolution of thousands of small
weights by half a percent; what heads see is of the size of one, and logits of six are wanted."""


@dataclass(frozen=True)
class Recipe:
    """What decides a run, apart from the data."""

    steps: int = 6000
    warmup: int = 100
    decay: int = 4000
    lr: float = 2e-3
    weight_decay: float = 0.02
    ema: float = 0.998
    seed: int = 1
    coarse: tuple[float, ...] = (0.5, 0.25)
    """Weights of the losses at 6 and at 12 mm, by heads that are thrown away afterwards: where organs are is learned
    there first. A run that starts from another's weights has none."""

    def rate(self, step: int) -> float:
        """Share of the peak learning rate."""
        return min(1.0, (step + 1) / max(1, self.warmup), (self.steps - step) / max(1, self.decay))


def loss_of(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy and soft Dice of logits and masks (structures, S, A, R), or how much of a voxel these cover; Dice
    of those structures that are shown.

    The cross-entropy of a small structure weighs more, up to forty times: it is a few hundred voxels of half a million.
    """
    flat, target = logits.flatten(1).float(), masks.flatten(1).float()
    entropy = functional.binary_cross_entropy_with_logits(flat, target, reduction="none").mean(1)
    shown = target.any(1)
    inside = torch.sigmoid(flat)
    both = (inside * target).sum(1)
    dice = 1 - (2 * both + SMOOTH) / (inside.sum(1) + target.sum(1) + SMOOTH)
    # By how much a structure's share of the crop makes its cross-entropy small, up to a limit.
    weight = (0.02 / target.mean(1).clamp_min(1e-4)).clamp(1, 40)
    terms = 10 * entropy * torch.where(shown, weight, torch.full_like(weight, 5.0))
    return terms.mean() + (dice[shown].mean() if shown.any() else 0.0)


class Run:
    """Network, its moving average, optimiser and crops, at a step."""

    def __init__(self, net: OverviewNet, crops: Crops, recipe: Recipe, device: torch.device) -> None:
        self.device, self.recipe, self.crops = device, recipe, crops
        self.net = net.to(device, memory_format=torch.channels_last_3d).train().requires_grad_(True)
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.coarse = nn.ModuleList(
            nn.Conv3d(width, len(net.structures), 1) for width in WIDTHS[1 : 1 + len(recipe.coarse)]
        )
        for head in self.coarse:
            nn.init.constant_(head.bias, -4.0)
        self.coarse.to(device)
        matrices = [p for n, p in net.named_parameters() if p.ndim > 1 and not n.startswith(("stem", "head"))]
        taken = {id(p) for p in matrices}
        heads = [*net.head.parameters(), *self.coarse.parameters()]
        taken |= {id(p) for p in heads}
        rest = [p for p in net.parameters() if id(p) not in taken]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "muon": True, "times": MATRICES},
            {"params": rest, "weight_decay": 0.0, "times": 1.0},
            {"params": heads, "weight_decay": 0.0, "times": HEADS},
        ]
        self.optimiser = MuonAdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))
        self.step, self.seconds = 0, 0.0

    def take(self, crop: Crop) -> float:
        """One optimiser step; gives the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["times"] * self.recipe.lr * self.recipe.rate(self.step)
        x = crop.picture.to(self.device).contiguous(memory_format=torch.channels_last_3d)
        dtype = fast_dtype(self.device)
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            maps, channels = self.net.maps(x), crop.channels.to(self.device)
            every = [chosen(h, m, channels)[0] for h, m in zip((self.net.head, *self.coarse), maps, strict=False)]
        masks = crop.masks.to(self.device)
        loss, shares = loss_of(every[0], masks), masks.float()
        for logits, weight in zip(every[1:], self.recipe.coarse, strict=True):
            shares = functional.avg_pool3d(shares[None], 2)[0]
            loss = loss + weight * loss_of(logits, shares)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
        self.step += 1
        return float(loss.detach())

    def write(self, path: Path) -> None:
        """Write a checkpoint; the former one is replaced by a whole one."""
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"coarse.{k}": v for k, v in self.coarse.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for n, p in enumerate(self._parameters()):
            tensors |= {f"state.{n}.{k}": v for k, v in self.optimiser.state.get(p, {}).items()}
        meta = {
            "structures": json.dumps(list(self.net.structures)),
            "recipe": json.dumps(asdict(self.recipe)),
            "step": str(self.step),
            "seconds": f"{self.seconds:.1f}",
            "random": json.dumps(self.crops.random.bit_generator.state),
        }
        write_tensors(path, {k: v.contiguous() for k, v in tensors.items()}, meta)

    def read(self, path: Path) -> None:
        """Go on from a checkpoint. Raises :class:`InputError` for one of other structures."""
        tensors, meta = read_tensors(path)
        if json.loads(meta["structures"]) != list(self.net.structures):
            raise InputError(f"{path} is of other structures", "name the same data sets, or start in another folder")
        for kind, net in (("net.", self.net), ("coarse.", self.coarse), ("average.", self.average)):
            net.load_state_dict({k.removeprefix(kind): v for k, v in tensors.items() if k.startswith(kind)})
        for n, p in enumerate(self._parameters()):
            prefix = f"state.{n}."
            found = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            if found:
                self.optimiser.state[p] = {k: v.to(p.device) if k != "step" else v for k, v in found.items()}
        self.step, self.seconds = int(meta["step"]), float(meta["seconds"])
        self.crops.random.bit_generator.state = json.loads(meta["random"])

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]


def examine(net: OverviewNet, scans: Sequence[Scan]) -> dict[str, float]:
    """Mean Dice at 3 mm by structure, of whole scans."""
    found: dict[str, list[float]] = {}
    for scan in scans:
        names = [n for n in scan.annotated if n in net.structures]
        if not names:
            continue
        for name, logits in zip(names, net.logits(scan.grey, names), strict=True):
            truth, mask = scan.mask(name), logits > 0
            total = np.count_nonzero(truth) + np.count_nonzero(mask)
            found.setdefault(name, []).append(2 * np.count_nonzero(truth & mask) / total if total else 1.0)
    return {name: round(float(np.mean(some)), 4) for name, some in sorted(found.items())}


def train(
    datasets: Sequence[Path],
    folder: Path,
    recipe: Recipe,
    *,
    validation: float = 0.25,
    weights: Sequence[float] = (),
    absent: Mapping[str, Sequence[str]] | None = None,
    leave_out: Sequence[str] = (),
    start_from: Path | None = None,
    resume: bool = False,
    validate: int = 8,
    validate_every: int = 1000,
    save_every: int = 200,
    device: str = "auto",
    crops: Sequence[Size] | None = None,
) -> dict[str, float]:
    """Learn, and write the network into ``folder``; gives the Dice of the held-out scans.

    Raises :class:`InputError` for data that cannot be used, :class:`OutputError`.
    """
    absent = absent or {}
    sets = read_datasets(datasets)
    if weights and len(weights) != len(sets):
        raise InputError(f"--draw has {len(weights)} numbers for {len(sets)} data sets", "give one for each")
    if unknown := {*absent} - {d.name for d in sets}:
        raise InputError(
            f"There is no data set {quoted(sorted(unknown))}", f"--absent takes {quoted(d.name for d in sets)}"
        )
    parts: list[Part] = []
    training: dict[str, list[Scan]] = {}
    held_out: list[Scan] = []
    for dataset in sets:
        own, others = split(dataset, validation, recipe.seed)
        parts.append(Part(dataset, [], [], subjects(own), subjects(others)))
        training[dataset.name] = load_scans(
            dataset, own, folder / "cache", absent.get(dataset.name, ()), _say, fine=True
        )
        held_out += load_scans(dataset, others[:validate], folder / "cache", on_progress=_say)
    check_derived(parts)
    every = [scan for some in training.values() for scan in some]
    former = None if start_from is None else overview_net(start_from)
    names = list(former.structures) if former else [n for n in structures_in(every, LEAST) if n not in leave_out]
    if not names:
        raise InputError("No structure is annotated in enough subjects", "name more data sets")
    if known := {*names} & {*leave_out}:
        raise InputError(f"What the run starts from knows {quoted(sorted(known))}", "start from random numbers")
    torch.manual_seed(recipe.seed)
    net, earlier = OverviewNet(names), {}
    if former is not None and start_from is not None:
        net.load_state_dict(former.state_dict())
        recipe = replace(recipe, coarse=())
        learned = learned_from(former.card)
        check_held_out(learned, parts, start_from.name)
        earlier = {
            "start_from": f"{start_from.stem} {former.card['id'][:12]}",
            "steps_before": steps_so_far(former.card),
            "earlier": learned,
        }
    draw = dict(zip(training, weights or [1.0] * len(sets), strict=True))
    run = Run(net, Crops(training, names, draw, recipe.seed, crops or CROPS), recipe, pick_device(device))
    if resume:
        run.read(folder / CHECKPOINT)
    sys.stdout.write(f"{len(every)} scans; {len(names)} structures: {quoted(names, 100)}\n")
    card: dict[str, Any] = {"data": [data_entry(p) for p in parts], "date": date.today().isoformat()}
    about = {**asdict(recipe), **earlier}
    dice: dict[str, float] = {}
    losses, began = [], time.perf_counter() - run.seconds
    while run.step < recipe.steps:
        losses.append(run.take(run.crops.draw()))
        run.seconds = time.perf_counter() - began
        if run.step % 20 == 0:
            line = {"step": run.step, "loss": round(float(np.mean(losses)), 4), "seconds": round(run.seconds)}
            losses = []
            with (folder / "curve.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        last = run.step == recipe.steps
        if last or run.step % save_every == 0:
            run.write(folder / CHECKPOINT)
        if last or run.step % validate_every == 0:
            dice = examine(run.average.eval(), held_out)
            mean = float(np.mean(list(dice.values()))) if dice else 0.0
            sys.stdout.write(f"step {run.step}, {run.seconds:.0f} s, mean {mean:.3f}: {json.dumps(dice)}\n")
            sys.stdout.flush()
            card |= {"recipe": {**about, "step": run.step}, "validation_dice": dice}
            write_overview_net(folder / WEIGHTS, run.net, run.average.state_dict(), card)
    return dice


def _say(progress: Progress) -> None:
    sys.stdout.write(f"{progress.message}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path, metavar="DATASET.json")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--steps", type=whole(1), default=Recipe.steps)
    parser.add_argument(
        "--decay", type=whole(1), default=Recipe.decay, help="the last steps, over which the rate falls"
    )
    parser.add_argument("--lr", type=float, default=Recipe.lr)
    parser.add_argument("--draw", nargs="+", type=float, default=(), help="how often each data set is drawn")
    parser.add_argument(
        "--absent", action="append", default=[], metavar="SET=A,B", help="what no volume of a set shows"
    )
    parser.add_argument("--leave-out", default="", metavar="A,B", help="structures that it is to know nothing of")
    parser.add_argument("--validation", type=share, default=0.25, help="the share of the subjects that is held out")
    parser.add_argument("--seed", type=whole(0), default=1)
    parser.add_argument("--start-from", type=Path, metavar="FILE.safetensors")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)

    def work() -> None:
        absent = {name: names.split(",") for name, _, names in (text.partition("=") for text in options.absent)}
        recipe = Recipe(steps=options.steps, decay=options.decay, lr=options.lr, seed=options.seed)
        with folder_for(options.output):
            pass
        train(
            options.datasets, options.output, recipe,
            validation=options.validation, weights=options.draw, absent=absent,
            leave_out=[n for n in options.leave_out.split(",") if n], start_from=options.start_from,
            resume=options.resume, device=options.device,
        )  # fmt: skip

    return status_of(work)


if __name__ == "__main__":
    sys.exit(main())
