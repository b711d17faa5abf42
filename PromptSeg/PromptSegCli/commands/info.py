"""``promptseg info``: what is there, for people and for programs that start the engine."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from PromptSegLib import __version__
from PromptSegLib.errors import PromptSegError

from .arguments import add_engine

if TYPE_CHECKING:
    import torch

    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "say what is there: versions, device, backbone, prompt sets"
DESCRIPTION = """\
Versions, the device that would compute and its precision, the backbone and the
shipped prompt sets."""
EXAMPLES = ("promptseg info", "promptseg info --json")
_PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_engine(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Print versions, device and backbone; returns 0. Raises :class:`DeviceError` for a device that is not there; a
    backbone that cannot be used is part of what is printed."""
    from PromptSegLib.model.precision import default_threads, fast_dtype, pick_device
    from PromptSegLib.prompts.library import shipped

    device = pick_device(args.device)
    versions = {"promptseg": __version__, "python": platform.python_version()} | {p: _version(p) for p in _PACKAGES}
    precision = str(fast_dtype(device)).removeprefix("torch.")
    threads = default_threads()
    backbone = _backbone(args)
    sets = [path.stem for path in shipped()]

    rows = [(name, version or "not installed") for name, version in versions.items()]
    rows += [("device", f"{device} ({_chip(device)})"), ("threads", str(threads)), ("precision", precision)]
    rows.append(("backbone", backbone["problem"] or f"{backbone['name']} ({backbone['id'][:12]})"))
    rows.append(("prompt sets", ", ".join(sets) or "none"))
    console.table("", ("", ""), rows)
    console.result(
        versions=versions,
        device=str(device),
        chip=_chip(device),
        threads=threads,
        precision=precision,
        backbone=backbone,
        prompt_sets=sets,
    )
    return 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _backbone(args: argparse.Namespace) -> dict[str, Any]:
    from PromptSegLib.model.backbone import find_backbone, load_backbone

    try:
        path = find_backbone(args.backbone)
        found = load_backbone(args.backbone, args.device)
    except PromptSegError as error:
        return {"name": str(args.backbone), "id": None, "file": None, "card": {}, "problem": str(error)}
    return {"name": found.name, "id": found.id, "file": path, "card": found.card, "problem": None}


def _chip(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return platform.processor() or platform.machine()
