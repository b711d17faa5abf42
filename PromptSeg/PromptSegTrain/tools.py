"""How the tools of this package end: ``python -m PromptSegTrain.pack`` and its like."""

from __future__ import annotations

import sys
from collections.abc import Callable

from PromptSegLib.errors import as_problem


def status_of(work: Callable[[], None]) -> int:
    """Do the work and return the exit status: 0, or 2 after one sentence on standard error for what a user can cause.

    Raises what is a defect.
    """
    try:
        work()
    except Exception as error:
        problem = as_problem(error)
        if problem is None:
            raise
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0
