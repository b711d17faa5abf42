"""``promptseg tune --dataset``: teach a structure from whole labelled volumes."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.errors import InputError, PromptSegError, Stopped, quoted
from PromptSegLib.inputs_stay import check_outputs

from .arguments import (
    MEMORY_OF_OUTPUT,
    check_input,
    expanded,
    former_prompt,
    open_session,
    share,
    structure_name,
    time_budget,
    write_anew,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PromptSegLib.labelled.learn import SetResult

    from .console import Console
    from .stopping import StopOnSignal

SUFFIX = ".run"
"""Of the folder beside the result that a run is kept in until it is complete."""
ONLY_DRAWN = ("pairs", "label", "slices", "absent", "segmentation", "name", "orientation")
"""What has a meaning for drawn slices alone."""
ONLY_SETS = ("structure", "validation", "time_budget", "resume")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a labelled set needs."""
    group = parser.add_argument_group("from whole labelled volumes, 3 to 100 of them, in place of drawn slices")
    data = (
        "a data set's description or its folder (Decathlon or nnU-Net layout), or a .pack; may be given again. In the"
        " Decathlon layout, images may be folders of DICOM series, and labels DICOM SEG or RTSTRUCT, by name. Where a"
        " patient has several volumes, it has to say so, as in promptseg pretrain"
    )
    group.add_argument("--dataset", metavar="DATASET.json", type=expanded, action="append", default=[], help=data)
    which = "the structure to learn, as the data set calls it"
    group.add_argument("--structure", metavar="NAME", type=structure_name, help=which)
    held_out = "share of the subjects that is held out, 0 to below 1 (default: 0.25)"
    group.add_argument("--validation", metavar="SHARE", type=share, help=held_out)
    budget = "stop after about this long, for example 90s, 25m or 2h"
    group.add_argument("--time-budget", metavar="TIME", type=time_budget, help=budget)
    group.add_argument("--resume", action="store_true", help="go on with a run that was stopped")


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Raises :class:`PromptSegError` before anything is written, or ``Stopped``."""
    if not args.structure:
        raise InputError("--dataset needs the structure to learn", "add --structure, for example --structure duodenum")
    odd = [name for name in ONLY_DRAWN if getattr(args, name, None)]
    if odd:
        option = "IMAGE LABELS" if odd[0] == "pairs" else f"--{odd[0]}"
        raise InputError(f"{option} is for drawn slices, and --dataset learns from whole volumes", "leave one out")
    from PromptSegLib.prompts.library import memory_beside, remembers

    inputs = [*(("--dataset", one) for one in args.dataset), ("--start-from", args.start_from)]
    outputs: dict[str, tuple[Path, tuple[str, ...]]] = {"-o": (args.output, (".promptset",))}
    keeps = not args.no_memory and remembers()
    outputs[MEMORY_OF_OUTPUT] = (memory_beside(args.output), ())
    check_outputs(outputs, [*inputs, ("--backbone", args.backbone)])
    for dataset in args.dataset:
        check_input(dataset)
    former = former_prompt(args.start_from, args.structure) if args.start_from else None
    session = open_session(args, console)
    stop.check()
    from PromptSegLib.labelled import run_folder
    from PromptSegLib.labelled.learn import learn
    from PromptSegLib.labelled.set_recipe import SetRecipe
    from PromptSegLib.prompts.promptset import PromptSet

    datasets = [Path(one) for one in args.dataset]
    given = {"steps": args.steps, "seed": args.seed, "validation": args.validation}
    recipe = SetRecipe(**{k: v for k, v in given.items() if v is not None})
    folder = args.output.with_name(args.output.name.removesuffix(".promptset") + SUFFIX)
    stop.sentence = f"Stopped before there was a prompt; --resume goes on, and {folder} keeps the volumes."
    try:
        with contextlib.ExitStack() as kept:

            def loaded(warnings: Sequence[str]) -> None:
                console.warn(*warnings)
                kept.enter_context(stop.keeping())  # from now on there is something to keep

            result = learn(
                session.backbone, datasets, args.structure, folder, recipe=recipe,
                start_from=former, resume=args.resume, time_budget=args.time_budget,
                on_loaded=loaded, on_progress=console.progress, should_stop=stop,
            )  # fmt: skip
            write_anew(PromptSet.of(result.prompt.structure.name, [result.prompt]), args.output)
            console.wrote(args.output)
    except Stopped:
        raise Stopped(stop.sentence) from None
    except PromptSegError as error:
        run_folder.remove_if_empty(folder)
        if folder.exists() and str(folder) not in str(error):
            raise type(error)(f"{error.problem} ({folder} keeps the prepared volumes)", error.remedy) from error
        raise
    console.seconds.update(result.seconds)
    memory = None
    if keeps and not result.stopped:
        memory = _remember(args, console, result, datasets, folder / run_folder.CACHE, stop)
    _report(args, console, result, folder, memory)
    if result.stopped:
        console.stopped(
            f"Stopped; the best prompt so far (step {result.steps}) was written to {args.output}, and --resume goes on."
        )
        return 130
    if result.complete:
        run_folder.remove(folder)  # it holds the volumes
    return 0


def _remember(
    args: argparse.Namespace,
    console: Console,
    result: SetResult,
    datasets: Sequence[Path],
    cache: Path,
    stop: StopOnSignal,
) -> Path | None:
    """Write the file that the next patient starts from, and give it; None where nothing can be kept."""
    from PromptSegLib.labelled.carried_subjects import memory_of
    from PromptSegLib.prompts.library import memory_beside

    path, name = memory_beside(args.output), result.prompt.structure.name
    try:
        with console.timed("memory", f"Writing {path}", 1.0), stop.keeping():
            known = memory_of(result.subjects, datasets, cache, name, stop)
            if not known.teachers:
                return None
            known.write(path)
            console.wrote(path)
    except Stopped:
        return None
    except PromptSegError as error:
        console.line(f"Nothing was kept for the next patient: {error}")
        return None
    return path


def _report(args: argparse.Namespace, console: Console, result: SetResult, folder: Path, memory: Path | None) -> None:
    name, subjects = result.prompt.structure.name, result.subjects
    looks = [(int(one["step"]), one.get("loss"), one.get("dice")) for one in result.curve]
    console.table(f"{name}: the held-out volumes that were looked at", ("step", "loss", "Dice"), looks)
    if result.dice:
        rows: list[tuple[str, float | None]] = [*sorted(result.dice.items()), ("mean", result.mean_dice)]
        console.table(f"{name}: Dice of whole held-out volumes at step {result.steps}", ("volume", "Dice"), rows)
    console.line(f"Learned from {len(subjects.training)} volumes: {quoted(s.name for s in subjects.training)}.")
    for note in result.notes:
        console.line(note)
    if not result.complete and not result.stopped:
        console.line(f"The time is over; --resume goes on. {folder} keeps the run and the volumes until then.")
    if memory:
        console.line(f"{memory} gives other patients a start. It shows subjects of the set: do not pass it on.")
    console.done(args.output, *([memory] if memory else []))
    console.result(
        structure=name,
        steps=result.steps,
        validation_dice=result.mean_dice,
        dice=result.dice,
        subjects=subjects.split,
        curve=list(result.curve),
        notes=result.notes,
        prompt=args.output,
        memory=memory,
        run=None if result.complete else folder,
        stopped=result.stopped,
    )
