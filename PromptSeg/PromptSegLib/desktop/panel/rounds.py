"""The rounds of teaching one structure: how good the last is, the one before beside it, back, and keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ...annotations import SliceStatus
from ...errors import PromptSegError
from ..logic import Logic
from ..results import TeachResult
from ..structure_names import name_of
from . import texts
from .message import Message
from .widgets import beside, button, text_label


class Rounds:
    """``on_change()`` is called when another round is shown; ``on_kept(text)`` when one was accepted."""

    def __init__(
        self, logic: Logic, message: Message, on_change: Callable[[], None], on_kept: Callable[[str], None]
    ) -> None:
        self._logic, self._message, self._on_change, self._on_kept = logic, message, on_change, on_kept
        self.result: TeachResult | None = None
        """The round that the panel speaks of; None before the first, and for another segment."""
        self._asked: list[SliceStatus] = []
        self._taught: list[SliceStatus] = []
        self.quality = text_label()
        self.before = button(_("Before / After"), _("Show the round before, and back"), self._toggle)
        self.undo = button(_("Undo round"), _("Go back to the round before"), self._undo)
        self.accept = button(_("Accept"), _("Keep it in My structures, for this and other patients"), self._accept)
        self._buttons = beside(self.before, self.undo, self.accept)
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.quality)
        layout.addWidget(self._buttons)
        self.refresh(False)

    def last(self, axis: int) -> TeachResult | None:
        """The round to go on from: the last one, if it is of the segment at hand, and of slices along this axis."""
        known = self._logic.rounds
        return known[-1] if known and self.result is known[-1] and known[-1].axis == axis else None

    def begin(self, known: Sequence[TeachResult] = ()) -> None:
        """Another structure, with the rounds that are known of it."""
        self.result = known[-1] if known else None
        self._taught = []
        self.refresh(False)

    def asked(self, statuses: Sequence[SliceStatus]) -> None:
        """A round begins, of slices with these statuses."""
        self._asked = list(statuses)

    def changed(self, statuses: Sequence[SliceStatus], axis: int) -> list[int]:
        """The slices along an axis that were drawn in or marked since the last round."""
        if self.result is None or self.result.axis != axis or len(self._taught) != len(statuses):
            return []
        return [n for n, (a, b) in enumerate(zip(statuses, self._taught, strict=True)) if a is not b]

    def add(self, result: TeachResult) -> None:
        """A round is done."""
        self.result, self._taught = result, self._asked
        self.refresh(False)

    def suggestions(self, axis: int) -> list[dict[str, Any]]:
        """What the round suggests to draw next, of the slices along an axis."""
        return [dict(one) for one in self.result.suggestions] if self.result and self.result.axis == axis else []

    def refresh(self, busy: bool) -> None:
        """Show what there is."""
        known = self.result
        self.quality.setText("" if known is None else texts.outcome(known.round, known.left_out, known.estimate))
        tip = "" if known is None else texts.found_from_others(known.left_out)
        self.quality.setToolTip(tip)
        self.quality.setAccessibleDescription(tip)
        self.quality.setVisible(known is not None and not busy)
        self._buttons.setVisible(known is not None and not busy)

    def toggle(self) -> str:
        """Show the round before instead of the last one, and back; says which it is now."""
        after = self._logic.toggle_before_after()
        return _("After: the last round.") if after else _("Before: the round before the last one.")

    def _toggle(self) -> None:
        self._message.tell(self.toggle())

    def _undo(self) -> None:
        self.result = self._logic.undo_round()
        self._message.tell(_("The last round was taken back."))
        self._on_change()

    def _accept(self) -> None:
        try:
            kept = self._logic.rounds[-1]
            text = self._logic.accept(kept)
        except PromptSegError as problem:
            self._message.warn(problem)
            return
        said = _("{name} is kept in My structures, and ticked in Segment. In this CT it stays as it was taught.")
        self._message.tell(" ".join((said.format(name=name_of(kept.structure.name)), *texts.elsewhere(kept.card))))
        self._on_kept(text)
