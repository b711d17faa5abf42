"""The language that a report is in: English, unless a front end has another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """``text`` gives one of a report's own texts, as it stands in the source, in another language; ``said`` what a
    review says of a structure or a slice, and ``name`` a structure's name. ``language`` is the code that a page has."""

    language: str = "en"
    text: Callable[[str], str] = str
    said: Callable[[str], str] = str
    name: Callable[[str], str] = str


ENGLISH = Wording()
