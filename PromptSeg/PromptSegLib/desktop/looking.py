"""What was looked at in a review, slice by slice, and what follows from it for the structure."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..mrml.decisions import ACCEPTED, FLAGGED, decide, decision_of
from .pictures import PicturePlace

SEEN = "seen"


def reviewer() -> str:
    """Who decides: the user's name in Slicer's settings, else in the system; empty where there is none."""
    import slicer

    with contextlib.suppress(AttributeError):
        name = str(slicer.app.applicationLogic().GetUserInformation().GetName() or "")
        if name.strip():
            return name.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def now() -> str:
    """This minute, local time, as ISO 8601 has it."""
    return datetime.now().astimezone().replace(second=0, microsecond=0).isoformat(sep=" ", timespec="minutes")[:16]


def look(rows: Sequence[dict[str, Any]], place: PicturePlace, looked: str) -> PicturePlace:
    """Keep in the rows that a slice was seen, accepted or flagged, by whom and when; a decision is not undone by a mere
    look."""
    one = rows[place.row]["slices"][place.number]
    if looked != SEEN or not one.get("looked"):
        one |= {"looked": looked, "by": reviewer(), "when": now()}
    return replace(place, looked=str(one["looked"]))


def keep_looks(former: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> None:
    """Slices of the same segmentation that were looked at stay so in a new review, with another reference perhaps."""
    known = {
        (row["segment_id"], one["index"]): {key: one[key] for key in ("looked", "by", "when") if key in one}
        for row in former
        for one in row["slices"]
    }
    for row in rows:
        for one in row["slices"]:
            one |= known.get((row["segment_id"], one["index"]), {})


def count(rows: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """(how many slices were looked at, of how many)."""
    every = [one for row in rows for one in row["slices"]]
    return sum(bool(one.get("looked")) for one in every), len(every)


def settle(row: Mapping[str, Any], segment: Any) -> None:
    """What the slices of a structure say of it: flagged as soon as one is, accepted when all are."""
    marks = [one.get("looked") for one in row["slices"]]
    if FLAGGED in marks:
        wanted = FLAGGED
    elif marks and all(one == ACCEPTED for one in marks):
        wanted = ACCEPTED
    else:
        wanted = "" if decision_of(segment) == FLAGGED else decision_of(segment)
    if wanted != decision_of(segment):
        decide(segment, wanted, reviewer(), now())
