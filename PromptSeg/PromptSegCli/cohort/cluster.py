"""The same tasks on a Dask cluster: on this computer, or wherever its scheduler's workers are.

Dask hands out the tasks, notices workers that die, and gives their tasks to others. What it is told here is how many
tasks may wait at a time, and what becomes of one that ends every worker it is given to: it is tried once more when
all others are done, so that none is lost for having waited beside it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PromptSegLib import __version__
from PromptSegLib.errors import PromptSegError, Stopped, short

from .cluster_job import about_worker, do
from .folder import remove_unfinished
from .job import WorkerMismatchError
from .manifest import FAILED, Record
from .task import Task

_ADDRESS = re.compile(r"://|:\d+/?$")
LOCAL = "local"
"""The address that asks for a cluster on this computer."""
_CONNECT = 10
_CLOSE = 0.3
_COUNT_EVERY = 10.0
_FEWEST_WAITING = 100
"""Tasks that a distant scheduler is given at least, so that a cluster which grows with its work sees some."""
_DEATHS = 1
"""How many workers of a local cluster a task may end before it is taken from the others."""


class ClusterError(PromptSegError):
    """A cluster that cannot be used: no scheduler, or one that went away."""


class Cluster:
    """An executor whose tasks are done by the workers of a Dask scheduler.

    ``address`` is a scheduler's, the name of its scheduler file, or :data:`LOCAL`, for which ``devices`` has one for
    each worker that is started and ``memory`` (MiB) what they may take together. Raises :class:`ClusterError` where
    there is no such scheduler, :class:`WorkerMismatchError` where its workers have another version or do not see the
    folder, and :class:`PromptSegError` where Dask is not installed.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        address: str,
        devices: Sequence[str] = (),
        threads: int | None = None,
        memory: float | None = None,
    ) -> None:
        self._distributed = _library()
        self._todo, self._again = deque(tasks), deque[Task]()
        self._tried: set[str] = set()
        self._open: dict[str, tuple[Task, Any]] = {}
        self._ended: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._address, self._devices, self._threads = address, tuple(devices), threads
        self._cluster: Any = None
        self.under_way, self.note = 0.0, ""
        self._known, self._counted = 0, 0.0
        token = self._todo[0].token if self._todo else ""
        if address == LOCAL:
            self._cluster = _start_local(len(self._devices), memory)
        self._client: Any = None
        try:
            self._client = self._connect()
            self._check_workers(token)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """How many volumes are done at once, as far as is known."""
        return len(self._devices) or self._known

    @property
    def open(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._todo or self._again or self._open)

    def poll(self, seconds: float) -> list[Record]:
        """What was done within a moment. Raises :class:`ClusterError` when the scheduler goes away, and
        :class:`PromptSegError` for what no volume would escape."""
        self._submit()
        found: list[Record] = []
        with contextlib.suppress(queue.Empty):
            found += self._take(*self._ended.get(timeout=seconds))
            while True:
                found += self._take(*self._ended.get_nowait())
        if self._client.status not in ("running", "newly-created") and not found:
            raise self._gone()
        return found

    def close(self) -> None:
        """Let go of the cluster within a second: one of our own ends, another's is told to forget the tasks; its
        workers notice by the run's token that nobody waits any more."""
        unfinished = [task for task, _ in self._open.values()]
        self._todo.clear()
        self._again.clear()
        self._open.clear()
        if self._cluster is not None:
            for nanny in list(self._cluster.workers.values()):
                nanny.auto_restart = False
                with contextlib.suppress(OSError, TypeError, AttributeError):
                    os.kill(nanny.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        closing = threading.Thread(target=self._let_go, name="closing", daemon=True)
        closing.start()
        closing.join(_CLOSE)
        if self._cluster is not None:
            for task in unfinished:
                remove_unfinished(Path(task.root, task.output))

    def _let_go(self) -> None:
        with contextlib.suppress(Exception):
            if self._client is not None:
                self._client.close(timeout=1)
        with contextlib.suppress(Exception):
            if self._cluster is not None:
                self._cluster.close(timeout=2)

    def _connect(self) -> Any:
        given: dict[str, Any] = {"timeout": _CONNECT, "set_as_default": False}
        # One that could not connect would be closed again when it is thrown away, wait for 20 s and print a trace.
        client = type("Client", (self._distributed.Client,), {"__del__": lambda _: None})
        try:
            if self._cluster is not None:
                return client(self._cluster, **given)
            if Path(self._address).is_file():
                return client(scheduler_file=self._address, **given)
            if not _ADDRESS.search(self._address):
                raise ClusterError(
                    f"'{short(self._address)}' is neither a scheduler's file nor an address, such as tcp://head:8786",
                    "start a scheduler with dask scheduler --scheduler-file FILE and name that file, or leave"
                    " --scheduler out",
                )
            return client(self._address, **given)
        except ClusterError:
            raise
        except Exception as error:  # whatever an address or a file that is none leads to
            raise ClusterError(
                f"No Dask scheduler answers at {short(self._address)} ({_first_line(error)})",
                "start one with dask scheduler, or leave --scheduler out",
            ) from error

    def _check_workers(self, token: str) -> None:
        """Refuse workers that are there already and cannot do the work; those that come later say so themselves."""
        try:
            answer = self._client.run(about_worker, token, on_error="return")
        except Exception as error:
            raise _foreign(error) from error
        for address, one in answer.items():
            if isinstance(one, BaseException):
                raise _foreign(one, address) from one
            if one["version"] != __version__:
                raise WorkerMismatchError(
                    f"The worker {address} has PromptSeg {one['version']}, and this computer {__version__}",
                    "install the same version on both",
                )
            if token and not one["sees"]:
                raise WorkerMismatchError(
                    f"The worker {address} on {one['host']} does not see {Path(token).parent.parent}",
                    "choose a folder for the results that all computers share, by one name",
                )

    def _submit(self) -> None:
        self._count_threads()
        limit = len(self._devices) or max(_FEWEST_WAITING, 4 * self._known)
        while self._todo and len(self._open) < limit:
            self._give(self._todo.popleft())
        if not self._todo and not self._open and self._again:
            self._give(self._again.popleft())

    def _count_threads(self) -> None:
        """Count the threads of the workers that there are now; now and then, because it asks the scheduler."""
        now = time.monotonic()
        if self._devices or (self._counted and now - self._counted < _COUNT_EVERY):
            return
        self._counted = now
        with contextlib.suppress(Exception):
            self._known = sum(self._client.nthreads().values())
            self.note = "" if self._known else "waiting for a worker"

    def _give(self, task: Task) -> None:
        # A name of its own for each try: Dask would not do again what it knows to have failed.
        name = f"promptseg-{task.key}-{len(self._tried)}"
        try:
            future = self._client.submit(do, task.to_json(), self._threads, self._devices, key=name, pure=False)
        except Exception as error:
            raise self._gone() from error
        self._open[name] = (task, future)
        future.add_done_callback(lambda ended: self._ended.put((name, ended)))

    def _take(self, name: str, future: Any) -> list[Record]:
        task, _ = self._open.pop(name, (None, None))
        if task is None:
            return []
        if future.status in ("cancelled", "lost"):
            self._open[name] = (task, future)
            raise self._gone()
        try:
            answer = future.result(timeout=60)
        except Exception as error:
            return self._failed(task, error)
        finally:
            future.release()
        if "record" in answer:
            return [Record.from_json(answer["record"])]
        if answer.get("stopped"):
            raise Stopped
        raise PromptSegError(answer["problem"], answer["remedy"])

    def _failed(self, task: Task, error: Exception) -> list[Record]:
        """A task that Dask gave up: its workers died, or it cannot be run there at all."""
        if isinstance(error, ImportError):
            raise _foreign(error) from error
        if type(error).__name__ == "KilledWorker":
            if task.subject not in self._tried:
                self._tried.add(task.subject)
                self._again.append(task)
                return []
            why, kind = "the workers that it was given to died", "process"
            remedy = "their memory may not be enough: give them more, or crop it"
        elif isinstance(error, (self._distributed.CancelledError, TimeoutError, OSError)):
            raise self._gone() from error
        else:
            why, kind = f"a defect in PromptSeg ({type(error).__name__}: {error})", "defect"
            remedy = "give the image to promptseg segment --debug and report what it prints"
        problem = str(PromptSegError(f"{task.subject} could not be done: {why}", remedy))
        return [Record(task.subject, task.image, task.key, FAILED, problem=problem, kind=kind)]

    def _gone(self) -> ClusterError:
        return ClusterError(
            f"The Dask scheduler at {short(self._address)} went away",
            "start it again and give the same command: what is done is kept",
        )


def _library() -> Any:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise PromptSegError(
            "The package distributed of Dask is not installed", "run pip install distributed, or leave --scheduler out"
        ) from error
    dask.config.set({"distributed.comm.timeouts.connect": _CONNECT, "distributed.scheduler.allowed-failures": _DEATHS})
    libraries = ("distributed", "bokeh", "tornado", "asyncio")
    below = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in libraries]
    for name in (*libraries, *below):  # Dask gives levels to parts of it, too
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what matters of it is said in our own words
    return distributed


def _start_local(workers: int, memory: float | None) -> Any:
    from distributed import LocalCluster

    limit = int(memory * 2**20 / workers) if memory is not None else 0
    try:
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, memory_limit=limit, dashboard_address=None,
            silence_logs=logging.CRITICAL, host="127.0.0.1",
        )  # fmt: skip
    except (OSError, RuntimeError, TimeoutError) as error:
        raise ClusterError(
            f"No Dask cluster can be started on this computer ({_first_line(error)})", "leave --scheduler out"
        ) from error


def _foreign(error: BaseException, address: str = "") -> WorkerMismatchError:
    who = f"The worker {address}" if address else "A worker"
    return WorkerMismatchError(
        f"{who} cannot run PromptSeg {__version__} ({_first_line(error)})",
        "install the same versions of PromptSeg, Python and Dask there",
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return short(f"{type(error).__name__}: {text[0]}" if text else type(error).__name__, 160)
