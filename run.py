#!/usr/bin/env python3
"""Set PromptSeg up on first use and run it: ``python3 run.py demo`` or ``python3 run.py test``.

Standard library only. No syntax newer than Python 3.6, and no annotation that needs evaluating, so that an old Python
gets a sentence rather than a traceback.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 10), (3, 13)
EXTRAS = {"demo": ["demo"], "test": ["demo", "train", "test"]}
# GB of free disk that the environment and the packages being unpacked need, without and with the CUDA libraries.
ROOM_GB = {False: 6, True: 14}

NETWORK_SIGNS = (
    "resolutionimpossible",  # what pip says of a pin that it finds nowhere; the pins agree with each other
    "no matching distribution",
    "could not find a version",
    "connection",
    "name resolution",
    "getaddrinfo",
    "timed out",
    "timeouterror",
    "network is unreachable",
    "proxyerror",
    "max retries",
)

USAGE = """\
usage: python3 run.py demo [options]    learn two structures from a few slices of a real CT and report how good it is
       python3 run.py test [options]    check style and types and run the tests; options go to pytest

The first call makes the folder .venv beside this file and installs what is needed there (3 to 4 GB, a few minutes);
later calls start at once. To begin afresh, delete .venv."""


class SetUpError(Exception):
    """Something the user can mend: one sentence with a remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__("{}; {}.".format(problem, remedy.rstrip(".")))


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def check_python(version: tuple, task: str = "demo") -> None:
    """Refuse a Python, given as (major, minor, ...), that the pinned packages do not support."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = [name for name in names if shutil.which(name)]
    remedy = f"run it with another one that you have: {found[0]} run.py {task}" if found else "install one"
    have = ".".join(str(part) for part in version[:3])
    raise SetUpError(f"PromptSeg needs Python 3.10, 3.11, 3.12 or 3.13, and this is {have}", remedy)


def check_venv_module() -> None:
    """Refuse a Python that cannot make virtual environments; Debian and Ubuntu ship theirs so."""
    if all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        return
    package = "python{}.{}-venv".format(*sys.version_info[:2])
    raise SetUpError(
        "This Python cannot make a virtual environment, because its module venv or ensurepip is missing",
        f"install it (on Debian and Ubuntu: sudo apt-get install {package}) and try again",
    )


def check_room(folder: Path, needed_gb: float) -> None:
    """Refuse a disk with less than ``needed_gb`` GB free."""
    free_gb = shutil.disk_usage(str(folder)).free / 1e9
    if free_gb < needed_gb:
        raise SetUpError(
            f"The disk that holds {folder} has {free_gb:.1f} GB free and the installation needs {needed_gb} GB",
            "make room, or move this folder to a larger disk, and try again",
        )


def has_nvidia_gpu() -> bool:
    """Whether NVIDIA's driver is there and names a GPU."""
    command = shutil.which("nvidia-smi")
    if not command:
        return False
    try:
        answer = subprocess.run([command, "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and b"GPU" in answer.stdout


def explain(output: str, log: str = "") -> SetUpError:
    """Turn what pip printed, or the system said, when the installation failed into a sentence with a remedy."""
    text = output.lower()

    def seen(*signs: str) -> bool:
        return any(sign in text for sign in signs)

    details = f"; {log} has the details" if log else ""
    if seen("no space left on device", "errno 28", "not enough space", "disk quota exceeded"):
        return SetUpError(
            "The disk became full during the installation",
            "make room (also where temporary files go: the variable TMPDIR moves those) and try again",
        )
    if seen("certificate_verify_failed", "certificate verify failed"):
        return SetUpError(
            "The package index answered with a certificate that this computer does not trust",
            "ask who runs your network for its certificate, set PIP_CERT to that file and try again" + details,
        )
    if seen(*NETWORK_SIGNS):
        return SetUpError(
            "The packages could not be fetched, because there is no network or your package index lacks one of them",
            "check the connection (behind a proxy, set HTTPS_PROXY) and try again" + details,
        )
    if seen("permission denied", "access is denied", "read-only file system", "operation not permitted"):
        return SetUpError(
            "PromptSeg's folder cannot be written to",
            "move it to a place that is yours, or change its permissions, and try again" + details,
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    last = (errors or lines or ["nothing was printed"])[-1].rstrip(".")
    return SetUpError(f"The installation failed ({last})", "delete the folder .venv and try again" + details)


@contextlib.contextmanager
def locked(path: Path) -> Iterator:
    """Hold the file lock ``path``; wait, and say so, while another process holds it."""
    told = False
    with path.open("a+") as handle:
        while not _try_lock(handle):
            if not told:
                say("Another run.py is setting up .venv here: waiting for it.")
                told = True
            time.sleep(0.2)
        # Closing the file gives the lock back, also when this process is killed.
        yield


def _try_lock(handle: IO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks: better to go on than to wait for ever
    return True


class Environment:
    """The virtual environment ``.venv`` of a checkout and the stamp that says what is installed in it."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = Path(root)
        self.folder = self.root / ".venv"
        self.stamp = self.folder / "promptseg.json"
        self.log = self.folder / "install.log"
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def fingerprint(self) -> str:
        """Hash of what decides the content: the project, the pins, and where the checkout lies."""
        digest = hashlib.sha256(str(self.root).encode("utf-8", "replace"))
        for name in ("pyproject.toml", "constraints.txt"):
            digest.update((self.root / name).read_bytes())
        return digest.hexdigest()

    def pin(self, package: str) -> str:
        """The pinned version of ``package``, which has one for all Pythons."""
        pins = (self.root / "constraints.txt").read_text(encoding="utf-8")
        return re.findall(rf"^{re.escape(package)}==(\S+)", pins, re.MULTILINE)[0]

    def read_stamp(self) -> dict:
        """What the stamp says; {} if there is none, as in an environment that was never finished."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def write_stamp(self, extras: list) -> None:
        """Say that ``extras`` are installed, in one step."""
        draft = self.stamp.with_suffix(".tmp")
        draft.write_text(json.dumps({"fingerprint": self.fingerprint(), "extras": sorted(extras)}), encoding="utf-8")
        draft.replace(self.stamp)

    def runs(self) -> bool:
        """Whether its Python is there, starts, and is of a version that we support."""
        code = f"import sys; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
        try:
            return subprocess.call([str(self.python), "-c", code], env=clean_env(), stderr=subprocess.DEVNULL) == 0
        except OSError:
            return False

    def is_ready(self, extras: list) -> bool:
        """Whether ``extras`` are installed as the project asks today."""
        stamp = self.read_stamp()
        current = stamp.get("fingerprint") == self.fingerprint() and set(extras) <= set(stamp.get("extras", []))
        return current and self.runs()

    def prepare(self, extras: list) -> None:
        """Make the environment or bring it up to date; do nothing if it is ready."""
        if self.is_ready(extras):
            return
        with locked(self.root / ".venv.lock"):
            if self.is_ready(extras):  # made by the call that we waited for
                return
            gpu = has_nvidia_gpu()
            started = time.time()
            stamp = self.read_stamp()
            if stamp and self.runs():
                say("Bringing .venv up to date.")
                extras = sorted(set(extras) | set(stamp.get("extras", [])))
            else:
                check_venv_module()
                check_room(self.root, ROOM_GB[gpu])
                self.make()
            self.install(extras, gpu)
            self.write_stamp(extras)
            say(f"Installed in {time.time() - started:.0f} s.")

    def make(self) -> None:
        """Make an empty environment, in place of a broken one if there is one."""
        if self.folder.exists() or self.folder.is_symlink():
            say(".venv is broken or was never finished: making it afresh.")
            if self.folder.is_dir() and not self.folder.is_symlink():
                shutil.rmtree(str(self.folder))
            else:
                self.folder.unlink()
        say("Making .venv with Python {}.{}.{}.".format(*sys.version_info[:3]))
        # Run from inside .venv itself, sys.executable is what has just been deleted.
        python = getattr(sys, "_base_executable", None) or sys.executable
        made = subprocess.run(
            [python, "-m", "venv", str(self.folder)],
            env=clean_env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if made.returncode:
            raise explain(made.stdout)

    def install(self, extras: list, gpu: bool) -> None:
        """Install the project, editable, with ``extras`` and CPU torch where no GPU is there."""
        say("Installing pip and the build tool.")
        self.pip("pip", "hatchling", "editables")
        if not self.has_torch():
            self.install_torch(gpu)
        say("Installing PromptSeg with what it needs for: {}.".format(", ".join(extras)))
        self.pip("--no-build-isolation", "--editable", ".[{}]".format(",".join(extras)))

    def has_torch(self) -> bool:
        """Whether the pinned torch is installed already, of whatever build."""
        code = "import importlib.metadata as m; print(m.version('torch').split('+')[0])"
        answer = subprocess.run(
            [str(self.python), "-c", code], env=clean_env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return answer.stdout.decode().strip() == self.pin("torch")

    def install_torch(self, gpu: bool) -> None:
        """Install torch: what pip takes by itself, unless that is a CUDA build and this computer has no GPU."""
        torch = "torch=={}".format(self.pin("torch"))
        if gpu:
            say(f"Installing {torch} (an NVIDIA GPU is there; about 3 GB).")
        elif not self.pip_takes_cuda(torch):
            say(f"Installing {torch} for the CPU.")
        else:
            say(f"Installing {torch} for the CPU (no NVIDIA GPU is there), by way of uv.")
            self.pip("uv")
            command = ["-m", "uv", "pip", "install", "--python", str(self.python), "--torch-backend", "cpu"]
            if self.call([*command, "--constraint", "constraints.txt", torch]) == "":
                return
            say("The CPU build cannot be had from here: taking the CUDA build, which works too but is larger (3 GB).")
            check_room(self.root, ROOM_GB[True])
        self.pip(torch)

    def pip_takes_cuda(self, torch: str) -> bool:
        """Ask pip, without installing, whether the torch that it would take needs NVIDIA's libraries."""
        if not sys.platform.startswith("linux"):
            return False
        options = ["--dry-run", "--quiet", "--no-deps", "--ignore-installed", "--report", "-"]
        answer = subprocess.run(
            [str(self.python), "-m", "pip", "install", *options, torch],
            cwd=str(self.root),
            env=clean_env(),
            capture_output=True,
        )
        if answer.returncode:
            raise explain(answer.stderr.decode("utf-8", "replace"))
        return is_cuda_build(json.loads(answer.stdout.decode("utf-8"))["install"][0])

    def pip(self, *arguments: str) -> None:
        """Run ``pip install`` with the pins; raise a :class:`SetUpError` if it fails."""
        options = ["--constraint", "constraints.txt", "--progress-bar", "off"]
        output = self.call(["-m", "pip", "install", *options, *arguments])
        if output:
            raise explain(output, ".venv/install.log")

    def call(self, arguments: list) -> str:
        """Run the environment's Python, log what it prints, show downloads; the output if it failed, else ""."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write("\n$ {}\n".format(" ".join(arguments)))
            lines = []
            with subprocess.Popen(
                [str(self.python), *arguments],
                cwd=str(self.root),
                env=clean_env(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as child:
                for raw in child.stdout or ():
                    line = raw.decode("utf-8", "replace").rstrip()
                    lines.append(line)
                    log.write(line + "\n")
                    if re.match(r"\s*Downloading .*\d [MG]B", line):
                        say("  " + line.strip())
        return "\n".join([*lines, f"exit status {child.returncode}"]) if child.returncode else ""


def is_cuda_build(entry: dict) -> bool:
    """Whether an entry of pip's installation report is a torch that brings NVIDIA's libraries."""
    metadata = entry.get("metadata", {})
    local = entry.get("download_info", {}).get("url", "").startswith("file:")
    needs = [need for need in metadata.get("requires_dist", []) if re.match("(nvidia|cuda)-", need)]
    return bool(needs) and not local and "+cpu" not in metadata.get("version", "")


def clean_env() -> dict:
    """This process's environment without what would lead a virtual environment's Python or pip astray."""
    lead_astray = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV")
    env = {key: value for key, value in os.environ.items() if key not in lead_astray}
    env.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    # uv asks once and not for long: where its index cannot be reached, plain pip takes over.
    env.setdefault("UV_HTTP_TIMEOUT", "30")
    env.setdefault("UV_HTTP_RETRIES", "1")
    return env


def run(command: list, folder: Path) -> int:
    """Run ``command`` to its end, also through Ctrl-C, which reaches it too; its exit status."""
    child = subprocess.Popen(command, cwd=str(folder), env=clean_env())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def on_all_cores() -> list:
    """Options with which pytest shares the test files out to as many processes as there are cores, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ["-n", str(min(cores, 8)), "--dist", "loadfile"] if cores > 1 else []


def run_tests(python: Path, arguments: list) -> int:
    """Lint, layout, types, tests; stop at the first that fails. Exit status."""
    steps = [
        ("Lint", ["ruff", "check", "."]),
        ("Layout", ["ruff", "format", "--check", "."]),
        ("Types", ["mypy"]),
        ("Tests", ["pytest", *(arguments or on_all_cores())]),
    ]
    if not arguments:  # the processes share the cores
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    for number, (name, command) in enumerate(steps, 1):
        say("\n[{}/{}] {}: {}".format(number, len(steps), name, " ".join(command)))
        status = run([str(python), "-m", *command], ROOT)
        if status:
            # Nothing is printed after pytest's closing line.
            if name != "Tests":
                say(f"{name} failed: mend what is named above; the steps after it were not run.")
            return status
    return 0


def main(arguments: list) -> int:
    """Do what the command line asks for; exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        say(USAGE)
        return 0 if arguments else 2
    task, rest = arguments[0], arguments[1:]
    try:
        if task not in EXTRAS:
            raise SetUpError(f"run.py knows no command '{task}'", "use demo or test (python3 run.py --help)")
        check_python(sys.version_info, task)
        environment = Environment()
        try:
            environment.prepare(EXTRAS[task])
        except OSError as error:
            raise explain(str(error)) from error
    except SetUpError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrun.py: stopped; the next call begins the installation again.", file=sys.stderr)
        return 130
    if task == "test":
        return run_tests(environment.python, rest)
    return run([str(environment.python), "-m", "PromptSegCli", "demo", *rest], Path.cwd())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
