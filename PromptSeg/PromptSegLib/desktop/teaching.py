"""Teaching a structure from the slices that are drawn in a segment, and which slices to draw next."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..anatomy.structure import Structure
from ..anatomy.terminology import find
from ..atomic import replacing
from ..errors import AnnotationError
from ..mrml import nodes, sequences, slices
from ..prompts.card import Card
from ..prompts.library import memory_beside
from ..tune.outcome import Outcome
from ..worker.payload import get_mask, put_annotations, put_structure
from .context import Context, Work, are_there, check_there
from .job import Job
from .result_nodes import show_masks
from .results import TeachResult
from .round_history import RoundHistory, Where
from .uncertainty_maps import UncertaintyMaps

SUGGESTED = 3


class Teaching:
    """Each call is a round, which is appended to its segment's ``rounds`` when it is done."""

    def __init__(self, context: Context, maps: UncertaintyMaps, rounds: RoundHistory) -> None:
        self._context, self._maps, self._rounds = context, maps, rounds

    def preview(self, *where: Any, axis: int = 0, background_id: str = "", **listeners: Any) -> Job:
        """A first mask of what was drawn, within seconds: as :meth:`teach`, without a gradient step; no round."""
        return self.teach(*where, axis=axis, background_id=background_id, steps=0, as_round=False, **listeners)

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
        as_round: bool = True,
        **listeners: Any,
    ) -> Job:
        """Learn a structure from the slices that are drawn in a segment along ``axis`` (0 = K, 1 = J, 2 = I).

        What is learned is shown in a segment of its own beside the drawn one; ``on_preview(segment_id)`` is called
        when its first mask is there. ``start_from`` is a former round, or a prompt of a file (file, name); the drawn
        slices of earlier patients that lie beside the prompt ``examples`` are learned from as well. Gives a
        :class:`TeachResult`, which is appended to the segment's rounds; where it is not to be one (``as_round``), the
        id of the segment that shows the mask.
        """
        context = self._context
        job = context.new_job("teach" if as_round else "preview", listeners, volume, segmentation)
        began = time.monotonic()
        folder = context.folder(job)
        known = structure if isinstance(structure, Structure) else find(structure) or Structure(structure)
        shown = {"id": ""}
        where = (volume, segmentation, segment_id)

        def prepare() -> Work:
            nodes.check_belongs(segmentation, volume)
            sequences.check_frame(segmentation, segment_id, volume)
            sequences.keep_frame(segmentation, segment_id, volume)
            drawn = slices.annotations_of(segmentation, segment_id, volume, axis, background_id)
            if not drawn.drawn():
                raise AnnotationError("No slice shows the structure yet", "draw it in at least one slice")
            yield
            self._rounds.take(*where)
            sent = yield from context.send(volume)
            return {
                "volume": sent,
                "annotations": put_annotations(context.service.jobs, folder, drawn),
                "structure": put_structure(known),
                "start_from": _asked(start_from),
                "steps": steps,
                "seed": seed,
                "preview": as_round,
                "segment": True,
                "maps": ["uncertainty"],
                "review": as_round,
                "suggest": SUGGESTED,
                "examples": _asked(examples) if context.remembers else None,
                "remember": as_round and context.remembers,
            }

        def hear(event: Mapping[str, Any]) -> None:
            context.note_device(event)
            if event["event"] == "preview" and are_there(volume, segmentation):
                # Small: one mask, cut to its box.
                found = get_mask(context.service.jobs, event)
                shown["id"] = nodes.show([found], segmentation, volume, context.save_state, taught=True)[0]
                if on_preview is not None:
                    on_preview(shown["id"])

        def receive(result: Mapping[str, Any]) -> None:
            def put() -> Work:
                check_there(volume, segmentation)
                save, jobs = None if shown["id"] else context.save_state, context.service.jobs
                found, ids = yield from show_masks(jobs, result["masks"], segmentation, volume, save, taught=True)
                yield from self._maps.keep(jobs, result["masks"], volume)
                if not as_round:
                    return ids[0]
                number = self._rounds.next_number(where)
                outcome = replace(Outcome.from_json(result), seconds=time.monotonic() - began, axis=axis)
                prompt = str(self._rounds.keep_prompt(result["prompt"], number))
                made = TeachResult(number, known, prompt, ids[0], Card.from_json(result["card"]), outcome, found[0])
                self._rounds.add(where, made)
                return made

            job.do_steps(put(), job.finish)

        def go_back() -> None:
            if shown["id"] and (job.stopped or job.problem is not None) and are_there(volume, segmentation):
                self._rounds.show_last(where, known)

        job.finally_do(go_back)
        job.do_steps(prepare(), lambda fields: job.do_request("tune", fields, receive, identity=folder, on_event=hear))
        return job

    def suggest(
        self, volume: Any, segmentation: Any, segment_id: str, prompt: str, *, axis: int = 0, **listeners: Any
    ) -> Job:
        """Which slices to draw next, from what was drawn and what was learned from it (a file, or a round's)."""
        context = self._context
        job = context.new_job("suggest", listeners, volume, segmentation)
        folder = context.folder(job)

        def prepare() -> Work:
            drawn = slices.annotations_of(segmentation, segment_id, volume, axis)
            yield
            sent = yield from context.send(volume)
            given = put_annotations(context.service.jobs, folder, drawn)
            return {"volume": sent, "annotations": given, "prompt": {"file": str(prompt)}, "limit": SUGGESTED}

        def receive(result: Mapping[str, Any]) -> None:
            job.finish(list(result["suggestions"]))

        job.do_steps(prepare(), lambda fields: job.do_request("suggest", fields, receive, identity=folder))
        return job

    def remember(self, where: Where, result: TeachResult, prompt: Path, **listeners: Any) -> Job:
        """Make anew what the next patient starts from, of a round that came with a scene without it, and keep it beside
        ``prompt``, where that is still there."""
        volume, segmentation, segment_id = where
        context = self._context
        job = context.new_job("remember", listeners, volume, segmentation)
        folder = context.folder(job)

        def prepare() -> Work:
            drawn = slices.annotations_of(segmentation, segment_id, volume, result.outcome.axis)
            yield
            sent = yield from context.send(volume)
            given = put_annotations(context.service.jobs, folder, drawn)
            return {
                "volume": sent, "annotations": given, "structure": put_structure(result.structure),
                "start_from": result.prompt, "steps": 0, "segment": True, "remember": True,
            }  # fmt: skip

        def receive(found: Mapping[str, Any]) -> None:
            def put() -> Work:
                yield
                if "memory" in found and prompt.is_file() and context.remembers:
                    with replacing(memory_beside(prompt)) as file:
                        file.write(context.service.jobs.path(found["memory"]).read_bytes())

            job.do_steps(put(), job.finish)

        job.do_steps(prepare(), lambda fields: job.do_request("tune", fields, receive, identity=folder))
        return job


def _asked(prompt: TeachResult | str | tuple[str, str] | None) -> str | dict[str, str] | None:
    """A prompt as requests name it: a round's by its file, one of the library by file and name."""
    if isinstance(prompt, TeachResult):
        return {"file": prompt.prompt}
    return prompt if prompt is None or isinstance(prompt, str) else {"file": prompt[0], "name": prompt[1]}
