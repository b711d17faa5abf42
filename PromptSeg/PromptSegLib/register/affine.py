"""The affine transform between two patients' CTs: where the one lies in the other.

Two starts. By grey values: twelve parameters by damped least squares, from several offsets along the body, so that
fields of view that overlap in part find each other. By organs that are known in both: their centroids give shift and
scale, least squares on their blurred maps the rest. Organs count where grey values do not fit clearly,
as told by what lies in the bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..progress import ShouldStop, check, never
from .dense import self_similarity
from .sampling import Frame, blurred, correlation, gradients, halved, sample

STEP_MM = 42.0
"""Between the starts along the body."""
KEPT = 4
"""Starts that are followed to the end."""
CLEAR, TRUST = 0.45, 0.1
"""Where what lies in the bodies is as alike as this by grey values (:meth:`Fitter.likeness`), they are followed; else
organs, unless by these it is so much less alike. Three abdomens had 0.28 to 0.39 by grey values and 0.04 less by
organs: what was carried then was better by organs all the same, by 0.06; two chests had 0.50 and 0.54, and were no
better."""
PATTERN_WEIGHT, PATTERN_BLUR = 0.5, 0.7
"""Of self-similarity in least squares; the blur in voxels."""
EVERY = 4
"""On the coarsest level, and on blurred maps, one point in so many is enough to find the way."""
MIN_OVERLAP = 0.2
"""Share of the smaller body that must be seen by both."""
SCALES = (0.6, 1.6)


@dataclass(frozen=True)
class Level:
    """One CT at one resolution: ``grey`` (C, S, A, R) 0..1, ``seen`` and ``body`` (S, A, R) 0..1."""

    frame: Frame
    grey: Tensor
    seen: Tensor
    body: Tensor

    def coarser(self) -> Level:
        """Means of blocks of 2 x 2 x 2."""
        both = halved(torch.stack([self.seen, self.body]))
        return Level(self.frame.coarser(), halved(self.grey), both[0], both[1])


@dataclass(frozen=True)
class Affine:
    """``matrix`` (3, 4) float64: positions (S, A, R in mm) in the patient to positions in the teacher; ``score`` is
    higher for a better fit."""

    matrix: np.ndarray
    score: float = 0.0

    def apply(self, points: Tensor) -> Tensor:
        """Where the transform takes ``points`` (..., 3), in mm."""
        turn = torch.as_tensor(self.matrix[:, :3], dtype=points.dtype, device=points.device)
        shift = torch.as_tensor(self.matrix[:, 3], dtype=points.dtype, device=points.device)
        return points @ turn.T + shift

    def inverse(self) -> Affine:
        """From the teacher to the patient."""
        back = np.linalg.inv(self.matrix[:, :3])
        return Affine(np.column_stack([back, -back @ self.matrix[:, 3]]), self.score)

    @property
    def scales(self) -> np.ndarray:
        """Singular values of its linear part."""
        return np.linalg.svd(self.matrix[:, :3], compute_uv=False)

    @property
    def plausible(self) -> bool:
        """Whether two people can differ so: in size, and not mirrored."""
        low, high = SCALES
        s = self.scales
        return bool(s.min() > low and s.max() < high and np.linalg.det(self.matrix[:, :3]) > 0)


class Fitter:
    """Damped least squares of grey values at the patient's points (Gauss-Newton, Levenberg's damping)."""

    def __init__(self, patient: Level, teacher: Level) -> None:
        self.patient, self.teacher = patient, teacher
        near = blurred(patient.body[None], 1.5)[0] > 0.05
        self.inside = inside = near & (patient.seen > 0.5)
        points = patient.frame.points(patient.grey.device)
        self.points = points[inside]
        self.fixed = patient.grey[:, inside]
        self.own = patient.body[inside]
        channels = [gradients(one, teacher.frame.spacing) for one in teacher.grey]
        extra = torch.stack([teacher.seen, teacher.body])
        self.images = torch.cat([teacher.grey, extra, *channels])
        self.channels = len(teacher.grey)
        self.volume = teacher.frame.spacing**3
        self.moving_body = float(teacher.body.sum()) * self.volume
        self.centre = self.points.mean(0) if len(self.points) else torch.zeros(3)

    def values(self, affine: Affine, every: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Residuals (C, n), weights (n), gradients (C, 3, n) and the teacher's body (n), of one point in ``every``."""
        found = sample(self.images, self.teacher.frame, affine.apply(self.points[::every]))
        c = self.channels
        residual = found[:c] - self.fixed[:, ::every]
        return residual, found[c], found[c + 2 :].reshape(c, 3, -1), found[c + 1]

    def score(self, affine: Affine) -> float:
        """Correlation of grey values and of bodies over what both see, less where that is little."""
        residual, weight, _, body = self.values(affine)
        overlap = float((weight * self.own).sum()) * self.patient.frame.spacing**3
        volume = abs(np.linalg.det(affine.matrix[:, :3]))
        smaller = min(float(self.own.sum()) * self.patient.frame.spacing**3, self.moving_body / max(volume, 1e-3))
        share = overlap / max(smaller, 1.0)
        if share < MIN_OVERLAP or not affine.plausible:
            return -1.0
        w = weight * torch.maximum(self.own, body)
        total = w.sum().clamp(min=1e-6)
        found = []
        for channel in range(self.channels):
            a, b = self.fixed[channel], residual[channel] + self.fixed[channel]
            da, db = a - (w * a).sum() / total, b - (w * b).sum() / total
            va, vb = (w * da * da).sum(), (w * db * db).sum()
            found.append(float((w * da * db).sum() / (va * vb).sqrt().clamp(min=1e-9)))
        both = float((weight * torch.minimum(self.own, body)).sum() / (weight * torch.maximum(self.own, body)).sum())
        return (float(np.mean(found)) + both) / 2 * min(1.0, share / 0.6) ** 0.25

    @cached_property
    def _alike(self) -> tuple[Tensor, Tensor, Tensor]:
        """Self-similarity of the patient at its points and of the teacher, and which points lie within the patient."""
        own = self_similarity(self.patient.grey[0])[:, self.inside]
        return own, self_similarity(self.teacher.grey[0]), (self.own > 0.5).float()

    def likeness(self, affine: Affine) -> float:
        """Correlation of self-similarity within both bodies, over what both see, -1 to 1: outlines of two bodies fit
        each other in many places, what lies in them in one."""
        own, other, weight = self._alike
        extra = torch.stack([self.teacher.seen, self.teacher.body])
        found = sample(torch.cat([other, extra]), self.teacher.frame, affine.apply(self.points))
        weight = weight * found[-2] * (found[-1] > 0.5)
        return float(np.mean([correlation(a, b, weight) for a, b in zip(own, found[:-2], strict=True)]))

    def fit(
        self, start: Affine, steps: int, rigidity: float, should_stop: ShouldStop = never, every: int = 1
    ) -> Affine:
        """``steps`` of least squares on one point in ``every``; ``rigidity`` damps shears and scales against shifts."""
        matrix, body_here = start.matrix.copy(), self.own[::every]
        points = (self.points[::every] - self.centre).double()
        centre = self.centre.double().cpu().numpy()
        ones = torch.ones_like(points[:, :1])
        base = torch.cat([points / 100.0, ones], 1)  # linear part in units of 100 mm
        for _ in range(steps):
            check(should_stop)
            residual, seen, slope, body = self.values(Affine(matrix), every)
            weight = (seen * torch.maximum(body_here, body).clamp(min=0.1)).double()
            # Geman and McClure: what cannot fit (gut, contrast medium, table) pulls little.
            scale = 0.15
            system, right = torch.zeros(12, 12, dtype=torch.double), torch.zeros(12, dtype=torch.double)
            for channel in range(self.channels):
                r = residual[channel].double()
                w = weight * (scale**2 / (scale**2 + r * r)) ** 2
                columns = (slope[channel].double().T[:, :, None] * base[:, None, :]).reshape(-1, 12)
                weighted = columns * w[:, None]
                system += (columns.T @ weighted).cpu()
                right -= (weighted.T @ r).cpu()
            damp = system.diagonal().mean() * torch.tensor(([rigidity] * 3 + [1e-3]) * 3, dtype=torch.double)
            change = torch.linalg.solve(system + torch.diag(damp + 1e-9), right).reshape(3, 4).numpy()
            linear, shift = change[:, :3] / 100.0, change[:, 3]
            length = float(np.abs(shift).max())
            factor = min(1.0, 30.0 / max(length, 1e-6), 0.15 / max(float(np.abs(linear).max()), 1e-6))
            matrix[:, :3] += factor * linear
            matrix[:, 3] += factor * (shift - linear @ centre)
        return Affine(matrix)


