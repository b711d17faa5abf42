"""Short runs of pre-training in folders of their own, and processes that are started and ended for real."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import PromptSegLib


@pytest.fixture
def small_images(monkeypatch):
    """The phantoms are no larger."""
    import torch

    from PromptSegLib.datasets import tasks

    monkeypatch.setattr(tasks, "SIZES", ((64, 64), (64, 96)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def losses(monkeypatch) -> list[float]:
    """The loss of each step."""
    from PromptSegTrain import train

    seen: list[float] = []
    original = train.train_step

    def listen(*args):
        parts = original(*args)
        seen.append(parts["loss"])
        return parts

    monkeypatch.setattr(train, "train_step", listen)
    return seen


@pytest.fixture
def go(dataset, tmp_path, trained, kit, small_images) -> Callable[..., Path]:
    """Train in a folder of one's own; the cached volumes are those of ``trained``."""
    from PromptSegLib.model.config import tiny
    from PromptSegTrain.train import pretrain

    def run(folder: str = "run", steps: int = 6, **options: Any) -> Path:
        quick = {"warmup": 2, "decay": 2, "log_every": 2, "validate_every": 10**6, "validation": 0.0}
        recipe = kit.recipe(steps, **{**quick, **options.pop("recipe", {})})
        (tmp_path / folder).mkdir(exist_ok=True)
        if not (tmp_path / folder / "cache").exists():
            (tmp_path / folder / "cache").symlink_to(trained / "cache")
        options = {"config": tiny(), "name": "small", "device": "cpu", **options}
        return pretrain(options.pop("datasets", [dataset]), tmp_path / folder, recipe=recipe, **options)

    return run


@pytest.fixture
def stop_after() -> Callable[[int, list[float]], Callable[[], bool]]:
    """A ``should_stop`` for after so many steps."""
    return lambda steps, seen: lambda: len(seen) >= steps


@pytest.fixture
def rows() -> Callable[[Path], list[dict[str, str]]]:
    """The lines of a run's metrics.csv."""

    def read(folder: Path) -> list[dict[str, str]]:
        with (folder / "metrics.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def start(dataset, tmp_path, trained):
    """Start the real command on ``dataset`` in ``tmp_path/run``, perhaps in several processes; ended after the test."""
    running: list[subprocess.Popen[str]] = []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "cache").symlink_to(trained / "cache")

    def begin(*words: object, processes: int = 1) -> subprocess.Popen[str]:
        module = ["PromptSegCli"]
        if processes > 1:
            module = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", *module]
        arguments = [
            "pretrain",
            str(dataset),
            "-o",
            "run",
            "--preset",
            "tiny",
            "--device",
            "cpu",
            "--groups",
            "1",
            *words,
        ]
        command = [sys.executable, "-m", *module, *(str(a) for a in arguments)]
        environment = os.environ | {"PYTHONPATH": str(Path(PromptSegLib.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
