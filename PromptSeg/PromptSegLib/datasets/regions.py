"""Pseudo-structures: parts of a CT that nobody annotated, for tasks that no label can give.

A network that is only ever asked for annotated organs learns to see everything else as one background. Published
few-shot work on CT is best where training asks for regions grown from grey values alone (superpixels: SSL-ALPNet,
arXiv 2007.09886). Here a volume is cut into small supervoxels and these are merged, two neighbours at a time, into a
tree (Ward's criterion among neighbours): every node is a region of even grey, from one to hundreds of millilitres.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..progress import ShouldStop, check, never

SEED_MM = (10.0, 12.0, 12.0)
"""How far seeds lie apart: slices, rows, columns."""
TURNS = 2
EVEN, FAR = 6.0, 6.0
"""A supervoxel weighs so much of grey as so many millimetres."""
AIR = 8
"""How far above the darkest grey of a volume a supervoxel has to be to count as body, unless it lies inside of it."""
LARGEST_ML = 400.0
"""Nothing grows beyond this: no task asks for it, and the tree stays cheap."""
FAINT = 6.0
"""Grey levels by which a region has to stand out to be asked for: a block of a liver is nothing that can be found."""
MAX_VOXELS = 60_000
"""Supervoxels of a volume; more would not fit into their two bytes."""


@dataclass(frozen=True)
class Regions:
    """``base`` (N, H, W) uint16: supervoxel + 1, 0 outside of the body. Node n of the tree holds the supervoxels from
    ``first[n]`` to before ``last[n]``; the first nodes are the supervoxels themselves. ``parent`` (-1: none),
    ``ml`` and ``contrast`` (grey levels, to what it is merged with) are those of each node."""

    base: np.ndarray
    first: np.ndarray
    last: np.ndarray
    parent: np.ndarray
    ml: np.ndarray
    contrast: np.ndarray

    def pick(
        self, place: tuple[int, int, int], min_ml: float, max_ml: float, random: np.random.Generator
    ) -> int | None:
        """A region around a voxel, of ``min_ml`` to ``max_ml`` millilitres, by chance; those that stand out from what
        is around them more often. None where there is none that does."""
        node = int(self.base[place]) - 1
        options = []
        while node >= 0 and self.ml[node] <= max_ml:
            if self.ml[node] >= min_ml and self.contrast[node] >= FAINT:
                options.append(node)
            node = int(self.parent[node])
        if not options:
            return None
        share = np.square(self.contrast[options].astype(float))
        return int(options[random.choice(len(options), p=share / share.sum())])

    def mask(self, node: int, slices: list[int] | slice) -> np.ndarray:
        """Where a region is in these slices: (n, H, W) bool."""
        part = np.asarray(self.base[slices])
        return (part > self.first[node]) & (part <= self.last[node])


def grow(grey: np.ndarray, slice_mm: float, pixel_mm: float = 2.0, should_stop: ShouldStop = never) -> Regions:
    """The regions of a volume (N, H, W) uint8 on the working grid. Deterministic. Raises ``Stopped``."""
    size = (slice_mm, pixel_mm, pixel_mm)
    smooth = ndimage.gaussian_filter(np.asarray(grey, np.float32), [1.25 * pixel_mm / mm for mm in size])
    check(should_stop)
    slope = np.zeros_like(smooth)
    for axis, mm in enumerate(size):
        if grey.shape[axis] > 1:
            slope += np.square(np.gradient(smooth, mm / pixel_mm, axis=axis))
    np.sqrt(slope, out=slope)
    check(should_stop)
    labels = _supervoxels(smooth, size, should_stop)
    return _merge(labels, smooth, slope, float(np.prod(size)) / 1000, should_stop)


def _supervoxels(smooth: np.ndarray, size: tuple[float, ...], should_stop: ShouldStop) -> np.ndarray:
    """Compact pieces of even grey, (N, H, W) int32 from 1: SLIC (Achanta et al., TPAMI 2012) on a grid of seeds."""
    wanted = np.array(SEED_MM)
    while True:
        steps = [max(1, round(mm / s)) for mm, s in zip(wanted, size, strict=True)]
        counts = tuple(-(-n // s) for n, s in zip(smooth.shape, steps, strict=True))
        if np.prod(counts) <= MAX_VOXELS:
            break
        wanted = wanted * 1.1
    total = int(np.prod(counts))
    places = [np.arange(n, dtype=np.float32) * mm / FAR for n, mm in zip(smooth.shape, size, strict=True)]
    places = [p.reshape([-1 if a == n else 1 for a in range(3)]) for n, p in enumerate(places)]
    home = [np.minimum(np.arange(n) // s, c - 1) for n, s, c in zip(smooth.shape, steps, counts, strict=True)]
    labels = np.asarray(np.ravel_multi_index(np.ix_(*home), counts), np.int32)
    moves = [m for m in np.ndindex(3, 3, 3) if m != (1, 1, 1) and sum(abs(v - 1) for v in m) < 3]
    for _ in range(TURNS):
        flat = labels.ravel()
        voxels = np.bincount(flat, minlength=total).clip(1)
        values = (smooth / EVEN, *(np.broadcast_to(p, labels.shape) for p in places))
        # The last entry stands for seeds beyond the border.
        seeds = [np.append(np.bincount(flat, v.ravel(), total) / voxels, np.inf).astype(np.float32) for v in values]
        for first in range(0, len(smooth), 8):
            check(should_stop)
            part = slice(first, first + 8)
            here = (smooth[part] / EVEN, places[0][part], *places[1:])
            best = np.full(labels[part].shape, np.inf, np.float32)
            for move in [(1, 1, 1), *moves]:
                moved = [h + m - 1 for h, m in zip((home[0][part], *home[1:]), move, strict=True)]
                outside = [(h < 0) | (h >= c) for h, c in zip(moved, counts, strict=True)]
                within = [h.clip(0, c - 1) for h, c in zip(moved, counts, strict=True)]
                seed = np.asarray(np.ravel_multi_index(np.ix_(*within), counts), np.int32)
                seed[outside[0]], seed[:, outside[1]], seed[:, :, outside[2]] = total, total, total
                far = np.zeros_like(best)
                for v, s in zip(here, seeds, strict=True):
                    far += np.square(v - s[seed])
                closer = far < best
                labels[part][closer] = seed[closer]
                best[closer] = far[closer]
    return labels + 1


def _merge(
    labels: np.ndarray, smooth: np.ndarray, slope: np.ndarray, voxel_ml: float, should_stop: ShouldStop
) -> Regions:
    """The tree of regions over the supervoxels ``labels`` (1, 2, ...)."""
    count = int(labels.max())
    voxels = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(float)
    mean = np.bincount(labels.ravel(), smooth.ravel(), count + 1)[1:] / np.maximum(voxels, 1)
    body = (mean > smooth.min() + AIR) & (voxels > 0)
    body |= _inside(labels, body)
    number = np.full(count + 1, -1)
    number[1:][body] = np.arange(body.sum())
    labels = number[labels]
    ml, mean = list(voxels[body] * voxel_ml), list(mean[body])
    count = len(ml)
    touching = _borders(labels, slope, count)
    heap = []

    def cost(a: int, b: int) -> float:
        area, sharp = touching[a][b]
        return ml[a] * ml[b] / (ml[a] + ml[b]) * ((mean[a] - mean[b]) ** 2 + (sharp / area) ** 2 + 1.0)

    for a in range(count):
        heap += [(cost(a, b), a, b) for b in touching[a] if a < b]
    heapq.heapify(heap)
    parent = [-1] * count
    contrast = [2 * FAINT] * count
    children: list[tuple[int, int]] = []
    alive = [True] * count
    while heap:
        if len(children) % 512 == 0:
            check(should_stop)
        _, a, b = heapq.heappop(heap)
        if not (alive[a] and alive[b]) or ml[a] + ml[b] > LARGEST_ML:
            continue
        new = len(ml)
        area, sharp = touching[a][b]
        contrast[a] = contrast[b] = ((mean[a] - mean[b]) ** 2 + (sharp / area) ** 2) ** 0.5
        contrast.append(2 * FAINT)
        alive[a] = alive[b] = False
        alive.append(True)
        parent[a] = parent[b] = new
        parent.append(-1)
        children.append((a, b))
        ml.append(ml[a] + ml[b])
        mean.append((mean[a] * ml[a] + mean[b] * ml[b]) / ml[new])
        around: dict[int, tuple[float, float]] = {}
        for old in (a, b):
            for c, (area, sharp) in touching[old].items():
                if alive[c] and c != new:
                    before = around.get(c, (0.0, 0.0))
                    around[c] = (before[0] + area, before[1] + sharp)
            touching[old] = {}
        touching.append(around)
        for c, border in around.items():
            touching[c].pop(a, None)
            touching[c].pop(b, None)
            touching[c][new] = border
            if ml[new] + ml[c] > LARGEST_ML:
                continue
            heapq.heappush(heap, (cost(new, c), new, c))
    tables = {"ml": np.array(ml, np.float32), "contrast": np.array(contrast, np.float32)}
    return _ordered(labels, tables, np.array(parent, np.int32), children, count)


def _inside(labels: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Which supervoxels of air lie inside of the body, as lungs and bowel do: (count,) bool."""
    found = np.concatenate([[False], body])[labels]
    filled = np.stack([ndimage.binary_fill_holes(ndimage.binary_closing(plane, iterations=2)) for plane in found])
    enclosed = np.bincount(labels[filled & ~found], minlength=len(body) + 1)[1:]
    every = np.bincount(labels.ravel(), minlength=len(body) + 1)[1:]
    return enclosed > 0.8 * np.maximum(every, 1)


