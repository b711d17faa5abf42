"""The network as a whole: sizes, independence of structures, padding, freezing, gradients."""

from __future__ import annotations

import pytest
import torch

from PromptSegLib.model.config import PUNetConfig, paper
from PromptSegLib.model.punet import Encoded, PUNet


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def prompt_count(net: PUNet) -> int:
    return sum(torch.Size(s).numel() for s in net.prompt_shapes().values())


def test_the_papers_sizes() -> None:
    net = PUNet(paper())
    assert (count(net.stem), count(net.encoder), count(net.decoder)) == (9_728, 3_800_064, 2_948_512)
    assert count(net) == 6_758_304
    assert prompt_count(net) <= 0.0085 * count(net)
    shapes = net.prompt_shapes()
    assert sum(k.endswith(".tokens") for k in shapes) == 18
    assert {k[: k.index(".")] for k in shapes} == {"encoder", "decoder", "head"}


def test_the_shipped_models_prompt_is_below_one_percent() -> None:
    net = PUNet(PUNetConfig())
    assert prompt_count(net) <= 0.0085 * (count(net) - count(net.proposer))
    assert not any(k.startswith(f"encoder.{n}.") for k in net.prompt_shapes() for n in range(4))


def test_logits_have_the_images_size_and_the_prompt_steers_them(net, prompt, images) -> None:
    x = images(net)
    with torch.inference_mode():
        encoded = net.encode(x)
        a, b = (net.decode(encoded, prompt(net, seed)) for seed in (1, 2))
    assert a.shape == x.shape[:3]
    assert a.dtype == torch.float32
    assert torch.isfinite(a).all()
    assert (a - b).abs().mean() > 0.01


@pytest.mark.parametrize("part", ["tokens", "bias", "foreground", "background"])
def test_every_part_of_a_prompt_counts(net, prompt, images, part: str) -> None:
    encoded, p = net.encode(images(net, 1)), prompt(net, 1)
    before = net.decode(encoded, p)
    for name in (k for k in p if k.endswith(part)):
        changed = net.decode(encoded, p | {name: p[name] + torch.randn(p[name].shape)})
        assert not torch.equal(changed, before), name


def test_no_structure_leaves_a_trace(net, prompt, images) -> None:
    a, b = prompt(net, 1), prompt(net, 2)
    with torch.inference_mode():
        encoded = net.encode(images(net))
        first = net.decode(encoded, a)
        net.decode(encoded, b)
        again = net.decode(encoded, a)
        afresh = net.decode(net.encode(images(net)), a)
    assert torch.equal(first, again)
    assert torch.equal(first, afresh)


def test_structures_of_one_batch_are_independent(net, prompt, images) -> None:
    prompts = [prompt(net, seed) for seed in (1, 2, 3)]
    encoded = net.encode(images(net))
    apart = torch.cat([net.decode(encoded, p) for p in prompts])
    stacked = {k: torch.stack([p[k] for p in prompts]).repeat_interleave(2, 0) for k in prompts[0]}
    together = net.decode(encoded.select([0, 1, 0, 1, 0, 1]), stacked)
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


def test_encoded_slices_can_be_chosen_and_joined(net, prompt, images) -> None:
    x, p = images(net, 3), prompt(net, 1)
    encoded = net.encode(x)
    whole = net.decode(encoded, p)
    torch.testing.assert_close(net.decode(encoded.select([2, 0]), p), whole[[2, 0]], atol=1e-5, rtol=1e-4)
    joined = Encoded.cat([net.encode(x[:1]), net.encode(x[1:])])
    torch.testing.assert_close(net.decode(joined, p), whole, atol=1e-5, rtol=1e-4)
    assert joined.size == encoded.size == (37, 29)


def test_odd_images_are_padded_on_the_high_side(net, prompt, images) -> None:
    x, p = images(net, 1), prompt(net, 1)
    stride = net.config.stride
    padded = torch.full((1, -(-37 // stride) * stride, -(-29 // stride) * stride, x.shape[-1]), -1.0)
    padded[:, :37, :29] = x
    by_hand = net.decode(net.encode(padded), p)
    assert by_hand.shape[1:] == padded.shape[1:3]
    torch.testing.assert_close(net.decode(net.encode(x), p), by_hand[:, :37, :29])


def test_prompts_enter_no_level_that_is_encoded_once(shipped, images) -> None:
    assert shipped.first_prompted == 2
    encoded = shipped.encode(images(shipped))
    assert len(encoded.features) == len(encoded.skip_terms) == 2
    assert all(t.is_contiguous() for t in (*encoded.features, *encoded.skip_terms))


def test_only_the_prompt_learns_in_a_frozen_network(net, prompt, images) -> None:
    assert not any(p.requires_grad for p in net.parameters())
    before = {k: v.clone() for k, v in net.state_dict().items()}
    tensors = {k: v.requires_grad_() for k, v in prompt(net, 1).items()}
    optimiser = torch.optim.Adam(tensors.values(), lr=0.05)
    encoded = net.encode(images(net))
    target = (images(net)[..., 0] > 0).float()
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net.decode(encoded, tensors), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(t.grad is not None and t.grad.abs().max() > 0 for t in tensors.values())
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_tuning_works_after_inference_on_the_same_network(net, prompt, images) -> None:
    """What inference caches must be fit for gradients."""
    tensors = {k: v.requires_grad_() for k, v in prompt(net, 1).items()}
    with torch.inference_mode():
        quick = net.decode(net.encode(images(net)), tensors)
    logits = net.decode(net.encode(images(net)), tensors)
    logits.sum().backward()
    torch.testing.assert_close(quick.clone(), logits.detach(), atol=1e-4, rtol=1e-4)


def test_gradients_agree_with_finite_differences(net, prompt, images) -> None:
    net = net.double()
    encoded = net.encode(images(net, 1, 16, 16).double())
    start = {k: v.double() for k, v in prompt(net, 1).items()}
    weights = torch.randn(encoded.size, generator=torch.Generator().manual_seed(1)).double()

    def loss(tensors) -> torch.Tensor:
        return (net.decode(encoded, tensors)[0] * weights).sum()

    leaves = {k: v.clone().requires_grad_() for k, v in start.items()}
    loss(leaves).backward()
    for n, (name, value) in enumerate(start.items()):
        direction = torch.randn(value.shape, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
        with torch.no_grad():
            high, low = (loss(start | {name: value + e * direction}) for e in (1e-4, -1e-4))
        slope = (leaves[name].grad * direction).sum().item()
        assert (high - low).item() / 2e-4 == pytest.approx(slope, rel=1e-4, abs=1e-6), name


def test_a_changed_backbone_is_used_at_once(net, prompt, images) -> None:
    """A moving average or a loaded file changes frozen weights in place: nothing of the old ones may stay."""
    p, x = prompt(net, 1), images(net, 1)
    with torch.inference_mode():
        net.decode(net.encode(x), p)
    other = PUNet(net.config).freeze()
    net.load_state_dict(other.state_dict())
    with torch.inference_mode():
        assert torch.equal(net.decode(net.encode(x), p), other.decode(other.encode(x), p))
