"""run.py: what it refuses and how it says so, and when it has nothing left to do. Nothing large is installed here."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("promptseg_run", ROOT / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the files that run.py reads; a blank in its name, as people have."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("run.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def offline() -> dict[str, str]:
    """An environment in which pip finds nothing anywhere."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    return {**env, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=offline(), cwd=folder, timeout=300)


def sentence(answer: subprocess.CompletedProcess[str]) -> str:
    """The one line that a refusal prints to standard error."""
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, answer.stderr
    assert lines[0].startswith("run.py: ")
    assert lines[0].endswith(".")
    return lines[0]


def test_an_old_python_can_read_it() -> None:
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_it_uses_the_standard_library_only() -> None:
    for node in ast.walk(ast.parse((ROOT / "run.py").read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 14, 0), (2, 7, 18)])
def test_wrong_python_is_refused(run: ModuleType, version: tuple, monkeypatch, capsys) -> None:
    monkeypatch.setattr(run.sys, "version_info", version)
    monkeypatch.setattr(run.shutil, "which", lambda name: "there" if name == "python3.12" else None)
    monkeypatch.setattr(run.Environment, "prepare", lambda *_: pytest.fail("it went on"))
    assert run.main(["demo"]) == 2
    said = capsys.readouterr().err
    assert f"this is {version[0]}.{version[1]}.{version[2]}; " in said
    assert "python3.12 run.py demo" in said


def test_right_pythons_are_taken(run: ModuleType) -> None:
    for minor in (10, 11, 12, 13):
        run.check_python((3, minor, 0))


def test_without_arguments_it_shows_its_use(checkout: Path) -> None:
    answer = call(checkout)
    assert answer.returncode == 2
    assert "python3 run.py demo" in answer.stdout
    assert call(checkout, "--help").returncode == 0


def test_unknown_command_is_refused(checkout: Path) -> None:
    answer = call(checkout, "dance")
    assert answer.returncode == 2
    assert "no command 'dance'" in sentence(answer)


def test_missing_venv_module_names_the_package(run: ModuleType, checkout: Path, monkeypatch) -> None:
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(run.SetUpError, match=r"apt-get install python3\.\d+-venv"):
        run.Environment(checkout).prepare(["demo"])
    assert not (checkout / ".venv").exists()


def test_full_disk_is_said_before_anything_is_made(run: ModuleType, checkout: Path, monkeypatch) -> None:
    usage = shutil.disk_usage(checkout)._replace(free=500_000_000)
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(run.SetUpError, match=r"has 0\.5 GB free .*; make room"):
        run.Environment(checkout).prepare(["demo"])
    assert not (checkout / ".venv").exists()


def test_disk_that_fills_up_meanwhile_is_told_from_other_failures(run: ModuleType) -> None:
    full = "Collecting torch\nERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    assert "disk became full" in str(run.explain(full))
    assert "no network" in str(run.explain("ERROR: No matching distribution found for torch==2.13.0"))
    assert "PIP_CERT" in str(run.explain("connection: [SSL: CERTIFICATE_VERIFY_FAILED]"))
    assert "cannot be written" in str(run.explain("[Errno 13] Permission denied: '.venv.lock'"))
    other = str(run.explain("Collecting x\nERROR: x is broken.\nafterwards", "the log"))
    assert "(ERROR: x is broken)" in other
    assert "the log has the details." in other


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_folder_of_somebody_else_is_refused(checkout: Path) -> None:
    checkout.chmod(0o500)
    try:
        answer = call(checkout, "demo")
    finally:
        checkout.chmod(0o700)
    assert answer.returncode == 2
    assert "cannot be written" in sentence(answer)


def test_no_network_is_said_and_the_half_made_folder_is_made_afresh(checkout: Path) -> None:
    first = call(checkout, "test")
    assert first.returncode == 2
    assert "no network" in sentence(first)
    assert "Making .venv with Python" in first.stdout
    assert (checkout / ".venv" / "install.log").read_text(encoding="utf-8")

    leftover = checkout / ".venv" / "leftover"
    leftover.touch()
    second = call(checkout, "demo")
    assert second.returncode == 2
    assert ".venv is broken or was never finished" in second.stdout
    assert not leftover.exists()


