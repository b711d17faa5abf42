from __future__ import annotations

import torch

from PromptSegLib.model.losses import dice_of, mask_loss


def test_it_falls_towards_the_truth_and_knows_each_slice_apart() -> None:
    target = torch.zeros(2, 8, 8)
    target[:, 2:5, 2:6] = 1
    sure = 20 * (2 * target - 1)
    right, wrong = mask_loss(torch.stack([sure[0], -sure[1]]), target)
    assert right < 1e-3
    assert wrong > 10


def test_what_is_not_valid_teaches_nothing() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 8, 8, requires_grad=True)
    target = (torch.rand(1, 8, 8) > 0.5).float()
    valid = torch.zeros(1, 8, 8)
    valid[:, :3] = 1
    loss = mask_loss(logits, target, valid)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert gradient[:, 3:].abs().max() == 0
    assert gradient[:, :3].abs().min() > 0
    other = torch.where(valid > 0, target, 1 - target)
    assert torch.equal(mask_loss(logits, other, valid), loss)
    assert mask_loss(logits, target, torch.zeros_like(valid)).isfinite().all()


def test_an_empty_slice_punishes_what_is_found() -> None:
    empty = torch.zeros(1, 8, 8)
    assert mask_loss(torch.full_like(empty, 3.0), empty) > mask_loss(torch.full_like(empty, -3.0), empty)


def test_dice_of_all_slices_together() -> None:
    target = torch.zeros(2, 4, 4)
    target[0, :2] = 1
    found = torch.full((2, 4, 4), -1.0)
    found[0, 1:3] = 1
    assert dice_of(found, target).item() == 0.5
    assert dice_of(found, target, (torch.arange(4) == 1).float()[None, :, None].expand(2, 4, 4)).item() == 1.0
    assert dice_of(-torch.ones(1, 2, 2), torch.zeros(1, 2, 2)).isnan()
