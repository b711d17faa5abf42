"""What PromptSeg needs beyond what 3D Slicer has, and how it is installed: after one question, when first needed.

torch comes through the extension PyTorch, which picks the build for this computer's GPU; where that is not installed,
as beside a checkout, from the Python Package Index.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable
from importlib import metadata, util
from typing import Any

from ..errors import PromptSegError

NEEDED = {"torch": "torch", "safetensors": "safetensors"}
"""Import name and name for pip."""
LEAST_TORCH = ">=2.2"
TORCH = f"torch{LEAST_TORCH}"
SAFETENSORS = "safetensors>=0.4.3"


def missing() -> list[str]:
    """Names of the packages that are not installed; imports nothing."""
    return [package for module, package in NEEDED.items() if util.find_spec(module) is None]


def versions() -> dict[str, str | None]:
    """Installed versions by package; None for what is not there."""
    found: dict[str, str | None] = {}
    for package in (*NEEDED.values(), "numpy", "scipy", "SimpleITK"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def install(ask: Callable[[str], bool] | None = None) -> bool:
    """Ask once, then install what is missing; True if all is there afterwards.

    Raises :class:`PromptSegError` where that cannot work. Does nothing while Slicer runs tests.
    """
    import slicer
    from slicer.i18n import tr as _

    absent = missing()
    if not absent:
        return True
    testing = slicer.app.testingEnabled
    if testing() if callable(testing) else testing:
        return False
    extension = pytorch_extension() if "torch" in absent else None
    question = _(
        "To compute on this computer, PromptSeg needs {packages}. They are downloaded from the Python Package "
        "Index into 3D Slicer (torch: up to 3 GB, some minutes). Install them now?"
    ).format(packages=_(" and ").join(absent))
    if "torch" in absent and extension is None:
        question += "\n\n" + _(
            "The extension PyTorch, which picks the torch for this computer's graphics card, is not installed: the "
            "usual torch is taken. To have the other one, cancel and install the extension in the Extensions Manager."
        )
    if not (ask or slicer.util.confirmOkCancelDisplay)(question):
        return False
    if extension is not None:
        _install_torch(extension)
    elif "torch" in absent:
        _pip(TORCH)
    if "safetensors" in absent:
        _pip(SAFETENSORS)
    importlib.invalidate_caches()
    return not missing()


def pytorch_extension() -> Any:
    """The module of the extension PyTorch; None where it is not installed."""
    try:
        import PyTorchUtils
    except ImportError:
        return None
    return PyTorchUtils


def report(info: dict[str, Any] | None = None) -> str:
    """What is there and what will compute, as text for a report; ``info`` is what the worker says."""
    import slicer

    lines = [f"3D Slicer {slicer.app.applicationVersion}, Python {platform.python_version()}, {platform.platform()}"]
    lines += [f"{name} {version or 'not installed'}" for name, version in versions().items()]
    if info:
        backbone = info.get("backbone") or {}
        lines.append(f"PromptSeg {(info.get('versions') or {}).get('promptseg', '?')}")
        lines.append(f"computes on {info.get('computer') or info.get('device') or '?'}, {info.get('precision') or '?'}")
        lines.append(f"backbone {backbone.get('name', '?')} {str(backbone.get('id', ''))[:12]}")
        if info.get("problem"):
            lines.append(str(info["problem"]))
    return "\n".join(lines)


def _install_torch(extension: Any) -> None:
    import slicer

    with slicer.util.WaitCursor():
        try:
            torch = extension.PyTorchUtilsLogic().installTorch(torchVersionRequirement=LEAST_TORCH)
        except Exception as error:
            raise PromptSegError(
                f"torch could not be installed ({error})", "open the module PyTorch Util and install it there"
            ) from error
    if torch is None:
        raise PromptSegError("torch was not installed", "open the module PyTorch Util and install it there")


def _pip(requirement: str) -> None:
    import slicer

    try:
        packaging = importlib.import_module("slicer.packaging")
    except ImportError:
        packaging = None
    try:
        if packaging is not None and hasattr(packaging, "pip_install"):
            packaging.pip_install(requirement)
        else:
            slicer.util.pip_install(requirement)
    except Exception as error:
        raise PromptSegError(
            f"{requirement.partition('>')[0]} could not be installed ({error})", "check the network, then try again"
        ) from error
