"""A prompt's card: how it sees a volume, how it was taught and how good it was found to be.

Cards come from other people's files. Every field has a type and bounds that hold from the moment a card is made, so
that nothing behind it has to ask again. A new field needs a line in the class and one in :data:`_BOUNDS`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ..errors import PromptError

if TYPE_CHECKING:
    from ..volumes.volume import Grid

PLANES = ("axial", "coronal", "sagittal")
COMPONENTS = ("largest", "main", "substantial", "all")
"""What is kept of a mask, see :func:`PromptSegLib.segment.postprocess.clean`."""
CARRIES = 0.6
"""From this Dice of left-out slices without contours on, a taught structure is found in other CTs, too
(docs/benchmarks-teaching.md, "To the next patient")."""

MAX_TEXT = 4000
MAX_JSON = 200_000
_PLAIN = "plain JSON of a reasonable size with finite numbers"
_MAX_NAMES = 10_000
_LOCAL = ("taught_on", "extra")
_FORMER = {"outline_weight": "contour_weight"}  # in files of earlier versions
_MAY_BE_NULL = ("data", "date", "author", "licence", "note")


@dataclass(frozen=True)
class Card:
    """What a prompt says of itself. Raises :class:`PromptError` for a value that is out of bounds.

    ``spacing`` is that of the working grid in mm, 0.5 to 10; ``window`` the HU range that the network sees, None for
    all that the working grid keeps. With ``shared_tokens`` its deep tokens are those that the backbone shares out, so
    that one pass shows all such structures; with ``shared_pass`` it looks under both. One that ``corrects`` was learned
    from slices in which the mask of a prompt that knew the structure was corrected: in that volume its own mask goes on
    beyond them. ``slice_mm`` is the distance between the slices that it was taught on. The first three Dice are of
    left-out slices with the contours, of left-out slices without them, and of held-out subjects; ``begun_dice`` is the
    last one of the prompt that found the drawn slices already, and was kept as it is.
    """

    plane: str = "axial"
    spacing: float = 2.0
    window: tuple[float, float] | None = None
    components: str = "substantial"
    shared_pass: bool = False
    shared_tokens: bool = False
    contour_weight: float | None = None
    volumes: int | None = None
    slices: int | None = None
    slice_mm: float | None = None
    steps: int | None = None
    rounds: int | None = None
    seed: int | None = None
    leave_one_slice_out_dice: float | None = None
    network_dice: float | None = None
    validation_dice: float | None = None
    data: tuple[str, ...] = ()
    date: str = ""
    author: str = ""
    licence: str = ""
    note: str = ""
    taught_on: tuple[Grid | str, ...] = ()
    """Grids of the volumes that it was taught on, or the digests that older files have of them. They say which scan was
    used, and never leave this computer: they are not in :meth:`to_json` (see :mod:`.memory`)."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that this version does not know, as plain JSON: they are kept."""
    corrects: bool = False
    begun_dice: float | None = None
    overview: tuple[str, float] | None = None
    """What the overview network calls this structure, and its share in the logits (:mod:`..segment.overview`); None:
    it is not asked."""

    def __post_init__(self) -> None:
        for name, check in _BOUNDS.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, check(value))
            except (ValueError, TypeError) as error:
                raise PromptError(
                    f"A prompt's {name} is {_short(value)}, not {error}", "correct it, or get the file again"
                ) from error

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Card:
        """From the card of a file. Raises :class:`PromptError` for one that cannot be used."""
        if not isinstance(values, Mapping):
            raise PromptError(f"A prompt's card is {_short(values)}, not an object", "get the file again")
        own = {f.name for f in fields(cls)} - {"extra"}
        values = {_FORMER.get(k, k): v for k, v in values.items()}
        known = {k: v for k, v in values.items() if k in own}
        stated = {k: v for k, v in known.items() if v is not None or k not in _MAY_BE_NULL}
        return cls(**stated, extra={k: v for k, v in values.items() if k not in own})

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file: without what is not known, and without the grids of the volumes."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _LOCAL}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in known.items()}
        return {**self.extra, **{k: v for k, v in plain.items() if v not in (None, "", [])}}

    @property
    def knows(self) -> bool:
        """Whether the network finds the structure by itself, so that drawn slices can be corrections of its mask."""
        return self.corrects or self.validation_dice is not None

    @property
    def carries(self) -> bool | None:
        """Whether the prompt is of use in CTs other than those that it was taught on, where no contours help the
        network; None if that was not measured, as of what was pre-trained."""
        dice = self.begun_dice if self.begun_dice is not None else self.network_dice
        return None if dice is None else dice >= CARRIES

    def taught_there(self, grid: Grid) -> bool:
        """Whether it is known to have been taught on a volume on ``grid``."""
        return any(grid.has_digest(one) if isinstance(one, str) else one.matches(grid) for one in self.taught_on)

    def other_plane(self, plane: str, name: str) -> str:
        """A sentence for slices in ``plane``, if the prompt, of the structure ``name``, was learned in another; empty
        if it was not."""
        if plane == self.plane:
            return ""
        return (
            f"{name} was learned in {self.plane} slices, and these were drawn in {plane} ones: what is drawn stays as "
            "it is, and does not help to find the slices between."
        )


