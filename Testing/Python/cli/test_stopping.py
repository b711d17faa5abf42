"""Ctrl-C: what is kept, what is not written, and that the process says so and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import PromptSegLib
from PromptSegCli.commands.console import Console
from PromptSegCli.commands.stopping import StopOnSignal
from PromptSegLib.errors import Stopped
from PromptSegLib.prompts.promptset import PromptSet

from .conftest import Promptseg, save, tune_words

SEGMENT = ("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "out.nii.gz")


@pytest.fixture
def press(monkeypatch):
    """Have Ctrl-C pressed when a stage is reported."""

    def at(stage: str, times: int = 1, number: int = signal.SIGINT) -> None:
        pressed = []
        original = Console.progress

        def progress(self, report) -> None:
            original(self, report)
            if report.stage == stage and not pressed:
                pressed.append(stage)
                for _ in range(times):
                    signal.raise_signal(number)

        monkeypatch.setattr(Console, "progress", progress)

    return at


@pytest.mark.parametrize("stage", ["load", "read", "segment"])
def test_segment_writes_nothing(stage: str, promptseg: Promptseg, place, press) -> None:
    press(stage)
    before = set(place.iterdir())
    outcome = promptseg(*SEGMENT, "--json")
    assert outcome.status == 130
    assert outcome.err == "Stopped; nothing was written.\n"
    assert outcome.events[-1] == {"event": "stopped", "message": "Stopped; nothing was written."}
    assert set(place.iterdir()) == before


def test_terminating_is_stopping(promptseg: Promptseg, place, press) -> None:
    press("segment", number=signal.SIGTERM)
    assert promptseg(*SEGMENT).status == 130
    assert not (place / "out.nii.gz").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no such signal")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_is_stopping_unless_nohup_was_there(ignored, promptseg: Promptseg, place, press) -> None:
    press("segment", number=signal.SIGHUP)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert promptseg(*SEGMENT).status == (0 if ignored else 130)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (place / "out.nii.gz").exists() == ignored


def test_a_second_ctrl_c_ends_at_once(promptseg: Promptseg, place, press) -> None:
    press("segment", times=2)
    outcome = promptseg(*SEGMENT)
    assert outcome.status == 130
    assert outcome.err.splitlines()[-1] == "Ended at once."
    assert not (place / "out.nii.gz").exists()


def test_handlers_are_put_back(promptseg: Promptseg, press) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    press("segment", times=2)
    promptseg(*SEGMENT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_the_flag_is_what_should_stop_reads() -> None:
    with StopOnSignal() as stop:
        stop.check()
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        with pytest.raises(Stopped):
            stop.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_tune_before_the_first_mask_writes_nothing(promptseg: Promptseg, place, press) -> None:
    press("read")
    outcome = promptseg(*tune_words())
    assert outcome.status == 130
    assert outcome.err == "Stopped; nothing was written.\n"
    assert not (place / "new.promptset").exists()


@pytest.mark.parametrize("stage", ["first mask", "leave one out"])
def test_tune_keeps_the_best_prompt_so_far(stage: str, promptseg: Promptseg, place, press) -> None:
    press(stage)
    outcome = promptseg(*tune_words(segmentation="out.nii.gz"), "--json")
    assert outcome.status == 130
    assert "left kidney" in PromptSet.read("new.promptset")
    assert not (place / "out.nii.gz").exists()
    result, stopped = outcome.events[-2:]
    assert (result["event"], result["stopped"], result["segmentation"]) == ("result", True, None)
    assert stopped["message"] == (
        f"Stopped; the best prompt so far (step {result['steps']}) was written to new.promptset, the segmentation was "
        "not."
    )
    assert outcome.err.strip() == stopped["message"]


def test_tune_keeps_the_prompt_when_the_segmentation_is_stopped(promptseg: Promptseg, place, press) -> None:
    press("segmentation")
    outcome = promptseg(*tune_words(segmentation="out.nii.gz"), "--json")
    assert outcome.status == 130
    assert outcome.events[-2]["stopped"] is True
    sentence = outcome.err.splitlines()[-1]
    assert sentence == "Stopped; the prompt was written to new.promptset, the segmentation was not."
    assert (place / "new.promptset").exists()
    assert not (place / "out.nii.gz").exists()


def test_pretrain_saves_a_checkpoint(promptseg: Promptseg, place, monkeypatch) -> None:
    from PromptSegTrain import train

    real_step = train.train_step

    def step_and_press(*arguments):
        losses = real_step(*arguments)
        signal.raise_signal(signal.SIGINT)
        return losses

    monkeypatch.setattr(train, "train_step", step_and_press)
    dataset = {"name": "toy", "labels": {"1": "corner", "3": "ball"}}
    dataset["training"] = [{"image": "ct.nii.gz", "label": "labels.nii.gz"}]
    (place / "dataset.json").write_text(json.dumps(dataset))
    words = ("pretrain", "dataset.json", "-o", "run", "--preset", "tiny", "--device", "cpu", "--steps", 1000)
    outcome = promptseg(*words)
    assert outcome.status == 130
    assert "--resume goes on from it" in outcome.err
    assert (place / "run" / "last.safetensors").is_file()


def start(folder: Path, *words: object) -> subprocess.Popen[str]:
    """The real command, in a process of its own."""
    path = os.fspath(Path(PromptSegLib.__file__).parents[1])
    command = [sys.executable, "-m", "PromptSegCli", *(str(word) for word in words), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, **pipes)


def interrupt_at(process: subprocess.Popen[str], stage: str) -> tuple[int, str, dict]:
    """Press Ctrl-C when the stage is under way; gives status, standard error and the last event."""
    assert process.stdout
    for line in process.stdout:
        event = json.loads(line)
        if event.get("stage") == stage and event["fraction"] > 0:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, err, json.loads(out.splitlines()[-1])


@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
def test_a_real_ctrl_c_while_segmenting(place, shipped) -> None:
    save(np.random.default_rng(0).normal(0, 100, (500, 60, 60)).astype(np.int16), place / "long.nrrd")
    before = set(place.iterdir())
    backbone = ("--backbone", shipped / "Models" / "punet-ct.safetensors")
    words = ("segment", "long.nrrd", "--prompts", "kidney.promptset", "-o", "out.nii.gz", "--device", "cpu")
    status, err, last = interrupt_at(start(place, *words, *backbone), "segment")
    assert status == 130
    assert err == "Stopped; nothing was written.\n"
    assert last["event"] == "stopped"
    assert set(place.iterdir()) == before


@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
def test_a_real_ctrl_c_while_tuning(place, shipped) -> None:
    before = set(place.iterdir())
    words = tune_words(steps=100000, backbone=shipped / "Models" / "punet-ct.safetensors")
    status, err, last = interrupt_at(start(place, *words), "leave one out")
    assert status == 130
    assert re.fullmatch(r"Stopped; the best prompt so far \(step \d+\) was written to new.promptset\.\n", err)
    assert last["event"] == "stopped"
    assert set(place.iterdir()) - before == {place / "new.promptset"}
    assert "left kidney" in PromptSet.read(place / "new.promptset")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell's pipe")
def test_nobody_reads_the_output(place) -> None:
    process = start(place, "prompts", "show", "kidney.promptset")
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=120)
    assert process.returncode == 141
    assert err == ""


@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
def test_a_process_that_does_not_ask_leaves_nothing_half_written(tmp_path: Path) -> None:
    code = """
import signal, time
from PromptSegCli.commands.stopping import StopOnSignal
from PromptSegLib.atomic import replacing
with StopOnSignal(own_process=True):
    with replacing("out.nii.gz") as file:
        file.write(b"half")
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)
"""
    path = os.fspath(Path(PromptSegLib.__file__).parents[1])
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert ended.returncode == 130
    assert ended.stderr == "Stopped; nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs signals between processes")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_ctrl_c_while_the_first_modules_are_imported_is_one_line(more, tmp_path: Path) -> None:
    code = """
import importlib.abc, signal, sys
from PromptSegCli.cli import main

class Press(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "PromptSegCli.commands.stopping":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.exit(main())
"""
    path = os.fspath(Path(PromptSegLib.__file__).parents[1])
    command = [sys.executable, "-c", code, "info", *more]
    ended = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert ended.returncode == 130
    assert ended.stderr == "Stopped; nothing was written.\n"
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert events == ([{"event": "stopped", "message": "Stopped; nothing was written."}] if more else [])
