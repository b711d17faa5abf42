"""Processes that die: one volume each at most, and that is done again."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import pytest

from PromptSegCli.cohort.job import WorkerMismatchError, perform
from PromptSegCli.cohort.manifest import DONE, FAILED, Record
from PromptSegCli.cohort.pool import Pool
from PromptSegLib.errors import PromptSegError

from .conftest import Site, scan

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are ended by signals")


def results(pool: Pool, on_poll=lambda pool: None) -> list[Record]:
    found: list[Record] = []
    with pool:
        while pool.open:
            on_poll(pool)
            found += pool.poll(0.02)
    return found


@pytest.fixture
def tasks(site: Site):
    for n in range(4):
        scan(Path(f"scans/p{n}.nii.gz"), seed=n)
    return site.plan("scans").tasks


def test_a_killed_process_loses_nothing(tasks, site: Site) -> None:
    killed: list[int] = []

    def kill_one(pool: Pool) -> None:
        for slot in pool._slots:
            if slot.process is not None and slot.task is not None and slot.fraction and not killed:
                killed.append(slot.process.pid)
                os.kill(slot.process.pid, signal.SIGKILL)

    found = results(Pool(tasks, ["cpu", "cpu"], 1), kill_one)
    assert killed
    assert sorted(one.subject for one in found) == ["p0", "p1", "p2", "p3"]
    assert {one.status for one in found} == {DONE}
    assert all((site.root / one.output).is_file() for one in found)
    assert not list(site.root.rglob(".*-*"))


def test_a_volume_that_kills_every_process_is_told_and_the_others_go_on(tasks, site: Site) -> None:
    # Large enough not to be done between two looks at it.
    scan(Path("scans/p1.nii.gz"), seed=1, shape=(150, 120, 120))
    tasks = site.plan("scans").tasks

    def kill(pool: Pool) -> None:
        for slot in pool._slots:
            if slot.process is not None and slot.task is not None and slot.task.subject == "p1" and slot.heard:
                os.kill(slot.process.pid, signal.SIGKILL)

    found = {one.subject: one for one in results(Pool(tasks[1:3], ["cpu"], 1), kill)}
    assert (found["p1"].status, found["p2"].status) == (FAILED, DONE)
    assert "its process was ended by SIGKILL, twice" in found["p1"].problem
    assert found["p1"].kind == "process"


def test_memory_is_bounded(tasks, site: Site) -> None:
    # Two processes share what is enough for one alone, which is then done alone.
    found = {one.subject: one for one in results(Pool(tasks[:2], ["cpu", "cpu"], 1, memory=900.0))}
    assert {one.status for one in found.values()} == {DONE}
    (failed,) = results(Pool(tasks[2:3], ["cpu"], 1, memory=60.0))
    assert failed.status == FAILED
    assert failed.kind == "memory"
    assert "p2 needs more memory than the run may take (0.1 GB); allow more with --memory" in failed.problem


def test_where_no_volume_can_be_done_the_run_ends(tasks, engine) -> None:
    lost = [dataclasses.replace(one, backbone="/nowhere/tiny.safetensors") for one in tasks]
    with pytest.raises(PromptSegError, match="There is no backbone file"):
        results(Pool(lost, ["cpu"], 1))
    other = dataclasses.replace(tasks[0], backbone_id="0" * 64)
    with pytest.raises(WorkerMismatchError, match="is another on"):
        perform(other, engine)


def test_a_process_that_cannot_start_ends_the_run(tasks, monkeypatch) -> None:
    from PromptSegCli.cohort import pool

    monkeypatch.setattr(pool, "environment", lambda: {**os.environ, "PYTHONHOME": "/nowhere"})
    with pytest.raises(PromptSegError, match="end before they have done anything"):
        results(Pool(tasks, ["cpu"], 1))


def test_each_gpu_has_one_process(monkeypatch) -> None:
    import torch

    from PromptSegCli.cohort.share import devices

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices("auto", None, None) == (["cuda:0", "cuda:1"], "")
    assert devices("cuda:1", None, None) == (["cuda:1"], "")
    every, note = devices("cuda", 4, None)
    assert every == ["cuda:0", "cuda:1"]
    assert "A GPU computes for one process" in note
    assert devices("cpu", 3, 8000.0) == (["cpu"] * 3, "")
    every, note = devices("cpu", 8, 4000.0)
    assert every == ["cpu"] * 2
    assert "enough for 2 volumes at once in place of 8" in note
