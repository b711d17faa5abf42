"""Volumes that a front end hands over one by one: each is brought to the working grid at once and kept in the cache of
its run, so that neither memory nor disk ever hold all of them at full resolution.

They are called by their numbers: the names of a scene's volumes may be those of patients.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..datasets.sample import Sample
from ..datasets.sample_cache import TEACHER, open_sample, remove_sample, write_sample
from ..errors import InputError
from ..progress import ShouldStop, never
from ..register.teachers import Memory, remembered
from ..volumes.volume import Volume

_FOLDER = "gathered-000000000000"
"""Named as the caches of data sets are, and so removed with them."""
_NAME = re.compile(r"volume [0-9]{1,6}")


def gather(
    cache: Path,
    number: int,
    volume: Volume,
    mask: np.ndarray,
    structure: str,
    should_stop: ShouldStop = never,
    *,
    remember: bool = False,
) -> None:
    """Keep a volume with the ``mask`` (K, J, I) bool of ``structure`` on its grid, as the one of this number; with
    ``remember`` also what the next patient may start from.

    Raises :class:`InputError` where the mask shows nothing, :class:`OutputError` where the cache cannot be written, and
    ``Stopped``.
    """
    folder, name = cache / _FOLDER / f"volume {number}", f"volume {number}"

    def plane(_structure: int, index: int, axis: int) -> np.ndarray:
        return mask.take(index, axis)

    if mask.any():
        write_sample(folder, volume, (structure,), plane, should_stop=should_stop)
        if remember:
            Memory((remembered(volume, {structure: (mask, 1.0)}, should_stop),)).write(teacher_file(cache, name))
    made = open_sample(folder, name, (structure,)) if mask.any() else None
    if made is None or not made.where:
        remove_sample(folder)
        raise InputError(f"{structure} is nowhere in {volume.name}", "leave that volume out, or segment it there first")


def teacher_file(cache: Path, name: str) -> Path:
    """Where a volume is kept as the next patient may start from it."""
    return cache / _FOLDER / name / TEACHER


def samples(cache: Path, structure: str) -> list[Sample]:
    """The volumes that were kept of ``structure``."""
    folder = cache / _FOLDER
    names = [one.name for one in folder.iterdir() if _NAME.fullmatch(one.name)] if folder.is_dir() else []
    found = (open_sample(folder / name, name, (structure,)) for name in names)
    return [one for one in found if one is not None and one.where]
