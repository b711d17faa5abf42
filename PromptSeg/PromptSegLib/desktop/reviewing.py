"""Reviewing the segments of a node: how good they are, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..mrml import nodes, slices
from ..worker.payload import put_box, put_grid
from .context import Context, Work
from .job import Job
from .matching import matching, unique
from .round_history import RoundHistory
from .uncertainty_maps import UncertaintyMaps


class Reviewing:
    """A review takes in how uncertain the last result is (``maps``) and what its ``rounds`` let expect."""

    def __init__(self, context: Context, maps: UncertaintyMaps, rounds: RoundHistory) -> None:
        self._context, self._maps, self._rounds = context, maps, rounds

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
        :meth:`PromptSegLib.review.findings.Review.to_json` with "segment_id" in each structure, or :class:`InputError`
        where there is no finished segment.
        """
        context = self._context
        job = context.new_job("review", listeners, volume, segmentation, reference)
        folder = context.folder(job)
        ids: dict[str, str] = {}

        def prepare() -> Work:
            grid = nodes.grid_of(volume)
            contents = segmentation.GetSegmentation()
            jobs, structures = context.service.jobs, []
            # What is drawn in a few slices only is no segmentation of the structure.
            finished = (one for one in contents.GetSegmentIDs() if not nodes.tag(contents.GetSegment(one), slices.TAG))
            for number, segment_id in enumerate(segment_ids or finished):
                mask = nodes.segment_mask(segmentation, segment_id, volume)
                yield
                name = unique(contents.GetSegment(segment_id).GetName(), ids)
                ids[name] = segment_id
                one: dict[str, Any] = {"name": name, "mask": put_box(jobs, f"{folder}/mask-{number}.npy", mask)}
                yield
                other = None if reference is None else matching(contents.GetSegment(segment_id), reference)
                if other:
                    mask = nodes.segment_mask(reference, other, volume, resample=True)
                    yield
                    one["reference"] = put_box(jobs, f"{folder}/reference-{number}.npy", mask)
                    yield
                known = self._known(contents.GetSegment(segment_id), f"{folder}/uncertain-{number}.npy")
                structures.append(one | known)
                yield
            if not structures:
                raise InputError(f"{segmentation.GetName()} has no segment", "segment something first")
            return {"grid": put_grid(grid), "structures": structures, "axis": axis}

        def receive(result: Mapping[str, Any]) -> None:
            for one in result["structures"]:
                one["segment_id"] = ids[one["structure"]]
            job.finish(dict(result))

        job.do_steps(prepare(), lambda fields: job.do_request("review", fields, receive, identity=folder))
        return job

    def _known(self, segment: Any, file: str) -> dict[str, Any]:
        """What the last results tell of a segment: uncertainty, and the Dice to expect."""
        name = nodes.tag(segment, nodes.RESULT_TAG)
        found: dict[str, Any] = {}
        box = self._maps.get(name)
        if box is not None:
            written = self._context.service.jobs.write_array(file, box.values)
            found["uncertainty"] = {"file": written, "low": list(box.low)}
        for one in self._rounds.last:
            if one.structure.name == name and one.estimate:
                found["estimate"] = one.estimate["dice"]
        return found
