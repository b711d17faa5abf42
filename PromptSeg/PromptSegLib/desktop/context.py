"""What all requests of the panel share: the worker, settings, the jobs under way, and the volume that was sent."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..errors import InputError
from ..mrml import nodes
from ..worker.payload import put_volume_in_steps
from ..worker.service import Service
from .catalogue import Library
from .job import Job

Work = Generator[None, None, Any]


class Context:
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

    def drop_all(self) -> None:
        """End all jobs: what they were for is gone."""
        for job in list(self._jobs):
            job.drop()

    def folder(self, job: Job) -> str:
        """The name of a job's folder, which is removed when the job ends."""
        name = self.service.jobs.new_id()
        job.finally_do(lambda: self.service.jobs.remove(name))
        return name

    def send(self, volume: Any) -> Work:
        """Give the volume to the worker, if it has not got it yet as it is now; returns what requests say of it."""
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

    def note_device(self, event: Mapping[str, Any]) -> None:
        """Keep what an event of the worker says of the device that computes."""
        if event.get("computer"):
            self.device = str(event["computer"])

    def close(self) -> None:
        """End the worker."""
        self._sent = None
        self.service.close()


def are_there(*nodes_or_none: Any) -> bool:
    """Whether nodes are still in a scene; one that is to be made is None."""
    return all(node is None or node.GetScene() is not None for node in nodes_or_none)


def check_there(volume: Any, segmentation: Any) -> None:
    """Raises :class:`InputError` where a node was removed from the scene meanwhile."""
    if not are_there(volume, segmentation):
        raise InputError("The volume or the segmentation was removed meanwhile", "choose another one and try again")
