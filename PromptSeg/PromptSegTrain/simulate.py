"""Which slices a user would draw: for demonstrations and measurements on volumes that have a reference."""

from __future__ import annotations

import numpy as np

from PromptSegLib.errors import InputError


def evenly_spaced(mask: np.ndarray, k: int, axis: int = 0) -> list[int]:
    """``k`` slice indices spread evenly over a structure's extent along array axis ``axis``, both ends included.

    ``mask`` (K, J, I) is the structure. Each ideal position gives way to the nearest slice that holds the structure and
    is not chosen yet; ``k`` = 1 is the middle. A structure on fewer than ``k`` slices gives all of them. Raises
    :class:`InputError` for an empty mask or ``k`` < 1.
    """
    if k < 1:
        raise InputError(f"{k} slices cannot be chosen", "ask for at least one")
    others = tuple(other for other in range(mask.ndim) if other != axis % mask.ndim)
    free = np.flatnonzero(mask.any(axis=others)).tolist()
    if not free:
        raise InputError("The structure is on no slice of this volume", "choose another label or volume")
    ideal = np.linspace(free[0], free[-1], k) if k > 1 else [(free[0] + free[-1]) / 2]
    chosen: list[int] = []
    for position in ideal:
        if free:
            nearest = min(free, key=lambda index: abs(index - position))
            free.remove(nearest)
            chosen.append(nearest)
    return sorted(chosen)
