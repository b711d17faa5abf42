"""Accepted, or to be looked at again: kept as the status that 3D Slicer itself gives a segment.

So the module Segmentations and the Segment Editor show it too, and it goes with the segment into files.
"""

from __future__ import annotations

from typing import Any

from .nodes import STATUS_TAG, tag

BY_TAG = "PromptSeg.DecidedBy"
"""By whom, and when (ISO 8601, local time)."""
_SEPARATOR = " \u00b7 "
ACCEPTED, FLAGGED = "accepted", "look again"
_STATUS = {ACCEPTED: "completed", FLAGGED: "flagged"}


def decision_of(segment: Any) -> str:
    """What was decided of a segment; empty if nothing was."""
    status = tag(segment, STATUS_TAG)
    return next((one for one, word in _STATUS.items() if word == status), "")


def decide(segment: Any, decision: str, by: str = "", when: str = "") -> None:
    """Keep a decision with a segment, by whom and when; an empty one takes it back."""
    if decision:
        segment.SetTag(STATUS_TAG, _STATUS[decision])
        segment.SetTag(BY_TAG, _SEPARATOR.join((by, when)))
    else:
        segment.RemoveTag(STATUS_TAG)
        segment.RemoveTag(BY_TAG)


def decided_by(segment: Any) -> tuple[str, str]:
    """(by whom, when) a segment was decided on; empty texts where that is not known, as where Slicer's own Segment
    Editor was used."""
    by, _, when = tag(segment, BY_TAG).partition(_SEPARATOR) if decision_of(segment) else ("", "", "")
    return by, when
