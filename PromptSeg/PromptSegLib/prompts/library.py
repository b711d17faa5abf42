"""Finding prompts: the sets that are shipped, and files, by the short texts that users type."""

from __future__ import annotations

from pathlib import Path

from ..errors import PromptError
from ..resources import resource
from .promptset import PromptSet
from .structure import Structure

SUFFIX = ".promptset"


def shipped() -> list[Path]:
    """The prompt sets that come with PromptSeg, by name."""
    return sorted(resource("PromptSets").glob(f"*{SUFFIX}"))


def resolve(text: str) -> PromptSet:
    """The prompts that ``text`` asks for: ``SET``, ``FILE.promptset``, or either with ``:structure,structure``.

    Raises :class:`PromptError` that names what there is.
    """
    if Path(text).is_file():  # a path may hold a colon
        name, wanted = text, ""
    else:
        name, _, wanted = text.rpartition(":") if ":" in text and not text.endswith(SUFFIX) else (text, "", "")
    found = _find(name)
    if name == text:
        return found
    if not wanted.strip():
        raise PromptError(f"{text!r} names no structure after the colon", f"{found.name} has: {', '.join(found)}")
    prompts = []
    for word in wanted.split(","):
        prompt = next((p for p in found.values() if word.strip().lower() in _names(p.structure)), None)
        if prompt is None:
            raise PromptError(f"{found.name} has no prompt for {word.strip()!r}", f"it has: {', '.join(found)}")
        if prompt not in prompts:
            prompts.append(prompt)
    return PromptSet.of(found.name, prompts, found.card)


def _names(structure: Structure) -> set[str]:
    return {structure.name.lower(), *(s.lower() for s in structure.synonyms)}


def _find(name: str) -> PromptSet:
    path = Path(name)
    if path.suffix == SUFFIX or path.is_file():
        return PromptSet.read(path)
    for candidate in shipped():
        if candidate.stem == name:
            return PromptSet.read(candidate)
    known = ", ".join(p.stem for p in shipped()) or "none"
    raise PromptError(f"There is no prompt set {name!r}", f"name a .promptset file or one of: {known}")
