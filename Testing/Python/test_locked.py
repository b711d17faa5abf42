"""Locks between processes: who has one keeps others out, and it ends with its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from PromptSegLib.errors import OutputError
from PromptSegLib.labelled import run_folder
from PromptSegLib.locked import is_locked, locked
from PromptSegLib.worker.process import PACKAGE

HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from PromptSegLib.locked import locked
with locked(Path(sys.argv[2]), "", ""):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that has the lock of ``tmp_path``."""
    words = [sys.executable, "-c", HOLD, str(PACKAGE), str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"mine"
        yield process
        process.kill()


def take(folder: Path) -> str:
    with locked(folder, "Taken", "wait"):
        return "mine"


def test_a_lock_keeps_others_out_and_ends_with_its_process(other, tmp_path) -> None:
    assert is_locked(tmp_path)
    with pytest.raises(OutputError, match="Taken; wait"):
        take(tmp_path)
    other.kill()  # as when an application crashes
    other.wait()
    assert not is_locked(tmp_path)
    assert take(tmp_path) == "mine"
    assert not is_locked(tmp_path)


def test_one_waits_for_a_lock_that_is_given_back(other, tmp_path) -> None:
    other.stdin.close()
    with locked(tmp_path, "Taken", "wait", patience=60.0):
        assert is_locked(tmp_path)


def test_a_folder_that_is_not_there_is_nobodys(tmp_path) -> None:
    assert not is_locked(tmp_path / "none")
    assert take(tmp_path / "none") == "mine"


def test_two_processes_cannot_be_at_one_run(tmp_path) -> None:
    run = tmp_path / "a.run"
    with run_folder.taken(run):
        with pytest.raises(OutputError, match="Another process is at the run in"), run_folder.taken(run):
            pass
        run_folder.remove_if_empty(run)  # as who was refused does
        assert run.is_dir()
    run_folder.remove_if_empty(run)
    assert not run.exists()
