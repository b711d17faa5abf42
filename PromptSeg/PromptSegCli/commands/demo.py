"""``promptseg demo``: teach PromptSeg two structures of a real CT that it never saw, and say how good it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import add_engine, check_folder, output

if TYPE_CHECKING:
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "see it work on a real CT, with a report"
DESCRIPTION = """\
Teach two structures in a few slices of a real chest CT, segment the volume, and
compare with the reference on the slices that were not shown. Writes a report, the
segmentations and the prompts; those of an earlier demonstration are replaced."""
EXAMPLES = ("promptseg demo", "promptseg demo -o somewhere")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    folder = "the folder to write to (default: demo)"
    parser.add_argument("-o", "--output", metavar="DIR", type=output, default=Path("demo"), help=folder)
    add_engine(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Run the demonstration and write its report; returns 0. Raises :class:`PromptSegError` or ``Stopped``."""
    check_folder(args.output)
    from PromptSegLib.model.precision import take_process

    from ..demo import run_demo

    take_process()
    with console.timed("demo", "Starting"):
        result = run_demo(args.output, console.progress, stop, backbone=args.backbone, device=args.device)
    console.wrote(*result.files)
    console.table("", ("", ""), [(figure.label, figure.value) for figure in result.numbers])
    for note in result.notes:
        console.line(note)
    console.done(*result.files)
    console.seconds = dict(result.seconds)
    console.result(**result.to_json())
    return 0
