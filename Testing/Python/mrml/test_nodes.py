"""Volume nodes to volumes and masks to segmentation nodes, on grids of all kinds and under transforms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import entry_string, find
from PromptSegLib.errors import GridError, InputError
from PromptSegLib.mrml.nodes import RESULT_TAG, grid_of, new_segmentation, segment_mask, show, tag, volume_of
from PromptSegLib.mrml.vtk_images import array_of, image_to_world
from PromptSegLib.volumes.volume import Grid
from PromptSegLib.worker.payload import Found, bounding_box


@dataclass(frozen=True)
class Plain:
    """A result that is not the worker's."""

    structure: Structure
    mask: np.ndarray
    low: tuple[int, int, int]


def found(mask: np.ndarray, name: str = "liver") -> Found:
    """As the worker gives it: cut to its box."""
    box = bounding_box(mask)
    low = (box[0].start, box[1].start, box[2].start)
    return Found(find(name) or Structure(name), mask[box], low, 0.0)


def names(node) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]


def test_voxels_and_grid_are_the_nodes_and_are_not_copied(add_volume, make_grid, direction) -> None:
    grid = make_grid(direction)
    node = add_volume(grid=grid)
    volume = volume_of(node)
    assert volume.name == "CT"
    assert np.allclose(volume.ijk_to_ras, grid.ijk_to_ras, rtol=0, atol=1e-9)
    shared = array_of(node.GetImageData())
    assert np.shares_memory(volume.voxels, shared)
    assert volume.voxels[3, 2, 1] == node.GetImageData().GetScalarComponentAsDouble(1, 2, 3, 0)
    with pytest.raises(ValueError, match="read-only"):
        volume.voxels[0, 0, 0] = 1
    shared[0, 0, 0] = 7  # the node itself stays as it is


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [("uint8", "int16"), ("int32", "int16"), ("uint16", "int16"), ("float64", "float32"), ("float32", "float32")],
)
def test_other_types_of_voxels_become_ours(add_volume, kind, becomes) -> None:
    array = np.arange(6 * 7 * 8).reshape(6, 7, 8).astype(kind)
    voxels = volume_of(add_volume(array)).voxels
    assert voxels.dtype == becomes
    assert np.array_equal(voxels, array)


def test_large_whole_numbers_are_not_cut(add_volume) -> None:
    array = np.full((6, 7, 8), 40000, np.uint16)
    assert volume_of(add_volume(array)).voxels.max() == 40000


def test_a_transform_changes_neither_voxels_nor_grid(add_volume, make_grid, add_transform, bent) -> None:
    node = add_volume(grid=make_grid())
    for transform in (add_transform(), bent):
        node.SetAndObserveTransformNodeID(transform.GetID())
        assert volume_of(node).grid.matches(make_grid())


def test_nodes_that_are_no_ct_are_refused(scene, add_volume) -> None:
    with pytest.raises(InputError, match="The volume has no image"):
        volume_of(None)
    with pytest.raises(InputError, match="empty has no image"):
        volume_of(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    with pytest.raises(InputError, match="several values per voxel"):
        volume_of(add_volume(np.zeros((6, 7, 8, 3), np.uint8), kind="Vector"))
    with pytest.raises(InputError, match="is a label map"):
        volume_of(add_volume(np.zeros((6, 7, 8), np.uint8), kind="LabelMap"))
    tilted = np.eye(3)
    tilted[:, 2] = (0.0, np.sin(0.3), np.cos(0.3))
    with pytest.raises(GridError, match="is sheared: its axes are off the right angle by 17 degrees"):
        volume_of(add_volume(grid=Grid((8, 7, 6), direction=tuple(tilted.ravel()))))


def test_a_new_segmentation_belongs_to_its_volume(slicer, scene, add_volume, add_transform) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volume_node, transform = add_volume(), add_transform()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    hierarchy.CreateItem(patient, volume_node)
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    node = new_segmentation(volume_node)
    assert node.GetName() == "CT segmentation"
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume_node
    assert node.GetParentTransformNode() is transform
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == patient


def test_results_are_segments_with_name_terminology_and_colour(add_volume, make_grid, blob, direction) -> None:
    volume_node = add_volume(grid=make_grid(direction))
    node = new_segmentation(volume_node)
    other = np.roll(blob, 1, axis=2)  # overlaps
    ids = show([found(blob, "liver"), found(other, "left kidney"), found(blob & False, "my lesion")], node, volume_node)
    assert names(node) == ["liver", "left kidney", "my lesion"]
    for segment_id, mask, name in zip(ids, (blob, other, blob & False), names(node), strict=True):
        assert np.array_equal(segment_mask(node, segment_id, volume_node), mask)
        segment = node.GetSegmentation().GetSegment(segment_id)
        structure = find(name) or Structure(name)
        assert segment.GetColor() == pytest.approx(structure.colour)
        if structure.code:
            assert tag(segment, "TerminologyEntry") == entry_string(structure)
    image = node.GetSegmentation().GetSegment(ids[0]).GetRepresentation("Binary labelmap")
    assert np.allclose(image_to_world(image), make_grid(direction).ijk_to_ras, rtol=0, atol=1e-9)


def test_a_point_of_the_result_is_where_it_is_in_the_patient(add_volume, make_grid, add_transform, slicer) -> None:
    volume_node, transform = add_volume(grid=make_grid()), add_transform()
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    node = new_segmentation(volume_node)
    mask = np.zeros((6, 7, 8), bool)
    mask[4, 5, 2] = True
    show([found(mask)], node, volume_node)
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)  # in the world, so after the transform
    middle = np.array([(a + b) / 2 for a, b in zip(bounds[::2], bounds[1::2], strict=True)])
    import vtk

    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    expected = matrix.MultiplyPoint(tuple(make_grid().ijk_to_ras @ [2, 5, 4, 1]))[:3]
    assert np.allclose(middle, expected, atol=0.5)


