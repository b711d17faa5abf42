"""A structure goes by way of an open reference CT to patients elsewhere; no picture of its own patient goes with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import Stopped
from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.register import references as module
from PromptSegLib.register.located import Registrations
from PromptSegLib.register.picture import mask_in, picture_of
from PromptSegLib.register.references import MARGIN, Reference, exported, on_references, references, teachers_from
from PromptSegLib.register.teachers import Memory, Teacher, remembered
from PromptSegLib.resources import resource
from PromptSegLib.session import Session
from PromptSegLib.volumes.volume import Volume


def reference_of(volume: Volume, name: str = "open_ct") -> Reference:
    picture = picture_of(volume)
    return Reference(name, picture, Teacher(picture, {}).digest)


def ball() -> Volume:
    """A head, as far as registration can tell."""
    k, j, i = np.indices((40, 50, 50))
    far = np.sqrt((k - 20.0) ** 2 + (j - 25.0) ** 2 + (i - 25.0) ** 2) * 4
    hu = np.select([far < 60, far < 68], [35.0, 900.0], -1000.0) + np.random.default_rng(0).normal(0, 5, far.shape)
    return Volume.from_array(hu.astype(np.int16), np.diag([4.0, 4.0, 4.0, 1.0]))


def prompt(name: str, *masks) -> Prompt:
    return Prompt(Structure(name), "ab" * 32, {"head.foreground": torch.ones(2, 8)}, Card(), masks)


@pytest.fixture(scope="module")
def people(kit):
    """The patient of the teacher, the one whom the colleague has, and the reference."""
    return [kit.make_phantom(seed, values=(1, 2, 3, 4)) for seed in (31, 32, 33)]


@pytest.fixture(scope="module")
def memory(people, kit) -> Memory:
    """What was kept of the patient that the structure was taught in."""
    return Memory([remembered(people[0].volume, {"new": (people[0].labels == kit.new, 0.9)})])


@pytest.fixture(scope="module")
def open_ct(people) -> Reference:
    return reference_of(people[2].volume)


@pytest.fixture(scope="module")
def made(memory, open_ct):
    """The prompt with its mask in the open CT, beside a head that is no reference for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "references", lambda: (reference_of(ball(), "head"), open_ct))
        return exported(PromptSet.of("own", [prompt("new"), prompt("thyroid")]), memory)


def test_those_that_ship_are_small_open_and_said_to_be() -> None:
    files = sorted(resource("References").glob("*.nrrd"))
    told = (resource("References") / "ATTRIBUTION.txt").read_text()
    assert sum(file.stat().st_size for file in files) < 3_000_000
    assert [one.name for one in references()] == [file.stem for file in files]
    assert len({one.digest for one in references()}) == len(files)
    for file, one in zip(files, references(), strict=True):
        assert file.name in told
        assert one.picture.grey.dtype == np.uint8
        assert not one.picture.seen[:MARGIN].any()
        assert 0.1 < one.picture.body.mean() < 0.9
        assert one.picture.spacing == 3.0
    for word in ("Creative Commons Attribution 4.0", "MIT License", "Changed:"):
        assert word in told


def test_a_structure_goes_by_an_open_ct_to_a_second_patient(made, open_ct, people, kit, monkeypatch) -> None:
    found, without = made
    (mask,) = found["new"].masks
    assert mask.reference == open_ct.digest
    assert mask.returned > 0.7
    assert mask.quality == 0.9
    assert without == {"thyroid": "no patient is remembered"}
    monkeypatch.setattr(module, "references", lambda: (open_ct,))
    (teacher,) = teachers_from({"new": found["new"].masks})["new"]
    registrations = Registrations(people[1].volume)
    carried = registrations.locate({"new": [teacher]})["new"]
    assert carried.by_reference
    picture = registrations.picture()
    truth = mask_in(picture, people[1].labels == kit.new, people[1].volume.grid) > 0.5
    here = np.zeros(truth.shape, bool)
    here[carried.prior.box] = carried.prior.log_odds > 0
    assert kit.dice(truth, here) > 0.7
    assert carried.fits[0].trust <= mask.trust


