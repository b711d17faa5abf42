"""What the next patient starts from: some of the subjects that taught a prompt, as a ``.memory`` file keeps them.

A network that was never taught a structure finds little of it under a prompt alone; with the place that it has in a few
other patients beside it, most of it (``register/``). Three subjects are kept, of usual size: all that are used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..datasets.description import Case, DataSet
from ..datasets.loading import read_datasets, values_in
from ..datasets.sample import Sample
from ..errors import PromptSegError
from ..progress import ShouldStop, check, never
from ..register.teachers import MAX_USED, Memory, Teacher, remembered
from ..volumes.io import read_labels, read_volume
from . import gathered
from .subjects import Subjects


def memory_of(
    subjects: Subjects, datasets: Sequence[Path], cache: Path, name: str, should_stop: ShouldStop = never
) -> Memory:
    """Three of the subjects that taught, with their masks under ``name``: read again from ``datasets``, or as they were
    gathered in ``cache``. Empty for packs, which hold no CT. Raises ``Stopped``."""
    kept: list[Teacher] = []
    for sample in usual(subjects.training, subjects.structure):
        check(should_stop)
        with contextlib.suppress(PromptSegError, OSError):  # the prompt is of use without
            if datasets:
                kept += _read(sample.name, subjects.structure, datasets, should_stop)
            else:
                kept += Memory.read(gathered.teacher_file(cache, sample.name)).teachers
    return Memory(()).joined(kept).called(name, subjects.structure) if kept else Memory(())


def usual(samples: Sequence[Sample], structure: str, count: int = MAX_USED) -> list[Sample]:
    """The samples in which a structure is nearest to its median size, one of a subject: whole, most likely, and
    nobody's exception."""
    sizes = []
    for sample in samples:
        value = sample.structures.index(structure) + 1
        shown = np.asarray(sample.labels[sample.where[structure]])
        sizes.append(float(np.count_nonzero(shown == value)) * sample.slice_mm)
    middle = float(np.median(sizes)) if sizes else 0.0
    order = sorted(range(len(samples)), key=lambda n: (abs(sizes[n] - middle), samples[n].name))
    first = {samples[n].subject: n for n in reversed(order)}
    return [samples[n] for n in sorted([n for n in order if first[samples[n].subject] == n][:count])]


def _read(name: str, structure: str, paths: Sequence[Path], should_stop: ShouldStop) -> list[Teacher]:
    for dataset, case in _cases(paths):
        if case.name == name and structure in dataset.labels.values():
            volume = read_volume(case.image)
            labels = read_labels(case.label, volume.grid, source=volume.source)
            value = next(v for v, one in dataset.labels.items() if one == structure)
            mask = labels.mask(values_in(dataset, case, labels)[value])
            return [remembered(volume, {structure: (mask, 1.0)}, should_stop)]
    return []


def _cases(paths: Sequence[Path]) -> list[tuple[DataSet, Case]]:
    found = read_datasets(paths)
    return [(one, case) for one in found if one.pack is None for case in one.cases]
