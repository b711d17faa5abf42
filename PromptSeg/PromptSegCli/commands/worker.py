"""``promptseg worker``: compute for another program, such as 3D Slicer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from PromptSegLib.worker import serve

if TYPE_CHECKING:
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "compute for another program"
DESCRIPTION = """\
Stay and serve requests that come as JSON lines on standard input; events go to
standard output as JSON lines, arrays pass through the job folder. The backbone
and the volume stay warm from one request to the next. It ends when standard
input closes. docs/architecture.md and PromptSegLib/worker/protocol.py say what
may be asked for."""
EXAMPLES = ("""(echo '{"id": "1", "do": "info"}'; sleep 30) | promptseg worker""",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    serve.add_arguments(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Serve requests until standard input closes; returns the exit status."""
    return serve.serve(args)
