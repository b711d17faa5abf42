"""What the commands' arguments mean, and what can be said about files and folders before the work starts."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PromptSegLib.errors import InputError, OutputError, quoted

if TYPE_CHECKING:
    from PromptSegLib.prompts.promptset import Prompt, PromptSet
    from PromptSegLib.session import Session

    from .console import Console

AXES = {"k": 0, "j": 1, "i": 2}
MEMORY_OF_OUTPUT = "The .memory file of -o"
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def expanded(text: str) -> str:
    """The argument type of what names files: ``~`` is the user's folder, also where no shell has replaced it. No
    name at all, as of a variable that is not set, would be the current folder, which nobody means."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!a} is no name of a file")
    return text if not text.startswith("~") or Path(text).exists() else os.path.expanduser(text)  # noqa: PTH111


def output(text: str) -> Path:
    """The argument type of what is written."""
    return Path(expanded(text))


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
    """A structure's name; raises :class:`PromptSegError` if nobody could read it, or a prompt set could not hold it."""
    from PromptSegLib.anatomy.structure import check_name

    name = " ".join(text.split())
    if not name or not name.isprintable():
        raise InputError(f"'{name}' is not a name", 'write the name of the structure, for example --name "left kidney"')
    check_name(name)
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


def integer(minimum: int) -> Any:
    """The argument type of whole numbers from ``minimum`` on."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text.strip()) or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {minimum} on")
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
        parser.add_argument("--backbone", metavar="NAME|FILE", type=expanded, default="punet-ct", help=name)
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
        from PromptSegLib.model.precision import take_process
        from PromptSegLib.session import Session

        take_process()
        return Session(backbone=args.backbone, device=args.device)


def check_backbone(session: Session, prompts: Iterable[Prompt]) -> None:
    """Raise :class:`PromptError` unless all prompts were learned on the session's backbone."""
    for prompt in prompts:
        prompt.check(session.backbone.shapes(), session.backbone.id, session.backbone.name)


def check_input(path: str) -> None:
    """Raise :class:`InputError` now if there is no such file or folder, or it may not be read."""
    from PromptSegLib.volumes.images import check_readable

    if "#" not in path:  # folder#series names one of several DICOM series
        check_readable(Path(path).expanduser())


def check_folder(path: Path | None) -> None:
    """Raise :class:`OutputError` now if files could not be written to this folder later, which need not exist yet."""
    if path is None:
        return
    from PromptSegLib.volumes.io import check_writable

    there = Path(os.path.realpath(path))
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise OutputError(f"{there} is a file, not a folder", "choose another folder")
    check_writable(there / secrets.token_hex(6))


def former_prompt(text: str, name: str) -> Prompt:
    """The prompt to go on from: the one of that name, or the only one."""
    from PromptSegLib.prompts.library import resolve

    prompts = resolve(text).prompts
    if name in prompts or len(prompts) == 1:
        return prompts.get(name) or next(iter(prompts.values()))
    raise InputError(f"{text} has no prompt for '{name}'", one_of(prompts, "--start-from", text))


def one_of(prompts: Iterable[str], option: str, text: str) -> str:
    """The remedy where ``text`` means several structures, and one is needed."""
    from PromptSegLib.prompts.library import set_of

    names = list(prompts)
    return f"choose one of {quoted(names)}, for example {option} {shlex.quote(f'{set_of(text)}:{names[0]}')}"


def write_anew(prompts: PromptSet, path: Path, stays: str | None = None) -> None:
    """Write prompts. What was remembered of patients beside a former file of that name goes with it: it would give the
    new prompts a start from what they were not taught in; a file that was named as an input ``stays``. Raises
    :class:`PromptError` or :class:`OutputError`."""
    from PromptSegLib.prompts.library import memory_beside
    from PromptSegLib.prompts.memory_file import remove

    prompts.write(path)
    if stays is None or os.path.realpath(stays) != os.path.realpath(memory_beside(path)):
        remove(memory_beside(path))
