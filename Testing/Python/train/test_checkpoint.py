"""Checkpoints: refused when they do not fit, never half-written, and enough to go on after any kind of end."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from PromptSegLib import atomic
from PromptSegLib.errors import InputError, OutputError, Stopped
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.config import PUNetConfig, tiny
from PromptSegLib.model.files import read_header, read_tensors, write_tensors
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegTrain.checkpoint import read_settings
from PromptSegTrain.curves import COLUMNS

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")


def step_of(path) -> int:
    return int(read_header(path)["step"])


def wait_for(path, process, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not path.is_file():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_checkpoint_of_another_configuration_is_refused(go, tmp_path) -> None:
    last = go(steps=1)
    for other in (replace(tiny(), tokens=16), replace(tiny(), second="shift")):
        with pytest.raises(InputError, match="a checkpoint of another configuration; start in another folder"):
            go(steps=2, resume=True, config=other)
    last.write_bytes((tmp_path / "run" / "small.safetensors").read_bytes())
    with pytest.raises(InputError, match="another configuration"):
        go(steps=2, resume=True)
    with pytest.raises(InputError, match="is not a checkpoint"):
        go(steps=2, resume=True, config=None)


def test_a_checkpoint_of_other_structures_is_refused(go, kit, tmp_path) -> None:
    go(steps=1)
    other = kit.write_dataset(tmp_path / "other", (1, 2))
    other.write_text(other.read_text().replace("aorta", "pancreas"))
    with pytest.raises(InputError, match="a checkpoint of other structures; name the same data sets"):
        go(steps=2, resume=True, datasets=[other])


@pytest.mark.parametrize("rest", [0, 5, 1000, -100])
def test_a_damaged_checkpoint_is_refused(rest, go) -> None:
    last = go(steps=1)
    last.write_bytes(last.read_bytes()[:rest])
    for config in (tiny(), None):
        with pytest.raises(InputError, match=r"start in another folder; --start-from") as caught:
            go(steps=2, resume=True, config=config)
        assert "last.safetensors" in str(caught.value)


def test_a_checkpoint_says_how_it_is_to_go_on(go) -> None:
    last = go(steps=2, recipe={"lr": 1e-4, "weights": (3.0,)})
    config, recipe = read_settings(last)
    assert config == tiny() != PUNetConfig()
    assert (recipe.steps, recipe.lr, recipe.weights) == (2, 1e-4, (3.0,))


def test_a_checkpoint_of_earlier_versions_goes_on(go, tmp_path) -> None:
    """Weights, options and columns of the curves had other names."""
    last, former = go("new", steps=2), go("old", steps=2)
    tensors, meta = read_tensors(former)
    recipe = json.loads(meta["recipe"])
    for name, before in (("prompt_tasks", "learned_per_slice"), ("episodic", "shown"), ("deep", "aid")):
        recipe[before] = recipe.pop(name)
    renamed = {name.replace(".deep.", ".aid."): tensor for name, tensor in tensors.items()}
    assert renamed.keys() != tensors.keys()
    write_tensors(former, renamed, {**meta, "recipe": json.dumps(recipe)})
    curves = tmp_path / "old" / "metrics.csv"
    head, line, *_ = curves.read_text(encoding="utf-8").splitlines()
    head = head.replace("prompted,episodic,dense,deep", "learned,shown,dense,aid").replace("few_shot_", "shown_")
    assert "aid" in head
    curves.write_text(f"{head}\n{line}\n", encoding="utf-8")
    assert read_settings(former) == read_settings(last)
    found = [safetensors.torch.load_file(go(folder, steps=4, resume=True)) for folder in ("new", "old")]
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())
    assert curves.read_text(encoding="utf-8").splitlines()[:2] == [",".join(COLUMNS), line]


@pytest.mark.parametrize("trouble", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_save_that_fails_leaves_the_last_good_checkpoint(
    go, losses, tmp_path, monkeypatch, trouble, stop_after
) -> None:
    with pytest.raises(Stopped):
        go(should_stop=stop_after(2, losses))
    good = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.suffix != ".csv" and p.is_file()}

    def fail(*_args):
        raise trouble

    with monkeypatch.context() as broken:
        if isinstance(trouble, OSError):
            broken.setattr(atomic.os, "fsync", fail)
        else:
            broken.setattr(safetensors.torch, "save", fail)
        with pytest.raises(OutputError, match=r"space|memory"):
            go(resume=True, recipe={"save_every": 1})
    assert len(losses) == 3
    after = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.suffix != ".csv" and p.is_file()}
    assert after == good
    go(resume=True)


@posix
def test_a_full_disk_in_mid_run_is_one_sentence_and_status_2(start, tmp_path, dataset) -> None:
    """The system itself refuses: no file may grow beyond a limit. The checkpoint before is whole."""
    resource = pytest.importorskip("resource")
    process = start("--steps", 1000, "--save-every", 1, "--validation", 0)
    last = tmp_path / "run" / "last.safetensors"
    wait_for(last, process)
    if not hasattr(resource, "prlimit"):
        pytest.skip("limits of another process can be set on Linux alone")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert err.splitlines()[-1].startswith(f"{last} could not be written") or "last.safetensors" in err
    assert step_of(last) >= 1
    assert not list((tmp_path / "run").glob(".*safetensors"))


@posix
def test_ctrl_c_saves_and_says_so_and_kill_loses_one_save_interval_at_most(start, tmp_path) -> None:
    words = ("--steps", 100_000, "--save-every", 2, "--validation", 0, "--name", "mine")
    last = tmp_path / "run" / "last.safetensors"
    process = start(*words)
    wait_for(last, process)
    process.kill()
    process.communicate()
    kept = step_of(last)
    assert kept >= 2
    assert kept % 2 == 0
    left = tmp_path / "run" / ".0123456789ab-last.safetensors"  # as a process that is killed while it writes leaves it
    left.write_bytes(b"half")

    process = start("--resume", "--name", "mine")  # the other options are those of before
    wait_for(tmp_path / "run" / "metrics.csv", process)
    until = time.monotonic() + 120
    while step_of(last) <= kept and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "Stopped; a checkpoint is in run, and --resume goes on from it."
    assert kept < step_of(last) < 100_000
    assert not left.exists()
    backbone = load_backbone(tmp_path / "run" / "mine.safetensors", "cpu")
    assert backbone.card["recipe"]["step"] == step_of(last)
    assert backbone.card["recipe"]["save_every"] == 2
    assert len(PromptSet.read(tmp_path / "run" / "phantoms.promptset")) == 3
