"""The segmented volumes of a scene, as they can teach a structure."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.anatomy.terminology import find
from PromptSegLib.errors import GridError, InputError
from PromptSegLib.mrml import nodes, slices
from PromptSegLib.mrml.labelled_pairs import pairs_of, structure_of, structures_in
from PromptSegLib.mrml.vtk_images import oriented_image
from PromptSegLib.worker.payload import Found


@pytest.fixture
def add(scene, kit, slicer):
    """A CT with a segmentation that has these segments, by name."""

    def make(seed: int, **segments):
        one = kit.make_phantom(seed, (12, 32, 32))
        volume = nodes.add_volume(scene, one.volume)
        node = nodes.new_segmentation(volume)
        for name, label in segments.items():
            segment = slicer.vtkSegment()
            segment.SetName(name)
            image = oriented_image(one.labels == label, (0, 0, 0), one.volume.grid.ijk_to_ras)
            segment.AddRepresentation(nodes.LABELMAP, image)
            node.GetSegmentation().AddSegment(segment, name)
        return one, volume, node

    return make


def test_structures_are_listed_by_how_many_segmentations_have_them(scene, add) -> None:
    add(1, Liver=1, spleen=2)
    add(2, liver=1)
    add(3, LIVER=1, other=3)
    assert structures_in(scene) == [("Liver", 3), ("other", 1), ("spleen", 1)]
    pairs = pairs_of(scene, "liver")
    assert [pair.segment.GetName() for pair in pairs] == ["Liver", "liver", "LIVER"]
    assert structure_of(pairs[1]) == find("liver")
    (other,) = pairs_of(scene, "Other")
    assert structure_of(other).name == "other"
    assert structure_of(other).colour == tuple(other.segment.GetColor())


def test_a_pair_gives_its_mask_on_the_volume(scene, add) -> None:
    one, volume, _node = add(1, liver=1)
    (pair,) = pairs_of(scene, "liver")
    assert pair.volume is volume
    assert np.array_equal(pair.mask(), one.labels == 1)


def test_work_in_a_few_slices_is_no_segmentation_and_results_are_told(scene, add) -> None:
    one, volume, node = add(1, liver=1)
    slices.mark(node, "liver", volume, 0, 5, slices.SliceStatus.COMPLETE)
    assert structures_in(scene) == []
    (identity,) = nodes.show([Found(find("spleen"), one.labels == 2, (0, 0, 0), 1.0)], node, volume)
    node.GetSegmentation().GetSegment(identity).SetName("my own name")
    assert structures_in(scene) == [("spleen", 1)]
    (pair,) = pairs_of(scene, "spleen")
    assert pair.found
    node.GetSegmentation().GetSegment(identity).SetTag(nodes.STATUS_TAG, "completed")
    (pair,) = pairs_of(scene, "spleen")
    assert not pair.found


def test_the_volume_is_the_one_that_is_told_or_the_only_one_beside(scene, add, slicer) -> None:
    _one, volume, node = add(1, liver=1)
    role = node.GetReferenceImageGeometryReferenceRole()
    node.SetNodeReferenceID(role, None)
    (pair,) = pairs_of(scene, "liver")
    assert pair.volume is None
    with pytest.raises(InputError, match="does not say which volume it is of; choose both"):
        pair.mask()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    for one in (volume, node):
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(one) or hierarchy.CreateItem(study, one), study)
    (pair,) = pairs_of(scene, "liver")
    assert pair.volume is volume


def test_what_cannot_teach_is_told_with_a_remedy(scene, add, kit) -> None:
    _one, volume, node = add(1, liver=1, nothing=9)
    (pair,) = pairs_of(scene, "nothing")
    with pytest.raises(InputError, match=r"nothing is empty in .*; untick that volume, or segment it there first"):
        pair.mask()
    other = kit.make_phantom(2, (9, 20, 20))
    shifted = nodes.add_volume(scene, other.volume)
    matrix = other.volume.grid.ijk_to_ras.copy()
    matrix[:3, 3] += 0.3
    from PromptSegLib.mrml.vtk_images import vtk_matrix

    shifted.SetIJKToRASMatrix(vtk_matrix(matrix))
    node.SetReferenceImageGeometryParameterFromVolumeNode(shifted)
    (pair,) = pairs_of(scene, "liver")
    with pytest.raises(GridError, match=r"does not lie on the voxels of .*; untick it, or give it the volume"):
        pair.mask()
    nodes.remove(volume)
    nodes.remove(shifted)
    with pytest.raises(InputError, match="was removed; choose others"):
        pair.mask()
