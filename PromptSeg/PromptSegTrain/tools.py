"""How the tools of this package end: ``python -m PromptSegTrain.pack`` and its like."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from PromptSegLib.errors import as_problem


def share(text: str) -> float:
    """The argument type of a share that is held out, 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to below 1")
    return value


def whole(least: int) -> Callable[[str], int]:
    """The argument type of a whole number from ``least`` on."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least} on")
        return int(text)

    return parse


def status_of(work: Callable[[], None]) -> int:
    """Do the work and return the exit status: 0, or 2 after one sentence on standard error for what a user can cause,
    or 130 where Ctrl-C ended it.

    Raises what is a defect.
    """
    try:
        work()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 130
    except Exception as error:
        problem = as_problem(error)
        if problem is None:
            raise
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0
