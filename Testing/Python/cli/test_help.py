"""Help, version and the examples that the help shows."""

from __future__ import annotations

import os
import shlex

import pytest

from PromptSegCli.cli import build_parser, main
from PromptSegLib import __version__

from .conftest import Promptseg

COMMANDS = (
    "info",
    "segment",
    "tune",
    "suggest",
    "review",
    "evaluate",
    "prompts list",
    "prompts show",
    "prompts merge",
    "pretrain",
    "demo",
)


def examples(text: str) -> list[list[str]]:
    """The words after ``promptseg`` of each example in a help text."""
    _, _, part = text.partition("\nexamples:\n")
    lines = part.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("  promptseg ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_that_parse(command: str, capsys) -> None:
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert examples(text)
    for words in examples(text):
        assert " ".join(words).startswith(command)
        assert callable(build_parser().parse_args(words).run)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("pretrain", "demo")])
def test_the_examples_work(command: str, promptseg: Promptseg, place, kit, monkeypatch) -> None:
    if command == "tune":
        from PromptSegLib.datasets import tasks

        monkeypatch.setattr(tasks, "SIZES", ((64, 64),))  # the phantoms are no larger
        described = kit.write_dataset(place / "abdomen", (1, 2, 3, 4))
        described.write_text(described.read_text().replace("spleen", "duodenum"))
    (place / "organs.nii.gz").write_bytes((place / "labels.nii.gz").read_bytes())
    for name in ("ct", "labels"):
        (place / f"{name}2.nii.gz").write_bytes((place / f"{name}.nii.gz").read_bytes())
    if command == "review":
        promptseg("segment", "ct.nii.gz", "--prompts", "abdomen-ct", "-o", "organs.seg.nrrd")
    if command == "evaluate":
        made = promptseg("segment", "ct.nii.gz", "--prompts", "kidney.promptset", "-o", "kidney.seg.nrrd")
        assert made.status == 0, (made.status, made.out, made.err)
    for words in examples(promptseg(*command.split(), "--help").out):
        short = ("--steps", "3") if command == "tune" else ()
        outcome = promptseg(*words, *short)
        assert outcome.status == 0, outcome.err


def test_the_whole_help_names_every_command(capsys) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command.split()[0] in text for command in COMMANDS)


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"promptseg {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["paint"],
        ["segment"],
        ["segment", "ct.nii.gz", "--promts", "abdomen-ct", "-o", "a.nii"],
        ["tune", "ct.nii.gz", "l.nii", "--label", "3", "--slices", "4;5", "--name", "a", "-o", "a.promptset"],
        ["tune", "ct.nii.gz", "l.nii", "--label", "3", "--slices", "4", "--name", " ", "-o", "a.promptset"],
        ["tune", "ct.nii.gz", "l.nii", "--label", "3", "--slices", "4", "--name", "a", "-o", "a", "--steps", "-1"],
        ["tune", "ct.nii.gz", "l.nii", "--label", "3", "--slices", "4", "--name", "a", "-o", "a", "--axis", "x"],
        ["pretrain", "dataset.json", "-o", "run", "--time-budget", "25"],
        ["pretrain", "dataset.json", "-o", "run", "--validation", "1"],
        ["pretrain", "dataset.json", "-o", "run", "--name", "a/b"],
        ["evaluate", "a.nii", "b.nii", "--pairs", "1-6"],
        ["prompts", "merge", "a.promptset", "-o", "c.promptset"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_one_sentence(words: list[str], capsys) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.endswith(".\n")


def test_compute_threads_leave_their_cores_while_they_wait(monkeypatch, capsys) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert main(["--version"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")  # whoever sets it knows why
    assert main(["--version"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
