"""A Dask cluster: real workers, of which one is killed, and what is said when there is none, or another's."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from PromptSegCli.cohort import cluster
from PromptSegCli.cohort.cluster import LOCAL, Cluster, ClusterError
from PromptSegCli.cohort.folder import Folder
from PromptSegCli.cohort.job import WorkerMismatchError, perform
from PromptSegCli.cohort.manifest import DONE, FAILED, Manifest, Record
from PromptSegCli.cohort.run import execute
from PromptSegLib.errors import PromptSegError

from .conftest import Site, one_sentence, scan

distributed = pytest.importorskip("distributed")
pytestmark = [
    # Of Dask itself, when processes end that it watches.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def tasks(site: Site):
    for n in range(6):
        scan(Path(f"scans/p{n}.nii.gz"), seed=n)
    with Folder(site.root):
        pass
    return site.plan("scans").tasks


def begun(tasks, root: Path):
    """The tasks with the token of a run that goes on."""
    folder = Folder(root)
    folder.token.write_text("")
    return [dataclasses.replace(one, token=str(folder.token)) for one in tasks]


@pytest.fixture
def elsewhere():
    """A scheduler with one worker that is not ours: in this process, to start at once."""
    with contextlib.suppress(Exception):
        import dask

        dask.config.set({"distributed.worker.daemon": False})
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=60
    ) as made:
        yield made


@pytest.mark.skipif(os.name != "posix", reason="a process is ended by a signal")
def test_every_volume_is_done_once_when_a_worker_is_killed(tasks, site: Site) -> None:
    killed: list[int] = []
    found: list[Record] = []

    def kill_one_that_works() -> bool:
        if found and not killed:
            working = {address for address, keys in made._client.processing().items() if keys}
            pids = [nanny.pid for nanny in made._cluster.workers.values() if nanny.worker_address in working]
            for pid in pids[:1]:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
        return False

    todo = begun(tasks, site.root)
    manifest = Manifest(Folder(site.root).manifest)
    with Cluster(todo, LOCAL, ["cpu", "cpu"], 1) as made:
        execute(todo, made, manifest, on_record=found.append, should_stop=kill_one_that_works)
    assert killed
    assert sorted(one.subject for one in found) == [f"p{n}" for n in range(6)]
    assert {one.status for one in found} == {DONE}
    for one in Manifest(Folder(site.root).manifest).records.values():
        assert (site.root / one.output).stat().st_size == one.size
    assert site.run("scans") == []
    assert not list(site.root.rglob(".*-*"))


def test_a_cluster_elsewhere_does_the_same_tasks(tasks, site: Site, elsewhere) -> None:
    todo = begun(tasks[:2], site.root)
    with Cluster(todo, elsewhere.scheduler_address) as made:
        execute(todo, made, Manifest(Folder(site.root).manifest))
    assert sorted(site.records) == ["p0", "p1"]
    assert {one.status for one in site.records.values()} == {DONE}


def test_a_task_that_was_done_and_not_told_of_is_not_done_again(tasks, site: Site, engine) -> None:
    first = perform(tasks[0], engine)
    assert perform(tasks[0], engine) == first
    (site.root / first.output).unlink()
    assert perform(tasks[0], engine).finished >= first.finished
    assert (site.root / first.output).is_file()


def test_a_scheduler_that_is_not_there_is_told(tasks, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(cluster, "_CONNECT", 1)
    for address in ("", "scheduler.json", "/none/file.json", "head"):
        with pytest.raises(ClusterError, match=r"is neither a scheduler's file nor an address.*--scheduler-file FILE"):
            Cluster(tasks, address)
    unheard: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unheard.append)
    for address in ("tcp://127.0.0.1:1", "nonsense://x", "tcp://no.such.host.invalid:8786", "tcp://head"):
        with pytest.raises(ClusterError, match=r"No Dask scheduler answers at .*; start one with dask scheduler"):
            Cluster(tasks, address)
    (tmp_path / "scheduler.json").write_text("{}")
    with pytest.raises(ClusterError, match="No Dask scheduler answers"):
        Cluster(tasks, str(tmp_path / "scheduler.json"))
    gc.collect()
    assert not unheard  # what was half made is thrown away without a word


def test_a_scheduler_that_goes_away_ends_the_run_and_keeps_what_is_done(tasks, site: Site, elsewhere) -> None:
    todo = begun(tasks, site.root)

    def go_away(record: Record) -> None:
        elsewhere.close(timeout=5)

    made = Cluster(todo, elsewhere.scheduler_address)
    with made, pytest.raises(ClusterError, match=r"went away; start it again and give the same command"):
        execute(todo, made, Manifest(Folder(site.root).manifest), on_record=go_away)
    dask = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    assert not any(logging.getLogger(name).isEnabledFor(logging.ERROR) for name in dask)  # which would be a trace
    assert len(site.records) >= 1
    assert len(site.plan("scans").tasks) <= 5


def test_a_scheduler_without_workers_is_waited_for_and_told(tasks, site: Site) -> None:
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None, silence_logs=60) as empty,
        Cluster(begun(tasks, site.root), empty.scheduler_address) as made,
    ):
        assert made.poll(0.0) == []
        assert made.open
        assert made.note == "waiting for a worker"


def test_a_worker_of_another_version_is_refused(tasks, site: Site, elsewhere, monkeypatch) -> None:
    todo = begun(tasks, site.root)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "__version__", "99.0")
        with pytest.raises(WorkerMismatchError, match=r"has PromptSeg .*, and this computer 99\.0; install the same"):
            Cluster(todo, elsewhere.scheduler_address)
    # One that comes later says so with its first task.
    later = [dataclasses.replace(one, version="99.0") for one in todo]
    with (
        Cluster(later, elsewhere.scheduler_address) as made,
        pytest.raises(PromptSegError, match=r"and this computer 99\.0"),
    ):
        execute(later, made, Manifest(Folder(site.root).manifest))
    assert not site.records


def test_a_worker_that_does_not_see_the_folder_is_refused(tasks, site: Site, elsewhere) -> None:
    (site.root / ".cohort" / Path(tasks[0].token).name).unlink(missing_ok=True)
    with pytest.raises(WorkerMismatchError, match=r"does not see .*out; choose a folder .* that all computers share"):
        Cluster(tasks, elsewhere.scheduler_address)


def test_the_end_of_a_run_stops_what_works_for_it_elsewhere(tasks, site: Site, engine) -> None:
    from PromptSegCli.cohort import job
    from PromptSegLib.errors import Stopped

    (todo,) = begun(tasks[:1], site.root)
    stop = job.watching(todo.token)
    Path(todo.token).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_TOKEN_EVERY", 0.0)
        with pytest.raises(Stopped):
            perform(todo, engine, should_stop=stop)
    assert not (site.root / todo.output).exists()


def test_a_task_that_ends_its_workers_is_tried_alone_and_then_told(tasks, site: Site, elsewhere) -> None:
    from distributed.scheduler import KilledWorker

    lost = KilledWorker("name", None, 1)
    with Cluster(begun(tasks, site.root), elsewhere.scheduler_address) as made:
        assert made._failed(tasks[0], lost) == []
        assert list(made._again) == [tasks[0]]
        (record,) = made._failed(tasks[0], lost)
    assert record.status == FAILED
    assert "p0 could not be done: the workers that it was given to died; their memory" in record.problem


def test_without_dask_it_says_so(tasks, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PromptSegError, match="run pip install distributed"):
        Cluster(tasks, LOCAL, ["cpu"], 1)


def test_the_command_starts_a_cluster_of_its_own(cohort, tmp_path) -> None:
    scan(tmp_path / "scans/a.nii.gz")
    outcome = cohort("scans", "--scheduler", "local", "--jobs", 1, "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.result["done"] == 1
    refused = cohort("scans", "--scheduler", "tcp://127.0.0.1:1", "--jobs", 2)
    assert refused.status == 2 or "done already" in refused.out
    scan(tmp_path / "scans/b.nii.gz")
    refused = cohort("scans", "--scheduler", "tcp://127.0.0.1:1", "--jobs", 2)
    assert "--jobs is for this computer" in one_sentence(refused.err)
