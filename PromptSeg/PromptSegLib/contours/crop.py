"""The part of the working grid in which a drawn structure can be: less to compute, and nothing found far from it.

A structure does not leap from one drawn slice to the next. So teaching and segmenting the taught volume look at a box
around what is drawn, with a margin that grows with the structure and with the widest gap between drawn slices.
"""

from __future__ import annotations

import numpy as np

from ..annotations import SliceAnnotations
from ..volumes.preprocess import WorkingVolume

MARGIN_MM = 40.0
SHARE = 0.25
"""Of the structure's own extent, added to the margin."""
DRIFT = 0.6
"""How far a structure may move to the side over a millimetre of undrawn slices."""
MIN_SIDE = 96
"""Working pixels: the network is used to see an organ's surroundings."""
MULTIPLE = 32

Box = tuple[slice, slice]


def crop_of(work: WorkingVolume, annotations: SliceAnnotations) -> Box:
    """(rows, columns) of the working grid; all of it for slices that were drawn along another axis, or one alone."""
    everything = (slice(0, work.size[0]), slice(0, work.size[1]))
    drawn = annotations.drawn()
    if annotations.axis != work.axis or len(drawn) < 2:
        return everything
    shown = np.zeros(work.size, bool)
    for k in drawn:
        shown |= work.mask_to_working(annotations.slices[k].labelled() == 1) > 0.25
    if not shown.any():
        return everything
    gap = float(max(np.diff(drawn))) * work.slice_mm
    box = []
    for axis, size in enumerate(work.size):
        there = np.flatnonzero(shown.any(1 - axis))
        first, last = int(there[0]), int(there[-1]) + 1
        margin = SHARE * (last - first) + (MARGIN_MM + DRIFT * 0.5 * gap) / work.spacing
        wanted = max(MIN_SIDE, round(last - first + 2 * margin))
        wanted = min(size, -(-wanted // MULTIPLE) * MULTIPLE)
        start = min(max(0, (first + last - wanted) // 2), size - wanted)
        box.append(slice(start, start + wanted))
    return box[0], box[1]
