"""Which segment of a reference segmentation is the same structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..anatomy.terminology import TISSUE, parse_entry
from ..mrml import nodes
from ..spelling import spelled


def unique(name: str, taken: Mapping[str, Any]) -> str:
    """A name that is not taken yet: segments may have one name, reviews may not."""
    made, number = name or "segment", 1
    while made in taken:
        number += 1
        made = f"{name} ({number})"
    return made


def matching(segment: Any, reference: Any) -> str:
    """The id of the segment of a reference that has the same name, else the same terminology code; empty if none."""

    def description(one: Any) -> tuple[str, str, str]:
        entry = parse_entry(nodes.tag(one, one.GetTerminologyEntryTagName()))
        structure = nodes.tag(one, nodes.RESULT_TAG) or one.GetName()
        known = entry[1] is not None and entry[1].value != TISSUE.value  # which Slicer gives to every new segment
        code = f"{entry[1].value} {entry[2].value if entry[2] else ''}" if known and entry[1] else ""
        return spelled(one.GetName()), spelled(structure), code

    name, structure, code = description(segment)
    contents = reference.GetSegmentation()
    others = {one: description(contents.GetSegment(one)) for one in contents.GetSegmentIDs()}
    for wanted in ({name}, {structure}):
        for one, (its_name, its_structure, _) in others.items():
            if wanted & {its_name, its_structure}:
                return one
    return next((one for one, (_, _, its) in others.items() if code and its == code), "")
