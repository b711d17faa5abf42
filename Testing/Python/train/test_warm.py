"""Starting from a backbone and prompts that exist: step 0 is as good as they are, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from PromptSegLib.errors import BackboneError, InputError
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.config import tiny
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegTrain.pretraining_model import PretrainingModel
from PromptSegTrain.warm import warm_start

pytestmark = pytest.mark.usefixtures("small_images")


@pytest.fixture
def backbone(trained):
    return load_backbone(trained / "tiny.safetensors", "cpu", torch.float32)


def test_network_and_prompts_are_those_of_the_files(backbone, prompts) -> None:
    model = PretrainingModel(tiny(), ["Spleen", "pancreas", "liver"])
    before = {k: v.clone() for k, v in model.bank.tensors.items()}
    assert warm_start(model, backbone, [prompts]) == ["Spleen", "liver"]
    for name, tensor in backbone.net.state_dict().items():
        assert torch.equal(model.net.state_dict()[name], tensor)
    own = model.bank(torch.tensor([0, 1, 2]))
    for key in model.bank.keys:
        assert torch.allclose(own[key][0], prompts["spleen"].tensors[key], atol=1e-5)
        assert torch.allclose(own[key][2], prompts["liver"].tensors[key], atol=1e-5)
        # A structure without a prompt has its own random difference still.
        assert torch.equal(model.bank.tensors[key.replace(".", "_")][1], before[key.replace(".", "_")][1])
    for key, shared in model.bank.common().items():
        assert torch.equal(shared, backbone.shared[key])


def test_a_backbone_that_sees_fewer_neighbours_is_widened_and_sees_the_same(backbone, prompts) -> None:
    wide = replace(tiny(), in_channels=backbone.net.config.in_channels + 2)
    model = PretrainingModel(wide, ["liver"])
    warm_start(model, backbone, [prompts])
    images = torch.rand(1, 32, 32, wide.in_channels) * 2 - 1
    tensors = prompts["liver"].tensors
    with torch.no_grad():
        seen = model.net.decode(model.net.encode(images), tensors)
        known = backbone.net.decode(backbone.net.encode(images[..., 1:-1]), tensors)
    assert torch.allclose(seen, known, atol=1e-4)
    with pytest.raises(InputError, match="another configuration"):
        warm_start(PretrainingModel(replace(tiny(), in_channels=1), ["liver"]), backbone, [])


def test_without_shared_tokens_their_mean_is_shared(backbone, prompts) -> None:
    model = PretrainingModel(tiny(), ["spleen", "liver"])
    warm_start(model, replace(backbone, shared=None), [prompts])
    own = model.bank(torch.tensor([0, 1]))
    for key, shared in model.bank.common().items():
        mean = (prompts["spleen"].tensors[key] + prompts["liver"].tensors[key]) / 2
        assert torch.allclose(shared, mean, atol=1e-6)
        assert torch.allclose(own[key][1], prompts["liver"].tensors[key], atol=1e-5)


def test_no_prompts_leave_the_bank_as_it_is(backbone) -> None:
    model = PretrainingModel(tiny(), ["liver"])
    before = {k: v.clone() for k, v in model.bank.state_dict().items()}
    assert warm_start(model, backbone, []) == []
    assert all(torch.equal(v, before[k]) for k, v in model.bank.state_dict().items())


def test_what_does_not_fit_is_refused(backbone, prompts, go) -> None:
    with pytest.raises(InputError, match="tiny has another configuration than this run; choose its --preset"):
        warm_start(PretrainingModel(replace(tiny(), second="shift"), ["liver"]), backbone, [])
    foreign = PromptSet.of("foreign", [replace(prompts["liver"], backbone_id="0" * 64)])
    with pytest.raises(InputError, match="prompts of foreign were made for another backbone; choose sets of tiny"):
        warm_start(PretrainingModel(tiny(), ["liver"]), backbone, [foreign])
    with pytest.raises(InputError, match="add --start-from"):
        go(prompts=[prompts])
    with pytest.raises(BackboneError, match="no backbone called nothing"):
        go(start_from="nothing")


def test_a_run_starts_where_they_are(go, losses, trained, prompts, tmp_path) -> None:
    go("cold", steps=1)
    started = {"start_from": trained / "tiny.safetensors", "prompts": [prompts], "config": None}
    go("warm", steps=1, **started)
    assert losses[1] < 0.6 * losses[0]
    card = load_backbone(tmp_path / "warm" / "small.safetensors", "cpu").card
    assert card["recipe"]["start_from"] == f"tiny {load_backbone(trained / 'tiny.safetensors', 'cpu').id[:12]}"
    # Going on, it is the checkpoint that counts.
    go("warm", steps=2, resume=True, **started)
