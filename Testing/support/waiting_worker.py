"""A worker for tests: each call waits for its answer.

>>> with Worker() as worker:  # doctest: +SKIP
...     worker.set_volume(read_volume("ct.nii.gz"))
...     for found in worker.segment(["abdomen-ct:liver,spleen"]):
...         print(found.structure.name, found.millilitres)
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PromptSegLib.errors import Stopped
from PromptSegLib.progress import ShouldStop, never
from PromptSegLib.worker.client import Action, Conversation, WorkerError
from PromptSegLib.worker.jobs import Jobs
from PromptSegLib.worker.payload import Found, get_mask, put_annotations, put_structure, put_volume
from PromptSegLib.worker.process import Process, command, environment

if TYPE_CHECKING:
    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.annotations import SliceAnnotations
    from PromptSegLib.volumes.volume import Volume

OnEvent = Callable[[Mapping[str, Any]], None]
_TURN = 0.05


class Worker:
    """A worker process that is started when it is first needed, and again when it is gone; close it, or use ``with``.

    ``python`` is the interpreter to start (default: this one). One call at a time.
    """

    def __init__(
        self,
        backbone: str | Path = "punet-ct",
        device: str = "auto",
        threads: int | None = None,
        *,
        python: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.jobs = Jobs.create()
        self.conversation = Conversation()
        self.process: Process | None = None
        self._words = command(self.jobs.root, str(backbone), device, threads, python)
        self._env = environment(env)
        self._volume: dict[str, Any] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and remove the job folder."""
        if self.process is not None:
            self.process.close()
            self.process = None
        self.jobs.close()

    def set_volume(self, volume: Volume, **options: Any) -> None:
        """Take up a volume. Raises as all calls here: :class:`WorkerError`, and ``Stopped``."""
        former, identity = self._volume, f"volume-{self.jobs.new_id()}"
        self._volume = put_volume(self.jobs, identity, volume)
        try:
            self.call("set_volume", volume=self._volume, **options)
        except BaseException:
            self.jobs.remove(identity)
            self._volume = former
            raise
        if former is not None:
            self.jobs.remove(former["file"].partition("/")[0])

    def segment(
        self,
        prompts: Sequence[str],
        drawn: Mapping[str, SliceAnnotations] | None = None,
        **options: Any,
    ) -> list[Found]:
        """Each structure's mask in the volume at hand; ``prompts`` and ``drawn`` as for :class:`Session`, with the
        prompts as texts."""
        identity = self.jobs.new_id()
        given = {
            name: put_annotations(self.jobs, identity, one, f"drawn-{number}")
            for number, (name, one) in enumerate((drawn or {}).items())
        }
        try:
            result = self.call("segment", identity, volume=self._volume, prompts=list(prompts), drawn=given, **options)
            return [get_mask(self.jobs, one) for one in result["masks"]]
        finally:
            self.jobs.remove(identity)

    def tune(self, annotations: SliceAnnotations, structure: Structure, output: Path | str, **options: Any) -> dict:
        """Learn a structure into the file ``output``; gives the result, with ``masks`` as :class:`Found` if
        ``segment=True`` was given. ``options`` are the request's fields, ``on_event`` and ``should_stop``."""
        from PromptSegLib.atomic import replacing

        identity = self.jobs.new_id()
        try:
            result = self.call(
                "tune",
                identity,
                volume=self._volume,
                annotations=put_annotations(self.jobs, identity, annotations),
                structure=put_structure(structure),
                **options,
            )
            with replacing(output) as handle:
                handle.write(self.jobs.path(result["prompt"]).read_bytes())
            result["masks"] = [get_mask(self.jobs, one) for one in result.get("masks", ())]
            return result
        finally:
            self.jobs.remove(identity)

    def call(
        self,
        do: str,
        identity: str = "",
        *,
        on_event: OnEvent | None = None,
        should_stop: ShouldStop = never,
        **fields: Any,
    ) -> dict[str, Any]:
        """Any request of :mod:`.protocol`, waiting for its result.

        Raises :class:`WorkerError`, or :class:`~PromptSegLib.errors.Stopped` when ``should_stop`` said so.
        """
        identity = identity or self.jobs.new_id()
        self.conversation.request(identity, do, fields)
        try:
            while True:
                if should_stop():
                    self.conversation.cancel(identity, time.monotonic())
                for event in self._turn():
                    if event["id"] != identity:
                        continue
                    if event["event"] == "error":
                        raise WorkerError(event["problem"], event["remedy"], event["kind"])
                    if event["event"] == "done":
                        if event["status"] == "stopped":
                            raise Stopped
                        return dict(event["result"])
                    if on_event is not None:
                        on_event(event)
        except BaseException:
            self.conversation.cancel(identity, time.monotonic())  # where it is still open: Ctrl-C, or on_event failed
            raise

    def _turn(self) -> list[dict[str, Any]]:
        """Move bytes for a moment."""
        found, action = self.conversation.tick(time.monotonic())
        if action is Action.START:
            found += self._start()
        elif self.process is not None and action is Action.TERMINATE:
            self.process.terminate()
        elif self.process is not None and action is Action.KILL:
            self.process.kill()
        if self.process is None:
            return found
        self.process.write(self.conversation.outgoing())
        try:
            kind, what = self.process.said.get(timeout=_TURN)
        except queue.Empty:
            return found
        if isinstance(what, int):
            self.process.close()
            self.process = None
            found += self.conversation.ended(what)
        elif kind == "out":
            found += self.conversation.feed(what)
        else:
            self.conversation.feed_log(what.decode("utf-8", "replace"))
        return found

    def _start(self) -> list[dict[str, Any]]:
        try:
            self.process = Process(self._words, self._env)
        except OSError as error:
            return self.conversation.not_started(f"{self._words[0]}: {error.strerror}")
        self.conversation.started(time.monotonic())
        return []
