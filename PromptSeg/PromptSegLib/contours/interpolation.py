"""The slices between drawn slices, from the contours alone: no image is looked at.

Both ways take ``masks``, {slice index: (rows, cols) bool}, of the drawn slices along any one axis of a volume; a mask
without a voxel is an absent slice, where the structure is known not to be.

- :func:`morphological` is what 3D Slicer's "Fill between slices" gives;
- :func:`signed_distance` blends the contours' signed distances (Raya and Udupa 1990, doi:10.1109/42.52980), part by
  part, with the parts' centroids brought together first and the area kept, so that an oblique structure neither thins
  nor breaks. It also tapers the structure off towards absent slices.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..errors import AnnotationError, InputError, PromptSegError, Stopped
from ..progress import ShouldStop, never
from ..scratch import scratch

FLOOR_MM = -20.0  # signed distances are cut off here; also the value on slices where the structure cannot be
_MAX_SLOPE = 2.0  # mm sideways per mm along the axis: parts that do not overlap and lie further apart are not the same
_TOUCHING = np.ones((3, 3), dtype=bool)  # pixels that meet at a corner belong to one part


def morphological(masks: Mapping[int, np.ndarray], depth: int, should_stop: ShouldStop = never) -> np.ndarray:
    """ITK's morphological contour interpolation (Zukić et al., Insight Journal 2016): (depth, rows, cols) bool.

    This is the algorithm behind 3D Slicer's "Fill between slices", with the settings that Slicer uses. Slices beyond
    the outermost drawn ones stay empty. The filter knows no absent slices; here what lies between a drawn and an absent
    slice stays empty. It runs in a process of its own, whose start takes seconds.

    Raises :class:`InputError` if the package ``itk-morphologicalcontourinterpolation`` is not installed,
    :class:`AnnotationError` for slices that cannot be used, :class:`PromptSegError` if the filter crashes, ``Stopped``.
    """
    drawn = _checked(masks, depth)
    rows, cols = _region(drawn, (0, 0))
    result = np.zeros((depth, *next(iter(drawn.values())).shape), dtype=bool)
    for k, mask in drawn.items():
        result[k] = mask
    # Every gap by itself, with an empty voxel on all sides: the filter knows a drawn slice by its empty neighbours, and
    # misses those drawn side by side.
    stacks: dict[str, np.ndarray] = {}
    for (a, mask_a), (b, mask_b) in pairwise(drawn.items()):
        if b - a > 1 and mask_a.any() and mask_b.any():
            stack = np.zeros((b - a + 3, rows.stop - rows.start + 2, cols.stop - cols.start + 2), dtype=np.uint8)
            stack[1, 1:-1, 1:-1] = mask_a[rows, cols]
            stack[-2, 1:-1, 1:-1] = mask_b[rows, cols]
            stacks[str(a)] = stack
    for first, stack in _filled(stacks, should_stop).items():
        between = stack[2:-2, 1:-1, 1:-1] > 0
        result[int(first) + 1 : int(first) + 1 + len(between), rows, cols] = between
    return result


def _filled(stacks: dict[str, np.ndarray], should_stop: ShouldStop) -> dict[str, np.ndarray]:
    """The stacks through :mod:`.fill_between_slices`."""
    try:
        version("itk-morphologicalcontourinterpolation")
    except PackageNotFoundError as error:
        raise InputError(
            "Fill between slices needs the package itk-morphologicalcontourinterpolation, which is not installed",
            "install it with: pip install itk-morphologicalcontourinterpolation",
        ) from error
    if not stacks:
        return {}
    with scratch() as folder:
        np.savez(folder / "stacks.npz", *stacks.values())
        command = [sys.executable, str(Path(__file__).with_name("fill_between_slices.py")), str(folder)]
        quiet, nothing = os.environ | {"PYTHONWARNINGS": "ignore"}, subprocess.DEVNULL
        with subprocess.Popen(command, env=quiet, stdout=nothing, stderr=nothing) as child:
            while child.poll() is None:
                if should_stop():
                    child.kill()
                    raise Stopped
                time.sleep(0.05)
        if child.returncode:
            raise PromptSegError(
                f"Fill between slices broke off with exit code {child.returncode}",
                "install the package itk-morphologicalcontourinterpolation again",
            )
        with np.load(folder / "filled.npz", allow_pickle=False) as filled:
            return {name: filled[f"arr_{n}"] for n, name in enumerate(stacks)}


def signed_distance(
    masks: Mapping[int, np.ndarray],
    depth: int,
    spacing: Sequence[float],
    *,
    beyond_mm: float = 0.0,
    only: Container[int] | None = None,
) -> np.ndarray:
    """Signed distance to the contour in its slice, in mm: (depth, rows, cols) float32, positive inside, >= FLOOR_MM.

    ``spacing`` is in mm along the three axes of the result: slices, rows, columns. Drawn slices come out exactly as
    drawn (``> 0`` gives the mask back). With ``only``, slices between drawn ones that are not in it stay at FLOOR_MM.

    Between two neighbouring drawn slices, parts (connected regions) that overlap belong together, of the others those
    whose centroids are nearest. Each pair of parts is moved along the line between its centroids, if they then overlap
    better than in place; its signed distances are blended linearly, and then raised or lowered evenly so that the area
    goes linearly from one to the other: a plain blend is linear in the radius, and makes double cones of round organs.

    A part without partner, and everything towards an absent slice, tapers off to nothing half-way, its area falling
    linearly: the end lies somewhere between the two slices, and half-way is least wrong on average. Slices beyond the
    outermost drawn ones are empty (FLOOR_MM) unless ``beyond_mm`` says how far the structure tapers on.

    Raises :class:`AnnotationError` for slices that cannot be used.
    """
    drawn = _checked(masks, depth)
    step, pixel = float(spacing[0]), (float(spacing[1]), float(spacing[2]))
    result = np.full((depth, *next(iter(drawn.values())).shape), FLOOR_MM, dtype=np.float32)
    # Out of this region every distance is below the floor.
    rows, cols = _region(drawn, tuple(int(np.ceil(-FLOOR_MM / mm)) + 1 for mm in pixel))
    inner = {k: mask[rows, cols] for k, mask in drawn.items()}

    def put(k: int, values: np.ndarray) -> None:
        result[k, rows, cols] = np.maximum(values, FLOOR_MM)

    for k, mask in inner.items():
        if mask.any():
            put(k, distance_to(mask, pixel))
    for (a, mask_a), (b, mask_b) in pairwise(inner.items()):
        if b - a < 2 or not (mask_a.any() or mask_b.any()):
            continue
        wanted = [k for k in range(a + 1, b) if only is None or k in only]
        if not wanted:
            continue
        blends = [_Blend(x, y, pixel) for x, y in _partners(mask_a, mask_b, (b - a) * step, pixel)]
        for k in wanted:
            put(k, np.max([blend.at((k - a) / (b - a)) for blend in blends], axis=0))
    if beyond_mm > 0:
        for end, ahead in ((min(inner), -1), (max(inner), 1)):
            if not inner[end].any():
                continue
            taper = _Blend(inner[end], None, pixel)
            for n in range(1, int(np.ceil(beyond_mm / step))):
                if 0 <= end + ahead * n < depth:
                    put(end + ahead * n, taper.at(n * step / (2 * beyond_mm)))
    return result


class _Blend:
    """Everything between one part and its partner on the next drawn slice, of which one may be missing."""

    def __init__(self, a: np.ndarray | None, b: np.ndarray | None, pixel: tuple[float, float]) -> None:
        self._a = None if a is None else distance_to(a, pixel)
        self._b = None if b is None else distance_to(b, pixel)
        self._move = np.zeros(2)
        if a is not None and b is not None:
            move = _centroid(b) - _centroid(a)
            moved = ndimage.shift(a.astype(np.float32), move, order=1) > 0.5
            if _dice(moved, b) > _dice(a, b):
                self._move = move

    def at(self, t: float) -> np.ndarray:
        """Signed distance in mm at ``t`` from 0 (the first part) to 1 (the second)."""
        if self._a is None or self._b is None:
            distance = self._a if self._a is not None else self._b
            assert distance is not None, "one side has the part"
            left = t if self._a is None else 1 - t
            if left <= 0.5:  # nothing left, and ever further from it
                return distance - 2 * (1 - left) * float(distance.max())
            return _levelled(distance, (2 * left - 1) * np.count_nonzero(distance > 0))
        blend = (1 - t) * _moved(self._a, t * self._move) + t * _moved(self._b, (t - 1) * self._move)
        return _levelled(blend, (1 - t) * np.count_nonzero(self._a > 0) + t * np.count_nonzero(self._b > 0))


def _levelled(distance: np.ndarray, area: float) -> np.ndarray:
    """``distance`` raised or lowered evenly so that it is positive on ``area`` pixels."""
    n = min(round(area), distance.size - 1)
    largest = np.partition(distance, (distance.size - n - 1, distance.size - n) if n else distance.size - 1, axis=None)
    if not n:
        return distance - largest[-1]
    return distance - (largest[distance.size - n - 1] + largest[distance.size - n]) / 2


def _moved(distance: np.ndarray, by: np.ndarray) -> np.ndarray:
    return ndimage.shift(distance, by, order=1, mode="nearest") if by.any() else distance


def _partners(
    a: np.ndarray, b: np.ndarray, gap_mm: float, pixel: tuple[float, float]
) -> Iterator[tuple[np.ndarray | None, np.ndarray | None]]:
    """Which regions of two neighbouring drawn slices belong together: pairs of masks, ``None`` for no partner."""
    labels_a, n_a = ndimage.label(a, structure=_TOUCHING)
    labels_b, n_b = ndimage.label(b, structure=_TOUCHING)
    both = a & b
    edges = (np.ones(np.count_nonzero(both)), (labels_a[both] - 1, labels_b[both] - 1 + n_a))
    n, group = connected_components(coo_array(edges, shape=(n_a + n_b, n_a + n_b)), directed=False)
    # Entry 0 is for the background, which is in no group.
    masks_a = [np.append(False, group[:n_a] == g)[labels_a] for g in range(n)]
    masks_b = [np.append(False, group[n_a:] == g)[labels_b] for g in range(n)]
    only_a = [g for g in range(n) if not masks_b[g].any()]
    only_b = [g for g in range(n) if not masks_a[g].any()]
    yield from ((masks_a[g], masks_b[g]) for g in range(n) if g not in only_a and g not in only_b)

    centre = {g: _centroid(masks_a[g] if g in only_a else masks_b[g]) * pixel for g in (*only_a, *only_b)}
    distances = sorted((float(np.linalg.norm(centre[x] - centre[y])), x, y) for x in only_a for y in only_b)
    for distance, x, y in distances:
        if x in only_a and y in only_b and (n_a == n_b == 1 or distance <= _MAX_SLOPE * gap_mm):
            only_a.remove(x)
            only_b.remove(y)
            yield masks_a[x], masks_b[y]
    yield from ((masks_a[g], None) for g in only_a)
    yield from ((None, masks_b[g]) for g in only_b)


def distance_to(mask: np.ndarray, pixel: tuple[float, float]) -> np.ndarray:
    """Signed distance in mm of pixel centres to the contour, which runs half a pixel from those next to it."""
    half = min(pixel) / 2.0
    inside = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=pixel)[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask, sampling=pixel)
    return np.where(mask, inside - half, half - outside).astype(np.float32)


def _centroid(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2.0 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1)


def _checked(masks: Mapping[int, np.ndarray], depth: int) -> dict[int, np.ndarray]:
    """The masks as bool, in order of slice."""
    drawn = {int(k): np.asarray(masks[k], dtype=bool) for k in sorted(masks)}
    if not any(mask.any() for mask in drawn.values()):
        raise AnnotationError("No slice is drawn", "draw the structure in at least two slices")
    for k in drawn:
        if not 0 <= k < depth:
            raise AnnotationError(f"Slice {k} is not in the volume", f"choose slices from 0 to {depth - 1}")
    shapes = {mask.shape for mask in drawn.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"drawn slices must be 2-D and of one shape, not {sorted(shapes)}")
    return drawn


def _region(drawn: Mapping[int, np.ndarray], margin: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns that hold all contours, and ``margin`` pixels more where the slice has them."""
    union = np.any(list(drawn.values()), axis=0)
    ranges = []
    for axis in (0, 1):
        hits = np.flatnonzero(union.any(axis=1 - axis))
        ranges.append(
            slice(max(int(hits[0]) - margin[axis], 0), min(int(hits[-1]) + margin[axis] + 1, union.shape[axis]))
        )
    return ranges[0], ranges[1]
