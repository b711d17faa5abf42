"""What this computer has, and how much of it each process of a cohort gets."""

from __future__ import annotations

import contextlib
import os
import re
import sys

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.room import control_groups

_UNITS = {"": 1.0, "k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0**2}
MIN_MIB = 1500.0
"""What loading the network and a small image take."""
_USUAL_MIB = 4096.0
_CORES_A_PROCESS = 4
_SHARE = 0.8


def memory_of(text: str) -> float:
    """``"16G"``, ``"16GB"``, ``"800M"`` or a percentage of what there is, in MiB. Raises :class:`InputError`."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]+)?)\s*(%|[kmgt]?i?b?)", text.strip().lower())
    total = total_mib()
    if found and found[2] == "%" and total is not None:
        mib = total * float(found[1]) / 100
    elif found and found[2] not in ("", "%", "b"):
        mib = float(found[1]) * _UNITS[found[2][0]]
    else:
        raise InputError(f"'{text}' is not an amount of memory", "write for example 16G, 800M or 50%")
    if mib < MIN_MIB:
        raise InputError(f"--memory {text} is less than the network takes", f"allow at least {MIN_MIB / 1024:.1f}G")
    return mib


def total_mib() -> float | None:
    """The memory that this process may use with all its children: the computer's, or the container's or the batch
    job's where these have less; None where the system does not tell."""
    found = [mib for mib in (_physical(), *_limits()) if mib]
    return min(found, default=None)


def _physical() -> float | None:
    if sys.platform == "win32":
        return _windows()
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    return None


def _limits() -> list[float]:
    """The limits of this process' control groups, from its own group up."""
    found = []
    for _, limit, _ in control_groups():
        with contextlib.suppress(OSError, ValueError):
            mib = float(limit.read_text()) / 2**20
            found += [mib] if mib < 2**40 else []
    return found


def _windows() -> float | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((f"n{n}", ctypes.c_ulonglong) for n in range(7)),
        )

    status = Status()
    status.length = ctypes.sizeof(Status)
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined, unused-ignore]
        return None
    return float(status.n0) / 2**20


def devices(device: str, jobs: int | None, memory: float | None) -> tuple[list[str], str]:
    """One device for each process that is to run, and a sentence where that is less than ``jobs``: a GPU has one
    process, and each needs some of ``memory`` (MiB). Raises :class:`DeviceError`."""
    from PromptSegLib.model.precision import pick_device

    place = pick_device(device)
    if place.type == "cpu":
        room = share(memory) or _USUAL_MIB
        wanted = jobs or max(1, min(cores() // _CORES_A_PROCESS, int(room / _USUAL_MIB)))
        limit = max(1, int(room / MIN_MIB))
        note = f"The memory is enough for {limit} volumes at once in place of {wanted}." if wanted > limit else ""
        return ["cpu"] * min(wanted, limit), note
    if place.type == "cuda" and place.index is None:
        import torch

        every = [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    else:
        every = [str(place)]
    taken = every[: jobs or len(every)]
    short = (
        f"A GPU computes for one process: {len(taken)} is used in place of {jobs}."
        if jobs and jobs > len(every)
        else ""
    )
    return taken, short


def threads(processes: int) -> int:
    """Threads for each of some processes on the CPU."""
    return max(1, cores() // max(1, processes))


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def share(memory: float | None) -> float | None:
    """What all processes may take together: ``memory``, or most of what there is."""
    total = total_mib()
    return memory if memory is not None else None if total is None else total * _SHARE
