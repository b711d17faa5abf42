"""``promptseg tune``: teach a structure in a few slices."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, PromptSegError, Stopped
from .arguments import (
    AXES,
    add_engine,
    check_backbone,
    check_input,
    check_outputs,
    label,
    open_session,
    slices,
    structure_name,
    whole,
)
from .segment import write_segmentation

if TYPE_CHECKING:
    from ..prompts.promptset import Prompt
    from ..prompts.structure import Structure
    from ..session import Session
    from ..tune.annotations import SliceAnnotations
    from ..tune.tuner import TuningResult
    from ..volumes.volume import Grid
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "teach a structure in a few slices of a CT"
DESCRIPTION = """\
Learn a prompt for one structure from slices of IMAGE in which it was drawn
completely. LABELS is a label map on the grid of IMAGE, or a segmentation that
3D Slicer saved. Slices are indices along the third axis (K) of the file, or
along that of --axis, and count from 0. The leave-one-slice-out Dice says how
well each drawn slice is found from the others.

Files that are there already are replaced. Ctrl-C stops within a second and keeps
the best prompt so far, where there is one."""
EXAMPLES = (
    "promptseg tune ct.nii.gz labels.nii.gz --label 3 --slices 40,52,64 --name kidney \\\n      -o kidney.promptset",
    "promptseg tune ct.nii.gz labels.nii.gz --label 3 --slices 40,52,64 --absent 20,90 \\\n"
    '      --name "left kidney" -o kidney.promptset --segmentation kidney.seg.nrrd',
)
_TUNING = 0.8  # share of the run that tuning takes in the progress bar when a segmentation follows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="the CT")
    parser.add_argument("labels", metavar="LABELS", help="a label map on the grid of IMAGE, or a .seg.nrrd")
    which = "the structure's value in LABELS, or the name of a segment"
    parser.add_argument("--label", metavar="N|NAME", type=label, required=True, help=which)
    parser.add_argument(
        "--slices", metavar="K,K,...", type=slices, required=True, help="the slices in which it is drawn completely"
    )
    absent = "slices that are known not to contain it"
    parser.add_argument("--absent", metavar="K,K,...", type=slices, default=(), help=absent)
    parser.add_argument(
        "--axis", choices=tuple(AXES), default="k", help="the axis that slices count along (default: k)"
    )
    parser.add_argument("--name", type=structure_name, required=True, help="what the structure is called")
    output = "what was learned: a .promptset file"
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help=output)
    result = "also segment IMAGE (.nii.gz, .nrrd, .mha or .seg.nrrd); drawn slices come back exactly as drawn"
    parser.add_argument("--segmentation", metavar="OUT", type=Path, help=result)
    former = "go on from the prompt in this .promptset file instead of starting anew"
    parser.add_argument("--start-from", metavar="FILE", help=former)
    parser.add_argument("--steps", metavar="N", type=whole(0), help="gradient steps at most")
    parser.add_argument("--seed", metavar="N", type=whole(0), default=0, help="same seed, same result (default: 0)")
    add_engine(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Do it. Raises :class:`PromptSegError` before anything is written, or ``Stopped``."""
    from ..prompts.promptset import PromptSet
    from ..volumes.io import LABEL_ENDINGS, read_volume

    outputs = {"-o": (args.output, (".promptset",)), "--segmentation": (args.segmentation, LABEL_ENDINGS)}
    check_outputs(outputs, {"IMAGE": args.image, "LABELS": args.labels})
    check_input(args.image)
    check_input(args.labels)
    former = _former(args.start_from, args.name) if args.start_from else None
    session = open_session(args, console)
    if former is not None:
        check_backbone(session, [former])
    stop.check()
    with console.timed("read", f"Reading {args.image} and {args.labels}"):
        volume = read_volume(args.image)
        annotations = _annotations(args, volume.grid)
        session.set_volume(volume)
    stop.check()

    listen = console.part(0.0, _TUNING if args.segmentation else 1.0)
    structure = _structure(args.name)
    try:
        result = session.tune(
            annotations,
            structure,
            start_from=former,
            steps=args.steps,
            seed=args.seed,
            on_progress=listen,
            should_stop=stop,
        )
    except Stopped:
        raise Stopped("Stopped before there was a prompt; nothing was written.") from None
    console.seconds.update(result.seconds)
    PromptSet.of(args.name, [result.prompt]).write(args.output)

    stopped = result.stopped
    if args.segmentation and not stopped:
        stopped = not _segment(args, session, result.prompt, annotations, console, stop)
    _report(args, console, result, stopped)
    if not stopped:
        return 0
    kept = "the best prompt so far" if result.stopped else "the prompt"
    rest = ", the segmentation was not" if args.segmentation else ""
    console.stopped(f"Stopped; {kept} was written to {args.output}{rest}.")
    return 130


def _segment(
    args: argparse.Namespace,
    session: Session,
    prompt: Prompt,
    annotations: SliceAnnotations,
    console: Console,
    stop: StopOnSignal,
) -> bool:
    """Write the volume's mask; False if the user stopped first."""
    try:
        with console.timed("segmentation", "Segmenting the volume", _TUNING):
            drawn = {args.name: annotations}
            listen = console.part(_TUNING, 1.0)
            result = session.segment([prompt], drawn=drawn, on_progress=listen, should_stop=stop)
            stop.check()
            write_segmentation(args.segmentation, result)
    except Stopped:
        return False
    except PromptSegError as error:
        raise type(error)(f"The prompt was written to {args.output}, but: {error.problem}", error.remedy) from error
    return True


def _report(args: argparse.Namespace, console: Console, result: TuningResult, stopped: bool) -> None:
    segmentation = None if stopped else args.segmentation
    rows = [(f"slice {index}", dice) for index, dice in sorted(result.leave_one_out.items())]
    mean = ("mean", result.leave_one_out_dice)
    console.table(f"{args.name}: leave-one-slice-out Dice", ("slice", "Dice"), [*rows, mean])
    console.done(args.output, *([segmentation] if segmentation else []))
    console.result(
        structure=args.name,
        leave_one_slice_out_dice=result.leave_one_out_dice,
        per_slice=dict(sorted(result.leave_one_out.items())),
        prompt=args.output,
        segmentation=segmentation,
        stopped=stopped,
    )


def _annotations(args: argparse.Namespace, grid: Grid) -> SliceAnnotations:
    from ..tune.annotations import SliceAnnotations
    from ..volumes.io import read_labels

    labels = read_labels(args.labels, like=grid)
    value = labels.value_of(args.label)
    array = labels.mask(value) * value if labels.overlapping else labels.array
    return SliceAnnotations.from_labels(array, grid, value, args.slices, args.absent, AXES[args.axis])


def _structure(name: str) -> Structure:
    """The structure under the user's own name, with terminology code and colour where the name is known."""
    from ..prompts.structure import Structure
    from ..prompts.terminology import find

    known = find(name)
    return replace(known, name=name) if known else Structure(name)


def _former(text: str, name: str) -> Prompt:
    """The prompt to go on from: the one of that name, or the only one."""
    from ..prompts.library import resolve

    prompts = resolve(text).prompts
    if name in prompts or len(prompts) == 1:
        return prompts.get(name) or next(iter(prompts.values()))
    there = ", ".join(prompts)
    raise InputError(
        f"{text} has no prompt for {name}", f"choose one of {there}, for example {text}:{next(iter(prompts))}"
    )
