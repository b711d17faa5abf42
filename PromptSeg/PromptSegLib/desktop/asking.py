"""What every long call needs: jobs, the volume at the worker, results in nodes, and how uncertain they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from ..errors import InputError, PromptSegError
from ..mrml import nodes, overlay
from ..mrml.undo_snapshot import UndoSnapshot
from ..worker.payload import Found, get_mask, put_volume_in_steps
from ..worker.service import Service
from .catalogue import Library
from .job import Job

Work = Generator[None, None, Any]


class Asking:
    """``save_state`` is called before a segmentation changes (the Segment Editor's, so that undo goes back);
    ``device`` says what computes, once it is known; ``remembers``, whether the library keeps pictures of patients
    beside taught structures, and uses them. ``pump`` lets a window live while a script waits.
    """

    def __init__(self, service: Service, library: Library, pump: Callable[[], None] | None = None) -> None:
        self.service, self.library = service, library
        self.save_state: Callable[[], object] | None = None
        self.device = ""
        self.remembers = True
        self._pump = pump
        self._jobs: dict[Job, tuple[Any, ...]] = {}
        self._sent: tuple[tuple, dict[str, Any]] | None = None
        self._doubt: dict[str, overlay.Box] = {}
        self._doubt_of: Any = None

    @property
    def has_uncertainty(self) -> bool:
        """Whether the last result came with a map of how uncertain it is."""
        return bool(self._doubt) and self._doubt_of is not None and self._doubt_of.GetScene() is not None

    def uncertainty(self, opacity: float, name: str = "") -> None:
        """Lay the map of one structure (or of all: the greatest) over the slices; 0 takes it away."""
        if opacity <= 0 or not self.has_uncertainty:
            overlay.hide(self._doubt_of)
            return
        maps = [self._doubt[name]] if name in self._doubt else list(self._doubt.values())
        overlay.show(self._doubt_of, maps, opacity, key=name)

    def new_job(self, kind: str, listeners: Mapping[str, Any], *of: Any) -> Job:
        """A job that is forgotten when it ends; ``of`` are the nodes that it is about, None for one that is to be
        made."""
        job = Job(kind, self.service, pump=self._pump, **listeners)
        self._jobs[job] = tuple(node for node in of if node is not None)
        job.finally_do(lambda: self._jobs.__delitem__(job))
        return job

    def drop_orphans(self) -> None:
        """End the jobs whose volume or segmentation was removed from the scene."""
        for job, of in list(self._jobs.items()):
            gone = [node for node in of if node.GetScene() is None]
            if gone and job.running:
                job.abandon(InputError(f"{gone[0].GetName()} was removed", "choose another one and try again"))

    def _identity(self, job: Job) -> str:
        identity = self.service.jobs.new_id()
        job.finally_do(lambda: self.service.jobs.remove(identity))
        return identity

    def _sending(self, volume: Any) -> Work:
        """Give the volume to the worker, if it has not got it yet as it is now."""
        taken = nodes.volume_of(volume)
        key = (volume.GetID(), volume.GetImageData().GetMTime(), taken.grid, id(self.service.jobs))
        if self._sent is not None and self._sent[0] == key:
            return self._sent[1]
        if self._sent is not None and self._sent[0][3] == key[3]:
            self.service.jobs.remove(self._sent[1]["file"].partition("/")[0])
        self._sent = None
        yield
        _ = taken.range_hu  # refuses what cannot be segmented before it is written
        yield
        given = yield from put_volume_in_steps(self.service.jobs, f"volume-{self.service.jobs.new_id()}", taken)
        self._sent = (key, given)
        return given

    def _show(
        self,
        masks: Sequence[Mapping[str, Any]],
        node: Any,
        volume: Any,
        save_state: Callable[[], object] | None,
        taught: bool = False,
        before: UndoSnapshot | None = None,
    ) -> Generator[None, None, tuple[list[Found], list[str]]]:
        """Read the worker's masks one by one, then show them one by one, for Slicer draws each of them at once; if that
        is stopped, or fails, none is shown. There is one state for undo."""
        if not node.GetSegmentation().GetNumberOfSegments():
            nodes.attach(node, volume)
        found, images = [], []
        for one in masks:
            found.append(get_mask(self.service.jobs, one))
            yield
            images.append(nodes.prepare(found[-1], node, volume))
            yield
        self._check_there(volume, node)
        nodes.check_belongs(node, volume)
        if save_state is not None:
            save_state()
            yield
        before, ids, whole = before or UndoSnapshot(node, made=False), [], False
        try:
            for result, image in zip(found, images, strict=True):
                self._check_there(volume, node)
                ids += nodes.show([result], node, volume, images=[image], taught=taught, before=before)
                yield
            whole = True
        finally:
            if not whole and node.GetScene() is not None:
                with contextlib.suppress(PromptSegError):
                    before.bring_back()
        return found, ids

    def _keep_doubt(self, masks: Sequence[Mapping[str, Any]], volume: Any) -> Work:
        """Keep the maps of how uncertain the result is, cut to their boxes, until the next result."""
        overlay.hide(self._doubt_of)
        self._doubt, self._doubt_of = {}, volume
        for one in masks:
            if "uncertainty" in one:
                k, j, i = one["uncertainty"]["low"]
                box = self.service.jobs.read_array(one["uncertainty"]["file"])
                self._doubt[str(one["structure"]["name"])] = overlay.Box(box, (k, j, i))
                yield

    def _hear(self, event: Mapping[str, Any]) -> None:
        self._note_device(event)

    def _note_device(self, found: Mapping[str, Any]) -> None:
        if found.get("computer"):
            self.device = str(found["computer"])

    @staticmethod
    def _is_there(volume: Any, segmentation: Any) -> bool:
        """Whether the nodes are still in a scene; a segmentation that is to be made is None."""
        return all(node is None or node.GetScene() is not None for node in (volume, segmentation))

    def _check_there(self, volume: Any, segmentation: Any) -> None:
        if not self._is_there(volume, segmentation):
            raise InputError("The volume or the segmentation was removed meanwhile", "choose another one and try again")
