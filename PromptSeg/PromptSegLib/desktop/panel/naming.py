"""The line with the name of the structure that is drawn, and the button that begins another one."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ...anatomy.terminology import structures
from ..structure_names import name_from, name_of
from . import texts
from .panel_room import LEAST
from .widgets import beside, button, text_label


class Naming:
    """Names of known structures are typed and shown in the language of the window, and told in English.

    ``on_new(name)`` is called for a new structure, ``on_rename(name)`` for another name of the one at hand, and
    ``on_ask()`` where a name has to be typed first."""

    def __init__(
        self, on_new: Callable[[str], None], on_rename: Callable[[str], None], on_ask: Callable[[], None]
    ) -> None:
        self._on_new, self._on_rename, self._on_ask = on_new, on_rename, on_ask
        self._current, self._asked = "", False
        self.line = qt.QLineEdit()
        self.line.setPlaceholderText(_("Name, for example left kidney"))
        self.line.setAccessibleName(_("Name of the structure"))
        self.line.setToolTip(_("Enter begins to draw it, or renames the structure that is drawn"))
        self._completer = qt.QCompleter([name_of(one.name) for one in structures()])  # the line does not own it
        self._completer.setCaseSensitivity(qt.Qt.CaseInsensitive)
        self._completer.setFilterMode(qt.Qt.MatchContains)
        self.line.setCompleter(self._completer)
        # Losing the focus enters nothing: it goes to the button before the button is pressed.
        self.line.connect("returnPressed()", self._entered)
        self.line.connect("textChanged(QString)", lambda text: self._say_code())
        self.begin = button(_("Draw"), _("Make a segment of that name and draw in it"), self._pressed)
        self.code = text_label()
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self._label = qt.QLabel(_("Structure:"))
        layout.addWidget(beside(self._label, self.line, self.begin))
        layout.addWidget(self.code)
        self._say_code()

    def fit(self, room: int) -> None:
        """Do without the label where there is hardly any room."""
        self._label.setVisible(room != LEAST)

    def clear(self) -> None:
        """No structure, and nothing typed."""
        self._current, self._asked = "", False
        self.line.setText("")

    def show(self, current: str) -> None:
        """The structure at hand (empty: none): whatever was typed and not entered is forgotten."""
        self._current, self._asked = current, False
        self.line.setText(name_of(current) if current else str(self.line.text))
        self._say_code()

    def refresh(self, current: str, enabled: bool) -> None:
        """The structure at hand may have been renamed elsewhere; what is being typed stays."""
        self._current = current
        self.begin.setEnabled(enabled)
        self.begin.setText(_("New") if current else _("Draw"))
        if current and not (self._asked or self.line.hasFocus() or self.line.modified):
            self.line.setText(name_of(current))

    @property
    def _typed(self) -> str:
        return name_from(str(self.line.text).strip())

    def _pressed(self) -> None:
        if self._typed and self._typed != self._current:
            self._on_new(self._typed)
            return
        self._asked = True
        self.line.setText("")
        self.line.setFocus()
        self._on_ask()

    def _entered(self) -> None:
        if not self._typed or not self.begin.enabled:
            return
        self.line.clearFocus()  # or the keys of the slices would be typed
        if self._current and not self._asked:
            if self._typed != self._current:
                self._on_rename(self._typed)
                self.show(self._typed)
        else:
            self._pressed()

    def _say_code(self) -> None:
        said = texts.code_of(self._typed)
        self.code.setText(said)
        self.code.setVisible(bool(said) and not self._current)
        self.line.setToolTip(said or _("Enter begins to draw it, or renames the structure that is drawn"))
