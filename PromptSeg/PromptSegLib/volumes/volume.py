"""A CT volume and the grid that it lies on.

Arrays are (K, J, I). ITK's LPS numbers are kept as they were read, so that what is written back has the same grid bit
for bit; everything that faces Slicer uses :attr:`Grid.ijk_to_ras`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from ..errors import GridError, InputError

LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0
"""What a CT shows. Padding (-2000, -32768, 63536) and metal on an extended scale lie outside, and must change nothing
elsewhere."""
BITS, NOISE = 2e-6, 1e-3
"""Cosines between axes that should be at right angles: what single precision leaves, and what is rounding noise."""
_ROUNDING = 1e-6
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def squared_up(axes: np.ndarray) -> tuple[np.ndarray, float]:
    """Axes (3, 3), unit vectors in columns, at right angles: the nearest to those given, bit for bit the same where
    these are off by less than single precision leaves. Also gives the largest cosine between two of the axes given."""
    off = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if off <= BITS:
        return axes, off
    left, _, right = np.linalg.svd(axes)
    return left @ right, off


def _digest(size: tuple[int, int, int], matrix: list[float]) -> str:
    text = repr((size, [matrix[n : n + 4] for n in range(0, 16, 4)]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Grid:
    """Where voxels lie in the patient, in ITK's convention (LPS, mm).

    ``size`` is (I, J, K) in voxels, ``origin`` the centre of voxel (0, 0, 0), ``spacing`` in mm along I, J, K, and
    ``direction`` the nine cosines of the 3 x 3 matrix whose columns are the I, J and K axes, row by row.
    """

    size: tuple[int, int, int]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @classmethod
    def from_ijk_to_ras(cls, matrix: np.ndarray, shape: tuple[int, int, int], name: str = "The volume") -> Grid:
        """The grid of an array of ``shape`` (K, J, I) under a (4, 4) IJK to RAS matrix in mm.

        Axes that are off the right angle by rounding noise are squared up. Raises :class:`GridError` if the matrix is
        singular or sheared.
        """
        lps = _LPS_TO_RAS @ np.asarray(matrix, dtype=np.float64)
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        if not np.all(np.isfinite(lps)) or np.any(spacing <= 0) or abs(np.linalg.det(lps[:3, :3])) < 1e-9:
            raise GridError(
                "The volume's IJK to RAS matrix is singular", "check the spacing and orientation of the volume"
            )
        direction, off = squared_up(lps[:3, :3] / spacing)
        if off > NOISE:
            raise GridError(
                f"{name} is sheared: its axes are off the right angle by {np.degrees(np.arcsin(min(1.0, off))):.2g}"
                " degrees, which PromptSeg does not support",
                "resample it to a rectangular grid, in 3D Slicer with the module Resample Scalar/Vector/DWI Volume",
            )
        k, j, i = (int(n) for n in shape)
        x, y, z = (float(v) for v in lps[:3, 3])
        a, b, c = (float(v) for v in spacing)
        return cls((i, j, k), (x, y, z), (a, b, c), tuple(float(v) for v in direction.ravel()))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (K, J, I)."""
        return self.size[2], self.size[1], self.size[0]

    @cached_property
    def ijk_to_ras(self) -> np.ndarray:
        """(4, 4) float64 matrix from voxel indices (i, j, k, 1) to RAS mm."""
        lps = np.eye(4)
        lps[:3, :3] = np.asarray(self.direction).reshape(3, 3) * np.asarray(self.spacing)
        lps[:3, 3] = self.origin
        return _LPS_TO_RAS @ lps

    @property
    def digest(self) -> str:
        """A short name for this grid, as files have it. Two readings of one grid may differ in it, by a last bit at the
        edge of rounding or by the sign of a zero: ask :meth:`has_digest`, or better :meth:`matches`."""
        return _digest(self.size, np.round(self.ijk_to_ras, 3).ravel().tolist())

    def has_digest(self, text: str) -> bool:
        """Whether ``text`` is the digest of this grid, or of one that differs by rounding noise (1e-6 mm)."""
        ways = []
        for value in self.ijk_to_ras[:3].ravel().tolist():
            sides = {round(value - _ROUNDING, 3), round(value + _ROUNDING, 3)}
            ways.append([v for v in sides if v] + ([0.0, -0.0] if 0.0 in sides else []))
        return any(_digest(self.size, [*one, 0.0, 0.0, 0.0, 1.0]) == text for one in product(*ways))

    def matches(self, other: Grid, tolerance_mm: float = 0.01) -> bool:
        """Whether every corner voxel of both grids coincides within ``tolerance_mm``."""
        if self.size != other.size:
            return False
        i, j, k = self.size
        corners = np.array([[a, b, c, 1.0] for a in (0, i) for b in (0, j) for c in (0, k)]).T
        return bool(np.abs((self.ijk_to_ras - other.ijk_to_ras) @ corners).max() <= tolerance_mm)