def affine_of(
    patient: Sequence[Level],
    teacher: Sequence[Level],
    organs: Callable[[], Mapping[str, tuple[Tensor, Tensor]]],
    should_stop: ShouldStop = never,
) -> Affine:
    """By grey values where what lies in the bodies is clearly alike then, else by organs, where both show three. Levels
    are the coarsest first, maps lie on the finest, and are asked for where they are needed. Raises ``Stopped``."""
    fine, second = Fitter(patient[-1], teacher[-1]), by_grey(patient, teacher, should_stop)
    alike = fine.likeness(second)
    first = None if alike > CLEAR else by_organs(patient[-1], teacher[-1], organs(), should_stop)
    return second if first is None or alike > fine.likeness(first) + TRUST else first


def by_grey(patient: Sequence[Level], teacher: Sequence[Level], should_stop: ShouldStop = never) -> Affine:
    """The best of several starts along the body; ``patient`` and ``teacher`` are levels, the coarsest first.

    Its score is -1 where nothing fits.
    """
    coarse, patterns = Fitter(patient[0], teacher[0]), Fitter(_patterns(patient[0]), _patterns(teacher[0]))
    tried = []
    for start in starts(patient[0], teacher[0]):
        check(should_stop)
        first = coarse.fit(start, 5, 0.3, should_stop, EVERY)
        if coarse.score(first) > -1:
            tried.append((coarse.likeness(first), first))
    tried.sort(key=lambda one: -one[0])
    best, alike = Affine(np.eye(3, 4), -1.0), -2.0
    for likeness, one in tried[:KEPT]:
        moved = coarse.fit(one, 10, 0.01, should_stop, EVERY)
        moved = patterns.fit(moved, 10, 0.01, should_stop, EVERY)
        if coarse.score(moved) > -1:
            likeness, one = coarse.likeness(moved), moved
        if likeness > alike:
            best, alike = Affine(one.matrix, coarse.score(one)), likeness
    if not tried:
        return best
    for at, other in zip(patient[1:], teacher[1:], strict=True):
        fine = Fitter(at, other)
        moved = fine.fit(best, 6, 0.003, should_stop)
        score, former = fine.score(moved), fine.score(best)
        better = score > -1 and fine.likeness(moved) > fine.likeness(best)
        best = Affine(moved.matrix, score) if better else Affine(best.matrix, former)
    return best


