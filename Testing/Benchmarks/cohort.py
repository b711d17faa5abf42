"""How many volumes an hour a cohort does, the scheduling overhead of each, and how ten thousand go on 64 workers.

    PYTHONPATH=PromptSeg python Testing/Benchmarks/cohort.py FOLDER --prompts abdomen-ct:liver,spleen

Volumes an hour leave out the start of the processes, which a long run does once. The scheduling overhead is
measured with tasks that have nothing to do: from one to the next, with its line in the manifest on the disk. The last
is a simulation: the recorded times of volumes, drawn at random, on workers that each wait that long for the next one,
behind one client that writes all lines of the manifest; with and without one that dies every five minutes.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from result_file import write_result

from PromptSegCli.cohort.cluster import LOCAL, Cluster
from PromptSegCli.cohort.folder import Folder
from PromptSegCli.cohort.inputs import collect
from PromptSegCli.cohort.manifest import DONE, Manifest, Record
from PromptSegCli.cohort.pool import Pool
from PromptSegCli.cohort.run import Executor, Options, execute, plan
from PromptSegCli.cohort.task import Task
from PromptSegLib.threads import wait_passively

VOLUMES, WORKERS = 10_000, 64
BACK_AFTER = 60.0
"""Seconds until a worker that died works again."""


def main() -> None:
    """Measure and print."""
    wait_passively()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", metavar="INPUT", nargs="+")
    parser.add_argument("--prompts", action="append", required=True)
    parser.add_argument("--limit", type=int, default=6, help="how many of the volumes")
    parser.add_argument("--empty", type=int, default=200, help="how many tasks without work")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--machine", default="", help="what the page calls this computer")
    parser.add_argument("--result", type=Path, help="the result file to write")
    args = parser.parse_args()
    rows: list[tuple[str, str]] = []

    def tell(what: str, value: str) -> None:
        rows.append((what, value))
        print(f"{what}: {value}", flush=True)

    times: list[float] = []
    for processes in (1, 2):
        hourly, seconds = volumes_an_hour(args, processes)
        times += seconds
        tell(f"volumes an hour, {processes} process{'es' * (processes > 1)}", f"{hourly:.0f}")
    tell("seconds a volume", f"{sum(times) / len(times):.1f} (mean), {max(times):.1f} (max)")
    own, client = overhead(args, cluster=False)
    dask, dask_client = overhead(args, cluster=True)
    tell("scheduling overhead a volume, processes of our own", f"{1000 * own:.1f} ms")
    tell("scheduling overhead a volume, Dask", f"{1000 * dask:.1f} ms")
    tell("of which the client's line in the manifest", f"{1000 * client:.1f} ms")
    for every, words in ((0.0, ""), (300.0, ", of which one dies every five minutes")):
        hours, busy = simulated(times, dask, dask_client, every)
        tell(f"{VOLUMES:,} volumes on {WORKERS} workers{words}", f"{hours:.2f} h, workers busy {100 * busy:.1f} %")
    if args.result:
        write_result(args.result, args.machine, ("what", "measured"), (0, 0), rows)


def tasks_of(args: argparse.Namespace, root: Path) -> tuple[list[Task], Manifest]:
    """The tasks of a run into ``root`` that has begun."""
    folder = Folder(root)
    with folder:
        manifest = Manifest(folder.manifest)
        made = plan(collect(args.inputs, root), folder, manifest, Options(tuple(args.prompts), device="cpu"))
    folder.token.write_text("")
    return list(made.tasks)[: args.limit], manifest


def volumes_an_hour(args: argparse.Namespace, processes: int) -> tuple[float, list[float]]:
    """How many volumes some processes do, and the seconds of each; every process has done one before."""
    with tempfile.TemporaryDirectory() as folder:
        tasks, manifest = tasks_of(args, Path(folder) / "out")
        warm = [replace(tasks[0], subject=f"warm{n}", output=f"warm{n}.seg.nrrd") for n in range(processes)]
        ends: list[float] = []
        seconds: list[float] = []

        def note(record: Record) -> None:
            ends.append(time.monotonic())
            if record.status == DONE and not record.subject.startswith("warm"):
                seconds.append(record.seconds["all"])

        pool = Pool([*warm, *tasks], ["cpu"] * processes, args.threads)
        with pool:
            execute([*warm, *tasks], pool, manifest, on_record=note)
        taken = ends[-1] - ends[processes - 1]
        return len(tasks) / taken * 3600, seconds


def overhead(args: argparse.Namespace, *, cluster: bool) -> tuple[float, float]:
    """(seconds from one task without work to the next, those of them that the manifest takes)."""
    with tempfile.TemporaryDirectory() as folder:
        tasks, manifest = tasks_of(args, Path(folder) / "out")
        empty = [
            replace(tasks[0], subject=f"empty{n}", key=f"{n}", problem="Nothing to do.", details=f"{folder}/{n}")
            for n in range(args.empty)
        ]
        ends: list[float] = []
        executor: Executor = Cluster(empty, LOCAL, ["cpu"], 1) if cluster else Pool(empty, ["cpu"], 1)
        try:
            execute(empty, executor, manifest, on_record=lambda _: ends.append(time.monotonic()))
        finally:
            executor.close()
        record = next(iter(manifest.records.values()))
        began = time.monotonic()
        for _ in range(50):
            manifest.add(record)
        return (ends[-1] - ends[0]) / (len(ends) - 1), (time.monotonic() - began) / 50


def simulated(times: Sequence[float], wait: float, client: float, dies_every: float) -> tuple[float, float]:
    """(hours until all volumes are done, share of the workers' time that they compute), by events: a worker is free
    again ``wait`` seconds after its volume was done, the client takes ``client`` seconds for each, one after the other;
    every ``dies_every`` seconds (0: never) a worker loses its volume, which goes to the end of the queue."""
    draw = random.Random(0)
    queue = [draw.choice(times) for _ in range(VOLUMES)]
    count = itertools.count()
    # (when, number, kind, worker, seconds of its volume)
    events: list[tuple[float, int, str, int, float]] = []
    at_work: dict[int, int] = {}
    computed, client_free, done, now = 0.0, 0.0, 0, 0.0

    def begin(worker: int, when: float) -> None:
        if queue:
            seconds, number = queue.pop(), next(count)
            at_work[worker] = number
            heapq.heappush(events, (when + wait + seconds, number, "done", worker, seconds))

    for worker in range(WORKERS):
        begin(worker, 0.0)
    if dies_every:
        heapq.heappush(events, (dies_every, next(count), "dies", 0, 0.0))
    idle: set[int] = set()
    while done < VOLUMES:
        when, number, kind, worker, seconds = heapq.heappop(events)
        if kind == "dies":
            heapq.heappush(events, (when + dies_every, next(count), "dies", 0, 0.0))
            victim = draw.randrange(WORKERS)
            lost = at_work.pop(victim, None)
            if lost is not None:
                queue.insert(0, next(one[4] for one in events if one[1] == lost))
                heapq.heappush(events, (when + BACK_AFTER, next(count), "back", victim, 0.0))
        elif kind == "back":
            begin(worker, when)
        elif at_work.get(worker) == number:
            client_free = max(client_free, when) + client
            now, done, computed = max(now, client_free), done + 1, computed + seconds
            at_work.pop(worker)
            begin(worker, when)
            if worker not in at_work:
                idle.add(worker)
        while queue and idle:
            begin(idle.pop(), when)
    return now / 3600, computed / (now * WORKERS)


if __name__ == "__main__":
    main()
