"""The prompts that there are: those that come with PromptSeg, and the user's own folder.

Only the cards of files are read here, which needs neither torch nor safetensors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy.structure import Structure
from ..atomic import check_writable, folder_for, replacing
from ..errors import OutputError, PromptError, PromptSegError, TakenError, quoted, short
from ..locked import locked
from ..prompts import taught_on
from ..prompts.card import Card
from ..prompts.library import MEMORY_SUFFIX, SUFFIX, memory_beside, shipped
from ..prompts.memory_file import keep_only, patients_in, put, remove, structures_in, without_patients
from ..prompts.promptfile import read_file, read_header, rewrite
from ..spelling import spelled

MINE = "My structures"
PATIENCE = 2.0
"""Seconds that one window waits for another that writes to the user's folder: each does so in less than one."""


@dataclass(frozen=True)
class PromptEntry:
    """One prompt: ``path`` and the structure's name are how it is asked for; ``text``, "abdomen-ct:liver" or
    "FOLDER/x.promptset:left psoas", is how a scene remembers it."""

    structure: Structure
    text: str
    card: Card
    backbone_id: str
    path: Path
    references: int = 0
    """In how many open reference CTs it says where the structure lies."""

    @property
    def memory(self) -> Path | None:
        """The file that remembers the patients it was taught in, on this computer; None if none is kept."""
        path = memory_beside(self.path)
        if not path.is_file():
            return None
        known = structures_in(path)
        return path if known is None or self.structure.name in known else None


@dataclass(frozen=True)
class SetEntry:
    """A group of prompts as users see it: a shipped set, or all that lies in the user's folder."""

    name: str
    path: Path
    shipped: bool
    card: Mapping[str, Any]
    prompts: tuple[PromptEntry, ...]


