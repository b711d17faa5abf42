"""What is done in a folder of results: a line for each volume, so that the next call goes on where the last one ended.

A volume is done if its line was written for the same input files, prompts, backbone and options, and its result is
there. A result that somebody changed since is theirs, and is never written over.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from PromptSegLib.atomic import replacing
from PromptSegLib.errors import UNREADABLE, OutputError, as_problem, system_problem

FORMAT = 1
DONE, FAILED, KEPT = "done", "failed", "kept"


@dataclass(frozen=True)
class StructureResult:
    """One structure in one volume: ``confidence`` is the Dice that the network's probabilities let expect of their own
    mask, not calibrated; ``expected`` (Dice, low, high) is the calibrated one where there is any; the scores need a
    reference."""

    name: str
    volume_ml: float
    confidence: float | None = None
    expected: tuple[float, float, float] | None = None
    dice: float | None = None
    hd95_mm: float | None = None
    nsd_2mm: float | None = None

    def _is_sensible(self) -> bool:
        maybe = (self.confidence, self.dice, self.hd95_mm, self.nsd_2mm)
        numbers = (self.volume_ml, *(self.expected or (0, 0, 0)), *(one for one in maybe if one is not None))
        return isinstance(self.name, str) and len(numbers) >= 4 and all(map(_is_number, numbers))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Record:
    """What became of one volume. ``key`` stands for all that its result depends on; ``output`` is relative to the
    folder, with the size, time and SHA-256 that it was left with. ``problem`` is a sentence, of the ``kind`` "problem",
    "defect", "process", "memory" or "output". ``stamp`` stands for sizes and times of the input's files, and
    ``prompts`` has ids by structure."""

    subject: str
    image: str
    key: str
    status: str
    output: str = ""
    size: int = 0
    time: int = 0
    digest: str = ""
    structures: tuple[StructureResult, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_mib: float | None = None
    problem: str = ""
    kind: str = ""
    stamp: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    backbone: str = ""
    version: str = ""
    worker: str = ""
    finished: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; what has its default is left out."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain["structures"] = [asdict(one) for one in self.structures]
        return {name: value for name, value in plain.items() if value not in ((), [], {}, "", None)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """Raises ``TypeError``, ``KeyError`` or ``ValueError`` for anything else; unknown fields are dropped."""
        known = {one.name for one in fields(cls)}
        given = {name: value for name, value in values.items() if name in known}
        inner = {one.name for one in fields(StructureResult)}
        rows = [{k: v for k, v in one.items() if k in inner} for one in given.pop("structures", ())]
        for row in rows:
            row["expected"] = tuple(row["expected"]) if row.get("expected") else None
        given["warnings"] = tuple(given.get("warnings", ()))
        made = cls(**given, structures=tuple(StructureResult(**row) for row in rows))
        if not made._is_sensible():
            raise ValueError("not as it is written")
        return made

    def _is_sensible(self) -> bool:
        """Whether every field is of its type: a folder of results may have passed through other hands."""
        whole = {"size", "time"}
        texts = [one.name for one in fields(self) if isinstance(one.default, str)] + [
            "subject",
            "image",
            "key",
            "status",
        ]
        path = PurePosixPath(self.output)
        return (
            all(isinstance(getattr(self, name), str) for name in texts)
            and all(isinstance(getattr(self, name), int) for name in whole)
            and all(isinstance(one, str) for one in self.warnings)
            and all(_is_number(value) for value in dict(self.seconds).values())
            and all(isinstance(value, str) for value in dict(self.prompts).values())
            and _is_number(self.peak_mib or 0)
            and self.status in (DONE, FAILED, KEPT)
            and self.output.encode("utf-8", "surrogateescape") is not None  # or it is no name of a file
            and not path.is_absolute()
            and not {"..", "\0"} & {*path.parts, *self.output}
            and all(one._is_sensible() for one in self.structures)
        )


class Manifest:
    """The records of a folder by subject, the latest of each; :meth:`add` appends and keeps. One process writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        self._outputs: dict[str, Record] = {}
        lines = _lines(path)
        for line in lines:
            record = _parsed(line)
            if record is not None:
                self._know(record)
        self._worth_it = len(lines) > 2 * len(self.records) + 100 or bool(lines and not lines[-1].endswith("\n"))

    def add(self, record: Record) -> None:
        """Append a record. Raises :class:`OutputError` where it cannot be kept."""
        self.compact()
        line = json.dumps(record.to_json(), ensure_ascii=True, allow_nan=False) + "\n"
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                before = os.fstat(descriptor).st_size
                data = line.encode()
                if os.write(descriptor, data) < len(data):  # a part of a line would spoil the next
                    os.ftruncate(descriptor, before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            why = "the disk is full" if full else error.strerror
            known = as_problem(error)
            remedy = known.remedy if known else "choose another folder"
            raise OutputError(
                f"{self.path} could not be written: {why}", f"{remedy}, and give the same command again"
            ) from error
        self._know(record)

    def state(self, subject: str, key: str, root: Path) -> str:
        """:data:`DONE` if the result of ``key`` is there, :data:`KEPT` if somebody changed the result since it was
        written, else empty."""
        record = self.records.get(subject)
        if record is None or record.status not in (DONE, KEPT):
            return ""
        try:
            found = (root / record.output).stat()
        except OSError:
            return ""
        if not _unchanged(root / record.output, found, record):
            return KEPT
        return DONE if record.key == key else ""

    def _know(self, record: Record) -> None:
        self.records[record.subject] = record
        if record.status in (DONE, KEPT):
            self._outputs[record.output] = record

    def wrote(self, output: str, root: Path, also: Record | None = None) -> bool:
        """Whether the file ``output`` is as a cohort left it, by the records of all formats, and by one ``also``."""
        for record in (self._outputs.get(output), also):
            with contextlib.suppress(OSError):
                if record is not None and record.output == output:
                    path = root / output
                    if _unchanged(path, path.stat(), record):
                        return True
        return False

    def compact(self) -> None:
        """Drop lines that others have followed, and what was cut off, where that is worth it."""
        if not self._worth_it:
            return
        self._worth_it = False
        with replacing(self.path) as file:
            latest = {id(one) for one in self.records.values()}
            former = [one for one in self._outputs.values() if id(one) not in latest]
            for record in (*former, *self.records.values()):
                file.write((json.dumps(record.to_json(), ensure_ascii=True) + "\n").encode())


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's content. Raises ``OSError``."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            made.update(part)
    return made.hexdigest()


def _unchanged(path: Path, found: os.stat_result, record: Record) -> bool:
    """Whether a result is as it was left: another time alone comes from copying a folder."""
    if found.st_size != record.size:
        return False
    if found.st_mtime_ns == record.time:
        return True
    try:
        return digest_of_file(path) == record.digest
    except OSError:
        return False


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise system_problem(error) or OutputError(
            f"{path} cannot be read ({error.strerror})", "check its permissions"
        ) from error


def _parsed(line: str) -> Record | None:
    """A record; None for a line that was cut off, or damaged: its volume is done again."""
    try:
        values = json.loads(line)
        if not isinstance(values, dict) or values.get("format", FORMAT) != FORMAT:
            return None
        return Record.from_json(values)
    except UNREADABLE:
        return None
