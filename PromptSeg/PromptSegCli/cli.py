"""The command ``promptseg``: how each run begins and ends.

Exit status: 0 done; 2 a problem that the user can do something about; 130 stopped by Ctrl-C; 1 a defect of ours; 141 if
nobody reads the output any more. Until Ctrl-C is heeded nothing is imported that takes time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status; ``arguments`` default to the process's own.

    With these, the process is the command's: it may be ended from within, and Ctrl-C no longer counts once it is done.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    own = arguments is None
    if own:
        signal.signal(signal.SIGINT, _end_at_once)  # until what follows has been imported
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        os.write(2, b"The current folder is gone; change to another one, and give the command again.\n")
        return 2
    try:
        return _run(words, own)
    except OSError as error:
        if error.errno != errno.EMFILE:  # too few even for Python's own modules
            raise
        os.write(2, b"Too few files may be open at once; allow more (ulimit -n 256).\n")
        return 2


def _run(words: list[str], own: bool) -> int:
    from .commands.stopping import StopOnSignal

    with StopOnSignal(json_lines="--json" in words, own_process=own) as stop:
        from PromptSegLib.threads import wait_passively

        from .commands.run import run

        wait_passively()
        if own:
            os.environ.pop(
                "MPLBACKEND", None
            )  # no window is opened, and matplotlib refuses a name that it does not know
        status = run(words, stop)
    if own and status == STOPPED:
        os._exit(status)  # Python's own way of ending takes long once torch is loaded
    return status


def _end_at_once(number: int, frame: object) -> None:
    """Ctrl-C before anything was begun."""
    sentence = "Stopped; nothing was written."
    with contextlib.suppress(OSError):
        os.write(2, f"{sentence}\n".encode())
        if "--json" in sys.argv:
            os.write(1, f'{{"event": "stopped", "message": "{sentence}"}}\n'.encode())
    os._exit(STOPPED)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; see :func:`PromptSegCli.commands.run.build_parser`."""
    from .commands.run import build_parser as build

    return build()


if __name__ == "__main__":
    sys.exit(main())
