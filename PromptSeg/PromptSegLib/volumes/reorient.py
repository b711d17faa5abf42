"""The same voxels with their axes in another order or direction: what other tools save, brought to the image's axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GridError
from .volume import Grid

_PARALLEL = 1e-2
"""How far a voxel step of one grid may be from one of the other: what else differs is looked at afterwards."""


@dataclass(frozen=True)
class Turn:
    """How an array (K, J, I, ...) is turned: its axes in ``order``, then reversed along ``flipped``; ``grid`` is where
    its voxels lie then, which is where they lay before."""

    order: tuple[int, int, int]
    flipped: tuple[int, ...]
    grid: Grid

    def apply(self, array: np.ndarray) -> np.ndarray:
        """A view of the array (K, J, I), or (K, J, I, C) with several values a voxel."""
        return np.flip(array.transpose(*self.order, *range(3, array.ndim)), self.flipped)


def turn_onto(grid: Grid, like: Grid) -> Turn | None:
    """How to turn an array on ``grid`` so that its axes run as those of ``like``; None where they do already, or where
    axes and voxel sizes differ by more than order and direction. Where the grid begins and how many voxels it has is
    not asked."""
    steps = np.linalg.inv(like.ijk_to_ras[:3, :3]) @ grid.ijk_to_ras[:3, :3]  # rows: axes of ``like``
    nearest = np.round(steps)
    if np.abs(steps - nearest).max() > _PARALLEL or np.abs(nearest).sum(0).max() != 1:
        return None
    if np.abs(nearest).sum(1).max() != 1 or np.array_equal(nearest, np.eye(3)):
        return None
    source = [int(np.abs(row).argmax()) for row in nearest]  # for each axis I, J, K of ``like``, that of ``grid``
    back = [int(nearest[to, of]) < 0 for to, of in enumerate(source)]
    first = np.zeros(3)
    for to, of in enumerate(source):
        first[of] = grid.size[of] - 1 if back[to] else 0
    columns = np.asarray(grid.direction).reshape(3, 3)
    start = columns @ (first * grid.spacing) + grid.origin
    turned = columns[:, source] * np.where(back, -1.0, 1.0)
    x, y, z = (float(v) for v in start)
    i, j, k = (grid.size[of] for of in source)
    a, b, c = (grid.spacing[of] for of in source)
    placed = Grid((i, j, k), (x, y, z), (a, b, c), tuple(float(v) for v in turned.ravel()))
    order = (2 - source[2], 2 - source[1], 2 - source[0])
    flipped = tuple(axis for axis in range(3) if back[2 - axis])
    return Turn(order, flipped, placed)


def turned_box(array: np.ndarray, matrix: np.ndarray, low: np.ndarray, like: Grid) -> tuple[np.ndarray, Grid] | None:
    """An array (K, J, I) that begins at voxel ``low`` (k, j, i) under a (4, 4) IJK to RAS matrix in mm, with its axes
    as those of ``like``, and where it lies then; None where no turn does that."""
    start = np.array(matrix, np.float64)
    start[:3, 3] += start[:3, :3] @ low[::-1]
    try:
        turn = turn_onto(Grid.from_ijk_to_ras(start, array.shape), like)
    except GridError:
        return None
    return None if turn is None else (turn.apply(array), turn.grid)
