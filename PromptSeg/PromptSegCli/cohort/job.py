"""One volume: read, segment, write, and tell what came out. The same function runs in a process of our own and on a
cluster's worker; what it knows of the volume before stays, so that the backbone is loaded once."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PromptSegLib import __version__
from PromptSegLib.errors import BackboneError, DeviceError, OutputError, PromptSegError, Stopped, as_problem, quoted
from PromptSegLib.progress import OnProgress, Progress, ShouldStop, check, ignore, never, part

from .details import read_details, write_details
from .manifest import DONE, FAILED, Record, StructureResult
from .task import Task

if TYPE_CHECKING:
    import numpy as np

    from PromptSegLib.prompts.promptset import Prompt
    from PromptSegLib.register.teachers import Teacher
    from PromptSegLib.review.metrics import ScoreRow
    from PromptSegLib.segment.result import Segmentation
    from PromptSegLib.session import Session
    from PromptSegLib.volumes.volume import Volume

_TOKEN_EVERY = 1.0
"""Seconds between two looks whether the run still goes on: the folder may be on a slow disk."""

_NAMES = "give the reference's labels the names of the structures, as a .seg.nrrd has them, or the values of the result"


class WorkerMismatchError(PromptSegError):
    """A worker that cannot be used for this run at all: another version, another backbone, no way to the folder."""


class JobEngine:
    """A backbone, loaded once, and the prompts of the last task; one task at a time."""

    def __init__(self, threads: int | None = None) -> None:
        self.busy = threading.Lock()
        self._threads = threads
        self._session: Session | None = None
        self._session_of: tuple[str, str] = ("", "")
        self._prompts: list[Prompt] = []
        self._priors: tuple[dict[str, list[Teacher]], list[str]] = ({}, [])
        self._read: tuple[Any, ...] = ()

    def session(self, backbone: str, device: str, identity: str = "") -> Session:
        """The session for a backbone on a device. Raises :class:`BackboneError`, :class:`DeviceError` and
        :class:`WorkerMismatchError` where the backbone is another than the one of ``identity``."""
        if self._session is None or self._session_of != (backbone, device):
            from PromptSegLib.model.precision import take_process
            from PromptSegLib.session import Session

            take_process(self._threads)
            self._session, self._session_of = Session(backbone, device), (backbone, device)
        if identity and self._session.backbone.id != identity:
            raise WorkerMismatchError(
                f"The backbone {backbone} is another on {platform.node()} than here",
                "install the same version of PromptSeg there, or name a backbone file that all computers share",
            )
        return self._session

    def prompts(self, texts: tuple[str, ...], memory: bool) -> tuple[list[Prompt], dict[str, list[Teacher]], list[str]]:
        """The prompts that ``texts`` name; with ``memory``, the other patients that are remembered beside them, and a
        sentence on each file of these that cannot be used. Raises :class:`PromptSegError`."""
        from PromptSegLib.prompts.library import resolve_all
        from PromptSegLib.register.teachers import remembered_by

        from .prompts import files_of

        read = (texts, memory, files_of(texts))
        if read != self._read:
            self._prompts = resolve_all(texts)
            self._priors = remembered_by(texts) if memory else ({}, [])
            self._read = read
        return self._prompts, *self._priors


def perform(task: Task, engine: JobEngine, on_progress: OnProgress = ignore, should_stop: ShouldStop = never) -> Record:
    """Segment one volume and write its result. What goes wrong with the volume is in the record. Raises ``Stopped``,
    and :class:`WorkerMismatchError`, :class:`BackboneError` and :class:`DeviceError`, which no volume would escape.

    A task that was done before, by a worker that could not tell of it any more, is not done again.
    """
    began = time.monotonic()
    pictures: dict[str, str] = {}
    try:
        with engine.busy:
            former = _done_before(task)
            if former is not None:
                return former
            record, pictures = _segmented(task, engine, on_progress, should_stop)
    except (Stopped, WorkerMismatchError, BackboneError, DeviceError):
        raise
    except Exception as error:
        record = _failed(task, error)
    record = replace(
        record,
        seconds={**record.seconds, "all": round(time.monotonic() - began, 3)},
        stamp=task.stamp,
        prompts=dict(task.prompt_ids),
        backbone=task.backbone_id,
        version=__version__,
        worker=f"{platform.node()}:{os.getpid()}",
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    if record.status == DONE:
        with contextlib.suppress(PromptSegError, OSError):  # it only saves doing it again, and has the pictures
            write_details(Path(task.details), record, pictures)
    return record


def _done_before(task: Task) -> Record | None:
    record = read_details(Path(task.details))[0]
    if record is None or record.key != task.key or record.output != task.output:
        return None
    with contextlib.suppress(OSError):
        found = Path(task.root, task.output).stat()
        return record if (found.st_size, found.st_mtime_ns) == (record.size, record.time) else None
    return None


def _failed(task: Task, error: Exception) -> Record:
    problem = as_problem(error)
    if problem is None:
        traceback.print_exc()
        problem = PromptSegError(
            f"This is a defect in PromptSeg ({type(error).__name__}: {error})",
            "give the image to promptseg segment --debug and report what it prints",
        )
        kind = "defect"
    else:
        kind = "output" if isinstance(error, OutputError) else "memory" if isinstance(error, MemoryError) else "problem"
    return Record(task.subject, task.image, task.key, FAILED, problem=str(problem), kind=kind)


def _segmented(
    task: Task, engine: JobEngine, on_progress: OnProgress, should_stop: ShouldStop
) -> tuple[Record, dict[str, str]]:
    from .output import check_image, write_result

    seconds: dict[str, float] = {}

    def stage(name: str, start: float) -> None:
        seconds[name] = round(time.monotonic() - start, 3)
        check(should_stop)

    if task.version != __version__:
        raise WorkerMismatchError(
            f"{platform.node()} has PromptSeg {__version__}, and this computer {task.version}",
            "install the same version on both",
        )
    if task.problem:
        return Record(task.subject, task.image, task.key, FAILED, problem=task.problem, kind="problem"), {}
    session = engine.session(task.backbone, task.device, task.backbone_id)
    prompts, priors, problems = engine.prompts(task.prompts, task.memory)
    for prompt in prompts:
        prompt.check(session.backbone.shapes(), session.backbone.id, session.backbone.name)
    check(should_stop)
    start = time.monotonic()
    on_progress(Progress("read", 0.0, f"Reading {task.subject}"))
    volume = read(task)
    check_image(task.format, volume)
    session.set_volume(volume)
    stage("read", start)
    start = time.monotonic()
    if task.reference:
        priors, own = _of_others(session, priors)
        problems = [*problems, *own]
    result = session.segment(
        prompts, priors=priors, references=task.memory, on_progress=part(on_progress, 0.1, 0.9), should_stop=should_stop
    )
    stage("segment", start)
    start = time.monotonic()
    on_progress(Progress("write", 0.9, f"Writing {task.subject}"))
    output = Path(task.root, task.output)
    scores, notes = _scores(task, result, volume, should_stop) if task.reference else ({}, ())
    structures, pictures = _described(result, volume, scores, should_stop)
    size, written, digest, told = write_result(output, task, result, volume, should_stop)
    seconds["write"] = round(time.monotonic() - start, 3)
    record = Record(
        task.subject, task.image, task.key, DONE, task.output, size, written, digest, structures,
        warnings=(*session.warnings, *problems, *result.notes, *notes, *told), seconds=seconds,
    )  # fmt: skip
    return record, pictures


def _of_others(session: Session, priors: Mapping[str, Sequence[Teacher]]) -> tuple[dict[str, list[Teacher]], list[str]]:
    """The patients but the one at hand, whose own mask is not to be compared with a reference; and a sentence where it
    was among them."""
    from PromptSegLib.register.teachers import Memory

    others = {name: session.others(Memory(tuple(some)), name) for name, some in priors.items()}
    own = [name for name, some in others.items() if len(some) < len(priors[name])]
    told = f"Taught in this very CT, so that the comparison tells little of others: {quoted(own)}."
    return others, [told] if own else []


def read(task: Task) -> Volume:
    """The volume of a task; raises :class:`InputError`."""
    from PromptSegLib.volumes.io import read_dicom, read_volume

    if task.files:
        return read_dicom([Path(one) for one in task.files], task.subject)
    return read_volume(task.image, task.orientation)


def _scores(
    task: Task, result: Segmentation, volume: Volume, should_stop: ShouldStop
) -> tuple[dict[str, ScoreRow], tuple[str, ...]]:
    """What a comparison with the reference says, by structure; or a sentence why there is none: a result is not lost
    for its reference."""
    from PromptSegLib.review.evaluate import evaluate
    from PromptSegLib.volumes.io import read_labels
    from PromptSegLib.volumes.labels import LabelMap

    try:
        reference = read_labels(task.reference, result.grid, task.orientation, volume.source)
        plain = LabelMap(result.labels, result.grid, dict(enumerate(result.structures, 1)))
        # What is written whole is compared whole; a label map shows the last of those that share a voxel.
        ours = _Whole(result) if task.format not in ("nii.gz", "nrrd", "mha") else plain
        found = evaluate(ours, reference, remedy=_NAMES, should_stop=should_stop)
    except PromptSegError as error:
        return {}, (f"Not compared with the reference: {error}",)
    return {ours.names[row.segmentation_value].name: row.score for row in found.rows}, reference.notes


class _Whole:
    """A segmentation as :class:`~PromptSegLib.review.evaluate.Labels`, each structure with all of its voxels."""

    def __init__(self, result: Segmentation) -> None:
        self._result, self.array, self.grid = result, result.labels, result.grid
        self.names = dict(enumerate(result.structures, 1))

    def mask(self, value: int, /) -> np.ndarray:
        """(K, J, I) bool."""
        return self._result.mask(self.names[value].name)


def _described(
    result: Segmentation, volume: Volume, scores: Mapping[str, ScoreRow], should_stop: ShouldStop
) -> tuple[tuple[StructureResult, ...], dict[str, str]]:
    """What is told of each structure, and a picture of each that was found."""
    from PromptSegLib.segment.result import agreement_of

    from .thumbnails import thumbnail

    rows, pictures = [], {}
    for structure in result.structures:
        check(should_stop)
        name, mask = structure.name, result.mask(structure.name)
        result.voxels[name] = int(mask.sum())
        confidence = agreement_of(result.maps[name])[0]
        score = scores.get(name)
        known = (None, None, None) if score is None else (score.dice, score.hd95_mm, score.nsd_2mm)
        millilitres = round(result.volume_ml(name), 4)
        expected = result.expected.get(name)
        rows.append(StructureResult(name, millilitres, _finite(confidence), expected, *map(_finite, known)))
        pictures[name] = thumbnail(volume, mask)
    return tuple(rows), {name: picture for name, picture in pictures.items() if picture}


def _finite(value: float | None) -> float | None:
    return round(float(value), 4) if value is not None and math.isfinite(value) else None


def watching(token: str, should_stop: Callable[[], bool] = never) -> ShouldStop:
    """A ``should_stop`` that also says yes once the run's token is gone."""
    looked, gone = time.monotonic(), False

    def stop() -> bool:
        nonlocal looked, gone
        now = time.monotonic()
        if now - looked > _TOKEN_EVERY:
            looked, gone = now, not os.path.exists(token)  # noqa: PTH110
        return gone or should_stop()

    return stop
