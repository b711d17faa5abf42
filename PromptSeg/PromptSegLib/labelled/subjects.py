"""Which subjects teach and which are held out: those of labelled sets in which the structure is annotated."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..anatomy.terminology import key
from ..datasets.loading import DataSet, load_samples, read_datasets
from ..datasets.pack import load_packed
from ..datasets.sample import Sample, warnings_of_samples
from ..errors import InputError, quoted
from ..progress import OnProgress, Progress, ShouldStop, ignore, never
from . import gathered

MIN_SUBJECTS = 3
"""Fewer volumes are better taught by drawing in them."""


@dataclass(frozen=True)
class Subjects:
    """``training`` and ``held_out`` volumes show ``structure``, as the data sets call it; ``seen`` are those held out
    that the backbone itself was pre-trained on, whose Dice says too much."""

    structure: str
    training: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    data: tuple[str, ...]
    licences: tuple[str, ...]
    seen: tuple[str, ...] = ()

    @property
    def split(self) -> dict[str, list[str]]:
        """The subjects' names."""
        return {"training": [s.name for s in self.training], "held_out": [s.name for s in self.held_out]}

    @property
    def warnings(self) -> list[str]:
        """Sentences on what is odd about volumes, for instance that values are no HU."""
        return warnings_of_samples((*self.training, *self.held_out))


def load_subjects(
    paths: Sequence[Path],
    structure: str,
    cache: Path,
    *,
    validation: float,
    seed: int,
    learned: Mapping[str, Sequence[str]] | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Subjects:
    """Read data sets or packs and split the subjects that show ``structure``; a pack keeps the split that it has.

    ``validation`` is the share that is held out, of subjects that the backbone has not ``learned`` (names by data set)
    before others; the same for the same names and seed. Raises :class:`InputError` for a structure that no data set
    has or that fewer than three volumes show, :class:`OutputError` where the cache cannot be written, and ``Stopped``.
    """
    datasets = read_datasets(paths)
    name = named(structure, datasets)
    chosen = [d for d in datasets if name in d.labels.values()]
    free: list[tuple[str, Sample]] = []
    training: list[Sample] = []
    held_out: list[tuple[str, Sample]] = []
    for n, dataset in enumerate(chosen):

        def listen(report: Progress, n: int = n) -> None:
            on_progress(replace(report, fraction=(n + report.fraction) / len(chosen)))

        if dataset.pack is not None:
            part = load_packed(dataset, max_validated=10**6, should_stop=should_stop)
            training += _showing(part.training, name)
            held_out += [(dataset.name, s) for s in _showing(part.validation, name)]
        else:
            made = load_samples(dataset, dataset.cases, cache, on_progress=listen, should_stop=should_stop)
            free += [(dataset.name, s) for s in _showing(made, name)]
    known = {(data, subject) for data, subjects in (learned or {}).items() for subject in subjects}
    sources = tuple(d.name for d in chosen), tuple(dict.fromkeys(d.licence for d in chosen))
    return _split(name, free, training, held_out, known, *sources, validation=validation, seed=seed)


def gathered_subjects(cache: Path, structure: str, *, validation: float, seed: int) -> Subjects:
    """The same of volumes that were handed over one by one (:mod:`.gathered`)."""
    free = [("", s) for s in gathered.samples(cache, structure)]
    return _split(structure, free, [], [], set(), (), (), validation=validation, seed=seed)


def _split(
    name: str,
    free: Sequence[tuple[str, Sample]],
    training: list[Sample],
    held_out: list[tuple[str, Sample]],
    known: set[tuple[str, str]],
    data: tuple[str, ...],
    licences: tuple[str, ...],
    *,
    validation: float,
    seed: int,
) -> Subjects:
    """Hold out a share of the ``free`` volumes (data set, volume), those that are not ``known`` before others."""
    count = len(free) + len(training) + len(held_out)
    if count < MIN_SUBJECTS:
        raise InputError(
            f"{name} is in {count} of the volumes, and a labelled set needs {MIN_SUBJECTS}",
            "add volumes, or draw it in a few slices of one instead",
        )
    order = sorted(free, key=lambda one: (one[0], one[1].name))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda one: (one[0], one[1].name) in known)
    kept_back = min(len(order), max(1, round(len(order) * validation))) if validation and order else 0
    if not training and kept_back == len(order):
        kept_back -= 1
    held_out = [*held_out, *order[:kept_back]]
    training = [*training, *(s for _, s in order[kept_back:])]
    if not training:
        raise InputError(f"No volume is left to learn {name} from", "lower --validation, or add volumes")
    twice = [s.name for s in training if s.name in {other.name for _, other in held_out}]
    if twice:
        raise InputError(
            f"{quoted(twice, 3)} would be learned from and held out",
            "give each volume of the data sets a name of its own",
        )
    return Subjects(
        name,
        tuple(sorted(training, key=lambda s: s.name)),
        tuple(sorted((s for _, s in held_out), key=lambda s: s.name)),
        data,
        licences,
        tuple(sorted(s.name for data, s in held_out if (data, s.name) in known)),
    )


def named(structure: str, datasets: Sequence[DataSet]) -> str:
    """The data sets' own name of a structure. Raises :class:`InputError` where none has it."""
    names = list(dict.fromkeys(n for d in datasets for n in d.labels.values()))
    if structure in names:
        return structure
    found = [n for n in names if key(n) == key(structure)]
    if not found:
        raise InputError(f"No data set has a structure '{structure}'", f"choose of: {quoted(names, 120)}")
    return found[0]


def _showing(samples: Sequence[Sample], name: str) -> list[Sample]:
    """The samples that show a structure, as if nothing else were annotated in them."""
    return [replace(s, where={name: s.where[name]}, absent=()) for s in samples if name in s.where]
