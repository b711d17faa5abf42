"""Segmenting a volume node with prompts of the library, and taking the last result back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..mrml import nodes
from ..mrml.undo_snapshot import UndoSnapshot
from .context import Context, Work, check_there
from .job import Job
from .result_nodes import show_masks
from .results import SegmentResult, TeachResult
from .round_history import RoundHistory
from .teaching import SUGGESTED
from .uncertainty_maps import UncertaintyMaps


class Segmenting:
    """What was taught in the volume itself (``rounds``) is shown as it is there, and not asked for again."""

    def __init__(self, context: Context, maps: UncertaintyMaps, rounds: RoundHistory) -> None:
        self._context, self._maps, self._rounds = context, maps, rounds
        self._before: UndoSnapshot | None = None

    def segment(
        self,
        volume: Any,
        structures: Sequence[str | tuple[str, str]],
        segmentation: Any = None,
        *,
        review: bool = True,
        uncertainty: bool = True,
        axis: int = 0,
        **listeners: Any,
    ) -> Job:
        """Segment a volume node. ``structures`` are names ("liver"), (file, name) pairs, or texts ("abdomen-ct:liver",
        "FILE.promptset").

        ``segmentation`` is a node to put the result into, None for a new one. Gives a :class:`SegmentResult`.
        """
        context = self._context
        job = context.new_job("segment", listeners, volume, segmentation)
        began = time.monotonic()
        folder = context.folder(job)

        known: list[TeachResult] = []

        def prepare() -> Work:
            asked = context.library.asked(structures)
            if segmentation is not None:
                nodes.check_belongs(segmentation, volume)
            wanted, taught = self._apart(asked, volume)
            known.extend(taught)
            sent = yield from context.send(volume)
            maps = ["uncertainty"] if uncertainty else None
            return {
                "volume": sent, "prompts": wanted, "maps": maps, "review": review, "axis": axis,
                "memory": context.remembers, "suggest": SUGGESTED,
            }  # fmt: skip

        def ask(fields: dict[str, Any]) -> None:
            if fields["prompts"]:
                job.do_request("segment", fields, receive, identity=folder, on_event=context.note_device)
            else:  # all of them were taught here
                receive({"masks": []})

        def receive(result: Mapping[str, Any]) -> None:
            def put() -> Work:
                check_there(volume, segmentation)
                node = segmentation or nodes.new_segmentation(volume)
                before, jobs = UndoSnapshot(node, made=segmentation is None), context.service.jobs
                found, ids = yield from show_masks(
                    jobs, result["masks"], node, volume, context.save_state, before=before
                )
                seen = [one.structure for one in found]
                for one in known:
                    ids.append(_show_taught(one, node, volume, before))
                    seen.append(one.structure)
                    yield
                self._before = before
                if result["masks"]:
                    yield from self._maps.keep(jobs, result["masks"], volume)
                return SegmentResult(
                    node, tuple(ids), tuple(seen), time.monotonic() - began, result.get("review"),
                    tuple(one.structure.name for one in known), tuple(result.get("notes", ())),
                    result.get("expected", {}), result.get("corrections", {}),
                )  # fmt: skip

            job.do_steps(put(), job.finish)

        job.do_steps(prepare(), ask)
        return job

    def undo(self) -> list[str]:
        """Have the segmentation as it was before the last result of :meth:`segment`; once. Gives the names of results
        that were edited since, which stay.

        Raises :class:`InputError`, and changes nothing, where there is none or all of them were edited.
        """
        if self._before is None:
            raise InputError("There is no segmentation to take back", "segment something first")
        edited = self._before.bring_back()
        self._maps.show(0.0)
        self._maps.clear()
        self._before = None
        return edited

    def forget(self) -> None:
        """The scene is gone: there is nothing to take back."""
        self._before = None

    def _apart(self, asked: Sequence[Any], volume: Any) -> tuple[list[Any], list[TeachResult]]:
        """What to ask the worker for, and which of the user's own prompts were taught in this very volume: without what
        was drawn here, the network would find less than what is there already."""
        taught = self._rounds.taught_in(volume)
        mine = self._context.library.own()
        here = [one for one in asked if one in mine and one["name"].casefold() in taught]
        return [one for one in asked if one not in here], [taught[one["name"].casefold()] for one in here]


def _show_taught(one: TeachResult, node: Any, volume: Any, before: UndoSnapshot) -> str:
    """The segment of what was taught, left alone where it is there."""
    contents = node.GetSegmentation()
    segment = contents.GetSegment(one.result_segment_id)
    if segment is not None and nodes.tag(segment, nodes.RESULT_TAG) == one.structure.name:
        return one.result_segment_id
    if one.found is None:
        raise InputError(f"The result of teaching {one.structure.name} was removed", "teach it again")
    return nodes.show([one.found], node, volume, taught=True, before=before)[0]
