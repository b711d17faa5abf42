"""What PromptSeg needs beyond what 3D Slicer has, and how it is installed: after one question, when first needed.

torch comes through the extension PyTorch, which picks the build for this computer's GPU; where that is not installed,
as beside a checkout, from the Python Package Index, and without CUDA where there is no NVIDIA GPU.
"""

from __future__ import annotations

import importlib
import logging
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata, util
from typing import Any

from ..errors import PromptSegError

NEEDED = {"torch": "torch", "safetensors": "safetensors"}
"""Import name and name for pip."""
MIN_VERSIONS = {"torch": "2.6", "safetensors": "0.5"}
"""The first version of each that PromptSeg works with, as in pyproject.toml."""
GPU_GB, CPU_GB = 3.0, 0.3
"""Gigabytes to download, about: torch with and without the libraries of CUDA."""


def missing() -> list[str]:
    """Names of the packages that are not installed; imports nothing."""
    return [package for module, package in NEEDED.items() if util.find_spec(module) is None]


def outdated() -> dict[str, str]:
    """Names and versions of the packages that are installed and too old."""
    there = {package: version for package, version in versions().items() if package in MIN_VERSIONS and version}
    return {
        package: version for package, version in there.items() if _numbers(version) < _numbers(MIN_VERSIONS[package])
    }


def wanted() -> list[str]:
    """What has to be installed or brought up to date before anything can be computed, as one would say it."""
    from slicer.i18n import tr as _

    text = _("{package} {least} or later ({version} is installed)")
    old = [text.format(package=name, least=MIN_VERSIONS[name], version=version) for name, version in outdated().items()]
    return [*missing(), *old]


def listed(names: Sequence[str]) -> str:
    """Names as one says them: a, b and c."""
    from slicer.i18n import tr as _

    if len(names) < 2:
        return "".join(names)
    return _("{some} and {last}").format(some=", ".join(names[:-1]), last=names[-1])


