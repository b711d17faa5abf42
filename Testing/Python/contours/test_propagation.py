"""Contours follow what the picture shows from slice to slice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.contours import propagation as carry
from PromptSegLib.contours.fusion import between, contours_of, slice_gaps
from PromptSegLib.contours.interpolation import FLOOR_MM
from PromptSegLib.contours.propagation import Propagation
from PromptSegLib.errors import Stopped
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume

DEPTH, SIDE = 17, 96


def disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def radius(k: int) -> float:
    """Wide in the middle of the volume and narrow at its ends: nothing that two contours tell."""
    return 8 + 12 * float(np.sin(np.pi * k / (DEPTH - 1)))


@pytest.fixture
def volume() -> Volume:
    voxels = np.full((DEPTH, SIDE, SIDE), -100, np.int16)
    for k in range(DEPTH):
        voxels[k][disc(48, 48, 44)] = 0
        voxels[k][disc(48, 48, radius(k))] = 120
    return Volume(voxels, Grid((SIDE, SIDE, DEPTH), spacing=(2.0, 2.0, 3.0)))


def truth(k: int) -> np.ndarray:
    return disc(48, 48, radius(k))


def drawn(volume: Volume, *indices: int, empty: tuple[int, ...] = ()) -> SliceAnnotations:
    slices = {k: Slice(SliceStatus.COMPLETE, truth(k).astype(np.uint8)) for k in indices}
    slices |= {k: Slice(SliceStatus.ABSENT, np.zeros((SIDE, SIDE), np.uint8)) for k in empty}
    return SliceAnnotations(0, volume.grid, slices)


def dice(found: np.ndarray, wanted: np.ndarray) -> float:
    return 2 * np.count_nonzero(found & wanted) / (np.count_nonzero(found) + np.count_nonzero(wanted))


def test_a_bulge_between_two_drawn_slices_is_found(volume: Volume) -> None:
    work = WorkingVolume(volume, crop=False)
    found = contours_of(work, drawn(volume, 0, 16))
    blend = between({0: truth(0), 16: truth(16)}, (3.0, 2.0, 2.0))
    native = work.to_native(found[8], FLOOR_MM)
    assert native is not None
    mask = np.zeros((SIDE, SIDE), bool)
    mask[native[0]] = native[1] > 0
    assert dice(blend[8] > 0, truth(8)) < 0.4
    assert dice(mask, truth(8)) > 0.9


def test_very_many_pixels_are_registered_on_half_the_resolution(volume: Volume, monkeypatch) -> None:
    monkeypatch.setattr(carry, "MAX_PIXELS", 0)
    work = WorkingVolume(volume, crop=False)
    found = contours_of(work, drawn(volume, 0, 6, 16))
    wanted = work.mask_to_working(truth(3)) > 0.5
    assert Propagation(work, {0: truth(0)}).finest == 2
    assert dice(found[3] > 0, wanted) > 0.85


def test_the_same_volume_and_drawing_give_the_same_contours(volume: Volume) -> None:
    first, second = (contours_of(WorkingVolume(volume, crop=False), drawn(volume, 0, 6, 16)) for _ in range(2))
    assert sorted(first) == [k for k in range(1, 16) if k != 6]
    assert all(np.array_equal(first[k], second[k]) for k in first)


def test_a_left_out_slice_is_carried_from_its_neighbours(volume: Volume) -> None:
    work = WorkingVolume(volume, crop=False)
    one = contours_of(work, drawn(volume, 0, 6, 16), [6], without=6)
    other = contours_of(WorkingVolume(volume, crop=False), drawn(volume, 0, 16), [6])
    assert list(one) == [6]
    # Its place in the chain of slices is the same; the box may be another.
    assert np.abs((one[6] > 0).astype(int) - (other[6] > 0)).mean() < 0.01


def test_slices_are_registered_once(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    registered = 0
    real = carry.displacements

    def counted(fixed: torch.Tensor, *rest) -> torch.Tensor:
        nonlocal registered
        registered += len(fixed)
        return real(fixed, *rest)

    monkeypatch.setattr(carry, "displacements", counted)
    work = WorkingVolume(volume, crop=False)
    contours_of(work, drawn(volume, 0, 6, 16))
    assert registered == 2 * 16
    contours_of(work, drawn(volume, 0, 6, 16), [6], without=6)
    assert registered == 2 * 16
    work.free()
    assert not work.kept


def test_drawings_that_look_at_the_same_place_share_what_was_registered(volume: Volume, monkeypatch) -> None:
    work = WorkingVolume(volume, crop=False)
    everything = np.ones(work.size, bool)
    list(slice_gaps(work, drawn(volume, 0, 16), around=everything))
    monkeypatch.setattr(carry, "displacements", lambda *_: pytest.fail("registered"))
    assert len(list(slice_gaps(work, drawn(volume, 0, 6, 16), around=everything))) == 2


def test_not_everything_is_kept(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    work = WorkingVolume(volume, crop=False)
    contours_of(work, drawn(volume, 0, 6, 16))
    monkeypatch.setattr(carry, "KEPT", 10_000)
    found = contours_of(work, drawn(volume, 0, 6, 16))
    assert len(found) == 14
    assert len(work.kept) == 2 * 10, "those of the last gap"


def test_where_the_structure_ends_no_picture_is_asked(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry, "displacements", lambda *_: pytest.fail("registered"))
    found = contours_of(WorkingVolume(volume, crop=False), drawn(volume, 8, empty=(12,)))
    assert found[9].max() > 0 > found[11].max()


def test_thin_slices_are_registered_in_steps(volume: Volume) -> None:
    thin = Volume(volume.voxels, Grid((SIDE, SIDE, DEPTH), spacing=(2.0, 2.0, 1.0)))
    work = WorkingVolume(thin, crop=False)
    propagation = Propagation(work, {0: truth(0), 16: truth(16)})
    assert propagation.stops == [0, 3, 6, 10, 13, 16]
    assert len(contours_of(work, drawn(thin, 0, 16))) == 15


def test_it_stops_at_once(volume: Volume) -> None:
    with pytest.raises(Stopped):
        contours_of(WorkingVolume(volume, crop=False), drawn(volume, 0, 16), should_stop=lambda: True)


@pytest.mark.parametrize("spacing", [0.8, 1.25, 2.0])
def test_registration_looks_at_two_centimetres_around_the_contours(spacing: float) -> None:
    grid = Grid((120, 120, 9), spacing=(1.0, 1.0, 3.0))
    work = WorkingVolume(
        Volume(np.arange(9 * 120 * 120, dtype=np.int32).reshape(9, 120, 120), grid), spacing=spacing, crop=False
    )
    contour = np.zeros((120, 120), bool)
    contour[55:65, 55:65] = True
    seen = {k: work.mask_to_working(contour) > 0 for k in (0, 8)}
    for side in Propagation(work, seen).box:
        assert (side.stop - side.start) * spacing >= 10 + 2 * 20
