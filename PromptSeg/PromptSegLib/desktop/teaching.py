"""Teaching a structure from drawn slices, in rounds that can be compared, taken back and kept."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import AnnotationError, PromptSegError
from ..mrml import nodes, slices
from ..prompts.structure import Structure
from ..prompts.terminology import find
from ..worker.payload import get_mask, put_annotations, put_structure
from .asking import Asking, Work
from .job import Job
from .results import TeachResult

TAUGHT = ", taught"
"""Follows the structure's name in the segment that shows what was learned, beside the segment that was drawn."""
SUGGESTED = 3


class Teaching(Asking):
    """``rounds`` are the rounds of the structure at hand, the last one last."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.rounds: list[TeachResult] = []
        self._taught: tuple[Any, Any, str] | None = None
        self._before = False

    def rounds_of(self, volume: Any, segmentation: Any, segment_id: str) -> list[TeachResult]:
        """The rounds, if they are of this segment of this volume; otherwise none."""
        return self.rounds if self._taught == (volume, segmentation, segment_id) else []

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
        start_from: TeachResult | str | None = None,
        background_id: str = "",
        on_preview: Callable[[str], None] | None = None,
        steps: int | None = None,
        seed: int = 0,
        **listeners: Any,
    ) -> Job:
        """Learn a structure from the slices that are drawn in a segment along ``axis`` (0 = K, 1 = J, 2 = I).

        What is learned is shown in a segment of its own beside the drawn one; ``on_preview(segment_id)`` is called
        when its first mask is there. ``start_from`` is a former round. Gives a :class:`TeachResult`.
        """
        return self._teach(
            "teach", volume, segmentation, segment_id, structure, axis=axis, start_from=start_from,
            background_id=background_id, on_preview=on_preview, steps=steps, seed=seed, **listeners,
        )  # fmt: skip

    def suggest(
        self, volume: Any, segmentation: Any, segment_id: str, prompt: str, *, axis: int = 0, **listeners: Any
    ) -> Job:
        """Which slices to draw next, from what was drawn and what was learned from it (a file, or a round's)."""
        job = self.new_job("suggest", listeners)
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
        """Keep what a round learned in the user's library; gives the text by which it is asked for from then on."""
        card = {key: value for key, value in (("author", author), ("note", note)) if value}
        return self.library.save(taught.prompt, taught.structure, **card)

    def undo_round(self) -> TeachResult | None:
        """Go back to the round before; gives it, None if there is none any more."""
        if self.rounds:
            gone = self.rounds.pop()
            self._show_round(self.rounds[-1] if self.rounds else None, gone)
        self._before = False
        return self.rounds[-1] if self.rounds else None

    def toggle_before_after(self) -> bool:
        """Show the round before instead of the last one, or the other way round; True when the last one is shown."""
        if not self.rounds:
            return True
        self._before = not self._before
        former = self.rounds[-2] if len(self.rounds) > 1 else None
        self._show_round(former if self._before else self.rounds[-1], self.rounds[-1])
        return not self._before

    def _teach(
        self,
        kind: str,
        volume: Any,
        segmentation: Any,
        segment_id: str,
        structure: Structure | str,
        *,
        axis: int,
        start_from: TeachResult | str | None = None,
        background_id: str = "",
        on_preview: Callable[[str], None] | None = None,
        steps: int | None = None,
        seed: int = 0,
        **listeners: Any,
    ) -> Job:
        job = self.new_job(kind, listeners)
        began = time.monotonic()
        identity = self._identity(job)
        known = structure if isinstance(structure, Structure) else find(structure) or Structure(structure)
        shown = {"id": ""}

        def prepare() -> Work:
            nodes.check_belongs(segmentation, volume)
            drawn = slices.annotations_of(segmentation, segment_id, volume, axis, background_id)
            if not drawn.drawn():
                raise AnnotationError("No slice shows the structure yet", "draw it in at least one slice")
            yield
            if self._taught != (volume, segmentation, segment_id):
                self._begin_rounds(volume, segmentation, segment_id)
            sent = yield from self._sending(volume)
            former = start_from.prompt if isinstance(start_from, TeachResult) else start_from
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
            }

        def hear(event: Mapping[str, Any]) -> None:
            self._hear(event)
            if event["event"] == "preview" and self._is_there(volume, segmentation):
                # Small: one mask, cut to its box.
                found = get_mask(self.service.jobs, event)
                shown["id"] = nodes.show([found], segmentation, volume, self.save_state, suffix=TAUGHT)[0]
                if on_preview is not None:
                    on_preview(shown["id"])

        def receive(result: Mapping[str, Any]) -> None:
            def put() -> Work:
                self._check_there(volume, segmentation)
                save = None if shown["id"] else self.save_state
                found, ids = yield from self._show(result["masks"], segmentation, volume, save, TAUGHT)
                yield from self._keep_doubt(result["masks"], volume)
                if kind == "preview":
                    return ids[0]
                number = len(self.rounds) + 1
                made = TeachResult(
                    number, known, str(self._keep_prompt(result["prompt"], number)), ids[0], result["card"],
                    result["leave_one_slice_out_dice"], result["left_out"], result.get("estimate"), result["notes"],
                    result.get("suggestions") or (), result["history"], result.get("review"),
                    time.monotonic() - began, result["stopped"], found[0],
                )  # fmt: skip
                self.rounds.append(made)
                self._before = False
                return made

            job.do_steps(put(), job.finish)

        def go_back() -> None:
            if shown["id"] and (job.stopped or job.problem is not None) and self._is_there(volume, segmentation):
                self._show_round(self.rounds[-1] if self.rounds else None, None, known)

        job.finally_do(go_back)
        job.do_steps(
            prepare(), lambda fields: job.do_request("tune", fields, receive, identity=identity, on_event=hear)
        )
        return job

    def _begin_rounds(self, volume: Any, segmentation: Any, segment_id: str) -> None:
        for one in self.rounds:
            self._forget(one)
        self.rounds, self._taught, self._before = [], (volume, segmentation, segment_id), False

    def _keep_prompt(self, file: str, number: int) -> Path:
        """What a round learned, where the end of its job does not remove it."""
        kept = self.service.jobs.path(f"round-{self.service.jobs.new_id()}-{number}/prompt.promptset")
        self.service.jobs.path(file).replace(kept)
        return kept

    def _forget(self, taught: TeachResult) -> None:
        with contextlib.suppress(PromptSegError, OSError):
            self.service.jobs.remove(Path(taught.prompt).parent.name)

    def _show_round(
        self, one: TeachResult | None, gone: TeachResult | None, structure: Structure | None = None
    ) -> None:
        """Show a round's mask in the segment of results, or take that segment away."""
        if self._taught is None or not self._is_there(*self._taught[:2]):
            return
        volume, segmentation, _ = self._taught
        if one is not None and one.found is not None:
            nodes.show([one.found], segmentation, volume, self.save_state, suffix=TAUGHT)
            return
        name = (gone.structure if gone is not None else structure or Structure("")).name
        contents = segmentation.GetSegmentation()
        for segment_id in contents.GetSegmentIDs():
            if nodes.tag(contents.GetSegment(segment_id), nodes.RESULT_TAG) == name:
                if self.save_state is not None:
                    self.save_state()
                contents.RemoveSegment(segment_id)
