"""Several processes: they learn what one process with all their groups learns, and stop, save and fail together."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import socket
import time
import traceback
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from PromptSegLib import atomic
from PromptSegLib.datasets import loading as data
from PromptSegLib.datasets.tasks import GROUP, TaskSampler
from PromptSegLib.errors import OutputError, Stopped
from PromptSegLib.model.files import read_header
from PromptSegTrain import distributed, train
from PromptSegTrain.distributed import Ranks

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not torch.distributed.is_gloo_available() or torch.cuda.is_available(),
    reason="forks processes that talk by gloo",
)


@pytest.fixture
def together(tmp_path, monkeypatch):
    """Run a function of the rank in two processes; gives what each returns, as text."""

    def child(work: Callable[[int], object], rank: int, port: int) -> None:
        settings = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({k: str(v) for k, v in settings.items()})
        torch.set_num_threads(1)
        try:
            answer = str(work(rank))
        except BaseException:
            answer = traceback.format_exc()
        (tmp_path / f"rank{rank}.txt").write_text(answer)

    def run(work: Callable[[int], object]) -> list[str]:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        processes = [
            multiprocessing.get_context("fork").Process(target=child, args=(work, rank, port)) for rank in (0, 1)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads; nothing runs in them
            for one in processes:
                one.start()
        for one in processes:
            one.join(240)
            if one.is_alive():
                one.kill()
                raise AssertionError("a process waits for ever")
        return [(tmp_path / f"rank{rank}.txt").read_text() for rank in (0, 1)]

    return run


def step_of(path) -> int:
    return int(read_header(path)["step"])


@pytest.mark.parametrize("mode", ["supervised", "joint"])
def test_two_processes_learn_what_one_with_twice_the_groups_learns(
    mode, go, together, tmp_path, rows, monkeypatch
) -> None:
    """Volumes have two or three annotated structures, so that the dense loss is a mean over differently many."""
    monkeypatch.setattr(train, "fast_dtype", lambda _: torch.float32)  # so that rounding is no excuse
    usual = {"mode": mode, "log_every": 1, "validation": 0.25}
    one = load_file(go("one", steps=2, recipe={**usual, "groups": 4}))
    answers = together(lambda rank: go("two", steps=2, recipe={**usual, "groups": 2}))
    assert answers == [str(tmp_path / "two" / "last.safetensors")] * 2
    two = load_file(tmp_path / "two" / "last.safetensors")
    gradients = [k for k in one if k.endswith("exp_avg")]
    apart = sum(float((two[k] - one[k]).square().sum()) for k in gradients)
    assert apart < 1e-8 * sum(float(one[k].square().sum()) for k in gradients)
    # Adam's first steps have the size of the rate: where the gradient is next to nothing, rounding decides their sign.
    far = [(two[k] - one[k]).abs() > 1e-5 for k in one if k.startswith("model.net.")]
    assert sum(int(f.sum()) for f in far) < 0.01 * sum(f.numel() for f in far)
    lines = [rows(tmp_path / folder) for folder in ("one", "two")]
    for a, b in zip(*lines, strict=True):
        for column in ("loss", "prompted", "episodic", "dense", "deep", "dice", "few_shot_dice"):
            if a[column]:
                assert float(a[column]) == pytest.approx(float(b[column]), abs=3e-4)
    assert torch.equal(one["random"], two["random"])
    headers = [read_header(tmp_path / folder / "last.safetensors") for folder in ("one", "two")]
    assert headers[0]["sampler"] == headers[1]["sampler"]


def test_the_parts_of_a_batch_are_the_batch(trained, dataset, small_images) -> None:
    part = data.load_part(data.read_dataset(dataset), 0.0, 1, trained / "cache")
    names = list(part.dataset.labels.values())
    batch = TaskSampler([part.training], [1.0], names, 1).draw(4, 2, views=True)
    parts = [Ranks(rank, 2).share(batch) for rank in (0, 1)]
    assert [len(p.images) for p in parts] == [2 * GROUP] * 2
    for name in (
        "images",
        "labels",
        "annotated",
        "prompted_masks",
        "episodic_masks",
        "support_inside",
        "support_outside",
    ):
        assert torch.equal(torch.cat([getattr(p, name) for p in parts]), getattr(batch, name))
    shift = 2 * GROUP
    assert [(n + r * shift, s) for r, p in enumerate(parts) for n, s in p.prompted] == batch.prompted
    assert [n + r * shift for r, p in enumerate(parts) for n in p.episodic] == batch.episodic
    assert torch.equal(torch.cat([p.support + r * shift for r, p in enumerate(parts)]), batch.support)
    for view in (0, 1):
        whole = batch.views.students[view].images
        assert torch.equal(torch.cat([p.views.students[view].images for p in parts]), whole)
    assert torch.equal(torch.cat([p.views.structures for p in parts]), batch.views.structures)
    assert Ranks().share(batch) is batch


def test_sums_flags_means_and_weights(together) -> None:
    def work(rank: int) -> list:
        with distributed.joined("cpu") as (ranks, place):
            assert (ranks.rank, ranks.count, place.type) == (rank, 2, "cpu")
            items = (1, 3)[rank]
            return [
                ranks.sums(rank + 1.0, 10.0),
                ranks.any(rank == 1, False),
                ranks.mean({"loss": float(rank)}),
                # Means 5 over one item and 1 over three: 2 over all four.
                ranks.mean({"dense": (5.0, 1.0)[rank] * ranks.weight(items)}),
            ]

    expected = [[3.0, 20.0], [True, False], {"loss": 0.5}, {"dense": 2.0}]
    assert together(work) == [str(expected)] * 2
    assert Ranks().sums(2.0) == [2.0]
    assert Ranks().weight(7) == 1.0


def test_stopping_one_stops_all_at_the_same_step(go, together, tmp_path, monkeypatch) -> None:
    def work(rank: int) -> str:
        steps = []
        original = train.train_step
        monkeypatch.setattr(train, "train_step", lambda *a: steps.append(0) or original(*a))
        try:
            go("run", steps=100, should_stop=lambda: rank == 1 and len(steps) == 2)
        except Stopped:
            return f"stopped after {len(steps)}"
        return "not stopped"

    assert together(work) == ["stopped after 2"] * 2
    assert step_of(tmp_path / "run" / "last.safetensors") == 2
    assert (tmp_path / "run" / "small.safetensors").is_file()


def test_what_fails_in_the_first_ends_the_others(go, together, tmp_path, monkeypatch) -> None:
    def fail(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", fail)

    def work(rank: int) -> str:
        try:
            go("run", steps=5, recipe={"save_every": 1})
        except (OutputError, Stopped) as error:
            return type(error).__name__
        return "went on"

    assert together(work) == ["OutputError", "Stopped"]


def test_the_whole_command_with_torchrun_and_ctrl_c(start, tmp_path) -> None:
    process = start("--steps", 100_000, "--save-every", 1, "--validation", 0, processes=2)
    last = tmp_path / "run" / "last.safetensors"
    until = time.monotonic() + 240
    while not last.is_file() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert err.count("a checkpoint is in run, and --resume goes on from it") == 1, err
    assert np.isfinite(step_of(last))
    assert (tmp_path / "run" / "punet-ct.safetensors").is_file()
    assert (tmp_path / "run" / "phantoms.promptset").is_file()