def test_a_further_result_replaces_the_former_and_keeps_the_users_name(add_volume, blob) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    (first,) = show([found(blob)], node, volume_node)
    node.GetSegmentation().GetSegment(first).SetName("Leber")
    other = np.roll(blob, 1, axis=0)
    assert show([found(other)], node, volume_node) == [first]
    assert names(node) == ["Leber"]
    assert np.array_equal(segment_mask(node, first, volume_node), other)


def test_what_was_drawn_is_not_touched_also_where_it_has_the_same_name(add_volume, make_grid, blob, draw) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    drawn = draw(node, blob, make_grid(), "liver")
    (ours,) = show([found(np.roll(blob, 1, axis=0))], node, volume_node)
    assert ours != drawn
    assert np.array_equal(segment_mask(node, drawn, volume_node), blob)
    assert tag(node.GetSegmentation().GetSegment(drawn), RESULT_TAG) == ""


def test_a_result_that_shares_its_label_map_with_a_drawing_leaves_the_drawing(
    add_volume, make_grid, blob, draw
) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    apart = np.zeros_like(blob)
    apart[5, 6, 7] = True
    drawn = draw(node, apart, make_grid(), "lesion")
    (ours,) = show([found(blob)], node, volume_node)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    show([found(np.roll(blob, 1, axis=0))], node, volume_node)
    assert np.array_equal(segment_mask(node, drawn, volume_node), apart)
    assert np.array_equal(segment_mask(node, ours, volume_node), np.roll(blob, 1, axis=0))


def test_undo_brings_back_what_was_there(slicer, scene, add_volume, make_grid, blob, draw) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    drawn = draw(node, blob, make_grid(), "kidney")
    (ours,) = show([found(blob)], node, volume_node)
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetSegmentEditorNode(scene.AddNode(slicer.vtkMRMLSegmentEditorNode()))
    logic.SetSegmentationNode(node)
    logic.SetSourceVolumeNode(volume_node)
    other = np.roll(blob, 1, axis=0)
    show([found(other), found(other, "spleen")], node, volume_node, save_state=logic.SaveStateForUndo)
    assert names(node) == ["kidney", "liver", "spleen"]
    logic.Undo()
    assert names(node) == ["kidney", "liver"]
    assert np.array_equal(segment_mask(node, ours, volume_node), blob)
    assert np.array_equal(segment_mask(node, drawn, volume_node), blob)


def test_the_node_is_touched_once(add_volume, blob) -> None:
    import vtk

    volume_node = add_volume()
    node = new_segmentation(volume_node)
    touched: list = []
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: touched.append(1))
    show([found(blob, name) for name in ("liver", "spleen", "aorta")], node, volume_node)
    assert len(touched) <= 1


