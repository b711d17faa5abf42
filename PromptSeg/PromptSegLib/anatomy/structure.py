"""A structure: an anatomical thing with its name, its terminology code and its colour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import PromptError

MAX_NAME = 200
_MAX_SYNONYMS = 200


@dataclass(frozen=True)
class Code:
    """One entry of a coding scheme, as DICOM and Slicer's terminologies write it."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Structure:
    """``name`` as users read it (lower case English), SNOMED CT ``category`` and ``code`` where known, optional
    laterality ``modifier``, and ``colour`` (r, g, b), each 0..1."""

    name: str
    code: Code | None = None
    colour: tuple[float, float, float] = (0.9, 0.6, 0.1)
    category: Code | None = None
    modifier: Code | None = None
    synonyms: tuple[str, ...] = ()


def check_structure(structure: Structure) -> None:
    """Raise :class:`PromptError` for a structure that a prompt set could not hold: to be asked before it is taught."""
    structure_from(asdict(structure))


def structure_from(values: Any) -> Structure:
    """A structure from the JSON of a prompt set, with every field checked. Raises :class:`PromptError`."""
    if not isinstance(values, Mapping):
        raise _unfit("A structure is not an object")
    name = _text(values.get("name"), "name")
    colour = values.get("colour")
    if not isinstance(colour, list | tuple) or len(colour) != 3 or not all(map(_is_number, colour)):
        raise _unfit(f"The colour of {name} is not three numbers from 0 to 1")
    red, green, blue = (float(min(1, max(0, part))) for part in colour)
    synonyms = values.get("synonyms") or ()
    if not isinstance(synonyms, list | tuple) or len(synonyms) > _MAX_SYNONYMS:
        raise _unfit(f"The synonyms of {name} are no list of names")
    code, category, modifier = (_code(values.get(key), key) for key in ("code", "category", "modifier"))
    return Structure(
        name, code, (red, green, blue), category, modifier, tuple(_text(one, "synonym") for one in synonyms)
    )


def check_name(name: str) -> None:
    """Raise :class:`PromptError` for a name that a prompt set could not hold."""
    _text(name, "name")


def _code(values: Any, what: str) -> Code | None:
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise _unfit(f"A structure's {what} is not an object")
    return Code(*(_text(values.get(key), key) for key in ("scheme", "value", "meaning")))


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _unfit(f"A structure's {what} is empty")
    if len(value) > MAX_NAME:
        raise _unfit(f"The {what} '{value[:20]} ...' has {len(value)} characters, and at most {MAX_NAME} are kept")
    if not value.isprintable():
        raise _unfit(f"The {what} {value[:40]!r} holds characters that cannot be shown")
    return value


def _is_number(value: Any) -> bool:
    integer = isinstance(value, int) and not isinstance(value, bool)
    return integer or (isinstance(value, float) and math.isfinite(value))


def _unfit(problem: str) -> PromptError:
    return PromptError(problem, "write a shorter, plain name")
