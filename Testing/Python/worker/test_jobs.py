"""The job folder: private, whole files, nothing outside of it, nothing left behind."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.anatomy.structure import Code, Structure
from PromptSegLib.anatomy.terminology import find
from PromptSegLib.errors import AnnotationError, InputError, OutputError
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


@pytest.fixture
def in_another_process(tmp_path, python_path):
    """A folder of a process that lives until ``end(process)``: (process, folder)."""
    made = []

    def begin():
        code = (
            f"import time\nfrom PromptSegLib.worker.jobs import Jobs\njobs = Jobs.create({str(tmp_path)!r})\n"
            "jobs.path('1/ct.npy').write_bytes(b'ct')\nprint(jobs.root, flush=True)\ntime.sleep(60)\n"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        made.append(process)
        return process, Path(process.stdout.readline().strip())

    yield begin
    for process in made:
        end(process)
        process.stdout.close()


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not(
    jobs, tmp_path, in_another_process
) -> None:
    (process, left), (_, used) = in_another_process(), in_another_process()
    end(process)
    assert not is_alive(process.pid)
    Jobs.create(tmp_path).close()
    assert not left.exists()
    assert (used / "1" / "ct.npy").exists()
    assert jobs.root.exists()


@pytest.mark.skipif(os.name != "posix", reason="another process number is only made up where locks do not need it")
def test_a_folder_in_use_is_kept_whatever_its_process_is_called_there(jobs, tmp_path, in_another_process) -> None:
    """In another container, a process has a number that means nobody, or somebody else, here."""
    _, used = in_another_process()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    process = used.name.split("-")[2]
    seen = used.rename(tmp_path / used.name.replace(process, str(ended.pid)))
    Jobs.create(tmp_path).close()
    assert (seen / "1" / "ct.npy").exists()


def test_a_folder_of_a_worker_that_outlives_its_face_is_kept(jobs, tmp_path, in_another_process) -> None:
    process, left = in_another_process()
    worker_s = Jobs(left)
    end(process)
    Jobs.create(tmp_path).close()
    assert left.exists()
    worker_s._let_go()
    Jobs.create(tmp_path).close()
    assert not left.exists()


@pytest.mark.parametrize(
    ("owner", "kept"),
    [
        (("here", "now"), False),
        (("othercontainer", "now"), False),  # on this computer: its locks are seen
        (("here", "before"), False),  # this computer was started again
        (("othercomputer", "other"), True),  # whose locks may not be seen
    ],
)
def test_only_what_certainly_is_nobody_s_is_removed(
    jobs, tmp_path, in_another_process, monkeypatch, owner, kept
) -> None:
    monkeypatch.setattr("PromptSegLib.worker.jobs._system", lambda: ("here", "now"))
    process, left = in_another_process()
    end(process)
    moved = left.rename(tmp_path / f"promptseg-jobs-{process.pid}-{owner[0]}-{owner[1]}-abc")
    Jobs.create(tmp_path).close()
    assert moved.exists() is kept


def test_where_no_start_of_the_system_is_known_another_host_s_is_kept(jobs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("PromptSegLib.worker.jobs._system", lambda: ("here", "0"))
    other, own = tmp_path / "promptseg-jobs-1-there-0-abc", tmp_path / "promptseg-jobs-1-here-0-abc"
    other.mkdir()
    own.mkdir()
    Jobs.create(tmp_path).close()
    assert other.exists()
    assert not own.exists()


@pytest.mark.parametrize("name", ["999999-abc", "abc", "999999", "x-here-now-abc", ""])
def test_what_does_not_say_whose_it_is_is_kept(jobs, tmp_path, name) -> None:
    other = tmp_path / f"promptseg-jobs-{name}"
    (other / "1").mkdir(parents=True)
    Jobs.create(tmp_path).close()
    assert (other / "1").exists()


def test_a_folder_is_locked_before_others_can_find_it(tmp_path, monkeypatch) -> None:
    held = []
    real = Path.rename

    def look(self, target):
        other = os.open(self, os.O_RDONLY)
        with pytest.raises(OSError, match="unavailable"):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
        held.append(self)
        return real(self, target)

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(Path, "rename", look)
    Jobs.create(tmp_path).close()
    assert len(held) == 1
    assert not held[0].name.startswith("promptseg-jobs-")
    assert list(tmp_path.iterdir()) == []


def test_what_is_only_passed_on_is_not_waited_for_on_the_disk(jobs, monkeypatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    jobs.write_array("1/a.npy", np.arange(3))
    assert not waited


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