def test_segments_that_slicer_cropped_or_moved_are_read_where_they_are(
    add_volume, make_grid, blob, draw, slicer
) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    from PromptSegLib.mrml.vtk_images import oriented_image

    # The same voxels, with an origin two slices further and a box that sticks out of the volume.
    shifted = np.zeros((6, 7, 8), bool)
    shifted[:4] = blob[2:]
    shifted[5, 0, 0] = True  # outside
    moved = make_grid().ijk_to_ras.copy()
    moved[:3, 3] = (make_grid().ijk_to_ras @ [0, 0, 2, 1])[:3]
    segment = slicer.vtkSegment()
    segment.AddRepresentation("Binary labelmap", oriented_image(shifted, (0, 0, 0), moved))
    node.GetSegmentation().AddSegment(segment, "s")
    expected = blob.copy()
    expected[:2] = False
    assert np.array_equal(segment_mask(node, "s", volume_node), expected)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_voxels_whose_axes_run_otherwise_are_the_volumes(add_volume, make_grid, blob, draw, order) -> None:
    """A label map that another tool saved in another orientation shows the same voxels."""
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    backwards = np.diag([-1.0, 1.0, -1.0, 1.0])
    backwards[0, 3], backwards[2, 3] = blob.shape[2] - 1, blob.shape[0] - 1
    matrix = (make_grid().ijk_to_ras @ backwards)[:, [*(2 - axis for axis in order[::-1]), 3]]
    turned = blob[::-1, :, ::-1].transpose(order)
    segment_id = draw(node, turned, Grid.from_ijk_to_ras(matrix, turned.shape))
    assert np.array_equal(segment_mask(node, segment_id, volume_node), blob)


def test_voxels_of_another_grid_are_refused_or_resampled(add_volume, make_grid, blob, draw) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    fine = Grid((16, 14, 12), make_grid().origin, tuple(s / 2 for s in make_grid().spacing), make_grid().direction)
    doubled = blob.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    segment_id = draw(node, doubled, fine)
    with pytest.raises(GridError, match="kidney was not drawn on the voxels of CT"):
        segment_mask(node, segment_id, volume_node)
    assert np.array_equal(segment_mask(node, segment_id, volume_node, resample=True), blob)
    with pytest.raises(InputError, match="no such segment"):
        segment_mask(node, "none", volume_node)


def test_different_transforms_are_compared(add_volume, make_grid, blob, draw, add_transform, bent) -> None:
    volume_node, transform = add_volume(), add_transform()
    node = new_segmentation(volume_node)
    segment_id = draw(node, blob, make_grid())
    volume_node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(GridError, match="not drawn on the voxels"):
        segment_mask(node, segment_id, volume_node)
    twin = add_transform()  # another node, the same place
    node.SetAndObserveTransformNodeID(twin.GetID())
    assert np.array_equal(segment_mask(node, segment_id, volume_node), blob)
    node.SetAndObserveTransformNodeID(bent.GetID())
    for call in (lambda: segment_mask(node, segment_id, volume_node), lambda: show([found(blob)], node, volume_node)):
        with pytest.raises(GridError, match="one of them is bent; put both under the same transform"):
            call()
    assert names(node) == ["kidney"]


def test_results_land_in_the_right_place_beside_drawings_under_another_transform(
    add_volume, make_grid, blob, draw, add_transform
) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    draw(node, blob, make_grid())
    volume_node.SetAndObserveTransformNodeID(add_transform().GetID())
    (segment_id,) = show([found(blob)], node, volume_node)
    assert np.array_equal(segment_mask(node, segment_id, volume_node), blob)


def test_a_segmentation_of_another_volume_is_refused(add_volume, make_grid, blob, draw) -> None:
    other = Grid((8, 7, 6), (5.0, 0.0, 0.0))
    volume_node, another = add_volume(), add_volume(grid=other, name="MR")
    node = new_segmentation(another)
    draw(node, blob, other)
    with pytest.raises(GridError, match="MR segmentation belongs to the volume MR; choose another segmentation"):
        show([found(blob)], node, volume_node)
    assert names(node) == ["kidney"]
    twin = add_volume(name="CT again")  # the same grid, as a further phase of one scan has
    node = new_segmentation(twin)
    draw(node, blob, make_grid())
    assert len(show([found(blob)], node, volume_node)) == 1


def test_surfaces_are_not_thrown_away(slicer, add_volume, make_grid, blob, draw) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    segment_id = draw(node, blob, make_grid())
    assert node.GetSegmentation().CreateRepresentation("Closed surface")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.GetSegmentation().RemoveRepresentation("Binary labelmap")
    for call in (lambda: show([found(blob)], node, volume_node), lambda: segment_mask(node, segment_id, volume_node)):
        with pytest.raises(InputError, match="holds surfaces and no label map"):
            call()


