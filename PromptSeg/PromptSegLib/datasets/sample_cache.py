"""One volume on the working grid as a folder of arrays: written complete or not at all, and memory-mapped again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import UNREADABLE, OutputError, system_problem
from ..progress import ShouldStop, check, never
from ..volumes.plausible import warnings_of
from ..volumes.preprocess import WorkingVolume
from ..volumes.volume import Volume
from .sample import RECIPE, Sample, by_name, shown_in, with_unions

REGIONS = ("base", "first", "last", "parent", "ml", "contrast")
TEACHER = "teacher.memory"
"""What the next patient may start from of a volume that was handed over: goes with the arrays that it lies beside."""
Plane = Callable[[int, int, int], "np.ndarray | None"]
"""The mask of a structure (its number) in a slice (index, axis) of a volume; None where it is not known to be."""


def write_sample(
    folder: Path,
    volume: Volume,
    structures: Sequence[str],
    plane: Plane,
    *,
    files: Sequence[Sequence[int]] = (),
    notes: Sequence[str] = (),
    should_stop: ShouldStop = never,
) -> None:
    """Bring a volume and its masks to the working grid. ``files`` are size and time of what it was read from, ``notes``
    more sentences on what is odd. Raises ``Stopped`` and :class:`OutputError`, and leaves nothing then."""
    work = WorkingVolume(volume, spacing=RECIPE["spacing"])
    order = list(range(work.count))[:: work._slice_sign]
    grey = np.empty((work.count, *work.size), np.uint8)
    target = np.zeros_like(grey)
    for row, k in enumerate(order):
        check(should_stop)
        grey[row] = work.grey(k)
        for n in range(len(structures)):
            mask = plane(n, k, work.axis)
            if mask is not None and mask.any():
                target[row][work.mask_to_working(mask) > 0.5] = n + 1
    info: dict[str, Any] = {
        "structures": list(structures),
        "slice_mm": work.slice_mm,
        "files": [list(one) for one in files],
        "notes": list(dict.fromkeys((*warnings_of(volume), *notes))),
        "where": [s.tolist() for s in shown_in(target, len(structures))],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "case.json").unlink(missing_ok=True)  # it must not vouch for arrays that it does not belong to
        save_array(folder / "grey.npy", grey)
        save_array(folder / "labels.npy", target)
        with replacing(folder / "case.json") as file:
            file.write(json.dumps(info).encode())
    except BaseException as error:
        remove_sample(folder)  # half a case is of no use, and the space may be needed
        if isinstance(error, OSError):
            raise system_problem(error) or OutputError(
                f"{folder} cannot be made: {error.strerror}", "free some space or choose another folder"
            ) from error
        raise


def open_sample(
    folder: Path, name: str, structures: tuple[str, ...], files: Sequence[Sequence[int]] = ()
) -> Sample | None:
    """The arrays in ``folder``, if they are whole and were made from ``files``."""
    try:
        info = json.loads((folder / "case.json").read_text(encoding="utf-8"))  # written last
        grey, labels = (np.load(folder / f"{what}.npy", mmap_mode="r") for what in ("grey", "labels"))
        if info["files"] != [list(one) for one in files] or grey.shape != labels.shape or grey.ndim != 3:
            return None
        # Caches of former versions do not say which slices show what.
        slices = [np.array(s, int) for s in info["where"]] if "where" in info else shown_in(labels, len(structures))
        where = with_unions(by_name(structures, slices), structures)
        sample = Sample(name, grey, labels, structures, float(info["slice_mm"]), where)
        sample.notes = tuple(str(note) for note in info.get("notes", ()))
    except (OSError, *UNREADABLE):
        return None
    return sample


def remove_sample(folder: Path) -> None:
    """Take the arrays of one volume away; what else lies in their folder stays."""
    arrays = ("grey", "labels", *(f"regions-{one}" for one in REGIONS))
    for name in ("case.json", TEACHER, *(f"{what}.npy" for what in arrays)):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def save_array(path: Path, array: np.ndarray) -> None:
    """As numpy's ``save``, which does not say why it fails when the disk is full."""
    with replacing(path) as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