def _patterns(level: Level) -> Level:
    """The same with self-similarity in place of grey."""
    found = blurred(self_similarity(level.grey[0]), PATTERN_BLUR)
    return Level(level.frame, PATTERN_WEIGHT * found, level.seen, level.body)


def starts(patient: Level, teacher: Level) -> list[Affine]:
    """Shifts along the body with enough overlap, the bodies' middles on each other in the planes that both see."""
    own, other = _profile(patient), _profile(teacher)
    if own is None or other is None:
        return []
    low, high = own[0][0] - other[0][-1], own[0][-1] - other[0][0]  # of patient minus teacher, along S
    count = max(1, int((high - low) / STEP_MM))
    out = []
    for shift in np.linspace(low, high, count + 2)[1:-1]:
        a = (own[0] - shift >= other[0][0]) & (own[0] - shift <= other[0][-1])
        b = (other[0] + shift >= own[0][0]) & (other[0] + shift <= own[0][-1])
        shared = own[1][a].sum()
        if not a.any() or not b.any() or shared < MIN_OVERLAP * min(own[1].sum(), other[1].sum()):
            continue
        middle = [
            (m[chosen] * n[chosen, None]).sum(0) / n[chosen].sum() for (_, n, m), chosen in ((own, a), (other, b))
        ]
        # Sizes of the bodies' cross-sections: a child and an adult start near each other.
        size = np.sqrt(max(other[1][b].mean(), 1.0) / max(own[1][a].mean(), 1.0))
        size = float(np.clip(size, 0.75, 1.33))
        matrix = np.diag([1.0, size, size])
        offset = np.concatenate([[-shift], middle[1] - size * middle[0]])
        out.append(Affine(np.column_stack([matrix, offset])))
    return out


