"""Which of a study's CT series are wanted: those of a description, or one of each study."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from PromptSegLib.errors import quoted, short
from PromptSegLib.spelling import spelled

ONE = "one"
"""The rule that takes the series with most slices of each study."""


@dataclass(frozen=True)
class StudySeries:
    """A CT series as far as the rules ask: its UID, its study's, its description and number, and how many slices it
    has."""

    uid: str
    study: str
    text: str
    number: str
    slices: int


def unfit(series: Sequence[StudySeries], rules: Sequence[str]) -> dict[str, str]:
    """Why series are not wanted, by UID.

    A rule is a pattern that the series' description has to fit (``*`` and ``?`` stand for any letters and for one, case
    does not count; of several patterns, any will do), or :data:`ONE`: of those that fit, each study's series with most
    slices, or the first by number of several.
    """
    patterns = [rule.strip() for rule in rules if rule.casefold() != ONE]
    fits = [spelled(rule).replace("[", "[[]") for rule in patterns]
    reasons: dict[str, str] = {}
    if patterns:
        wanted = f"its description does not fit {quoted(map(short, patterns))}"
        for one in series:
            if not any(fnmatch.fnmatchcase(spelled(one.text), rule) for rule in fits):
                reasons[one.uid] = wanted
    if len(patterns) < len(rules):
        best: dict[str, StudySeries] = {}
        left = sorted((one for one in series if one.uid not in reasons), key=_rank)
        for one in left:
            first = best.setdefault(one.study, one)
            if first is not one:
                than = "as many" if first.slices == one.slices else "more"
                reasons[one.uid] = (
                    f"series {first.number} '{short(first.text, 60)}' of the same study has {than} slices"
                )
    return reasons


def _rank(one: StudySeries) -> tuple[int, int, str]:
    return -one.slices, int(one.number) if one.number.isdecimal() else 1 << 31, one.uid
