"""Small scans, as files and as DICOM trees, and ways to run a cohort of them."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from command_outcome import CommandOutcome
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from PromptSegCli.cli import main
from PromptSegCli.cohort.folder import Folder
from PromptSegCli.cohort.inputs import collect
from PromptSegCli.cohort.items import Inputs
from PromptSegCli.cohort.job import JobEngine, perform
from PromptSegCli.cohort.manifest import Manifest, Record
from PromptSegCli.cohort.run import CohortPlan, Options, execute, plan
from PromptSegCli.cohort.task import Task

SHAPE = (12, 20, 22)


def scan(path: Path, seed: int = 0, shape: Sequence[int] = SHAPE) -> Path:
    """A body of noise as the format of the path's ending."""
    _, j, i = (c / n * 2 - 1 for c, n in zip(np.indices(shape), shape, strict=True))
    body = (j / 0.8) ** 2 + (i / 0.85) ** 2 < 1
    hu = np.where(body, 40, -1000) + np.random.default_rng(seed).normal(0, 15, shape)
    image = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
    image.SetSpacing((4.0, 4.0, 5.0))
    image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def series(folder: Path, count: int = 6, *, uid: str = "", seed: int = 0, prefix: str = "", **more: Any) -> str:
    """Write a CT series into a folder, and give its UID; ``more`` are elements by keyword, None for one that lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = uid or generate_uid()
    random = np.random.default_rng(seed)
    instances = more.pop("instances", None)
    for k in range(count):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = more.get("SOPClassUID", CTImageStorage)
        meta.MediaStorageSOPInstanceUID = instances[k] if instances else generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        one.StudyInstanceUID, one.SeriesInstanceUID = more.get("StudyInstanceUID", "1.2.3.4"), uid
        one.FrameOfReferenceUID, one.StudyTime, one.StudyID = "1.2.3.5", "101500", "4"
        one.PatientSex, one.AccessionNumber, one.ReferringPhysicianName, one.Manufacturer = "F", "A9", "", "Maker"
        one.Modality, one.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.PatientID, one.PatientName, one.PatientBirthDate = "P1", "Doe^Jo", "19700101"
        one.StudyDate, one.SeriesNumber, one.InstanceNumber = "20240105", 3, k + 1
        one.ImagePositionPatient = [f"{v:.3f}" for v in (-40.0, -40.0, 5.0 * k)]
        one.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        one.PixelSpacing, one.SliceThickness = ["4", "4"], "5"
        one.Rows, one.Columns = SHAPE[1:]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.RescaleIntercept, one.RescaleSlope = "-1024", "1"
        one.PixelData = random.integers(0, 2000, SHAPE[1:]).astype(np.uint16).tobytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for key, value in more.items():
                if value is None:
                    delattr(one, key)
                elif key != "places":
                    setattr(one, key, value)
            if "places" in more:
                one.ImagePositionPatient = ["-40", "-40", f"{more['places'][k]:.3f}"]
            one.save_as(folder / f"{prefix}{k:03d}.dcm", enforce_file_format=True)
    return uid


def found(*texts: object, out: Path | str = "out") -> Inputs:
    return collect([str(text) for text in texts], Path(out))


def names(inputs: Inputs) -> list[str]:
    return [one.subject for one in inputs.items]


class InProcess:
    """An executor that does its tasks here; ``on_task`` is called before each."""

    def __init__(
        self, tasks: Sequence[Task], engine: JobEngine, on_task: Callable[[Task], None] = lambda _: None
    ) -> None:
        self._waiting, self._engine, self._on_task = list(tasks), engine, on_task
        self.did: list[str] = []
        self.workers, self.under_way, self.note = 1, 0.0, ""

    @property
    def open(self) -> bool:
        return bool(self._waiting)

    def poll(self, seconds: float) -> list[Record]:
        task = self._waiting.pop(0)
        self._on_task(task)
        self.did.append(task.subject)
        return [perform(task, self._engine)]

    def close(self) -> None:
        self._waiting.clear()


@dataclass
class Site:
    """A folder of results that is worked on in this process."""

    options: Options
    engine: JobEngine
    root: Path

    def plan(self, *texts: object, **changes: Any) -> CohortPlan:
        folder = Folder(self.root)
        options = Options(**{**vars(self.options), **changes})
        with folder:
            return plan(found(*texts, out=self.root), folder, Manifest(folder.manifest), options)

    def run(self, *texts: object, on_task: Callable[[Task], None] = lambda _: None, **changes: Any) -> list[str]:
        """Do what is to be done, and say which volumes that were."""
        made = self.plan(*texts, **changes)
        executor = InProcess(made.tasks, self.engine, on_task)
        execute(made.tasks, executor, Manifest(Folder(self.root).manifest))
        return executor.did

    @property
    def records(self) -> dict[str, Record]:
        return Manifest(Folder(self.root).manifest).records


@pytest.fixture(scope="session")
def engine() -> JobEngine:
    return JobEngine(threads=1)


@pytest.fixture
def site(engine, engine_files, tmp_path, monkeypatch) -> Site:
    """Results in ``tmp_path / "out"``; prompts may be changed in ``tmp_path / "abdomen.promptset"``."""
    monkeypatch.chdir(tmp_path)
    backbone, prompts = engine_files
    own = tmp_path / "abdomen.promptset"
    shutil.copy(prompts, own)
    return Site(Options((str(own),), backbone=str(backbone), device="cpu"), engine, tmp_path / "out")


@pytest.fixture
def cohort(engine_files, tmp_path, monkeypatch, capfd) -> Callable[..., CommandOutcome]:
    """Run the command in ``tmp_path`` with the tiny backbone; the results go to ``out``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTSEG_DEBUG", raising=False)
    backbone, prompts = engine_files

    def run(*words: object, given: bool = True) -> CommandOutcome:
        capfd.readouterr()
        common = ["--prompts", str(prompts), "--backbone", str(backbone), "--device", "cpu", "-o", "out"]
        status = main(["cohort", *(str(word) for word in words), *(common if given else [])])
        captured = capfd.readouterr()
        return CommandOutcome(status, captured.out, captured.err)

    return run


def one_sentence(text: str) -> str:
    """Of what went wrong: a single line with a remedy, without a trace of the code."""
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, text
    assert "; " in lines[0]
    assert lines[0].endswith(".")
    assert "Traceback" not in lines[0]
    return lines[0]
