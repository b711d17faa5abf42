"""What the drawn contours themselves say about the slices between them, as an addition to the network's logits.

Network and contours fail in different places: the network where the image is unclear, contours where the structure
changes between slices. Their sum is better than either. Between two slices that show the structure, the addition is
what :mod:`.fusion_net` makes of interpolation, of what the picture carries (:mod:`.propagation`) and of grey values.
Where the structure ends, it is signed distance to the interpolated contour over that to the nearest drawn slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..annotations import SliceAnnotations, SliceStatus
from ..prior import EVEN_WEIGHT, PRIOR_LIMIT, Prior, weighted
from ..progress import ShouldStop, never
from ..prompts.card import Card
from ..volumes.preprocess import WorkingVolume
from ..volumes.volume import Grid, Volume
from .fusion_net import ContourFusionNet, GapFeatures, contour_fusion_net, features_of
from .interpolation import FLOOR_MM, distance_to, signed_distance
from .propagation import Propagation

__all__ = [
    "CONTOURS_ALONE",
    "CONTOUR_MM",
    "PRIOR_LIMIT",
    "WEIGHTS",
    "between",
    "contour_spacing",
    "contours_of",
    "drawn_masks",
    "location_prior",
    "prior_of",
    "weight_for",
    "weighted",
]

CONTOUR_MM, FINEST = (1.25, 1.6), 0.4
"""Contours are followed on a finer working grid than the network's, where a thin structure is few pixels wide: one of
these, but not finer than this share of the volume's own pixels. Finer than those pays: contours lie between them."""
MAX_PIXELS = 700_000
"""Pixels that a structure and its surroundings may be on such a grid, else the next coarser one is taken: large
structures gain nothing by it, and a preview is to take seconds."""
CONTOURS_ALONE = 1000.0
WEIGHTS = (15.0, 40.0, CONTOURS_ALONE, 0.0)
"""Weights that leaving out drawn slices chooses from, the usual one first: 1000 is the contours alone, for structures
that the network cannot see. 0, the network alone, is only measured."""


def contour_spacing(volume: Volume, annotations: SliceAnnotations, spacing: float) -> float:
    """The spacing in mm of the working grid for drawn contours, beside a network that sees the volume at ``spacing``;
    never coarser than that."""
    mm = np.delete(volume.grid.spacing[::-1], annotations.axis)
    drawn = annotations.drawn()
    if len(drawn) < 2:
        return spacing
    union = np.any([annotations.slices[k].labelled() == 1 for k in drawn], axis=0)
    sides = [np.ptp(np.flatnonzero(union.any(1 - n))) * mm[n] - 2 * FLOOR_MM for n in (0, 1)]
    extent = sides[0] * sides[1] * (drawn[-1] - drawn[0])
    fine = next((step for step in CONTOUR_MM if extent <= MAX_PIXELS * step**2), spacing)
    return min(spacing, max(fine, FINEST * float(mm.min())))


def drawn_masks(annotations: SliceAnnotations) -> dict[int, np.ndarray]:
    """The wholly labelled slices (complete or absent), native bool; drafts have no contour."""
    complete = (SliceStatus.COMPLETE, SliceStatus.ABSENT)
    return {
        k: annotations.slices[k].labelled() == 1 for k in annotations.used() if annotations.slices[k].status in complete
    }


@dataclass(frozen=True)
class SliceGap:
    """Undrawn slices between two drawn ones, ``low`` and ``high``.

    ``shape`` has, by slice, the signed distance in mm to the interpolated contour, (rows, columns) of the working grid;
    ``ends`` those to both drawn contours, and ``propagation`` what has registered the slices: None where one of the two
    does not show the structure, because there no picture is asked.
    """

    low: int
    high: int
    shape: Mapping[int, np.ndarray]
    ends: Mapping[int, np.ndarray] = field(default_factory=dict)
    propagation: Propagation | None = None

    def features(self) -> dict[int, tuple[np.ndarray, list[float]]]:
        """What the contour fusion network sees, by slice: see :func:`~.fusion_net.features_of`."""
        propagation, low, high = self.propagation, self.low, self.high
        if propagation is None:
            return {}
        box = propagation.box
        drawn = {k: np.stack([self.ends[k][box], propagation.picture(k)]) for k in (low, high)}
        below = propagation.propagate(drawn[low], low, high, [*self.shape, high])
        above = propagation.propagate(drawn[high], high, low, [*self.shape, low])
        gap = GapFeatures(
            low,
            high,
            propagation.work.slice_mm,
            (drawn[low][0], drawn[high][0]),
            (below[high][0], above[low][0]),
            (drawn[low][1], drawn[high][1]),
        )
        return {
            k: features_of(gap, k, (below[k], above[k]), shape[box], propagation.picture(k))
            for k, shape in self.shape.items()
        }


