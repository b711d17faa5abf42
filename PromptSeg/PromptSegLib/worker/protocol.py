"""What a front end and the worker say to each other: UTF-8 JSON, one object a line.

A front end writes requests to the worker's standard input, ``{"id": "7", "do": "segment", "prompts": ["abdomen-ct"]}``,
and reads events, ``{"id": "7", "event": "progress", ...}``. It chooses an ``id``, which names the job folder that
arrays pass through (:mod:`.jobs`). Every request is answered by any number of other events and exactly one *done*,
whose ``status`` is "done" or "stopped", or *error*. Events that belong to no request have the id null: *hello*, which
comes first, and *error* for a line that is no request.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError

PROTOCOL = 1
MAPS = ("probability", "uncertainty")
STATUSES = ("untouched", "draft", "complete", "absent")
MAX_BYTES = 2**20
"""Longest line: arrays go by file, so a longer one is no message."""
LARGEST = 1e30
"""Of all numbers: beyond it, products of two are none any more in single precision."""
MAX_VOXELS = 2**36
MAX_STEPS = 1_000_000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_FILE = re.compile(r"[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}\Z")

Check = Callable[[Any, str], None]


class RequestError(InputError):
    """A request that the worker does not understand: a defect of the front end that sent it."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line. What is not finite becomes null; numpy's numbers become plain ones."""
    return json.dumps(_plain(message), ensure_ascii=False, allow_nan=False).encode() + b"\n"


class Lines:
    """Bytes as they come, cut into lines. Empty lines are left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that ``data`` completes; None for one that was too long and is dropped."""
        found: list[bytes | None] = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping or len(line) > MAX_BYTES:
                found.append(None)
                self._skipping = False
            elif line.strip():
                found.append(line.strip())
        if len(self._rest) > MAX_BYTES:
            self._rest, self._skipping = b"", True
        return found


def decode(line: bytes | None) -> dict[str, Any]:
    """The object of a line; raises :class:`RequestError`."""
    if line is None:
        raise RequestError(f"A line is longer than {MAX_BYTES} bytes", "pass arrays by file")
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"A line is not JSON: {line[:60]!r}") from error
    if not isinstance(message, dict):
        raise RequestError(f"A line is not a JSON object: {line[:60]!r}")
    return message


def decode_request(line: bytes | None) -> dict[str, Any]:
    """A request, checked field by field; raises :class:`RequestError`."""
    message = decode(line)
    fields = dict(message)
    identity, do = fields.pop("id", None), fields.pop("do", None)
    if not is_id(identity):
        raise RequestError("A request's id must be 1 to 64 letters, digits, hyphens or underscores")
    if not isinstance(do, str) or do not in REQUESTS:
        raise RequestError(f"There is no request {_short(do)}", f"ask for one of {', '.join(REQUESTS)}")
    _check_fields(fields, REQUESTS[do], do)
    return message


def decode_event(line: bytes | None) -> dict[str, Any]:
    """An event, with what every front end reads of it checked; raises :class:`RequestError` for anything else."""
    message = decode(line)
    event, identity = message.get("event"), message.get("id")
    known = isinstance(event, str) and event in EVENTS and "id" in message
    if not isinstance(event, str) or not known or not (identity is None or is_id(identity)):
        raise RequestError(f"A line is not an event: {_short(message)}")
    for key, check in EVENTS[event].items():
        name = key.rstrip("?")
        if message.get(name) is not None:
            check(message[name], f"{event}.{name}")
        elif not key.endswith("?"):
            raise RequestError(f"{event} lacks the field {name!r}")
    return message


def is_id(value: Any) -> bool:
    """Whether this may be a request's id."""
    return isinstance(value, str) and bool(_ID.match(value))


def _short(value: Any) -> str:
    """The beginning of what came, in letters that can be written anywhere."""
    try:
        return ascii(value)[:60]
    except RecursionError:
        return "(too deep)"


def _check_fields(fields: Mapping[str, Any], known: Mapping[str, Check], where: str) -> None:
    """Names that end in ``?`` may be missing or null."""
    for name in fields:
        if name not in known and f"{name}?" not in known:
            raise RequestError(f"{where} has no field {_short(name)}")
    for key, check in known.items():
        name = key.rstrip("?")
        if fields.get(name) is None:
            if not key.endswith("?"):
                raise RequestError(f"{where} lacks the field {name!r}")
        else:
            check(fields[name], f"{where}.{name}")


def _a(what: str, good: Callable[[Any], bool]) -> Check:
    def check(value: Any, where: str) -> None:
        if not good(value):
            raise RequestError(f"{where} is not {what}")

    return check


