"""A CT series as a scanner writes it, with an organ-like result on its grid."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import find
from PromptSegLib.volumes.io import read_volume
from PromptSegLib.volumes.volume import Grid, Volume

SHAPE = (9, 30, 33)
"""Neither a row nor a frame is a whole number of bytes."""
ROW, COLUMN = np.array([0.8, 0.6, 0.0]), np.array([-0.6, 0.8, 0.0])
ORIGIN, SPACING = np.array([-87.25, 40.5, -301.0]), (0.75, 0.8, 2.5)


def write_ct(folder: Path, shape=SHAPE, *, origin=ORIGIN, seed=0, **more) -> Path:
    """A CT series of noise, oblique in its plane, with what the standard asks of one; files in no order."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for k, name in enumerate(random.permutation(shape[0])):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SpecificCharacterSet = "ISO_IR 100"
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.Modality, one.ImageType, one.Manufacturer = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "Maker"
        one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = "Müller^Ana", "P-17", "19600214", "F"
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20240302", "101500", "4", "A9"
        one.StudyDescription, one.ReferringPhysicianName, one.PositionReferenceIndicator = "Abdomen", "Dr^Who", ""
        one.SeriesNumber, one.InstanceNumber, one.AcquisitionNumber, one.KVP = 3, k + 1, 1, "120"
        one.ImagePositionPatient = [f"{v:.6f}" for v in origin + k * SPACING[2] * np.cross(ROW, COLUMN)]
        one.ImageOrientationPatient = [f"{v:.6f}" for v in (*ROW, *COLUMN)]
        one.PixelSpacing, one.SliceThickness = [str(SPACING[1]), str(SPACING[0])], str(SPACING[2])
        one.Rows, one.Columns = shape[1:]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
        one.RescaleIntercept, one.RescaleSlope = "-1024", "1"
        one.PixelData = random.integers(0, 2000, shape[1:]).astype(np.uint16).tobytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the point of some tests
            for key, value in more.items():
                if value is None:
                    delattr(one, key)
                elif isinstance(value, str) and dictionary_VR(key) in (
                    "DS",
                    "IS",
                ):  # what pydicom itself would not write
                    raw = value.encode().ljust(len(value) + len(value) % 2)
                    one[key] = RawDataElement(Tag(key), dictionary_VR(key), len(raw), raw, 0, False, True)
                else:
                    setattr(one, key, value)
            one.save_as(folder / f"{name:03d}.dcm", enforce_file_format=True)
    return folder


@dataclass
class Result:
    """What the writers need of a :class:`PromptSegLib.segment.result.Segmentation`."""

    masks: dict[str, np.ndarray]
    structures: tuple[Structure, ...]
    grid: Grid
    labels: np.ndarray

    def mask(self, name: str) -> np.ndarray:
        return self.masks[name]


def result_of(masks: dict[str, np.ndarray], grid: Grid) -> Result:
    structures = tuple(find(name) or Structure(name) for name in masks)
    labels = np.zeros(grid.shape, np.uint8)
    for value, mask in enumerate(masks.values(), 1):
        labels[mask] = value
    return Result(masks, structures, grid, labels)


def organ(shape=SHAPE) -> np.ndarray:
    """Bool (K, J, I): a lobed organ with a vessel through it as a hole, and a second piece of its own."""
    k, j, i = (c / n * 2 - 1 for c, n in zip(np.indices(shape), shape, strict=True))
    body = (k / 0.8) ** 2 + ((j + 0.1) / 0.6) ** 2 + ((i + 0.15 * np.sin(3 * j)) / 0.55) ** 2 < 1
    hole = ((j + 0.15) / 0.18) ** 2 + ((i - 0.05) / 0.2) ** 2 < 1
    piece = (k / 0.4) ** 2 + ((j - 0.8) / 0.12) ** 2 + ((i - 0.75) / 0.16) ** 2 < 1
    return (body & ~hole) | piece


@pytest.fixture
def ct(tmp_path) -> Volume:
    """A CT that was read from a DICOM series in ``tmp_path / "ct"``."""
    return read_volume(write_ct(tmp_path / "ct"))


def complaints(path: Path) -> list[str]:
    """What dciodvfy has to say of an object; skips the test where the program is not there."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy, of Debian's dicom3tools, is not installed")
    said = subprocess.run([program, path], capture_output=True, text=True)
    return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


def read(path: Path) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what some tests put into a series
        return pydicom.dcmread(path)
