"""The last round of teaching a segment, kept in the scene: so that a saved scene is a place to go on from.

A hidden text node for each segment holds what was learned (the ``.promptset`` file itself) and what was told of it. It
is written into the scene's own file, and refers to the volume and the segmentation, whatever their names become.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import UNREADABLE, PromptSegError
from ..tune.outcome import Outcome

KIND, SEGMENT = "PromptSeg.Round", "PromptSeg.Segment"
VOLUME_ROLE, SEGMENTATION_ROLE = "PromptSeg.Volume", "PromptSeg.Segmentation"
_FORMAT = "1"
_OWN: dict[str, type] = {"round": int, "result_segment_id": str}
"""What is told of a round beside its outcome, and of what kind each is."""
_MUST = {
    "left_out",
    "leave_one_slice_out_dice",
    "history",
    "notes",
    "seconds",
    "stopped",
    "estimate",
    "suggestions",
    "review",
}
"""Of the outcome; what later versions added may be missing."""


@dataclass(frozen=True)
class Kept:
    """The last round of a segment: its number, the segment that shows it, what it came to, and the ``.promptset``."""

    round: int
    result_segment_id: str
    outcome: Outcome
    prompt: bytes


def keep(volume: Any, segmentation: Any, segment_id: str, kept: Kept) -> None:
    """Keep a round in the place of the one before it."""
    scene = segmentation.GetScene()
    for orphan in [one for one in _all(scene) if None in _of(one)]:
        scene.RemoveNode(orphan)
    node = next(_nodes(volume, segmentation, segment_id), None)
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLTextNode")
        node.UnRegister(None)  # the scene keeps it
        node.SetName("PromptSeg round")
        node.SetHideFromEditors(True)
        node.SetForceCreateStorageNode(node.CreateStorageNodeNever)  # it has no file of its own to be asked about
        node.SetAttribute(KIND, _FORMAT)
        node.SetAttribute(SEGMENT, segment_id)
        scene.AddNode(node)
        node.SetNodeReferenceID(VOLUME_ROLE, volume.GetID())
        node.SetNodeReferenceID(SEGMENTATION_ROLE, segmentation.GetID())
    values = {"round": kept.round, "result_segment_id": kept.result_segment_id, **kept.outcome.to_json()}
    node.SetText(json.dumps({**values, "promptset": base64.b64encode(kept.prompt).decode()}))


def kept(volume: Any, segmentation: Any, segment_id: str) -> Kept | None:
    """What :func:`keep` was given for a segment; None where there is nothing, or nothing that can be read."""
    for node in _nodes(volume, segmentation, segment_id):
        try:
            values = json.loads(node.GetText())
            prompt = base64.b64decode(values.pop("promptset"), validate=True)
            if _sound(values):
                outcome = Outcome.from_json(values)
                return Kept(values["round"], values["result_segment_id"], outcome, prompt)
        except (PromptSegError, *UNREADABLE):
            continue
    return None


def have_no_file(scene: Any) -> None:
    """Rounds that came with a scene have no file of their own either. Slicer forgets that they are to have none, and
    gives them one with the next bundle; it never offers to save what is hidden, so that the round would be gone."""
    for node in _all(scene):
        node.SetForceCreateStorageNode(node.CreateStorageNodeNever)
        file = node.GetStorageNode()
        if file is not None:
            node.SetAndObserveStorageNodeID(None)
            scene.RemoveNode(file)


def forget(volume: Any, segmentation: Any, segment_id: str) -> None:
    """Keep nothing of a segment any more."""
    for node in list(_nodes(volume, segmentation, segment_id)):
        node.GetScene().RemoveNode(node)


def segments_of(volume: Any) -> list[tuple[Any, str]]:
    """(segmentation, segment id) of the rounds that a scene keeps of a volume."""
    found = []
    for node in _all(volume.GetScene()):
        its, segmentation = _of(node)
        segment_id = node.GetAttribute(SEGMENT)
        if its is volume and segmentation is not None and segment_id:
            found.append((segmentation, str(segment_id)))
    return found


def _sound(values: Mapping[str, Any]) -> bool:
    """Whether the keys are those that :func:`keep` writes: a scene may come from anybody."""
    known = {f.name for f in fields(Outcome)} | _OWN.keys()
    return (
        values.keys() <= known
        and values.keys() >= _MUST | _OWN.keys()
        and all(isinstance(values[k], kind) and not isinstance(values[k], bool) for k, kind in _OWN.items())
    )


def _all(scene: Any) -> list[Any]:
    count = 0 if scene is None else scene.GetNumberOfNodesByClass("vtkMRMLTextNode")
    every = [scene.GetNthNodeByClass(n, "vtkMRMLTextNode") for n in range(count)]
    return [one for one in every if one.GetAttribute(KIND) == _FORMAT]


def _of(node: Any) -> tuple[Any, Any]:
    return node.GetNodeReference(VOLUME_ROLE), node.GetNodeReference(SEGMENTATION_ROLE)


def _nodes(volume: Any, segmentation: Any, segment_id: str) -> Iterator[Any]:
    for node in _all(segmentation.GetScene()):
        if node.GetAttribute(SEGMENT) == segment_id and _of(node) == (volume, segmentation):
            yield node