def check_plain(value: Any, max_json: int = MAX_JSON, max_depth: int = 12) -> None:
    """Raise :class:`ValueError` unless ``value`` is JSON of a reasonable size and depth, without NaN and infinity."""
    level, depth, count = [value], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > max_depth or count > max_json:
            raise ValueError(_PLAIN)
        below: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                if not all(isinstance(key, str) for key in one):
                    raise ValueError(_PLAIN)
                below += one.values()
            elif isinstance(one, list | tuple):
                below += one
            elif not isinstance(one, str | int | float | None) or (isinstance(one, float) and not math.isfinite(one)):
                raise ValueError(_PLAIN)
        level = below
    if len(json.dumps(value)) > max_json:
        raise ValueError(_PLAIN)


def plain_text(text: str) -> str:
    """``text`` on one line, without what steers a screen: a name or a note is never more than letters."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())


Check = Callable[[Any], Any]


def _one_of(known: tuple[str, ...]) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return value

    return check


def _number(low: float, high: float, unit: str = "") -> Check:
    def check(value: Any) -> float:
        # NaN is not between any bounds.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}{unit}")
        return float(value)

    return check


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _window(value: Any) -> tuple[float, float]:
    number = _number(-1e9, 1e9)
    try:
        low, high = (number(one) for one in value)
    except (ValueError, TypeError) as error:
        raise ValueError("two numbers in HU") from error
    if low >= high:
        raise ValueError("two numbers in HU, the lower one first")
    return low, high


def _overview(value: Any) -> tuple[str, float]:
    if not isinstance(value, list | tuple) or len(value) != 2 or not isinstance(value[0], str):
        raise ValueError("a structure's name and a share")
    return _text(value[0]), _number(0, 1)(value[1])


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"a text of at most {MAX_TEXT} characters")
    return "\n".join(plain_text(line) for line in value.splitlines()).strip()


def _names(value: Any) -> tuple[str, ...]:
    """Older files have one name, or objects with one."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or len(given) > _MAX_NAMES:
        raise ValueError("a list of names")
    return tuple(_text(one.get("name", "") if isinstance(one, Mapping) else one) for one in given)


def _grids(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MAX_NAMES:
        raise ValueError("a list of grids")
    for one in value:
        if (isinstance(one, str) and len(one) > 100) or not (isinstance(one, str) or hasattr(type(one), "matches")):
            raise ValueError("a list of grids")
    return tuple(one for one in value if one != "")  # an empty digest names no scan


def _plain_object(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("an object")
    check_plain(value)
    return dict(value)


_DICE = _optional(_number(0, 1))
_COUNT = _optional(_integer(0, 10**9))
_BOUNDS: dict[str, Check] = {
    "plane": _one_of(PLANES),
    "spacing": _number(0.5, 10, " mm"),  # the working grid's memory grows with the square of what is smaller
    "window": _optional(_window),
    "components": _one_of(COMPONENTS),
    "shared_pass": _flag,
    "shared_tokens": _flag,
    "contour_weight": _optional(_number(0, 10_000)),
    "volumes": _COUNT,
    "slices": _COUNT,
    "slice_mm": _optional(_number(0, 10_000, " mm")),
    "steps": _COUNT,
    "rounds": _COUNT,
    "seed": _optional(_integer(-(2**63), 2**64)),
    "leave_one_slice_out_dice": _DICE,
    "network_dice": _DICE,
    "validation_dice": _DICE,
    "data": _names,
    "date": _text,
    "author": _text,
    "licence": _text,
    "note": _text,
    "taught_on": _grids,
    "extra": _plain_object,
    "corrects": _flag,
    "begun_dice": _DICE,
    "overview": _optional(_overview),
}


def _short(value: Any) -> str:
    """A value as it fits into a sentence; it may be a number of a thousand digits or a list of lists."""
    if isinstance(value, int) and not -(10**30) < value < 10**30:
        return "a huge number"
    if isinstance(value, str | float | int | None):
        text = repr(value[:40] if isinstance(value, str) else value)
        return "null" if text == "None" else text
    return "a list" if isinstance(value, list | tuple) else "an object" if isinstance(value, Mapping) else "something"
