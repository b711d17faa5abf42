"""The job folder: private, whole files, nothing outside of it, nothing left behind."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from PromptSegLib.errors import AnnotationError, InputError, OutputError
from PromptSegLib.prompts.structure import Code, Structure
from PromptSegLib.prompts.terminology import find
from PromptSegLib.volumes.volume import Grid
from PromptSegLib.worker import payload
from PromptSegLib.worker.jobs import Jobs, is_alive


@pytest.fixture
def jobs(tmp_path):
    jobs = Jobs.create(tmp_path)
    yield jobs
    jobs.close()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_only_the_user_may_read_it(jobs) -> None:
    jobs.write_array("1/a.npy", np.arange(3))
    for folder in (jobs.root, jobs.root / "1"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "file", ["a.npy", "../a.npy", "1/../../a.npy", "1/..", "/etc/passwd", "1/a/b", "1\\..\\a", "C:/a"]
)
def test_files_outside_are_refused(jobs, file) -> None:
    with pytest.raises(InputError, match="not a file of a job"):
        jobs.path(file)


def test_arrays_come_back_as_they_were_and_python_objects_do_not(jobs) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (3, 4, 5)).astype(np.int16)
    assert np.array_equal(jobs.read_array(jobs.write_array("1/a.npy", array[:, ::-1])), array[:, ::-1])
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    jobs.path("1/b.npy").write_bytes(buffer.getvalue())
    jobs.path("1/c.npy").write_bytes(jobs.path("1/a.npy").read_bytes()[:-7])
    for name in ("b", "c", "none"):
        with pytest.raises(InputError, match="cannot be read"):
            jobs.read_array(f"1/{name}.npy")


def test_what_is_removed_is_gone(jobs) -> None:
    jobs.write_array("1/a.npy", np.arange(3))
    jobs.write_array("2/a.npy", np.arange(3))
    jobs.remove("1")
    jobs.remove("..")
    assert [path.name for path in jobs.root.iterdir()] == ["2"]
    jobs.close()
    jobs.close()
    assert not jobs.root.exists()
    with pytest.raises(OutputError, match="gone or full"):
        jobs.write_array("1/a.npy", np.arange(3))


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not(jobs, tmp_path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"promptseg-jobs-{ended.pid}-abc"
    (left / "1").mkdir(parents=True)
    assert not is_alive(ended.pid)
    other = Jobs.create(tmp_path)
    assert not left.exists()
    assert jobs.root.exists()
    other.close()


def test_types_pass_through_to_the_last_bit(jobs, small, drawn) -> None:
    given = payload.get_volume(jobs, payload.put_volume(jobs, "1", small.volume))
    assert given.grid == small.volume.grid
    assert np.array_equal(given.voxels, small.volume.voxels)
    assert given.voxels.dtype == np.int16
    back = payload.get_annotations(jobs, payload.put_annotations(jobs, "1", drawn))
    assert (back.axis, back.grid, list(back.slices)) == (drawn.axis, drawn.grid, [0, 5, 7])
    for index, one in back.slices.items():
        assert one.status is drawn.slices[index].status
        assert np.array_equal(one.mask, drawn.slices[index].mask)
    for structure in (find("left kidney"), Structure("läsion", Code("99X", "1", "Lesion"), (0.25, 0.5, 1.0))):
        assert payload.get_structure(payload.put_structure(structure)) == structure


def test_a_mask_is_cut_to_its_box_and_measured(jobs) -> None:
    grid = Grid((6, 5, 4), spacing=(0.5, 2.0, 3.0))
    mask = np.zeros(grid.shape, bool)
    mask[1:3, 2:5, 4] = True
    given = payload.put_mask(jobs, "1/a.npy", Structure("x"), mask, grid)
    found = payload.get_mask(jobs, given)
    assert found.low == (1, 2, 4)
    assert found.mask.shape == (2, 3, 1)
    assert found.millilitres == pytest.approx(6 * 3 / 1000)
    assert np.array_equal(found.whole(grid.shape), mask)
    nothing = payload.get_mask(jobs, payload.put_mask(jobs, "1/b.npy", Structure("x"), mask & False, grid))
    assert nothing.mask.size == 0
    assert not nothing.whole(grid.shape).any()


def test_masks_that_do_not_fit_their_list_are_refused(jobs, drawn) -> None:
    given = payload.put_annotations(jobs, "1", drawn)
    with pytest.raises(AnnotationError, match="do not fit together"):
        payload.get_annotations(jobs, {**given, "slices": given["slices"][:2]})
