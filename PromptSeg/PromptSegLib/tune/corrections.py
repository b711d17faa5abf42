"""Correcting a result: which slices first, those that are least certain of the ones that show the structure well; and
what the corrected ones tell of their neighbours."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..annotations import SliceAnnotations
from ..prior import SCALE
from ..progress import ShouldStop, check, never
from ..register.corrected import REACH_MM as CHANGE_MM
from ..register.corrected import corrected
from ..segment.result import LogitMap
from .outcome import Suggestion

REACH_MM = 25.0
"""A corrected slice helps others up to this far away."""
MIN_AREA = 0.3
"""Of the largest slice's area: a slice with less, or without the structure, teaches little."""
DOT = 0.05
"""Of the largest slice's area: less is no part of the structure."""


def corrections(
    logits: LogitMap, limit: int = 2, should_stop: ShouldStop = never, known: Collection[int] = ()
) -> list[Suggestion]:
    """At most ``limit`` slices along the map's own axis, the best first, each under the assumption that those before it
    are corrected, as the ``known`` ones are: where the most pixels that may be wrong lie within reach. None where
    nothing was found."""
    count = logits.work.count
    errors, areas = np.zeros(count), np.zeros(count)
    for k, values in logits.slices.items():
        check(should_stop)
        areas[k] = np.count_nonzero(values > 0)
        errors[k] = logits.expected_errors(k)
    errors *= areas > DOT * areas.max(initial=0)  # what lies beyond the structure is not corrected by drawing it
    free = [int(k) for k in np.flatnonzero((areas > MIN_AREA * areas.max(initial=0)) & (areas > 0))]
    apart = np.abs(np.arange(count)[:, None] - np.arange(count)[None]) * logits.work.slice_mm
    near = np.maximum(0.0, 1 - apart / REACH_MM)
    for k in known:
        errors = errors * (1 - near[k])
    free = [k for k in free if k not in known]
    chosen: list[int] = []
    found: list[Suggestion] = []
    total = float(errors.sum())
    for _ in range(limit):
        gains = {k: float((near[k] * errors).sum()) for k in free if k not in chosen}
        best = max(gains, key=lambda k: gains[k], default=None)
        if best is None or not gains[best] > 0:
            break
        below = max((k for k in chosen if k < best), default=None)
        above = min((k for k in chosen if k > best), default=None)
        reason = "Here, and in the slices around, the result is least certain."
        found.append(Suggestion(best, min(1.0, gains[best] / total), reason, (below, above)))
        chosen.append(best)
        errors = errors * (1 - near[best])
    return found


def correct(logits: LogitMap, annotations: SliceAnnotations, should_stop: ShouldStop = never) -> None:
    """Bring what drawn slices correct in the network's logits to their neighbours, the less the farther away; not where
    the contours of close slices decide. Raises ``Stopped``."""
    work = logits.work
    reach = int(np.ceil(2 * CHANGE_MM / work.slice_mm))
    near = {k for used in annotations.used() for k in range(used - reach, used + reach + 1)} & logits.slices.keys()
    nothing = np.zeros(work.size, np.float16)
    found = {k: (logits.slices[k] / np.float32(SCALE), nothing) for k in sorted(near)}
    for k, (own, _) in corrected(found, annotations, work, should_stop).items():
        if k not in logits.prior.contours:
            logits.replace(k, own.astype(np.float32))
