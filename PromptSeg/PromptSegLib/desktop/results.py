"""What jobs give: plain data about nodes, rounds and reviews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..prompts.card import Card
from ..prompts.structure import Structure
from ..worker.payload import Found


@dataclass(frozen=True)
class SegmentResult:
    """A segmentation: ``node`` with ``segment_ids`` in the order of the structures; ``review`` as of
    :meth:`PromptSegLib.review.findings.Review.to_json`."""

    node: Any
    segment_ids: tuple[str, ...]
    structures: tuple[Structure, ...]
    seconds: float
    review: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class TeachResult:
    """One round of teaching: ``prompt`` is the file of what was learned, kept until the scene closes.

    ``leave_one_slice_out_dice`` is the mean of ``left_out`` (volume, index, dice); ``estimate`` (dice, low, high) is
    what to expect of the undrawn slices, None where nothing tells; ``notes`` are sentences about what was drawn;
    ``suggestions`` (index, share, reason) are slices to draw next; ``stopped`` says that it ended with the best so far.
    """

    round: int
    structure: Structure
    prompt: str
    result_segment_id: str
    card: Card
    leave_one_slice_out_dice: float | None
    left_out: Sequence[Mapping[str, Any]] = ()
    estimate: Mapping[str, float] | None = None
    notes: Sequence[str] = ()
    suggestions: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, float]] = ()
    review: Mapping[str, Any] | None = None
    seconds: float = 0.0
    stopped: bool = False
    found: Found | None = field(default=None, repr=False)
    """The mask, to go back to."""
