"""How much memory this process took at most."""

from __future__ import annotations

import sys
from pathlib import Path

from PromptSegLib.errors import PromptSegError

MIN_MEMORY = 1_500_000_000
"""Bytes of address space that loading torch, SimpleITK and the network takes, and a small image."""


def peak_memory_mib() -> float | None:
    """The largest resident size of this process so far, in MiB; None where the system does not say."""
    if sys.platform == "win32":
        return _windows()
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage would also count the process that started this one, before it turned into this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def check_limit() -> None:
    """Raise :class:`PromptSegError` if this process may not use as much memory as loading the network takes: libraries
    that run out of it end the process in their own way."""
    if sys.platform == "win32":
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and 0 <= limit < MIN_MEMORY:
        raise PromptSegError(
            f"Only {limit / 1e9:.1f} GB of memory may be used (ulimit -v)",
            f"allow at least {MIN_MEMORY / 1e9:.1f} GB, and more for large images",
        )


def _windows() -> float | None:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("size", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            ("peak", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    counters = Counters(size=ctypes.sizeof(Counters))
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    ask = kernel.K32GetProcessMemoryInfo
    ask.argtypes = (wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD)
    if not ask(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size):
        return None
    return round(counters.peak / 2**20, 1)