def _borders(labels: np.ndarray, slope: np.ndarray, count: int) -> list[dict[int, tuple[float, float]]]:
    """For each supervoxel its neighbours, with the faces in common and the sum of the slope there."""
    keys, sharp = [], []
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = labels[tuple(low)], labels[tuple(high)]
        differ = (a != b) & (a >= 0) & (b >= 0)
        a, b = a[differ], b[differ]
        keys.append(np.minimum(a, b).astype(np.int64) * count + np.maximum(a, b))
        sharp.append(np.maximum(slope[tuple(low)][differ], slope[tuple(high)][differ]))
    pairs, place = np.unique(np.concatenate(keys), return_inverse=True)
    area = np.bincount(place)
    steep = np.bincount(place, np.concatenate(sharp))
    touching: list[dict[int, tuple[float, float]]] = [{} for _ in range(count)]
    for pair, faces, total in zip(pairs.tolist(), area.tolist(), steep.tolist(), strict=True):
        a, b = divmod(pair, count)
        touching[a][b] = touching[b][a] = (float(faces), total)
    return touching


def _ordered(
    labels: np.ndarray, tables: dict[str, np.ndarray], parent: np.ndarray, children: list[tuple[int, int]], count: int
) -> Regions:
    """Supervoxels numbered anew, so that those of each node follow one another."""
    size = np.ones(len(parent), np.int64)
    for n, (a, b) in enumerate(children):
        size[count + n] = size[a] + size[b]
    first = np.zeros(len(parent), np.int64)
    start = 0
    for node in np.flatnonzero(parent < 0):
        first[node] = start
        start += size[node]
    for n in range(len(children) - 1, -1, -1):
        a, b = children[n]
        first[a] = first[count + n]
        first[b] = first[a] + size[a]
    # A leaf's number is its place; its own row of the tables moves there as well.
    place = np.concatenate([first[:count], np.arange(count, len(parent))]).astype(np.int64)
    table = np.zeros(count + 1, np.uint16)
    table[:count] = first[:count] + 1  # the last entry is taken by -1: outside
    moved = {name: np.empty(len(parent), np.int32) for name in ("first", "last", "parent")}
    moved["first"][place], moved["last"][place] = first, first + size
    moved["parent"][place] = parent
    for name, values in tables.items():
        moved[name] = np.empty(len(parent), np.float32)
        moved[name][place] = values
    return Regions(table[labels], **moved)
