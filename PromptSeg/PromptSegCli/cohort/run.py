"""A whole cohort: what is to be done, who does it, and what is kept whatever happens on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from PromptSegLib.errors import OutputError, PromptSegError, short
from PromptSegLib.progress import OnProgress, Progress, ShouldStop, check, ignore, never

from .details import read_details
from .folder import Folder
from .inputs import with_prompts
from .items import Inputs, Item, digest_of, stamp_of
from .manifest import DONE, FAILED, KEPT, Manifest, Record
from .output import ENDINGS, check_format
from .prompts import absolute, backbone_id, check_backbone, digest, memories_of
from .task import Task

OnRecord = Callable[[Record], None]


@dataclass(frozen=True)
class Options:
    """What holds for all volumes: ``memory`` says whether what taught prompts remember of other patients is used."""

    prompts: tuple[str, ...] = ()
    format: str = "seg.nrrd"
    backbone: str = "punet-ct"
    device: str = "auto"
    orientation: str | None = None
    memory: bool = True


@dataclass(frozen=True)
class CohortPlan:
    """``tasks`` are to be done; ``former`` are the records of what is done already. ``prompts`` has the ids of all
    prompts by structure."""

    tasks: tuple[Task, ...]
    former: tuple[Record, ...]
    prompts: dict[str, str]
    backbone: str


class Executor(Protocol):
    """Who does the tasks: processes of our own, or a cluster."""

    note: str
    """Why nothing goes on, where that is so."""

    @property
    def workers(self) -> int:
        """How many volumes are done at once."""

    @property
    def open(self) -> bool:
        """Whether there is anything to do."""

    @property
    def under_way(self) -> float:
        """How much is done of the volumes that are being done: a number of volumes."""

    def poll(self, seconds: float) -> list[Record]:
        """What was done within a moment."""

    def close(self) -> None:
        """Stop everything."""


def plan(inputs: Inputs, folder: Folder, manifest: Manifest, options: Options) -> CohortPlan:
    """What is to be done in a folder. Raises :class:`PromptSegError` for prompts that cannot be used, for a result that
    would take the place of an input, and for a folder name that cannot be."""
    from PromptSegLib.prompts.library import resolve_all

    check_format(options.format)
    identity = backbone_id(options.backbone)
    backbone = options.backbone if not Path(options.backbone).is_file() else str(Path(options.backbone).absolute())
    items = with_prompts(inputs.items, [absolute(text) for text in options.prompts])
    sets: dict[tuple[str, ...], dict[str, str]] = {}
    marks: dict[tuple[str, ...], str] = {}
    tasks, former = [], []
    sources = {os.path.realpath(path) for one in items for path in (one.image, *one.files[:1], one.reference) if path}
    for one in items:
        if one.prompts not in sets:
            found = resolve_all(one.prompts)
            check_backbone(found, identity, options.backbone)
            sets[one.prompts] = {prompt.structure.name: digest(prompt) for prompt in found}
            alone = "alone" if any(prompt.masks for prompt in found) else ""
            extra = stamp_of(memories_of(one.prompts)) if options.memory else alone
            marks[one.prompts] = digest_of([*map(str, sets[one.prompts].items()), extra])
        task = _task(one, folder, options, backbone, identity, sets[one.prompts], marks[one.prompts])
        if os.path.realpath(folder.root / task.output) in sources:
            raise OutputError(
                f"The result of {one.subject} would take the place of {short(one.image)}",
                "choose another folder with -o",
            )
        state = manifest.state(one.subject, task.key, folder.root)
        if state == DONE:
            former.append(manifest.records[one.subject])
        elif state == KEPT:
            note = "The result was changed since it was written, and is kept as it is; delete it to have it made anew."
            record = manifest.records[one.subject]
            former.append(replace(record, status=KEPT, warnings=(*record.warnings, note)))
        elif not task.problem and _is_anothers(folder, task, manifest):
            note = "A file of this name was there, and is kept as it is; delete it to have the result written."
            former.append(Record(task.subject, task.image, task.key, KEPT, task.output, warnings=(note,)))
        else:
            tasks.append(task)
    prompts = {name: mark for every in sets.values() for name, mark in every.items()}
    return CohortPlan(tuple(tasks), tuple(former), prompts, identity)


def _is_anothers(folder: Folder, task: Task, manifest: Manifest) -> bool:
    """Whether something lies where the result is to be written that no cohort left there as it is: a drawing, or a
    result that was corrected since."""
    written = os.path.lexists(folder.root / task.output)
    return written and not manifest.wrote(task.output, folder.root, read_details(Path(task.details))[0])


def _task(
    one: Item, folder: Folder, options: Options, backbone: str, identity: str, ids: dict[str, str], prompts: str
) -> Task:
    output = one.subject + ENDINGS[options.format]
    key = digest_of([one.stamp, one.image, prompts, identity, options.format, options.orientation, output])
    return Task(
        one.subject, one.image if one.files else os.path.abspath(one.image), one.files, one.problem,  # noqa: PTH100
        one.prompts, one.reference, options.orientation, options.memory, options.format, str(folder.root), output,
        str(folder.details(one.subject)), str(folder.token), key, one.stamp, ids, backbone, identity, options.device,
    )  # fmt: skip


def execute(
    todo: Sequence[Task],
    executor: Executor,
    manifest: Manifest,
    *,
    on_progress: OnProgress = ignore,
    on_record: OnRecord = lambda _: None,
    should_stop: ShouldStop = never,
) -> None:
    """Let all tasks be done, and keep each record as it comes. A volume that fails is a record like any other.

    Raises ``Stopped``, :class:`OutputError` where results cannot be written any more, and what the executor raises;
    what was done before is kept.
    """
    began, done, failed = time.monotonic(), 0, 0
    while executor.open:
        check(should_stop)
        for record in executor.poll(0.1):
            if record.kind == "output":
                problem, _, remedy = record.problem.rstrip(".").rpartition("; ")
                raise OutputError(problem, f"{remedy}, and give the same command again")
            manifest.add(record)
            done += 1
            failed += record.status == FAILED
            on_record(record)
        share = min(1.0, (done + executor.under_way) / len(todo))
        said = executor.note or _message(done, failed, len(todo), share, time.monotonic() - began)
        on_progress(Progress("segment", share, said))


def _message(done: int, failed: int, total: int, share: float, seconds: float) -> str:
    said = f"{done} of {total} volumes"
    said += f", {failed} failed" if failed else ""
    if done and share < 1:
        said += f", about {duration(seconds * (1 - share) / share)} left"
    return said


def duration(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def records_of(plan: CohortPlan, manifest: Manifest) -> list[Record]:
    """The latest record of each volume of the plan, in the order of their names; those that nobody got to are
    missing."""
    keys = {task.subject: task.key for task in plan.tasks}
    new = (manifest.records.get(subject) for subject in keys)
    found = [one for one in new if one is not None and one.key == keys[one.subject]]
    return sorted([*plan.former, *found], key=lambda one: one.subject)


def failures(records: Iterable[Record]) -> list[Record]:
    """Those that could not be done."""
    return [one for one in records if one.status == FAILED]


def sentence_of(error: PromptSegError, done: int, total: int) -> PromptSegError:
    """An error that ended a run, with what is done."""
    kept = f"{done} of {total} volumes are done and kept"
    return type(error)(f"{error.problem} ({kept})", error.remedy)
