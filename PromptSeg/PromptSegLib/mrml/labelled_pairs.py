"""The segmented volumes of a scene: which structures they have, and which CT each segmentation is of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..anatomy.structure import Structure
from ..anatomy.terminology import find, key
from ..errors import GridError, InputError
from .nodes import RESULT_TAG, STATUS_TAG, is_taught, segment_mask, tag
from .slices import TAG

_VOLUME, _SEGMENTATION = "vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode"


@dataclass(frozen=True)
class Pair:
    """A segment of the structure, and the volume node that it is of: None where the segmentation does not say it.

    ``found`` says that PromptSeg found it itself, and that nobody has called it completed.
    """

    segmentation: Any
    segment_id: str
    volume: Any
    found: bool = False

    @property
    def segment(self) -> Any:
        """The ``vtkSegment``; None once it was removed."""
        return self.segmentation.GetSegmentation().GetSegment(self.segment_id)

    def mask(self) -> np.ndarray:
        """(K, J, I) bool on the volume's grid. Raises :class:`InputError` and :class:`GridError` where it cannot
        teach."""
        name = self.segmentation.GetName()
        if self.volume is None:
            raise InputError(f"{name} does not say which volume it is of", NO_VOLUME)
        if self.volume.GetScene() is None or self.segmentation.GetScene() is None or self.segment is None:
            raise InputError(f"{name}, or the volume that it is of, was removed", "choose others and try again")
        try:
            mask = segment_mask(self.segmentation, self.segment_id, self.volume)
        except GridError as error:
            raise GridError(
                f"{name} does not lie on the voxels of {self.volume.GetName()}",
                "untick it, or give it the volume's geometry (Segment Editor, the button beside the source volume)",
            ) from error
        if not mask.any():
            raise InputError(
                f"{self.segment.GetName()} is empty in {name}", "untick that volume, or segment it there first"
            )
        return mask


NO_VOLUME = "choose both, volume and segmentation, in the Segment Editor once"
"""What makes a segmentation know its volume."""


def structures_in(scene: Any) -> list[tuple[str, int]]:
    """The names of segments, one for each structure, and how many segmentations have it: the most frequent first."""
    names: dict[str, str] = {}
    count: dict[str, int] = {}
    for node in _nodes(scene, _SEGMENTATION):
        for known, name in {key(name): name for _id, name in _whole_segments(node)}.items():
            names.setdefault(known, name)
            count[known] = count.get(known, 0) + 1
    return sorted(((names[one], n) for one, n in count.items()), key=lambda one: (-one[1], one[0].casefold()))


def pairs_of(scene: Any, structure: str) -> list[Pair]:
    """The segments of a structure, with their volumes; one for each segmentation."""
    pairs = []
    for node in _nodes(scene, _SEGMENTATION):
        ids = [identity for identity, name in _whole_segments(node) if key(name) == key(structure)]
        if ids:
            segment = node.GetSegmentation().GetSegment(ids[0])
            own = bool(tag(segment, RESULT_TAG)) and tag(segment, STATUS_TAG) != "completed"
            pairs.append(Pair(node, ids[0], _volume_of(node), own))
    return pairs


def structure_of(pair: Pair) -> Structure:
    """The structure that a segment shows: what the terminology knows of its name, else its name and colour."""
    name = _title(pair.segment)
    return find(name) or Structure(name, None, tuple(pair.segment.GetColor()))


def _nodes(scene: Any, kind: str) -> Iterator[Any]:
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        yield scene.GetNthNodeByClass(number, kind)


def _whole_segments(node: Any) -> Iterator[tuple[str, str]]:
    """(id, name) of the segments that are no work in a few slices."""
    contents = node.GetSegmentation()
    for identity in contents.GetSegmentIDs():
        segment = contents.GetSegment(identity)
        if not tag(segment, TAG) and not is_taught(segment):
            yield identity, _title(segment)


def _title(segment: Any) -> str:
    """The name under which a segment's structure is known: that of the result, whatever it was renamed to."""
    return str(tag(segment, RESULT_TAG) or segment.GetName()).strip()


def _volume_of(node: Any) -> Any:
    """The volume that a segmentation says it is of, else the only one beside it in the subject hierarchy."""
    import slicer

    told = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    if told is not None and told.IsA(_VOLUME) and not told.IsA("vtkMRMLLabelMapVolumeNode"):
        return told
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    own = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    above = hierarchy.GetItemParent(own) if own else 0
    if not above or above == hierarchy.GetSceneItemID():
        return None
    beside = [
        one for one in _nodes(node.GetScene(), _VOLUME)
        if not one.IsA("vtkMRMLLabelMapVolumeNode")
        and hierarchy.GetItemParent(hierarchy.GetItemByDataNode(one)) == above
    ]  # fmt: skip
    return beside[0] if len(beside) == 1 else None
