"""From what a file says about where its voxels lie to a grid, by the same rules for every format.

Axes at right angles but for rounding noise are squared up, real shear is refused; where a file does not say which way
its axes run, nothing is guessed: left and right would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .volume import BITS, NOISE, Grid, squared_up

MAX_EXTENT_MM, MIN_SPACING_MM, MAX_ORIGIN_MM = 5000.0, 1e-5, 1e5
SMALL_EXTENT_MM, SMALL_SPACING_MM = 5.0, 0.05
"""A volume below both was written in metres."""
PLAUSIBLE_MM = (0.02, 50.0)
"""Spacings of an image that anybody makes: a unit of length that leads elsewhere is not believed."""
_TOLD_MM = 0.1
_LPS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
_WORDS = {"L": "left", "R": "right", "P": "posterior", "A": "anterior", "S": "superior", "I": "inferior"}


@dataclass(frozen=True)
class Place:
    """Where a file says that its voxels lie. ``axes`` (3, 3) has the I, J and K axes as columns in LPS, of length 1, or
    is None where the file does not say which way they run; ``spacing`` (mm) is None where it does not say how long.
    ``notes`` are sentences on what had to be decided."""

    axes: np.ndarray | None
    spacing: tuple[float, float, float] | None
    origin: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()


def parse_orientation(text: str) -> np.ndarray:
    """Three letters, the directions in which voxel indices I, J and K grow ("LPS": to the patient's left, posterior,
    superior), as (3, 3) axes in LPS, in columns. Raises :class:`InputError` for anything else."""
    letters = text.strip().upper()
    if len(letters) != 3 or not set(letters) <= set(_LPS) or len({_LPS[one][0] for one in letters}) < 3:
        raise InputError(
            f"'{text}' is not an orientation",
            "write the directions in which the voxel indices I, J and K grow, for example LPS or RAS",
        )
    axes = np.zeros((3, 3))
    for column, one in enumerate(letters):
        row, sign = _LPS[one]
        axes[row, column] = sign
    return axes


def grid_at(size: Sequence[int], place: Place, name: str, orientation: str | None = None) -> tuple[Grid, list[str]]:
    """The grid of ``size`` (I, J, K) voxels at ``place``, and what a user should hear of it.

    ``orientation`` (:func:`parse_orientation`) counts where the file does not say its own. Raises :class:`InputError`
    if axes are sheared, not finite or missing.
    """
    notes = list(place.notes)
    i, j, k = (int(n) for n in size)
    spacing = place.spacing
    if spacing is None:
        spacing = (1.0, 1.0, 1.0)
        notes.append(
            f"{name} does not say how large its voxels are: 1 mm was taken, and volumes and distances follow it."
        )
    axes = place.axes
    if axes is None:
        if orientation is None:
            raise unoriented(name)
        axes = parse_orientation(orientation)
        words = ", ".join(_WORDS[one] for one in orientation.strip().upper())
        notes.append(f"{name} does not say which way its axes run: {orientation.strip().upper()} was taken ({words}).")
    lengths = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite([*axes.ravel(), *spacing])) or min(spacing) <= 0 or np.any(lengths < 1e-12):
        raise unplaced(name)
    if np.abs(lengths - 1).max() > BITS:
        spacing = (spacing[0] * lengths[0], spacing[1] * lengths[1], spacing[2] * lengths[2])
        axes = axes / lengths
    if abs(np.linalg.det(axes)) < 1e-6:
        raise unplaced(name)
    straight, off = squared_up(axes)
    if off > NOISE:
        raise sheared(name, off)
    moved = float((np.abs(straight - axes) @ (np.asarray(spacing) * (i, j, k))).max())
    if moved > _TOLD_MM:
        notes.append(f"The axes of {name} were off the right angle by {_degrees(off)}; they were squared up.")
    axes = straight
    origin = place.origin if place.origin is not None else (0.0, 0.0, 0.0)
    if not np.all(np.isfinite(origin)):
        raise unplaced(name)
    x, y, z = (float(v) for v in origin)
    a, b, c = (float(v) for v in spacing)
    grid = Grid((i, j, k), (x, y, z), (a, b, c), tuple(float(v) for v in np.asarray(axes).ravel()))
    check_extent(grid, name)
    return grid, notes


def check_extent(grid: Grid, name: str) -> None:
    """Raise :class:`InputError` for a grid that is larger, smaller or farther away than any scanner's: a spacing in
    micrometres or metres, or a damaged header. The working grid of such a volume fits into no memory or shows nothing,
    and files keep too few digits."""
    longest = max(n * mm for n, mm in zip(grid.size, grid.spacing, strict=True))
    tiny = longest < SMALL_EXTENT_MM and max(grid.spacing) < SMALL_SPACING_MM
    if longest > MAX_EXTENT_MM or min(grid.spacing) < MIN_SPACING_MM or tiny:
        spacing = " x ".join(f"{mm:.4g}" for mm in grid.spacing)
        raise InputError(
            f"{name} has voxels of {spacing} mm and is {longest:.4g} mm long, which no scanner's volume is",
            "correct its spacing, which is in mm, for instance in 3D Slicer's module Volumes",
        )
    if max(map(abs, grid.origin)) > MAX_ORIGIN_MM:
        raise InputError(
            f"{name} lies {max(map(abs, grid.origin)):.4g} mm away from the origin, which no scanner's volume does",
            "correct its origin, for instance in 3D Slicer's module Volumes",
        )


def _degrees(cosine: float) -> str:
    return f"{np.degrees(np.arcsin(min(1.0, cosine))):.2g} degrees"


def sheared(name: str, off: float) -> InputError:
    """The error for a volume whose axes are not at right angles, by the cosine ``off``."""
    return InputError(
        f"{name} is sheared: its axes are off the right angle by {_degrees(off)}, which PromptSeg does not support",
        "load the DICOM series that it was made of in 3D Slicer, which regularises it, and save that as NRRD",
    )


def unplaced(name: str) -> InputError:
    """The error for a spacing, direction or origin that is zero, not finite or singular."""
    return InputError(
        f"{name} does not say where its voxels lie: its spacing or direction is not valid",
        "convert the original series again, or set them in 3D Slicer's module Volumes and save it as NRRD",
    )


class OrientationError(InputError):
    """A file that does not say which way its axes run, and nobody said it in its place."""


def unoriented(name: str) -> OrientationError:
    """The error for a file without orientation, when none was given."""
    return OrientationError(
        f"{name} does not say which way its axes run, so left and right cannot be known",
        "give the directions in which its voxel indices I, J and K grow with --orientation, for example LPS (what 3D"
        " Slicer takes) or LAS (what nibabel takes)",
    )


def differences(grid: Grid, other: Grid) -> str:
    """How two grids differ, for people: size, spacing, origin, direction, whichever is not the same."""
    parts = []
    if grid.size != other.size:
        parts.append(f"size {_times(grid.size)} instead of {_times(other.size)} voxels")
    if not np.allclose(grid.spacing, other.spacing, rtol=0, atol=1e-3):
        parts.append(f"spacing {_times(grid.spacing)} instead of {_times(other.spacing)} mm")
    if not np.allclose(grid.origin, other.origin, rtol=0, atol=1e-2):
        parts.append(f"origin {_comma(grid.origin)} instead of {_comma(other.origin)} mm")
    if not np.allclose(grid.direction, other.direction, rtol=0, atol=1e-4):
        parts.append(f"direction {_comma(grid.direction)} instead of {_comma(other.direction)}")
    return "; ".join(parts) or "small differences of origin, spacing and direction add up"


def _times(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{n:.5g}" for n in numbers)


def _comma(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{n:.5g}" for n in numbers) + ")"
