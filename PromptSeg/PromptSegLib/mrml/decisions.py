"""Accepted, or to be looked at again: kept as the status that 3D Slicer itself gives a segment.

So the module Segmentations and the Segment Editor show it too, and it goes with the segment into files.
"""

from __future__ import annotations

from typing import Any

from .nodes import STATUS_TAG, tag

ACCEPTED, FLAGGED = "accepted", "look again"
_STATUS = {ACCEPTED: "completed", FLAGGED: "flagged"}


def decision_of(segment: Any) -> str:
    """What was decided of a segment; empty if nothing was."""
    status = tag(segment, STATUS_TAG)
    return next((one for one, word in _STATUS.items() if word == status), "")


def decide(segment: Any, decision: str) -> None:
    """Keep a decision with a segment; an empty one takes it back."""
    if decision:
        segment.SetTag(STATUS_TAG, _STATUS[decision])
    else:
        segment.RemoveTag(STATUS_TAG)
