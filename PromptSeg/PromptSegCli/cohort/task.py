"""What is to be done with one volume, as it goes to the process that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from PromptSegLib import __version__


@dataclass(frozen=True)
class Task:
    """Everything that a worker needs to know for one volume, as plain values; paths are absolute."""

    subject: str
    image: str
    files: tuple[str, ...]
    problem: str
    prompts: tuple[str, ...]
    reference: str
    orientation: str | None
    memory: bool
    """Whether what a taught prompt tells of other patients is used."""
    format: str
    root: str
    output: str
    """Relative to ``root``."""
    details: str
    token: str
    key: str
    stamp: str
    prompt_ids: Mapping[str, str]
    backbone: str
    backbone_id: str
    device: str
    version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Task:
        """Of what :meth:`to_json` gave."""
        return cls(**{**values, "files": tuple(values["files"]), "prompts": tuple(values["prompts"])})
