"""Finding prompts: the sets that are shipped, and files, by the short texts that users type, or by (file, name)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..anatomy.structure import Structure
from ..errors import PromptError, quoted, short
from ..resources import resource
from ..spelling import spelled
from .card import Card
from .promptset import Prompt, PromptSet

SUFFIX = ".promptset"
MEMORY_SUFFIX = ".memory"
MEMORY_VARIABLE = "PROMPTSEG_MEMORY"
"""The environment variable that turns off keeping and using pictures of patients."""


def memory_beside(prompts: Path | str) -> Path:
    """The file that remembers patients for a ``.promptset`` file."""
    return Path(prompts).with_suffix(MEMORY_SUFFIX)


def remembers() -> bool:
    """Whether pictures of patients may be kept beside prompts, and used."""
    return os.environ.get(MEMORY_VARIABLE, "on").strip().lower() not in ("off", "0", "no", "false")


def shipped() -> list[Path]:
    """The prompt sets that come with PromptSeg, by name."""
    return sorted(resource("PromptSets").glob(f"*{SUFFIX}"))


@lru_cache(maxsize=1)
def coming_with(backbone_id: str) -> tuple[Prompt, ...]:
    """The prompts of the shipped sets that were learned on this backbone; a set that cannot be read has none."""
    found: list[Prompt] = []
    for path in shipped():
        with contextlib.suppress(PromptError):
            found += [prompt for prompt in PromptSet.read(path).values() if prompt.backbone_id == backbone_id]
    return tuple(found)


def asked(wanted: str | Mapping[str, Any]) -> PromptSet:
    """The prompts that a request asks for: a text as :func:`resolve` reads it, or ``{"file", "name"}``, of which
    nothing is interpreted; without a name, all of the file. Raises :class:`PromptError`."""
    if isinstance(wanted, str):
        return resolve(wanted)
    name = wanted.get("name")
    return _find(str(wanted["file"])) if name is None else pick(str(wanted["file"]), str(name))


def once(asked_by: Iterable[tuple[str, Prompt]]) -> list[Prompt]:
    """Each structure once, from prompts and who asked for them. Where several sets hold a structure with the same
    numbers, as the sets of one backbone may, the first is taken, with the HU window of all of them together: in which
    order they are asked for changes nothing. Raises :class:`PromptError` for two prompts of one structure, of which
    also two count that see a volume in different ways, and for one that is asked for twice in the same words."""
    found: dict[str, tuple[Prompt, str]] = {}
    for text, prompt in asked_by:
        name = prompt.structure.name
        first, words = found.setdefault(name, (prompt, text))
        if first is prompt:
            continue
        if words == text or not (_same_numbers(first, prompt) and _seen_alike(first.card, prompt.card)):
            where = f"by {words} and {text}" if words != text else f"by {text}, given twice"
            raise PromptError(f"The structure '{name}' is asked for twice, {where}", "ask for it once")
        window = joined_window((first.card.window, prompt.card.window))
        if window != first.card.window:
            found[name] = replace(first, card=replace(first.card, window=window)), words
    return [prompt for prompt, _ in found.values()]


def joined_window(windows: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    """The HU window (low, high) that holds all of them; None, which is all that a volume has, if one of them is."""
    known = list(windows)
    ranges = [one for one in known if one is not None]
    return None if len(ranges) < len(known) else (min(low for low, _ in ranges), max(high for _, high in ranges))


def resolve_all(texts: Iterable[str]) -> list[Prompt]:
    """The prompts that all texts ask for, in that order, each structure once (:func:`once`)."""
    return once((text, prompt) for text in texts for prompt in resolve(text).values())


def _seen_alike(one: Card, other: Card) -> bool:
    """Whether two cards have the network see a volume, and its result kept, in the same way but for the window."""
    names = ("plane", "spacing", "components", "shared_pass", "shared_tokens", "contour_weight", "overview")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _same_numbers(one: Prompt, other: Prompt) -> bool:
    pairs = [(t, other.tensors.get(k)) for k, t in one.tensors.items()]
    alike = one.backbone_id == other.backbone_id and one.tensors.keys() == other.tensors.keys()
    return alike and all(o is not None and t.shape == o.shape and bool((t == o).all()) for t, o in pairs)


def pick(file: Path | str, name: str) -> PromptSet:
    """The structure of exactly that name from a file, or from a shipped set. Raises :class:`PromptError`."""
    found = _find(str(file))
    if name not in found:
        raise PromptError(f"{found.name} has no prompt for {short(name)!r}", _it_has(found))
    return PromptSet.of(found.name, [found[name]], found.card)


def resolve(text: str) -> PromptSet:
    """The prompts that ``text`` asks for: ``SET``, ``FILE.promptset``, or either with ``:structure,structure``.

    Paths and names may hold colons, and names commas: the longest part that is there is taken. Raises
    :class:`PromptError` that names what there is.
    """
    if _is_there(text):
        return _find(text)
    refused: PromptError | None = None
    for name, wanted in _split(text):
        if _is_there(name):
            try:
                return _chosen(_find(name), text, wanted)
            except PromptError as error:
                refused = refused or error
    if refused is not None:
        raise refused
    # Nothing of that name: say what the user is most likely to have meant by it.
    name, ending, _ = text.rpartition(f"{SUFFIX}:")
    return _find(name + SUFFIX if ending else text if text.endswith(SUFFIX) else text.partition(":")[0])


def set_of(text: str) -> str:
    """What of ``text`` names the set: the part before the colon where structures are asked for."""
    return text if _is_there(text) else next((name for name, _ in _split(text) if _is_there(name)), text)


def _split(text: str) -> Iterator[tuple[str, str]]:
    """What may be a set's name, and what is asked of it: cut at each colon, the last first."""
    place = text.rfind(":")
    while place >= 0:
        yield text[:place], text[place + 1 :]
        place = text.rfind(":", 0, place)


