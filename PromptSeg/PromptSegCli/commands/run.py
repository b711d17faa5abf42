"""Which commands there are, and how each of them ends: one sentence and a status, see :mod:`PromptSegCli.cli`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from PromptSegLib import __version__
from PromptSegLib.errors import InputError, Stopped, as_problem

from ..memory_limit import check_limit
from . import cohort, demo, evaluate, info, pretrain, prompts, review, segment, suggest, tune, worker
from .console import Console, StreamError
from .stopping import StopOnSignal
from .streams import let_go, open_missing

DONE, DEFECT, PROBLEM, STOPPED, UNREAD = 0, 1, 2, 130, 141


def run(words: Sequence[str], stop: StopOnSignal) -> int:
    """Run the command that ``words`` ask for, and give its exit status."""
    open_missing()
    console = Console(json_lines="--json" in words, stop=stop)
    debug = "--debug" in words or os.environ.get("PROMPTSEG_DEBUG") == "1"
    if stop.own_process and not debug:
        _quieten_libraries()
    try:
        status = _run(words, console, stop, debug)
        console.flush()
    except BrokenPipeError:
        # Nobody reads on, as after `| head`; and nothing may be written to the pipe when Python ends.
        let_go(sys.stdout)
        return UNREAD
    except StreamError as lost:
        let_go(sys.stdout)
        console.error(str(lost))
        return PROBLEM
    return status


def _quieten_libraries() -> None:
    """Keep what libraries say of themselves (a font cache, a deprecation) from coming between our sentences."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.lastResort = logging.NullHandler()


def _run(words: Sequence[str], console: Console, stop: StopOnSignal, debug: bool) -> int:
    try:
        try:
            args = build_parser().parse_args(words)
            stop.check()
            if args.run not in (evaluate.run, review.run):  # these do without torch
                check_limit()
            return int(args.run(args, console, stop))
        finally:
            console.close()
    except SystemExit as end:  # argparse after --help and --version
        return int(end.code or DONE)
    except (BrokenPipeError, StreamError):
        raise
    except Stopped as stopped:
        console.stopped(str(stopped) or stop.sentence)
        return STOPPED
    except KeyboardInterrupt:
        console.stopped("Ended at once.")
        return STOPPED
    except BaseException as error:
        if debug:
            traceback.print_exc()
        problem = as_problem(error)
        if problem is None and stop():  # what was interrupted may complain in its own way
            console.stopped(stop.sentence)
            return STOPPED
        if problem is not None:
            console.error(console.with_written(problem))
            return PROBLEM
        what = f"{type(error).__name__}: {error}".rstrip(": .")
        again = "" if debug else "; run the command again with --debug and report what it prints"
        console.error(f"This is a defect in PromptSeg ({what}){again}.")
        return DEFECT


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as every other problem is said, not with a page of usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What a command does not know is said by it, not by ``promptseg``, whose help does not have its options."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"There is no argument {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise InputError(message[:1].upper() + message[1:], f"see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command's ``run`` is in the namespace that it gives."""
    text = "Segment CT with a promptable U-Net, and teach it new structures from a few slices."
    note = "Research software, not a medical device. `promptseg COMMAND --help` shows examples."
    parser = _Parser("promptseg", description=text, epilog=note, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"promptseg {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, module in (
        ("info", info),
        ("segment", segment),
        ("cohort", cohort),
        ("tune", tune),
        ("suggest", suggest),
        ("review", review),
        ("evaluate", evaluate),
    ):
        _declare(commands, name, module)
    below = commands.add_parser("prompts", help=prompts.SUMMARY, description=prompts.SUMMARY, allow_abbrev=False)
    prompts.add_commands(below, _add)
    for name, module in (("pretrain", pretrain), ("worker", worker), ("demo", demo)):
        _declare(commands, name, module)
    return parser


def _declare(commands: Any, name: str, module: Any) -> None:
    module.add_arguments(_add(commands, name, module.SUMMARY, module.DESCRIPTION, module.EXAMPLES, module.run))


def _add(
    commands: Any, name: str, summary: str, text: str, examples: Sequence[str], run: Callable[..., int]
) -> argparse.ArgumentParser:
    """One command, with the options that all have and with examples that work at the end of its help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=text,
        epilog="\n".join(("examples:", *(f"  {example}" for example in examples))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line: progress, then the result")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from (or PROMPTSEG_DEBUG=1)")
    parser.set_defaults(run=run)
    return parser
