"""What there is to compute with: prompt sets and what they say of themselves, versions, device and backbone."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import PromptError, PromptSegError
from ..threads import niceness
from .call import Call
from .payload import put_structure

if TYPE_CHECKING:
    from ..session import Session

_PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "safetensors")


def prompt_sets(call: Call) -> dict[str, Any]:
    """The result of *prompts*: the shipped sets and those of the request's folders; what cannot be read is a
    warning."""
    from ..prompts.library import SUFFIX, shipped

    own: list[Path] = []
    for folder in call.fields.get("folders") or ():
        try:
            own += sorted(Path(folder).glob(f"*{SUFFIX}"))
        except OSError as error:
            call.emit("warning", message=f"{folder} cannot be read ({error.strerror}).", file=folder)
    sets = []
    for path, is_shipped in [*((path, True) for path in shipped()), *((path, False) for path in own)]:
        try:
            sets.append(_card(path, is_shipped))
        except PromptError as error:
            call.emit("warning", message=str(error), file=str(path))
    return {"sets": sets}


def installation(load: Callable[[], Session]) -> dict[str, Any]:
    """The result of *info*, also where something is missing: that is what the user wants to know."""
    about: dict[str, Any] = {
        "versions": {"promptseg": __version__, "python": platform.python_version()}
        | {name: _version(name) for name in _PACKAGES},
        "device": None,
        "computer": None,
        "precision": None,
        "backbone": None,
        "niceness": niceness(),
        "problem": None,
    }
    try:
        session = load()
    except ModuleNotFoundError as error:
        about["problem"] = f"The Python package {error.name} is not installed."
        return about
    except PromptSegError as error:
        about["problem"] = str(error)
        return about
    from ..review.machine import computer

    backbone = session.backbone
    return about | {
        "device": str(backbone.device),
        "computer": computer(backbone.device),
        "precision": str(backbone.dtype).removeprefix("torch."),
        "backbone": {"name": backbone.name, "id": backbone.id, "card": dict(backbone.card)},
    }


def _card(path: Path, is_shipped: bool) -> dict[str, Any]:
    """What a prompt set says about itself, without its tensors."""
    from ..prompts.promptfile import read_header

    header = read_header(path)
    prompts = [
        {"structure": put_structure(one.structure), "card": one.card.to_json(), "backbone": one.backbone_id}
        for one in header.entries
    ]
    return {
        "name": header.name,
        "file": str(path),
        "shipped": is_shipped,
        "card": dict(header.card),
        "prompts": prompts,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
