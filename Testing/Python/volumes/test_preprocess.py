"""The working grid and the way back, on grids of every kind."""

from __future__ import annotations

import tracemalloc
from itertools import permutations, product

import numpy as np
import pytest

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.preprocess import (
    FULL_WINDOW,
    WorkingVolume,
    axis_of_plane,
    grey_from_hu,
    hu_from_grey,
    plane_of_axis,
    window_of,
)
from PromptSegLib.volumes.volume import Grid, Volume

BODY_MM = (85.0, 60.0, 200.0)
"""Semi-axes of an upright trunk, longer than any of the volumes, centred at RAS (0, 0, 0)."""


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    out = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = (n for n in range(3) if n != axis)
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        out = out @ step
    return out


def grid(axes: np.ndarray, spacing: tuple[float, float, float], extent: tuple[float, float, float]) -> Grid:
    """A grid centred at RAS (0, 0, 0): ``axes`` has the RAS directions of I, J, K as columns, ``extent`` is in mm."""
    size = [max(1, round(e / s)) for e, s in zip(extent, spacing, strict=True)]
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.asarray(spacing)
    matrix[:3, 3] = -matrix[:3, :3] @ (np.asarray(size) - 1) / 2
    return Grid.from_ijk_to_ras(matrix, tuple(size[::-1]))


def ras(of: Grid) -> np.ndarray:
    """(K, J, I, 3) RAS coordinates of the voxels."""
    k, j, i = np.indices(of.shape, sparse=True)
    m = of.ijk_to_ras
    return np.stack([m[n, 0] * i + m[n, 1] * j + m[n, 2] * k + m[n, 3] for n in range(3)], -1)


