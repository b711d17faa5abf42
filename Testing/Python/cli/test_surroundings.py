"""Odd surroundings: no standard streams, full ones, little memory, a Turkish locale, a home that is not there; and
Ctrl-C from the first import on."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import PromptSegLib
from PromptSegCli import memory_limit as memory
from PromptSegCli.commands.console import Console
from PromptSegCli.commands.stopping import StopOnSignal
from PromptSegLib import atomic
from PromptSegLib.errors import as_problem

from .conftest import Promptseg

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX processes")
START = "import sys; from PromptSegCli.cli import main; sys.exit(main())"


def start(place: Path, words: tuple[object, ...], before: str = "", **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own, after a line of Python."""
    path = os.fspath(Path(PromptSegLib.__file__).parents[1])
    command = [sys.executable, "-c", f"{before}\n{START}", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": path} | options.pop("env", {})
    return subprocess.Popen(command, cwd=place, env=environment, text=True, encoding="utf-8", **(pipes | options))


def segment(place: Path, shipped: Path, *more: str) -> tuple[object, ...]:
    backbone = shipped / "Models" / "punet-ct.safetensors"
    words = ("segment", "ct.nii.gz", "--prompts", "kidney.promptset", "-o", "out.nii.gz", "--device", "cpu")
    return (*words, "--backbone", backbone, *more)


@pytest.mark.parametrize(("closed", "more"), [((1,), ()), ((2,), ()), ((1,), ("--json",)), ((0, 1, 2), ())])
def test_closed_streams(closed: tuple[int, ...], more: tuple[str, ...], place: Path, shipped: Path) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    process = start(place, segment(place, shipped, *more), preexec_fn=close)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert (place / "out.nii.gz").is_file()
    if 1 not in closed:
        assert "Written to out.nii.gz" in out
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_full_standard_output(more: tuple[str, ...], place: Path, shipped: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = start(place, segment(place, shipped, *more), stdout=full)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    last = err.splitlines()[-1]
    assert last.startswith("Standard output cannot be written to (No space left on device); ")
    assert (place / "out.nii.gz").exists() == ("out.nii.gz was written" in last) == (not more)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_worker_that_cannot_answer_says_so(place: Path) -> None:
    with (
        open("/dev/full", "w") as full,  # noqa: PTH123
        start(place, ("worker",), stdout=full, stdin=subprocess.PIPE) as process,
    ):
        assert process.stderr
        err = process.stderr.read()
    assert process.returncode == 2
    assert err == "Standard output cannot be written to (No space left on device); the worker ends.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_standard_error_changes_nothing(place: Path, shipped: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = start(place, segment(place, shipped), stderr=full)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Written to out.nii.gz" in out


def test_too_little_memory_is_one_sentence(place: Path, shipped: Path) -> None:
    for allowed in (700_000_000, memory.MIN_MEMORY - 1):
        limit = (allowed, allowed)
        process = start(
            place, segment(place, shipped), preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_AS, limit)
        )
        _, err = process.communicate(timeout=120)
        assert process.returncode == 2
        assert "GB of memory may be used (ulimit -v); allow at least 1.5 GB" in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError("libgomp.so.1: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=str,
)
def test_what_libraries_call_too_little_memory(error: Exception) -> None:
    assert "memory is not enough" in str(as_problem(error))


def test_a_library_that_is_not_there() -> None:
    found = as_problem(ImportError("libgomp.so.1: cannot open shared object file: No such file or directory"))
    assert "The library libgomp.so.1 is not there" in str(found)


def test_libraries_keep_their_lines_to_themselves(place: Path) -> None:
    pytest.importorskip("matplotlib")
    before = "import warnings; import logging; logging.getLogger('matplotlib'); warnings.filters"
    words = ("review", "ct.nii.gz", "labels.nii.gz", "-o", "r.html", "--json")
    nowhere = {"HOME": "/nonexistent", "MPLCONFIGDIR": "/dev/null/none", "PYTHONWARNINGS": ""}
    process = start(place, words, before, env=nowhere)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err == ""
    assert json.loads(out.splitlines()[-1])["event"] == "result"


SLOW = """
import sys, types, time, threading
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            sys.stdout.write('here\\n'); sys.stdout.flush()
            {wait}
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize(
    ("name", "wait"),
    [
        ("PromptSegCli.commands.run", "time.sleep(60)"),
        ("torch", "time.sleep(60)"),
        ("SimpleITK", "[threading.Event().wait(0.01) for _ in range(6000)]"),
    ],
)
def test_ctrl_c_ends_what_cannot_ask(name: str, wait: str, place: Path, shipped: Path) -> None:
    before = set(place.iterdir())
    process = start(place, segment(place, shipped), SLOW.format(name=name, wait=wait))
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 30  # it would take a minute
    assert (process.returncode, err) == (130, "Stopped; nothing was written.\n")
    assert out == ""
    assert set(place.iterdir()) == before


def test_ctrl_c_while_writing_leaves_nothing(place: Path, shipped: Path) -> None:
    stuck = """
import os, time
real = os.fsync
def fsync(descriptor):
    os.write(1, b'here\\n'); time.sleep(60)
os.fsync = fsync
"""
    before = set(place.iterdir())
    process = start(place, segment(place, shipped, "--json"), stuck)
    assert process.stdout
    while process.stdout.readline() != "here\n":
        pass
    assert len(set(place.iterdir()) - before) == 1
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "Stopped; nothing was written.\n")
    assert json.loads(out.splitlines()[-1]) == {"event": "stopped", "message": "Stopped; nothing was written."}
    assert set(place.iterdir()) == before


def test_the_last_word_names_what_was_written(capsys) -> None:
    stop = StopOnSignal()
    console = Console(stop=stop)
    console.wrote(Path("a.promptset"))
    assert stop.sentence == "Stopped; a.promptset was written."
    console.wrote(Path("b.nrrd"))
    assert stop.sentence == "Stopped; a.promptset and b.nrrd were written."
    console.done(Path("b.nrrd"), Path("c.nrrd"))  # a command that only says at the end what there is
    assert console.written == [Path("a.promptset"), Path("b.nrrd"), Path("c.nrrd")]


def test_unfinished_files_are_taken_away(tmp_path: Path) -> None:
    writing = atomic.replacing(tmp_path / "a.nrrd")
    writing.__enter__()
    assert len(list(tmp_path.iterdir())) == 1
    atomic.remove_unfinished()
    assert list(tmp_path.iterdir()) == []
    assert not writing.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_keeps_something_is_given_time(place: Path) -> None:
    slow = """
import time
from PromptSegCli.commands import info
def run(args, console, stop):
    with stop.keeping():
        print('here', flush=True)
        time.sleep(1.5)
        stop.check()
info.run = run
"""
    process = start(place, ("info",), slow)
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "Stopped; nothing was written.\n")


def test_a_backend_that_matplotlib_does_not_know_is_not_asked_for(place: Path) -> None:
    words = ("review", "ct.nii.gz", "labels.nii.gz", "-o", "page.html")
    process = start(place, words, env={"MPLBACKEND": "nothing"})
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert (place / "page.html").is_file()


def test_nothing_odd_happens_inside_another_program(promptseg: Promptseg) -> None:
    before = signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(-1)
    assert promptseg("info", "--device", "cpu").status == 0
    assert (signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(-1)) == before


def test_a_folder_that_is_gone_is_said(tmp_path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os, shutil, sys\nos.chdir({str(gone)!r})\nshutil.rmtree({str(gone)!r})\n"
    code += f"sys.path.insert(0, {str(Path(PromptSegLib.__file__).parents[1])!r})\n"
    code += "from PromptSegCli.cli import main\nsys.exit(main(['info']))\n"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr == "The current folder is gone; change to another one, and give the command again.\n"
