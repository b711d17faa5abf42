"""``promptseg tune``: teach a structure in a few slices."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.errors import InputError, PromptSegError, Stopped, quoted
from PromptSegLib.inputs_stay import check_outputs

from ..dicom.result import ENDING, format_of
from . import tune_set
from .arguments import (
    AXES,
    MEMORY_OF_OUTPUT,
    add_engine,
    add_orientation,
    check_backbone,
    check_input,
    expanded,
    former_prompt,
    integer,
    label,
    no_slices,
    open_session,
    output,
    slices,
    structure_name,
    write_anew,
)
from .drawn_volume import drawn_volumes
from .segment import write_segmentation

if TYPE_CHECKING:
    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.annotations import SliceAnnotations
    from PromptSegLib.prompts.promptset import Prompt
    from PromptSegLib.register.teachers import Memory
    from PromptSegLib.segment.result import Segmentation
    from PromptSegLib.session import Session
    from PromptSegLib.tune.estimate import Estimate
    from PromptSegLib.tune.tuner import TuningResult
    from PromptSegLib.volumes.volume import Volume

    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "teach a structure: in a few slices of a CT, or from a labelled set"
DESCRIPTION = """\
Learn a prompt for one structure from slices of IMAGE in which it was drawn
completely. Draw the first and the last slice that show it, because little is
looked for beyond them, and some between. LABELS is a label map on the grid of
IMAGE, or a segmentation that 3D Slicer saved. Several pairs of IMAGE and LABELS
teach one prompt; then --slices is given once for each pair, in their order, and
--absent too, or not at all. Slices are indices along the third axis (K) of the
file, or along that of --axis, and count from 0. The leave-one-slice-out Dice says
how well each drawn slice is found from the others.

With --dataset it learns from whole labelled volumes of several subjects instead:
better in other patients than a few slices of one. A share of them is held out and
looked at on the way; the best prompt there is kept. Three of the others give the
next patient a start (FILE.memory).

