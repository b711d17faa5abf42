"""What the fuzzer is made of: odd values, JSON and text that were tampered with, and the one rule.

Whatever a file or a line holds, the outcome is success or a :class:`PromptSegError` of one sentence. In a test run the
examples are always the same ones, some seconds for each kind. ``PROMPTSEG_FUZZ_MINUTES=60`` makes others for that long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from PromptSegLib.errors import PromptSegError

MINUTES = float(os.environ.get("PROMPTSEG_FUZZ_MINUTES", "0"))
KINDS = 19
"""Tests that share the minutes."""

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 255, 256, 32767, 32768, 65536, 70000, -(2**31), 2**31, 2**32, 2**63, 2**64, 10**400,
    0.0, -0.0, 0.5, 1e-3, 1e-30, 1e30, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 1.0001,
)  # fmt: skip
TEXTS = (
    "", " ", "a", "\0", "\n", "\x1b[2J", "\ud800", "\udcff", "a" * 201, "a" * 5000, "ä", "a/b:c", "a,b", "~", "^", "|",
    "nan", "inf", "1e999", "-1", "0x10", "1,34", "None", "../../x", "axial", "1 2 3", "(1,0,0)", "true", "{}", "[]",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, *NUMBERS, *TEXTS, [], {}, [None], [[]], [0, 0, 0], {"a": 1}, [1, 2], [{}], ["a"] * 2000,
)  # fmt: skip


def deep(levels: int) -> list[Any]:
    """A list in a list in a list ..."""
    out: list[Any] = []
    for _ in range(levels):
        out = [out]
    return out


odd = st.one_of(
    st.sampled_from(ODD).map(deepcopy),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.builds(deep, st.sampled_from((5, 15, 60))),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything in a JSON value, of long lists the beginning."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        for key in (
            list(one)[:40] if isinstance(one, dict) else range(min(40, len(one))) if isinstance(one, list) else ()
        ):
            yield one, key
            waiting.append(one[key])


@st.composite
def tampered(draw: Any, base: Any) -> Any:
    """A JSON value of which some parts were replaced, removed, added or moved."""
    value = deepcopy(base)
    for _ in range(draw(st.integers(1, 3))):
        there = list(places(value))
        if not there:
            break
        container, key = there[draw(st.integers(0, len(there) - 1))]
        how = draw(st.sampled_from(("replace", "replace", "replace", "remove", "add", "move")))
        if how == "replace":
            container[key] = draw(odd)
        elif how == "move":
            other, place = there[draw(st.integers(0, len(there) - 1))]
            container[key] = deepcopy(other[place])
        elif isinstance(container, dict):
            if how == "remove":
                del container[key]
            else:
                container[draw(st.sampled_from(("new", "", "a" * 300)))] = draw(odd)
        elif how == "remove":
            container.pop(key)
        else:
            container.insert(key, draw(odd))
    return value


@st.composite
def broken(draw: Any, data: bytes, within: int) -> bytes:
    """Bytes of which some among the first ``within`` were changed, and which may be cut short or go on."""
    out = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        if out:
            out[draw(st.integers(0, min(within, len(out)) - 1))] = draw(st.integers(0, 255))
    how = draw(st.sampled_from(("", "", "cut", "more")))
    if how == "cut":
        del out[draw(st.integers(0, len(out))) :]
    elif how == "more":
        out += draw(st.binary(max_size=40))
    return bytes(out)


@st.composite
def other_lines(draw: Any, text: str, between: str) -> str:
    """The lines ``key BETWEEN value`` of a header, some with other values, some gone, doubled or not to be read."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        key, mark, value = lines[number].partition(between)
        how = draw(st.sampled_from(("value", "value", "part", "part", "remove", "double", "line")))
        if how == "value" and mark:
            lines[number] = key + mark + str(draw(st.sampled_from((*NUMBERS, *TEXTS))))
        elif how == "part" and mark and value.split():
            parts = value.split()
            parts[draw(st.integers(0, len(parts) - 1))] = str(draw(st.sampled_from((*NUMBERS, *TEXTS))))
            lines[number] = key + mark + " ".join(parts)
        elif how == "remove":
            lines.pop(number)
        elif how == "double":
            lines.insert(draw(st.integers(0, len(lines))), lines[number])
        else:
            lines[number] = draw(st.text(max_size=60))
        if not lines:
            return ""
    return "\n".join(lines)


def survives(action: Callable[[], Any]) -> Any:
    """What ``action`` gives, None where it refused. Anything else that it raises is a defect."""
    try:
        return action()
    except PromptSegError as error:
        said = str(error)
        assert said.endswith(".")
        assert "\n" not in said
        assert len(said) < 1500, said[:2000]
        return None


def attack(strategy: st.SearchStrategy[Any], check: Callable[[Any], Any], examples: int) -> None:
    """Try ``check`` on examples of ``strategy``: always the same ones, or, by hand, ever new ones for some minutes."""
    until = time.monotonic() + 60 * MINUTES / KINDS
    number = 0
    while number == 0 or time.monotonic() < until:

        @settings(
            max_examples=examples if not MINUTES else 500,
            derandomize=not MINUTES,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def run(value: Any) -> None:
            check(value)

        if MINUTES:
            run = seed(time.time_ns())(run)
        run()
        number += 1
