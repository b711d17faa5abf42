"""Whether the voxels that a file promises fit into memory: a few bytes of a header, or of a stream that packs well, can
promise more than any computer has, and systems that promise it, too, end the process later."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

_GROUPS = Path("/sys/fs/cgroup")


def check_room(name: str, size: int) -> None:
    """Raise :class:`InputError` if ``size`` bytes are more than this process can have now; ``name`` is what would take
    them."""
    free = free_bytes() if size > 1 << 24 else None
    if free is not None and size > free:
        raise InputError(
            f"{name} does not fit into this computer's memory: it takes {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB"
            " are free",
            "crop it or close other programs",
        )


def free_bytes() -> float | None:
    """What the computer, and the container or batch job, still have; None where the system does not tell."""
    found = [size for size in (_system(), *_groups()) if size is not None]
    return max(0.0, min(found)) if found else None


def _system() -> float | None:
    if sys.platform == "win32":
        return _windows()
    with contextlib.suppress(OSError, ValueError, IndexError):
        told = {
            key: float(value.split()[0]) * 1024
            for key, _, value in (line.partition(":") for line in Path("/proc/meminfo").read_text().splitlines())
        }
        return told["MemAvailable"] + told.get("SwapFree", 0.0) if "MemAvailable" in told else None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return None


def _groups() -> list[float]:
    """What this process' control groups leave: their limit without what is in use and no cache of files."""
    found = []
    for folder, limit, used in control_groups():
        with contextlib.suppress(OSError, ValueError):  # "max", or a folder that is not shown in a container
            found.append(float(limit.read_text()) - float(used.read_text()) + _cache(folder))
    return found


def control_groups() -> Iterator[tuple[Path, Path, Path]]:
    """The control groups of this process that bound its memory (Linux, versions 1 and 2), from its own group up: the
    folder of each, and the files with its limit and with what is in use, in bytes."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, group = line.split(":", 2)
            if kinds and "memory" not in kinds.split(","):
                continue
            top = _GROUPS / "memory" if kinds else _GROUPS
            limit, used = (
                ("memory.limit_in_bytes", "memory.usage_in_bytes") if kinds else ("memory.max", "memory.current")
            )
            here = top / group.lstrip("/")
            for folder in (here, *here.parents):
                yield folder, folder / limit, folder / used
                if folder == top:
                    break


def _cache(folder: Path) -> float:
    """Bytes of files that the group keeps in memory as long as nobody needs it."""
    told = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return sum(float(told.get(key, 0)) for key in ("inactive_file", "active_file"))


def _windows() -> float | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "pages", "free_pages", "all", "left", "more")),
        )

    status = Status(length=ctypes.sizeof(Status))
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
    return float(status.free_pages) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None
