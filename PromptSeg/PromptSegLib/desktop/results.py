"""What jobs give: plain data about nodes, rounds and reviews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..anatomy.structure import Structure
from ..prompts.card import Card
from ..tune.outcome import Outcome
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
    taught: tuple[str, ...] = ()
    """The structures that were taught in this volume: their segments are as they were."""
    notes: tuple[str, ...] = ()
    """Sentences on what was carried over from other patients, or could not be."""
    expected: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """The Dice to be expected, and the ends of its range, by structure where it is known."""
    corrections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By structure, the slices of least certainty: ``axis``, and ``slices`` (index, share, reason)."""


@dataclass(frozen=True)
class TeachResult:
    """One round of teaching: ``prompt`` is the file of what was learned, kept until the scene closes, and ``outcome``
    what the round came to. What panels show of it can be asked for by name, as plain JSON."""

    round: int
    structure: Structure
    prompt: str
    result_segment_id: str
    card: Card
    outcome: Outcome
    found: Found | None = field(default=None, repr=False)
    """The mask, to go back to."""

    @cached_property
    def _json(self) -> dict[str, Any]:
        return self.outcome.to_json()

    @property
    def leave_one_slice_out_dice(self) -> float | None:
        """The mean Dice of left-out slices."""
        return self.outcome.leave_one_slice_out_dice

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """Left-out slices (volume, index, dice)."""
        return list(self._json["left_out"])

    @property
    def estimate(self) -> dict[str, float] | None:
        """What to expect of the undrawn slices (dice, low, high); None where nothing tells."""
        return self._json["estimate"]

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about what was drawn."""
        return self.outcome.notes

    @property
    def suggestions(self) -> list[dict[str, Any]]:
        """Slices to draw next (index, share, reason)."""
        return list(self._json["suggestions"])

    @property
    def history(self) -> list[dict[str, float]]:
        """Steps with loss and Dice."""
        return list(self._json["history"])

    @property
    def review(self) -> Mapping[str, Any] | None:
        """As of :meth:`PromptSegLib.review.findings.Review.to_json`."""
        return self.outcome.review

    @property
    def seconds(self) -> float:
        """From the click to the end."""
        return self.outcome.seconds

    @property
    def stopped(self) -> bool:
        """Whether it ended with the best so far, at step ``outcome.steps``."""
        return self.outcome.stopped

    @property
    def axis(self) -> int:
        """The array axis whose slices were drawn; left-out slices and suggestions count along it."""
        return self.outcome.axis