def _is_there(name: str) -> bool:
    try:
        return Path(name).is_file() or any(one.stem == name for one in shipped())
    except (ValueError, OSError):  # a zero byte; longer than a path may be
        return False


def _chosen(found: PromptSet, text: str, wanted: str) -> PromptSet:
    if not wanted.strip():
        raise PromptError(f"{short(text)!r} names no structure after the colon", _it_has(found))
    parts = wanted.split(",")
    prompts: list[Prompt] = []
    place = 0
    while place < len(parts):
        # The longest name first: "kidney, left" may be one structure.
        for end in range(len(parts), place, -1):
            prompt = _named(found, ",".join(parts[place:end]))
            if prompt is not None:
                break
        else:
            raise PromptError(f"{found.name} has no prompt for {short(parts[place].strip())!r}", _it_has(found))
        if prompt not in prompts:
            prompts.append(prompt)
        place = end
    return PromptSet.of(found.name, prompts, found.card)


def _named(found: PromptSet, word: str) -> Prompt | None:
    """The prompt of that name: as it is written, else in any case, else by a synonym."""
    if word in found:
        return found[word]
    key = spelled(word)
    by_name = (one for one in found.values() if spelled(one.structure.name) == key)
    by_synonym = (one for one in found.values() if key in _synonyms(one.structure))
    return next(by_name, None) or next(by_synonym, None)


def _synonyms(structure: Structure) -> set[str]:
    return {spelled(one) for one in structure.synonyms}


def _it_has(found: PromptSet) -> str:
    return f"it has: {quoted(found, 30)}"


def _find(name: str) -> PromptSet:
    path = Path(name)
    try:
        if path.suffix == SUFFIX or path.is_file():
            return PromptSet.read(path)
    except (ValueError, OSError):
        pass
    for candidate in shipped():
        if candidate.stem == name:
            return PromptSet.read(candidate)
    known = ", ".join(p.stem for p in shipped()) or "none"
    raise PromptError(f"There is no prompt set {short(name)!r}", f"name a .promptset file or one of: {known}")
