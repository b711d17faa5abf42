"""Which subjects teach and which are held out: those of labelled sets in which the structure is annotated.

All volumes of a subject are on one side. A data set that is derived from another teaches, with all that it holds, and
its subjects' own volumes teach as well.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..anatomy.terminology import key
from ..datasets.loading import DataSet, load_samples, read_datasets
from ..datasets.pack import load_packed
from ..datasets.provenance import subjects_of
from ..datasets.sample import Sample, warnings_of_samples
from ..errors import InputError, quoted
from ..progress import OnProgress, Progress, ShouldStop, ignore, never
from ..spelling import spelled
from . import gathered

MIN_SUBJECTS = 3
"""The volumes of fewer are better taught by drawing in them."""
Owned = tuple[str, Sample]
"""A volume, and the data set whose subject it is of."""


@dataclass(frozen=True)
class Subjects:
    """``training`` and ``held_out`` volumes show ``structure``, as the data sets call it; ``seen`` are the subjects
    held out that the backbone itself was pre-trained on, whose Dice says too much."""

    structure: str
    training: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    data: tuple[str, ...]
    licences: tuple[str, ...]
    seen: tuple[str, ...] = ()

    @property
    def split(self) -> dict[str, list[str]]:
        """The volumes' names."""
        return {"training": [s.name for s in self.training], "held_out": [s.name for s in self.held_out]}

    @property
    def subjects_held_out(self) -> int:
        """Of how many subjects the volumes held out are."""
        return len({s.subject for s in self.held_out})

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
    has or that fewer than three subjects show, :class:`OutputError` where the cache cannot be written, and ``Stopped``.
    """
    datasets = read_datasets(paths)
    name = named(structure, datasets)
    chosen = [d for d in datasets if name in d.labels.values()]
    free: list[Owned] = []
    training: list[Owned] = []
    held_out: list[Owned] = []
    for n, dataset in enumerate(chosen):
        owner = dataset.derived_from or dataset.name

        def listen(report: Progress, n: int = n) -> None:
            on_progress(replace(report, fraction=(n + report.fraction) / len(chosen)))

        if dataset.pack is not None:
            part = load_packed(dataset, max_validated=10**6, should_stop=should_stop)
            training += [(owner, s) for s in _showing(part.training, name)]
            held_out += [(owner, s) for s in _showing(part.validation, name)]
        else:
            made = load_samples(dataset, dataset.cases, cache, on_progress=listen, should_stop=should_stop)
            shown = [(owner, s) for s in _showing(made, name)]
            (training if dataset.derived_from else free).extend(shown)
    owners = {data for data, _ in (*free, *held_out)}
    known = {(spelled(data), spelled(subject)) for data in owners for subject in subjects_of(learned or {}, data)}
    sources = tuple(d.name for d in chosen), tuple(dict.fromkeys(d.licence for d in chosen))
    return _split(name, free, training, held_out, known, *sources, validation=validation, seed=seed)


def gathered_subjects(cache: Path, structure: str, *, validation: float, seed: int) -> Subjects:
    """The same of volumes that were handed over one by one (:mod:`.gathered`)."""
    free = [("", s) for s in gathered.samples(cache, structure)]
    return _split(structure, free, [], [], set(), (), (), validation=validation, seed=seed)


def _split(
    name: str,
    free: Sequence[Owned],
    training: Sequence[Owned],
    held_out: Sequence[Owned],
    known: set[tuple[str, str]],
    data: tuple[str, ...],
    licences: tuple[str, ...],
    *,
    validation: float,
    seed: int,
) -> Subjects:
    """Hold out a share of the subjects of ``free`` volumes, those that are not ``known`` before others and none that
    teaches already."""
    count = len({_owner(one) for one in (*free, *training, *held_out)})
    if count < MIN_SUBJECTS:
        raise InputError(
            f"{name} is in volumes of {count} subjects, and a labelled set needs {MIN_SUBJECTS}",
            "add volumes of others, or draw it in a few slices of one instead",
        )
    names = {_owner(one): (one[0], one[1].subject) for one in reversed(free)}
    order = sorted(names, key=lambda owner: names[owner])
    random.Random(seed).shuffle(order)
    order.sort(key=lambda owner: owner in known)
    taught = {_owner(one) for one in training}
    kept_back = max(1, round(len(order) * validation)) if validation else 0
    chosen = [owner for owner in order if owner not in taught][:kept_back]
    if not training and len(chosen) == len(order):
        chosen = chosen[:-1]
    held_out = [*held_out, *(one for one in free if _owner(one) in chosen)]
    training = [*training, *(one for one in free if _owner(one) not in chosen)]
    if not training:
        raise InputError(f"No volume is left to learn {name} from", "lower --validation, or add volumes")
    out = {s.name for _, s in held_out}
    twice = [s.name for _, s in training if s.name in out]
    if twice:
        raise InputError(
            f"{quoted(twice, 3)} would be learned from and held out",
            "give each volume of the data sets a name of its own",
        )
    leak = {_owner(one) for one in held_out} & {_owner(one) for one in training}
    if leak:
        raise InputError(
            f"{quoted(sorted(subject for _, subject in leak), 3)} would be learned from and held out",
            "leave out the data set that is derived from the other, or make it anew of who is learned from there",
        )
    return Subjects(
        name,
        tuple(sorted((s for _, s in training), key=lambda s: s.name)),
        tuple(sorted((s for _, s in held_out), key=lambda s: s.name)),
        data,
        licences,
        tuple(sorted({one[1].subject for one in held_out if _owner(one) in known})),
    )


def _owner(one: Owned) -> tuple[str, str]:
    """Whose volume it is, as it is compared: the data set and the subject."""
    return spelled(one[0]), spelled(one[1].subject)


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