def _list(item: Check, count: int | None = None) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) > 100_000 or count not in (None, len(value)):
            raise RequestError(f"{where} is not a list" + (f" of {count}" if count else ""))
        for number, one in enumerate(value):
            item(one, f"{where}[{number}]")

    return check


def _object(known: Mapping[str, Check]) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise RequestError(f"{where} is not an object")
        _check_fields(value, known, where)

    return check


def _by_name(item: Check, may_be_null: bool = False) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise RequestError(f"{where} is not an object")
        for name, one in value.items():
            text(name, where)
            if one is None and may_be_null:
                continue
            item(one, f"{where}[{_short(name)}]")

    return check


def _both(first: Check, second: Check) -> Check:
    def check(value: Any, where: str) -> None:
        first(value, where)
        second(value, where)

    return check


def _is_grid(value: Mapping[str, Any]) -> bool:
    """Whether axes are not in one plane, and voxels no more than a computer can have."""
    a, b, c, d, e, f, g, h, i = value["direction"]
    across = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return abs(across) > 1e-3 and math.prod(value["size"]) <= MAX_VOXELS


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_number(value: Any) -> bool:
    # Whole numbers of JSON have no limit; no length, place or share is as large as this one.
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 4096 and value.isprintable()


text = _a("a text", _is_text)
integer = _a("a whole number from 0 on", _is_integer)
number = _a("a number", _is_number)
flag = _a("true or false", lambda value: isinstance(value, bool))
file = _a("a file in a job folder", lambda value: isinstance(value, str) and bool(_FILE.match(value)))
identity = _a("an id", is_id)
count = _a("a whole number from 1 on", lambda value: _is_integer(value) and value > 0)
positive = _a("a number above 0", lambda value: _is_number(value) and value > 0)
share = _a("a share from 0 to below 1", lambda value: _is_number(value) and 0 <= value < 1)
steps = _a(f"a whole number of steps up to {MAX_STEPS}", lambda value: _is_integer(value) and value <= MAX_STEPS)
grid = _both(
    _object({"size": _list(count, 3), "origin": _list(number, 3), "spacing": _list(positive, 3),
             "direction": _list(number, 9)}),
    _a("a grid that an image can have", lambda value: _is_grid(value)),
)  # fmt: skip
volume = _object({"file": file, "grid": grid, "name": text, "modality": text})
code = _object({"scheme": text, "value": text, "meaning": text})
structure = _object({"name": text, "colour": _list(number, 3), "code?": code, "category?": code, "modifier?": code,
                     "synonyms?": _list(text)})  # fmt: skip
drawn_slice = _object({"index": integer, "status": _a("a slice status", lambda value: value in STATUSES)})
maps = _list(_a(f"one of {', '.join(MAPS)}", lambda value: value in MAPS))
axis = _a("0, 1 or 2", lambda value: _is_integer(value) and value < 3)
annotation = _object({"axis": axis, "grid": grid,
                       "file": file, "slices": _list(drawn_slice)})  # fmt: skip

box = _object({"file": file, "low": _list(integer, 3)})
looked_at = _object({"name": text, "mask": box, "reference?": box, "uncertainty?": box, "drawn?": _list(integer),
                     "estimate?": number})  # fmt: skip

line_of_text = _a("a text", lambda value: isinstance(value, str))
metrics = _by_name(number, may_be_null=True)
mask = {"structure": structure, "file": file, "low": _list(integer, 3), "ml": number}

EVENTS: dict[str, dict[str, Check]] = {
    "hello": {},
    "stage": {"stage": line_of_text, "message?": line_of_text},
    "progress": {"stage?": line_of_text, "fraction?": number, "message?": line_of_text},
    "metric": {"stage?": line_of_text, "metrics?": metrics},
    "preview": mask,
    "artefact": {"kind": line_of_text, "file": file},
    "warning": {"message": line_of_text, "about?": line_of_text},
    "error": {"kind": line_of_text, "problem": line_of_text, "remedy": line_of_text, "message": line_of_text},
    "done": {"status": _a("a status", lambda value: value in ("done", "stopped")),
             "result": _a("an object", lambda value: isinstance(value, dict))},
}  # fmt: skip
"""The fields of each event that front ends read; there may be more. What is not finite comes as null."""

_of_a_file = _object({"file": text, "name?": text})


def wanted(value: Any, where: str) -> None:
    """Prompts: a text as on the command line, or a file with the name of one structure in it."""
    (_of_a_file if isinstance(value, dict) else text)(value, where)


