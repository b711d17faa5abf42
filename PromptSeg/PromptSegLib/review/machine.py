"""What a result was computed with: for reports and benchmarks, which mean nothing without it."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_PACKAGES = ("torch", "numpy", "scipy", "SimpleITK")


def computer(device: torch.device) -> str:
    """The chip that computes and how much of it, such as "AMD EPYC 7B13, 2 threads on 2 cores"."""
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type != "cpu":
        return f"{_processor()}, {device.type}"
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    return f"{_processor()}, {_several(threads, 'thread')} on {_several(cores, 'core')}"


def details(backbone: str, backbone_id: str, device: torch.device) -> list[tuple[str, str]]:
    """Machine, versions, backbone and date, as terms with their values."""
    from .. import __version__

    versions = [f"PromptSeg {__version__}", *(f"{name} {metadata.version(name)}" for name in _PACKAGES)]
    return [
        ("Computer", computer(device)),
        ("System", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        ("Versions", ", ".join(versions)),
        ("Backbone", f"{backbone}, {backbone_id}"),
        ("Date", date.today().isoformat()),
    ]


def _processor() -> str:
    """The name that its maker gave it, where the system tells."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or platform.machine()])[0]


def _several(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
