"""What a worker of a Dask cluster runs: one volume, and what it says of itself before."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from PromptSegLib import __version__
from PromptSegLib.errors import Stopped, as_problem
from PromptSegLib.threads import wait_passively

from .job import JobEngine, perform, watching
from .task import Task

_ENGINES: dict[int | None, JobEngine] = {}


def about_worker(token: str) -> dict[str, Any]:
    """What a worker must have in common with the client: the version, and a way to the folder of results."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "sees": os.path.exists(token),  # noqa: PTH110
    }


def do(values: Mapping[str, Any], threads: int | None, devices: Sequence[str]) -> dict[str, Any]:
    """Do a task as :func:`~.job.perform` does, with the backbone that this process loaded before.

    Gives {"record"}, {"stopped"} or, for what no volume would escape, {"problem", "remedy"}: plain values, because a
    client of another version must understand them. ``devices`` are those of the workers of one computer, by number.
    """
    wait_passively()
    task = Task.from_json({**values, "device": _device(values, devices)})
    engine = _ENGINES.setdefault(threads, JobEngine(threads))
    try:
        record = perform(task, engine, should_stop=watching(task.token))
    except Stopped:
        return {"stopped": True}
    except Exception as error:
        problem = as_problem(error)
        if problem is None:
            raise
        return {"problem": problem.problem, "remedy": problem.remedy}
    return {"record": record.to_json() | {"peak_mib": _peak()}}


def _device(values: Mapping[str, Any], devices: Sequence[str]) -> str:
    if devices:
        from distributed import get_worker

        name = str(get_worker().name)
        return devices[int(name) % len(devices) if name.isdigit() else 0]
    return str(values["device"])


def _peak() -> float | None:
    from ..memory_limit import peak_memory_mib

    return peak_memory_mib() if "torch" in sys.modules else None
