"""The worker as a child process, by ``subprocess``: starting it, moving bytes, ending it with its children."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from .jobs import is_alive

PACKAGE = Path(__file__).resolve().parents[2]
"""The folder that holds PromptSegLib."""


def command(jobs: Path, backbone: str, device: str, threads: int | None, python: str = "") -> list[str]:
    """What starts a worker with the job folder ``jobs``."""
    words = [python or sys.executable, "-m", "PromptSegLib.worker", "--jobs", str(jobs), "--backbone", backbone]
    words += ["--device", device]
    return words if threads is None else [*words, "--threads", str(threads)]


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that a worker needs, from ``base`` (default: this process's; in Slicer, its start-up
    environment)."""
    found = dict(os.environ if base is None else base)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PACKAGE), found.get("PYTHONPATH"))))
    found |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return found


class Process:
    """A child process whose output waits in a queue: ``("out", bytes)``, ``("log", bytes)`` and, once, ``("end",
    status)``."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        """Raises ``OSError`` if the program cannot be started."""
        self.said: queue.Queue[tuple[str, bytes | int]] = queue.Queue()
        # A session of its own: Ctrl-C in a terminal is not for the worker, and the group can be killed as one.
        self._process = subprocess.Popen(
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=PACKAGE,  # `-m` looks there first
            bufsize=0,
            start_new_session=os.name == "posix",
        )
        out, log = self._process.stdout, self._process.stderr
        assert out is not None
        assert log is not None
        self._readers = [threading.Thread(target=self._read, args=("out", out), daemon=True),
                         threading.Thread(target=self._read, args=("log", log), daemon=True)]  # fmt: skip
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def pid(self) -> int:
        """The child's number."""
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Write to its standard input; a process that is gone will be told of by the queue."""
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            while data:
                data = data[self._process.stdin.write(data) or 0 :]

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it with its children."""
        kill_tree(self._process.pid)

    def close_input(self) -> None:
        """Close its input, at which it ends, and do not wait."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def close(self, patience: float = 2.0) -> None:
        """Close its input, at which it ends; after ``patience`` seconds, kill it. Waits until it is gone."""
        self.close_input()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(1.0)

    def _read(self, kind: str, pipe: IO[bytes]) -> None:
        with pipe, contextlib.suppress(OSError, ValueError):
            while data := os.read(pipe.fileno(), 65536):
                self.said.put((kind, data))

    def _wait(self) -> None:
        status = self._process.wait()
        for reader in self._readers:  # all that it said comes before its end
            reader.join(1.0)
        self.said.put(("end", status))


def kill_tree(process: int, patience: float = 2.0) -> None:
    """Kill a process and all that it has started, and wait until it is gone."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process)], capture_output=True, check=False)
        return
    family = [process, *_children(process)]
    with contextlib.suppress(OSError):
        if os.getpgid(process) == process:
            os.killpg(process, signal.SIGKILL)
    for one in family:
        with contextlib.suppress(OSError):
            os.kill(one, signal.SIGKILL)
    until = time.monotonic() + patience
    while time.monotonic() < until and any(is_alive(one) for one in family[1:]):
        time.sleep(0.02)


def _children(process: int) -> list[int]:
    """All that descend from a process, on POSIX."""
    parents: dict[int, list[int]] = {}
    if Path("/proc/self/stat").is_file():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ValueError):  # it may have ended
                    # "pid (name) state parent ...", and a name may hold brackets and spaces
                    parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                    parents.setdefault(parent, []).append(int(entry.name))
    else:
        answer = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False)
        for line in answer.stdout.splitlines():
            child, parent = (int(word) for word in line.split())
            parents.setdefault(parent, []).append(child)
    found = list(parents.get(process, ()))
    for one in found:  # grows while it is read
        found += parents.get(one, ())
    return found