REQUESTS: dict[str, dict[str, Check]] = {
    "set_volume": {"volume": volume},
    "segment": {
        "volume?": volume,
        "prompts": _list(wanted),
        "drawn?": _by_name(annotation),
        "maps?": maps,
        "review?": flag,
        "axis?": axis,
        "memory?": flag,
        "suggest?": integer,
    },
    "tune": {
        "volume?": volume,
        "annotations": annotation,
        "structure": structure,
        "start_from?": wanted,
        "steps?": steps,
        "seed?": integer,
        "preview?": flag,
        "segment?": flag,
        "maps?": maps,
        "review?": flag,
        "suggest?": integer,
        "examples?": wanted,
        "remember?": flag,
    },
    "suggest": {"volume?": volume, "annotations": annotation, "prompt": wanted, "limit?": integer},
    "review": {"grid": grid, "structures": _list(looked_at), "axis?": axis, "limit?": integer},
    "export": {"prompts": _list(_of_a_file), "memory?": flag},
    "prompts": {"folders?": _list(text)},
    "info": {},
    "describe": {"dataset": text},
    "gather": {"folder": text, "number": count, "volume": volume, "structure": text, "mask": box, "remember?": flag},
    "learn": {
        "folder": text,
        "structure": structure,
        "called?": text,
        "datasets?": _list(text),
        "validation?": share,
        "time_budget?": positive,
        "steps?": steps,
        "seed?": integer,
        "resume?": flag,
        "remember?": flag,
    },
    "cancel": {"of": identity, "keep?": flag},
    "leave": {},
}
"""The fields of each request; ``?`` marks those that may be left out. ``volume`` may be left out where one was set.

- *set_volume*: take up a volume, so that the requests that follow find it prepared.
- *segment*: ``prompts`` are ``{"file", "name"}``, a structure of a file or of a shipped set under any name, or texts
  as on the command line (``abdomen-ct:liver``, or a path), as all that names prompts; ``drawn`` are annotations
  of this volume by structure name. The result lists ``masks``; ``maps`` go with them; ``review`` adds how good they
  are and where to look, in slices along ``axis``. With ``memory``, files beside the prompts that remember patients are
  used: ``notes`` are sentences on what could not be carried over, ``expected`` has the Dice to expect by structure.
  ``suggest`` is how many slices of least certainty to name of each structure that was taught in drawn slices elsewhere:
  ``corrections`` has them by structure, with the ``axis`` that they count along.
- *tune*: learn a structure. ``preview`` shows the first mask as an event before the steps begin; ``segment`` gives the
  final mask; ``suggest`` is how many slices to suggest next. The result names the ``prompt`` file.
  The drawn slices of earlier patients that lie beside the prompt ``examples`` are learned from, too; ``remember``, with
  ``segment``, writes what the next patient starts from to the file ``memory``.
- *suggest*: which slices to draw next, from what was drawn and the ``prompt`` that was learned from it, as a text.
- *review*: how good masks are and where to look, perhaps beside reference masks; ``low`` (k, j, i) is where a mask's
  box begins. Needs no backbone.
- *export*: prompts for other computers; with ``memory``, what is remembered of the patients that they were taught in
  is carried to open reference CTs. The result has ``files``, the ``file`` of each ``source``, and ``without``: by
  structure, why it tells others nothing of its place.
- *prompts*: the shipped prompt sets and those in ``folders``.
- *info*: versions, device, backbone, and ``niceness``: how far the worker stands back behind other programs.
- *describe*: the ``name`` of a data set (a ``dataset.json``, its folder, or a ``.pack``), its ``structures``, and how
  many ``volumes`` it has. Needs no backbone.
- *gather*: keep a volume with the mask of one structure in the ``folder`` of a run, on the working grid, as the one of
  this ``number``. Needs no backbone.
- *learn*: learn a structure from whole labelled volumes: of ``datasets``, where it is ``called`` so, or those that were
  gathered in ``folder``; ``time_budget`` is in seconds. ``resume`` goes on from the checkpoint of the folder, which is
  for the front end to take away once it has kept the prompt. The result names the ``prompt`` file, and has ``card``,
  ``dice`` of each held-out subject, ``subjects``, ``curve`` and ``notes``. With ``remember``, here and in *gather*, the
  next patient starts from three of the volumes: ``memory``.
- *leave*: end now, if nothing else is waiting, and let the job folder be: a front end that has nothing to do gives the
  memory back so, and starts another worker later.
- *cancel*: stop the request ``of``; with ``keep``, tuning and learning end with the best prompt so far.
"""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, str | bool) or value is None:
        return value
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _plain(value.tolist())
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    return str(value)
