"""The overview network sees a CT as a whole, in parts where it is long, and its file is data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from PromptSegLib.errors import BackboneError, Stopped
from PromptSegLib.model import overview_net as module
from PromptSegLib.model.files import write_tensors
from PromptSegLib.model.overview_net import DEPTH, OverviewNet, inputs_of, overview_net, write_overview_net

NAMES = ("liver", "spleen", "aorta")


@pytest.fixture(scope="module")
def net() -> OverviewNet:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = OverviewNet(NAMES)
        torch.nn.init.normal_(made.head.weight)
    return made.to(memory_format=torch.channels_last_3d).eval().requires_grad_(False)


def grey(shape: tuple[int, int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 33), (17, 16, 50)])
def test_any_size_has_logits_for_each_voxel(net, shape) -> None:
    found = net.logits(grey(shape), NAMES)
    assert found.shape == (3, *shape)
    assert found.dtype == np.float16
    assert np.isfinite(found).all()


def test_structures_come_as_they_were_asked_for(net) -> None:
    picture = grey((8, 32, 32))
    every, some = net.logits(picture, NAMES), net.logits(picture, ("aorta", "liver"))
    assert np.array_equal(some, every[[2, 0]])
    assert np.array_equal(every, net.logits(picture, NAMES))


def test_a_long_volume_is_seen_in_parts_that_meet(net, monkeypatch) -> None:
    starts = []
    original = OverviewNet.forward

    def listen(self, x, *others):
        starts.append(x.shape[2])
        return original(self, x, *others)

    monkeypatch.setattr(OverviewNet, "forward", listen)
    long = grey((2 * DEPTH + 5, 16, 16))
    found = net.logits(long, NAMES)
    assert len(starts) > 2
    assert max(starts) <= DEPTH
    # Away from where parts meet, a slice is what its own part makes of it.
    alone = net.logits(long[:DEPTH], NAMES)
    assert np.array_equal(found[:, :8], alone[:, :8])
    assert np.isfinite(found).all()


def test_a_stop_is_heard_on_the_way(net) -> None:
    asked = iter([False] * 12 + [True])
    with pytest.raises(Stopped):
        net.logits(grey((3 * DEPTH, 16, 16)), NAMES, lambda: next(asked))


def test_what_is_not_seen_is_told_from_air() -> None:
    seen = torch.tensor([[[True, False]]])
    made = inputs_of(torch.tensor([[[255.0, 255.0]]]), seen)
    assert made.shape == (1, 2, 1, 1, 2)
    assert made[0, :, 0, 0, 0].tolist() == [1.0, 1.0]
    assert made[0, :, 0, 0, 1].tolist() == [-1.0, 0.0]


def test_a_file_is_read_as_it_was_written(net, tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    write_overview_net(path, net, net.state_dict(), {"note": "for tests"})
    read = overview_net(path)
    assert read.structures == NAMES
    assert all(torch.equal(v.half(), read.state_dict()[k].half()) for k, v in net.state_dict().items())


def test_foreign_files_are_refused_in_a_sentence(net, tmp_path) -> None:
    other, short, missing = (tmp_path / name for name in ("other.safetensors", "short.safetensors", "none.safetensors"))
    write_tensors(other, {"a": torch.zeros(1)}, {"format": "something else"})
    write_tensors(short, {"a": torch.zeros(1)}, {"format": module.FORMAT, "structures": '["liver"]'})
    with pytest.raises(BackboneError, match="not an overview network"):
        overview_net(other)
    with pytest.raises(BackboneError, match="does not fit this version"):
        overview_net(short)
    with pytest.raises(BackboneError):
        overview_net(missing)
