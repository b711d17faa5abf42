"""Standard streams that may be missing, closed, or led to where nothing can be written."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Let descriptors 0 to 2 and Python's streams lead to nothing where the process was started without them.

    Otherwise the next file that is opened gets such a descriptor, and what a library prints goes into that file.
    """
    with contextlib.suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # a name may hold what the screen's encoding does not


def is_terminal(stream: TextIO) -> bool:
    """Whether people look at a stream; False for a closed one."""
    with contextlib.suppress(OSError, ValueError):
        return stream.isatty()
    return False


def let_go(stream: TextIO) -> None:
    """Lead a stream that cannot be written to nowhere, so that Python does not try again when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
