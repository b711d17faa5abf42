"""Headers of volumes and segmentations, tampered with. What can be read can be written and read again."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.volumes.io import read_labels, read_volume, write_labels, write_segments
from PromptSegLib.volumes.volume import Grid

from .attack import NUMBERS, TEXTS, attack, broken, other_lines, survives

GRID = Grid((5, 4, 3), (-20.5, 10.25, 3.0), (0.75, 0.75, 2.5))


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(3).integers(-1000, 1000, GRID.shape).astype(np.int16)


# Where what is in a NIfTI-1 header: (offset, format).
NIFTI = (
    (0, "i"), *((40 + 2 * n, "h") for n in range(8)), (70, "h"), (72, "h"), *((76 + 4 * n, "f") for n in range(8)),
    (108, "f"), (112, "f"), (116, "f"), (120, "h"), (123, "B"), (252, "h"), (254, "h"),
    *((256 + 4 * n, "f") for n in range(6)), *((280 + 4 * n, "f") for n in range(12)), (344, "4s"),
)  # fmt: skip


FLOATS = [float(n) for n in NUMBERS if not 3e38 < abs(n) < np.inf]


@st.composite
def nifti_header(draw: Any, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        offset, kind = draw(st.sampled_from(NIFTI))
        if kind == "4s":
            value: Any = draw(st.sampled_from((b"n+1\0", b"ni1\0", b"n+2\0", b"\0\0\0\0")))
        elif kind == "f":
            value = draw(st.sampled_from(FLOATS))
        else:
            low, high = {"i": (-(2**31), 2**31 - 1), "h": (-32768, 32767), "B": (0, 255)}[kind]
            known = (n for n in (0, 1, 2, 3, 4, 7, 8, 16, 64, 512, low, high) if low <= n <= high)
            value = draw(st.one_of(st.sampled_from(list(known)), st.integers(low, high)))
        out[offset : offset + struct.calcsize(kind)] = struct.pack("<" + kind, value)
    return bytes(out)


def use(path: Path) -> None:
    """Read a file as an image and as labels; what can be read can be written and lies where it lay."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a file makes Python warn of is no defect as long as it is also said
        volume = survives(lambda: read_volume(path))
        survives(lambda: read_labels(path))
        if volume is None:
            return
        assert volume.voxels.shape == volume.grid.shape
        survives(lambda: read_labels(path, like=volume.grid))
        mask = np.zeros(volume.grid.shape, np.uint8)
        mask.flat[0] = 1
        for ending in (".nii.gz", ".nrrd", ".mha"):
            again = path.with_name(f"again{ending}")
            if survives(lambda again=again: write_labels(again, mask, volume.grid, {1: Structure("a")})) is None:
                assert again.exists() or not volume.grid.spacing
            found = read_labels(again, like=volume.grid)
            assert (found.array == mask).all()


def test_nifti(tmp_path, voxels, kit) -> None:
    plain, packed = tmp_path / "x.nii", tmp_path / "x.nii.gz"
    kit.save_image(plain, voxels, GRID)
    data = plain.read_bytes()

    def check(changed: bytes) -> None:
        plain.write_bytes(changed)
        use(plain)
        packed.write_bytes(gzip.compress(changed, 1))
        survives(lambda: read_volume(packed))

    attack(st.one_of(nifti_header(data), broken(data, 348)), check, 120)


def test_packed_nifti_bit_by_bit(tmp_path, voxels, kit) -> None:
    path = tmp_path / "x.nii.gz"
    kit.save_image(path, voxels, GRID)
    data = path.read_bytes()

    def check(changed: bytes) -> None:
        path.write_bytes(changed)
        use(path)

    attack(broken(data, len(data)), check, 60)


def text_and_voxels(data: bytes, end: bytes) -> tuple[str, bytes]:
    place = data.index(end) + len(end)
    return data[:place].decode("latin-1"), data[place:]


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def test_nrrd(tmp_path, voxels, kit) -> None:
    path = tmp_path / "x.nrrd"
    kit.save_image(path, voxels, GRID)
    head, rest = text_and_voxels(path.read_bytes(), b"\n\n")

    def check(changed: str | bytes) -> None:
        path.write_bytes(changed if isinstance(changed, bytes) else as_bytes(changed) + b"\n\n" + rest)
        use(path)

    attack(st.one_of(other_lines(head.rstrip("\n"), ": "), broken(path.read_bytes(), len(head))), check, 120)


def test_mha(tmp_path, voxels, kit) -> None:
    path = tmp_path / "x.mha"
    kit.save_image(path, voxels, GRID)
    head, rest = text_and_voxels(path.read_bytes(), b"LOCAL\n")

    def check(changed: str | bytes) -> None:
        path.write_bytes(changed if isinstance(changed, bytes) else as_bytes(changed) + b"\n" + rest)
        use(path)

    attack(st.one_of(other_lines(head.rstrip("\n"), " = "), broken(path.read_bytes(), len(head))), check, 120)


SEGMENT_FIELDS = ("ID", "Name", "LabelValue", "Layer", "Extent", "Color", "Tags", "NameAutoGenerated")


def test_segmentations(tmp_path) -> None:
    path = tmp_path / "x.seg.nrrd"
    one, two = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    one[:2], two[1:] = True, True
    write_segments(path, {Structure("a b"): one, Structure("c"): two}, GRID)
    head, rest = text_and_voxels(path.read_bytes(), b"\n\n")
    more = st.lists(
        st.builds(
            lambda n, field, value: f"Segment{n}_{field}:={value}",
            st.sampled_from((0, 1, 2, 7, -1, "x")),
            st.sampled_from(SEGMENT_FIELDS),
            st.sampled_from((*NUMBERS, *TEXTS)),
        ),
        max_size=3,
    )  # fmt: skip

    def check(changed: tuple[str, list[str]]) -> None:
        text, lines = changed
        path.write_bytes(as_bytes("\n".join([text, *lines])) + b"\n\n" + rest)
        found = survives(lambda: read_labels(path))
        if found is not None:
            for value in found.values:
                found.mask(value)
            survives(lambda: read_labels(path, like=GRID))

    between = st.sampled_from((":=", ": "))
    attack(st.tuples(between.flatmap(lambda b: other_lines(head.rstrip("\n"), b)), more), check, 150)
