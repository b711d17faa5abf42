"""A structure as DICOM says it: codes of category, type and laterality, and texts of the length that it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PromptSegLib.anatomy.structure import Code, Structure
from PromptSegLib.anatomy.terminology import ANATOMY, TISSUE, find

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_ANY = Code("SCT", "85756007", "Tissue")
"""The type of what no code is known for, as 3D Slicer and dcmqi write it; its label says what it is."""
_LONG_STRING, _SHORT_STRING = 64, 16


def category_and_type(structure: Structure) -> tuple[Code, Code, Code | None]:
    """Category, type and laterality (or None) of a structure: its own codes, else those of its name in the
    terminology, else tissue."""
    known = structure if structure.code is not None else find(structure.name) or structure
    if known.code is None or not _can_be_written(known.code):
        return TISSUE, _ANY, None
    category, modifier = known.category or ANATOMY, known.modifier
    return (
        category if _can_be_written(category) else ANATOMY,
        known.code,
        modifier if modifier is not None and _can_be_written(modifier) else None,
    )


def _can_be_written(code: Code) -> bool:
    """Whether DICOM's code sequences, which have short values, can hold a code."""
    return all(0 < len(part) <= _SHORT_STRING and "\\" not in part for part in (code.scheme, code.value))


def text(value: str, limit: int = _LONG_STRING) -> str:
    """A value of DICOM's long string (LO): at most 64 characters, no backslash, which separates values. Many programs
    that read it count bytes instead, of which there are no more either."""
    plain = " ".join(value.replace("\\", "/").split())
    if len(plain.encode()) <= limit:
        return plain
    return plain.encode()[: limit - 3].decode("utf-8", "ignore").rstrip() + "..."


def item(code: Code) -> Dataset:
    """An item of a code sequence."""
    from pydicom.dataset import Dataset

    found = Dataset()
    found.CodeValue, found.CodingSchemeDesignator, found.CodeMeaning = code.value, code.scheme, text(code.meaning)
    return found
