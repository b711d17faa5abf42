"""Gradient steps on a prompt, and what they are worth on slices that were left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..model.backbone import Backbone
from ..model.losses import mask_loss
from ..progress import ShouldStop, check
from ..segment.result import add_prior, weighted
from .examples import Examples
from .fusion import WEIGHTS

Tensors = Mapping[str, Tensor]

_HANDICAP = {0.0: 0.15, 2.0: 0.1, 6.0: 0.01, 40.0: 0.02, 1000.0: 0.05}
_HANDICAP_OF_UNKNOWN = {0.0: 0.15, 2.0: 0.1, 6.0: 0.01}
"""By how much Dice on left-out slices a weight must be better: a slice that was left out leaves twice the usual gap,
which hurts the outlines and not the network. Fitted to pairs of volume and structure (docs/experiments.md)."""
_KNOWN = 0.6
"""The Dice of the network alone on left-out slices from which on a structure counts as known to it."""
_FOUND = 0.4
"""With one such slice, as of three drawn ones, the gap is as wide as the structure and says nothing of the outlines.
It only tells whether the network finds the structure: from this Dice on. If not, the outlines weigh more."""
_WEIGHTS_OF_ONE = (15.0, 40.0)


def descend(
    backbone: Backbone,
    examples: Examples,
    start: Tensors,
    chosen: Sequence[int],
    steps: int,
    lr: float,
    seed: int,
    should_stop: ShouldStop,
    learn: Sequence[str] = ("",),
) -> Iterator[tuple[int, dict[str, Tensor], float]]:
    """Yield (step, tensors, loss) from ``start`` (step 0) on, learning from the slices ``chosen`` of ``examples``.

    Adam with a cosine to a tenth of the rate; the slices as they are and one varied copy take turns. ``learn`` are the
    beginnings of the names of the tensors that change.
    """
    tensors = {k: v.detach().clone().requires_grad_(k.startswith(tuple(learn))) for k, v in start.items()}
    yield 0, {k: v.detach().clone() for k, v in tensors.items()}, float("nan")
    if not steps:
        return  # a first mask does not wait the second that torch takes to load its optimisers
    index = torch.tensor(list(chosen))
    picked = [e.select(index) for e in examples.encoded]
    generator = torch.Generator().manual_seed(seed)
    learned = [k for k in tensors if k.startswith(tuple(learn))]
    optimiser = torch.optim.Adam([tensors[k] for k in learned], lr=lr, betas=(0.9, 0.95))
    for step in range(1, steps + 1):
        check(should_stop)
        for group in optimiser.param_groups:
            group["lr"] = lr * (0.55 + 0.45 * float(torch.cos(torch.tensor(torch.pi * (step - 1) / steps))))
        v = 0 if step % 2 or len(picked) == 1 else 1 + int(torch.randint(len(picked) - 1, (1,), generator=generator))
        logits = backbone.net.decode(picked[v], {k: t.to(backbone.dtype) for k, t in tensors.items()})
        check(should_stop)
        loss = mask_loss(logits, examples.target[v, index], examples.valid[v, index]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        yield step, {k: t.detach().clone() for k, t in tensors.items()}, float(loss.detach())


@torch.inference_mode()
def logits_of(backbone: Backbone, examples: Examples, tensors: Tensors, chosen: Sequence[int]) -> Tensor:
    """Logits (slices, H, W) of the unvaried slices ``chosen`` on the working grid."""
    encoded = examples.encoded[0].select(list(chosen))
    return backbone.net.decode(encoded, {k: v.to(backbone.dtype) for k, v in tensors.items()})


def marks_of(steps: int, every: int) -> list[int]:
    """The steps at which Dice is measured: 0, every few, and the last."""
    return sorted({0, *range(every, steps + 1, every), steps})


def folds_of(examples: Examples, most: int) -> list[int]:
    """Which slices to leave out: those that show the structure, evenly spread if there are more than ``most``."""
    shown = [n for n, there in enumerate(examples.shown) if there]
    if len(shown) < 2:
        return []
    if len(shown) <= most:
        return shown
    return [shown[round(i * (len(shown) - 1) / max(1, most - 1))] for i in range(most)]


@dataclass
class LeftOut:
    """Dice of each slice that was left out, by step and by weight of the outlines: ``curves[n]`` is (marks,
    weights) of example n."""

    marks: list[int]
    curves: dict[int, np.ndarray] = field(default_factory=dict)

    def choice(self) -> tuple[int, float]:
        """The number of steps at which the network is best, and then the weight of the outlines that is best with it,
        handicaps taken off; the usual weight where no left-out slice has outlines on both sides."""
        if not self.curves:
            return self.marks[-1], WEIGHTS[0]
        alone = np.array([c[:, WEIGHTS.index(0.0)] for c in self.curves.values()])
        mean = np.nan_to_num(alone).mean(0)
        step = len(mean) - 1 - int(mean[::-1].argmax())  # of equals the last: it has learned most
        between = np.array([c[step] for c in self.curves.values() if not np.isnan(c[step]).any()])
        if not len(between):
            return self.marks[step], WEIGHTS[0]
        if len(between) == 1:
            found = between[0][WEIGHTS.index(0.0)] >= _FOUND
            return self.marks[step], _WEIGHTS_OF_ONE[0 if found else 1]
        dice = between.mean(0)
        table = _HANDICAP if dice[WEIGHTS.index(0.0)] >= _KNOWN else _HANDICAP_OF_UNKNOWN
        return self.marks[step], WEIGHTS[int((dice - [table.get(w, 0.0) for w in WEIGHTS]).argmax())]

    def scores(self, steps: int, weight: float) -> dict[int, float]:
        """Dice of each left-out slice at that choice; at the ends, where there is no outline, of the network alone."""
        step, at, alone = self.marks.index(steps), WEIGHTS.index(weight), WEIGHTS.index(0.0)
        return {k: float(v[step, alone] if np.isnan(v[step, at]) else v[step, at]) for k, v in self.curves.items()}


def fused_dice(logits: Tensor, outline: np.ndarray | None, target: Tensor, valid: Tensor) -> np.ndarray:
    """Dice of one slice's logits (H, W) with its outline, for each weight; NaN where nothing is and is
    found."""
    known = (valid > 0).cpu().numpy()
    there = (target > 0.5).cpu().numpy() & known
    plain = logits.float().cpu().numpy()
    out = np.full(len(WEIGHTS), np.nan)
    for n, weight in enumerate(WEIGHTS):
        if outline is None and weight:
            continue
        fused = plain if outline is None or weight == 0 else add_prior(plain, weighted(outline, weight))
        found = (fused > 0) & known
        total = found.sum() + there.sum()
        if total:
            out[n] = 2 * (found & there).sum() / total
    return out
