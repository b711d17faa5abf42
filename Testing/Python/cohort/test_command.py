"""``promptseg cohort`` as it is typed: results, what is said, stopping, and what a user can get wrong."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import PromptSegLib
from PromptSegCli.cohort.folder import Folder
from PromptSegCli.cohort.manifest import Manifest
from PromptSegLib.errors import OutputError
from PromptSegLib.volumes.io import read_labels

from .conftest import one_sentence, scan, series


def test_a_cohort_is_segmented_told_of_and_gone_on_with(cohort, tmp_path) -> None:
    scan(tmp_path / "scans/b.nii.gz")
    series(tmp_path / "scans/dicom")
    (tmp_path / "scans/a.nii.gz").write_bytes(b"damaged")
    outcome = cohort("scans", "--jobs", 1, "--json")
    assert outcome.status == 2
    done = [event for event in outcome.events if event["event"] == "volume"]
    assert sorted(event["status"] for event in done) == ["done", "done", "failed"]
    assert outcome.result["done"] == 2
    assert list(outcome.result["failures"]) == ["a"]
    assert any(event["event"] == "progress" and "of 3 volumes" in event["message"] for event in outcome.events)
    with (tmp_path / "out/results.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["subject"].partition("/")[0] for row in rows} == {"P1", "a", "b"}
    for row in rows:
        if row["status"] == "done":
            assert read_labels(tmp_path / "out" / row["output"]).names
    scan(tmp_path / "scans/a.nii.gz")
    again = cohort("scans", "--jobs", 1)
    assert again.status == 0
    assert "2 of 3 volumes are done already." in again.out
    assert len(Manifest(Folder(tmp_path / "out").manifest).records) == 3
    assert not list((tmp_path / "out").rglob(".*-*"))


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(cohort, tmp_path) -> None:
    series(tmp_path / "tree")
    series(tmp_path / "tree/mr", Modality="MR")
    outcome = cohort("tree", "--dry-run")
    assert outcome.status == 0
    assert "not CT (MR)" in outcome.out
    assert "1 volumes to do" in outcome.out
    assert not (tmp_path / "out").exists()
    series(tmp_path / "tree/lung", SeriesDescription="Lung", SeriesNumber=5)
    outcome = cohort("tree", "--dry-run", "--series", "lun?")
    assert "does not fit 'lun?'" in outcome.out
    assert "1 volumes to do" in outcome.out
    assert "must not be empty" in one_sentence(cohort("tree", "--dry-run", "--series", "").err)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("nowhere",), "There is no file or folder 'nowhere'"),
        (("scans", "--memory", "12"), "'12' is not an amount of memory"),
        (("scans", "--memory", "10M"), "less than the network takes"),
        (("scans", "--jobs", "0"), "whole number from 1 on"),
        (("scans", "--prompts", "nothing"), "There is no prompt set 'nothing'"),
    ],
)
def test_what_is_wrong_is_one_sentence(cohort, tmp_path, words, text: str) -> None:
    scan(tmp_path / "scans/a.nii.gz")
    outcome = cohort(*words)
    assert outcome.status == 2
    assert text in one_sentence(outcome.err)
    assert not (tmp_path / "out").exists()


def test_without_prompts_it_says_so(cohort, tmp_path) -> None:
    scan(tmp_path / "scans/a.nii.gz")
    outcome = cohort("scans", "-o", "out", given=False)
    assert outcome.status == 2
    assert "add --prompts" in one_sentence(outcome.err)


@pytest.mark.skipif(os.name != "posix", reason="of POSIX")
def test_a_folder_that_cannot_be_written_is_told_at_once(cohort, tmp_path) -> None:
    scan(tmp_path / "scans/a.nii.gz")
    (tmp_path / "out").write_text("a file")
    outcome = cohort("scans")
    assert outcome.status == 2
    assert "choose another folder" in one_sentence(outcome.err)
    assert (tmp_path / "out").read_text() == "a file"


def test_a_second_run_into_one_folder_is_refused(cohort, tmp_path) -> None:
    scan(tmp_path / "scans/a.nii.gz")
    with Folder(tmp_path / "out"):
        outcome = cohort("scans")
    assert outcome.status == 2
    sentence = one_sentence(outcome.err)
    assert f"Another run writes to {tmp_path / 'out'} (process {os.getpid()} on " in sentence
    assert "wait until it has ended" in sentence
    with pytest.raises(OutputError), Folder(tmp_path / "out"), Folder(tmp_path / "out"):
        pass
    with Folder(tmp_path / "out"):
        pass  # it is free again


@pytest.fixture
def command(engine_files, tmp_path):
    """Start the command as a process of its own, in ``tmp_path``."""
    backbone, prompts = engine_files
    started = []

    def start(*words: object, jobs: int = 1) -> subprocess.Popen:
        common = [
            "--prompts",
            prompts,
            "--backbone",
            backbone,
            "--device",
            "cpu",
            "-o",
            "out",
            "--json",
            "--jobs",
            jobs,
        ]
        line = [sys.executable, "-m", "PromptSegCli.cli", "cohort", *words, *common]
        env = os.environ | {"PYTHONPATH": str(Path(PromptSegLib.__file__).parents[1])}
        one = subprocess.Popen(
            [str(word) for word in line], cwd=tmp_path, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(one)
        return one

    yield start
    for one in started:
        with contextlib.suppress(OSError):
            one.kill()
        one.communicate()


def until_done(process: subprocess.Popen, count: int) -> None:
    """Read its lines until so many volumes are done."""
    while count:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        event = json.loads(line)
        count -= event["event"] == "volume" and event["status"] == "done"


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal of POSIX")
def test_ctrl_c_keeps_what_is_done_and_leaves_nothing_running(command, tmp_path) -> None:
    for n in range(40):
        scan(tmp_path / f"scans/p{n:02d}.nii.gz", seed=n)
    process = command("scans")
    until_done(process, 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "volumes are done and kept, and the same command goes on" in one_sentence(err)
    assert json.loads(out.splitlines()[-1])["event"] == "stopped"
    records = Manifest(Folder(tmp_path / "out").manifest).records
    assert 2 <= len(records) < 40
    assert (tmp_path / "out/results.csv").is_file()
    assert not list((tmp_path / "out").rglob(".*-*"))
    with Folder(tmp_path / "out"):
        pass


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found by /proc")
def test_a_killed_command_leaves_no_process_and_no_lock(command, tmp_path) -> None:
    for n in range(40):
        scan(tmp_path / f"scans/p{n:02d}.nii.gz", seed=n)
    process = command("scans")
    until_done(process, 1)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert children
    process.kill()
    process.wait()
    ends = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").is_dir() for pid in children):
        assert time.monotonic() < ends
        time.sleep(0.05)
    with Folder(tmp_path / "out") as folder:
        assert Manifest(folder.manifest).records
