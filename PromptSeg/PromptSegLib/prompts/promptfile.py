"""The ``.promptset`` file: one safetensors file with fp16 tensors for each structure and a JSON card in its header.

What is written is read back before it takes a file's place, so that whatever can be written can be read. Reading runs
no code of the file and needs no torch; sizes, types, shapes and a checksum are checked before a tensor is used.

Where a structure lies in open reference CTs stands in the header beside the card: versions that know no such thing read
the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy.structure import MAX_NAME, Structure, structure_from
from ..atomic import replacing
from ..errors import PromptError, quoted, short, system_problem
from .card import Card, check_plain, plain_text
from .reference_mask import ReferenceMask, masks_from

FORMAT = "promptseg-promptset-1"
MAX_BYTES = 256 * 2**20
MAX_HEADER = 4_000_000
MAX_PROMPTS = 1000
_MASKS = "reference_masks"

Arrays = Mapping[str, np.ndarray]
"""A prompt's tensors by name, float16."""


@dataclass(frozen=True)
class Entry:
    """One prompt of a file, without its tensors; ``masks`` say where the structure lies in open reference CTs."""

    structure: Structure
    backbone_id: str
    card: Card
    masks: tuple[ReferenceMask, ...] = ()


@dataclass(frozen=True)
class Header:
    """What a file says: its name, a card of plain JSON about all its prompts, and the prompts in their order."""

    name: str
    card: Mapping[str, Any]
    entries: tuple[Entry, ...]