def test_what_is_shown_in_3d_stays_shown(add_volume, make_grid, blob) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    (liver,) = show([found(blob)], node, volume_node)
    assert node.CreateClosedSurfaceRepresentation()
    half = blob & (np.arange(6)[:, None, None] < 3)
    ids = show([found(half), found(blob, "spleen")], node, volume_node)
    assert ids[0] == liver
    segmentation = node.GetSegmentation()
    heights = []
    for segment_id in ids:
        surface = segmentation.GetSegment(segment_id).GetRepresentation("Closed surface")
        assert surface.GetNumberOfPoints() > 0
        heights.append(surface.GetLength())
    assert heights[0] < heights[1]


def test_what_slicer_itself_draws_is_read(slicer, add_volume, blob, direction, make_grid) -> None:
    from PromptSegLib.mrml.vtk_images import oriented_image

    volume_node = add_volume(grid=make_grid(direction))
    node = new_segmentation(volume_node)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for name, mask in (("a", blob), ("b", np.roll(blob, 2, axis=2) & ~blob)):
        node.GetSegmentation().AddEmptySegment(name, name)
        stroke = oriented_image(mask, (0, 0, 0), make_grid(direction).ijk_to_ras)
        assert logic.SetBinaryLabelmapToSegment(stroke, node, name, logic.MODE_REPLACE)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    assert np.array_equal(segment_mask(node, "a", volume_node), blob)
    assert np.array_equal(segment_mask(node, "b", volume_node), np.roll(blob, 2, axis=2) & ~blob)


def test_any_object_with_structure_mask_and_low_is_a_result(add_volume, blob) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    (segment_id,) = show([Plain(Structure("x"), blob, (0, 0, 0))], node, volume_node)
    assert np.array_equal(segment_mask(node, segment_id, volume_node), blob)


def test_slicers_own_export_agrees(slicer, scene, add_volume, make_grid, blob, direction) -> None:
    volume_node = add_volume(grid=make_grid(direction))
    node = new_segmentation(volume_node)
    (segment_id,) = show([found(blob)], node, volume_node)
    import vtk

    ids, out = vtk.vtkStringArray(), scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    ids.InsertNextValue(segment_id)
    assert slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(node, ids, out, volume_node)
    assert np.array_equal(array_of(out.GetImageData()) > 0, blob)
    assert grid_of(out).matches(make_grid(direction))


def test_undo_of_a_result_does_not_mind_what_is_drawn_beside_it(slicer, add_volume, make_grid, blob) -> None:
    """Slicer puts segments that do not overlap into one label map, which changes when any of them is edited."""
    from PromptSegLib.mrml.undo_snapshot import UndoSnapshot
    from PromptSegLib.mrml.vtk_images import oriented_image

    volume_node = add_volume()
    node = new_segmentation(volume_node)
    contents, logic = node.GetSegmentation(), slicer.vtkSlicerSegmentationsModuleLogic
    contents.AddEmptySegment("mine", "mine")
    aside = np.roll(blob, 3, axis=2) & ~blob

    def draw(mask, segment_id="mine") -> None:
        stroke = oriented_image(mask, (0, 0, 0), make_grid().ijk_to_ras)
        assert logic.SetBinaryLabelmapToSegment(stroke, node, segment_id, logic.MODE_REPLACE)

    before = UndoSnapshot(node, made=False)
    liver, _spleen = show([found(blob), found(np.roll(blob, 1, axis=0), "spleen")], node, volume_node, before=before)
    draw(aside)
    contents.CollapseBinaryLabelmaps(False)
    draw(aside & (np.arange(8) > 4))
    assert before.bring_back() == []
    assert names(node) == ["mine"]
    assert np.array_equal(segment_mask(node, "mine", volume_node), aside & (np.arange(8) > 4))
    before = UndoSnapshot(node, made=False)
    liver, _spleen = show([found(blob), found(np.roll(blob, 1, axis=0), "spleen")], node, volume_node, before=before)
    half = blob & (np.arange(6)[:, None, None] < 3)
    draw(half, liver)
    assert before.bring_back() == ["liver"]  # it was corrected: it stays
    assert names(node) == ["mine", "liver"]
    assert np.array_equal(segment_mask(node, liver, volume_node), half)


def test_a_taught_result_is_replaced_by_a_taught_one_alone(add_volume, blob) -> None:
    volume_node = add_volume()
    node = new_segmentation(volume_node)
    (first,) = show([found(blob)], node, volume_node, taught=True)
    (second,) = show([found(np.roll(blob, 1, axis=0))], node, volume_node)
    assert first != second
    assert names(node) == ["liver, taught", "liver"]
    assert np.array_equal(segment_mask(node, first, volume_node), blob)
    assert show([found(blob & False)], node, volume_node, taught=True) == [first]
    assert not segment_mask(node, first, volume_node).any()