Files that are there already are replaced. Ctrl-C stops within a second and keeps
the best prompt so far, where there is one."""
EXAMPLES = (
    "promptseg tune ct.nii.gz labels.nii.gz --label 3 --slices 40,52,64 --name kidney \\\n      -o kidney.promptset",
    "promptseg tune ct.nii.gz labels.nii.gz --label 3 --slices 40,52,64 --absent 20,90 \\\n"
    '      --name "left kidney" -o kidney.promptset --segmentation kidney.seg.nrrd',
    "promptseg tune ct.nii.gz labels.nii.gz ct2.nii.gz labels2.nii.gz --label 3 \\\n"
    "      --slices 40,52,64 --slices 44,58 --name kidney -o kidney.promptset",
    'promptseg tune --dataset abdomen/dataset.json --structure "duodenum" -o duodenum.promptset --time-budget 30m',
)
_TUNING = 0.8  # share of the run that tuning takes in the progress bar when a segmentation follows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    pairs = "a CT, and a label map on its grid, a .seg.nrrd or a DICOM SEG or RTSTRUCT; again for each further volume"
    parser.add_argument("pairs", metavar="IMAGE LABELS", type=expanded, nargs="*", help=pairs)
    which = "the structure's value or number in LABELS, or its name there; once for all, or once for each pair"
    parser.add_argument("--label", metavar="N|NAME", type=label, action="append", help=which)
    drawn = "the slices in which it is drawn completely, the first and the last that show it among them"
    parser.add_argument("--slices", metavar="K,K,...", type=slices, action="append", help=drawn)
    absent = "slices that are known not to contain it; none for a pair that has no such slice"
    parser.add_argument("--absent", metavar="K,K,...", type=no_slices, action="append", default=[], help=absent)
    parser.add_argument(
        "--axis", choices=tuple(AXES), default="k", help="the axis that slices count along (default: k)"
    )
    parser.add_argument("--name", type=structure_name, help="what the structure is called")
    learned = "what was learned: a .promptset file"
    parser.add_argument("-o", "--output", metavar="FILE", type=output, required=True, help=learned)
    result = (
        "also segment the (first) IMAGE (.nii.gz, .nrrd, .mha, .seg.nrrd, .dcm or .rtstruct.dcm); drawn slices come"
        " back exactly as drawn"
    )
    parser.add_argument("--segmentation", metavar="OUT", type=output, help=result)
    former = (
        "go on from this prompt instead of starting anew, a .promptset file or one that ships, as abdomen-ct:liver:"
        " slices inside of a structure that it knows correct what it finds, which stays elsewhere"
    )
    parser.add_argument("--start-from", metavar="FILE|SET", type=expanded, help=former)
    parser.add_argument("--steps", metavar="N", type=integer(0), help="gradient steps at most")
    parser.add_argument("--seed", metavar="N", type=integer(0), default=0, help="same seed, same result (default: 0)")
    examples = (
        "also learn from the slices of earlier patients that this .memory file has (default: the one beside "
        "--start-from)"
    )
    parser.add_argument("--examples", metavar="FILE", type=expanded, help=examples)
    forget = (
        "keep no picture of this patient, and use none of others: else FILE.memory beside the prompt has the CT at "
        "3 mm, the finished mask and the drawn slices, which give the next patient on this computer a start"
    )
    parser.add_argument("--no-memory", action="store_true", help=forget)
    add_orientation(parser)
    add_engine(parser)
    tune_set.add_arguments(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Learn a prompt and write it; returns 0. Raises :class:`PromptSegError` before anything is written, or
    ``Stopped``."""
    if args.dataset:
        return tune_set.run(args, console, stop)
    _check_given(args)
    from PromptSegLib.prompts.library import remembers
    from PromptSegLib.prompts.promptset import PromptSet
    from PromptSegLib.register.teachers import Memory, beside
    from PromptSegLib.volumes.io import LABEL_ENDINGS
    from PromptSegLib.volumes.plausible import warnings_of

    from ..dicom.series import check_source

    volumes = drawn_volumes(args)
    outputs = {"-o": (args.output, (".promptset",)), "--segmentation": (args.segmentation, (*LABEL_ENDINGS, ENDING))}
    pairs = [
        pair for drawn_volume in volumes for pair in (("IMAGE", drawn_volume.image), ("LABELS", drawn_volume.labels))
    ]
    inputs = [("--start-from", args.start_from), ("--examples", args.examples), ("--backbone", args.backbone)]
    keeps = not args.no_memory and remembers()
    if keeps:
        outputs[MEMORY_OF_OUTPUT] = (beside(args.output), ())
    check_outputs(outputs, [*pairs, *inputs])
    for _, path in pairs:
        check_input(path)
    dicom = args.segmentation is not None and format_of(args.segmentation)
    former = former_prompt(args.start_from, args.name) if args.start_from else None
    known = _known(args, former, console) if keeps else Memory()
    session = open_session(args, console)
    if former is not None:
        check_backbone(session, [former])
    stop.check()
    drawn = []
    for drawn_volume in volumes:
        with console.timed("read", f"Reading {drawn_volume.image} and {drawn_volume.labels}"):
            drawn.append(drawn_volume.read(AXES[args.axis], args.orientation))
        if dicom and len(drawn) == 1:
            check_source(drawn[0][0].source)
        stop.check()
    session.set_volume(drawn[0][0])
    console.warn(*session.warnings, *(note for volume, _ in drawn[1:] for note in warnings_of(volume)))
    annotations = drawn[0][1]

    listen = console.part(0.0, _TUNING if args.segmentation or keeps else 1.0)
    structure = _structure(args.name)
    try:
        with stop.keeping():
            result = session.tune(
                drawn,
                structure,
                start_from=former,
                remembered=known.drawn(args.name),
                steps=args.steps,
                seed=args.seed,
                on_progress=listen,
                should_stop=stop,
            )
            write_anew(PromptSet.of(args.name, [result.prompt]), args.output, args.examples)
            console.wrote(args.output)
    except Stopped:
        raise Stopped("Stopped before there was a prompt; nothing was written.") from None
    console.seconds.update(result.seconds)

    stopped, expected, memory = result.stopped, None, None
    if (args.segmentation or keeps) and not stopped:
        made = _segment(args, session, result.prompt, *drawn[0], known, keeps, console, stop)
        stopped = made is None
        if made is not None:
            console.warn(*made.notes)
            expected = session.estimate(made, annotations, result.prompt)
            if keeps:
                memory = _remember(args, session, result.prompt, drawn, made, known, console, stop)
    _report(args, console, result, stopped, expected, memory)
    if not stopped:
        return 0
    kept = f"the best prompt so far (step {result.steps})" if result.stopped else "the prompt"
    rest = ", the segmentation was not" if args.segmentation else ""
    console.stopped(f"Stopped; {kept} was written to {args.output}{rest}.")
    return 130


def _check_given(args: argparse.Namespace) -> None:
    """Raise :class:`InputError` where something is missing, or belongs to labelled sets."""
    needed = {"IMAGE LABELS": args.pairs, "--label": args.label, "--slices": args.slices, "--name": args.name}
    missing = [option for option, value in needed.items() if not value]
    if missing:
        raise InputError(
            f"To learn from drawn slices, {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed",
            "add what is missing, or name whole labelled volumes with --dataset",
        )
    odd = [name for name in tune_set.ONLY_SETS if getattr(args, name) not in (None, False)]
    if odd:
        raise InputError(f"--{odd[0].replace('_', '-')} needs --dataset", "leave it out, or name a data set")


