"""What is under way: a bar with stage and remaining time, below the button that started it and now stops it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ...errors import PromptSegError
from ...progress import Progress
from ..job import Job
from ..sentences import spoken
from .message import Message
from .texts import time_left
from .widgets import text_label


class Running:
    """Watches one job at a time. ``begin`` takes what to start, and says how it went in ``message``.

    ``device`` gives the text of what computes; ``on_change(running)`` is called when a job begins and ends.
    """

    def __init__(self, message: Message, device: Callable[[], str], on_change: Callable[[bool], None]) -> None:
        self.job: Job | None = None
        self._message, self._device, self._on_change = message, device, on_change
        self._began = 0.0
        self.widget = qt.QWidget()
        self._bar = qt.QProgressBar()
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(12)
        self._label = text_label()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._bar)
        layout.addWidget(self._label)
        self.widget.setVisible(False)

    @property
    def running(self) -> bool:
        """Whether a job is under way."""
        return self.job is not None

    def begin(
        self,
        start: Callable[..., Job],
        on_done: Callable[[Any], None],
        on_progress: Callable[[Progress], None] | None = None,
        stopped: str = "",
        on_error: Callable[[PromptSegError], bool] | None = None,
    ) -> None:
        """Start a job with listeners; ``stopped`` is what is said when it was cancelled. ``on_error`` may say a problem
        itself, and then gives True."""
        self._message.clear()
        self._began = time.monotonic()
        self._bar.setValue(0)
        self._label.setText(_("Starting"))

        def progress(report: Progress) -> None:
            self._show(report)
            if on_progress is not None:
                on_progress(report)

        def done(result: Any) -> None:
            warned = self.job.warned if self.job is not None else []
            self._end()
            on_done(result)
            self._message.add(warned)

        def failed(problem: PromptSegError) -> None:
            self._end()
            if on_error is None or not on_error(problem):
                self._message.warn(problem)

        def was_stopped() -> None:
            self._end()
            self._message.tell(stopped or _("Stopped; nothing was changed."))

        try:
            self.job = start(on_progress=progress, on_done=done, on_error=failed, on_stopped=was_stopped)
        except PromptSegError as problem:
            self._message.warn(problem)
            return
        self.widget.setVisible(True)
        self._on_change(True)

    def cancel(self) -> None:
        """Stop the job; seen at once."""
        if self.job is not None:
            self._label.setText(_("Stopping"))
            self.job.cancel()

    def keep_best(self) -> None:
        """Let teaching end with the best so far."""
        if self.job is not None:
            self._label.setText(_("Ending with the best so far"))
            self.job.keep_best()

    def _show(self, report: Progress) -> None:
        self._bar.setValue(round(1000 * report.fraction))
        left = time_left(report.fraction, time.monotonic() - self._began)
        device = self._device().partition(",")[0]  # in one line with the rest; the foot's tip has all of it
        parts = [spoken(report.message), f"{report.fraction:.0%}", left, device]
        self._label.setText(", ".join(part for part in parts if part))

    def _end(self) -> None:
        self.job = None
        self.widget.setVisible(False)
        self._on_change(False)