@pytest.fixture
def ready(run: ModuleType, checkout: Path):
    """An environment that is marked as finished for the demonstration, with nothing in it but Python."""
    environment = run.Environment(checkout)
    venv.create(environment.folder, with_pip=False)
    environment.write_stamp(["demo"])
    return environment


def test_a_finished_environment_is_left_alone(run: ModuleType, ready, monkeypatch, capsys) -> None:
    monkeypatch.setattr(run.Environment, "install", lambda *_: pytest.fail("it installed again"))
    ready.prepare(["demo"])
    assert capsys.readouterr().out == ""


def test_it_is_brought_up_to_date_when_the_pins_or_the_task_change(run: ModuleType, ready, monkeypatch) -> None:
    installed = []
    monkeypatch.setattr(run.Environment, "install", lambda self, extras, gpu: installed.append(extras))
    monkeypatch.setattr(run.Environment, "make", lambda self: pytest.fail("it was thrown away"))
    ready.prepare(["demo", "test"])
    with (ready.root / "constraints.txt").open("a") as pins:
        pins.write("# changed\n")
    assert not ready.is_ready(["demo"])
    ready.prepare(["demo"])
    assert installed == [["demo", "test"], ["demo", "test"]]
    assert ready.is_ready(["demo", "test"])


def test_it_is_made_afresh_when_its_python_is_gone(run: ModuleType, ready, monkeypatch) -> None:
    ready.python.unlink()
    made = []
    monkeypatch.setattr(run.Environment, "make", lambda self: made.append("made"))
    monkeypatch.setattr(run.Environment, "install", lambda *_: None)
    monkeypatch.setattr(run, "check_room", lambda *_: None)
    ready.prepare(["demo"])
    assert made == ["made"]


def test_a_second_call_waits_for_the_first_and_does_not_install_again(run: ModuleType, ready) -> None:
    stamp = ready.stamp.read_text(encoding="utf-8")
    ready.stamp.unlink()
    code = "import run; run.Environment().prepare(['demo']); print('went on')"
    with run.locked(ready.root / ".venv.lock"):
        second = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ready.root, env=offline(), stdout=subprocess.PIPE, text=True
        )
        assert second.stdout
        assert "waiting for it" in second.stdout.readline()
        # The first call finishes here.
        ready.stamp.write_text(stamp, encoding="utf-8")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert said == "went on\n"


@pytest.mark.parametrize(
    ("version", "url", "needs", "cuda"),
    [
        (
            "2.13.0",
            "https://somewhere/torch.whl",
            ["filelock", "nvidia-cudnn-cu13==9; platform_system == 'Linux'"],
            True,
        ),
        ("2.13.0", "https://somewhere/torch.whl", ["cuda-toolkit[cublas]==13.0"], True),
        ("2.13.0", "https://somewhere/torch.whl", ["filelock"], False),
        ("2.13.0+cpu", "https://somewhere/torch.whl", ["filelock"], False),
        ("2.13.0", "file:///torch.whl", ["filelock", "nvidia-cudnn-cu13==9"], False),
    ],
)
def test_a_cuda_build_is_known_by_what_it_needs(run: ModuleType, version, url, needs, cuda) -> None:
    entry = {"download_info": {"url": url}, "metadata": {"version": version, "requires_dist": needs}}
    assert run.is_cuda_build(entry) is cuda


def test_the_pin_is_read_from_the_list(run: ModuleType, checkout: Path) -> None:
    assert f"\ntorch=={run.Environment(checkout).pin('torch')}\n" in (checkout / "constraints.txt").read_text()


def test_steps_stop_at_the_first_failure(run: ModuleType, monkeypatch, capsys) -> None:
    calls = []

    def fail_on_mypy(command: list[str], _folder: Path) -> int:
        calls.append(command[2])
        return 3 if command[2] == "mypy" else 0

    monkeypatch.setattr(run, "run", fail_on_mypy)
    assert run.run_tests(Path("python"), ["-k", "x"]) == 3
    assert calls == ["ruff", "ruff", "mypy"]
    assert "Types failed" in capsys.readouterr().out


@pytest.mark.parametrize(("cores", "options"), [(1, []), (2, ["-n", "2"]), (64, ["-n", "8"])])
def test_tests_are_shared_out_to_the_cores(run, monkeypatch, cores, options) -> None:
    monkeypatch.setattr(run.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert run.on_all_cores()[:2] == options
