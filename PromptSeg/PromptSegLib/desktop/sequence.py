"""Segment all frames of a volume sequence: one frame after the other, as one job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..mrml import nodes, sequences
from ..progress import Progress
from .job import Job
from .logic import Logic
from .results import SegmentResult


def segment_frames(logic: Logic, volume: Any, structures: Sequence[str], **listeners: Any) -> Job:
    """Segment every frame of the sequence that ``volume`` shows. Gives a Job with a :class:`SegmentResult`, whose node
    follows the sequence's browser as the volume does. Nothing is left in the scene if it is stopped.

    Raises :class:`InputError` for a volume that is no part of a sequence.
    """
    frames = sequences.frames_of(volume)
    if frames is None:
        raise InputError(f"{volume.GetName()} is no frame of a sequence", "segment it as a volume")
    job = logic.new_job("segment", listeners, volume)
    _Run(logic, frames, structures, job).next()
    return job


class _Run:
    """The frames that are done, and the one at hand."""

    def __init__(self, logic: Logic, frames: sequences.Frames, structures: Sequence[str], job: Job) -> None:
        self.logic, self.frames, self.structures, self.job = logic, frames, structures, job
        self.began, self.number, self.count = time.monotonic(), 0, frames.count
        self.made: list[Any] = []
        self.hand: Any = None
        job.finally_do(self._clear)

    def next(self) -> None:
        """Begin with the next frame."""
        self.hand = self.frames.volume(self.number)
        self.job.go_on(
            self.logic.segment(
                self.hand, self.structures, review=False, uncertainty=False, on_progress=self._tell,
                on_done=self._done, on_error=self.job.fail, on_stopped=self.job.stop,
            )
        )  # fmt: skip

    def _tell(self, progress: Progress) -> None:
        message = f"{self.number + 1}/{self.count}: {progress.message}"
        self.job.tell(Progress(progress.stage, (self.number + progress.fraction) / self.count, message))

    def _done(self, result: SegmentResult) -> None:
        scene = self.frames.proxy.GetScene()
        if scene is None or self.frames.count != self.count:
            self.job.fail(InputError("The sequence was changed or removed meanwhile", "choose it and try again"))
            return
        self._as_taught(result)
        self.made.append(result.node)
        result.node.SetDisplayVisibility(False)  # of another frame than the one in view, perhaps
        self._drop_hand()
        self.number += 1
        if self.number < self.count:
            self.next()
            return
        sequence = sequences.new_sequence(self.frames)
        for number, node in enumerate(self.made):
            sequences.put(sequence, self.frames, number, node)
        node = sequences.show(sequence, self.frames)
        self.job.finish(
            SegmentResult(node, tuple(node.GetSegmentation().GetSegmentIDs()), result.structures,
                          time.monotonic() - self.began)
        )  # fmt: skip

    def _as_taught(self, result: SegmentResult) -> None:
        """In the frame that a structure of the user's own was taught in, it is as it was taught: drawn slices too."""
        taught = self.logic.history.taught_in(self.frames.proxy, self.number)
        own = {one["name"].casefold() for one in self.logic.library.own()}
        found = [taught[name].found for name in (one.name.casefold() for one in result.structures)
                 if name in taught and name in own]  # fmt: skip
        nodes.show([one for one in found if one is not None], result.node, self.hand)

    def _drop_hand(self) -> None:
        nodes.remove(self.hand)
        self.hand = None

    def _clear(self) -> None:
        """However it ends: frames and their segmentations live in the sequence, or nowhere."""
        self._drop_hand()
        for one in self.made:
            nodes.remove(one)
        self.made = []
