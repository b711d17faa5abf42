"""The prompts that there are: those that come with PromptSeg, and the user's own folder.

Only the cards of files are read here, which needs neither torch nor safetensors.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError, PromptError, PromptSegError
from ..prompts.library import SUFFIX, shipped
from ..prompts.promptset import read_header, rewrite_card, structure_of
from ..prompts.structure import Structure
from ..volumes.atomic import check_writable, replacing

MINE = "My structures"


@dataclass(frozen=True)
class PromptEntry:
    """One prompt: ``text`` is how it is asked for, "abdomen-ct:liver" or "FOLDER/x.promptset:left psoas"."""

    structure: Structure
    text: str
    card: Mapping[str, Any]
    backbone_id: str
    path: Path


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

    def texts(self, wanted: Iterable[str]) -> list[str]:
        """How prompts are asked for, from names of structures or such texts. Raises :class:`PromptError`.

        A name stands for the user's own prompt before a shipped one.
        """
        sets = self.sets()
        own_first = sorted(
            (prompt for one in sets for prompt in one.prompts), key=lambda p: p.path in _shipped_paths(sets)
        )
        out = []
        for text in wanted:
            name = text.casefold().strip()
            known = (p for p in own_first if name in (p.structure.name.casefold(), p.text.casefold())
                     or name in [s.casefold() for s in p.structure.synonyms])  # fmt: skip
            prompt = next(known, None)
            if prompt is not None:
                out.append(prompt.text)
            elif ":" in text or Path(text).suffix == SUFFIX or text in [one.name for one in sets]:
                out.append(text)
            else:
                names = ", ".join(sorted({p.structure.name for p in own_first})) or "none"
                raise PromptError(f"There is no prompt for {text!r}", f"choose of: {names}")
        if not out:
            raise PromptError("No structure was asked for", "tick at least one")
        return list(dict.fromkeys(out))

    def check_writable(self) -> None:
        """Raise :class:`OutputError` now if nothing could be kept in the folder."""
        self._make()
        check_writable(self.folder / f"new{SUFFIX}")

    def import_file(self, path: Path | str) -> list[str]:
        """Take a copy of a file into the folder; gives the names of its structures. Raises :class:`PromptSegError`."""
        path = Path(path)
        header = read_header(path)
        self._copy(path, self._free_name(path.stem))
        return [str(one["structure"]["name"]) for one in header["prompts"]]

    def save(self, prompt: Path | str, structure: Structure, **card: Any) -> str:
        """Keep what was learned, with more entries for its card, and give the text by which it is asked for."""
        target = self._free_name(structure.name)
        rewrite_card(prompt, target, card)
        return f"{target}:{structure.name}"

    def export(self, texts: Sequence[str], path: Path | str) -> Path:
        """Copy one prompt's file to ``path``; several prompts of different files go into a folder of that name."""
        entries = {p.text: p for one in self.sets() for p in one.prompts}
        files = list(dict.fromkeys(entries[text].path for text in texts if text in entries))
        if not files:
            raise PromptError("There is nothing to export", "tick at least one structure")
        path = Path(path)
        if len(files) == 1:
            self._copy(files[0], path)
            return path
        folder = path.with_suffix("")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {folder} cannot be made ({error.strerror})", "choose another one") from error
        for file in files:
            self._copy(file, folder / file.name)
        return folder

    def delete(self, text: str) -> None:
        """Remove the user's own file that holds this prompt. Raises :class:`PromptError` for a shipped one."""
        entry = next((p for one in self.sets() for p in one.prompts if p.text == text), None)
        if entry is None or entry.path.parent.resolve() != self.folder.resolve():
            raise PromptError("Only structures of your own can be deleted", "choose one of My structures")
        try:
            entry.path.unlink()
        except OSError as error:
            raise OutputError(f"{entry.path} cannot be deleted ({error.strerror})", "check its permissions") from error

    def _read(self, path: Path, is_shipped: bool) -> SetEntry | None:
        try:
            header = read_header(path)
        except PromptSegError as error:
            self.problems.append(str(error))
            return None
        prompts = []
        for one in header["prompts"]:
            structure = structure_of(one["structure"])
            text = f"{path.stem if is_shipped else path}:{structure.name}"
            prompts.append(PromptEntry(structure, text, one["card"], one["backbone"], path))
        return SetEntry(header["name"], path, is_shipped, header["card"], tuple(prompts))

    def _free_name(self, name: str) -> Path:
        self._make()
        stem = re.sub(r"[^\w-]+", "-", name).strip("-")[:60] or "prompt"
        target, number = self.folder / f"{stem}{SUFFIX}", 1
        while target.exists():
            number += 1
            target = self.folder / f"{stem}-{number}{SUFFIX}"
        return target

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {self.folder} for your structures cannot be made ({error.strerror})",
                "choose another one in the self-check",
            ) from error

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        try:
            with source.open("rb") as given, replacing(target) as taken:
                shutil.copyfileobj(given, taken)
        except FileNotFoundError as error:
            raise PromptError(f"There is no prompt set {source}", "teach the structure again") from error


def _shipped_paths(sets: Sequence[SetEntry]) -> set[Path]:
    return {one.path for one in sets if one.shipped}
