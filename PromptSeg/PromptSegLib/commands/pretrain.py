"""``promptseg pretrain``: train a backbone."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Stopped
from .arguments import add_engine, check_folder, check_input, plain_name, share, time_budget, whole

if TYPE_CHECKING:
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "train a backbone on annotated CTs"
DESCRIPTION = """\
Train a backbone, and a prompt for each structure, on data sets in the layout of
the Medical Segmentation Decathlon. The folder keeps the backbone, a .promptset for
each data set, a checkpoint, the curves and a cache of the data. Ctrl-C saves all
that there is; --resume goes on from it."""
EXAMPLES = (
    "promptseg pretrain dataset.json -o backbone --time-budget 25m",
    "promptseg pretrain dataset.json -o backbone --resume",
)
PRESETS = ("punet-ct", "paper", "tiny")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("datasets", metavar="DATASET.json", nargs="+", help="a data set's description, or its folder")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    budget = "stop after this long, for example 90s, 25m or 2h, and save"
    parser.add_argument("--time-budget", metavar="TIME", type=time_budget, help=budget)
    parser.add_argument("--steps", metavar="N", type=whole(1), help="optimiser steps")
    parser.add_argument("--seed", metavar="N", type=whole(0), help="same seed, same split and order")
    held_out = "share of the volumes that is held out, 0 to below 1"
    parser.add_argument("--validation", metavar="SHARE", type=share, help=held_out)
    preset = "the network: the one that ships (default), the paper's sizes, or a tiny one for trying things out"
    parser.add_argument("--preset", choices=PRESETS, default="punet-ct", help=preset)
    parser.add_argument("--name", type=plain_name, default="punet-ct", help="the backbone's name (default: punet-ct)")
    add_engine(parser, backbone=False)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Do it. Raises :class:`PromptSegError`, or ``Stopped`` after saving."""
    check_folder(args.output)
    for dataset in args.datasets:
        check_input(dataset)
    from ..model.config import PUNetConfig, paper, tiny
    from ..pretrain.recipe import Recipe
    from ..pretrain.train import pretrain

    config = {"punet-ct": PUNetConfig, "paper": paper, "tiny": tiny}[args.preset]()
    given = {name: getattr(args, name) for name in ("steps", "seed", "validation")}
    recipe = replace(Recipe(), **{name: value for name, value in given.items() if value is not None})
    try:
        with console.timed("train", "Reading the data sets"):
            checkpoint = pretrain(
                [Path(dataset) for dataset in args.datasets],
                args.output,
                config=config,
                recipe=recipe,
                name=args.name,
                resume=args.resume,
                time_budget=args.time_budget,
                device=args.device,
                on_progress=console.progress,
                should_stop=stop,
            )
    except Stopped:
        if not (args.output / "last.safetensors").is_file():
            raise Stopped("Stopped before there was a checkpoint.") from None
        raise Stopped(f"Stopped; a checkpoint is in {args.output}, and --resume goes on from it.") from None
    backbone = checkpoint.with_name(f"{args.name}.safetensors")
    prompt_sets = sorted(args.output.glob("*.promptset"))
    made = [file for file in (backbone, *prompt_sets) if file.is_file()]  # none before the first step
    console.done(*(made or [checkpoint]))
    console.result(checkpoint=checkpoint, backbone=backbone if made else None, prompt_sets=prompt_sets)
    return 0
