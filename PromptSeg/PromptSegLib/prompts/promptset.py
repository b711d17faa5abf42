"""Prompts, and the sets of them that go from patient to patient and from colleague to colleague."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..anatomy.structure import Structure
from ..errors import PromptError, quoted
from . import promptfile
from .card import Card
from .promptfile import Entry, Header
from .reference_mask import ReferenceMask
from .taught_on import recall, remember

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Prompt:
    """What was learned for one structure on one backbone.

    ``tensors`` maps the names of :meth:`~PromptSegLib.model.punet.PUNet.prompt_shapes` to tensors. ``masks`` say where
    the structure lies in open reference CTs, if it was exported so.
    """

    structure: Structure
    backbone_id: str
    tensors: Mapping[str, Tensor]
    card: Card = field(default_factory=Card)
    masks: tuple[ReferenceMask, ...] = ()

    def check(self, shapes: Mapping[str, tuple[int, ...]], backbone_id: str, backbone_name: str = "") -> None:
        """Raise :class:`PromptError` unless this prompt was learned on that backbone and is complete."""
        if self.backbone_id != backbone_id:
            raise PromptError(
                f"The prompt for {self.structure.name} was learned on backbone {self.backbone_id[:12]}, "
                f"not on {backbone_name or 'this one'} ({backbone_id[:12]})",
                "use the backbone that it names, or teach the structure again",
            )
        found = {k: tuple(v.shape) for k, v in self.tensors.items()}
        if found != dict(shapes):
            raise PromptError(
                f"The prompt for {self.structure.name} has tensors of the wrong shape", "get the file again"
            )


@dataclass(frozen=True)
class PromptSet(Mapping[str, Prompt]):
    """A named collection of prompts, by structure name, in a fixed order; ``card`` is plain JSON about all of them."""

    name: str
    prompts: Mapping[str, Prompt]
    card: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, prompts: Iterable[Prompt], card: Mapping[str, Any] | None = None) -> PromptSet:
        """From prompts of different structures. Raises :class:`PromptError` if two have one name."""
        by_name: dict[str, Prompt] = {}
        for prompt in prompts:
            if prompt.structure.name in by_name:
                raise PromptError(f"There are two prompts for {prompt.structure.name}", "keep one of them")
            by_name[prompt.structure.name] = prompt
        return cls(name, by_name, dict(card or {}))

    def __getitem__(self, name: str) -> Prompt:
        return self.prompts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.prompts)

    def __len__(self) -> int:
        return len(self.prompts)

    def merge(self, other: PromptSet, name: str) -> PromptSet:
        """Both sets in one. Raises :class:`PromptError` if they share a structure or differ in backbone."""
        twice = [one for one in self if one in other]
        if twice:
            raise PromptError(
                f"{self.name} and {other.name} both have a prompt for {quoted(twice, 3)}",
                "name which structures of one of them are wanted after a colon, as in abdomen-ct:liver,spleen",
            )
        ids = {p.backbone_id for p in (*self.values(), *other.values())}
        if len(ids) > 1:
            raise PromptError(
                f"{self.name} and {other.name} were learned on different backbones", "merge sets of one backbone"
            )
        return PromptSet.of(name, [*self.values(), *other.values()])

    def write(self, path: Path | str) -> None:
        """Write the set; what was at ``path`` is replaced only by a whole file.

        The grids of the volumes that a prompt was taught on are remembered on this computer, and are not in the file.
        Raises :class:`PromptError` for what could not be read again, and :class:`OutputError`.
        """
        entries = tuple(Entry(p.structure, p.backbone_id, p.card, p.masks) for p in self.values())
        arrays = [{k: v.detach().cpu().half().numpy() for k, v in p.tensors.items()} for p in self.values()]
        promptfile.write_file(path, Header(self.name, self.card, entries), arrays)
        for prompt, own in zip(self.values(), arrays, strict=True):
            remember(own, prompt.card)

    @classmethod
    def read(cls, path: Path | str) -> PromptSet:
        """Read a ``.promptset``. Raises :class:`PromptError` for anything that is not a whole, unchanged one."""
        import torch

        header, arrays = promptfile.read_file(path)
        prompts = []
        for entry, own in zip(header.entries, arrays, strict=True):
            drawn = recall(own, entry.card)
            seen = tuple(dict.fromkeys((*drawn, *entry.card.taught_on)))
            tensors = {k: torch.from_numpy(v.astype("f4")) for k, v in own.items()}
            card = replace(entry.card, taught_on=seen)
            prompts.append(Prompt(entry.structure, entry.backbone_id, tensors, card, entry.masks))
        return cls.of(header.name, prompts, header.card)
