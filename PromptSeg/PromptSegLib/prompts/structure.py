"""A structure: an anatomical thing with its name, its terminology code and its colour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """One entry of a coding scheme, as DICOM and Slicer's terminologies write it."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Structure:
    """``name`` as users read it (lower case English), SNOMED CT ``category`` and ``code`` where known, optional
    laterality ``modifier``, and ``colour`` (r, g, b), each 0..1."""

    name: str
    code: Code | None = None
    colour: tuple[float, float, float] = (0.9, 0.6, 0.1)
    category: Code | None = None
    modifier: Code | None = None
    synonyms: tuple[str, ...] = ()