def _segment(
    args: argparse.Namespace,
    session: Session,
    prompt: Prompt,
    volume: Volume,
    annotations: SliceAnnotations,
    known: Memory,
    references: bool,
    console: Console,
    stop: StopOnSignal,
) -> Segmentation | None:
    """Write the volume's mask and give it; None if the user stopped first."""
    try:
        with console.timed("segmentation", "Segmenting the volume", _TUNING):
            drawn = {args.name: annotations}
            listen = console.part(_TUNING, 1.0)
            with stop.keeping():
                priors = {args.name: session.others(known, args.name)}
                result = session.segment(
                    [prompt], drawn=drawn, priors=priors, references=references, on_progress=listen, should_stop=stop
                )
            stop.check()
            if args.segmentation:
                notes = write_segmentation(args.segmentation, result, volume.source, session.backbone.id, stop)
                console.wrote(args.segmentation)
                console.warn(*notes)
    except Stopped:
        return None
    except PromptSegError as error:
        raise type(error)(f"The prompt was written to {args.output}, but: {error.problem}", error.remedy) from error
    return result


def _remember(
    args: argparse.Namespace,
    session: Session,
    prompt: Prompt,
    drawn: Sequence[tuple[Volume, SliceAnnotations]],
    made: Segmentation,
    known: Memory,
    console: Console,
    stop: StopOnSignal,
) -> Path | None:
    """Write the file that the next patient starts from, and give it; None where nothing can be kept."""
    from PromptSegLib.register.teachers import beside

    path, teachers = beside(args.output), []
    try:
        with console.timed("memory", f"Writing {path}", 1.0):
            for number, (volume, annotations) in enumerate(drawn):
                if number:
                    session.set_volume(volume)
                    made = session.segment([prompt], drawn={args.name: annotations}, should_stop=stop)
                if made.volume_ml(args.name):
                    try:
                        teachers.append(session.remember(made, annotations, prompt, stop))
                    except InputError as error:  # the earlier patients are kept all the same
                        console.line(f"Nothing was kept for the next patient: {error}")
            memory = known.joined(teachers)
            if memory.teachers:
                memory.write(path)
                console.wrote(path)
    except Stopped:
        return None
    except PromptSegError as error:
        console.line(f"Nothing was kept for the next patient: {error}")
        return None
    return path if memory.teachers else None


def _known(args: argparse.Namespace, former: Prompt | None, console: Console) -> Memory:
    """What is remembered of the structure in earlier patients: by --examples, else by what lies beside --start-from. A
    file that was named must be of use; one that was found is told where it cannot be read."""
    from PromptSegLib.register.teachers import Memory, memory_of

    name = args.name if former is None else former.structure.name
    path = args.examples or (memory_of(args.start_from) if args.start_from else None)
    try:
        memory = Memory() if path is None else Memory.read(path)
    except InputError as error:
        if args.examples:
            raise
        console.line(str(error))
        return Memory()
    name = name if name in memory.names or args.name not in memory.names else args.name
    if args.examples and not memory.drawn(name):
        raise InputError(
            f"{args.examples} has no drawn slices of '{name}'", f"it knows {quoted(memory.names)}: choose another file"
        )
    return memory.called(args.name, name)


def _report(
    args: argparse.Namespace,
    console: Console,
    result: TuningResult,
    stopped: bool,
    expected: Estimate | None,
    memory: Path | None,
) -> None:
    segmentation = None if stopped else args.segmentation
    several = len(args.pairs) > 2
    rows = [
        (f"volume {one.volume + 1}, slice {one.index}" if several else f"slice {one.index}", one.dice)
        for one in sorted(result.left_out, key=lambda one: (one.volume, one.index))
    ]
    mean = ("mean", result.leave_one_out_dice)
    console.table(f"{args.name}: leave-one-slice-out Dice", ("slice", "Dice"), [*rows, mean])
    if expected is not None:
        reach = f"{expected.low:.2f} to {expected.high:.2f} in four of five cases"
        console.line(f"Dice to be expected between the first and the last drawn slice: {expected.dice:.2f} ({reach}).")
    for note in result.notes:
        console.line(note)
    if result.prompt.card.carries is False:
        console.line(
            f"Without contours the network found left-out slices with a Dice of only {result.network_dice:.2f}: in "
            "other volumes this prompt may find little. Draw a few slices there, too."
        )
    if memory:
        console.line(f"{memory} gives other patients a start. It shows this patient: do not pass it on.")
    console.done(args.output, *([segmentation] if segmentation else []), *([memory] if memory else []))
    console.result(
        structure=args.name,
        leave_one_slice_out_dice=result.leave_one_out_dice,
        network_dice=result.network_dice,
        steps=result.steps,
        per_slice=dict(sorted(result.leave_one_out.items())),
        left_out=[vars(one) for one in result.left_out],
        notes=result.notes,
        expected_dice=None if expected is None else vars(expected),
        prompt=args.output,
        segmentation=segmentation,
        memory=memory,
        stopped=stopped,
    )


def _structure(name: str) -> Structure:
    """The structure under the user's own name, with terminology code and colour where the name is known."""
    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.anatomy.terminology import find

    known = find(name)
    return replace(known, name=name) if known else Structure(name)
