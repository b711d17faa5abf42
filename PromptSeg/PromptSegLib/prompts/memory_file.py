"""What a ``.memory`` file knows of which structure, and taking some of it out: without torch, as the panel needs it.

:mod:`PromptSegLib.register.teachers` writes and reads these files. Here their parts are only told apart by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ..atomic import replacing
from ..errors import UNREADABLE, OutputError, system_problem

MAX_HEADER = 4_000_000


def structures_in(path: Path) -> set[str] | None:
    """The structures that a memory file has pictures of patients for; None where that cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            _, teachers, _ = _header(start + file.read(min(int.from_bytes(start, "little"), MAX_HEADER)))
    except (OSError, *UNREADABLE):
        return None
    return {mask["structure"] for teacher in teachers for mask in teacher["masks"]}


def patients_in(path: Path, structure: str | None = None) -> dict[str, set[str]]:
    """What tells a file's patients from others, by structure, or of one structure alone; nothing where the file cannot
    be read. Two files of one patient have something in common: the volume's identity or, where
    no slices are kept, where its picture lies."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            table, teachers, _ = _header(start + file.read(min(int.from_bytes(start, "little"), MAX_HEADER)))
        found: dict[str, set[str]] = {}
        for number, teacher in enumerate(teachers):
            for name in {mask["structure"] for mask in teacher["masks"]}:
                found.setdefault(name, set()).update(_signs(table, number, teacher))
    except (OSError, *UNREADABLE):
        return {}
    return found if structure is None else {structure: found.get(structure, set())}


def _signs(table: dict[str, Any], number: int, teacher: dict[str, Any]) -> set[str]:
    drawn = {str(mask["drawn"]["identity"]) for mask in teacher["masks"] if mask.get("drawn")}
    return drawn or {json.dumps([teacher["origin"], table[f"{number}/grey"]["shape"]])}


def without_patients(data: bytes, structure: str, signs: Collection[str], but_last: bool = False) -> bytes:
    """A file's bytes without what it knows of one structure in the patients that :func:`patients_in` told ``signs``
    of; the last patient stays with ``but_last``. Empty where nothing is left, or where it cannot be read."""

    def wanted(table: dict[str, Any], number: int, teacher: dict[str, Any], mask: dict[str, Any], last: bool) -> bool:
        own = mask["structure"] == structure and not (last and but_last)
        return not own or not _signs(table, number, teacher) & {*signs}

    try:
        return _only(data, wanted)
    except UNREADABLE:
        return b""


def keep_only(path: Path, names: Collection[str]) -> None:
    """Take all that no structure of ``names`` needs out of a memory file: masks, drawn slices, and patients' pictures.

    Where nothing is left the file goes, and where it cannot be read, as it is of no use to the others then. Raises
    :class:`OutputError`.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise system_problem(error) or OutputError(
            f"{path} cannot be read: {error.strerror}", "check its permissions"
        ) from error
    try:
        left = _only(data, lambda _table, _number, _teacher, mask, _last: mask["structure"] in names)
    except UNREADABLE:
        left = b""
    put(path, data, left)


def put(path: Path, data: bytes, left: bytes) -> None:
    """Write what is ``left`` of a file's ``data``; without anything, the file goes. Raises :class:`OutputError`."""
    if not left:
        remove(path)
    elif left != data:
        with replacing(path) as file:
            file.write(left)


def remove(path: Path) -> None:
    """Delete a file, if it is there. Raises :class:`OutputError`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise system_problem(error) or OutputError(
            f"{path} cannot be deleted ({error.strerror})", "check its permissions"
        ) from error


def _header(start: bytes) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """(The table of arrays, the patients, where the arrays begin). Raises one of :data:`UNREADABLE`."""
    length = int.from_bytes(start[:8], "little")
    if not 2 <= length <= min(MAX_HEADER, len(start) - 8):
        raise ValueError("header")
    table = json.loads(start[8 : 8 + length])
    teachers = json.loads(table["__metadata__"]["memory"])["teachers"]
    for teacher in teachers:
        if not all(isinstance(mask["structure"], str) for mask in teacher["masks"]):
            raise TypeError("structure")
    return table, teachers, 8 + length


def _only(data: bytes, wanted: Callable[[dict[str, Any], int, dict[str, Any], dict[str, Any], bool], bool]) -> bytes:
    """The file with the masks that are ``wanted`` (of table, patient's number, patient, mask, whether it is the last
    patient), and patients that have any; empty where that is nothing."""
    table, teachers, start = _header(data)
    meta = table["__metadata__"]
    kept: list[dict[str, Any]] = []
    former: dict[str, str] = {}
    for number, teacher in enumerate(teachers):
        last = number + 1 == len(teachers)
        masks = [(m, mask) for m, mask in enumerate(teacher["masks"]) if wanted(table, number, teacher, mask, last)]
        if not masks:
            continue
        place = len(kept)
        kept.append(teacher | {"masks": [mask for _, mask in masks]})
        former[f"{place}/grey"] = f"{number}/grey"
        for m, (old, _) in enumerate(masks):
            for kind in ("", "/planes", "/drawn"):
                if f"{number}/{old}{kind}" in table:
                    former[f"{place}/{m}{kind}"] = f"{number}/{old}{kind}"
    if not kept:
        return b""
    header: dict[str, Any] = {"__metadata__": meta | {"memory": json.dumps({"teachers": kept})}}
    parts: list[bytes] = []
    # Wider numbers first, as safetensors lays arrays out; an array is aligned then.
    for name, was in sorted(former.items(), key=lambda pair: (not pair[0].endswith("/planes"), pair[0])):
        begin, end = table[was]["data_offsets"]
        part = data[start + begin : start + end]
        if not 0 <= begin <= end or len(part) != end - begin:
            raise ValueError(name)
        place = sum(map(len, parts))
        header[name] = table[was] | {"data_offsets": [place, place + len(part)]}
        parts.append(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))