def slice_gaps(
    work: WorkingVolume,
    annotations: SliceAnnotations,
    wanted: Sequence[int] | None = None,
    without: int | None = None,
    should_stop: ShouldStop = never,
    around: np.ndarray | None = None,
) -> Iterator[SliceGap]:
    """The gaps between drawn slices in which slices are ``wanted`` (None: all), registered where that helps.

    ``without`` leaves one drawn slice out; ``around``, (rows, columns) bool of the working grid, is what to look at
    beside all drawn slices. Raises ``Stopped``.
    """
    if annotations.axis != work.axis:
        return
    every = drawn_masks(annotations)
    masks = {k: m for k, m in every.items() if k != without}
    mm = work.volume.grid.spacing[::-1]
    # Distances are taken on the native slices, so that what is thinner than a working pixel keeps its contour.
    height, width = (mm[a] for a in range(3) if a != work.axis)
    shape = between(masks, (work.slice_mm, height, width), wanted)
    if not shape:
        return

    def on_grid(distance: np.ndarray) -> np.ndarray:
        """A native slice of distances; what lies beside it is surely not the structure."""
        return work.mask_to_working(np.maximum(distance, FLOOR_MM) - np.float32(FLOOR_MM)) + np.float32(FLOOR_MM)

    seen = {k: work.mask_to_working(m) > 0 for k, m in every.items()}
    propagation = Propagation(work, seen, around)
    for a, b in pairwise(sorted(masks)):
        inside = {k: on_grid(v) for k, v in shape.items() if a < k < b}
        if not inside:
            continue
        if seen[a].any() and seen[b].any():
            propagation.prepare(a, b, should_stop)
            ends = {k: on_grid(distance_to(masks[k], (height, width))) for k in (a, b)}
            yield SliceGap(a, b, inside, ends, propagation)
        else:
            yield SliceGap(a, b, inside)


def contours_of(
    work: WorkingVolume,
    annotations: SliceAnnotations,
    wanted: Sequence[int] | None = None,
    without: int | None = None,
    should_stop: ShouldStop = never,
    net: ContourFusionNet | None = None,
) -> dict[int, np.ndarray]:
    """For slices between drawn ones: how sure the drawn slices make a pixel, positive inside, (rows, columns) float32
    of the working grid. :data:`EVEN_WEIGHT` times it is a logit.

    ``wanted`` are the slices to give (None: all between); ``without`` leaves one drawn slice out. Slices beyond the
    outermost drawn ones have no entry: there the network is alone. Raises ``Stopped`` and ``BackboneError``.
    """
    out: dict[int, np.ndarray] = {}
    for one in slice_gaps(work, annotations, wanted, without, should_stop):
        if one.propagation is None:
            for k, distance in one.shape.items():
                out[k] = distance / np.float32(min(k - one.low, one.high - k) * work.slice_mm)
            continue
        features = one.features()
        for k, logits in zip(
            features, (net or contour_fusion_net()).score(list(features.values()), should_stop), strict=True
        ):
            out[k] = np.full(work.size, -PRIOR_LIMIT / EVEN_WEIGHT, np.float32)
            out[k][one.propagation.box] = logits / EVEN_WEIGHT
    return out


def between(
    masks: Mapping[int, np.ndarray], spacing: tuple[float, float, float], wanted: Sequence[int] | None = None
) -> dict[int, np.ndarray]:
    """Signed distance to the interpolated contour in mm, (rows, columns) float32, for slices between drawn ones.

    ``masks`` are drawn slices by index, ``spacing`` is in mm along slices, rows and columns, ``wanted`` are the slices
    to give (None: all between).
    """
    drawn = sorted(masks)
    if len(drawn) < 2 or not any(m.any() for m in masks.values()):
        return {}
    first, last = drawn[0], drawn[-1]
    chosen = [k for k in (range(first, last + 1) if wanted is None else wanted) if first < k < last and k not in masks]
    if not chosen:
        return {}
    # Only the drawn slices that enclose what is wanted matter.
    low, high = max(k for k in drawn if k < min(chosen)), min(k for k in drawn if k > max(chosen))
    moved = {k - low: masks[k] for k in drawn if low <= k <= high}
    if not any(m.any() for m in moved.values()):
        return {k: np.full(masks[low].shape, FLOOR_MM, np.float32) for k in chosen}
    distance = signed_distance(moved, high - low + 1, spacing, only={k - low for k in chosen})
    return {k: distance[k - low] for k in chosen}


def location_prior(annotations: SliceAnnotations, count: int, weight: float = WEIGHTS[0]) -> dict[int, float]:
    """What the drawn slices say about the slices beyond them, by index: an addition to all logits of a slice.

    A structure goes on a little beyond the outermost slices that show it, not far: the addition falls to its limit
    within half of the usual gap between drawn slices, and sooner where the network, which alone has a say there, counts
    less beside the contours' ``weight``. With one drawn slice nothing is known.
    """
    drawn = annotations.drawn()
    if len(drawn) < 2:
        return {}
    first, last = drawn[0], drawn[-1]
    trusted = min(1.0, WEIGHTS[0] / weight) if weight else 1.0
    reach = max(1.0, trusted * 0.5 * (last - first) / (len(drawn) - 1))
    beyond = {k: max(first - k, k - last) for k in range(count) if not first <= k <= last}
    return {k: -PRIOR_LIMIT * min(1.0, d / reach) for k, d in beyond.items()}


def weight_for(card: Card, grid: Grid) -> float:
    """The contours' weight for a prompt's card on a volume: what leaving slices out chose there, elsewhere the usual
    one."""
    return WEIGHTS[0] if card.contour_weight is None or not card.taught_there(grid) else card.contour_weight


def prior_of(
    work: WorkingVolume, annotations: SliceAnnotations, weight: float, should_stop: ShouldStop = never
) -> Prior:
    """The additions to the logits of all slices but the drawn ones, on ``work``, the contours' own grid
    (:func:`contour_spacing`). Raises ``Stopped``."""
    if annotations.axis != work.axis:
        return Prior()
    found = {k: v.astype(np.float16) for k, v in contours_of(work, annotations, should_stop=should_stop).items()}
    beyond = {k: v for k, v in location_prior(annotations, work.count, weight).items() if k not in annotations.used()}
    return Prior(found, weight, {k: v for k, v in beyond.items() if not weight or k not in found}, work)
