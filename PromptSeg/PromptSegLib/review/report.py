"""A report that a clinician can open, print and pass on: one HTML file with everything in it, and no script.

What it says is put together from the small classes here; :mod:`.report_html` makes a page of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyFigure:
    """One number that matters: its ``value`` as text, what it is, and what to hold against it."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table; the ``best`` of its column stands out."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """The first column names the rows, the others hold numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class ReportPicture:
    """An ``<svg>`` element from :mod:`.figures`, which carries its own alternative text, with a line below it, and
    what was ``decided`` of it in another one."""

    svg: str
    title: str
    note: str = ""
    decided: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side. ``legend`` lists (role, meaning), roles as in :mod:`.figures`; ``wide`` is for charts."""

    title: str
    pictures: Sequence[ReportPicture]
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Terms:
    """Terms with what there is to say about them."""

    title: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """A heading, a short introduction and what follows it."""

    title: str
    blocks: Sequence[Table | Gallery | Terms] = ()
    lead: Sequence[str] = ()

    @property
    def anchor(self) -> str:
        """What the table of contents points to."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


@dataclass(frozen=True)
class Report:
    """``summary`` says in a sentence what was done; ``warning`` is printed above everything and on paper too.
    ``language`` is the code of the page's; what follows are the words of the page itself."""

    title: str
    summary: str
    key_figures: Sequence[KeyFigure]
    sections: Sequence[Section]
    warning: str = ""
    footer: str = ""
    language: str = "en"
    skip: str = "Skip to the content"
    contents: str = "Contents"
    table: str = "table"
