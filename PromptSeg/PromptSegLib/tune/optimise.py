"""Gradient steps on a prompt, and what they are worth on slices that were left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..contours.fusion import WEIGHTS
from ..model.backbone import Backbone
from ..model.losses import mask_loss
from ..prior import EVEN_WEIGHT, NETWORK_LIMIT, add_prior, weighted
from ..progress import ShouldStop, check
from .examples import Examples

Tensors = Mapping[str, Tensor]

_PENALTIES = {15.0: 0.0, 40.0: 0.1, 1000.0: 0.4}
"""What a weight must save of the cross-entropy on left-out slices, in nats for each pixel of the structure: few slices
say little, and the usual weight is right for most structures. Fitted to pairs of volume and structure
(docs/experiments.md)."""
_MIN_AREA = 50
"""Pixels: smaller structures do not count for more."""
_KNOWN, _SEEN = 0.6, 0.3
"""From which Dice of the first mask on the drawn slices on the network counts as knowing the structure, and as seeing
anything of it."""


def optimise(
    backbone: Backbone,
    examples: Examples,
    start: Tensors,
    chosen: Sequence[int],
    steps: int,
    lr: float,
    seed: int,
    should_stop: ShouldStop,
) -> Iterator[tuple[int, dict[str, Tensor], float]]:
    """Yield (step, tensors, loss) from ``start`` (step 0) on, learning from the slices ``chosen`` of ``examples``.

    Adam with a cosine to a tenth of the rate; the slices as they are and one varied copy take turns.
    """
    tensors = {k: v.detach().clone().requires_grad_() for k, v in start.items()}
    yield 0, {k: v.detach().clone() for k, v in tensors.items()}, float("nan")
    if not steps:
        return  # a first mask does not wait the second that torch takes to load its optimisers
    index = torch.tensor(list(chosen))
    picked = [e.select(index) for e in examples.encoded]
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(tensors.values(), lr=lr, betas=(0.9, 0.95))
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


def evaluation_steps(steps: int, every: int) -> list[int]:
    """The steps at which Dice is measured: 0, every few, and the last."""
    return sorted({0, *range(every, steps + 1, every), steps})


def folds_of(examples: Examples, limit: int, remembered: Collection[int] = ()) -> list[int]:
    """Which slices to leave out: those that show the structure, evenly spread if there are more than ``limit``; none of
    the drawings ``remembered``, by number."""
    every = [n for n, there in enumerate(examples.shown) if there]
    shown = [n for n in every if examples.places[n][0] not in remembered]
    if len(every) < 2:
        return []
    if len(shown) <= limit:
        return shown
    return [shown[round(i * (len(shown) - 1) / max(1, limit - 1))] for i in range(limit)]


@dataclass
class LeftOut:
    """How well each slice was found while it was left out, by step and by weight of the contours: ``curves[n]`` is
    (marks, weights, 2) of example n, Dice and cross-entropy (see :func:`scored`), for the marks that it has reached."""

    marks: list[int]
    curves: dict[int, np.ndarray] = field(default_factory=dict)
    usual: float = WEIGHTS[0]
    """The weight where no left-out slice tells: see :func:`first_weight`."""
    slices: int = 0
    """How many are to be left out."""
    gain: float = 0.0
    """How much Dice steps must gain to be worth taking."""

    def add(self, n: int, found: np.ndarray) -> None:
        """Example n has reached its next mark: (weights, 2)."""
        before = self.curves.get(n)
        self.curves[n] = found[None] if before is None else np.concatenate([before, found[None]])

    @property
    def known(self) -> int:
        """How many marks all left-out slices have reached."""
        return min(map(len, self.curves.values())) if self.curves and len(self.curves) >= self.slices else 0

    def choice(self) -> tuple[int, float]:
        """The number of steps at which the network alone has the best Dice, of those that all have reached, or none
        where they gain less than :attr:`gain`, and the weight that goes with it: that of the smallest cross-entropy and
        penalty; ``usual`` where no left-out slice has contours on both sides.

        Cross-entropy tells how far the network can be trusted beside contours, whose own probabilities allow for the
        gap; Dice of one or two slices, with gaps twice as wide as usual, does not.
        """
        if not self.known:
            return self.marks[0 if self.slices else -1], self.usual
        alone = np.array([c[: self.known, WEIGHTS.index(0.0), 0] for c in self.curves.values()])
        mean = np.nan_to_num(alone).mean(0)
        step = len(mean) - 1 - int(mean[::-1].argmax())  # of equals the last: it has learned most
        if mean[step] < mean[0] + self.gain:
            step = 0
        penalised = [WEIGHTS.index(weight) for weight in _PENALTIES]
        costs = np.array([c[step, penalised, 1] for c in self.curves.values()])
        known = costs[~np.isnan(costs).any(1)]
        if not len(known):
            return self.marks[step], self.usual
        total = known.sum(0) + list(_PENALTIES.values())
        return self.marks[step], WEIGHTS[penalised[int(total.argmin())]]

    def scores(self, steps: int, weight: float) -> dict[int, float]:
        """Dice of each left-out slice at that choice; at the ends, where there is no contour, of the network alone.
        Empty where not all have reached it."""
        if steps not in self.marks[: self.known]:
            return {}
        step, at, alone = self.marks.index(steps), WEIGHTS.index(weight), WEIGHTS.index(0.0)
        dice = {k: v[step, :, 0] for k, v in self.curves.items()}
        return {k: float(v[alone] if np.isnan(v[at]) else v[at]) for k, v in dice.items()}


def first_weight(dice: float) -> float:
    """The contours' weight before any slice was left out, by the Dice of the first mask on the drawn slices: what the
    network hardly finds although it was shown, it finds nowhere else."""
    return 1000.0 if dice < _SEEN else 40.0 if dice < _KNOWN else WEIGHTS[0]


def scored(logits: Tensor, contour: np.ndarray | None, target: Tensor, valid: Tensor) -> np.ndarray:
    """How well one slice is found by logits (H, W) with its contour, for each weight: (weights, 2).

    Dice, NaN where nothing is and is found; and cross-entropy in nats over the structure's pixels, where the contour
    is the logit that it is and the network's counts the less the greater the weight. NaN without a contour.
    """
    known = (valid > 0).cpu().numpy()
    there = (target > 0.5).cpu().numpy()[known]
    own = logits.float().cpu().numpy()[known]
    drawn = None if contour is None else contour[known]
    out = np.full((len(WEIGHTS), 2), np.nan)
    for n, weight in enumerate(WEIGHTS):
        if drawn is None and weight:
            continue
        fused = own if drawn is None or weight == 0 else add_prior(own, weighted(drawn, weight))
        found = fused > 0
        total = found.sum() + there.sum()
        if total:
            out[n, 0] = 2 * (found & there).sum() / total
        if drawn is not None and weight:
            share = EVEN_WEIGHT / weight * np.clip(own, -NETWORK_LIMIT, NETWORK_LIMIT) + weighted(drawn, EVEN_WEIGHT)
            out[n, 1] = np.logaddexp(0, np.where(there, -share, share)).sum() / max(_MIN_AREA, there.sum())
    return out
