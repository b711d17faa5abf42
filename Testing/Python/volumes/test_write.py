"""Results go out on the input's grid, whole or not at all."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import find
from PromptSegLib.atomic import replacing
from PromptSegLib.errors import GridError, OutputError
from PromptSegLib.volumes.io import (
    LABEL_ENDINGS,
    check_writable,
    read_labels,
    read_volume,
    write_labels,
    write_map,
    write_segments,
)
from PromptSegLib.volumes.volume import Grid

NAMES = {
    1: find("liver"),
    2: find("left kidney"),
    5: Structure("my lesion\nwith \\ and | in it", None, (0.25, 0.5, 1.0)),
}
SAME_FORMAT = [
    ("nrrd", "nrrd"),
    ("nrrd", "seg.nrrd"),
    ("mha", "mha"),
    ("nrrd", "mha"),
    ("nii.gz", "mha"),
    ("nii.gz", "nii.gz"),
    ("nii", "nii.gz"),
    ("nii.gz", "nii"),
]


def _numbers(image: sitk.Image):
    return image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()


@pytest.mark.parametrize(("kind", "ending"), SAME_FORMAT)
def test_the_grid_is_the_inputs_bit_for_bit(tmp_path, make_image, hu, labels, direction, kind, ending):
    sitk.WriteImage(make_image(hu, direction), tmp_path / f"in.{kind}")
    grid = read_volume(tmp_path / f"in.{kind}").grid
    path = tmp_path / f"out.{ending}"
    write_labels(path, labels, grid, NAMES)
    assert _numbers(sitk.ReadImage(path)) == _numbers(sitk.ReadImage(tmp_path / f"in.{kind}"))
    found = read_labels(path)
    assert found.array.dtype == np.uint8
    assert np.array_equal(found.array, labels)
    assert found.grid == grid


@pytest.mark.parametrize("kind", ["mha", "nrrd", "nii.gz"])
@pytest.mark.parametrize("ending", LABEL_ENDINGS)
def test_from_any_format_to_any_other(tmp_path, make_image, hu, labels, direction, kind, ending):
    sitk.WriteImage(make_image(hu, direction), tmp_path / f"in.{kind}")
    volume = read_volume(tmp_path / f"in.{kind}")
    path = tmp_path / f"out{ending}"
    write_labels(path, labels, volume.grid, NAMES)
    found = read_labels(path)
    assert np.array_equal(found.array, labels)
    assert found.grid.size == volume.grid.size
    # NIfTI holds single precision, NRRD the product of cosines and spacing.
    tolerance = 1e-6 if "nii" in ending else 1e-14
    assert np.allclose(found.grid.spacing, volume.grid.spacing, rtol=tolerance, atol=0)
    assert np.allclose(found.grid.direction, volume.grid.direction, rtol=0, atol=tolerance)
    assert np.allclose(found.grid.origin, volume.grid.origin, rtol=tolerance, atol=tolerance)
    assert read_labels(path, like=volume.grid).grid is volume.grid


def test_nifti_tells_the_same_by_qform_and_sform(tmp_path, make_image, hu, labels, direction):
    sitk.WriteImage(make_image(hu, direction), tmp_path / "in.nrrd")
    grid = read_volume(tmp_path / "in.nrrd").grid
    write_labels(tmp_path / "a.nii", labels, grid, {})
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[254:256] = b"\0\0"  # no sform: readers use the qform
    (tmp_path / "q.nii").write_bytes(data)
    assert read_labels(tmp_path / "q.nii").grid.matches(grid)


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
def test_many_labels_and_compression(tmp_path, ending):
    array = np.zeros((20, 64, 64), np.uint16)
    array[3:9, 10:30, 5:50] = 300
    grid = Grid((64, 64, 20))
    path = tmp_path / f"a{ending}"
    write_labels(path, array, grid, {})
    found = read_labels(path)
    assert found.array.dtype == np.uint16
    assert np.array_equal(found.array, array)
    assert path.stat().st_size < array.nbytes / (10 if ending != ".nii" else 0.9)


def test_names_come_back_from_nrrd(tmp_path, labels):
    grid = Grid((7, 6, 5))
    for name in ("a.nrrd", "a.seg.nrrd"):
        write_labels(tmp_path / name, labels, grid, {1: NAMES[1], 2: NAMES[2], 9: find("spleen")})
        found = read_labels(tmp_path / name)
        assert found.names[1].name == "liver"
        assert found.names[2].code == find("left kidney").code
        assert found.names[2].modifier.meaning == "Left"
        assert found.names[2].colour == find("left kidney").colour
        assert found.names[5].name == "label 5"
        assert not found.mask("spleen").any()
        assert np.array_equal(found.mask("LEFT kidney"), labels == 2)


def test_overlapping_segments_come_back_whole(tmp_path, make_image):
    rng = np.random.default_rng(4)
    grid = Grid((7, 6, 5))
    masks = {find(name): rng.random((5, 6, 7)) < 0.4 for name in ("liver", "aorta", "spleen")}
    masks[find("stomach")] = np.zeros((5, 6, 7), bool)
    write_segments(tmp_path / "o.seg.nrrd", masks, grid)
    found = read_labels(tmp_path / "o.seg.nrrd")
    assert found.overlapping
    assert len(found.layers) == 3
    assert [one.name for one in found.names.values()] == ["liver", "aorta", "spleen", "stomach"]
    for structure, mask in masks.items():
        assert np.array_equal(found.mask(structure.name), mask)
    assert np.array_equal(found.array > 0, np.any(list(masks.values()), axis=0))


def test_segments_that_do_not_overlap_share_a_layer(tmp_path, labels):
    masks = {find("liver"): labels == 1, find("spleen"): labels == 2}
    write_segments(tmp_path / "o.seg.nrrd", masks, Grid((7, 6, 5)))
    found = read_labels(tmp_path / "o.seg.nrrd")
    assert not found.overlapping
    assert np.array_equal(found.mask("spleen"), labels == 2)


def test_arrays_of_another_shape_are_refused(tmp_path, labels):
    grid = Grid((6, 6, 5))
    with pytest.raises(GridError):
        write_labels(tmp_path / "a.nrrd", labels, grid, {})
    with pytest.raises(GridError):
        write_segments(tmp_path / "a.seg.nrrd", {find("liver"): labels > 0}, grid)
    with pytest.raises(GridError):
        write_map(tmp_path / "a.nrrd", labels, grid)
    assert list(tmp_path.iterdir()) == []


def test_unknown_endings_are_refused_with_the_list(tmp_path, labels):
    for name in ("out.stl", "out", "nii.gz", ".nrrd"):
        with pytest.raises(OutputError, match=r"\.nii\.gz, \.nrrd, \.seg\.nrrd, \.mha"):
            write_labels(tmp_path / name, labels, Grid((7, 6, 5)), {})
    with pytest.raises(OutputError, match=r"\.seg\.nrrd"):
        write_segments(tmp_path / "a.nrrd", {}, Grid((7, 6, 5)))
    with pytest.raises(OutputError, match="format"):
        check_writable(tmp_path / "out.stl", LABEL_ENDINGS)
    assert list(tmp_path.iterdir()) == []


WRITERS = {
    "labels": lambda path: write_labels(path / "a.nii.gz", np.ones((5, 6, 7), np.uint8), Grid((7, 6, 5)), {}),
    "mha": lambda path: write_labels(path / "a.mha", np.ones((5, 6, 7), np.uint8), Grid((7, 6, 5)), {}),
    "segments": lambda path: write_segments(path / "a.seg.nrrd", {}, Grid((7, 6, 5))),
    "map": lambda path: write_map(path / "a.nrrd", np.ones((5, 6, 7)), Grid((7, 6, 5))),
    "check": lambda path: check_writable(path / "a.nrrd"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_folder_that_is_not_there_or_closed(tmp_path, write, denied):
    with pytest.raises(OutputError, match="There is no folder"):
        write(tmp_path / "none")
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OutputError, match="There is no folder"):
        write(tmp_path / "file")
    closed = tmp_path / "closed"
    closed.mkdir()
    with denied(closed), pytest.raises(OutputError, match="may not be written"):
        write(closed)
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize("write", [WRITERS[name] for name in ("labels", "mha", "segments", "map")])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, write, monkeypatch):
    write(tmp_path)
    (old,) = tmp_path.iterdir()
    old.write_text("the older result")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_text() == "the older result"


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file sizes")
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_file_that_cannot_grow_is_an_error_while_writing(tmp_path, ending):
    resource = pytest.importorskip("resource")
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 255, (20, 64, 64)).astype(np.uint8)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        with pytest.raises(OutputError, match="could not be written"):
            write_labels(tmp_path / f"a{ending}", noise, Grid((64, 64, 20)), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_user_who_stops_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def stopped():
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_asking_first_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "a.seg.nrrd", LABEL_ENDINGS)
    check_writable(str(tmp_path / "a.promptset"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(tmp_path)
    (tmp_path / "old.nrrd").write_text("old")
    check_writable(tmp_path / "old.nrrd")
    assert (tmp_path / "old.nrrd").read_text() == "old"


def test_the_same_labels_give_the_same_bytes(tmp_path, labels):
    for name in ("a.nii.gz", "a.seg.nrrd", "a.mha"):
        write_labels(tmp_path / name, labels, Grid((7, 6, 5)), NAMES)
        first = (tmp_path / name).read_bytes()
        write_labels(tmp_path / name, labels, Grid((7, 6, 5)), NAMES)
        assert (tmp_path / name).read_bytes() == first
