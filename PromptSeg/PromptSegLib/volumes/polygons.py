"""Slices of a mask to polygons, and back without loss: what DICOM keeps of a structure as contours.

A polygon runs half-way between the centres of pixels inside and outside (marching squares; Lorensen and Cline, SIGGRAPH
1987), and a hundredth of a pixel nearer to those inside: these are found again exactly, also by programs that round the
points to whole pixels first. A hole is joined to the polygon around it by a channel without width, the keyhole that
DICOM asks for (PS3.3, C.8.8.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

SNAP = 0.02
"""Pixels within which a point counts as the centre of one: coordinates are often written with two decimals of a mm."""
_CHUNK = 2_000_000
_HALF = 0.49


def polygons_of(mask: np.ndarray) -> list[np.ndarray]:
    """The polygons around what is True in ``mask`` (rows, columns): (N, 2) float64 each, columns and rows of their
    points, pixel centres being whole numbers. Pixels that touch at a corner only are apart."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    corner = np.array([columns[0] - 1, rows[0] - 1])
    inside = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(bool), 1)
    loops = list(_loops(inside))
    around = [loop for loop in loops if _area(loop, inside) < 0]
    holes = [loop for loop in loops if _area(loop, inside) > 0]
    return [_simplified(_points(loop, inside)) + corner for loop in _joined(around, holes, inside)]


def filled(polygons: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Bool (rows, columns) of the pixels whose centres lie in an odd number of ``polygons`` (N, 2: columns and rows of
    points), or on the edge of one: a polygon in another is a hole."""
    rows, columns = shape
    toggles, edge = np.zeros((rows, columns + 1), np.int32), np.zeros(shape, bool)
    unique = {np.ascontiguousarray(one, np.float64).tobytes(): one for one in polygons}  # one drawn twice is no hole
    for one in unique.values():
        points = np.asarray(one, np.float64)
        integral = np.round(points)
        points = np.where(np.abs(points - integral) <= SNAP, integral, points)
        for part in _edges(points, rows):
            _cross(part, toggles, edge)
    return (np.cumsum(toggles[:, :columns], axis=1) % 2 == 1) | edge


def _edges(points: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    """The edges (N, 4) of a polygon, upper end first, in parts that cross a bounded number of rows."""
    ends = np.hstack([points, np.roll(points, -1, axis=0)])
    down = ends[:, 1] > ends[:, 3]
    ends[down] = ends[down][:, [2, 3, 0, 1]]
    size = max(1, _CHUNK // max(rows, 1))
    for first in range(0, len(ends), size):
        yield ends[first : first + size]


def _cross(ends: np.ndarray, toggles: np.ndarray, edge: np.ndarray) -> None:
    """Count where edges cross the rows of pixels, and mark the pixels that they run through the centres of."""
    rows, columns = edge.shape
    x0, y0, x1, y1 = ends.T
    first = np.clip(np.ceil(y0), 0, rows).astype(int)
    stop = np.clip(np.ceil(y1), 0, rows).astype(int)
    number, row = _expanded(first, stop)
    x = x0[number] + (row - y0[number]) * ((x1 - x0)[number] / (y1 - y0)[number])
    np.add.at(toggles, (row, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    nearest = np.round(x)
    on = (np.abs(x - nearest) <= SNAP) & (nearest >= 0) & (nearest < columns)
    edge[row[on], nearest[on].astype(int)] = True
    # The lower ends, which the rows above leave out, and edges along a row.
    low = (y1 == np.round(y1)) & (y1 >= 0) & (y1 < rows)
    flat = low & (y0 == y1)
    left = np.where(flat, np.minimum(x0, x1), x1)[low]
    right = np.where(flat, np.maximum(x0, x1), x1)[low]
    number, column = _expanded(
        np.clip(np.ceil(left), 0, columns).astype(int), np.clip(np.floor(right) + 1, 0, columns).astype(int)
    )
    edge[y1[low][number].astype(int), column] = True


def _expanded(first: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers n, and all whole numbers from ``first[n]`` to before ``stop[n]``."""
    count = np.maximum(stop - first, 0)
    number = np.repeat(np.arange(len(first)), count)
    return number, np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count) + first[number]


def _loops(inside: np.ndarray) -> Iterator[list[int]]:
    """Closed loops of edges between pixels (rows, columns, with an empty border), inside on the left.

    An edge between columns c and c + 1 of row r is r * columns + c; one between rows r and r + 1 of column c is that
    and the number of pixels.
    """
    rows, columns = inside.shape
    a, b, c, d = inside[:-1, :-1], inside[:-1, 1:], inside[1:, :-1], inside[1:, 1:]
    number = np.arange(rows * columns).reshape(rows, columns)[:-1, :-1]
    top, bottom, left, right = number, number + columns, number + inside.size, number + 1 + inside.size
    # In each square of four pixels: where a loop comes in, and where it leaves.
    ways = (
        (a & ~c, left, ((a & ~b), top), ((b & ~d), right), ((d & ~c), bottom)),
        (b & ~a, top, ((b & ~d), right), ((d & ~c), bottom), ((c & ~a), left)),
        (d & ~b, right, ((d & ~c), bottom), ((c & ~a), left), ((a & ~b), top)),
        (c & ~d, bottom, ((c & ~a), left), ((a & ~b), top), ((b & ~d), right)),
    )
    following: dict[int, int] = {}
    for enters, start, *leaves in ways:
        waiting = enters.copy()
        for where, end in leaves:  # the first is the sharpest turn around the one pixel
            taken = waiting & where
            following.update(zip(start[taken].tolist(), end[taken].tolist(), strict=True))
            waiting &= ~where
    while following:
        start, at = following.popitem()
        loop = [start]
        while at != start:
            loop.append(at)
            at = following.pop(at)
        yield loop


def _points(loop: Sequence[int], inside: np.ndarray) -> np.ndarray:
    """Where a loop crosses the lines between the centres of pixels: (N, 2), columns and rows."""
    edges = np.asarray(loop)
    between_rows = edges >= inside.size
    row, column = np.divmod(edges % inside.size, inside.shape[1])
    step = np.where(inside[row, column], _HALF, 1 - _HALF)
    return np.column_stack([column + np.where(between_rows, 0, step), row + np.where(between_rows, step, 0)])


def _area(loop: Sequence[int], inside: np.ndarray) -> float:
    x, y = _points(loop, inside).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _joined(around: list[list[int]], holes: list[list[int]], inside: np.ndarray) -> list[list[int]]:
    """Loops with their holes in them: from the left end of each hole along its row to the next loop, and back."""
    columns = inside.shape[1]
    owner = {edge: loop for loop in around for edge in loop}
    ends = []
    for hole in holes:
        left = min((edge for edge in hole if edge < inside.size), key=lambda edge: (edge % columns, edge))
        ends.append((left % columns, left, hole))
    for column, left, hole in sorted(ends, key=lambda one: one[:2]):
        row = left // columns
        outside = int(np.flatnonzero(~inside[row, : column + 1])[-1])
        goal = row * columns + outside
        loop = owner[goal]
        at, turn = loop.index(goal), hole.index(left)
        loop[at + 1 : at + 1] = [*hole[turn:], *hole[:turn], left, goal]
        owner.update(dict.fromkeys(hole, loop))
    return around


def _simplified(points: np.ndarray) -> np.ndarray:
    """Without the points that a polygon runs straight through."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    straight = (np.abs(turn) < 1e-9) & ((before * after).sum(axis=1) > 0)
    return points[~straight]
