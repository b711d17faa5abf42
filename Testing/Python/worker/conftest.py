"""A tiny backbone with random weights, a prompt set for it, and workers that compute with them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import waiting_worker
from waiting_worker import Worker

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.worker.process import PACKAGE


@pytest.fixture(scope="session")
def small(kit):
    """A small CT with its labels."""
    return kit.make_phantom(5, (12, 32, 32))


@pytest.fixture(scope="session")
def drawn(small) -> SliceAnnotations:
    """The liver in two slices of it, and a slice without it."""
    return SliceAnnotations.from_labels(small.labels, small.volume.grid, 1, [5, 7], [0])


@pytest.fixture(scope="module")
def worker(engine_files):
    """A worker that stays warm for all tests of a file; the volume is not set."""
    with Worker(engine_files[0], "cpu", 1) as worker:
        yield worker


@pytest.fixture
def own_worker(engine_files):
    """Make a worker of one's own. ``before`` is Python code that runs in it before it serves, ``engine`` is the body of
    ``do(self, call)`` that stands before the real one."""
    made = []

    def make(engine: str = "", before: str = "") -> Worker:
        worker = Worker(engine_files[0], "cpu", 1)
        if engine or before:
            body = "\n".join(f"    {line}" for line in (engine or "pass").splitlines())
            code = (
                f"import ctypes, os, sys, time\n{before}\n"
                "from PromptSegLib.worker import engine, serve\n"
                "real = engine.Engine.do\n"
                f"def do(self, call):\n{body}\n    return real(self, call)\n"
                "engine.Engine.do = do\n"
                "sys.exit(serve.main(sys.argv[1:]))\n"
            )
            arguments = worker._words[worker._words.index("--jobs") :]
            worker._words = [sys.executable, "-c", code, *arguments]
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.close()


@pytest.fixture
def python_path(monkeypatch) -> None:
    """Child processes find PromptSegLib and the tests' own worker."""
    places = [str(PACKAGE), str(Path(waiting_worker.__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))


@pytest.fixture
def same():
    """Whether a :class:`Found` is exactly a mask (K, J, I)."""
    return lambda found, mask: np.array_equal(found.whole(mask.shape), mask)
