"""What the commands' arguments mean, and what can be said about files and folders before the work starts."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, OutputError

if TYPE_CHECKING:
    from ..prompts.promptset import Prompt
    from ..session import Session
    from .console import Console

AXES = {"k": 0, "j": 1, "i": 2}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def slices(text: str) -> tuple[int, ...]:
    """``"40,52,64"`` as numbers; raises :class:`InputError` for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise InputError(f"'{text}' is not a list of slices", "write slice indices with commas, for example 40,52,64")
    return tuple(dict.fromkeys(int(part) for part in parts))


def no_slices(text: str) -> tuple[int, ...]:
    """As :func:`slices`, or ``"none"``."""
    return () if text.strip().lower() == "none" else slices(text)


def label(text: str) -> int | str:
    """A label's value, or the name of a segment."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text.strip()) else text.strip()


def structure_name(text: str) -> str:
    """A structure's name; raises :class:`InputError` if there is nothing in it that people could read."""
    name = " ".join(text.split())
    if not name or not name.isprintable():
        raise InputError(f"'{name}' is not a name", 'write the name of the structure, for example --name "left kidney"')
    return name


def plain_name(text: str) -> str:
    """A name that can also name a file; raises :class:`InputError` for anything else."""
    if not re.fullmatch(r"\w[\w.-]{0,99}", text):
        raise InputError(
            f"'{text}' is not a plain name", "use letters, digits, points and hyphens, for example punet-ct"
        )
    return text


def time_budget(text: str) -> float:
    """``"90s"``, ``"25m"`` or ``"2h"`` in seconds; raises :class:`InputError` for anything else."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)([smh])", text.strip().lower())
    if not found or float(found[1]) == 0:
        raise InputError(f"'{text}' is not a length of time", "write a number and s, m or h, for example 25m")
    return float(found[1]) * _SECONDS[found[2]]


def whole(least: int) -> Any:
    """The argument type of whole numbers from ``least`` on."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text.strip()) or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least} on")
        return int(text)

    return parse


def share(text: str) -> float:
    """A share from 0 to below 1."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a share from 0 to below 1")


def add_engine(parser: argparse.ArgumentParser, *, backbone: bool = True) -> None:
    """The options that say what computes."""
    if backbone:
        name = "the shipped backbone or a file (default: punet-ct)"
        parser.add_argument("--backbone", metavar="NAME|FILE", default="punet-ct", help=name)
    device = "auto (default: a GPU if there is one), cpu, cuda or mps"
    parser.add_argument("--device", metavar="DEVICE", default="auto", help=device)


def add_orientation(parser: argparse.ArgumentParser) -> None:
    """The option for files that do not say which way their axes run."""
    which = (
        "the directions in which the voxel indices I, J and K grow, for files that do not say it themselves: LPS is to"
        " the patient's left, posterior, superior"
    )
    parser.add_argument("--orientation", metavar="LPS", help=which)


def open_session(args: argparse.Namespace, console: Console) -> Session:
    """The session for ``--backbone`` and ``--device``; raises :class:`BackboneError` or :class:`DeviceError`."""
    with console.timed("load", "Loading the backbone"):
        from ..session import Session

        return Session(backbone=args.backbone, device=args.device)


def check_backbone(session: Session, prompts: Iterable[Prompt]) -> None:
    """Raise :class:`PromptError` unless all prompts were learned on the session's backbone."""
    for prompt in prompts:
        prompt.check(session.backbone.shapes(), session.backbone.id, session.backbone.name)


def check_input(path: str) -> None:
    """Raise :class:`InputError` now if there is no such file or folder, or it may not be read."""
    from ..volumes.images import check_readable

    if "#" not in path:  # folder#series names one of several DICOM series
        check_readable(Path(path).expanduser())


def check_outputs(
    outputs: Mapping[str, tuple[Path | None, Sequence[str]]], inputs: Mapping[str, str | os.PathLike[str]]
) -> None:
    """Raise :class:`OutputError` now if a result could not be written later, or would take the place of an input.

    ``outputs`` has (path or None, the endings that are known) by option, ``inputs`` a path by argument.
    """
    from ..volumes.io import check_writable

    seen = {name: Path(path).expanduser() for name, path in inputs.items()}
    for option, (path, endings) in outputs.items():
        if path is None:
            continue
        check_writable(path, endings)
        other = next((name for name, file in seen.items() if _same(path, file)), None)
        if other:
            raise OutputError(f"{option} and {other} name the same file {path}", "choose another name for the result")
        seen[option] = path


def check_folder(path: Path | None) -> None:
    """Raise :class:`OutputError` now if files could not be written to this folder later, which need not exist yet."""
    if path is None:
        return
    from ..volumes.io import check_writable

    there = Path(os.path.realpath(path))
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise OutputError(f"{there} is a file, not a folder", "choose another folder")
    check_writable(there / secrets.token_hex(6))


def make_folder(path: Path) -> None:
    """Make a folder, with those above it; raises :class:`OutputError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} cannot be made ({error.strerror})", "choose another folder") from error


def _same(path: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)
