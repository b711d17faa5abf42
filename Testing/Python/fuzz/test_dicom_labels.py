"""DICOM Segmentations and RT Structure Sets, tampered with: bytes, and elements one by one."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from PromptSegCli.dicom.rtstruct import write_rtstruct
from PromptSegCli.dicom.seg import write_dicom_seg
from PromptSegLib.volumes.io import read_labels, read_volume

from ..dicom.conftest import organ, result_of, write_ct
from .attack import NUMBERS, TEXTS, attack, broken, survives

SHAPE = (4, 9, 10)
_TEXTS = [str(one).encode("utf-8", "surrogatepass") for one in (*NUMBERS, *TEXTS)]


def elements(of: Dataset) -> Iterator[tuple[Dataset, Any, str]]:
    """Every element but the pixels, with the data set that it is in; of long sequences the first items."""
    for element in of:
        if element.tag not in (0x7FE00010, 0x00080005):  # pydicom itself needs to know the character set
            yield of, element.tag, element.VR
        if element.VR == "SQ":
            for item in element.value[:3]:
                yield from elements(item)


@st.composite
def other_elements(draw: Any, data: bytes) -> bytes:
    """A file of which some elements have other values, or none, and some items are gone or there twice."""
    whole = pydicom.dcmread(io.BytesIO(data))
    implicit = whole.file_meta.TransferSyntaxUID.is_implicit_VR
    there = list(elements(whole))
    for _ in range(draw(st.integers(1, 3))):
        of, tag, kind = there[draw(st.integers(0, len(there) - 1))]
        if tag not in of or isinstance(of.get_item(tag), RawDataElement):
            continue
        if draw(st.integers(0, 3)) == 0:
            del of[tag]
        elif kind == "SQ":
            items = list(of[tag].value)
            n = draw(st.integers(0, max(0, len(items) - 1)))
            items[n : n + 1] = deepcopy(items[n : n + 1]) * draw(st.sampled_from((0, 2)))
            of[tag].value = items
        else:
            text = st.lists(st.sampled_from(_TEXTS), max_size=7).map(b"\\".join)
            short = st.sampled_from((0, 1, 2, 7, 8, 255, 65535)).map(lambda n: struct.pack("<H", n))
            value = draw(short if kind == "US" else st.one_of(text, st.binary(max_size=8)))[:60000]
            value += b" " * (len(value) % 2)
            of[tag] = RawDataElement(Tag(tag), kind, len(value), value, 0, implicit, True)
    out = io.BytesIO()
    whole.save_as(out, enforce_file_format=False)
    charset = draw(st.sampled_from((b"ISO_IR 192", b"ISO_IR 192", b"ISO_IR 13 ", b"\\ISO 2022 ", b"\xff" * 10)))
    return out.getvalue().replace(b"ISO_IR 192", charset)


@pytest.mark.parametrize("kind", ["seg", "rtstruct"])
def test_label_objects(tmp_path, kind) -> None:
    ct = read_volume(write_ct(tmp_path / "ct", SHAPE))
    masks = {"liver": organ(SHAPE), "spleen": np.roll(organ(SHAPE), 1, axis=2)}
    path = tmp_path / "x.dcm"
    (write_dicom_seg if kind == "seg" else write_rtstruct)(result_of(masks, ct.grid), ct.source, path)
    data = path.read_bytes()
    assert read_labels(path, ct.grid).mask("spleen").any()

    def check(changed: bytes) -> None:
        Path(path).write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers that overflow are no defect as long as that is also said
            for like in (None, ct.grid):
                found = survives(lambda like=like: read_labels(path, like, source=ct.source))
                for value in found.values if found is not None else ():
                    assert found.mask(value).shape == found.grid.shape

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, of the values that are put in
        attack(st.one_of(other_elements(data), broken(data, len(data))), check, 150)


def test_series_that_results_refer_to(tmp_path) -> None:
    """What a series says of patient and study, and of itself, goes into results, or they are refused."""
    volume = read_volume(write_ct(tmp_path / "ct", SHAPE))
    path = volume.source.files[0]
    data = path.read_bytes()

    def check(changed: bytes) -> None:
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ct = survives(lambda: read_volume(tmp_path / "ct"))
            if ct is None or ct.grid.shape != SHAPE:
                return
            result = result_of({"liver": organ(SHAPE)}, ct.grid)
            for write in (write_dicom_seg, write_rtstruct):
                (tmp_path / "x.dcm").unlink(missing_ok=True)
                survives(lambda write=write: write(result, ct.source, tmp_path / "x.dcm"))
                if (tmp_path / "x.dcm").exists():
                    found = read_labels(tmp_path / "x.dcm", ct.grid, source=ct.source)
                    assert (found.mask("liver") == organ(SHAPE)).all()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attack(other_elements(data), check, 100)
