"""Label maps and segmentations come in on the image's grid, or with one sentence why not."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import GridError, InputError
from PromptSegLib.volumes.io import read_labels, read_volume, write_segments
from PromptSegLib.volumes.volume import Grid


@pytest.fixture
def image(tmp_path, make_image, hu):
    sitk.WriteImage(make_image(hu), tmp_path / "image.nrrd")
    return read_volume(tmp_path / "image.nrrd")


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_reads_labels_of_any_type(tmp_path, make_image, labels, ending, kind):
    sitk.WriteImage(make_image(labels.astype(kind)), tmp_path / f"l.{ending}")
    found = read_labels(tmp_path / f"l.{ending}")
    assert found.array.dtype == np.uint8
    assert np.array_equal(found.array, labels)
    assert found.values == (1, 2, 5)
    assert not found.overlapping
    assert np.array_equal(found.mask(5), labels == 5)


def test_many_labels_need_uint16(tmp_path, make_image, labels):
    sitk.WriteImage(make_image(labels.astype(np.int32) * 1000), tmp_path / "l.nrrd")
    found = read_labels(tmp_path / "l.nrrd")
    assert found.array.dtype == np.uint16
    assert found.values == (1000, 2000, 5000)


def test_takes_over_the_images_grid(tmp_path, make_image, labels, image):
    sitk.WriteImage(make_image(labels), tmp_path / "l.nii.gz")  # single precision: not the same bits
    found = read_labels(tmp_path / "l.nii.gz", like=image.grid)
    assert found.grid is image.grid
    assert read_labels(tmp_path / "l.nii.gz").grid != image.grid


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one[:, :, 1:], "size 7 x 6 x 4 instead of 7 x 6 x 5 voxels"),
        (lambda one: one.SetSpacing((1, 1, 2)), "spacing 1 x 1 x 2 instead of 0.74219 x 0.8123 x 2.5001 mm"),
        (
            lambda one: one.SetOrigin((0, 17.1, 1203.7)),
            "origin (0, 17.1, 1203.7) instead of (-181.33, 17.1, 1203.7) mm",
        ),
        (lambda one: one.SetDirection(np.eye(3).ravel().tolist()), "direction (1, 0, 0"),
        (lambda one: sitk.Flip(one, (True, False, False))[1:], "size 6 x 6 x 5 instead of 7 x 6 x 5 voxels"),
        (
            lambda one: one.SetDirection((np.asarray(one.GetDirection()).reshape(3, 3) * (-1, 1, 1)).ravel().tolist()),
            "direction",
        ),
    ],
)
def test_says_how_grids_differ(tmp_path, make_image, labels, image, change, said):
    one = make_image(labels)
    sitk.WriteImage(change(one) or one, tmp_path / "l.nrrd")
    with pytest.raises(GridError) as caught:
        read_labels(tmp_path / "l.nrrd", like=image.grid)
    assert said in str(caught.value)
    assert caught.value.remedy


def test_refuses_what_is_no_label_map(tmp_path, make_image, labels, hu):
    for name, array, said in (
        ("half", labels + 0.5, "not whole numbers"),
        ("nan", np.where(labels == 1, np.nan, 0), "not whole numbers"),
        ("minus", hu, "negative value"),
        ("high", labels.astype(np.int32) * 70000, "has the label"),
    ):
        sitk.WriteImage(make_image(array), tmp_path / f"{name}.nrrd")
        with pytest.raises(InputError, match=said):
            read_labels(tmp_path / f"{name}.nrrd")
    sitk.WriteImage(sitk.Compose([make_image(labels)] * 3), tmp_path / "colour.nrrd")
    with pytest.raises(InputError, match="3 values per voxel"):
        read_labels(tmp_path / "colour.nrrd")
    with pytest.raises(InputError, match="is a folder"):
        read_labels(tmp_path)
    with pytest.raises(InputError, match="There is no file"):
        read_labels(tmp_path / "none.seg.nrrd")


def test_a_label_that_is_not_there(tmp_path, make_image, labels):
    sitk.WriteImage(make_image(labels), tmp_path / "l.nrrd")
    found = read_labels(tmp_path / "l.nrrd")
    with pytest.raises(InputError, match="has no label 3; choose one of 1, 2, 5"):
        found.mask(3)
    with pytest.raises(InputError, match="has no label 'liver'"):
        found.mask("liver")


def _segmentation(one, **fields) -> sitk.Image:
    for key, value in fields.items():
        one.SetMetaData(key, value)
    return one


def test_a_cropped_segmentation_is_put_where_it_belongs(tmp_path, make_image, image):
    whole = np.zeros((5, 6, 7), np.uint8)
    whole[1:4, 2:5, 3:6] = 7
    one = _segmentation(
        make_image(whole)[3:6, 2:5, 1:4],
        Segment0_ID="Segment_1",
        Segment0_Name="Nodule",
        Segment0_LabelValue="7",
        Segment0_Layer="0",
        Segmentation_ReferenceImageExtentOffset="3 2 1",
    )
    sitk.WriteImage(one, tmp_path / "crop.seg.nrrd")
    found = read_labels(tmp_path / "crop.seg.nrrd", like=image.grid)
    assert found.grid is image.grid
    assert np.array_equal(found.array, whole)
    assert np.array_equal(found.mask("nodule"), whole == 7)
    assert read_labels(tmp_path / "crop.seg.nrrd").array.shape == (3, 3, 3)


def test_a_segmentation_off_the_image(tmp_path, make_image, image):
    whole = np.ones((5, 6, 7), np.uint8)
    one = _segmentation(make_image(whole), Segment0_ID="Segment_1", Segment0_Name="Nodule", Segment0_Layer="0")
    one.SetOrigin(one.TransformIndexToPhysicalPoint((2, 0, 0)))
    sitk.WriteImage(one, tmp_path / "out.seg.nrrd")
    with pytest.raises(GridError, match="outside the image"):
        read_labels(tmp_path / "out.seg.nrrd", like=image.grid)
    one.SetSpacing((1, 1, 1))
    sitk.WriteImage(one, tmp_path / "out.seg.nrrd")
    with pytest.raises(GridError, match="spacing"):
        read_labels(tmp_path / "out.seg.nrrd", like=image.grid)


def test_an_empty_segmentation_has_one_voxel(tmp_path, image):
    one = sitk.GetImageFromArray(np.zeros((1, 1, 1), np.uint8))
    one.SetMetaData("Segmentation_MasterRepresentation", "Binary labelmap")
    sitk.WriteImage(one, tmp_path / "none.seg.nrrd")
    found = read_labels(tmp_path / "none.seg.nrrd", like=image.grid)
    assert found.array.shape == image.voxels.shape
    assert found.values == ()


def test_refuses_fractional_segmentations(tmp_path, make_image):
    one = _segmentation(
        make_image(np.ones((5, 6, 7), np.uint8)),
        Segment0_ID="Segment_1",
        Segmentation_MasterRepresentation="Fractional labelmap",
    )
    sitk.WriteImage(one, tmp_path / "f.seg.nrrd")
    with pytest.raises(InputError, match="shares of voxels"):
        read_labels(tmp_path / "f.seg.nrrd")


def test_values_that_recur_in_layers_are_numbered_anew(tmp_path):
    grid = Grid((4, 4, 4))
    masks = {Structure(name): np.zeros((4, 4, 4), bool) for name in ("a", "b")}
    for number, mask in enumerate(masks.values()):
        mask[:, number : number + 3] = True
    path = tmp_path / "o.seg.nrrd"
    write_segments(path, masks, grid)
    head, mark, data = path.read_bytes().partition(b"\n\n")
    # Old versions of Slicer give each layer's segment the value 1.
    head = b"\n".join(line for line in head.split(b"\n") if b"_LabelValue" not in line and b"_Layer" not in line)
    path.write_bytes(head + mark + data)
    flat = sitk.GetArrayFromImage(sitk.ReadImage(path))
    one = sitk.GetImageFromArray((flat > 0).astype(np.uint8), isVector=True)
    names = {"Segment0_ID": "A", "Segment0_Name": "a", "Segment1_ID": "B", "Segment1_Name": "b"}
    for key, value in names.items():
        one.SetMetaData(key, value)
    sitk.WriteImage(one, path)
    found = read_labels(path)
    assert found.values == (1, 2)
    for structure, mask in masks.items():
        assert np.array_equal(found.mask(structure.name), mask)
    assert np.array_equal(found.array, np.where(masks[Structure("b")], 2, masks[Structure("a")]))
