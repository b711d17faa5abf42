"""Two CTs registered: affine, then a local deformation around what is to be carried over, with a check of the fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..threads import without_denormals
from ..volumes.preprocess import grey_from_hu
from .affine import Affine, Level, affine_of
from .dense import REACH, Weights, channels, convex_search, refined
from .grey_fit import MIN_SCORE, PairFit, fit_of, scored
from .picture import Picture, Region
from .sampling import Frame, halved, sample
from .views import WEIGHT, Look, principal

MARGIN_MM = 36.0
"""Around the teacher's region, within which the local deformation is found."""
COARSE_REACH, FURTHER_REACH = 4, 3
"""Voxels that anything may be displaced for a further region: of 12 mm all over the two CTs, and of 6 mm beyond that in
the region. It takes a quarter of the first region's search, and loses 0.02 (docs/experiments.md)."""
BACK = 2
"""Features of a view by which the way back is searched, beside two curves of grey."""
SOFT_HU, WIDE_HU = (-160.0, 240.0), (-1000.0, 400.0)
_STAGE = "register"
REGISTERING = "Registering with another CT"


@dataclass(frozen=True)
class Coarse:
    """A rough deformation of all that two CTs share: ``field`` (3, s, a, r) in mm on ``frame``, as
    :class:`Deformation` has it."""

    frame: Frame
    field: Tensor


@dataclass(frozen=True)
class Deformation:
    """From the patient to the teacher: a position p is the teacher's ``affine`` (p + u(p)).

    ``field`` (3, s, a, r) are the vectors u along S, A, R in mm on ``frame``; beyond it, its edge goes on. ``fit`` says
    how well the two CTs fit, ``region`` is the teacher's part that it was made for.
    """

    affine: Affine
    frame: Frame
    field: Tensor
    fit: PairFit
    region: Region
    seconds: Mapping[str, float] = field(default_factory=dict)
    coarse: Coarse | None = None

    def to_teacher(self, points: Tensor) -> Tensor:
        """Where positions (..., 3) of the patient lie in the teacher."""
        return self.affine.apply(points + displaced(self.field, self.frame, points))

    def carried(self, image: np.ndarray, source: Picture, target: Frame, should_stop: ShouldStop = never) -> np.ndarray:
        """A map (S, A, R) on the teacher's picture, on ``target`` in the patient: float32, 0 where it has none."""
        device = self.field.device
        tensor = torch.as_tensor(np.ascontiguousarray(image, np.float32), device=device)[None]
        out = np.empty(target.shape, np.float32)
        for first in range(0, target.shape[0], 16):
            check(should_stop)
            count = min(16, target.shape[0] - first)
            origin = (target.origin[0] + first * target.spacing, *target.origin[1:])
            points = Frame((count, *target.shape[1:]), origin, target.spacing).points(device)
            out[first : first + count] = sample(tensor, frame_of(source), self.to_teacher(points))[0].cpu().numpy()
        return out


def displaced(vectors: Tensor, frame: Frame, points: Tensor) -> Tensor:
    """A field's vectors at positions (..., 3); beyond its frame those of its edge."""
    where = frame.normalised(points).clamp(-1, 1)
    found = torch.nn.functional.grid_sample(
        vectors[None], where.reshape(1, 1, 1, -1, 3), padding_mode="border", align_corners=True
    )
    return found.reshape(3, -1).T.reshape(points.shape)


def frame_of(picture: Picture) -> Frame:
    """Shape, origin and spacing (mm) of a picture, as registration counts its voxels."""
    s, a, r = picture.grey.shape
    return Frame((s, a, r), picture.origin, picture.spacing)


def levels_of(
    picture: Picture, levels: tuple[int, int], device: torch.device | str = "cpu"
) -> tuple[Level, Level, Level]:
    """Grey at 12 mm and at 6 mm for the affine transform, and both curves at 6 mm for the local deformation.

    ``levels`` is the range of grey that both CTs have.
    """
    body = picture.body
    code = np.where(body, picture.grey, levels[0]).clip(*levels)
    grey = torch.from_numpy(np.ascontiguousarray(code)).to(device).float()[None]
    masks = torch.from_numpy(np.stack([picture.seen, body])).to(device).float()
    soft_low, soft_high = grey_from_hu(np.array(SOFT_HU)).tolist()
    wide_low, wide_high = grey_from_hu(np.array(WIDE_HU)).tolist()
    soft = ((grey - soft_low) / (soft_high - soft_low)).clamp(0, 1)
    wide = ((grey - wide_low) / (wide_high - wide_low)).clamp(0, 1)
    every = Level(frame_of(picture), torch.cat([grey / 255.0, soft, wide]), masks[0], masks[1])
    fine = every.coarser()
    single = Level(fine.frame, fine.grey[:1], fine.seen, fine.body)
    return single.coarser(), single, Level(fine.frame, fine.grey[1:], fine.seen, fine.body)


