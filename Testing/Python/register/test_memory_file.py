"""Some structures of a memory file are forgotten: what only they need goes, what others need stays as it was."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.prompts.memory_file import keep_only, structures_in
from PromptSegLib.register.excerpt import Excerpt
from PromptSegLib.register.picture import Picture
from PromptSegLib.register.teachers import Mask, Memory, Teacher
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume
from PromptSegLib.worker.process import PACKAGE


def excerpt(seed: int) -> Excerpt:
    voxels = np.random.default_rng(seed).integers(-900, 900, (8, 32, 32)).astype(np.int16)
    volume = Volume(voxels, Grid((32, 32, 8), (0, 0, 0), (3.0, 3.0, 3.0)))
    labels = np.zeros(voxels.shape, np.uint8)
    labels[2:6, 8:20, 8:20] = 1
    work = WorkingVolume(volume, spacing=3.0)
    found = Excerpt.of(work, SliceAnnotations.from_labels(labels, volume.grid, 1, [2, 5]), (slice(4, 24), slice(4, 24)))
    assert found is not None
    return found


def picture(value: int) -> Picture:
    return Picture(np.full((9, 10, 11), value, np.uint8), (0.0, 1.0, 2.0))


def mask(value: int) -> Mask:
    return Mask(np.full((2, 3, 4), value, np.uint8), (1, 2, 3), 0.5)


@pytest.fixture
def path(tmp_path):
    """Three patients: of both structures, of the liver alone, of the spleen alone."""
    drawn = {"liver": excerpt(1), "spleen": excerpt(2)}
    both = Teacher(picture(71), {"liver": mask(201), "spleen": mask(202)}, drawn)
    others = (Teacher(picture(72), {"liver": mask(203)}), Teacher(picture(73), {"spleen": mask(204)}))
    Memory([both, *others]).write(tmp_path / "own.memory")
    return tmp_path / "own.memory"


def test_what_only_the_deleted_structure_needs_is_gone(path) -> None:
    before, former = Memory.read(path), path.read_bytes()
    assert structures_in(path) == {"liver", "spleen"}
    path.chmod(0o600)
    keep_only(path, ["spleen", "kidney"])
    after, data = Memory.read(path), path.read_bytes()
    assert structures_in(path) == {"spleen"}
    assert [int(one.picture.grey[0, 0, 0]) for one in after.teachers] == [71, 73]
    assert [int(one.masks["spleen"].share[0, 0, 0]) for one in after.teachers] == [202, 204]
    for kept, was in zip(after.of("spleen"), before.of("spleen"), strict=True):
        assert kept.digest == was.digest
        assert kept.masks["spleen"].quality == 0.5
        assert kept.masks["spleen"].first == (1, 2, 3)
    (drawn,), (was,) = after.drawn("spleen"), before.drawn("spleen")
    assert np.array_equal(drawn.planes, was.planes)
    assert np.array_equal(drawn.masks, was.masks)
    assert drawn.to_json() == was.to_json()
    (gone,) = before.drawn("liver")
    for part in (gone.planes.tobytes(), bytes([72]) * 990, bytes([201]) * 24, bytes([203]) * 24, b"liver"):
        assert part in former
        assert part not in data
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_changes_where_all_is_needed_and_the_file_goes_where_nothing_is(path) -> None:
    state = path.stat()
    keep_only(path, ["liver", "spleen"])
    assert Memory.read(path).names == ["liver", "spleen"]
    assert path.stat().st_size == state.st_size
    keep_only(path, ["kidney"])
    assert not path.exists()
    keep_only(path, ["kidney"])  # nothing to forget


@pytest.mark.parametrize("damage", [b"a picture", b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_picture_that_nobody_can_read_goes(damage, tmp_path) -> None:
    path = tmp_path / "a.memory"
    path.write_bytes(damage)
    assert structures_in(path) is None
    keep_only(path, ["liver"])
    assert not path.exists()


def test_a_file_that_was_cut_short_goes(path) -> None:
    path.write_bytes(path.read_bytes()[:-3])
    keep_only(path, ["spleen"])
    assert not path.exists()


def test_it_needs_neither_torch_nor_safetensors(path) -> None:
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['safetensors'] = None\n"
        f"sys.path.insert(0, {str(PACKAGE)!r})\n"
        "from pathlib import Path\nfrom PromptSegLib.prompts.memory_file import keep_only\n"
        f"keep_only(Path({str(path)!r}), ['spleen'])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert Memory.read(path).names == ["spleen"]
