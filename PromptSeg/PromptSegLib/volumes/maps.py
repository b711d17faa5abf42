"""Maps of probabilities as ``promptseg segment`` writes them, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import GridError, InputError
from .geometry import differences
from .images import read_image
from .reorient import turn_onto
from .volume import Grid

_ROUNDING = 1e-3
_REMEDY = "name the folder that was written for this image, or segment the image again"


def read_map(path: Path, grid: Grid) -> np.ndarray:
    """A map of probabilities (K, J, I) float32, 0 to 1, on ``grid``; that of a structure that is nowhere is 0
    everywhere. Raises :class:`InputError` for what is no such map, and :class:`GridError` for one of another grid."""
    image = read_image(path)
    turn = turn_onto(image.grid, grid) if image.oriented else None
    array, place = (image.array, image.grid) if turn is None else (turn.apply(image.array), turn.grid)
    if not place.matches(grid):
        raise GridError(f"{path.name} is on another grid than the image: {differences(image.grid, grid)}", _REMEDY)
    if image.array.dtype.kind not in "fiu":
        raise InputError(f"{path.name} holds no numbers of probabilities", _REMEDY)
    low, high = float(image.array.min()), float(image.array.max())  # NaN if there is one
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        what = "values that are no numbers" if low != low or high != high else f"values from {low:.4g} to {high:.4g}"
        raise InputError(f"{path.name} is no map of probabilities, which are 0 to 1: it holds {what}", _REMEDY)
    return np.clip(array.astype(np.float32, order="C", copy=False), 0.0, 1.0)
