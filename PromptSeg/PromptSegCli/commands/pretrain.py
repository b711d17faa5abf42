"""``promptseg pretrain``: train a backbone."""

from __future__ import annotations

import argparse
import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PromptSegLib.errors import InputError, OutputError, Stopped
from PromptSegLib.inputs_stay import files_of
from PromptSegTrain.recipe import MODES, OPTIMISERS, SCHEDULES

from .arguments import (
    add_engine,
    check_folder,
    check_input,
    expanded,
    integer,
    output,
    plain_name,
    share,
    time_budget,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PromptSegTrain.recipe import Recipe

    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "train a backbone on annotated CTs"
DESCRIPTION = """\
Train a backbone, and a prompt for each structure, on any number of data sets in
the layout of the Medical Segmentation Decathlon or of nnU-Net, or packs of them.
Several volumes of one patient are held out together where dataset.json says whose
they are: "subject": "P1" in an entry of training, or "subject_until": "_scan" for
what stands before that in the volumes' names; without, each volume counts as a
patient. "derived_from" names the data set whose patients another one holds (with
the same subjects): nobody of that other one is held out.
The folder keeps the backbone, a .promptset for each data set, the same of the step
that was best on held-out volumes (best/), a checkpoint, the curves and a cache of
the data. Ctrl-C saves all that there is; --resume goes on from it, with the options
of before where none are given. On several GPUs or machines:
torchrun --nproc-per-node 2 -m PromptSegCli pretrain DATASET.json -o DIR"""
EXAMPLES = (
    "promptseg pretrain dataset.json -o backbone --time-budget 25m",
    "promptseg pretrain dataset.json -o backbone --resume",
    "promptseg pretrain dataset.json -o mine --start-from punet-ct --prompts abdomen-ct --lr 3e-4",
    "promptseg pretrain data.pack -o gpu --device cuda --workers 14 --groups 48 --time-budget 9m --paced",
)
PRESETS = ("punet-ct", "paper", "tiny")


def number(minimum: float, inclusive: bool = True) -> Any:
    """The argument type of numbers from ``minimum`` on, or above it."""

    def parse(text: str) -> float:
        with contextlib.suppress(ValueError):
            value = float(text)
            if minimum < value < 1e9 or (inclusive and value == minimum):
                return value
        raise argparse.ArgumentTypeError(f"'{text}' is not a number {'from' if inclusive else 'above'} {minimum:g} on")

    return parse


def absent_list(text: str) -> tuple[str, list[str]]:
    """The argument type of a data set's name and structures."""
    name, _, rest = text.partition("=")
    if not name.strip() or not rest.strip(" ,"):
        raise argparse.ArgumentTypeError(f"'{text}' is not like btcv=larynx,mandible")
    return name.strip(), structure_list(rest)


def structure_list(text: str) -> list[str]:
    """The argument type of structures with commas between them."""
    structures = [s.strip() for s in text.split(",") if s.strip()]
    if not structures:
        raise argparse.ArgumentTypeError(f"'{text}' is not like larynx,mandible")
    return structures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    data = "a data set's description or its folder, or a .pack"
    parser.add_argument("datasets", metavar="DATASET.json", type=expanded, nargs="+", help=data)
    parser.add_argument("-o", "--output", metavar="DIR", type=output, required=True, help="the folder of this run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    budget = "stop after this long, for example 90s, 25m or 2h, and save"
    parser.add_argument("--time-budget", metavar="TIME", type=time_budget, help=budget)
    paced = "let the learning rate fall to nothing as the time budget ends, however many steps that is"
    parser.add_argument("--paced", action="store_true", help=paced)
    ahead = "processes that draw batches ahead (0): a GPU needs about one for each core of the machine"
    parser.add_argument("--workers", metavar="N", type=integer(0), default=0, help=ahead)
    start = "a backbone to start from, by name or file, instead of random numbers"
    parser.add_argument("--start-from", metavar="NAME|FILE", type=expanded, help=start)
    prompts = "prompts made for that backbone to start from, as in segment; may be given again"
    parser.add_argument("--prompts", metavar="SET", type=expanded, action="append", default=[], help=prompts)
    preset = "the network: the one that ships (default), the paper's sizes, or a tiny one for trying things out"
    parser.add_argument("--preset", choices=PRESETS, help=preset)
    seen = "slices that the network sees at once: 3, or 5 with neighbours 12 mm away"
    parser.add_argument("--slices", type=int, choices=(3, 5), help=seen)
    parser.add_argument("--name", type=plain_name, default="punet-ct", help="the backbone's name (default: punet-ct)")
    mode = "learn from annotations (default), from agreement between views of a slice (self), or from both (joint)"
    parser.add_argument("--mode", choices=MODES, help=mode)
    parser.add_argument("--cpa", metavar="WEIGHT", type=number(0), help="weight of the views' part in joint (0.01)")
    dense = "weight of the loss of all structures at once under shared tokens (1)"
    parser.add_argument("--dense", metavar="WEIGHT", type=number(0), help=dense)
    own = "tasks of each slice under a structure's own deep tokens (1); with 0 all structures share them"
    parser.add_argument("--prompt-tasks", "--learned", metavar="N", type=integer(0), help=own)
    few = "structures that alone have such tokens, with commas; may be given again"
    parser.add_argument("--own", metavar="LIST", action="append", type=structure_list, help=few)
    pseudo = "share of the groups of slices that are about regions nobody annotated (0.35)"
    parser.add_argument("--pseudo", metavar="SHARE", type=share, help=pseudo)
    elsewhere = "share of the others that are drawn in one patient and asked for in another (0.5)"
    parser.add_argument("--elsewhere", metavar="SHARE", type=share, help=elsewhere)
    draw = "how often each data set is drawn, one number for each (default: evenly)"
    parser.add_argument("--draw", metavar="SHARE", nargs="+", type=number(0), help=draw)
    absent = "structures that no volume of a data set can show, as NAME=STRUCTURE,STRUCTURE; may be given again"
    parser.add_argument("--absent", metavar="LIST", action="append", type=absent_list, help=absent)
    left = "structures to learn nothing of, with commas; may be given again"
    parser.add_argument("--leave-out", metavar="LIST", action="append", type=structure_list, help=left)
    parser.add_argument("--steps", metavar="N", type=integer(1), help="optimiser steps")
    groups = "groups of three slices in a step, for each process (default: 3)"
    parser.add_argument("--groups", metavar="N", type=integer(1), help=groups)
    rate = "peak learning rate of the network (default: 1.2e-3); that of the prompts goes with it"
    parser.add_argument("--lr", metavar="RATE", type=number(0, inclusive=False), help=rate)
    parser.add_argument("--warmup", metavar="N", type=integer(0), help="steps in which the learning rate rises")
    parser.add_argument("--decay", metavar="N", type=integer(0), help="last steps, in which it falls to nothing")
    parser.add_argument("--schedule", choices=SCHEDULES, help="how it falls (default: linear)")
    moved = "what moves the network's matrices (default: adamw)"
    parser.add_argument("--optimiser", choices=OPTIMISERS, help=moved)
    parser.add_argument("--seed", metavar="N", type=integer(0), help="same seed, same split and order")
    held_out = "share of the subjects that is held out, 0 to below 1"
    parser.add_argument("--validation", metavar="SHARE", type=share, help=held_out)
    every = "steps between two looks at the held-out volumes, and at the end (default: 500)"
    parser.add_argument("--validate-every", metavar="N", type=integer(1), help=every)
    stride = "look at every Nth slice of them only (default: 1, whole volumes)"
    parser.add_argument("--validate-stride", metavar="N", type=integer(1), help=stride)
    parser.add_argument(
        "--save-every", metavar="N", type=integer(1), help="steps between two checkpoints (default: 200)"
    )
    add_engine(parser, backbone=False)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Train a backbone; returns 0, or 130 where another process was stopped. Raises :class:`PromptSegError`, or
    ``Stopped`` after saving."""
    check_folder(args.output)
    for dataset in args.datasets:
        check_input(dataset)
    if args.prompts and not args.start_from:
        raise InputError("--prompts needs the backbone that they were made for", "add --start-from")
    if args.paced and args.time_budget is None:
        raise InputError("--paced needs a time to go by", "add --time-budget")
    if args.draw is not None and not any(args.draw):
        raise InputError("--draw leaves nothing to draw from", "give one number above 0")
    _check_run(args)
    from PromptSegLib.model.config import PUNetConfig, paper, tiny
    from PromptSegLib.model.precision import keep_freed_memory
    from PromptSegLib.progress import ignore
    from PromptSegLib.prompts.library import resolve
    from PromptSegTrain.curves import tensorboard_is_there
    from PromptSegTrain.train import pretrain

    leads = os.environ.get("RANK", "0") == "0"  # torchrun numbers its processes: one of them speaks
    config = {"punet-ct": PUNetConfig, "paper": paper, "tiny": tiny}[args.preset]() if args.preset else None
    prompts = [resolve(text) for text in args.prompts]
    keep_freed_memory()
    if leads and not tensorboard_is_there():
        console.line("TensorBoard is not installed: the curves go to metrics.csv alone.")
    try:
        said = console.timed("train", "Reading the data sets") if leads else contextlib.nullcontext()
        with said, contextlib.ExitStack() as kept:

            def loaded(warnings: Sequence[str]) -> None:
                console.warn(*warnings)
                kept.enter_context(stop.keeping())  # from now on there is something to keep

            if not leads:
                kept.enter_context(stop.keeping())
            checkpoint = pretrain(
                [Path(dataset) for dataset in args.datasets],
                args.output,
                config=config,
                in_channels=args.slices,
                recipe=_recipe(args),
                name=args.name,
                resume=args.resume,
                start_from=args.start_from,
                prompts=prompts,
                time_budget=args.time_budget,
                paced=args.paced,
                workers=args.workers,
                device=args.device,
                on_loaded=loaded,
                on_progress=console.progress if leads else ignore,
                should_stop=stop,
            )
    except Stopped:
        if not leads:
            return 130
        if not (args.output / "last.safetensors").is_file():
            raise Stopped("Stopped before there was a checkpoint.") from None
        raise Stopped(f"Stopped; a checkpoint is in {args.output}, and --resume goes on from it.") from None
    if not leads:
        return 0
    backbone = checkpoint.with_name(f"{args.name}.safetensors")
    prompt_sets = sorted(args.output.glob("*.promptset"))
    made = [file for file in (backbone, *prompt_sets) if file.is_file()]  # none before the first step
    console.done(*(made or [checkpoint]))
    console.result(checkpoint=checkpoint, backbone=backbone if made else None, prompt_sets=prompt_sets)
    return 0


def _check_run(args: argparse.Namespace) -> None:
    """Raise :class:`OutputError` if the run's folder holds an input that the run would replace."""
    from PromptSegTrain.checkpoint import BEST, LAST

    written = {LAST, BEST, "metrics.csv", "validation.json", f"{args.name}.safetensors", f"{args.name}.json"}
    folders = {os.path.realpath(folder) for folder in (args.output, args.output / "best")}
    for text in (*args.datasets, *args.prompts, *([args.start_from] if args.start_from else [])):
        for file in files_of(text):
            real = Path(os.path.realpath(file))
            known = real.name in written or real.suffix == ".promptset"
            if file.is_file() and known and os.fspath(real.parent) in folders:
                raise OutputError(
                    f"'{text}' lies in the folder of this run, which would replace it", "choose another folder for -o"
                )


def _recipe(args: argparse.Namespace) -> Recipe:
    """The recipe of the options that were given, the others as before with --resume, and as they are usually."""
    from PromptSegTrain.checkpoint import LAST, read_settings
    from PromptSegTrain.recipe import Recipe

    last = args.output / LAST
    recipe = read_settings(last)[1] if args.resume and last.is_file() else Recipe()
    names = (
        *("steps", "seed", "validation", "mode", "cpa", "dense", "groups", "lr", "warmup", "decay", "schedule"),
        *("validate_every", "validate_stride", "save_every", "pseudo", "elsewhere", "optimiser"),
    )
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.lr is not None:
        given["prompt_lr"] = args.lr * recipe.prompt_lr / recipe.lr
    if args.own is not None:
        given["own"] = tuple(name for some in args.own for name in some)
    if args.prompt_tasks is not None:
        given["prompt_tasks"] = args.prompt_tasks
    if args.absent is not None:
        given["absent"] = dict(args.absent)
    if args.leave_out is not None:
        given["leave_out"] = tuple(name for some in args.leave_out for name in some)
    if args.draw is not None:
        given["weights"] = tuple(args.draw)
    return replace(recipe, **given)
