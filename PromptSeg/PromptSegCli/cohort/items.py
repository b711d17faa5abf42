"""What a cohort consists of: the volumes to segment, each with a name of its own, and what was left out and why."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PromptSegLib.errors import InputError, short
from PromptSegLib.spelling import spelled

MAX_PART = 80
"""Characters of one part of a name."""
_RESERVED = re.compile(r"(?i)con|prn|aux|nul|(?:com|lpt)[0-9]")


@dataclass(frozen=True)
class Item:
    """One volume to segment.

    ``subject`` names it and, with slashes for folders, its result. ``image`` is what
    :func:`~PromptSegLib.volumes.io.read_volume` takes; ``files`` are those of a DICOM series that was found in a tree,
    wherever they lie. ``stamp`` stands for sizes and times of its files. ``problem`` says why it cannot be used, where
    that is known already.
    """

    subject: str
    image: str
    files: tuple[str, ...] = ()
    stamp: str = ""
    prompts: tuple[str, ...] = ()
    reference: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Skipped:
    """Something that is no volume of the cohort, and why."""

    what: str
    reason: str


@dataclass
class Inputs:
    """All that the arguments mean; ``warnings`` are sentences to be said before the work begins."""

    items: list[Item] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plain(text: str) -> str:
    """One part of a name as a file may be called on every system; what had to be changed gets a digest of the original,
    so that different names stay different."""
    name = " ".join(re.sub(r"[^\w .+=@-]", "_", text).split()).strip(". ")[:MAX_PART]
    if not name or _RESERVED.fullmatch(name.partition(".")[0]):
        name = f"_{name}"
    return name if name == text else f"{name}.{digest_of([text])[:6]}"


def subject_of(text: str) -> str:
    """A name, or a path of names with slashes, as results may be called."""
    parts = [part for part in re.split(r"[/\\]", text) if part not in ("", ".", "..")]
    return "/".join(plain(part) for part in parts) or "volume"


def digest_of(texts: Iterable[object]) -> str:
    """A short name for a list of values."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def stamp_of(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Stands for names, sizes and times of files; a folder stands for the files in it. Never raises: what is not there
    is found when it is read."""
    values: list[object] = []
    for path in paths:
        try:
            source = Path(path)
            for one in sorted(source.iterdir()) if source.is_dir() else [source]:
                values += _values(one.name, one.stat())
        except OSError as error:
            values.append(f"{path}: {error.errno}")
    return digest_of(values)


def stamp_of_values(values: Iterable[tuple[str, int, int]]) -> str:
    """The same of (name, size, time in ns) that are known already."""
    return digest_of(value for one in values for value in one)


def _values(name: str, found: os.stat_result) -> list[object]:
    return [name, found.st_size, found.st_mtime_ns]


def check_names(items: Sequence[Item]) -> None:
    """Raise :class:`InputError` where two volumes would have one name, also on a disk that ignores case or how
    accents are written."""
    seen: dict[str, Item] = {}
    for one in items:
        other = seen.setdefault(spelled(one.subject), one)
        if other is not one:
            raise InputError(
                f"{short(other.image, 120)} and {short(one.image, 120)} would both be called '{one.subject}'",
                "list them in a CSV file with a column subject",
            )
