"""The self-check: what is there, what computes, where structures are kept; a text to copy into a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr
from slicer.i18n import tr as _

from ...errors import PromptSegError
from .. import install
from ..core import choose_library_folder, choose_to_remember
from ..logic import Logic
from ..sentences import told
from .message import Message
from .widgets import as_tip, button


class CheckPage:
    """Opened from the line at the panel's foot, in the place of the tabs; ``on_install()`` asks and installs,
    ``on_change()`` is called when what is known has changed."""

    def __init__(self, logic: Logic, on_install: Callable[[], bool], on_change: Callable[[], None]) -> None:
        self._logic, self._on_install, self._on_change = logic, on_install, on_change
        self._info: dict[str, Any] = {}
        self._problem: PromptSegError | None = None
        self.widget = qt.QWidget()
        self.message = Message()
        self.text = qt.QPlainTextEdit()
        self.text.setTabChangesFocus(True)
        self.text.setReadOnly(True)
        self.text.setMinimumHeight(170)
        self.text.setAccessibleName(_("Report"))
        self.install = button(_("Install what is missing"), _("Asks once, then downloads"), self._install)
        self.copy = button(
            _("Copy report"), _("In English, for a message to the developers; nothing is sent"), self._copy
        )
        self.folder = button(_("Choose folder ..."), _("Choose where structures of your own are kept"), self._choose)
        self.remember = qt.QCheckBox(_("Remember the patients that structures are taught in"))
        self.remember.setToolTip(
            as_tip(
                _(
                    "Beside each of My structures, its patients' CT around it and the drawn slices are kept on this "
                    "computer, and give the next patient a start. An export never holds them."
                )
            )
        )
        self.remember.setChecked(logic.context.remembers)
        self.remember.connect("toggled(bool)", self._remember)
        row = qt.QHBoxLayout()
        for one in (self.install, self.copy, self.folder):
            row.addWidget(one)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.text, 1)
        layout.addLayout(row)
        layout.addWidget(self.message.widget)
        layout.addWidget(self.remember)

    def begin(self) -> None:
        """Show what is known, and ask the worker for the rest."""
        self._show()
        if not install.wanted() and not self._logic.service.busy:
            self._logic.self_check(on_done=self._answered, on_error=self._failed)

    def _answered(self, info: dict[str, Any]) -> None:
        self._info, self._problem = info, None
        self._show()
        self._on_change()

    def _failed(self, problem: PromptSegError) -> None:
        self._info, self._problem = {}, problem
        self._show()

    def _show(self) -> None:
        self.text.setPlainText(self._told())
        self.install.setVisible(bool(install.wanted()))

    def _told(self, english: bool = False) -> str:
        """In the language of the window, or in English for those who get the report."""
        _ = str if english else tr
        lines = [install.report(self._info, english)]
        if self._problem is not None:
            lines.append(str(self._problem) if english else told(self._problem))
        absent = install.wanted()
        if absent:
            lines.append(_("Needed: {names}.").format(names=", ".join(absent)))
        lines.append(_("Structures of your own: {path}").format(path=self._logic.library.folder))
        lines += [one if english else told(one) for one in self._logic.library.problems]
        lines += self._logic.service.log[-5:]
        return "\n".join(lines)

    def _install(self) -> None:
        self._info, self._problem = {}, None
        self._on_install()
        self.begin()
        self._on_change()

    def _choose(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            self.widget, _("Structures of your own"), str(self._logic.library.folder)
        )
        if folder:
            choose_library_folder(str(folder))
            self._logic.library.folder = Path(str(folder))
            self._show()
            self._on_change()

    def _remember(self, on: bool) -> None:
        choose_to_remember(bool(on))
        self._logic.context.remembers = bool(on)
        self._on_change()

    def _copy(self) -> None:
        slicer.app.clipboard().setText(self._told(english=True))