class Library:
    """``folder`` is the user's own, made when something is first kept in it; ``problems`` are sentences about files
    that the last :meth:`sets` could not read."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.problems: list[str] = []
        self._known: dict[Path, tuple[tuple[int, ...], SetEntry]] = {}
        self._forgotten: dict[str, set[str]] = {}

    def sets(self) -> list[SetEntry]:
        """What there is now: the shipped sets first, then, if there are any, the user's own prompts as one set."""
        self.problems = []
        found = [self._read(path, True) for path in shipped()]
        own = [self._read(path, False) for path in sorted(self.folder.glob(f"*{SUFFIX}"))]
        entries = [entry for entry in found if entry is not None]
        mine = tuple(prompt for entry in own if entry is not None for prompt in entry.prompts)
        if mine:
            entries.append(SetEntry(MINE, self.folder, False, {}, mine))
        return entries

    def asked(self, wanted: Iterable[str | tuple[str, str]]) -> list[dict[str, str] | str]:
        """What to ask the worker for, from names of structures, (file, name) pairs, the entries' texts, or texts as on
        the command line. Raises :class:`PromptError`.

        A name stands for the user's own prompt before a shipped one.
        """
        sets = self.sets()
        own, others = ([p for one in sets if one.shipped == ours for p in one.prompts] for ours in (False, True))
        out: list[dict[str, str] | str] = []
        for text in wanted:
            if not isinstance(text, str):
                file, name = text
                out.append({"file": str(file), "name": str(name)})
                continue
            prompt = _named(own, text) or _named(others, text)
            if prompt is not None:
                out.append({"file": str(prompt.path), "name": prompt.structure.name})
            elif ":" in text or Path(text).suffix == SUFFIX or text in [one.name for one in sets]:
                out.append(text)
            else:
                names = quoted(sorted({p.structure.name for p in (*own, *others)}), 30) or "none"
                raise PromptError(f"There is no prompt for {quoted([text])}", f"choose of: {names}")
        if not out:
            raise PromptError("No structure was asked for", "tick at least one")
        return [one for n, one in enumerate(out) if one not in out[:n]]

    def own(self) -> list[dict[str, str]]:
        """What to ask the worker for to have each of the user's own prompts."""
        prompts = (prompt for one in self.sets() if not one.shipped for prompt in one.prompts)
        return [{"file": str(one.path), "name": one.structure.name} for one in prompts]

    def check_writable(self) -> None:
        """Raise :class:`OutputError` now if nothing could be kept in the folder."""
        self._make()
        check_writable(self.folder / f"new{SUFFIX}")

    def import_file(self, path: Path | str) -> list[str]:
        """Take a copy of a file into the folder; gives the names of its structures. Raises :class:`PromptSegError`."""
        with self._writing():
            return list(_kept(path, self.folder, Path(path).stem)[1])

    def save(self, prompt: Path | str, structure: Structure, memory: Path | None = None, **card: Any) -> str:
        """Keep what was learned, with more entries for its card, and give the text by which it is ticked.

        ``memory`` is a file of what the next patient starts from: it is kept beside the prompt. Both are kept, or none.
        """
        patients = None if memory is None else memory.read_bytes()
        if patients and (signs := self._forgotten.get(structure.name)):  # a round of before may know them
            patients = without_patients(patients, structure.name, signs, but_last=True) or None
        with self._writing():
            target, (name,) = _kept(prompt, self.folder, structure.name, **card)
            if patients is not None:
                try:
                    with replacing(memory_beside(target)) as file:
                        file.write(patients)
                except BaseException:
                    remove(target)
                    raise
        return f"{target}:{name}"

    def forget(self, text: str) -> list[str]:
        """Remove what is kept of patients for one of the user's own structures, under every prompt of that name; the
        prompts stay, and what other structures need: their names are given, where they know one of these patients.
        Raises :class:`PromptSegError`."""
        entry = self._own(text)
        if entry is None:
            raise PromptError("Only what is kept beside structures of your own can be deleted", "choose one of these")
        name, others = entry.structure.name, set()
        with self._writing():
            path = memory_beside(entry.path)
            signs = patients_in(path, name).get(name, set())
            self._forgotten.setdefault(name, set()).update(signs)
            keep_only(path, self._others(entry))
            self._forget_where(entry)
            for file in sorted(self.folder.glob(f"*{MEMORY_SUFFIX}")):
                known = patients_in(file)
                if signs & known.get(name, set()):
                    data = file.read_bytes()
                    put(file, data, without_patients(data, name, signs))
                others |= {one for one, found in known.items() if one != name and found & signs}
        return sorted(others)

    def export(self, texts: Sequence[str], path: Path | str, made: Mapping[Path, Path] | None = None) -> Path:
        """Write these prompts and no others to ``path``; those of several files go into a folder of that name, where
        nothing is replaced. ``made`` has what stands in for a file, with more in it for other computers. Raises
        :class:`PromptSegError`."""
        made, chosen = made or {}, self.files_of(texts)
        path = Path(path)
        if len(chosen) == 1:
            ((source, names),) = chosen.items()
            if any(_same(path, one.path) for kept in self.sets() for one in kept.prompts):
                raise OutputError(f"{path.name} is one of the files that the structures are kept in", "choose another")
            rewrite(made.get(source, source), path, names)
            if path.suffix == SUFFIX:
                remove(memory_beside(path))  # of a file that was there before
            return path
        folder = path.with_suffix("")
        with folder_for(folder):
            for source, names in chosen.items():
                _kept(made.get(source, source), folder, source.stem, names)
        return folder

    def files_of(self, texts: Sequence[str]) -> dict[Path, list[str]]:
        """The files of these prompts, and which of their structures are meant. Raises :class:`PromptError`."""
        chosen: dict[Path, list[str]] = {}
        for text in texts:
            entry = self.entry(text)
            if entry is None:
                raise PromptError(f"There is no prompt {short(text)!r} any more", "choose one that is listed")
            chosen.setdefault(entry.path, []).append(entry.structure.name)
        if not chosen:
            raise PromptError("There is nothing to export", "tick at least one structure")
        return chosen

    def memory_of(self, prompt: Path | str) -> Path | None:
        """The file that remembers the patients of what was learned in ``prompt``, if this is kept here too, under
        whatever name; None where it is not, or nothing is remembered of it. Raises :class:`PromptError`."""
        header, arrays = read_file(prompt)
        own = {_identity(one.backbone_id, array) for one, array in zip(header.entries, arrays, strict=True)}
        for file in sorted(self.folder.glob(f"*{SUFFIX}")):
            if not memory_beside(file).is_file():
                continue
            with suppress(PromptSegError):
                kept, arrays = read_file(file)
                if own <= {_identity(one.backbone_id, array) for one, array in zip(kept.entries, arrays, strict=True)}:
                    return memory_beside(file)
        return None

    def delete(self, text: str) -> None:
        """Remove this prompt and what is kept of its patients, and with the last one its file. Raises
        :class:`PromptError` for a shipped one, and :class:`OutputError`."""
        entry = self._own(text)
        if entry is None:
            raise PromptError("Only structures of your own can be deleted", "choose one of My structures")
        with self._writing():
            others = self._others(entry)
            keep_only(memory_beside(entry.path), others)  # first: a picture of a patient must not outlive its prompt
            self._forget_where(entry)
            if others:
                rewrite(entry.path, entry.path, others)
            else:
                remove(entry.path)

    def _others(self, entry: PromptEntry) -> list[str]:
        """What else is in the file of a prompt."""
        names = [one.structure.name for one in read_header(entry.path).entries]
        return [name for name in names if name != entry.structure.name]

    @staticmethod
    def _forget_where(entry: PromptEntry) -> None:
        """Let this computer forget on which volumes a prompt was taught."""
        with suppress(PromptSegError):
            header, arrays = read_file(entry.path)
            names = [one.structure.name for one in header.entries]
            taught_on.forget(arrays[names.index(entry.structure.name)])

    def _own(self, text: str) -> PromptEntry | None:
        entry = self.entry(text)
        return entry if entry is not None and entry.path.parent.resolve() == self.folder.resolve() else None

    def entry(self, text: str) -> PromptEntry | None:
        """The prompt of that text; None where it is not there any more."""
        return next((p for one in self.sets() for p in one.prompts if p.text == text), None)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One window at a time: names are given and files rewritten. Raises :class:`OutputError`."""
        self._make()
        problem = f"Another 3D Slicer is writing to {self.folder}"
        with locked(self.folder, problem, "try again in a moment", PATIENCE):
            yield

    def _read(self, path: Path, is_shipped: bool) -> SetEntry | None:
        """What a file says, as it was read when it was as it is now: scenes come and go more often than files."""
        state = _state(path)
        known = self._known.get(path)
        if known is not None and known[0] == state:
            return known[1]
        try:
            header = read_header(path)
        except PromptSegError as error:
            self.problems.append(str(error))
            return None
        where = path.stem if is_shipped else str(path)
        prompts = [
            PromptEntry(one.structure, f"{where}:{one.structure.name}", one.card, one.backbone_id, path, len(one.masks))
            for one in header.entries
        ]
        entry = SetEntry(header.name, path, is_shipped, header.card, tuple(prompts))
        if state:
            self._known[path] = state, entry
        return entry

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {self.folder} for your structures cannot be made ({error.strerror})",
                "choose another one in the self-check",
            ) from error


def _named(entries: Sequence[PromptEntry], text: str) -> PromptEntry | None:
    """The entry that a text means: as it is written, else in any case, else by a synonym."""
    key = spelled(text)
    ways: tuple[Callable[[PromptEntry], bool], ...] = (
        lambda one: text in (one.text, one.structure.name),
        lambda one: key in (spelled(one.text), spelled(one.structure.name)),
        lambda one: key in [spelled(other) for other in one.structure.synonyms],
    )
    return next((one for way in ways for one in entries if way(one)), None)


def _identity(backbone: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Tells what was learned from anything else that was, whatever it is called."""
    digest = hashlib.sha256(backbone.encode())
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


def _kept(
    source: Path | str, folder: Path, name: str, only: Sequence[str] | None = None, **card: Any
) -> tuple[Path, tuple[str, ...]]:
    """Write a file of structures as a new one called after ``name``, whoever else takes names in the folder meanwhile;
    gives its path and its structures."""
    while True:
        target = _free(folder, name)
        with suppress(TakenError):
            return target, rewrite(source, target, only, new=True, **card)


def _free(folder: Path, name: str) -> Path:
    """A file that is not there yet, called after a structure; nor is what another prompt of that name remembered."""
    stem = re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "prompt"
    target, number = folder / f"{stem}{SUFFIX}", 1
    while target.exists() or memory_beside(target).exists():
        number += 1
        target = folder / f"{stem}-{number}{SUFFIX}"
    return target


def _state(path: Path) -> tuple[int, ...]:
    """Tells a file from what it was before; empty for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False
