"""No result takes the place of an input: which files an argument means, and whether a result would be one of them."""
# ruff: noqa: PTH110, PTH112, PTH113 - pathlib raises where a folder may not be looked into; these say no

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .atomic import check_writable
from .errors import InputError, OutputError
from .resources import resource
from .spelling import spelled


def check_outputs(
    outputs: Mapping[str, tuple[Path | None, Sequence[str]]],
    inputs: Iterable[tuple[str, str | os.PathLike[str] | None]],
) -> None:
    """Raise :class:`OutputError` now if a result could not be written later, or would take the place of an input or of
    another result, by whatever spelling or link.

    ``outputs`` has (path or None, the endings that are known) by option; ``inputs`` are (argument, what it names): a
    file, a folder, ``folder#series``, ``file:structure``, the name of what is shipped, or None.
    """
    known = [(name, file) for name, text in inputs if text is not None for file in files_of(text)]
    seen: list[tuple[str, Path]] = []
    for option, (path, endings) in outputs.items():
        if path is None:
            continue
        check_writable(path, endings)
        other = next((name for name, file in (*known, *seen) if _same(path, file)), None)
        if other is None:
            other = next((name for name, file in known if os.path.isdir(file) and _dicom_in(path, file)), None)
        if other is not None:
            raise OutputError(
                f"{option} and {other} name the same file '{path}', and nothing is written over an input",
                "choose another name for the result",
            )
        seen.append((option, path))


def files_of(text: str | os.PathLike[str]) -> list[Path]:
    """The files that an argument may mean: the path itself, what stands before a colon or ``#`` in it, what is shipped
    under that name, of a header whose voxels lie in files of their own, these, and of a data set its description."""
    given = os.fspath(text)
    heads = [given, *(given[: mark.start()] for mark in re.finditer("[:#]", given))]
    found = [Path(head).expanduser() for head in heads if head]
    found = [path for n, path in enumerate(found) if n == 0 or os.path.exists(path)]
    for folder, ending in (("PromptSets", ".promptset"), ("Models", ".safetensors")):
        for head in (head for head in heads if head == Path(head).name):
            with contextlib.suppress(InputError, OSError):
                found.append(resource(folder, f"{head}{ending}"))
    found += [path / "dataset.json" for path in found if os.path.isdir(path)]
    return [*found, *(part for path in found for part in _detached(path))]


def _detached(path: Path) -> list[Path]:
    """The files of voxels that an NRRD or MetaImage header names."""
    if path.suffix.lower() not in (".nhdr", ".nrrd", ".mhd", ".mha") or not os.path.isfile(path):
        return []
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(1 << 16).split(b"\n\n")[0].decode("utf-8", "replace")
        named = re.search(r"(?im)^(?:data ?file: *|ElementDataFile *= *)(.+?)\r?$", head)
        if named is None or named[1].upper() == "LOCAL":  # the voxels follow
            return []
        lines = head[named.end() :].splitlines() if named[1].upper().startswith("LIST") else [named[1]]
        return [path.parent / line.strip() for line in lines if line.strip() and "\0" not in line]
    return []


def _dicom_in(path: Path, folder: Path) -> bool:
    """Whether a file that is there belongs to a DICOM series in ``folder``."""
    with contextlib.suppress(OSError):
        if path.is_file() and os.path.realpath(path.parent) == os.path.realpath(folder):
            with path.open("rb") as file:
                return file.read(132)[128:] == b"DICM"
    return False


def _same(path: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.samefile(other)
    first, second = os.path.realpath(path), os.path.realpath(other)
    if not os.path.exists(path) and not os.path.exists(other):
        # Two results: the disk may ignore case, or how accents are written.
        return spelled(first) == spelled(second)
    return first == second
