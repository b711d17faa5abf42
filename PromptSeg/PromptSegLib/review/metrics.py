"""How well a mask agrees with a reference: Dice, HD95, ASSD, surface Dice (NSD) and volumes.

A surface is taken as small elements on the corners between voxels, as in Nikolov et al. 2021 (doi:10.2196/26151):
wherever the eight voxels around a corner are not all alike there is one element. Its area is the length of the mask's
mean gradient over those eight voxels (co-area formula), exact for flat faces and edges in the grid's planes.
Distances, percentiles and means are weighted with these areas, so that anisotropic voxels do not favour one
direction. A mask that touches the edge of the volume is closed there. Neither a table of surface patches nor a
distance map of the whole box is needed: memory grows with the surface.

Cases without an answer:

- neither mask has a voxel on the slices that count: all but the volumes is NaN ("not defined") and left out of means;
- one of the two masks has no voxel at all: Dice and NSD are 0, HD95 and ASSD infinite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ..errors import InputError

_SLAB = 32  # slices looked at together, which bounds the temporary memory in large volumes
_ROUNDING_MM = 1e-6  # 3 * 0.7 - 2 * 0.7 is a little over 0.7, and must still be within 0.7 mm


@dataclass(frozen=True)
class ScoreRow:
    """Agreement of one structure's mask with its reference.

    ``dice``, ``nsd_1mm`` and ``nsd_2mm`` lie in 0..1; ``hd95_mm`` and ``assd_mm`` are in mm; ``prediction_ml`` and
    ``reference_ml`` are the whole masks' volumes, whatever slices were skipped.
    """

    dice: float
    hd95_mm: float
    assd_mm: float
    nsd_1mm: float
    nsd_2mm: float
    prediction_ml: float
    reference_ml: float

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> ScoreRow:
        """What :meth:`to_json` made; what is missing or no number is not defined. What a distance was that is ``None``
        while there is a Dice, is infinite: one of the two masks was empty."""
        numbers = {one.name: given.get(one.name) for one in fields(cls)}
        known = {name: float(v) if isinstance(v, int | float) else math.nan for name, v in numbers.items()}
        if not math.isnan(known["dice"]):
            for name in ("hd95_mm", "assd_mm"):
                known[name] = math.inf if name in given and given[name] is None else known[name]
        return cls(**known)

    def to_json(self) -> dict[str, float | None]:
        """The fields for ``json.dumps``, with ``None`` for what is not defined or infinite."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


@dataclass(frozen=True)
class _Surface:
    """``points`` (N, 3) in mm, their ``areas`` (N,) in mm^2 and ``weights`` (N,): areas on the slices that count."""

    points: np.ndarray
    areas: np.ndarray
    weights: np.ndarray


def score(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing: Sequence[float],
    skip_slices: Iterable[int] = (),
    axis: int = 0,
) -> ScoreRow:
    """Compare two bool masks (K, J, I); ``spacing`` is in mm along the same three array axes.

    ``skip_slices`` are slice indices along array axis ``axis`` that do not count, for example those a user has drawn.
    Dice is then over the voxels of the other slices. The surfaces are still those of the whole masks, so that skipping
    makes no surface, but only the elements on the other slices are measured; an element between a slice that counts
    and one that does not counts half.

    HD95 is the greater of the two directed 95th percentiles. ASSD is the mean distance over both surfaces together.
    NSD is the part of both surfaces that lies within the tolerance of the other. Raises :class:`InputError` for a
    slice that is not in the volume, :class:`ValueError` for masks of different shape.
    """
    prediction, reference = _checked(prediction, reference)
    counts = _kept(prediction.shape[axis], skip_slices)
    steps = np.asarray(spacing, dtype=np.float64)
    if steps.shape != (3,) or not np.all(steps > 0):
        raise ValueError(f"spacing must be three positive lengths in mm, not {spacing}")

    ml = float(steps.prod()) / 1000.0
    volumes = (float(np.count_nonzero(prediction)) * ml, float(np.count_nonzero(reference)) * ml)
    boxes = [_bounding_box(mask) for mask in (prediction, reference)]
    box = _union(boxes[0], boxes[1])
    if box is None:
        return ScoreRow(*(math.nan,) * 5, *volumes)

    prediction, reference, counts_here = prediction[box], reference[box], counts[box[axis]]
    overlap, total = (per_slice[counts_here].sum() for per_slice in _overlap_and_total(prediction, reference, axis))
    if total == 0:
        return ScoreRow(*(math.nan,) * 5, *volumes)
    dice = float(2.0 * overlap / total)
    if boxes[0] is None or boxes[1] is None:
        return ScoreRow(dice, math.inf, math.inf, 0.0, 0.0, *volumes)

    a = _surface(prediction, steps, counts_here, axis)
    b = _surface(reference, steps, counts_here, axis)
    to_b, to_a = _distances(a, b), _distances(b, a)
    distances, weights = np.concatenate([to_b, to_a]), np.concatenate([a.weights, b.weights])
    return ScoreRow(
        dice,
        max(_percentile(to_b, a.weights, 0.95), _percentile(to_a, b.weights, 0.95)),
        float(np.average(distances, weights=weights)),
        float(np.average(distances <= 1.0 + _ROUNDING_MM, weights=weights)),
        float(np.average(distances <= 2.0 + _ROUNDING_MM, weights=weights)),
        *volumes,
    )


