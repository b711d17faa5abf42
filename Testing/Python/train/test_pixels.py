from __future__ import annotations

import torch

from PromptSegTrain.pixels import SMALL, sample_pixels


def a_slice(side: int = 96) -> torch.Tensor:
    """A large structure (1) of 1,600 pixels, a small one (2) of 25, and background."""
    labels = torch.zeros(side, side, dtype=torch.long)
    labels[10:50, 10:50] = 1
    labels[70:75, 70:75] = 2
    return labels


def test_a_quarter_of_the_pixels_holds_all_of_a_small_structure() -> None:
    torch.manual_seed(0)
    labels = torch.stack([a_slice(), torch.zeros(96, 96, dtype=torch.long)])
    places, weights = sample_pixels(labels)
    assert places.shape == weights.shape == (2, 96 * 96 // 4)
    assert all(len(p.unique()) == len(p) for p in places)
    found = labels.flatten(1).gather(1, places)
    assert int((found[0] == 2).sum()) == 25
    assert bool((weights[0][found[0] == 2] == 1).all())


def test_weights_make_it_the_whole_slice() -> None:
    torch.manual_seed(0)
    labels = a_slice()[None]
    sums, sizes = [], []
    for _ in range(60):
        places, weights = sample_pixels(labels)
        sums.append(float(weights.sum()))
        sizes.append(float((weights * (labels.flatten(1).gather(1, places) == 1)).sum()))
    assert all(abs(s - 96 * 96) < 0.5 for s in sums)
    assert abs(sum(sizes) / len(sizes) - 1600) < 25


def test_where_nearly_all_is_small_the_rest_is_still_looked_at() -> None:
    torch.manual_seed(0)
    blocks = torch.arange(36).reshape(6, 6).repeat_interleave(16, 0).repeat_interleave(16, 1)
    assert blocks.shape == (96, 96)
    assert SMALL > 16 * 16
    places, weights = sample_pixels(blocks[None])
    assert torch.isfinite(weights).all()
    assert abs(float(weights.sum()) - 96 * 96) < 0.5
    assert len(places[0].unique()) == 96 * 96 // 4
