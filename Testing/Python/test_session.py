"""One session: a volume is set once, then it is segmented and taught; what does not belong together is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.errors import BackboneError, DeviceError, GridError, InputError, PromptError
from PromptSegLib.session import Session
from PromptSegLib.threads import without_denormals
from PromptSegLib.volumes.volume import Volume


@pytest.fixture
def fresh(trained) -> Session:
    return Session(trained / "tiny.safetensors", "cpu", threads=1)


def test_the_process_is_left_as_it_is(trained, phantom, prompts, monkeypatch) -> None:
    """How many threads compute and how memory is kept is the host's business: 3D Slicer's, a server's."""
    from PromptSegLib.model import precision

    def refuse(*_: object) -> None:
        raise AssertionError("a library does not set up somebody else's process")

    monkeypatch.setattr(precision, "keep_freed_memory", refuse)
    monkeypatch.setattr(torch, "set_num_threads", refuse)
    session = Session(trained / "tiny.safetensors", "cpu")
    session.set_volume(phantom.volume)
    assert session.segment([prompts["liver"]]).mask("liver").any()


def test_commands_and_the_worker_set_up_their_own_process(engine_files, monkeypatch, tmp_path) -> None:
    import argparse

    from PromptSegCli.commands.arguments import open_session
    from PromptSegCli.commands.console import Console
    from PromptSegLib.model import precision
    from PromptSegLib.worker.engine import Engine
    from PromptSegLib.worker.jobs import Jobs

    taken: list[int | None] = []
    monkeypatch.setattr(precision, "take_process", lambda threads=None: taken.append(threads))
    open_session(argparse.Namespace(backbone=str(engine_files[0]), device="cpu"), Console())

    class Call:
        emit = staticmethod(lambda *_, **__: None)
        on_progress = staticmethod(lambda _: None)
        should_stop = staticmethod(lambda: False)

    Engine(Jobs(tmp_path), str(engine_files[0]), "cpu", 3)._loaded(Call())
    assert taken == [None, 3]


def test_teach_write_read_and_use_in_the_next_patient(fresh, kit, tmp_path) -> None:
    from PromptSegLib.prompts.library import resolve
    from PromptSegLib.prompts.promptset import PromptSet

    first, second = kit.make_phantom(21), kit.make_phantom(22)
    fresh.set_volume(first.volume)
    drawn = SliceAnnotations.from_labels(first.labels, first.volume.grid, 1, [7, 13, 18])
    PromptSet.of("own", [fresh.tune(drawn, Structure("my liver")).prompt]).write(tmp_path / "own.promptset")
    fresh.set_volume(second.volume)
    found = fresh.segment(resolve(str(tmp_path / "own.promptset")).values())
    assert kit.dice(found.mask("my liver"), second.labels == 1) > 0.6


def test_setting_a_volume_drops_the_former_one(fresh, kit, prompts) -> None:
    first, second = kit.make_phantom(21), kit.make_phantom(22)
    fresh.set_volume(second.volume)
    alone = fresh.segment([prompts["liver"]]).mask("liver")
    fresh.set_volume(first.volume)
    fresh.segment([prompts["liver"]])
    fresh.set_volume(second.volume)
    assert fresh.volume is second.volume
    assert np.array_equal(fresh.segment([prompts["liver"]]).mask("liver"), alone)


def test_a_volume_is_needed(fresh, prompts, phantom) -> None:
    assert fresh.volume is None
    with pytest.raises(InputError, match="There is no volume to work on"):
        fresh.segment([prompts["liver"]])
    with pytest.raises(InputError, match="There is no volume to work on"):
        fresh.tune(SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [12]), Structure("x"))


@pytest.mark.parametrize("kind", ["constant", "NaN"])
def test_an_unusable_volume_is_refused_and_the_former_kept(session, phantom, kind) -> None:
    voxels = phantom.volume.voxels.astype(np.float32)
    voxels = np.zeros_like(voxels) if kind == "constant" else np.where(phantom.labels == 1, np.nan, voxels)
    with pytest.raises(InputError, match="constant" if kind == "constant" else "not numbers"):
        session.set_volume(Volume(voxels, phantom.volume.grid))
    assert session.volume is phantom.volume


def test_no_prompts(session) -> None:
    with pytest.raises(PromptError, match="No structure was asked for"):
        session.segment([])


def test_slices_of_another_volume_are_refused(session, prompts, phantom, kit) -> None:
    _, grid = kit.turn(phantom.labels, phantom.volume.grid, (0, 1, 2), (0,))
    drawn = SliceAnnotations.from_labels(phantom.labels, grid, 1, [12])
    with pytest.raises(GridError, match="belong to another volume"):
        session.tune(drawn, Structure("x"))
    with pytest.raises(GridError, match="belong to another volume"):
        session.segment([prompts["liver"]], drawn={"liver": drawn})


