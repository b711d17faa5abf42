"""What the console writes, and how unexpected ends are told."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from PromptSegCli.commands import arguments, info, streams
from PromptSegCli.commands.console import Console
from PromptSegLib.errors import InputError
from PromptSegLib.progress import Progress

from .conftest import Promptseg


def test_what_json_does_not_have_is_null(capsys) -> None:
    Console(json_lines=True).result(a=math.nan, b={"c": [np.float32("inf"), np.int64(3)]}, d=Path("x"), e=(1.5, None))
    fields = json.loads(capsys.readouterr().out)
    assert {key: fields[key] for key in "abde"} == {"a": None, "b": {"c": [None, 3]}, "d": "x", "e": [1.5, None]}


def test_progress_of_a_part_is_a_part_of_the_progress(capsys) -> None:
    console = Console(json_lines=True)
    console.part(0.5, 1.0)(Progress("tune", 0.5, "half", {"loss": math.nan}))
    event = json.loads(capsys.readouterr().out)
    assert (event["fraction"], event["metrics"]) == (0.75, {"loss": None})


def test_a_table_shows_numbers_and_dashes_and_no_escape_sequences(capsys) -> None:
    Console().table(
        "Title", ("structure", "Dice"), [("[red]liver\x1b[31m", 0.98765), ("spleen", math.nan), ("mean", None)]
    )
    out = capsys.readouterr().out
    assert out.startswith("Title\n")
    assert "[red]liver?[31m" in out
    assert "0.988" in out
    assert out.count(" -") == 2
    assert "\x1b" not in out


def test_a_terminal_gets_a_bar_with_the_remaining_time(monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    console = Console()
    console.progress(Progress("segment", 0.25, "slice [1] of 4"))
    console.progress(Progress("segment", 0.5, "slice [2] of 4"))
    console.close()
    assert "slice [2] of 4" in terminal.getvalue()
    assert "50%" in terminal.getvalue()
    assert "-:--:--" in terminal.getvalue() or "0:00" in terminal.getvalue()


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (MemoryError(), 2, "memory is not enough; close other programs"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            2,
            "close other programs",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 2, "--device cpu"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2, "run pip install torch"),
        (PermissionError(13, "Permission denied", "x"), 2, "(x); check its permissions"),
        (KeyError("liver"), 1, "This is a defect in PromptSeg (KeyError: 'liver'); run the command again with --debug"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_ends_that_no_command_expects(error, status, sentence, monkeypatch, promptseg: Promptseg) -> None:
    def run(*_: object) -> int:
        raise error

    monkeypatch.setattr(info, "run", run)
    outcome = promptseg("info")
    assert outcome.status == status
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    assert "Traceback" in promptseg("info", "--debug").err
    monkeypatch.setenv("PROMPTSEG_DEBUG", "1")
    assert "Traceback" in promptseg("info").err
    assert promptseg("info", "--json").events[-1]["event"] == "error"


def test_a_closed_pipe_is_quiet(monkeypatch, promptseg: Promptseg) -> None:
    def run(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(info, "run", run)
    monkeypatch.setattr(streams.os, "dup2", lambda *_: None)
    outcome = promptseg("info")
    assert (outcome.status, outcome.out, outcome.err) == (141, "", "")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("2h", 7200), ("1.5H", 5400)])
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert arguments.time_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "25", "0m", "-3m", "m", "2d", "1e3s", "²s"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(InputError, match="25m"):
        arguments.time_budget(text)


def test_lists_of_slices() -> None:
    assert arguments.slices("40, 52,64,52") == (40, 52, 64)
    for text in ("", "4,", "a", "1-3", "-1", "1.5", "٣"):
        with pytest.raises(InputError, match="40,52,64"):
            arguments.slices(text)
