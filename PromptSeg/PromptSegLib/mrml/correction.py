"""A result of a structure that was taught elsewhere, corrected here: a segment to draw in that knows the result it
corrects, the prompt that found it, and the slices to begin with.

What was found becomes a slice's draft when the user comes to it, not before: a slice that nobody looked at teaches
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..anatomy.structure import Structure
from ..errors import UNREADABLE, PromptSegError
from .nodes import LABELMAP, prepare, segment_mask, tag
from .slices import add_segment, statuses_of

TAG = "PromptSeg.Corrects"
FOUND = ", found"
"""What the name of a result ends with that is corrected, so that it is told from the segment that is drawn in."""
_MAX_SLICES = 100


@dataclass(frozen=True)
class Correction:
    """``prompt`` (file, name) found the segment ``result_id``; ``slices`` (index, reason) along ``axis`` are least
    certain, the worst first."""

    prompt: tuple[str, str]
    result_id: str
    axis: int
    slices: tuple[Mapping[str, Any], ...] = ()

    @property
    def suggestions(self) -> list[dict[str, Any]]:
        """The slices as panels show them."""
        return [dict(one) for one in self.slices]


def begin(node: Any, name: str, correction: Correction) -> str:
    """A segment to draw in; gives its id. The result that it corrects goes by another name from now on."""
    contents = node.GetSegmentation()
    result = contents.GetSegment(correction.result_id)
    if result is not None and result.GetName() == name:
        result.SetName(f"{name}{FOUND}")
    segment_id = add_segment(node, name)
    values = {
        "prompt": list(correction.prompt), "result": correction.result_id, "axis": correction.axis,
        "slices": [{"index": int(one["index"]), "reason": str(one["reason"])} for one in correction.slices],
    }  # fmt: skip
    # Tags are kept in one text, parted by these characters.
    text = json.dumps(values).replace("|", "\\u007c")
    contents.GetSegment(segment_id).SetTag(TAG, text)
    return segment_id


def correction_of(node: Any, segment_id: str) -> Correction | None:
    """What a segment corrects; None for one that corrects nothing, or a tag that cannot be read: it may come from
    anybody's scene."""
    segment = node.GetSegmentation().GetSegment(segment_id) if node is not None and segment_id else None
    text = "" if segment is None else tag(segment, TAG)
    if not text:
        return None
    try:
        values = json.loads(text)
        file, name = values["prompt"]
        axis, result_id, slices = values["axis"], values["result"], _slices(values["slices"])
    except UNREADABLE:
        return None
    texts = all(isinstance(one, str) and 0 < len(one) < 4096 and one.isprintable() for one in (file, name, result_id))
    if not texts or type(axis) is not int or axis not in (0, 1, 2):
        return None
    return Correction((file, name), result_id, axis, slices)


def take_draft(
    node: Any, segment_id: str, volume_node: Any, index: int, save_state: Callable[[], object] | None = None
) -> bool:
    """Put what was found in one slice into the segment that corrects it, for the user to correct; False where the slice
    is drawn in or marked already, nothing was found in it, or the result is gone. ``save_state`` is called before the
    segment changes."""
    correction = correction_of(node, segment_id)
    if correction is None:
        return False
    axis = correction.axis
    try:
        statuses = statuses_of(node, segment_id, volume_node, axis)
        if not 0 <= index < len(statuses) or statuses[index].value != "untouched":
            return False
        found = segment_mask(node, correction.result_id, volume_node)
        own = segment_mask(node, segment_id, volume_node)
    except PromptSegError:
        return False
    plane = np.moveaxis(found, axis, 0)[index]
    if not plane.any():
        return False
    if save_state is not None:
        save_state()
    np.moveaxis(own, axis, 0)[index] |= plane
    contents = node.GetSegmentation()
    segment = contents.GetSegment(segment_id)
    image = prepare(_Drawn(Structure(segment.GetName()), own), node, volume_node)
    contents.SeparateSegmentLabelmap(segment_id)  # it may share its label map with others
    segment.RemoveAllRepresentations(LABELMAP)
    segment.SetLabelValue(1)
    segment.AddRepresentation(LABELMAP, image)
    segment.Modified()
    return True


@dataclass(frozen=True)
class _Drawn:
    structure: Structure
    mask: np.ndarray
    low: tuple[int, int, int] = (0, 0, 0)


def _slices(values: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) > _MAX_SLICES:
        raise TypeError(values)
    found = []
    for one in values:
        index, reason = one["index"], one["reason"]
        if isinstance(index, bool) or not isinstance(index, int) or index < 0 or not isinstance(reason, str):
            raise TypeError(one)
        found.append({"index": index, "reason": reason[:1000]})
    return tuple(found)