def _profile(level: Level) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Positions along S of planes that show the body, its area there, and its middle (A, R)."""
    body = level.body.cpu().numpy()
    area = body.sum((1, 2))
    there = area > 0
    if not there.any():
        return None
    place = [o + level.frame.spacing * np.arange(n) for o, n in zip(level.frame.origin, body.shape, strict=True)]
    middle = np.stack([body.sum(2) @ place[1], body.sum(1) @ place[2]], 1)
    return place[0][there], area[there], middle[there] / area[there, None]


def by_organs(
    patient: Level,
    teacher: Level,
    organs: Mapping[str, tuple[Tensor, Tensor]],
    should_stop: ShouldStop = never,
) -> Affine | None:
    """From maps (S, A, R) of known organs in both, on their frames, scored by grey values as the others; None with
    fewer than three that both show."""
    minimum = 8.0
    usable = {n: (p, t) for n, (p, t) in organs.items() if float(p.sum()) > minimum and float(t.sum()) > minimum}
    if len(usable) < 3:
        return None
    points = patient.frame.points(patient.grey.device), teacher.frame.points(patient.grey.device)
    own, other = (np.array([_middle(pair[n], points[n]) for pair in usable.values()], np.float64) for n in (0, 1))
    mean_own, mean_other = own.mean(0), other.mean(0)
    spread = np.sqrt(((own - mean_own) ** 2).mean(0)), np.sqrt(((other - mean_other) ** 2).mean(0))
    size = np.clip(np.where(spread[0] > 15, spread[1] / np.maximum(spread[0], 1.0), 1.0), 0.7, 1.4)
    found = Affine(np.column_stack([np.diag(size), mean_other - size * mean_own]))
    for sigma in (2.5, 1.2):
        maps = [blurred(torch.stack([pair[n] for pair in usable.values()]), sigma) for n in (0, 1)]
        peak = [m.amax((1, 2, 3), keepdim=True).clamp(min=1e-3) for m in maps]
        pair = (
            Level(patient.frame, maps[0] / peak[0], patient.seen, (maps[0] / peak[0]).amax(0).clamp(max=1)),
            Level(teacher.frame, maps[1] / peak[1], teacher.seen, (maps[1] / peak[1]).amax(0).clamp(max=1)),
        )
        found = Fitter(*pair).fit(found, 8, 0.01, should_stop, EVERY)
    return replace(found, score=Fitter(patient, teacher).score(found)) if found.plausible else None


def _middle(image: Tensor, points: Tensor) -> list[float]:
    middle = (image[..., None] * points).sum((0, 1, 2)) / image.sum()
    return [float(v) for v in middle]
