"""What a remedy names is there: options of the commands that say it, commands, prompt sets; and it helps."""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import PromptSegLib
from PromptSegCli.cli import build_parser
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.prompts import library

from .conftest import tune_words, write_prompts

SOURCES = Path(PromptSegLib.__file__).parents[1]
ENGINE = ("info", "segment", "cohort", "tune", "suggest", "pretrain", "worker", "demo")
READS_IMAGES = ("segment", "cohort", "tune", "suggest", "review", "evaluate")
SHOWN_BY = {
    "PromptSegCli/cohort": ("cohort",),
    "PromptSegCli/commands/arguments.py": {
        "--name": ("tune", "pretrain"), "--start-from": ("tune",), "--prompt": ("suggest",), "--prompts": ("segment",),
    },
    "PromptSegCli/commands/drawn_volume.py": ("tune",),
    "PromptSegCli/commands/tune_set.py": ("tune",),
    "PromptSegLib/errors.py": ENGINE,
    "PromptSegLib/desktop/problems.py": {
        "--device": ENGINE, "--orientation": READS_IMAGES, "--seed": ("tune",), "--validation": ("tune",),
    },
    "PromptSegLib/model/precision.py": ENGINE,
    "PromptSegLib/datasets": ("tune", "pretrain"),
    "PromptSegLib/labelled": ("tune",),
    "PromptSegLib/review/evaluate.py": ("evaluate",),
    "PromptSegLib/volumes/geometry.py": READS_IMAGES,
    "PromptSegTrain": ("pretrain",),
}  # fmt: skip
"""The commands that say what a file's sentences say; those of ``PromptSegCli/commands`` are their own."""
OTHERS = (
    "--scheduler-file",
    "--nproc-per-node",
    "--nworkers",
    "--memory-limit",
    "--raw",
    "--set",
    "--json",
    "--debug",
    "--help",
)
"""Of other programs, of every command, and of the programs that make a release."""


def options_of(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from options_of(below, (*words, name))
            return
    yield " ".join(words), {one for action in parser._actions for one in action.option_strings}


COMMANDS = dict(options_of(build_parser()))


def sentences() -> Iterator[tuple[str, str]]:
    """(file, text) of each text that an error is made with, and of constants of modules, which remedies may be."""
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func).endswith("Error")]
        found: list[ast.AST] = [one for call in calls for one in call.args]
        found += [node.value for node in tree.body if isinstance(node, ast.Assign)]
        found += [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
        for one in found:
            for node in ast.walk(one):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield path.relative_to(SOURCES).as_posix(), node.value


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", "") or getattr(function, "id", "")


def shown_by(file: str, option: str) -> tuple[str, ...]:
    if file.startswith("PromptSegCli/commands/") and file not in SHOWN_BY:
        stem = Path(file).stem
        return tuple(one for one in COMMANDS if one.partition(" ")[0] == stem)
    found = next((said for part, said in SHOWN_BY.items() if file == part or file.startswith(f"{part}/")), ())
    return found.get(option, ()) if isinstance(found, dict) else found


def test_an_option_that_is_named_is_there() -> None:
    named = {
        (file, option)
        for file, text in sentences()
        if not re.search("^--|:root|<", text)  # pages, and words for other processes
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)
    } - {(file, option) for file, _ in sentences() for option in OTHERS}
    assert len(named) > 20
    for file, option in sorted(named):
        commands = shown_by(file, option)
        assert commands, f"{file} names {option}: SHOWN_BY is to say which commands say so"
        for command in commands:
            assert option in COMMANDS[command], f"{file}: promptseg {command} has no {option}"


def test_a_command_and_a_prompt_set_that_are_named_are_there() -> None:
    first = {one.partition(" ")[0] for one in COMMANDS}
    sets = {path.stem for path in library.shipped()}
    for file, text in sentences():
        for command in re.findall(r"promptseg ([a-z]+)", text):
            assert command in first, (file, text)
        for name in re.findall(r"--prompts ([a-z-]+-ct)", text):
            assert name in sets, (file, text)


@pytest.mark.parametrize("asked", ["three.promptset", "three.promptset:liver,spleen"])
def test_the_prompt_that_is_proposed_can_be_asked_for(asked: str, place: Path, shipped: Path, promptseg) -> None:
    own = load_backbone(shipped / "Models" / "punet-ct.safetensors", "cpu")
    write_prompts(place / "three.promptset", own, ("liver", "spleen"))
    suggest = ("suggest", "ct.nii.gz", "labels.nii.gz", "--label", "3", "--slices", "40,52", "--device", "cpu")
    for words, option in ((tune_words(name="duodenum", steps=0), "--start-from"), (suggest, "--prompt")):
        said = promptseg(*words, option, asked)
        assert said.status == 2
        (example,) = re.findall(rf"for example {option} (\S+)\.$", " ".join(said.err.split()))
        assert example == "three.promptset:liver"
        assert promptseg(*words, option, example).status == 0


def test_what_two_sets_share_is_left_out_as_said(place: Path, shipped: Path, promptseg) -> None:
    own = load_backbone(shipped / "Models" / "punet-ct.safetensors", "cpu")
    write_prompts(place / "three.promptset", own, ("liver", "left kidney"))
    merge = ("prompts", "merge", "-o", "new.promptset", "abdomen-ct")
    said = promptseg(*merge, "three.promptset")
    assert said.status == 2
    assert "both have a prompt for 'liver'; name which structures of one of them are wanted after a colon" in said.err
    assert promptseg(*merge, "three.promptset:left kidney").status == 0


@pytest.mark.parametrize("words", [("segment",), ("prompts", "merge"), ()])
def test_the_help_that_is_named_has_the_options(words: tuple[str, ...], promptseg) -> None:
    said = promptseg(*words, "--threshold", "0.5")
    assert said.status == 2
    (program,) = re.findall(r"see promptseg ?(.*) --help\.$", said.err.strip())
    assert program == " ".join(words)


def test_of_a_data_set_no_orientation_can_be_given_as_an_option(place: Path, promptseg) -> None:
    for name in ("ct", "labels"):
        raw = bytearray(gzip.decompress((place / f"{name}.nii.gz").read_bytes()))
        raw[252:256] = bytes(4)  # neither qform nor sform
        for n in range(4):
            (place / f"{name}{n}.nii").write_bytes(raw)
    values = {
        "name": "a", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "spot", "3": "ball"},
        "numTraining": 4, "training": [{"image": f"ct{n}.nii", "label": f"labels{n}.nii"} for n in range(4)],
    }  # fmt: skip
    (place / "dataset.json").write_text(json.dumps(values))
    said = promptseg("tune", "--dataset", "dataset.json", "--structure", "ball", "-o", "n.promptset", "--device", "cpu")
    assert said.status == 2
    text = " ".join(said.err.split())
    assert "ct0.nii does not say which way its axes run" in text
    assert "--orientation" not in text
    assert "set them in 3D Slicer's module Volumes and save it again" in text
