"""Labels and maps that another tool saved with their axes in another order or direction are the image's own voxels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.errors import GridError
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.maps import read_map
from PromptSegLib.volumes.reorient import turn_onto, turned_box
from PromptSegLib.volumes.volume import Grid

ORDERS = list(itertools.permutations(range(3)))
FLIPS = list(itertools.product((False, True), repeat=3))


@pytest.fixture
def image(tmp_path, make_image, hu, direction):
    sitk.WriteImage(make_image(hu, direction), tmp_path / "image.nrrd")
    return read_volume(tmp_path / "image.nrrd")


def saved_otherwise(one: sitk.Image, order, flips) -> sitk.Image:
    """The same voxels at the same places."""
    return sitk.Flip(sitk.PermuteAxes(one, order), flips)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_any_order_and_direction(tmp_path, make_image, labels, image, direction, ending):
    path = tmp_path / f"l.{ending}"
    for order, flips in itertools.product(ORDERS, FLIPS):
        sitk.WriteImage(saved_otherwise(make_image(labels, direction), order, flips), path)
        found = read_labels(path, like=image.grid)
        assert found.grid is image.grid
        assert np.array_equal(found.array, labels)
        assert found.array.flags.c_contiguous
        assert found.turned == (order != (0, 1, 2) or any(flips))
        assert found.notes == ()


def test_cropped_segments_in_several_layers(tmp_path, make_image, image, direction):
    whole = np.zeros((5, 6, 7, 2), np.uint8)
    whole[1:4, 2:5, 3:6, 0], whole[2:4, 1:5, 3:5, 1] = 1, 1
    layers = [make_image(np.ascontiguousarray(whole[..., n]), direction)[2:6, 1:5, 1:4] for n in (0, 1)]
    names = {"Segment0_Name": "a", "Segment0_Layer": "0", "Segment0_LabelValue": "1", "Segment1_Name": "b"}
    for order, flips in itertools.product(ORDERS, FLIPS):
        one = sitk.Compose([saved_otherwise(layer, order, flips) for layer in layers])
        for key, value in {**names, "Segment1_Layer": "1", "Segment1_LabelValue": "1"}.items():
            one.SetMetaData(key, value)
        sitk.WriteImage(one, tmp_path / "l.seg.nrrd")
        found = read_labels(tmp_path / "l.seg.nrrd", like=image.grid)
        for n, name in enumerate("ab"):
            assert np.array_equal(found.mask(name), whole[..., n] > 0)


def test_a_map_of_probabilities(tmp_path, make_image, image, direction):
    chances = np.random.default_rng(3).random((5, 6, 7)).astype(np.float32)
    for order, flips in itertools.product(ORDERS, FLIPS):
        sitk.WriteImage(saved_otherwise(make_image(chances, direction), order, flips), tmp_path / "p.nrrd")
        found = read_map(tmp_path / "p.nrrd", image.grid)
        assert np.array_equal(found, chances)
        assert found.flags.c_contiguous


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.SetOrigin((-181.3, 17.2, 1203.7)),
        lambda one: one.SetSpacing((0.7421875, 0.8123, 2.6)),
        lambda one: one.SetDirection((np.asarray(one.GetDirection()).reshape(3, 3)[:, [1, 0, 2]]).ravel().tolist()),
    ],
    ids=["origin", "spacing", "direction"],
)
def test_other_places_stay_refused(tmp_path, make_image, labels, change):
    """Exact means the same places: what is near them, or mirrored about another voxel, is another grid."""
    sitk.WriteImage(make_image(labels), tmp_path / "image.nrrd")
    grid = read_volume(tmp_path / "image.nrrd").grid
    one = saved_otherwise(make_image(labels), (0, 1, 2), (True, False, True))
    change(one)
    sitk.WriteImage(one, tmp_path / "l.nrrd")
    with pytest.raises(GridError, match="another grid than the image"):
        read_labels(tmp_path / "l.nrrd", like=grid)


def test_nothing_turns_what_is_not_parallel():
    half = np.sqrt(0.5)
    turned = Grid((3, 4, 5), direction=(half, -half, 0.0, half, half, 0.0, 0.0, 0.0, 1.0))
    assert turn_onto(turned, Grid((3, 4, 5))) is None
    assert turn_onto(Grid((3, 4, 5), spacing=(1.0, 1.0, 2.0)), Grid((3, 4, 5))) is None
    assert turn_onto(Grid((3, 4, 5)), Grid((3, 4, 5))) is None
    assert turned_box(np.zeros((3, 3, 3)), np.diag([0.0, 1, 1, 1]), np.zeros(3, int), Grid((3, 3, 3))) is None