def test_nothing_of_the_patient_is_in_the_file(made, memory, tmp_path) -> None:
    found, _ = made
    found.write(tmp_path / "own.promptset")
    data = (tmp_path / "own.promptset").read_bytes()
    grey = memory.teachers[0].picture.grey
    assert grey[len(grey) // 2].tobytes()[400:424] not in data
    assert len(data) < 20_000
    again = PromptSet.read(tmp_path / "own.promptset")
    assert np.array_equal(again["new"].masks[0].share, found["new"].masks[0].share)


def test_a_mask_that_does_not_come_back_is_not_kept(memory, open_ct, monkeypatch) -> None:
    monkeypatch.setattr(module, "references", lambda: (open_ct,))
    monkeypatch.setattr(module, "MIN_RETURN", 0.999)
    found = on_references({"new": memory.of("new")})
    assert not found.masks
    assert found.reasons == {"new": module.NONE}


def test_a_patient_who_fits_no_reference_is_told(memory, monkeypatch) -> None:
    monkeypatch.setattr(module, "references", lambda: (reference_of(ball()),))
    found = on_references({"new": memory.of("new")})
    assert not found.masks
    assert "do not fit" in found.reasons["new"]


def test_masks_of_what_is_not_here_are_passed_over(made, open_ct, monkeypatch) -> None:
    (mask,) = made[0]["new"].masks
    assert teachers_from({"new": [mask]}) == {}, "of a version with other references"
    monkeypatch.setattr(module, "references", lambda: (open_ct,))
    far = replace(mask, first=(0, 0, open_ct.picture.grey.shape[2] - 1))
    assert teachers_from({"new": [far]}) == {}


def test_structures_share_a_reference(made, open_ct, monkeypatch) -> None:
    monkeypatch.setattr(module, "references", lambda: (open_ct,))
    (mask,) = made[0]["new"].masks
    found = teachers_from({"a": [mask], "b": [mask]})
    assert found["a"][0] is found["b"][0]
    assert found["a"][0].is_reference


def test_export_stops_and_tells_where_it_is(memory, open_ct, monkeypatch) -> None:
    monkeypatch.setattr(module, "references", lambda: (open_ct,))
    seen: list[float] = []
    wanted = {"new": memory.of("new")}
    on_references(wanted, lambda p: seen.append(p.fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    left = 60

    def soon() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    with pytest.raises(Stopped):
        on_references(wanted, should_stop=soon)


def test_segment_uses_it_unless_it_is_told_not_to(trained, kit, people, memory, made, open_ct, monkeypatch) -> None:
    """With a network that knows nothing of the structure; the patient's own memory comes before the reference."""
    monkeypatch.setattr(module, "references", lambda: (open_ct,))
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    blank = {k: torch.zeros(shape) for k, shape in session.backbone.shapes().items()}
    sent = [Prompt(Structure("new"), session.backbone.id, blank, masks=made[0]["new"].masks)]
    second = people[1]
    session.set_volume(second.volume)
    truth = second.labels == kit.new
    found = session.segment(sent)
    alone = session.segment(sent, references=False)
    assert kit.dice(found.mask("new"), truth) > 0.6
    assert kit.dice(alone.mask("new"), truth) < 0.3
    assert "new" in found.expected
    with monkeypatch.context() as patch:
        patch.setattr(module, "teachers_from", lambda masks: pytest.fail("asked") if masks else {})
        session.segment(sent, priors={"new": memory.of("new")})


def test_a_later_round_keeps_where_it_lies(trained, kit, made) -> None:
    from PromptSegLib.annotations import SliceAnnotations

    small = kit.make_phantom(31)
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(small.volume)
    drawn = SliceAnnotations.from_labels(small.labels, small.volume.grid, 1, [5, 8, 14])
    first = session.tune(drawn, Structure("mine"), steps=0).prompt
    assert first.masks == ()
    masks = made[0]["new"].masks
    again = session.tune(drawn, Structure("mine"), start_from=replace(first, masks=masks), steps=0).prompt
    assert again.masks == masks


def test_the_files_are_made_by_the_script() -> None:
    """Its header is what the reader of volumes takes, and the same picture gives the same bytes."""
    import runpy

    script = Path(__file__).parents[3] / "Resources" / "make_references.py"
    nrrd = runpy.run_path(str(script))["nrrd"]
    one = references()[0]
    inner = one.picture.cut(tuple(slice(MARGIN, n - MARGIN) for n in one.picture.grey.shape))
    assert nrrd(inner) == (resource("References") / f"{one.name}.nrrd").read_bytes()
