"""Teaching a structure from drawn slices, in rounds that can be compared, taken back and kept.

The last round of every segment is kept in the scene too (:mod:`PromptSegLib.mrml.taught`), so that work goes on where
it was left when the scene is loaded again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..anatomy.structure import Structure
from ..anatomy.terminology import find
from ..errors import AnnotationError, PromptSegError
from ..mrml import nodes, slices, taught
from ..prompts.card import Card
from ..prompts.library import memory_beside
from ..prompts.promptfile import read_header
from ..tune.outcome import Outcome
from ..worker.payload import Found, bounding_box, get_mask, put_annotations, put_structure
from .asking import Asking, Work
from .job import Job
from .results import TeachResult

SUGGESTED = 3


Where = tuple[Any, Any, str]
"""Volume, segmentation and the id of the segment that is drawn in."""


@dataclass
class Course:
    """The rounds of one segment, the last one last; ``before`` says that the one before it is shown."""

    rounds: list[TeachResult] = field(default_factory=list)
    before: bool = False


def _asked(prompt: str | tuple[str, str] | None) -> str | dict[str, str] | None:
    """A prompt as requests name it."""
    return prompt if prompt is None or isinstance(prompt, str) else {"file": prompt[0], "name": prompt[1]}


class Teaching(Asking):
    """Each segment that is drawn in has rounds of its own; one of them is at hand."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._courses: dict[Where, Course] = {}
        self._taught: Where | None = None

    @property
    def rounds(self) -> list[TeachResult]:
        """The rounds of the segment at hand, the last one last."""
        return [] if self._taught is None else self._course(self._taught).rounds

    def rounds_of(self, volume: Any, segmentation: Any, segment_id: str) -> list[TeachResult]:
        """The rounds of this segment, which is at hand from now on; the last one may have come with the scene."""
        if volume is None or segmentation is None or not segment_id:
            return []
        self._taught = (volume, segmentation, segment_id)
        return self.rounds

    def taught_here(self, volume: Any) -> dict[str, tuple[Where, TeachResult]]:
        """By name in lower case, the last round of each structure that was taught in a volume, and where."""
        known = [where for where in self._courses if where[0] is volume]
        known += [(volume, *one) for one in taught.segments_of(volume) if (volume, *one) not in self._courses]
        there = [where for where in known if self._is_there(*where[:2])]
        courses = ((where, self._course(where).rounds) for where in there)
        return {rounds[-1].structure.name.casefold(): (where, rounds[-1]) for where, rounds in courses if rounds}

    def preview(self, *where: Any, axis: int = 0, background_id: str = "", **listeners: Any) -> Job:
        """A first mask of what was drawn, within seconds: as :meth:`teach`, without a gradient step."""
        return self._teach("preview", *where, axis=axis, background_id=background_id, steps=0, **listeners)

    def teach(
        self,
        volume: Any,
        segmentation: Any,
        segment_id: str,
        structure: Structure | str,
        *,
        axis: int = 0,
        start_from: TeachResult | str | tuple[str, str] | None = None,
        examples: str | tuple[str, str] | None = None,
        background_id: str = "",
        on_preview: Callable[[str], None] | None = None,
        steps: int | None = None,
        seed: int = 0,
        **listeners: Any,
    ) -> Job:
        """Learn a structure from the slices that are drawn in a segment along ``axis`` (0 = K, 1 = J, 2 = I).

        What is learned is shown in a segment of its own beside the drawn one; ``on_preview(segment_id)`` is called
        when its first mask is there. ``start_from`` is a former round, or a prompt of a file (file, name); the drawn
        slices of earlier patients that lie beside the prompt ``examples`` are learned from as well. Gives a
        :class:`TeachResult`.
        """
        return self._teach(
            "teach", volume, segmentation, segment_id, structure, axis=axis, start_from=start_from, examples=examples,
            background_id=background_id, on_preview=on_preview, steps=steps, seed=seed, **listeners,
        )  # fmt: skip

    def suggest(
        self, volume: Any, segmentation: Any, segment_id: str, prompt: str, *, axis: int = 0, **listeners: Any
    ) -> Job:
        """Which slices to draw next, from what was drawn and what was learned from it (a file, or a round's)."""
        job = self.new_job("suggest", listeners, volume, segmentation)
        identity = self._identity(job)

        def prepare() -> Work:
            drawn = slices.annotations_of(segmentation, segment_id, volume, axis)
            yield
            sent = yield from self._sending(volume)
            given = put_annotations(self.service.jobs, identity, drawn)
            return {"volume": sent, "annotations": given, "prompt": str(prompt), "most": SUGGESTED}

        def receive(result: Mapping[str, Any]) -> None:
            job.finish(list(result["suggestions"]))

        job.do_steps(prepare(), lambda fields: job.do_request("suggest", fields, receive, identity=identity))
        return job

    def accept(self, taught: TeachResult, *, author: str = "", note: str = "") -> str:
        """Keep what a round learned in the user's library, and beside it what the next patient starts from; gives the
        text by which it is asked for from then on."""
        card = {key: value for key, value in (("author", author), ("note", note)) if value}
        memory = memory_beside(taught.prompt)
        kept = memory if self.remembers and memory.is_file() else None
        return self.library.save(taught.prompt, taught.structure, memory=kept, **card)

    def undo_round(self) -> TeachResult | None:
        """Go back to the round before; gives it, None if there is none any more."""
        rounds = self.rounds
        if self._taught is not None and rounds:
            gone = rounds.pop()
            self._show_round(self._taught, rounds[-1] if rounds else None, gone.structure)
            self._course(self._taught).before = False
            self._remember(self._taught)
        return rounds[-1] if rounds else None

    def toggle_before_after(self) -> bool:
        """Show the round before instead of the last one, or the other way round; True when the last one is shown."""
        rounds = self.rounds
        if self._taught is None or not rounds:
            return True
        course = self._course(self._taught)
        course.before = not course.before
        former = rounds[-2] if len(rounds) > 1 else None
        self._show_round(self._taught, former if course.before else rounds[-1], rounds[-1].structure)
        return not course.before

    def _teach(
        self,
        kind: str,
        volume: Any,
        segmentation: Any,
        segment_id: str,
        structure: Structure | str,
        *,
        axis: int,
        start_from: TeachResult | str | tuple[str, str] | None = None,
        examples: str | tuple[str, str] | None = None,
        background_id: str = "",
        on_preview: Callable[[str], None] | None = None,
        steps: int | None = None,
        seed: int = 0,
        **listeners: Any,
    ) -> Job:
        job = self.new_job(kind, listeners, volume, segmentation)
        began = time.monotonic()
        identity = self._identity(job)
        known = structure if isinstance(structure, Structure) else find(structure) or Structure(structure)
        shown = {"id": ""}
        where = (volume, segmentation, segment_id)

        def prepare() -> Work:
            nodes.check_belongs(segmentation, volume)
            drawn = slices.annotations_of(segmentation, segment_id, volume, axis, background_id)
            if not drawn.drawn():
                raise AnnotationError("No slice shows the structure yet", "draw it in at least one slice")
            yield
            self._taught = where
            sent = yield from self._sending(volume)
            former = start_from.prompt if isinstance(start_from, TeachResult) else _asked(start_from)
            return {
                "volume": sent,
                "annotations": put_annotations(self.service.jobs, identity, drawn),
                "structure": put_structure(known),
                "start_from": former,
                "steps": steps,
                "seed": seed,
                "preview": kind == "teach",
                "segment": True,
                "maps": ["uncertainty"],
                "review": kind == "teach",
                "suggest": SUGGESTED,
                "examples": _asked(examples) if self.remembers else None,
                "remember": kind == "teach" and self.remembers,
            }

        def hear(event: Mapping[str, Any]) -> None:
            self._hear(event)
            if event["event"] == "preview" and self._is_there(volume, segmentation):
                # Small: one mask, cut to its box.
                found = get_mask(self.service.jobs, event)
                shown["id"] = nodes.show([found], segmentation, volume, self.save_state, taught=True)[0]
                if on_preview is not None:
                    on_preview(shown["id"])

        def receive(result: Mapping[str, Any]) -> None:
            def put() -> Work:
                self._check_there(volume, segmentation)
                save = None if shown["id"] else self.save_state
                found, ids = yield from self._show(result["masks"], segmentation, volume, save, taught=True)
                yield from self._keep_doubt(result["masks"], volume)
                if kind == "preview":
                    return ids[0]
                course = self._course(where)
                number = course.rounds[-1].round + 1 if course.rounds else 1
                outcome = replace(Outcome.from_json(result), seconds=time.monotonic() - began, axis=axis)
                prompt = str(self._keep_prompt(result["prompt"], number))
                made = TeachResult(number, known, prompt, ids[0], Card.from_json(result["card"]), outcome, found[0])
                course.rounds.append(made)
                course.before = False
                self._remember(where)
                return made

            job.do_steps(put(), job.finish)

        def go_back() -> None:
            if shown["id"] and (job.stopped or job.problem is not None) and self._is_there(volume, segmentation):
                rounds = self._course(where).rounds
                self._show_round(where, rounds[-1] if rounds else None, known)

        job.finally_do(go_back)
        job.do_steps(
            prepare(), lambda fields: job.do_request("tune", fields, receive, identity=identity, on_event=hear)
        )
        return job

    def _course(self, where: Where) -> Course:
        """What is known of a segment; where nothing is, what the scene remembers."""
        if where not in self._courses:
            last = self._recalled(where)
            self._courses[where] = Course([] if last is None else [last])
        return self._courses[where]

    def _remember(self, where: Where) -> None:
        """Keep the last round in the scene; none there if there is none any more."""
        rounds = self._courses[where].rounds
        if not rounds:
            taught.forget(*where)
            return
        last = rounds[-1]
        with contextlib.suppress(OSError):  # what was learned is gone, and so there is nothing to keep
            prompt = Path(last.prompt).read_bytes()
            taught.keep(*where, taught.Kept(last.round, last.result_segment_id, last.outcome, prompt))

    def _recalled(self, where: Where) -> TeachResult | None:
        """The round that came with the scene, if there is one."""
        volume, segmentation, _ = where
        with contextlib.suppress(PromptSegError, OSError):
            kept = taught.kept(*where)
            if kept is None:
                return None
            file = self.service.jobs.path(f"round-{self.service.jobs.new_id()}/prompt.promptset")
            file.write_bytes(kept.prompt)
            entry = read_header(file).entries[0]
            result_id, found = kept.result_segment_id, None
            if segmentation.GetSegmentation().GetSegment(result_id) is not None:
                mask = nodes.segment_mask(segmentation, result_id, volume)
                box = bounding_box(mask)
                k, j, i = (part.start for part in box)
                found = Found(entry.structure, mask[box], (k, j, i), 0.0)
            return TeachResult(kept.round, entry.structure, str(file), result_id, entry.card, kept.outcome, found)
        return None

    def _keep_prompt(self, file: str, number: int) -> Path:
        """What a round learned, where the end of its job does not remove it."""
        kept = self.service.jobs.path(f"round-{self.service.jobs.new_id()}-{number}/prompt.promptset")
        came = self.service.jobs.path(file)
        with contextlib.suppress(FileNotFoundError):  # where nothing is kept for the next patient
            memory_beside(came).replace(memory_beside(kept))
        came.replace(kept)
        return kept

    def _forget_rounds(self) -> None:
        """The scene is gone, and the rounds with it."""
        for course in self._courses.values():
            for one in course.rounds:
                with contextlib.suppress(PromptSegError, OSError):
                    self.service.jobs.remove(Path(one.prompt).parent.name)
        self._courses, self._taught = {}, None

    def _show_round(self, where: Where, one: TeachResult | None, structure: Structure) -> None:
        """Show a round's mask in the segment of results, or take that segment away."""
        volume, segmentation, _ = where
        if not self._is_there(volume, segmentation):
            return
        if one is not None and one.found is not None:
            nodes.show([one.found], segmentation, volume, self.save_state, taught=True)
            return
        contents = segmentation.GetSegmentation()
        for segment_id in contents.GetSegmentIDs():
            segment = contents.GetSegment(segment_id)
            if nodes.tag(segment, nodes.RESULT_TAG) == structure.name and nodes.is_taught(segment):
                if self.save_state is not None:
                    self.save_state()
                contents.RemoveSegment(segment_id)
