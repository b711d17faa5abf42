"""What the panel and scripts call: segment, teach, suggest, review, export. Knows nodes and the worker, and no widget.

Every long call gives a :class:`~PromptSegLib.desktop.job.Job` at once and answers through callbacks in the window's
thread; a script calls ``wait()`` on it. Nodes change once, when a result is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..worker.service import Service
from .catalogue import Library
from .context import Context
from .exporting import Exporting
from .job import Job
from .labelled_teaching import LabelledTeaching
from .results import TeachResult
from .reviewing import Reviewing
from .round_history import RoundHistory
from .segmenting import Segmenting
from .teaching import Teaching
from .uncertainty_maps import UncertaintyMaps


class Logic:
    """The front of the parts, for the whole application.

    ``context`` has what they share (see :class:`Context`); ``maps`` are the uncertainty maps of the last result,
    ``history`` the rounds of every taught segment, and ``labelled`` teaches from whole segmented volumes. The other
    public names are calls of these and of :class:`Segmenting`, :class:`Teaching`, :class:`Reviewing` and
    :class:`Exporting`, where they are described.
    """

    def __init__(self, service: Service, library: Library, pump: Callable[[], None] | None = None) -> None:
        self.service, self.library = service, library
        self.context = Context(service, library, pump)
        self.maps, self.history = UncertaintyMaps(), RoundHistory(self.context)
        parts = (self.context, self.maps, self.history)
        self._segmenting, teaching = Segmenting(*parts), Teaching(*parts)
        self.segment, self.undo_segmenting = self._segmenting.segment, self._segmenting.undo
        self.preview, self.teach, self.suggest = teaching.preview, teaching.teach, teaching.suggest
        self.review, self.export = Reviewing(*parts).review, Exporting(self.context).export
        self.labelled = LabelledTeaching(self.context)
        self._teaching, self.undo_round = teaching, self.history.undo
        self.rounds_of, self.toggle_before_after = self.history.take, self.history.toggle
        self.new_job, self.drop_orphans = self.context.new_job, self.context.drop_orphans
        self.uncertainty = self.maps.show

    @property
    def rounds(self) -> list[TeachResult]:
        """The rounds of the segment at hand, the last one last."""
        return self.history.at_hand

    @property
    def has_uncertainty(self) -> bool:
        """Whether the last result came with a map of how uncertain it is."""
        return bool(self.maps)

    def accept(self, result: TeachResult, *, author: str = "", note: str = "") -> str:
        """As :meth:`.round_history.RoundHistory.accept`; of a round that came with a scene, what the next patient
        starts from is made anew in the background."""
        text = self.history.accept(result, author=author, note=note)
        entry, where = self.library.entry(text), self.history.where(result)
        if self.context.remembers and where is not None and entry is not None and entry.memory is None:
            self._teaching.remember(where, result, entry.path)
        return text

    def self_check(self, **listeners: Any) -> Job:
        """What is installed and what will compute: gives the worker's *info*."""
        job = self.context.new_job("check", listeners)

        def receive(result: Mapping[str, Any]) -> None:
            self.context.note_device(result)
            job.finish(dict(result))

        job.do_request("info", {}, receive, identity=self.context.folder(job))
        return job

    def close_scene(self) -> None:
        """Everything belongs to a scene that is gone: jobs end, rounds are forgotten."""
        self.context.drop_all()
        self.history.forget()
        self.maps.clear()
        self._segmenting.forget()

    def close(self) -> None:
        """End the worker too."""
        self.close_scene()
        self.context.close()
