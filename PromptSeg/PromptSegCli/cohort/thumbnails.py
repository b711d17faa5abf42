"""A small picture of one structure in one volume: the axial slice with most of it, and its contour."""

from __future__ import annotations

import base64

import numpy as np

from PromptSegLib.review.figures import Plane, frame, window_for
from PromptSegLib.review.png import indexed_png_of
from PromptSegLib.volumes.volume import Volume

SIDE = 128
"""Pixels of the longer side."""
_GREYS = 48
_CONTOUR = (255, 196, 0)


def thumbnail(volume: Volume, mask: np.ndarray) -> str:
    """A PNG in base64; empty where the mask (K, J, I) is. Seen as radiologists look at a CT, with square pixels."""
    sizes = mask.sum(axis=(1, 2))
    if not sizes.any():
        return ""
    index = int(sizes.argmax())
    axis = int(np.argmax(np.abs(np.asarray(volume.grid.direction).reshape(3, 3)[2, ::-1])))  # most along the body
    if axis:
        index = int(mask.sum(axis=tuple(n for n in range(3) if n != axis)).argmax())
    plane = Plane.of(volume.grid, axis)
    inside = plane.cut(mask, index)
    rows, columns = frame(mask, plane)
    image, inside = plane.cut(volume.voxels, index)[rows, columns], inside[rows, columns]
    low, high = window_for(volume.voxels[mask][:100_000])
    height, width = image.shape[0] * plane.spacing[0], image.shape[1] * plane.spacing[1]
    scale = SIDE / max(height, width)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    picked = [((np.arange(n) + 0.5) * size / n).astype(int) for n, size in zip(shape, image.shape, strict=True)]
    shown = np.clip((image[np.ix_(*picked)].astype(np.float32) - low) / (high - low), 0, 1)
    pixels = np.round(shown * (_GREYS - 1)).astype(np.uint8)
    pixels[_edge(inside[np.ix_(*picked)])] = _GREYS
    return base64.b64encode(indexed_png_of(pixels, _palette())).decode("ascii")


def _edge(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that touch what is outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _palette() -> np.ndarray:
    greys = [(round(n * 255 / (_GREYS - 1)),) * 3 for n in range(_GREYS)]
    return np.array([*greys, _CONTOUR], np.uint8)