def read_header(path: Path | str) -> Header:
    """What a ``.promptset`` says, without its tensors. Raises :class:`PromptError`."""
    path = Path(path)
    size = _size_of(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            start += file.read(length) if length <= MAX_HEADER else b""
    except OSError as error:
        raise system_problem(error) or PromptError(
            f"{path} cannot be read: {error.strerror}", "check its permissions"
        ) from error
    raw, _, masks, _ = _raw_header(start, size, path.name)
    return _parsed(raw, masks, path.name)


def read_file(path: Path | str) -> tuple[Header, list[Arrays]]:
    """A ``.promptset`` with its tensors. Raises :class:`PromptError` for anything but a whole, unchanged one."""
    path = Path(path)
    _size_of(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise system_problem(error) or PromptError(
            f"{path} cannot be read: {error.strerror}", "check its permissions"
        ) from error
    return decode(data, path.name)


def decode(data: bytes, label: str) -> tuple[Header, list[Arrays]]:
    """The content of a file called ``label``; raises as :func:`read_file`."""
    broken = PromptError(f"{label} is damaged or was changed", "get the file again")
    raw, table, masks, start = _raw_header(data, len(data), label)
    arrays = _arrays(table, memoryview(data)[start:], broken)
    header = _parsed(raw, masks, label)
    if raw.pop("checksum", None) != _checksum(raw, arrays):
        raise broken
    own: list[dict[str, np.ndarray]] = [{} for _ in header.entries]
    numbers = {str(n): one for n, one in enumerate(own)}
    for key, values in arrays.items():
        number, _, name = key.partition("/")
        if number not in numbers or not name:
            raise broken
        numbers[number][name] = values
    if not all(own):
        raise broken
    return header, list(own)


def encode(header: Header, arrays: Sequence[Arrays]) -> bytes:
    """The bytes of a file. Raises :class:`PromptError` for what :func:`decode` would not take."""
    flat = {
        f"{n}/{k}": np.ascontiguousarray(one[k], "<f2") for n, one in enumerate(arrays) for k in sorted(one)
    }  # fmt: skip
    for key, values in flat.items():
        if not np.isfinite(values).all():
            name = header.entries[int(key.partition("/")[0])].structure.name
            raise PromptError(f"The prompt for {name} holds numbers that are too large to be kept", "teach it again")
    raw: dict[str, Any] = {
        "name": _title(header.name),
        "card": dict(header.card),
        "prompts": [
            {"structure": asdict(one.structure), "backbone": one.backbone_id, "card": one.card.to_json()}
            for one in header.entries
        ],
    }
    raw["checksum"] = _checksum(raw, flat)
    meta = {"format": FORMAT, "promptset": json.dumps(raw)}
    masks = {str(n): [m.to_json() for m in one.masks] for n, one in enumerate(header.entries) if one.masks}
    if masks:
        meta[_MASKS] = json.dumps({"masks": masks, "checksum": _mask_checksum(masks, raw["checksum"])})
    table: dict[str, Any] = {"__metadata__": meta}
    place = 0
    for key, values in flat.items():
        table[key] = {"dtype": "F16", "shape": list(values.shape), "data_offsets": [place, place + values.nbytes]}
        place += values.nbytes
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # as safetensors aligns what follows
    if len(text) > MAX_HEADER or len(text) + place + 8 > MAX_BYTES:
        raise PromptError("It would be larger than a prompt set may be", "put fewer structures into one file")
    return b"".join((len(text).to_bytes(8, "little"), text, *(values.tobytes() for values in flat.values())))


def write_file(path: Path | str, header: Header, arrays: Sequence[Arrays], *, new: bool = False) -> None:
    """Write a file; what was at ``path`` is replaced only by a whole one that can be read again, and with ``new`` by
    none (:class:`TakenError`).

    Raises :class:`PromptError` for what could not be read, and :class:`OutputError`.
    """
    path = Path(path)
    try:
        data = encode(header, arrays)
        decode(data, path.name)
    except (TypeError, ValueError, RecursionError) as error:  # a card of something else than plain JSON
        raise PromptError(f"{path.name} was not written: its card is not plain text", "teach it again") from error
    except PromptError as error:
        problem = error.problem.removeprefix(f"{path.name} cannot be used: ")
        raise PromptError(f"{path.name} was not written: {_lower(problem)}", error.remedy) from error
    with replacing(path, new=new) as file:
        file.write(data)


def rewrite(
    source: Path | str, target: Path | str, only: Collection[str] | None = None, *, new: bool = False, **changes: Any
) -> tuple[str, ...]:
    """Write a file anew, perhaps with ``only`` some of its structures, and with changed fields in each card.

    ``target`` may be ``source``; with ``new``, nothing may be there (:class:`TakenError`). Gives the names of the
    structures that are in it then. Raises :class:`PromptError` for a file that is damaged or has none of those
    structures, and :class:`OutputError`.
    """
    header, arrays = read_file(source)
    kept = [n for n, one in enumerate(header.entries) if only is None or one.structure.name in only]
    if not kept:
        raise PromptError(f"{Path(source).name} has no such structure", f"it has: {_names_of(header)}")
    entries = tuple(replace(header.entries[n], card=replace(header.entries[n].card, **changes)) for n in kept)
    write_file(target, replace(header, entries=entries), [arrays[n] for n in kept], new=new)
    return tuple(one.structure.name for one in entries)


def _names_of(header: Header) -> str:
    return quoted((one.structure.name for one in header.entries), 30)


def _size_of(path: Path) -> int:
    """The size of an ordinary file that may be a prompt set; a pipe would let us wait for ever."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise system_problem(error) or PromptError(f"There is no prompt set {short(path)}", "check the name") from error
    if not path.is_file() or size > MAX_BYTES:
        raise _foreign(path.name)
    return size


def _raw_header(start: bytes, size: int, label: str) -> tuple[dict[str, Any], dict[str, Any], Any, int]:
    """(the header's JSON, the table of tensors, JSON of the masks in reference CTs, where the tensors begin)."""
    length = int.from_bytes(start[:8], "little")
    if not 2 <= length <= min(size - 8, MAX_HEADER) or len(start) < 8 + length:
        raise _foreign(label)
    try:
        table = json.loads(start[8 : 8 + length])
        meta = table.pop("__metadata__")
        if meta["format"] != FORMAT:
            raise _foreign(label)
        raw = json.loads(meta["promptset"])
        masks = json.loads(meta[_MASKS]) if _MASKS in meta else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _foreign(label) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("prompts"), list):
        raise _foreign(label)
    try:
        check_plain(raw, MAX_HEADER, 20)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{label} cannot be used: its card is not {error}", "get the file again") from error
    return raw, table, masks, 8 + length


def _parsed(raw: Mapping[str, Any], masks: Any, label: str) -> Header:
    """The header with every field checked."""
    entries: list[Entry] = []
    placed = _placed(masks, raw, label)
    try:
        if not 0 < len(raw["prompts"]) <= MAX_PROMPTS:
            raise PromptError(f"It holds {len(raw['prompts'])} prompts, not 1 to {MAX_PROMPTS}", "get the file again")
        if not isinstance(raw.get("name"), str) or not isinstance(raw.get("card"), dict):
            raise PromptError("It has no name or no card", "get the file again")
        try:
            check_plain(raw["card"])
        except ValueError as error:
            raise PromptError(f"The set's card is not {error}", "get the file again") from error
        for one in raw["prompts"]:
            if not isinstance(one, dict) or not isinstance(one.get("backbone"), str) or len(one["backbone"]) > MAX_NAME:
                raise PromptError("A prompt names no backbone", "get the file again")
            card = Card.from_json(one.get("card"))  # type: ignore[arg-type]
            own = placed.get(len(entries), ())
            entries.append(Entry(structure_from(one.get("structure")), one["backbone"], card, own))
        names = [one.structure.name for one in entries]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PromptError(f"There are two prompts for {twice}", "keep one of them")
    except PromptError as error:
        raise PromptError(f"{label} cannot be used: {_lower(error.problem)}", "get the file again") from error
    return Header(_title(raw["name"]), raw["card"], tuple(entries))


def _placed(found: Any, raw: Mapping[str, Any], label: str) -> dict[int, tuple[ReferenceMask, ...]]:
    """The masks in reference CTs by the prompts' numbers, each checked."""
    if found is None:
        return {}
    try:
        masks = found["masks"]
        if set(found) != {"masks", "checksum"} or not set(masks) <= {str(n) for n in range(len(raw["prompts"]))}:
            raise ValueError("masks")
        if found["checksum"] != _mask_checksum(masks, raw["checksum"]):
            raise ValueError("checksum")
        return {int(n): masks_from(one) for n, one in masks.items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise PromptError(f"{label} is damaged or was changed", "get the file again") from error


def _mask_checksum(masks: Mapping[str, Any], of: str) -> str:
    """Of the masks and of the file that they belong to."""
    return hashlib.sha256((json.dumps(masks, sort_keys=True) + str(of)).encode("utf-8", "surrogatepass")).hexdigest()


def _arrays(table: Mapping[str, Any], data: memoryview, broken: PromptError) -> dict[str, np.ndarray]:
    """The tensors, which must be fp16, finite, and fill the file without gaps, as safetensors has it."""
    arrays: dict[str, np.ndarray] = {}
    place = 0
    try:
        for name, one in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
            begin, end = one["data_offsets"]
            shape = tuple(one["shape"])
            if one["dtype"] != "F16" or not all(type(n) is int and 0 < n <= MAX_BYTES for n in shape) or len(shape) > 8:
                raise broken
            count = 1
            for n in shape:
                count *= n
            if (type(begin), type(end)) != (int, int) or begin != place or end - begin != 2 * count or end > len(data):
                raise broken
            arrays[name] = np.frombuffer(data[begin:end], "<f2").reshape(shape)
            place = end
    except (KeyError, TypeError, ValueError) as error:
        raise broken from error
    if place != len(data) or not all(np.isfinite(values).all() for values in arrays.values()):
        raise broken
    return arrays


def _checksum(raw: Mapping[str, Any], arrays: Arrays) -> str:
    """Of the card and of the tensors' names, shapes and values: tells damage and hand-made changes from what PromptSeg
    wrote."""
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name}|{arrays[name].shape}|".encode("utf-8", "surrogatepass"))
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _title(name: str) -> str:
    return plain_text(name)[:MAX_NAME] or "prompts"


def _lower(problem: str) -> str:
    return problem[:1].lower() + problem[1:]


def _foreign(label: str) -> PromptError:
    return PromptError(f"{label} is not a PromptSeg prompt set", "choose a .promptset file that PromptSeg wrote")
