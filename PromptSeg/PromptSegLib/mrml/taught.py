"""The last round of teaching a segment, kept in the scene: so that a saved scene is a place to go on from.

A hidden text node for each segment holds what was learned (the ``.promptset`` file itself) and what was told of it. It
is written into the scene's own file, and refers to the volume and the segmentation, whatever their names become.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

KIND, SEGMENT = "PromptSeg.Round", "PromptSeg.Segment"
VOLUME_ROLE, SEGMENTATION_ROLE = "PromptSeg.Volume", "PromptSeg.Segmentation"
_FORMAT = "1"
_NUMBER = (int, float)
_KINDS: dict[str, Any] = {
    "round": int, "result_segment_id": str, "leave_one_slice_out_dice": (*_NUMBER, type(None)), "left_out": list,
    "estimate": (dict, type(None)), "notes": list, "suggestions": list, "history": list, "review": (dict, type(None)),
    "seconds": _NUMBER, "stopped": bool,
}  # fmt: skip
"""What is told of a round, and of what kind each is."""
_KEYS = {"left_out": {"index", "dice"}, "suggestions": {"index", "reason"}, "history": {"step"}}


def keep(volume: Any, segmentation: Any, segment_id: str, values: Mapping[str, Any], prompt: bytes) -> None:
    """Keep a round: ``values`` is what :data:`_KINDS` lists (more is left out), ``prompt`` a ``.promptset`` file."""
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
    told = {key: value for key, value in values.items() if key in _KINDS}
    node.SetText(json.dumps({**told, "promptset": base64.b64encode(prompt).decode()}))


def kept(volume: Any, segmentation: Any, segment_id: str) -> tuple[dict[str, Any], bytes] | None:
    """What :func:`keep` was given for a segment; None where there is nothing, or nothing that can be read."""
    for node in _nodes(volume, segmentation, segment_id):
        try:
            values = json.loads(node.GetText())
            prompt = base64.b64decode(values.pop("promptset"), validate=True)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
            continue
        if _sound(values):
            return values, prompt
    return None


def forget(volume: Any, segmentation: Any, segment_id: str) -> None:
    """Keep nothing of a segment any more."""
    for node in list(_nodes(volume, segmentation, segment_id)):
        node.GetScene().RemoveNode(node)


def _sound(values: Mapping[str, Any]) -> bool:
    """Whether this is what :func:`keep` writes: a scene may come from anybody."""
    if values.keys() != _KINDS.keys() or not all(isinstance(values[k], kind) for k, kind in _KINDS.items()):
        return False
    lists = all(isinstance(one, dict) and one.keys() >= keys for k, keys in _KEYS.items() for one in values[k])
    return lists and (values["estimate"] is None or values["estimate"].keys() >= {"dice", "low", "high"})


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
