"""What is seen before there is a volume: how to load one, and one button that shows what PromptSeg does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..logic import Logic
from ..sample_data import fetch
from .message import Message
from .running import Running
from .widgets import button, text_label


class StartPage:
    """``on_sample(node)`` is called when the sample was loaded."""

    def __init__(self, logic: Logic, on_sample: Callable[[Any], None]) -> None:
        self._logic, self._on_sample = logic, on_sample
        self.widget = qt.QWidget()
        self.message = Message()
        self.running = Running(self.message, lambda: "", lambda running: self.refresh())
        tip = _("Downloads 3D Slicer's own sample from github.com, if it was not before; nothing is sent")
        self.sample = button(_("Try it on a sample CT"), tip, self._pressed)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 12, 0, 0)
        layout.addWidget(text_label(_("Load a CT: drag its file or its DICOM folder into the window.")))
        layout.addSpacing(12)
        layout.addWidget(self.sample)
        layout.addWidget(
            text_label(_("Downloads an abdominal CT of 3D Slicer's own samples (github.com), and segments its liver."))
        )
        layout.addWidget(self.running.widget)
        layout.addWidget(self.message.widget)
        layout.addStretch(1)
        self.refresh()

    def refresh(self) -> None:
        """The button as the state of things is."""
        if hasattr(self, "sample"):
            self.sample.setText(_("Cancel") if self.running.running else _("Try it on a sample CT"))

    def show(self, on: bool) -> None:
        """Show it; where a volume was loaded meanwhile, the sample is not needed."""
        self.widget.setVisible(on)
        if not on and self.running.running:
            self.running.cancel()

    def _pressed(self) -> None:
        if self.running.running:
            self.running.cancel()
            return
        self.running.begin(
            lambda **listeners: fetch(self._logic, **listeners), self._on_sample, stopped=_("Stopped: nothing is kept.")
        )
