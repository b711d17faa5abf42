"""One line where the eye is: what went wrong and what to do, or what is worth knowing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import qt

from ...errors import PromptSegError
from ..sentences import spoken, told
from .widgets import make_room, text_label

BUTTON = 60
"""Pixels of a button beside its text, and from what is said, at most."""


class Message:
    """A ``widget`` that is hidden while there is nothing to say, with a button where there is something to press."""

    def __init__(self) -> None:
        self.widget = qt.QWidget()
        self._label = text_label()
        self._label.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        self._button = qt.QPushButton()
        self._button.connect("clicked()", self._pressed)
        self._remedy: Callable[[], None] | None = None
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.addWidget(self._label, 1)
        layout.addWidget(self._button, 0, qt.Qt.AlignTop)  # in sight with the first words
        self.clear()

    @property
    def text(self) -> str:
        """What is said; empty if nothing is."""
        return str(self._label.text) if self.widget.isVisibleTo(self.widget.parentWidget()) else ""

    def clear(self) -> None:
        """Nothing to say."""
        self._label.setText("")
        make_room(self._label, 0)
        self.widget.setVisible(False)

    def tell(self, text: str, button: str = "", action: Callable[[], None] | None = None) -> None:
        """Say something that is worth knowing, with a button for what may follow."""
        self._say(text, button, action)

    def warn(self, problem: PromptSegError | str, button: str = "", remedy: Callable[[], None] | None = None) -> None:
        """Say what is wrong, with its remedy."""
        self._say(f"\u26a0 {told(problem)}", button, remedy)

    def add(self, warnings: Iterable[str]) -> None:
        """Say more than is said already: what was noticed on the way."""
        more = [f"\u26a0 {spoken(one)}" for one in warnings]
        if more:
            said = self.text
            button = str(self._button.text) if said else ""
            self._say("\n".join([*([said] if said else ()), *more]), button, self._remedy if said else None)

    def _say(self, text: str, button: str, remedy: Callable[[], None] | None = None) -> None:
        self._label.setText(text)
        self._label.setAccessibleName(text)
        self._remedy = remedy
        self._button.setText(button)
        self._button.setVisible(bool(button and remedy))
        self.widget.setVisible(bool(text))
        owner = self.widget.parentWidget()
        letters = int(self._button.fontMetrics().boundingRect(button).width())
        beside = letters + BUTTON if button and remedy else 0
        make_room(self._label, int(owner.width) - beside if owner is not None and text else 0)

    def _pressed(self) -> None:
        if self._remedy is not None:
            self._remedy()