def test_backbones_and_devices_that_are_not_there(trained) -> None:
    with pytest.raises(BackboneError, match="no backbone called nothing"):
        Session("nothing", "cpu")
    with pytest.raises(DeviceError):
        Session(trained / "tiny.safetensors", "cuda:99")


def test_tiny_numbers_are_what_they_were_afterwards() -> None:
    tiny = torch.tensor(1e-40)
    with without_denormals():
        assert float(tiny * 1.0) == 0.0
        with without_denormals():
            pass
        assert float(tiny * 1.0) == 0.0
    assert float(tiny * 1.0) > 0.0


def test_two_corrected_slices_leave_what_was_found_beyond_them(fresh, phantom, prompts) -> None:
    """Of a structure that a prompt knows: drawn anew, it would end soon beyond the drawn slices."""
    shipped = prompts["liver"]
    shipped = replace(shipped, card=replace(shipped.card, validation_dice=0.9))
    fresh.set_volume(phantom.volume)
    before = fresh.segment([shipped])
    found, truth = before.mask("liver"), phantom.labels == 1
    shown = np.flatnonzero(truth.any((1, 2)))
    middle = [int(shown[len(shown) // 2 - 1]), int(shown[len(shown) // 2])]
    drawn = SliceAnnotations.from_labels(truth.astype(np.uint8), phantom.volume.grid, 1, middle)
    learned = fresh.tune(drawn, shipped.structure, start_from=shipped, steps=0)
    card = learned.prompt.card
    assert card.corrects
    assert card.components == shipped.card.components
    assert not any("go on beyond" in note for note in learned.notes)
    result = fresh.segment([learned.prompt], drawn={"liver": drawn})
    mask = result.mask("liver")
    assert np.array_equal(mask[middle], truth[middle])
    slice_mm = phantom.volume.grid.spacing[2]
    far = [k for k in range(len(mask)) if min(abs(k - m) for m in middle) * slice_mm > 22]
    assert found[far].any()
    assert np.array_equal(mask[far], found[far])
    assert fresh.estimate(result, drawn, learned.prompt) is None  # its line was fitted to drawings from end to end
    assert not {one.index for one in fresh.suggest(drawn, learned.prompt, segmentation=result)} & set(middle)
    sideways = SliceAnnotations.from_labels(truth.astype(np.uint8), phantom.volume.grid, 1, [25], [47], axis=1)
    assert fresh.suggest(sideways, learned.prompt, segmentation=result)  # no slice of these counts along its own axis
    # The same slices of a structure that no prompt knows are its drawing.
    unknown = replace(shipped, card=replace(shipped.card, validation_dice=None))
    anew = fresh.tune(drawn, shipped.structure, start_from=unknown, steps=0).prompt
    assert not anew.card.corrects
    assert not np.array_equal(fresh.segment([anew], drawn={"liver": drawn}).mask("liver")[far], found[far])


@contextlib.contextmanager
def default_type(kind: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


HOSTS = {
    "no gradients, autocast": (torch.no_grad, lambda: torch.autocast("cpu", torch.bfloat16)),
    "inference, double": (torch.inference_mode, lambda: default_type(torch.float64)),
    "another device, bf16": (lambda: torch.device("meta"), lambda: default_type(torch.bfloat16)),
}
"""What a notebook or another module of 3D Slicer may have set."""


@pytest.fixture(scope="module")
def computed(trained, kit):
    phantom = kit.make_phantom(5, (12, 32, 32))

    def all_of_it():
        session = Session(trained / "tiny.safetensors", "cpu")
        session.set_volume(phantom.volume)
        slices = [int(k) for k in np.flatnonzero((phantom.labels == 1).any((1, 2)))[1:-1:2]]
        drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, slices)
        taught = session.tune(drawn, Structure("ball"), steps=1, seed=3).prompt
        again = session.tune(drawn, Structure("ball"), start_from=taught, steps=1, seed=3).prompt
        found = session.segment([again], drawn={"ball": drawn})
        session.suggest(drawn, again, segmentation=found)
        teacher = session.remember(found, drawn, again)
        session.segment([again], priors={"ball": [teacher]})
        return found.labels, {name: tensor.clone() for name, tensor in again.tensors.items()}

    return all_of_it, all_of_it()


@pytest.mark.parametrize("host", HOSTS)
def test_what_the_program_around_has_set_changes_nothing(computed, host: str) -> None:
    all_of_it, (labels, tensors) = computed
    state = torch.random.get_rng_state()
    with contextlib.ExitStack() as stack:
        for one in HOSTS[host]:
            stack.enter_context(one())
        before = torch.get_default_dtype(), torch.is_grad_enabled()
        found, again = all_of_it()
        assert (torch.get_default_dtype(), torch.is_grad_enabled()) == before
    assert torch.equal(torch.random.get_rng_state(), state), "the program's random numbers go on"
    assert np.array_equal(found, labels)
    for name, tensor in tensors.items():
        assert torch.allclose(again[name], tensor, atol=1e-3), name
