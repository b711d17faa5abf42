"""Drawn slices of earlier patients, beside those of the volume at hand."""

from __future__ import annotations

from collections.abc import Sequence

from ..register.excerpt import Excerpt, identity_of
from .examples import Drawing

MAX_SLICES = 12
"""Slices of all earlier patients together: each makes every step of a round longer."""


def drawings_of(excerpts: Sequence[Excerpt], own: Sequence[Drawing], limit: int = MAX_SLICES) -> list[Drawing]:
    """Drawings of those ``excerpts`` (the latest last) that are of the plane of ``own`` and of no volume of these, with
    at most ``limit`` slices, spread evenly over the patients; the latest first."""
    if not excerpts or not own:
        return []
    here = {identity_of(one.work.volume) for one in own}
    chosen = [one for one in excerpts if one.identity not in here and one.plane == own[0].work.plane]
    found, left = [], limit
    for number, one in enumerate(reversed(chosen)):
        some = one.some(-(-left // (len(chosen) - number)))
        left -= len(some.drawn)
        if some.drawn:
            found.append(Drawing(some.working(own[0].work.spacing), some.annotations, remembered=True))
    return found
