"""What a series says of its patient and study, as a new object may repeat it: within what DICOM allows (PS3.5, 6.2).

Archives and scanners take longer texts, dates that are none and names of six parts; strict readers refuse an object
that repeats them. UIDs stay as they are: a changed one would name nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PromptSegLib.errors import few

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

_GROUPS = (0x0008, 0x0010, 0x0012, 0x0032, 0x0038, 0x0040)
"""Where the elements of patient, study and clinical trial are."""
_STUDY = (
    "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
    "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord",
)  # fmt: skip
_TEXTS = {"LO": 64, "SH": 16, "LT": 10240, "ST": 1024, "UC": 2**32 - 2, "UT": 2**32 - 2}
_LINES = ("LT", "ST", "UT")
_CHECKED = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR")
_GROUP_OF_NAME, _GROUPS_OF_NAME, _PARTS_OF_NAME = 64, 3, 5
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


class Changed:
    """The elements of patient and study that could not be repeated as they are, by keyword."""

    def __init__(self) -> None:
        self.shortened: list[str] = []
        self.left_out: list[str] = []

    def note(self) -> list[str]:
        """A sentence for the user, if there is anything to say."""
        found = [
            f"{few(names, 12)} {'was' if len(names) == 1 else 'were'} {what} in the result"
            for names, what in ((self.shortened, "shortened"), (self.left_out, "left out"))
            if names
        ]
        if not found:
            return []
        return [f"The DICOM series says more of patient and study than the standard allows: {', and '.join(found)}."]


def make_valid(one: Dataset, changed: Changed) -> None:
    """Bring what a dataset says of patient and study within DICOM's limits: texts are shortened, and what else is not
    valid is left out, as are elements that cannot be read."""
    for tag in list(one.keys()):
        try:
            element = one[tag]
        except Exception:  # pydicom raises what the conversion of a value raises
            del one[tag]
            continue
        if tag.group not in _GROUPS and element.keyword != "StudyID":
            continue
        told = tag.group in (0x0010, 0x0012) or element.keyword in _STUDY
        if not _is_valid(element):
            if told:
                changed.left_out.append(element.keyword)
            del one[tag]
        elif _shorten(element) and told:
            changed.shortened.append(element.keyword)


def is_uid(text: str) -> bool:
    """Whether ``text`` is a UID as DICOM allows it."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def _is_valid(element: DataElement) -> bool:
    """Whether an element is valid once its texts are shortened. The UIDs of the object itself are not asked."""
    from pydicom import config
    from pydicom.valuerep import validate_value

    if element.VR == "SQ":
        return all(_is_valid_item(item) for item in element.value or [])
    if element.VR not in _CHECKED or (element.VR == "UI" and element.keyword.endswith("InstanceUID")):
        return True
    try:
        for value in element.value if element.VM > 1 else [element.value]:
            if value is not None:
                validate_value(element.VR, str(value), config.RAISE)
    except ValueError:
        return False
    return True


def _is_valid_item(item: Dataset) -> bool:
    try:
        elements = list(item)
    except Exception:  # as above
        return False
    for element in elements:
        _shorten(element)
    return all(_is_valid(element) and (element.VR != "UI" or _are_uids(element)) for element in elements)


def _are_uids(element: DataElement) -> bool:
    values = element.value if element.VM > 1 else [element.value or ""]
    return all(is_uid(str(value)) or not value for value in values)


def _shorten(element: DataElement) -> bool:
    """Bring a text or a name within its limits; whether that changed it."""
    from pydicom.datadict import dictionary_VM

    shorten: Callable[[str], str]
    if element.VR == "PN":
        shorten = _short_name
    elif element.VR in _TEXTS:
        limit, lines = _TEXTS[element.VR], element.VR in _LINES

        def shorten(text: str) -> str:
            return _plain(text, lines)[:limit].rstrip()

    else:
        return False
    value: Any = element.value
    if value is None or value == "":
        return False
    former = [str(part) for part in value] if element.VM > 1 else [str(value)]
    try:
        single = dictionary_VM(element.tag) == "1"
    except KeyError:  # a private element
        single = False
    texts = ["/".join(former)] if single and len(former) > 1 else former
    made = [shorten(text) for text in texts]
    if made == [text.rstrip() for text in former]:
        return False
    element.value = made if len(made) > 1 else made[0]
    return True


def _plain(text: str, lines: bool) -> str:
    """Without what steers a printer, but for ends of lines where they may be."""
    kept = "\t\n\f\r" if lines else ""
    return "".join(c if c in kept or (ord(c) > 0x1F and c != "\x7f") else " " for c in text)


def _short_name(name: str) -> str:
    """A person's name: at most three ways to write it, each of at most five parts and 64 characters."""
    groups = _plain(name, lines=False).split("=")[:_GROUPS_OF_NAME]
    return "=".join("^".join(group.split("^")[:_PARTS_OF_NAME])[:_GROUP_OF_NAME].rstrip() for group in groups)
