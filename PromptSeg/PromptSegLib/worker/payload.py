"""Our types as requests and results carry them: numbers and names in JSON, voxels in files of the job folder."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..anatomy.structure import Code, Structure
from ..annotations import Slice, SliceAnnotations, SliceStatus
from ..errors import AnnotationError, GridError
from ..volumes.volume import Grid, Volume
from .jobs import Jobs


@dataclass(frozen=True)
class Found:
    """One structure in a volume: ``mask`` is the bool array of the smallest box that holds it, empty if there is
    nothing, and ``low`` (k, j, i) where the box begins.

    ``name`` is the structure's; ``structure`` has its terminology and colour.
    """

    structure: Structure
    mask: np.ndarray
    low: tuple[int, int, int]
    millilitres: float

    def whole(self, shape: tuple[int, int, int]) -> np.ndarray:
        """The array in a volume of ``shape`` (K, J, I)."""
        out = np.zeros(shape, self.mask.dtype)
        out[tuple(slice(a, a + n) for a, n in zip(self.low, self.mask.shape, strict=True))] = self.mask
        return out


def put_volume(jobs: Jobs, job: str, volume: Volume) -> dict[str, Any]:
    """Write the voxels; gives what a request's ``volume`` must be."""
    return _volume(jobs.write_array(f"{job}/volume.npy", volume.voxels), volume)


def put_volume_in_steps(jobs: Jobs, job: str, volume: Volume) -> Generator[None, None, dict[str, Any]]:
    """As :func:`put_volume`, a few megabytes at each step."""
    return _volume((yield from jobs.write_in_steps(f"{job}/volume.npy", volume.voxels)), volume)


def get_volume(jobs: Jobs, given: Mapping[str, Any]) -> Volume:
    """Raises :class:`InputError` or :class:`GridError` if voxels and grid do not fit."""
    return Volume(jobs.read_array(given["file"]), get_grid(given["grid"]), given["name"], given["modality"])


def put_annotations(jobs: Jobs, job: str, annotations: SliceAnnotations, name: str = "drawn") -> dict[str, Any]:
    """Write the masks, one after the other; gives what a request's ``annotations`` must be."""
    shape = [n for axis, n in enumerate(annotations.grid.shape) if axis != annotations.axis]
    order = sorted(annotations.slices)
    masks = [annotations.slices[index].mask for index in order]
    stack = np.stack(masks) if masks else np.zeros((0, *shape), np.uint8)
    return {
        "axis": annotations.axis,
        "grid": put_grid(annotations.grid),
        "file": jobs.write_array(f"{job}/{name}.npy", stack),
        "slices": [{"index": index, "status": annotations.slices[index].status.value} for index in order],
    }


def get_annotations(jobs: Jobs, given: Mapping[str, Any]) -> SliceAnnotations:
    """Raises :class:`AnnotationError` if masks and list do not fit."""
    stack = jobs.read_array(given["file"])
    if stack.ndim != 3 or len(stack) != len(given["slices"]) or stack.dtype != np.uint8:
        raise AnnotationError("The drawn slices and their list do not fit together")
    slices = {
        one["index"]: Slice(SliceStatus(one["status"]), mask) for one, mask in zip(given["slices"], stack, strict=True)
    }
    return SliceAnnotations(given["axis"], get_grid(given["grid"]), slices)


def put_structure(structure: Structure) -> dict[str, Any]:
    """A structure as JSON."""
    return asdict(structure)


def get_structure(given: Mapping[str, Any]) -> Structure:
    """A structure from JSON that was checked."""
    red, green, blue = (min(1.0, max(0.0, float(c))) for c in given["colour"])
    codes = {key: Code(**given[key]) if given.get(key) else None for key in ("code", "category", "modifier")}
    return Structure(given["name"], colour=(red, green, blue), synonyms=tuple(given.get("synonyms") or ()), **codes)


def put_mask(jobs: Jobs, file: str, structure: Structure, mask: np.ndarray, grid: Grid) -> dict[str, Any]:
    """Write a mask (K, J, I) bool, cut to the smallest box that holds it."""
    box = bounding_box(mask)
    voxels = int(np.count_nonzero(mask[box]))
    return {
        "structure": put_structure(structure),
        "file": jobs.write_array(file, mask[box]),
        "low": [part.start for part in box],
        "ml": voxels * float(np.prod(grid.spacing)) / 1000,
    }


def get_mask(jobs: Jobs, given: Mapping[str, Any]) -> Found:
    """A mask that the worker wrote."""
    k, j, i = given["low"]
    return Found(get_structure(given["structure"]), jobs.read_array(given["file"]), (k, j, i), float(given["ml"]))


def put_map(jobs: Jobs, file: str, shares: np.ndarray) -> dict[str, Any]:
    """Write a map (K, J, I) of 0..1 in steps of 1/255, cut to the box where it is above 0."""
    values = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    box = bounding_box(values)
    return {"file": jobs.write_array(file, values[box]), "low": [part.start for part in box]}


def get_map(jobs: Jobs, given: Mapping[str, Any], grid: Grid) -> np.ndarray:
    """A map of :func:`put_map` in the whole volume, float32. Raises :class:`GridError` if it does not fit into it."""
    return _in_volume(jobs.read_array(given["file"]).astype(np.float32) / 255, given["low"], grid)


def put_box(jobs: Jobs, file: str, mask: np.ndarray) -> dict[str, Any]:
    """Write any mask (K, J, I) bool, cut to the smallest box that holds it."""
    box = bounding_box(mask)
    return {"file": jobs.write_array(file, mask[box]), "low": [part.start for part in box]}


def get_box(jobs: Jobs, given: Mapping[str, Any], grid: Grid) -> np.ndarray:
    """A mask of :func:`put_box` in the whole volume. Raises :class:`GridError` if it does not fit into it."""
    return _in_volume(jobs.read_array(given["file"]).astype(bool), given["low"], grid)


def _in_volume(part: np.ndarray, low: Sequence[int], grid: Grid) -> np.ndarray:
    if part.ndim != 3 or any(a + n > m for a, n, m in zip(low, part.shape, grid.shape, strict=True)):
        raise GridError("A mask lies outside of the volume")
    out = np.zeros(grid.shape, part.dtype)
    out[tuple(slice(a, a + n) for a, n in zip(low, part.shape, strict=True))] = part
    return out


def bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box that holds a (K, J, I) mask; of no voxel if it is empty."""
    found = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        found.append(slice(int(there[0]), int(there[-1]) + 1) if len(there) else slice(0, 0))
    return found[0], found[1], found[2]


def _volume(file: str, volume: Volume) -> dict[str, Any]:
    return {"file": file, "grid": put_grid(volume.grid), "name": volume.name, "modality": volume.modality}


def put_grid(grid: Grid) -> dict[str, Any]:
    """A grid as JSON."""
    # JSON keeps floating-point numbers to the last bit.
    return {key: list(value) for key, value in asdict(grid).items()}


def get_grid(given: Mapping[str, Any]) -> Grid:
    """A grid from JSON that was checked."""
    (i, j, k), (x, y, z), (a, b, c) = given["size"], given["origin"], given["spacing"]
    return Grid((i, j, k), (x, y, z), (a, b, c), tuple(given["direction"]))
