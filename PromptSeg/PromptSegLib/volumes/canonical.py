"""Oblique volumes on canonical axes: the network learned from slices straight across the patient.

What is found there is resampled back to the slices that the volume has, so that everything else knows the volume's own
grid alone.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name that everybody uses
from scipy import ndimage

from ..progress import ShouldStop, check, never
from .preprocess import AIR_HU, WorkingVolume, nearest_axes, within_ct
from .volume import HIGHEST_HU, LOWEST_HU, Grid, Volume

TILTED, TURNED = 7.0, 9.0
"""Degrees from which a volume is resampled: of its slices from the plane that they are nearest to, and of rows and
columns within it. At 5 degrees of tilt resampling cost more than the tilt, at 10 of either it gained."""
BLOCK = 16


def angles(grid: Grid) -> tuple[float, float, float]:
    """Degrees between each array axis (K, J, I) and the patient's axis that it is nearest to."""
    cosines = (grid.ijk_to_ras[:3, :3] / np.asarray(grid.spacing))[:, ::-1]
    near = [abs(cosines[ras, a]) for a, (ras, _) in enumerate(nearest_axes(grid))]
    k, j, i = np.degrees(np.arccos(np.clip(near, 0, 1)))
    return float(k), float(j), float(i)


def is_oblique(grid: Grid, axis: int) -> bool:
    """Whether slices along array axis ``axis`` are too oblique for the network to see them as they are, and enough of
    them that straight ones can be made: of a thin stack only strips would be left."""
    found = angles(grid)
    mm = [n * step for n, step in zip(grid.size[::-1], grid.spacing[::-1], strict=True)]
    rise = max(mm[:axis] + mm[axis + 1 :]) * np.tan(np.radians(found[axis]))
    return (found[axis] > TILTED or max(found) > TURNED) and mm[axis] >= rise


def resampled_to_canonical(volume: Volume, should_stop: ShouldStop = never) -> Volume:
    """The same image on axes along the patient's, of the same order, signs and spacing, large enough for all of it.

    Linear interpolation; what the volume does not show is air, or its smallest value. Raises ``Stopped``.
    """
    grid = volume.grid
    turned = np.zeros((3, 3))
    for a, (ras, sign) in enumerate(nearest_axes(grid)):
        turned[ras, 2 - a] = sign
    ends = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    ends[:, :3] *= np.asarray(grid.size) - 1
    along = (ends @ grid.ijk_to_ras.T)[:, :3] @ turned
    low, spacing = along.min(0), np.asarray(grid.spacing)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turned * spacing, turned @ low
    i, j, k = (int(n) for n in np.ceil(np.ptp(along, axis=0) / spacing - 1e-6) + 1)
    target = Grid.from_ijk_to_ras(matrix, (k, j, i))

    low_hu, high_hu = volume.range_hu
    voxels = volume.voxels
    if low_hu < LOWEST_HU or high_hu > HIGHEST_HU:
        voxels = np.empty_like(voxels)
        for plane, given in zip(voxels, volume.voxels, strict=True):
            check(should_stop)
            plane[:] = within_ct(given.astype(np.float32))
    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(grid.origin)
    image.SetSpacing(grid.spacing)
    image.SetDirection(grid.direction)
    resample = sitk.ResampleImageFilter()
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetDefaultPixelValue(max(volume.tissue_hu[0], AIR_HU))
    resample.SetOutputSpacing(target.spacing)
    resample.SetOutputDirection(target.direction)
    step = np.reshape(target.direction, (3, 3))[:, 2] * target.spacing[2]
    out = np.empty(target.shape, volume.voxels.dtype)
    for first in range(0, k, BLOCK):  # so that a cancelled run ends soon
        check(should_stop)
        part = out[first : first + BLOCK]
        resample.SetOutputOrigin((np.asarray(target.origin) + first * step).tolist())
        resample.SetSize((i, j, len(part)))
        part[:] = sitk.GetArrayFromImage(resample.Execute(image))
    return Volume(out, target, volume.name, volume.modality, volume.notes)


def resampled_back(
    values: np.ndarray, seen: WorkingVolume, work: WorkingVolume, above: int, outside: int
) -> dict[int, np.ndarray]:
    """``values`` (slices, rows, columns) int8 of the working grid ``seen`` on the slices of ``work`` in which one is
    ``above``, linearly interpolated: (rows, columns) int8 by index, ``outside`` far from all that are above."""
    there = ndimage.find_objects((values > above).astype(np.uint8))
    if not there:
        return {}
    back = np.linalg.inv(seen.to_ras) @ work.to_ras
    corners = np.array(list(product(*((side.start - 1, side.stop) for side in there[0]))), float)
    reach = (corners - back[:3, 3]) @ np.linalg.inv(back[:3, :3]).T
    shape = (work.count, *work.size)
    low = np.maximum(np.floor(reach.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(reach.max(0)).astype(int) + 1, shape)
    if np.any(high <= low):
        return {}
    offset = back[:3, :3] @ low + back[:3, 3]
    size = tuple(int(n) for n in high - low)
    found = ndimage.affine_transform(values, back[:3, :3], offset, size, np.int8, order=1, cval=outside)
    out = {}
    for index, part in enumerate(found, int(low[0])):
        if part.max() > above:
            out[index] = np.full(work.size, outside, np.int8)
            out[index][low[1] : high[1], low[2] : high[2]] = part
    return out