@torch.no_grad()
@without_denormals()  # a smooth field's tails stall Adam for minutes otherwise
def register(
    patient: Picture,
    teacher: Picture,
    region: Region,
    *,
    organs: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    device: torch.device | str = "cpu",
    weights: Weights | None = None,
    known: Deformation | None = None,
    look: Look | None = None,
    share: float = 1.0,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Deformation:
    """Find where ``region`` of the teacher lies in the patient.

    ``organs`` gives, by name, maps of known organs on both pictures, and ``look`` tells of such, too: where both CTs
    show three, they give the affine transform. ``known`` is the deformation of another region of the two, from which
    a further one takes a fraction of the time. With ``look``, what a backbone sees in both counts beside their grey
    values, to a ``share`` of 0 to 1.
    Raises ``Stopped``. Where the two do not fit, ``fit.fits`` is False and ``fit.reason`` says why; nothing is raised.
    """
    clock = _Clock()

    def part(low: float, high: float, message: str) -> Callable[[float], None]:
        return lambda share: on_progress(Progress(_STAGE, low + (high - low) * share, message))

    levels = max(patient.range[0], teacher.range[0]), min(patient.range[1], teacher.range[1])
    levels = levels if levels[0] < levels[1] else (1, 255)
    own, other = levels_of(patient, levels, device), levels_of(teacher, levels, device)
    if known is None:
        part(0.0, 0.3, REGISTERING)(0.0)

        def maps() -> dict[str, tuple[Tensor, Tensor]]:
            given = {n: (_at_six(p, device), _at_six(t, device)) for n, (p, t) in (organs or {}).items()}
            if look is None:
                return given
            here, there = (look(one).organs(should_stop) for one in (patient, teacher))
            return given | {n: (here[n].to(device), there[n].to(device)) for n in here if n in there}

        affine = affine_of(own[:2], other[:2], maps, should_stop)
    else:
        affine = known.affine
    clock.lap("affine")
    check(should_stop)
    if affine.score < MIN_SCORE:
        return _hopeless(affine, own[2], region, clock.seconds)

    coarse = _searched_coarsely(own[2], other[2], affine, should_stop) if known is None else known.coarse
    clock.lap("coarse")
    box = _box(affine, region, own[2].frame)
    fixed, moving = _on_box(own[2], box), _moved(other[2], affine, box)
    valid = fixed.seen * (torch.maximum(fixed.body, moving.body) > 0.05)
    views = (look(patient), look(teacher)) if look is not None and share > 0 else None
    points = box.points(device)
    placed = affine.apply(points)

    def compared(one: Level, where: Tensor) -> tuple[Tensor, Tensor]:
        """The patient's channels and the teacher's at ``where``, as ``one`` has its grey values there."""
        both = [channels(level.grey[0], level.grey[1], weights) for level in (fixed, one)]
        if views is None:
            return both[0], both[1]
        here = views[0].at(points, should_stop)
        part(0.3, 0.4, REGISTERING)(0.5)
        features = here, views[1].at(where, should_stop)
        more = [(WEIGHT * share) ** 0.5 * m for m in principal(*features, valid, one.seen * one.body)]
        # The first of them come before self-similarity: the way back is searched by few.
        own, theirs = (torch.cat([b[:2], m, b[2:]]) for b, m in zip(both, more, strict=True))
        return own, theirs

    first, second = compared(moving, placed)
    clock.lap("views")
    near, from_there, reach, own_there = moving, second, REACH, first
    if known is not None and coarse is not None:
        near, reach = _moved(other[2], affine, box, coarse), FURTHER_REACH
        own_there, from_there = compared(near, affine.apply(points + displaced(coarse.field, coarse.frame, points)))
    listen = part(0.4, 0.6, REGISTERING)
    found = convex_search(own_there, from_there, valid, near.seen, reach, should_stop, listen)
    clock.lap("search")
    listen = part(0.6, 0.8, REGISTERING)
    start = _joined(coarse, found, box) if known is not None and coarse is not None else found
    vectors = refined(first, second, valid, moving.seen, start, should_stop=should_stop, on_share=listen)
    clock.lap("refine")
    listen = part(0.8, 1.0, REGISTERING)
    few = 2 if views is None else 2 + BACK
    back = convex_search(from_there[:few], own_there[:few], near.seen, valid, reach, should_stop, listen)
    fit = fit_of(affine, found, vectors, back, fixed, moving)
    clock.lap("check")
    listen(1.0)
    return Deformation(affine, box.coarser(), vectors * box.spacing, fit, region, clock.seconds, coarse)


def _searched_coarsely(own: Level, other: Level, affine: Affine, should_stop: ShouldStop) -> Coarse:
    """Displacements of up to 48 mm wherever the patient and the teacher, moved affinely, are both seen."""
    here, there = own.coarser(), other.coarser()
    low, high = (np.array(ends) for ends in _ends(here.frame))
    moved = _corners(*_ends(there.frame), affine)
    low, high = np.maximum(low, moved.min(0)), np.minimum(high, moved.max(0))
    box = here.frame.around(np.minimum(low, high).tolist(), high.tolist(), 2)
    fixed, moving = _on_box(here, box), _moved(there, affine, box)
    valid = fixed.seen * (torch.maximum(fixed.body, moving.body) > 0.05)
    first, second = (channels(one.grey[0], one.grey[1]) for one in (fixed, moving))
    found = convex_search(first, second, valid, moving.seen, COARSE_REACH, should_stop)
    return Coarse(box.coarser(), found * box.spacing)


def _joined(coarse: Coarse, found: Tensor, box: Frame) -> Tensor:
    """A field that was found beyond a coarse one, both in one: in voxels of ``box``, on its blocks."""
    points = box.coarser().points(found.device) + found.permute(1, 2, 3, 0) * box.spacing
    return found + displaced(coarse.field, coarse.frame, points).permute(3, 0, 1, 2) / box.spacing


def _hopeless(affine: Affine, level: Level, region: Region, seconds: Mapping[str, float]) -> Deformation:
    """What stands for two CTs that do not even fit roughly: nothing further is tried."""
    low, high = float(affine.scales.min()), float(affine.scales.max())
    fit = scored(PairFit(affine.score, -1.0, -1.0, 0.0, 99.0, 1.0, 0.0, (low, high)))
    frame = level.frame.coarser()
    return Deformation(affine, frame, torch.zeros(3, *frame.shape, device=level.grey.device), fit, region, seconds)


class _Clock:
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """The step that just ended."""
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


def _at_six(image: np.ndarray, device: torch.device | str) -> Tensor:
    return halved(torch.as_tensor(np.ascontiguousarray(image, np.float32), device=device)[None])[0]


def _ends(frame: Frame) -> tuple[Sequence[float], Sequence[float]]:
    """Positions of the first and of the last voxel."""
    return frame.origin, [o + frame.spacing * (n - 1) for o, n in zip(frame.origin, frame.shape, strict=True)]


def _corners(low: Sequence[float], high: Sequence[float], affine: Affine) -> np.ndarray:
    """Where the eight corners (8, 3) of a box in the teacher lie in the patient."""
    ends = np.array([[s, a, r] for s in (0, 1) for a in (0, 1) for r in (0, 1)], float)
    back = affine.inverse().matrix
    return np.where(ends > 0, high, low) @ back[:, :3].T + back[:, 3]


def _box(affine: Affine, region: Region, frame: Frame) -> Frame:
    """Voxels of the patient around where the teacher's region lies affinely."""
    there = _corners(region.low, region.high, affine)
    return frame.around(there.min(0) - MARGIN_MM, there.max(0) + MARGIN_MM, 2)


def _on_box(level: Level, box: Frame) -> Level:
    points = box.points(level.grey.device)
    found = sample(torch.cat([level.grey, level.seen[None], level.body[None]]), level.frame, points)
    return Level(box, found[:-2], found[-2], found[-1])


def _moved(level: Level, affine: Affine, box: Frame, coarse: Coarse | None = None) -> Level:
    points = box.points(level.grey.device)
    if coarse is not None:
        points = points + displaced(coarse.field, coarse.frame, points)
    points = affine.apply(points)
    found = sample(torch.cat([level.grey, level.seen[None], level.body[None]]), level.frame, points)
    return Level(box, found[:-2], found[-2], found[-1])
