from __future__ import annotations

import torch


def proposed(net, memory, inside, outside):
    with torch.inference_mode():
        return net.proposer(memory[None], inside[None], outside[None])


def masks(count: int = 2, height: int = 37, width: int = 29) -> tuple[torch.Tensor, torch.Tensor]:
    inside = torch.zeros(count, height, width)
    inside[:, 8:16, 8:16] = 1
    return inside, 1 - inside


def test_it_proposes_every_tensor_of_a_prompt_but_the_biases(shipped, images) -> None:
    memory = shipped.proposer.memory(shipped.encode(images(shipped)))
    prompt = proposed(shipped, memory, *masks())
    shapes = {k: (1, *s) for k, s in shipped.prompt_shapes().items() if not k.endswith(".bias")}
    assert {k: tuple(v.shape) for k, v in prompt.items()} == shapes
    with torch.inference_mode():
        assert shipped.decode(shipped.encode(images(shipped)), prompt).isfinite().all()


def test_it_depends_on_the_mask(shipped, images) -> None:
    memory = shipped.proposer.memory(shipped.encode(images(shipped)))
    inside, outside = masks()
    here = proposed(shipped, memory, inside, outside)
    there = proposed(shipped, memory, inside.roll(16, 1), outside.roll(16, 1))
    assert all((here[k] - there[k]).abs().max() > 1e-3 for k in here)


def test_it_takes_nothing_from_unlabelled_pixels(shipped, images) -> None:
    """Memory cells whose pixels are all unlabelled may hold anything."""
    memory = shipped.proposer.memory(shipped.encode(images(shipped)))
    inside, outside = masks()
    outside[:, 24:] = 0
    cells = 40 // memory.shape[1]
    elsewhere = memory.clone()
    elsewhere[:, 24 // cells :] = torch.randn_like(elsewhere[:, 24 // cells :])
    before, after = proposed(shipped, memory, inside, outside), proposed(shipped, elsewhere, inside, outside)
    for k, v in before.items():
        torch.testing.assert_close(after[k], v, atol=1e-4, rtol=1e-3)
    labelled = memory.clone()
    labelled[:, 8 // cells : 16 // cells] += 1.0
    changed = proposed(shipped, labelled, inside, outside)
    assert all((changed[k] - before[k]).abs().max() > 1e-2 for k in before)


def test_the_order_of_the_slices_does_not_matter(shipped, images) -> None:
    memory = shipped.proposer.memory(shipped.encode(images(shipped)))
    inside, outside = masks()
    inside[1] = inside[1].roll(5, 1)
    one, other = (
        proposed(shipped, memory, inside, outside),
        proposed(shipped, memory.flip(0), inside.flip(0), outside.flip(0)),
    )
    for k in one:
        torch.testing.assert_close(one[k], other[k], atol=1e-5, rtol=1e-4)