def versions() -> dict[str, str | None]:
    """Installed versions by package; None for what is not there."""
    found: dict[str, str | None] = {}
    for package in (*NEEDED.values(), "numpy", "scipy", "SimpleITK"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def install(ask: Callable[[str], bool] | None = None, tell: Callable[[str], None] | None = None) -> bool:
    """Ask once, then install what is missing or too old; True if all is there afterwards. ``tell`` is called before it
    begins, for the window may not answer meanwhile.

    Raises :class:`PromptSegError` where that cannot work. Does nothing while Slicer runs tests.
    """
    import slicer
    from slicer.i18n import tr as _

    absent, old = missing(), outdated()
    if not absent and not old:
        return True
    testing = slicer.app.testingEnabled
    if testing() if callable(testing) else testing:
        return False
    packages = [*absent, *old]
    extension = pytorch_extension() if "torch" in packages else None
    gpu = has_nvidia_gpu() if "torch" in packages else False
    question = _(
        "To compute on this computer, PromptSeg needs {packages}. They are downloaded from the Python Package "
        "Index into 3D Slicer. Install them now?"
    ).format(packages=listed(wanted()))
    if "torch" in packages:
        text = _("torch for the GPU: about {gb:g} GB to download, 10 minutes or so.")
        if not gpu:
            text = _("torch for the CPU, as there is no NVIDIA GPU: about {gb:g} GB to download, some minutes.")
        question += "\n\n" + text.format(gb=GPU_GB if gpu else CPU_GB)
    if old:
        question += "\n\n" + _("Restart 3D Slicer afterwards if another module has used {names} already.").format(
            names=listed(list(old))
        )
    if "torch" in packages and extension is None:
        question += "\n\n" + _(
            "The extension PyTorch, which picks the torch for this computer's graphics card, is not installed: the "
            "usual torch is taken. To have the other one, cancel and install the extension in the Extensions Manager."
        )
    if ask is None:
        agreed = slicer.util.confirmOkCancelDisplay(question, windowTitle=_("Install what PromptSeg needs"))
    else:
        agreed = ask(question)
    if not agreed:
        return False
    if tell is not None:
        tell(_("Installing {names}; the window may not answer for some minutes.").format(names=listed(packages)))
    if extension is not None:
        _install_torch(extension)
    elif "torch" in packages and not (sys.platform.startswith("linux") and not gpu and _cpu_torch()):
        _pip(f"torch>={MIN_VERSIONS['torch']}")
    if "safetensors" in packages:
        _pip(f"safetensors>={MIN_VERSIONS['safetensors']}")
    importlib.invalidate_caches()
    still = outdated()
    if still:
        name, version = next(iter(still.items()))
        raise PromptSegError(
            f"{name} {version} is installed, and PromptSeg needs {MIN_VERSIONS[name]} or later",
            "restart 3D Slicer and install it before another module uses it",
        )
    return not missing()


def has_nvidia_gpu() -> bool:
    """Whether NVIDIA's driver is there and names a GPU."""
    command = shutil.which("nvidia-smi")
    if not command:
        return False
    try:
        answer = subprocess.run([command, "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0 and b"GPU" in answer.stdout


def pytorch_extension() -> Any:
    """The module of the extension PyTorch; None where it is not installed."""
    try:
        import PyTorchUtils
    except ImportError:
        return None
    return PyTorchUtils


def report(info: dict[str, Any] | None = None, english: bool = False) -> str:
    """What is there and what will compute, as text for a report, in the language of the window or in English; ``info``
    is what the worker says."""
    from slicer.i18n import tr

    _ = str if english else tr
    lines = [f"3D Slicer {slicer_version()}, Python {platform.python_version()}, {platform.platform()}"]
    lines += [f"{name} {version or _('not installed')}" for name, version in versions().items()]
    if info:
        backbone = info.get("backbone") or {}
        lines.append(f"PromptSeg {(info.get('versions') or {}).get('promptseg', '?')}")
        computer, precision = info.get("computer") or info.get("device") or "?", info.get("precision") or "?"
        lines.append(_("Computes on {computer}, {precision}").format(computer=computer, precision=precision))
        name, identity = backbone.get("name", "?"), str(backbone.get("id", ""))[:12]
        lines.append(_("Backbone {name} {identity}").format(name=name, identity=identity))
        if int(info.get("niceness") or 0) > 0:
            text = _("Other programs come first (niceness {n}): to change it, start 3D Slicer with {setting}.")
            lines.append(text.format(n=info["niceness"], setting="SLICER_BACKGROUND_THREAD_PRIORITY=0"))
    return "\n".join(lines)


def slicer_version() -> str:
    """That of the application."""
    import slicer

    return str(slicer.app.applicationVersion)


def _numbers(version: str) -> tuple[int, ...]:
    """2.6.0+cpu as (2, 6, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def _cpu_torch() -> bool:
    """Install the CPU build, by way of uv, which knows where it is; False where that does not work. On Linux, pip would
    take the build for CUDA."""
    import slicer

    from .qprocess import python_executable

    python = python_executable()
    words = ["uv", "pip", "install", "--python", python, "--torch-backend", "cpu", f"torch>={MIN_VERSIONS['torch']}"]
    try:
        _pip("uv")
        slicer.util.logProcessOutput(slicer.util.launchConsoleProcess([python, "-m", *words]))
    except Exception:  # whatever it is, pip can do it too
        logging.getLogger(__name__).warning("The CPU build of torch cannot be had; taking the usual one", exc_info=True)
        return False
    importlib.invalidate_caches()
    return util.find_spec("torch") is not None and "torch" not in outdated()


def _install_torch(extension: Any) -> None:
    import slicer

    with slicer.util.WaitCursor():
        try:
            torch = extension.PyTorchUtilsLogic().installTorch(torchVersionRequirement=f">={MIN_VERSIONS['torch']}")
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