def ellipsoid(points: np.ndarray, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    return (((points - centre) / radii) ** 2).sum(-1) <= 1


def trunk(on: Grid, inside: float = 40.0, outside: float = -1000.0) -> np.ndarray:
    return np.where(ellipsoid(ras(on), (0, 0, 0), BODY_MM), inside, outside).astype(np.int16)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def native_plane(mask: np.ndarray, axis: int, index: int) -> np.ndarray:
    return mask.take(index, axis=axis)


def covered(work: WorkingVolume, planes: np.ndarray) -> np.ndarray:
    """Where working maps (n, rows, columns) exceed a half, as native voxels."""
    out = np.zeros((len(planes), *work.native_shape), bool)
    for mask, plane in zip(out, planes, strict=True):
        found = work.to_native(plane, 0.5)
        if found is not None:
            mask[found[0]] = found[1] > 0.5
    return np.moveaxis(out, 0, work.axis)


def there_and_back(work: WorkingVolume, mask: np.ndarray) -> np.ndarray:
    planes = [work.mask_to_working(native_plane(mask, work.axis, n)) for n in range(work.count)]
    return covered(work, np.stack(planes))


GRIDS = {
    "straight": (np.eye(3), (0.9, 0.9, 3.0)),
    "anisotropic": (np.eye(3), (0.7, 1.3, 4.0)),
    "flipped": (np.diag([-1.0, 1.0, -1.0]), (0.9, 1.1, 3.0)),
    "sagittal first": (np.eye(3)[:, [1, 2, 0]], (1.0, 1.2, 3.0)),
    "coronal first, flipped": (np.eye(3)[:, [2, 0, 1]] * [-1.0, 1.0, -1.0], (1.2, 0.9, 3.0)),
    "oblique": (turned((8, -14, 20)), (0.9, 1.1, 3.0)),
    "oblique, permuted and flipped": (turned((-11, 9, -17))[:, [2, 0, 1]] * [1.0, -1.0, -1.0], (1.5, 0.8, 1.3)),
    "coarser than the network": (np.eye(3), (2.6, 2.3, 5.0)),
}


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_mask_goes_there_and_back(kind: str, plane: str) -> None:
    axes, spacing = GRIDS[kind]
    on = grid(axes, spacing, (210, 170, 150))
    volume = Volume(trunk(on), on)
    organ = ellipsoid(ras(on), (25, 5, 4), (38, 30, 33))
    axis = axis_of_plane(on, plane)
    work = WorkingVolume(volume, axis=axis)
    assert (work.plane, plane_of_axis(on, axis)) == (plane, plane)
    assert work.count == volume.voxels.shape[axis]
    back = there_and_back(work, organ)
    assert back.shape == organ.shape
    assert dice(back, organ) > 0.98


TURNS = [(order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)]


@pytest.mark.parametrize("turn", range(len(TURNS)))
def test_the_patient_lies_the_same_way_however_the_axes_run(turn: int) -> None:
    """Rows go to the back, columns to the left, and the channels go towards the head."""
    order, signs = TURNS[turn]
    spacing = np.array([3.0, 4.0, 5.0])[list(order)]
    extent = np.array([240.0, 200.0, 100.0])[list(order)]
    on = grid(np.eye(3)[:, list(order)] * signs, tuple(spacing), tuple(extent))
    points = ras(on)
    voxels = trunk(on)
    left, front, top = (ellipsoid(points, c, (9, 9, 9)) for c in ((-50, 0, 0), (0, 35, 0), (0, 0, 25)))
    voxels[left], voxels[front], voxels[top] = 200, 600, 1200
    work = WorkingVolume(Volume(voxels, on), neighbour_mm=5.0)
    heights = np.array([native_plane(points[..., 2], work.axis, n).mean() for n in range(work.count)])
    middle, above = np.abs(heights - 0.0).argmin(), np.abs(heights - 25.0).argmin()

    def centre(mask: np.ndarray, index: int) -> np.ndarray:
        share = work.mask_to_working(native_plane(mask, work.axis, index))
        return np.array([(share * np.indices(share.shape)[n]).sum() / share.sum() for n in (0, 1)])

    body = centre(ellipsoid(points, (0, 0, 0), BODY_MM), middle)
    for marker in (left, front):
        right, forward, _ = native_plane(points, work.axis, middle)[native_plane(marker, work.axis, middle)].mean(0)
        np.testing.assert_allclose((centre(marker, middle) - body) * work.spacing, (-forward, -right), atol=0.3)
    r, c = np.rint(centre(left, middle)).astype(int)
    assert abs(int(work.grey(middle)[r, c]) - round(float(grey_from_hu(np.array(200.0))))) <= 1

    step = 1 if heights[1] > heights[0] else -1
    r, c = np.rint(body).astype(int)
    below_the_marker = work.inputs([above - 2 * step])[0, r, c]
    assert below_the_marker[3] > below_the_marker[1]
    above_the_marker = work.inputs([above + 2 * step])[0, r, c]
    assert above_the_marker[1] > above_the_marker[3]


@pytest.mark.parametrize("kind", GRIDS)
def test_the_crop_keeps_the_body_and_leaves_air(kind: str) -> None:
    axes, spacing = GRIDS[kind]
    on = grid(axes, spacing, (420, 300, 60))
    voxels = trunk(on)
    body = voxels > -500
    voxels[ellipsoid(ras(on), (195, 0, 0), (3, 40, 20))] = 0  # a thing beside the patient
    work = WorkingVolume(Volume(voxels, on))
    kept = covered(work, np.ones((work.count, *work.size)))
    assert kept[body].all()
    whole = WorkingVolume(Volume(voxels, on), crop=False)
    assert work.size[0] * work.size[1] < whole.size[0] * whole.size[1]
    assert all(n % 32 == 0 for n in (*work.size, *whole.size))


def test_only_the_box_of_what_is_found_comes_back() -> None:
    on = grid(np.eye(3), (1.0, 1.0, 3.0), (420, 300, 9))
    work = WorkingVolume(Volume(trunk(on), on))
    assert work.native_shape == (300, 420)
    found = np.zeros(work.size, np.float32)
    assert work.to_native(found, 0.5) is None
    row, column = (n // 2 for n in work.size)
    found[row : row + 10, column : column + 20] = 1
    box, values = work.to_native(found, 0.5)
    whole = work._row_back @ found @ work._column_back.T
    np.testing.assert_allclose(values, whole[box], atol=1e-6)
    assert values.size < 50 * 70
    outside = np.ones(work.native_shape, bool)
    outside[box] = False
    assert whole[outside].max() <= 0.5


@pytest.mark.parametrize("kind", ["straight", "oblique, permuted and flipped"])
def test_a_map_goes_to_a_finer_working_grid_and_back(kind: str) -> None:
    axes, spacing = GRIDS[kind]
    on = grid(axes, spacing, (210, 170, 150))
    volume = Volume(trunk(on), on)
    coarse, fine = WorkingVolume(volume), WorkingVolume(volume, spacing=1.25, multiple=1)
    organ = native_plane(ellipsoid(ras(on), (25, 5, 4), (38, 30, 33)), coarse.axis, coarse.count // 2)
    shares = coarse.mask_to_working(organ), fine.mask_to_working(organ)
    up, down = fine.taken_from(coarse, shares[0], 0.0), coarse.taken_from(fine, shares[1], 0.0)
    assert (up.shape, down.shape) == (fine.size, coarse.size)
    assert dice(up > 0.5, shares[1] > 0.5) > 0.98
    assert dice(down > 0.5, shares[0] > 0.5) > 0.98
    assert np.abs(down - shares[0]).mean() < 0.01


def test_beside_the_other_working_grid_a_map_has_the_value_that_is_asked_for() -> None:
    on = grid(np.eye(3), (1.0, 1.0, 5.0), (210, 170, 100))
    volume = Volume(trunk(on), on)
    padded, tight = WorkingVolume(volume), WorkingVolume(volume, multiple=1)
    assert padded.size != tight.size
    found = padded.taken_from(tight, np.ones(tight.size, np.float32), -7.0)
    assert set(np.unique(found.round(4))) == {1.0, -7.0}
    assert np.count_nonzero(found == 1) == np.prod(tight.size)
    assert tight.taken_from(tight, found, 0.0) is found


def test_a_volume_clipped_to_a_narrow_window_is_usable() -> None:
    on = grid(np.eye(3), (1.0, 1.0, 3.0), (420, 300, 30))
    voxels = np.clip(trunk(on), -160, 240).astype(np.int16)
    voxels[:, 150, 210] = 240
    work = WorkingVolume(Volume(voxels, on))
    kept = covered(work, np.ones((work.count, *work.size)))
    assert kept[voxels > -100].all()
    assert not kept.all()
    floor = grey_from_hu(np.array(-160.0)) / 127.5 - 1
    x = work.inputs([0])
    assert x.min() == pytest.approx(floor)  # what lies beyond the volume is its floor, not air that it never shows


def test_inputs_are_the_slice_and_its_neighbours() -> None:
    on = grid(np.eye(3), (2.0, 2.0, 1.0), (200, 160, 12))
    voxels = trunk(on)
    voxels[voxels > 0] = (10 * np.arange(12, dtype=np.int16))[:, None, None].repeat(80, 1).repeat(100, 2)[voxels > 0]
    work = WorkingVolume(Volume(voxels, on), neighbour_mm=3.0, far_mm=7.0)
    x = work.inputs([0, 5, 11])
    assert x.shape == (3, *work.size, 5)
    assert x.dtype == np.float32
    assert x.min() >= -1
    assert x.max() <= 1
    for n, slices in enumerate([(0, 0, 0, 3, 7), (0, 2, 5, 8, 11), (4, 8, 11, 11, 11)]):
        for channel, index in enumerate(slices):
            np.testing.assert_allclose(x[n, ..., channel], work.grey(index) / np.float32(127.5) - 1, atol=1e-6)


def test_a_window_hides_what_a_prompt_was_not_taught_to_see() -> None:
    on = grid(np.eye(3), (2.0, 2.0, 3.0), (200, 160, 9))
    voxels = trunk(on)
    voxels[:, 40, 50] = 1400
    work = WorkingVolume(Volume(voxels, on))
    window = (-160.0, 240.0)
    low, high = grey_from_hu(np.array(window)) / 127.5 - 1
    narrow, full = work.inputs([1], window), work.inputs([1], FULL_WINDOW)
    assert (narrow.min(), narrow.max()) == (pytest.approx(low), pytest.approx(high))
    np.testing.assert_allclose(np.clip(full, low, high), narrow)
    assert full.min() < narrow.min()


def test_greys_go_back_to_hu() -> None:
    hu = np.linspace(-1000, 1500, 501)
    np.testing.assert_allclose(hu_from_grey(grey_from_hu(hu)), hu, atol=0.01)
    assert (np.diff(grey_from_hu(hu)) > 0).all()
    assert grey_from_hu(np.array([-3000.0, 3000.0])).tolist() == [0.0, 255.0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice(axis: int) -> None:
    shape = [80, 90, 100]
    shape[axis] = 1
    on = Grid(tuple(shape[::-1]), spacing=(2.0, 2.0, 2.0))
    rows = np.linspace(-1, 1, 80 if axis else 90)[:, None]
    columns = np.linspace(-1, 1, 90 if axis == 2 else 100)[None]
    body = np.expand_dims(np.hypot(rows, columns) < 0.7, axis)
    work = WorkingVolume(Volume(np.where(body, 40, -1000).astype(np.int16), on), axis=axis)
    x = work.inputs([0])
    assert x.shape == (1, *work.size, 5)
    assert (x == x[..., :1]).all()
    assert dice(there_and_back(work, body), body) > 0.98


def test_a_volume_without_a_body_is_kept_whole() -> None:
    on = Grid((40, 30, 8), spacing=(2.0, 2.0, 2.0))
    voxels = np.full(on.shape, -1000, np.int16)
    voxels[4, 15, 20] = 0
    work = WorkingVolume(Volume(voxels, on))
    assert covered(work, np.ones((work.count, *work.size))).all()


def test_made_slices_can_be_forgotten() -> None:
    on = grid(np.eye(3), (2.0, 2.0, 3.0), (200, 160, 9))
    work = WorkingVolume(Volume(trunk(on), on))
    before = work.grey(1).copy()
    work.free()
    assert (work.grey(1) == before).all()


def test_the_spacing_must_be_positive() -> None:
    on = grid(np.eye(3), (2.0, 2.0, 3.0), (200, 160, 9))
    with pytest.raises(InputError, match="positive"):
        WorkingVolume(Volume(trunk(on), on), spacing=0)


def test_a_long_volume_is_never_copied() -> None:
    """512 x 512 x 1000 voxels are 500 MiB; what is made of them stays far below (one plane stands for all here)."""
    rows, columns = np.linspace(-1, 1, 512)[:, None], np.linspace(-1, 1, 512)[None]
    plane = np.where(np.hypot(rows / 0.7, columns / 0.9) < 1, 40, -1000).astype(np.int16)
    voxels = np.broadcast_to(plane, (1000, 512, 512))
    tracemalloc.start()
    try:
        work = WorkingVolume(Volume(voxels, Grid((512, 512, 1000), spacing=(0.8, 0.8, 1.0))))
        for first in range(0, 1000, 125):
            assert work.inputs(range(first, first + 8)).shape[1:3] == work.size
            assert work.to_native(work.grey(first), 100.0)[1].shape <= (512, 512)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 128 * 2**20


def test_a_narrow_volume_asks_others_to_be_clipped_alike() -> None:
    assert window_of(-125, 275) == (-125.0, 275.0)
    assert window_of(-1024, 3000) == FULL_WINDOW
