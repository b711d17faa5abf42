"""Names of structures and patients that DICOM has rules for: objects are valid, and say what they were told."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegCli.dicom.codes import text
from PromptSegCli.dicom.rtstruct import write_rtstruct
from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.volumes.io import read_labels, read_volume

from .conftest import Result, complaints, organ, read, result_of, write_ct

SHAPE = (4, 20, 22)
NAMES = [
    "left\\right", "a^b=c", "x" * 64, "x" * 65, "\u00e4" * 64, "\u00e4" * 33, "\u809d\u81d3" * 30, "\U0001f600" * 40,
    "\u05db\u05d1\u05d3", "7", "~!@#$%&*()[]{};:'\",<>/?|`", "e\u0301", "100 %",
]  # fmt: skip
WRITERS = {"seg": write_dicom_seg, "rtstruct": write_rtstruct}
SIZE = 64
"""Characters of a long string (LO); many programs, dciodvfy among them, count its bytes."""


@pytest.mark.parametrize("kind", WRITERS)
def test_names_of_structures(tmp_path, kind) -> None:
    ct = read_volume(write_ct(tmp_path / "ct", SHAPE))
    masks = {name: np.roll(organ(SHAPE), n, axis=2) for n, name in enumerate(NAMES)}
    structures = tuple(Structure(name) for name in NAMES)
    labels = np.zeros(SHAPE, np.uint8)
    labels[organ(SHAPE)] = 1
    path = tmp_path / f"{kind}.dcm"
    WRITERS[kind](Result(masks, structures, ct.grid, labels), ct.source, path)
    assert complaints(path) == []
    found = read_labels(path, ct.grid, source=ct.source)
    for number, name in enumerate(NAMES, 1):
        assert found.names[number].name == name
        assert found.value_of(name) == number
        assert (found.mask(name) == masks[name]).mean() > 0.999


def test_long_strings_are_short_in_bytes_and_end_with_a_whole_character() -> None:
    for name in NAMES:
        assert len(text(name).encode()) <= SIZE
        assert text(name).encode().decode() == text(name)
    assert text("\u00e4" * 33) == "\u00e4" * 30 + "..."
    assert text("x" * 64) == "x" * 64


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "\u041c\u0430\u0440\u0438\u044f^\u0416"),
        ("ISO_IR 144", "\u041c\u0430\u0440\u0438\u044f^\u0416"),
        ("GB18030", "\u738b^\u5c0f\u4e1c"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"),
    ],
)
@pytest.mark.parametrize("kind", WRITERS)
def test_names_of_patients(tmp_path, kind, charset, name) -> None:
    ct = read_volume(write_ct(tmp_path / "ct", SHAPE, SpecificCharacterSet=charset, PatientName=name))
    path = tmp_path / "out.dcm"
    WRITERS[kind](result_of({"liver": organ(SHAPE)}, ct.grid), ct.source, path)
    assert str(read(path).PatientName) == name
    assert complaints(path) == []


@pytest.mark.parametrize("thickness", [None, ""])
def test_slices_that_do_not_say_how_thick_they_are(tmp_path, thickness) -> None:
    ct = read_volume(write_ct(tmp_path / "ct", SHAPE, SliceThickness=thickness))
    path = tmp_path / "out.dcm"
    write_dicom_seg(result_of({"liver": organ(SHAPE)}, ct.grid), ct.source, path)
    (measures,) = read(path).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert float(measures.SliceThickness) == pytest.approx(2.5)
    assert complaints(path) == []
    assert np.array_equal(read_labels(path, ct.grid).mask("liver"), organ(SHAPE))
