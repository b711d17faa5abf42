"""What the panel and scripts ask for: segment, teach, suggest, review. Knows nodes and the worker, and no widget.

Every long call gives a :class:`~PromptSegLib.desktop.job.Job` at once and answers through callbacks in the window's
thread; a script calls ``wait()`` on it. Nodes change once, when a result is whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..mrml import nodes, slices
from ..mrml.undo_snapshot import UndoSnapshot
from ..worker.payload import put_box, put_grid
from .asking import Work
from .job import Job
from .matching import matching, unique
from .results import SegmentResult, TeachResult
from .teaching import SUGGESTED, Teaching


class Logic(Teaching):
    """One for the application; see :class:`~PromptSegLib.desktop.asking.Asking` for what it is made of."""

    _before_segmenting: UndoSnapshot | None = None

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
        job = self.new_job("segment", listeners, volume, segmentation)
        began = time.monotonic()
        identity = self._identity(job)

        known: list[TeachResult] = []

        def prepare() -> Work:
            asked = self.library.asked(structures)
            if segmentation is not None:
                nodes.check_belongs(segmentation, volume)
            wanted, taught = self._apart(asked, volume)
            known.extend(taught)
            sent = yield from self._sending(volume)
            maps = ["uncertainty"] if uncertainty else None
            return {
                "volume": sent, "prompts": wanted, "maps": maps, "review": review, "axis": axis,
                "memory": self.remembers, "suggest": SUGGESTED,
            }  # fmt: skip

        def ask(fields: dict[str, Any]) -> None:
            if fields["prompts"]:
                job.do_request("segment", fields, receive, identity=identity, on_event=self._hear)
            else:  # all of them were taught here
                receive({"masks": []})

        def receive(result: Mapping[str, Any]) -> None:
            def put() -> Work:
                self._check_there(volume, segmentation)
                node = segmentation or nodes.new_segmentation(volume)
                before = UndoSnapshot(node, made=segmentation is None)
                found, ids = yield from self._show(result["masks"], node, volume, self.save_state, before=before)
                seen = [one.structure for one in found]
                for one in known:
                    ids.append(self._show_taught(one, node, volume, before))
                    seen.append(one.structure)
                    yield
                self._before_segmenting = before
                if result["masks"]:
                    yield from self._keep_doubt(result["masks"], volume)
                return SegmentResult(
                    node, tuple(ids), tuple(seen), time.monotonic() - began, result.get("review"),
                    tuple(one.structure.name for one in known), tuple(result.get("notes", ())),
                    result.get("expected", {}), result.get("corrections", {}),
                )  # fmt: skip

            job.do_steps(put(), job.finish)

        job.do_steps(prepare(), ask)
        return job

    def _apart(self, asked: Sequence[Any], volume: Any) -> tuple[list[Any], list[TeachResult]]:
        """What to ask the worker for, and which of the user's own prompts were taught in this very volume: without what
        was drawn here, the network would find less than what is there already."""
        taught = self.taught_here(volume)
        own = [prompt for one in self.library.sets() if not one.shipped for prompt in one.prompts]
        mine = [{"file": str(one.path), "name": one.structure.name} for one in own]
        here = [one for one in asked if one in mine and one["name"].casefold() in taught]
        return [one for one in asked if one not in here], [taught[one["name"].casefold()][1] for one in here]

    def _show_taught(self, one: TeachResult, node: Any, volume: Any, before: UndoSnapshot) -> str:
        """The segment of what was taught, left alone where it is there."""
        contents = node.GetSegmentation()
        segment = contents.GetSegment(one.result_segment_id)
        if segment is not None and nodes.tag(segment, nodes.RESULT_TAG) == one.structure.name:
            return one.result_segment_id
        if one.found is None:
            raise InputError(f"The result of teaching {one.structure.name} was removed", "teach it again")
        return nodes.show([one.found], node, volume, taught=True, before=before)[0]

    def undo_segmenting(self) -> list[str]:
        """Have the segmentation as it was before the last result of :meth:`segment`; once. Gives the names of results
        that were edited since, which stay.

        Raises :class:`InputError`, and changes nothing, where there is none or all of them were edited.
        """
        before = self._before_segmenting
        if before is None:
            raise InputError("There is no segmentation to take back", "segment something first")
        edited = before.bring_back()
        self.uncertainty(0.0)
        self._before_segmenting, self._doubt, self._doubt_of = None, {}, None
        return edited

    def review(
        self,
        volume: Any,
        segmentation: Any,
        segment_ids: Sequence[str] | None = None,
        reference: Any = None,
        *,
        axis: int = 0,
        **listeners: Any,
    ) -> Job:
        """How good segments are and where to look, beside a reference segmentation where one is given.

        Segments are matched with those of the reference by name, else by terminology code. Gives the dict of
        :meth:`PromptSegLib.review.findings.Review.to_json` with "segment_id" in each structure.
        """
        job = self.new_job("review", listeners, volume, segmentation, reference)
        identity = self._identity(job)
        ids: dict[str, str] = {}

        def prepare() -> Work:
            grid = nodes.grid_of(volume)
            contents = segmentation.GetSegmentation()
            jobs, structures = self.service.jobs, []
            # What is drawn in a few slices only is no segmentation of the structure.
            finished = (one for one in contents.GetSegmentIDs() if not nodes.tag(contents.GetSegment(one), slices.TAG))
            for number, segment_id in enumerate(segment_ids or finished):
                mask = nodes.segment_mask(segmentation, segment_id, volume)
                yield
                name = unique(contents.GetSegment(segment_id).GetName(), ids)
                ids[name] = segment_id
                one: dict[str, Any] = {"name": name, "mask": put_box(jobs, f"{identity}/mask-{number}.npy", mask)}
                yield
                other = None if reference is None else matching(contents.GetSegment(segment_id), reference)
                if other:
                    mask = nodes.segment_mask(reference, other, volume, resample=True)
                    yield
                    one["reference"] = put_box(jobs, f"{identity}/reference-{number}.npy", mask)
                    yield
                structures.append(
                    one | self._known(contents.GetSegment(segment_id), f"{identity}/uncertain-{number}.npy")
                )
                yield
            if not structures:
                raise InputError(f"{segmentation.GetName()} has no segment", "segment something first")
            return {"grid": put_grid(grid), "structures": structures, "axis": axis}

        def receive(result: Mapping[str, Any]) -> None:
            for one in result["structures"]:
                one["segment_id"] = ids[one["structure"]]
            job.finish(dict(result))

        job.do_steps(prepare(), lambda fields: job.do_request("review", fields, receive, identity=identity))
        return job

    def _known(self, segment: Any, file: str) -> dict[str, Any]:
        """What the last results tell of a segment: uncertainty, which slices were drawn, the Dice to expect."""
        name = nodes.tag(segment, nodes.RESULT_TAG)
        found: dict[str, Any] = {}
        if name in self._doubt:
            box = self._doubt[name]
            found["uncertainty"] = {"file": self.service.jobs.write_array(file, box.values), "low": list(box.low)}
        for one in (course.rounds[-1] for course in self._courses.values() if course.rounds):
            if one.structure.name == name and one.estimate:
                found["estimate"] = one.estimate["dice"]
        return found

    def self_check(self, **listeners: Any) -> Job:
        """What is installed and what will compute: gives the worker's *info*."""
        job = self.new_job("check", listeners)

        def receive(result: Mapping[str, Any]) -> None:
            self._note_device(result)
            job.finish(dict(result))

        job.do_request("info", {}, receive, identity=self._identity(job))
        return job

    def close_scene(self) -> None:
        """Everything belongs to a scene that is gone: jobs end, rounds are forgotten."""
        for job in list(self._jobs):
            job.drop()
        self._forget_rounds()
        self._doubt, self._doubt_of = {}, None
        self._before_segmenting = None

    def close(self) -> None:
        """End the worker too."""
        self.close_scene()
        self._sent = None
        self.service.close()