@dataclass(frozen=True)
class DicomSource:
    """The DICOM series that a volume was read from, which a DICOM result refers to.

    ``slices`` has the file of each slice in the order of K, and which of its frames it is, from 0. ``series``,
    ``study`` and ``frame_of_reference`` are UIDs, empty where the files do not say them.
    """

    slices: tuple[tuple[Path, int], ...]
    series: str = ""
    study: str = ""
    frame_of_reference: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Each file once, in the order of K."""
        return tuple(dict.fromkeys(path for path, _ in self.slices))


@dataclass(frozen=True)
class Volume:
    """A scalar image: ``voxels`` (K, J, I) in HU, of the type that was read (int16 or float32), on ``grid``.

    Slices are turned to float32 as they are needed, so that a large volume is never copied whole. ``notes`` are
    sentences about what reading it had to decide; ``modality`` is DICOM's, "CT" where the file does not say;
    ``source`` is there for what was read from DICOM.
    Raises :class:`InputError` for anything that is not a finite, non-constant 3-D image.
    """

    voxels: np.ndarray
    grid: Grid
    name: str = "volume"
    modality: str = "CT"
    notes: tuple[str, ...] = ()
    source: DicomSource | None = None

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise InputError(f"{self.name} has {self.voxels.ndim} dimensions, not 3", "choose a single 3-D volume")
        if self.voxels.shape != self.grid.shape:
            raise GridError(f"{self.name} has {self.voxels.shape} voxels on a grid of {self.grid.shape}")

    @classmethod
    def from_array(
        cls, voxels: np.ndarray, ijk_to_ras: np.ndarray, name: str = "volume", modality: str = "CT"
    ) -> Volume:
        """From a (K, J, I) array in HU and its (4, 4) IJK to RAS matrix in mm."""
        return cls(voxels, Grid.from_ijk_to_ras(ijk_to_ras, voxels.shape), name, modality)

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """(4, 4) float64 matrix from voxel indices (i, j, k, 1) to RAS mm."""
        return self.grid.ijk_to_ras

    @cached_property
    def range_hu(self) -> tuple[float, float]:
        """Least and greatest value; raises :class:`InputError` if a voxel is not finite or all are equal."""
        low, high = float("inf"), float("-inf")
        for plane in self.voxels:
            a, b = float(plane.min()), float(plane.max())
            if not (np.isfinite(a) and np.isfinite(b)):
                raise InputError(
                    f"{self.name} holds values that are not numbers (NaN or infinite)",
                    "set them to -1024, which is air, and save it again",
                )
            low, high = min(low, a), max(high, b)
        if low >= high:
            raise InputError(f"{self.name} is constant: every voxel is {low:g}", "choose a volume with an image in it")
        return low, high

    @cached_property
    def tissue_hu(self) -> tuple[float, float]:
        """Least and greatest value from -1024 to 3071 HU, which padding and metal do not change; :attr:`range_hu` where
        no value lies in there."""
        low, high = self.range_hu
        if low >= LOWEST_HU and high <= HIGHEST_HU:
            return low, high
        found_low, found_high = float("inf"), float("-inf")
        for plane in self.voxels:
            inside = plane[(plane >= LOWEST_HU) & (plane <= HIGHEST_HU)]
            if len(inside):
                found_low, found_high = min(found_low, float(inside.min())), max(found_high, float(inside.max()))
        return (found_low, found_high) if found_low <= found_high else (low, high)
