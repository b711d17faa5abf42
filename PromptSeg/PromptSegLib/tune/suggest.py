"""Which slice to draw next: the one that should take away most of what is expected to be wrong, with a reason in words.

What is expected to be wrong in an undrawn slice is the sum of two things:

- *shape*: how far the structure strays from its interpolated contour. Between drawn slices a and b, interpolation is
  off by about ((k - a) (b - k) / (b - a)) ** ROUGHNESS times a factor: 0.5 would be a random walk, 2 a smooth bend.
  Each drawn slice tells the factor around it, by how badly its neighbours predict it.
- *uncertainty*: how many pixels are wrong if the probabilities of network and contours together are right
  (:meth:`LogitMap.expected_errors`).

Drawing a slice makes it right and its neighbours better: shape error falls with the gaps, uncertainty with the
distance to the nearest drawn slice. Beyond the outermost drawn slices, what the network still finds counts, as far as
it hangs together with them. Where those slices let expect that the structure goes on, that comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import ndimage

from ..annotations import SliceAnnotations
from ..contours.interpolation import signed_distance
from ..prior import BEYOND_MM, SCALE
from ..progress import ShouldStop, check, never
from ..segment.result import LogitMap
from .advice import open_ends
from .outcome import Suggestion

SHAPE = 0.1
"""How much expected shape error counts beside uncertainty."""
ROUGHNESS = 1.0
"""How fast contours stray, see above."""
REACH_MM = 10.0
"""A drawn slice helps others up to this far away."""
TOGETHER_MM = 6.0
"""What the network finds in the next slice hangs together with what lies this close in its own."""
_COARSE = 2
"""Contours are compared on every second working pixel: this is about which slice, not about where the contour runs."""


def suggest(
    logits: LogitMap, annotations: SliceAnnotations, limit: int = 1, should_stop: ShouldStop = never
) -> list[Suggestion]:
    """The ``limit`` best slices, the best first, each under the assumption that those before it are drawn too.

    ``logits`` are what :meth:`~PromptSegLib.session.Session.segment` made of a prompt and ``annotations``. Slices are
    those of the axis that was drawn on; where the network looked along another axis, only distances count there. An
    empty list says that nothing is uncertain.
    """
    state = _State.of(logits, annotations, should_stop)
    found = state.beyond_open_ends(annotations)[:limit]
    state.known = sorted([*state.known, *(one.index for one in found)])
    for _ in range(limit - len(found)):
        check(should_stop)
        best = state.best()
        if best is None:
            break
        found.append(best)
        state.known = sorted([*state.known, best.index])
    return found


@dataclass
class _State:
    """By slice: ``uncertain`` and ``beyond`` in pixels that may be wrong; by drawn slice: ``curvature``."""

    known: list[int]
    shown: list[int]
    uncertain: np.ndarray
    beyond: np.ndarray
    curvature: dict[int, float]
    slice_mm: float

    @classmethod
    def of(cls, logits: LogitMap, annotations: SliceAnnotations, should_stop: ShouldStop) -> _State:
        work, axis = logits.work, annotations.axis
        count = work.volume.voxels.shape[axis]
        known, shown = annotations.used(), annotations.drawn()
        uncertain, beyond = np.zeros(count), np.zeros(count)
        if axis == work.axis:
            for k in range(count):
                check(should_stop)
                uncertain[k] = 0.0 if k in known else logits.expected_errors(k)
            outside = [k for k in range(count) if shown and not shown[0] <= k <= shown[-1]]
            uncertain[outside] = 0
            beyond = _beyond(logits, annotations, count)
            masks = {k: work.mask_to_working(annotations.slices[k].labelled() == 1) > 0.5 for k in known}
        else:
            masks = {k: annotations.slices[k].labelled() == 1 for k in known}
        coarse = {k: m[::_COARSE, ::_COARSE] for k, m in masks.items()}
        return cls(known, shown, uncertain, beyond, _curvature(coarse), float(work.volume.grid.spacing[::-1][axis]))

    def beyond_open_ends(self, annotations: SliceAnnotations) -> list[Suggestion]:
        """Where the structure seems to go on beyond the drawing, which nothing else makes good: the last slice in which
        the network still finds it, or one as far away as drawn slices usually are from each other."""
        wrong = float(self.uncertain.sum() + self._shape(self.known).sum())
        places: dict[int, tuple[int, float, bool]] = {}
        for end in open_ends(annotations):
            out = np.flatnonzero(self.beyond)
            ways = [(1, len(self.uncertain) - 1 - end)] if end == self.shown[-1] else []
            ways += [(-1, end)] if end == self.shown[0] else []
            for way, room in ways:
                if not room or any((k - end) * way > 0 for k in self.known):
                    continue
                seen = max(((k - end) * way for k in out if (k - end) * way > 0), default=0)
                gaps = np.diff(self.shown)
                usual = max(1, int(np.median(gaps)) if len(gaps) else 1, round(REACH_MM / self.slice_mm))
                far = min(room, seen or usual)
                area = np.count_nonzero(annotations.slices[end].labelled() == 1) / 2
                places[int(end + way * far)] = (end, float(area * far), bool(seen))
        total = wrong + sum(area for _, area, _ in places.values())
        return [
            Suggestion(k, area / total, _why_beyond(end, seen), (None, end) if k < end else (end, None))
            for k, (end, area, seen) in sorted(places.items(), key=lambda one: (not one[1][2], -one[1][1]))
        ]

    def best(self) -> Suggestion | None:
        """The slice that takes away most, or None if there is nothing to take away."""
        count = len(self.uncertain)
        free = [k for k in range(count) if k not in self.known]
        distance = self._distance(self.known)
        total = float(self._shape(self.known).sum() + self.uncertain.sum() + self.beyond.sum())
        if not free or total <= 0:
            return None
        shape_now = self._shape(self.known)
        best, top = None, 0.0
        for k in free:
            nearer = np.minimum(distance, self._distance([k]))
            fall = 1 - np.divide(nearer, distance, out=np.ones(count), where=distance > 0)
            shape = float((shape_now - self._shape(sorted([*self.known, k]), around=k)).sum())
            parts = (shape, float((fall * self.uncertain).sum()), float((fall * self.beyond).sum()))
            if sum(parts) > top:
                top, best = sum(parts), (k, parts)
        if best is None:
            return None
        k, parts = best
        below = max((a for a in self.known if a < k), default=None)
        above = min((b for b in self.known if b > k), default=None)
        return Suggestion(k, min(1.0, top / total), self._reason(k, parts, below, above), (below, above))

    def _distance(self, known: list[int]) -> np.ndarray:
        """Slices' distance to the nearest of ``known`` in mm, at most :data:`REACH_MM`."""
        if not known:
            return np.full(len(self.uncertain), REACH_MM)
        apart = np.abs(np.arange(len(self.uncertain))[:, None] - np.array(known)[None]).min(1)
        return np.minimum(apart * self.slice_mm, REACH_MM)

    def _shape(self, known: list[int], around: int | None = None) -> np.ndarray:
        """Expected shape error by slice; a slice that is only supposed to be drawn has its neighbours' curvature."""
        out = np.zeros(len(self.uncertain))
        for a, b in pairwise(known):
            ends = [self.curvature[e] for e in (a, b) if e in self.curvature]
            if around in (a, b):
                others = [e for e in self.known if e < around][-1:] + [e for e in self.known if e > around][:1]
                ends = [self.curvature[e] for e in others if e in self.curvature]
            curvature = float(np.mean(ends)) if ends else 0.0
            k = np.arange(a + 1, b)
            out[a + 1 : b] = SHAPE * curvature * _stray(k - a, b - k)
        return out

    def _reason(self, k: int, parts: tuple[float, ...], below: int | None, above: int | None) -> str:
        shape, uncertain, beyond = parts
        if beyond > shape + uncertain and self.shown:
            end = self.shown[0] if k < self.shown[0] else self.shown[-1]
            return _why_beyond(end, True)
        if below is None or above is None:
            return "Here the network is most uncertain."
        widest = max(b - a for a, b in pairwise(self.known))
        if uncertain > 2 * shape:
            return f"Between slices {below} and {above} the network is uncertain or disagrees with the contours most."
        if shape > 2 * uncertain:
            if above - below == widest:
                return f"Between slices {below} and {above} is the widest gap, and the contour changes there."
            return f"Between slices {below} and {above} the contour changes most."
        return f"Between slices {below} and {above} the contour changes and the network is uncertain."


