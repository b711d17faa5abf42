"""How well two CTs fit after registration, and a sentence where they do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .affine import Affine, Level
from .dense import self_similarity
from .sampling import correlation, enlarged, enlarging


@dataclass(frozen=True)
class PairFit:
    """Signs of how well two CTs fit.

    ``score`` is that of the affine transform, ``grey`` and ``structure`` the correlation of soft-tissue grey and of
    self-similarity after the deformation, ``bodies`` the Dice of the two bodies where both are seen (all at most 1);
    ``inverse_mm`` the median distance at which forward and backward search miss each other, ``folding`` the share of
    voxels in which space is turned inside out, ``seen`` the share of the region that lies in the patient's field of
    view, ``scales`` the affine's least and greatest. ``before`` is the trust of a registration before this one, by
    which the mask came into the teacher's CT.
    """

    score: float
    grey: float
    structure: float
    bodies: float
    inverse_mm: float
    folding: float
    seen: float
    scales: tuple[float, float]
    fits: bool = True
    reason: str = ""
    before: float | None = None

    @property
    def outside(self) -> bool:
        """Whether the two CTs fit, and the region lies outside the patient's field of view."""
        return self.reason == OUTSIDE

    @property
    def trust_here(self) -> float:
        """One figure of them: alike structures, less for folding and for bodies that do not cover each other."""
        return self.structure - 2 * self.folding + (self.bodies - 0.9)

    @property
    def trust(self) -> float:
        """The same; of two registrations, one after the other, the lesser."""
        return self.trust_here if self.before is None else min(self.trust_here, self.before)


def fit_of(affine: Affine, searched: Tensor, forward: Tensor, backward: Tensor, fixed: Level, moving: Level) -> PairFit:
    """Of two CTs on one box. The fields (3, s, a, r) are in voxels on blocks of 2 x 2 x 2: what the search found, what
    became of it, and what the search in the other direction found."""
    shape = fixed.grey.shape[1:]
    weights = [enlarging(n, c, fixed.grey.device) for n, c in zip(shape, forward.shape[1:], strict=True)]
    first, field, back = (enlarged(one, weights) for one in (searched, forward, backward))
    images = torch.cat([moving.grey, moving.seen[None], moving.body[None]])
    found = _at(images, field)
    seen, body = found[2], found[3]
    missed = (first + _at(back, first)).norm(dim=0) * fixed.frame.spacing
    both = fixed.seen * (seen > 0.5)
    inside = both * (fixed.body > 0.5)
    share = float((fixed.seen * (moving.body > 0.5)).sum() / (moving.body > 0.5).sum().clamp(min=1))
    if float(inside.sum()) < 50:
        return scored(PairFit(affine.score, -1.0, -1.0, 0.0, 99.0, 1.0, share, _ends(affine)))
    union = both * (torch.maximum(fixed.body, body) > 0.5)
    grey = float(np.mean([correlation(fixed.grey[n], found[n], union) for n in (0, 1)]))
    alike = [self_similarity(image) for image in (fixed.grey[0], found[0])]
    structure = float(np.mean([correlation(a, b, inside) for a, b in zip(*alike, strict=True)]))
    overlap = 2 * float((both * torch.minimum(fixed.body, body)).sum())
    bodies = overlap / max(float((both * (fixed.body + body)).sum()), 1.0)
    return scored(
        PairFit(
            affine.score,
            grey,
            structure,
            bodies,
            float(missed[inside > 0.5].median()),
            float((jacobian(field) <= 0)[inside > 0.5].float().mean()),
            share,
            _ends(affine),
        )
    )


MIN_SCORE, MIN_TRUST, MIN_SEEN = 0.4, 0.3, 0.05
"""Pairs of one part of the body (chests of three sources, abdomens, heads; chest and abdomen that share the liver) had
scores from 0.57 and :attr:`PairFit.trust` from 0.42 on, a head with an abdomen or a heart 0.41 to 0.57 and up to 0.05:
``carried.py --pairs`` lists them."""


MAX_INVERSE_MM, MAX_FOLDING = 30.0, 0.2
"""As far as the search reaches: what misses itself by more found nothing. Pairs of which a mask came back to its own
patient with a Dice of 0.6 to 0.8 had up to 21 mm and 0.09."""
SAME_BODY_SCORE = 0.6
"""Above what any such head had."""
OUTSIDE = "the field of view does not show that part of the body"


def scored(fit: PairFit) -> PairFit:
    """The same with the verdict."""
    reason, elsewhere = "", fit.seen < MIN_SEEN
    # Of what is not seen there is no trust; that two CTs share another part of the body is in the affine's score.
    if fit.score < MIN_SCORE or (fit.trust < MIN_TRUST and not (elsewhere and fit.score >= SAME_BODY_SCORE)):
        reason = "the two CTs do not fit, they may show different parts of the body"
    elif not elsewhere and (fit.inverse_mm > MAX_INVERSE_MM or fit.folding > MAX_FOLDING):
        reason = "the registration failed, forward and backward it does not agree with itself"
    elif elsewhere:
        reason = OUTSIDE
    return replace(fit, fits=not reason, reason=reason)


def jacobian(field: Tensor) -> Tensor:
    """Determinants (S, A, R) of the deformation x + field(x), in voxels."""
    columns = []
    for axis in (1, 2, 3):
        n = field.shape[axis]
        first, last = field.narrow(axis, 0, 1), field.narrow(axis, n - 1, 1)
        padded = torch.cat([first, field, last], axis)
        columns.append((padded.narrow(axis, 2, n) - padded.narrow(axis, 0, n)) / 2)
    turn = torch.stack(columns, 1) + torch.eye(3, device=field.device)[:, :, None, None, None]
    a, b, c = turn
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])


def _ends(affine: Affine) -> tuple[float, float]:
    return float(affine.scales.min()), float(affine.scales.max())


def _at(images: Tensor, field: Tensor) -> Tensor:
    """Images (C, S, A, R) moved by a field in voxels."""
    shape = images.shape[1:]
    lines = [torch.arange(n, dtype=torch.float32, device=images.device) for n in shape]
    where = torch.stack(torch.meshgrid(*lines, indexing="ij")) + field
    size = torch.tensor(shape, dtype=torch.float32, device=images.device)
    index = (2 * where.permute(1, 2, 3, 0) / (size - 1) - 1).flip(-1)
    return torch.nn.functional.grid_sample(images[None], index[None], padding_mode="zeros", align_corners=True)[0]
