"""What stays beside a taught prompt: written and read back, small, and a stranger's file is data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import InputError
from PromptSegLib.model.files import write_tensors
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.register.located import Registrations
from PromptSegLib.register.picture import Picture, Region
from PromptSegLib.register.teachers import FORMAT, Mask, Memory, Teacher, beside, memory_of, remembered, remembered_by
from PromptSegLib.volumes.volume import Grid, Volume


@pytest.fixture(scope="module")
def kept(teacher):
    return remembered(teacher.volume, {"kidney": (teacher.labels == 3, 0.9), "liver": (teacher.labels == 1, None)})


def test_it_comes_back_as_it_was_written(kept, tmp_path) -> None:
    Memory([kept]).write(tmp_path / "own.memory")
    (again,) = Memory.read(tmp_path / "own.memory").of("kidney")
    assert np.array_equal(again.picture.grey, kept.picture.grey)
    assert again.picture.origin == pytest.approx(kept.picture.origin)
    assert again.digest == kept.digest
    assert again.masks["kidney"].quality == 0.9
    assert again.masks["liver"].quality is None
    for name in ("kidney", "liver"):
        assert np.array_equal(again.masks[name].on(again.picture), kept.masks[name].on(kept.picture))
    assert Memory.read(tmp_path / "own.memory").of("spleen") == []


def test_it_is_small_and_holds_the_whole_mask(kept, teacher, tmp_path) -> None:
    Memory([kept]).write(tmp_path / "own.memory")
    assert (tmp_path / "own.memory").stat().st_size < 1.3 * kept.picture.grey.size
    ml = kept.masks["kidney"].on(kept.picture).sum() * 0.027
    assert ml == pytest.approx((teacher.labels == 3).sum() * np.prod(teacher.volume.grid.spacing) / 1000, rel=0.05)


def test_of_a_tall_ct_only_what_is_near_the_structure_is_kept(kits) -> None:
    tall = kits.patient(low=-500, high=400, spacing=(6.0, 6.0, 8.0))
    kept = remembered(tall.volume, {"kidney": (tall.labels == 3, None)})
    top = kept.picture.origin[0] + 3 * kept.picture.grey.shape[0]
    assert kept.picture.origin[0] > -380
    assert top < 240


def test_structures_of_one_ct_have_one_picture(teacher) -> None:
    pair = [remembered(teacher.volume, {"x": (teacher.labels == value, None)}) for value in (1, 3)]
    assert pair[0].digest == pair[1].digest


@pytest.mark.parametrize(("slices", "mm"), [(1, 1.0), (1, 5.0), (3, 1.0), (2, 5.0), (3, 3.0)])
def test_a_thin_ct_does_not_spoil_the_file_that_it_joins(kept, tmp_path, slices, mm) -> None:
    voxels = np.full((slices, 64, 64), -1000, np.int16)
    voxels[:, 8:56, 8:56] = 40
    mask = np.zeros(voxels.shape, bool)
    mask[:, 20:40, 20:40] = True
    thin = remembered(Volume(voxels, Grid((64, 64, slices), (0, 0, 0), (3.0, 3.0, mm))), {"kidney": (mask, 0.9)})
    Memory([kept]).joined([thin]).write(tmp_path / "own.memory")
    assert len(Memory.read(tmp_path / "own.memory").teachers) == 2


def test_a_structure_thinner_than_a_voxel_of_the_picture_is_remembered() -> None:
    voxels = np.full((20, 100, 100), 40, np.int16)
    mask = np.zeros(voxels.shape, bool)
    mask[:, 50:52, 50:52] = True  # 1 mm
    made = remembered(Volume(voxels, Grid((100, 100, 20), (0, 0, 0), (0.5, 0.5, 1.0))), {"vessel": (mask, 0.9)})
    region = made.region("vessel")
    assert region is not None
    assert region.high[0] - region.low[0] > 12


def test_drawn_slices_that_could_not_be_read_again_are_left_out(kept, tmp_path) -> None:
    drawn = SimpleNamespace(is_readable=False)
    Memory([replace(kept, drawn={"kidney": drawn})]).write(tmp_path / "own.memory")
    (again,) = Memory.read(tmp_path / "own.memory").teachers
    assert not again.drawn
    assert "kidney" in again.masks


def test_a_structure_has_the_patients_of_the_file_that_it_is_asked_of(kept, tmp_path) -> None:
    for name, structures in (("a", ["lesion"]), ("b", ["lesion", "cyst"])):
        prompts = [Prompt(Structure(one), "0" * 16, {"deep": torch.zeros(1, 2)}) for one in structures]
        PromptSet.of(name, prompts).write(tmp_path / f"{name}.promptset")
        masks = {one: replace(kept.masks["kidney"], share=kept.masks["kidney"].share.copy()) for one in structures}
        picture = replace(kept.picture, origin=(float(len(name) + ord(name)), 0.0, 0.0))
        Memory([Teacher(picture, masks)]).write(tmp_path / f"{name}.memory")
    a, b = (str(tmp_path / f"{name}.promptset") for name in "ab")
    alone, _ = remembered_by([a])
    both, problems = remembered_by([a, f"{b}:cyst"])
    assert not problems
    assert [one.digest for one in both["lesion"]] == [one.digest for one in alone["lesion"]]
    assert list(both) == ["lesion", "cyst"]
    assert [len(found) for found in remembered_by([a, b])[0].values()] == [2, 1]


def test_an_empty_mask_is_refused(teacher) -> None:
    with pytest.raises(InputError, match="nothing to remember"):
        remembered(teacher.volume, {"kidney": (np.zeros_like(teacher.labels, bool), None)})


def test_it_lies_beside_its_prompt(tmp_path) -> None:
    assert beside(tmp_path / "left kidney.v2.promptset") == tmp_path / "left kidney.v2.memory"


def tensors() -> dict[str, torch.Tensor]:
    return {"0/grey": torch.ones(20, 20, 20, dtype=torch.uint8), "0/0": torch.ones(4, 4, 4, dtype=torch.uint8)}


def header(**changes) -> dict:
    mask = {"structure": "x", "first": [1, 2, 3], "quality": 0.5}
    mask |= {k: v for k, v in changes.items() if k in mask}
    one = {"origin": [0.0, 0.0, 0.0], "spacing": 3.0, "masks": [mask]}
    return one | {k: v for k, v in changes.items() if k in one}


def write(path, one, arrays=None, form=FORMAT, entries=None) -> None:
    meta = {"format": form, "memory": json.dumps({"teachers": [one] if entries is None else entries})}
    write_tensors(path, tensors() if arrays is None else arrays, meta)


def test_a_sound_file_is_read(tmp_path) -> None:
    write(tmp_path / "a.memory", header())
    (one,) = Memory.read(tmp_path / "a.memory").teachers
    assert one.masks["x"].first == (1, 2, 3)


BAD = {
    "NaN origin": header(origin=[0.0, float("nan"), 0.0]),
    "far away": header(origin=[1e9, 0.0, 0.0]),
    "two numbers": header(origin=[0.0, 0.0]),
    "text": header(origin="abc"),
    "spacing 0": header(spacing=0.0),
    "spacing 1e9": header(spacing=1e9),
    "outside": header(first=[18, 2, 3]),
    "negative": header(first=[-1, 2, 3]),
    "half": header(first=[0.5, 2, 3]),
    "true": header(first=[True, 2, 3]),
    "no name": header(structure=""),
    "control characters": header(structure="a\x1b[31m"),
    "a number": header(structure=3),
    "long": header(structure="x" * 300),
    "quality 2": header(quality=2.0),
    "quality text": header(quality="good"),
    "no masks": header(masks=[]),
    "many masks": header(masks=[{}] * 1000),
    "a list": [],
    "null": None,
}


@pytest.mark.parametrize("one", BAD.values(), ids=BAD.keys())
def test_a_stranger_s_file_is_refused(tmp_path, one) -> None:
    write(tmp_path / "a.memory", one)
    with pytest.raises(InputError, match=r"a\.memory is not a PromptSeg memory file"):
        Memory.read(tmp_path / "a.memory")


ARRAYS = {
    "float": {"0/grey": torch.ones(20, 20, 20), "0/0": torch.ones(4, 4, 4, dtype=torch.uint8)},
    "flat": {"0/grey": torch.ones(400, 20, dtype=torch.uint8), "0/0": torch.ones(4, 4, 4, dtype=torch.uint8)},
    "no mask": {"0/grey": torch.ones(20, 20, 20, dtype=torch.uint8)},
    "empty mask": {**tensors(), "0/0": torch.zeros(4, 4, 4, dtype=torch.uint8)},
    "long": {"0/grey": torch.ones(3000, 4, 4, dtype=torch.uint8), "0/0": torch.ones(4, 4, 4, dtype=torch.uint8)},
}


@pytest.mark.parametrize("arrays", ARRAYS.values(), ids=ARRAYS.keys())
def test_tensors_of_another_kind_are_refused(tmp_path, arrays) -> None:
    write(tmp_path / "a.memory", header(first=[0, 0, 0]), arrays)
    with pytest.raises(InputError, match="is not a PromptSeg memory file"):
        Memory.read(tmp_path / "a.memory")


@pytest.mark.parametrize("cut", [0, 7, 100, -5])
def test_a_damaged_file_is_refused(kept, tmp_path, cut) -> None:
    path = tmp_path / "own.memory"
    Memory([kept]).write(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError):
        Memory.read(path)


def test_another_kind_of_file_and_none(tmp_path) -> None:
    write(tmp_path / "a.memory", header(), form="something")
    with pytest.raises(InputError, match="is not a PromptSeg memory file"):
        Memory.read(tmp_path / "a.memory")
    with pytest.raises(InputError, match="There is no memory file"):
        Memory.read(tmp_path / "b.memory")
    write(tmp_path / "c.memory", None, entries=[header()] * 40)
    with pytest.raises(InputError, match="is not a PromptSeg memory file"):
        Memory.read(tmp_path / "c.memory")


def test_digests_tell_pictures_apart() -> None:
    grey = np.full((8, 8, 8), 3, np.uint8)
    mask = {"x": Mask(np.full((2, 2, 2), 255, np.uint8), (1, 1, 1))}
    one, moved = Teacher(Picture(grey, (0.0, 0.0, 0.0)), mask), Teacher(Picture(grey, (0.0, 0.0, 3.0)), mask)
    other = Teacher(Picture(grey + np.uint8(1), (0.0, 0.0, 0.0)), mask)
    assert len({one.digest, moved.digest, other.digest}) == 3


@pytest.mark.parametrize("name", ["liver", "C7: body", "a:b:c", "x:", "ä" * 200, "a/b"])
def test_the_memory_is_found_whatever_the_structure_is_called(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("a.promptset", "a.memory", "b:c.promptset", "b:c.memory"):
        (tmp_path / file).write_bytes(b"")
    assert memory_of(f"a.promptset:{name}") == Path("a.memory")
    assert memory_of(f"b:c.promptset:{name}") == Path("b:c.memory")
    assert memory_of("a.promptset") == memory_of({"file": "a.promptset", "name": name}) == Path("a.memory")
    assert memory_of(f"none.promptset:{name}") is None
    assert memory_of(f"abdomen-ct:{name}") is None


def test_a_further_structure_starts_from_what_is_known_of_the_two_volumes(monkeypatch) -> None:
    """One that lies within a region that was registered needs nothing; another one's own region is registered from
    where the first left off."""
    made: list[tuple[Region, object]] = []

    def register(patient, teacher, region, *, known, **options):
        made.append((region, known))
        return SimpleNamespace(region=region)

    monkeypatch.setattr("PromptSegLib.register.located.register", register)
    picture = Picture(np.full((200, 80, 100), 90, np.uint8), (0.0, 0.0, 0.0))
    teacher = Teacher(picture, {})
    registrations = Registrations.on(picture)
    kidney, stomach, foot = (Region((s, 60.0, r), (s + 90, 120.0, r + 60)) for s, r in ((300, 60), (330, 150), (0, 0)))
    part = Region((310.0, 70.0, 70.0), (350.0, 90.0, 90.0))
    first = registrations.deformation(teacher, kidney)
    for region in (kidney, part, stomach, foot, stomach, kidney):
        assert registrations.deformation(teacher, region).region.holds(region)
    assert [region for region, _ in made] == [kidney, stomach, foot]
    assert [known for _, known in made] == [None, first, first]