def dice_per_slice(prediction: np.ndarray, reference: np.ndarray, axis: int = 0) -> np.ndarray:
    """Dice of each slice of two bool masks (K, J, I) along ``axis``: (n,) float64, NaN where both are empty."""
    overlap, total = _overlap_and_total(*_checked(prediction, reference), axis)
    return np.divide(2.0 * overlap, total, out=np.full(total.shape, np.nan), where=total > 0)


def _checked(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if prediction.shape != reference.shape or prediction.ndim != 3:
        raise ValueError(f"masks must be 3-D and of one shape, not {prediction.shape} and {reference.shape}")
    return prediction.astype(bool, copy=False), reference.astype(bool, copy=False)


def _kept(n: int, skip_slices: Iterable[int]) -> np.ndarray:
    """(n,) bool: which slices count."""
    kept = np.ones(n, dtype=bool)
    for index in skip_slices:
        if not 0 <= index < n:
            raise InputError(f"Slice {index} is not in the volume", f"choose slices from 0 to {n - 1}")
        kept[index] = False
    return kept


def _overlap_and_total(prediction: np.ndarray, reference: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxels in both masks, and in each added up, per slice along ``axis``."""
    others = tuple(other for other in range(3) if other != axis % 3)
    overlap = np.count_nonzero(prediction & reference, axis=others)
    return overlap, np.count_nonzero(prediction, axis=others) + np.count_nonzero(reference, axis=others)


def _bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    planes = mask.any(axis=(1, 2)), mask.any(axis=(0, 2)), mask.any(axis=(0, 1))
    if not planes[0].any():
        return None
    hits = [np.flatnonzero(plane) for plane in planes]
    return slice(hits[0][0], hits[0][-1] + 1), slice(hits[1][0], hits[1][-1] + 1), slice(hits[2][0], hits[2][-1] + 1)


def _union(
    a: tuple[slice, slice, slice] | None, b: tuple[slice, slice, slice] | None
) -> tuple[slice, slice, slice] | None:
    if a is None or b is None:
        return a or b
    k, j, i = (slice(min(x.start, y.start), max(x.stop, y.stop)) for x, y in zip(a, b, strict=True))
    return k, j, i


def _surface(mask: np.ndarray, steps: np.ndarray, counts: np.ndarray, axis: int) -> _Surface:
    """The surface elements of a bool mask (K, J, I), in mm from its first voxel's lower corner."""
    face = steps.prod() / steps  # area of a voxel's face across each axis
    # An element at corner index c lies between slices c - 1 and c; beyond the box the outermost slice speaks for both.
    share = np.pad(counts, 1, mode="edge").astype(np.float64)
    share = (share[:-1] + share[1:]) / 2.0
    points, areas = [], []
    for start in range(0, mask.shape[0] + 1, _SLAB):
        stop = min(start + _SLAB, mask.shape[0] + 1)
        first, last = max(start - 1, 0), min(stop, mask.shape[0])
        slab = np.pad(mask[first:last], ((first - start + 1, stop - last), (1, 1), (1, 1))).view(np.int8)
        pairs = slab[:-1, :-1] + slab[:-1, 1:] + slab[1:, :-1] + slab[1:, 1:]
        around = pairs[..., :-1] + pairs[..., 1:]
        corners = np.nonzero((around > 0) & (around < 8))
        gradient = np.stack([_difference(slab, corners, across) for across in range(3)], axis=1)
        areas.append(np.linalg.norm(gradient * (face / 4.0), axis=1))
        points.append(np.stack(corners, axis=1) + np.array([start, 0, 0]))
    corner = np.concatenate(points)
    area = np.concatenate(areas)
    return _Surface(corner * steps, area, area * share[corner[:, axis]])


def _difference(slab: np.ndarray, corners: tuple[np.ndarray, ...], across: int) -> np.ndarray:
    """Sum of the four differences along one axis between the eight voxels around each corner: (N,) -4..4."""
    total = np.zeros(len(corners[0]), dtype=np.int64)
    for dk in (0, 1):
        for dj in (0, 1):
            for di in (0, 1):
                sign = 1 if (dk, dj, di)[across] else -1
                total += sign * slab[corners[0] + dk, corners[1] + dj, corners[2] + di].astype(np.int64)
    return total


def _distances(a: _Surface, b: _Surface) -> np.ndarray:
    """Distance in mm from each element of ``a`` that counts to the nearest element of ``b``; 0 for the others."""
    from scipy.spatial import cKDTree  # not where a review is only shown: see :mod:`.thumbnails`

    distances = np.zeros(len(a.points))
    measured = a.weights > 0
    distances[measured] = cKDTree(b.points, balanced_tree=False).query(a.points[measured])[0]
    return distances


def _percentile(distances: np.ndarray, weights: np.ndarray, part: float) -> float:
    """The least distance that at least ``part`` of the weight does not exceed; 0 where nothing has weight."""
    order = np.argsort(distances)
    cumulated = np.cumsum(weights[order])
    return float(distances[order][np.searchsorted(cumulated, part * cumulated[-1])])
