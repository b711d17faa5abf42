"""What one round of teaching came to, as it travels: from the tuner over the worker to the panel and into the scene.

A new fact gets a field here, and one line in :data:`_FIELDS`. Plain data: nothing heavy is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import InputError

_MAX_ITEMS = 100_000
_MAX_TEXT = 10_000


@dataclass(frozen=True)
class LeftOutSlice:
    """What a drawn slice got when it was not learned from: ``volume`` counts from 0, ``dice`` is NaN where neither the
    drawing nor the network has anything."""

    volume: int
    index: int
    dice: float


@dataclass(frozen=True)
class Estimate:
    """``dice`` to be expected of the undrawn slices between the first and the last drawn one; in about four of five
    cases it lies from ``low`` to ``high``."""

    dice: float
    low: float
    high: float


@dataclass(frozen=True)
class Suggestion:
    """Slice ``index`` along the drawing's axis; ``share`` (0..1) of all that is expected to be wrong should go with it.

    ``reason`` is a sentence; ``between`` are the drawn slices on either side, None where there is none.
    """

    index: int
    share: float
    reason: str
    between: tuple[int | None, int | None]


@dataclass(frozen=True)
class Outcome:
    """What one round of teaching came to.

    ``left_out`` lists the drawn slices that were left out, with their Dice at the step and the contours' weight that
    were chosen; ``leave_one_slice_out_dice`` is its mean, None with fewer than two, and ``network_dice`` the mean of
    what the network found there without contours, as it has to on other volumes. ``history`` lists steps with loss and
    Dice, ``notes`` are sentences on what needs review, ``stages`` are seconds of each part of tuning.

    ``steps`` is how many the prompt has learned that was kept: where the user ``stopped``, the best so far. ``seconds``
    is how long the round took, ``estimate`` what to expect of the undrawn slices, ``suggestions`` what to draw next,
    and ``review`` a :meth:`PromptSegLib.review.findings.Review.to_json`; each where it was asked for.
    """

    left_out: tuple[LeftOutSlice, ...] = ()
    leave_one_slice_out_dice: float | None = None
    network_dice: float | None = None
    history: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    stages: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0
    stopped: bool = False
    seconds: float = 0.0
    estimate: Estimate | None = None
    suggestions: tuple[Suggestion, ...] = ()
    review: Mapping[str, Any] | None = None
    axis: int = 0
    """The array axis whose slices were drawn: slices and suggestions count along it."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; numbers that JSON does not have are null."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Outcome:
        """What :meth:`to_json` gave; fields that are not there take their defaults, others are left out.

        Raises :class:`InputError` for anything else: it may come from anybody's scene.
        """
        if not isinstance(values, Mapping):
            raise _damaged("it is no object")
        found = {}
        for name, read in _FIELDS.items():
            if name in values:
                try:
                    found[name] = read(values[name])
                except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
                    raise _damaged(f"its {name} is not what it has to be") from error
        return cls(**found)


def _damaged(why: str) -> InputError:
    return InputError(f"What is known of this round of teaching cannot be used: {why}", "teach the structure again")


def _plain(value: Any) -> Any:
    if isinstance(value, LeftOutSlice | Estimate | Suggestion):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):  # a number of numpy's
        value = value.tolist()
    return None if isinstance(value, float) and not math.isfinite(value) else value


Read = Callable[[Any], Any]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e30 <= value <= 1e30:
        raise ValueError(value)
    return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(value)
    return value


def _axis(value: Any) -> int:
    if _integer(value) > 2:
        raise ValueError(value)
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError(value)
    return value


def _optional(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _nan(value: Any) -> float:
    """A number that JSON may not have."""
    return math.nan if value is None else _number(value)


def _several(read: Read) -> Read:
    def read_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > _MAX_ITEMS:
            raise TypeError(value)
        return tuple(read(one) for one in value)

    return read_all


def _numbers(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or len(value) > 100:
        raise TypeError(value)
    return {_text(key): _nan(one) for key, one in value.items()}


def _left_out(value: Any) -> LeftOutSlice:
    return LeftOutSlice(_integer(value["volume"]), _integer(value["index"]), _nan(value["dice"]))


def _estimate(value: Any) -> Estimate:
    return Estimate(_number(value["dice"]), _number(value["low"]), _number(value["high"]))


def _suggestion(value: Any) -> Suggestion:
    low, high = (_optional(_integer)(one) for one in value["between"])
    return Suggestion(_integer(value["index"]), _number(value["share"]), _text(value["reason"]), (low, high))


def _step(value: Any) -> dict[str, float]:
    found = _numbers(value)
    return {**found, "step": _integer(value["step"])}


def _review(value: Any) -> dict[str, Any]:
    """Its own types are those of :mod:`PromptSegLib.review.findings`; a front end asks for what it knows of them."""
    if not isinstance(value, Mapping):
        raise TypeError(value)
    return dict(value)


_FIELDS: dict[str, Read] = {
    "left_out": _several(_left_out),
    "leave_one_slice_out_dice": _optional(_number),
    "network_dice": _optional(_number),
    "history": _several(_step),
    "notes": _several(_text),
    "stages": _numbers,
    "steps": _integer,
    "stopped": _flag,
    "seconds": _number,
    "estimate": _optional(_estimate),
    "suggestions": _several(_suggestion),
    "review": _optional(_review),
    "axis": _axis,
}
"""How each field of :class:`Outcome` is read and checked."""