def _why_beyond(end: int, seen: bool) -> str:
    """Why a slice beyond the drawing should be drawn: the network finds the structure there, or it is not known."""
    if seen:
        return f"Beyond slice {end}, where the drawing ends, the network still finds the structure."
    return (
        f"Beyond slice {end}, where the drawing ends, the structure seems to go on: draw it here, or mark this slice as"
        " without it."
    )


def _stray(below: Any, above: Any) -> Any:
    """How far interpolation strays, up to a factor, so many slices away from the drawn ones on either side."""
    return (below * above / (below + above)) ** ROUGHNESS


def _curvature(masks: Mapping[int, np.ndarray]) -> dict[int, float]:
    """By drawn slice, how many pixels interpolation is off there, over what :func:`_stray` gives.

    The outermost ones cannot be predicted: they take what the change to their neighbour lets expect.
    """
    known = sorted(masks)
    out: dict[int, float] = {}
    for a, k, b in zip(known, known[1:], known[2:], strict=False):
        ends = {0: masks[a], b - a: masks[b]}
        if masks[a].any() or masks[b].any():
            guess = signed_distance(ends, b - a + 1, (1.0, 1.0, 1.0), only={k - a})[k - a] > 0
        else:
            guess = np.zeros_like(masks[k])
        out[k] = _COARSE**2 * np.count_nonzero(guess ^ masks[k]) / _stray(k - a, b - k)
    if out:
        usual = float(np.median(list(out.values())))
        return {k: out.get(k, usual) for k in known}
    for a, b in pairwise(known):
        change = _COARSE**2 * np.count_nonzero(masks[a] ^ masks[b]) / _stray(b - a, b - a)
        out[a] = max(out.get(a, 0.0), change)
        out[b] = change
    return out


def _beyond(logits: LogitMap, annotations: SliceAnnotations, count: int) -> np.ndarray:
    """Pixels that the network finds beyond the outermost drawn slices, slice by slice until they no longer hang
    together with them; an absent slice ends it."""
    out = np.zeros(count)
    known, shown = annotations.used(), annotations.drawn()
    if not shown:
        return out
    reach = int(np.ceil(BEYOND_MM / logits.work.slice_mm))
    for end, ahead in ((shown[0], -1), (shown[-1], 1)):
        former = logits.work.mask_to_working(annotations.slices[end].labelled() == 1) > 0.5
        for n in range(1, reach + 1):
            k = end + ahead * n
            found = logits.network.get(k, logits.slices.get(k))
            if not 0 <= k < count or k in known or found is None:
                break
            near = ndimage.binary_dilation(former, iterations=max(1, round(TOGETHER_MM / logits.work.spacing)))
            former = near & (found > SCALE)
            if not former.any():
                break
            out[k] = np.count_nonzero(former) * (1 - n / (reach + 1))
    return out
