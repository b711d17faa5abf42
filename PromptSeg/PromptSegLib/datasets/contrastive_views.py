"""Several views of one slice, each knowing where in the slice its pixels are.

For contrastive prototype assignment (see :mod:`~PromptSegTrain.cpa`) a teacher and two students look at the same
place: the teacher at a large part, hardly changed, the students at smaller parts, turned, scaled and spoilt. A view is
cut from its slice by one affine map, which is kept: where a pixel of one view is in another follows from inverting a
2 x 2 matrix, without a table of distances. Sizes and strengths are those of arXiv 2211.09233 (256 : 224 : 160 pixels of
1.25 mm), brought to 2 mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .augment import vary, window

TEACHER = 192
STUDENTS = (168, 120)
"""Sides of the views in working pixels; a smaller slice is continued by its border."""
TURN, SHEAR = 0.4, 0.025
"""The most that a view is turned (radians) and sheared."""
STUDENT_SCALE, TEACHER_SCALE = 0.25, 0.1
STUDENT_CHANCE, TEACHER_CHANCE = 0.8, 0.5
"""Of a view being turned, sheared and scaled at all."""


@dataclass
class View:
    """``images`` (B, H, W, C) -1..1; ``to_slice`` (B, 2, 3) takes (row, column, 1) of a pixel in the view to (row,
    column) in working pixels of its slice. Both count from the centre of the first pixel."""

    images: Tensor
    to_slice: Tensor


@dataclass
class Views:
    """Teacher and students of B slices: view n of each is of the same slice.

    ``sizes`` (B, 2) are the slices' rows and columns; ``structures`` (B,) the number of a structure that is annotated
    in the slice's volume, -1 where there is none.
    """

    teacher: View
    students: tuple[View, ...]
    sizes: Tensor
    structures: Tensor

    def to(self, device: torch.device | str) -> Views:
        """The same on another device."""
        teacher, *students = (View(v.images.to(device), v.to_slice.to(device)) for v in (self.teacher, *self.students))
        return Views(teacher, tuple(students), self.sizes.to(device), self.structures.to(device))


def make_views(slices: Sequence[Tensor], structures: Sequence[int], random: np.random.Generator) -> Views:
    """Teacher and students of ``slices``, each (C, H, W) of grey 0..255 and of any size, on the device they are on.

    The teacher's window lies in the slice where that is large enough; the students' lie in the teacher's, before they
    are turned.
    """
    centres = []
    for s in slices:
        size = np.array(s.shape[1:])
        slack = np.maximum(0, size - TEACHER) / 2
        centres.append((size - 1) / 2 + random.uniform(-1, 1, 2) * slack)
    teacher = _view(slices, np.stack(centres), TEACHER, False, random)
    students = []
    for side in STUDENTS:
        moved = np.stack(centres) + random.uniform(-0.5, 0.5, (len(slices), 2)) * (TEACHER - side)
        students.append(_view(slices, moved, side, True, random))
    device = slices[0].device
    sizes = torch.tensor([s.shape[1:] for s in slices], device=device)
    return Views(teacher, tuple(students), sizes, torch.tensor(structures, device=device))


def _view(slices: Sequence[Tensor], centres: np.ndarray, side: int, student: bool, random: np.random.Generator) -> View:
    """One view of each slice, ``side`` x ``side`` pixels about ``centres`` (B, 2)."""
    matrices = torch.from_numpy(np.stack([_affine(c, side, student, random) for c in centres])).float()
    images = torch.stack([window(cut(s, m, side), random) for s, m in zip(slices, matrices, strict=True)])
    images = vary(images.clamp(0, 255) / 127.5 - 1, random, student)
    return View(images.permute(0, 2, 3, 1).contiguous(), matrices.to(images.device))


def _affine(centre: np.ndarray, side: int, student: bool, random: np.random.Generator) -> np.ndarray:
    """Rotation, shear and scale about the view's centre, which shows ``centre`` of the slice: (2, 3); never a flip."""
    angle, shear = random.uniform(-TURN, TURN), random.uniform(-SHEAR, SHEAR)
    limit = STUDENT_SCALE if student else TEACHER_SCALE
    scale = 1 + random.uniform(-limit, limit)
    matrix = np.eye(2)
    if random.random() < (STUDENT_CHANCE if student else TEACHER_CHANCE):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1, 0], [shear, 1]]) * scale
    return np.concatenate([matrix, (centre - matrix @ np.full(2, (side - 1) / 2))[:, None]], 1)


def cut(grey: Tensor, to_slice: Tensor, side: int) -> Tensor:
    """The view (C, side, side) of a slice (C, H, W): linear between pixels, the border's value beyond the slice."""
    size = torch.tensor(grey.shape[1:], device=grey.device)
    points = apply(to_slice[None].to(grey.device), pixels((side, side), grey.device))
    # grid_sample's coordinates are (x, y), and -1 and 1 are the outer edges of the first and last pixel.
    field = ((2 * points + 1) / size - 1).flip(-1).reshape(1, side, side, 2)
    return functional.grid_sample(
        grey[None], field.to(grey), mode="bilinear", padding_mode="border", align_corners=False
    )[0]


def pixels(size: tuple[int, int], device: torch.device | str, start: tuple[int, int] = (0, 0), step: int = 1) -> Tensor:
    """(Row, column) of every ``step``-th pixel of a map from ``start`` on, row by row: (1, N, 2) float32."""
    rows, columns = (torch.arange(s, n, step, device=device) for s, n in zip(start, size, strict=True))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1).reshape(1, -1, 2).float()


def apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Affine maps (B, 2, 3) of points (1 or B, N, 2): (B, N, 2)."""
    return points @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]


def invert(matrix: Tensor) -> Tensor:
    """The inverse of affine maps (B, 2, 3)."""
    (a, b, s), (c, d, t) = (row.unbind(-1) for row in matrix.unbind(1))
    determinant = a * d - b * c
    linear = torch.stack([d, -b, b * t - d * s, -c, a, c * s - a * t], -1)
    return (linear / determinant[:, None]).reshape(-1, 2, 3)


def match(points: Tensor, to_slice: Tensor, size: tuple[int, int], tolerance: float) -> tuple[Tensor, Tensor]:
    """For points (B, N, 2) of the slices the nearest pixel of maps of ``size``, which ``to_slice`` (B, 2, 3) places.

    Gives the pixels' flat indices (B, N) and whether they are within ``tolerance`` (in the slice's pixels) of the
    points.
    """
    limit = torch.tensor(size, device=points.device) - 1
    nearest = apply(invert(to_slice), points).round().clamp_min(0).minimum(limit)
    distance = torch.linalg.vector_norm(apply(to_slice, nearest) - points, dim=-1)
    index = (nearest[..., 0] * size[1] + nearest[..., 1]).long()
    return index, distance <= tolerance
