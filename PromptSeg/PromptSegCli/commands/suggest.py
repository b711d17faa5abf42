"""``promptseg suggest``: which slice to draw next."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from PromptSegLib.errors import InputError

from .arguments import (
    AXES,
    add_engine,
    add_orientation,
    check_backbone,
    check_input,
    expanded,
    integer,
    label,
    no_slices,
    one_of,
    open_session,
    slices,
)

if TYPE_CHECKING:
    from PromptSegLib.prompts.promptset import Prompt

    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "say which slice to draw next"
DESCRIPTION = """\
Say which undrawn slice of IMAGE should help most if it is drawn next, and why.
LABELS, --label, --slices, --absent and --axis are those that were given to
promptseg tune; --prompt is what it wrote. Nothing is written."""
EXAMPLES = ("promptseg suggest ct.nii.gz labels.nii.gz --label 3 --slices 40,64 --prompt kidney.promptset",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", type=expanded, help="the CT")
    labels = "a label map on the grid of IMAGE, a .seg.nrrd, or a DICOM SEG or RTSTRUCT"
    parser.add_argument("labels", metavar="LABELS", type=expanded, help=labels)
    which = "the structure's value or number in LABELS, or its name there"
    parser.add_argument("--label", metavar="N|NAME", type=label, required=True, help=which)
    drawn = "the slices in which it is drawn completely"
    parser.add_argument("--slices", metavar="K,K,...", type=slices, required=True, help=drawn)
    absent = "slices that are known not to contain it"
    parser.add_argument("--absent", metavar="K,K,...", type=no_slices, default=(), help=absent)
    parser.add_argument(
        "--axis", choices=tuple(AXES), default="k", help="the axis that slices count along (default: k)"
    )
    prompt = "what was learned from these slices: a .promptset file with one structure, or FILE:STRUCTURE"
    parser.add_argument("--prompt", metavar="FILE", type=expanded, required=True, help=prompt)
    parser.add_argument(
        "--limit", "--most", metavar="N", type=integer(1), default=1, help="how many slices (default: 1)"
    )
    add_orientation(parser)
    add_engine(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Print the slices to draw next; returns 0. Raises :class:`PromptSegError` or ``Stopped``."""
    from .drawn_volume import DrawnVolume

    check_input(args.image)
    check_input(args.labels)
    prompt = _prompt(args.prompt)
    session = open_session(args, console)
    check_backbone(session, [prompt])
    stop.check()
    with console.timed("read", f"Reading {args.image} and {args.labels}"):
        drawn_volume = DrawnVolume(args.image, args.labels, args.label, args.slices, args.absent)
        volume, annotations = drawn_volume.read(AXES[args.axis], args.orientation)
        session.set_volume(volume)
    console.warn(*session.warnings)
    with console.timed("suggest", "Segmenting the volume"):
        found = session.suggest(
            annotations, prompt, limit=args.limit, on_progress=console.part(0.0, 1.0), should_stop=stop
        )
    for note in session.notes([prompt], {prompt.structure.name: annotations}):
        console.line(note)
    rows = [(one.index, f"{one.share:.0%}", one.reason) for one in found]
    if found:
        console.table("", ("slice", "of what may be wrong", "why"), rows)
    else:
        console.line("No slice is uncertain: there is nothing to draw.")
    console.result(suggestions=[vars(one) for one in found])
    return 0


def _prompt(text: str) -> Prompt:
    from PromptSegLib.prompts.library import resolve

    prompts = resolve(text).prompts
    if len(prompts) == 1:
        return next(iter(prompts.values()))
    raise InputError(f"{text} has several structures", one_of(prompts, "--prompt", text))
