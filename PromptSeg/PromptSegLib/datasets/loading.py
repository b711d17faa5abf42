"""Training data as a run takes it: any number of data sets, split by subject, preprocessed once into a cache.

The cache is a folder for each case with memory-mapped arrays. A structure that a volume does not hold is taken as not
annotated there, and gives no loss, neither positive nor negative, unless the data set says otherwise.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..anatomy.terminology import key
from ..errors import InputError, OutputError, PromptSegError, quoted, system_problem
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..volumes.dicom_labels import is_label_object
from ..volumes.geometry import OrientationError
from ..volumes.io import LabelMap, read_labels, read_volume
from .description import Case, DataSet, read_dataset, share_names
from .pack import load_packed, read_packed_sets
from .regions import Regions, grow
from .sample import RECIPE, UNIONS, Part, Sample
from .sample_cache import REGIONS, open_sample, remove_sample, save_array, write_sample

__all__ = [
    "RECIPE",
    "Case",
    "DataSet",
    "Part",
    "Sample",
    "leave_out",
    "load_part",
    "load_regions",
    "load_samples",
    "mark_absent",
    "read_dataset",
    "read_datasets",
    "remove_cache",
    "split",
    "split_cases",
    "structures_of",
    "subjects",
    "values_in",
]

_SAY_ORIENTATION = "set them in 3D Slicer's module Volumes and save it again, or convert the original series again"


def read_datasets(paths: Iterable[Path]) -> list[DataSet]:
    """The data sets of each ``dataset.json`` (or its folder) and ``.pack`` file, with one spelling for each structure.

    Raises :class:`InputError` as :func:`read_dataset` does, and if two have one name.
    """
    read: list[DataSet] = []
    for path in paths:
        read += read_packed_sets(path) if is_pack(path) else [read_dataset(path)]
    if not read:
        raise InputError("There is no data set to learn from", "name a dataset.json")
    name, count = Counter(d.file_name.casefold() for d in read).most_common(1)[0]
    if count > 1:
        raise InputError(f"Two data sets are called {name}", "change the name in one dataset.json")
    tables = share_names([d.labels for d in read])
    return [replace(d, labels=labels) for d, labels in zip(read, tables, strict=True)]


def is_pack(path: Path | str) -> bool:
    """Whether a path names a file of :func:`~.pack.write_pack`."""
    return Path(path).suffix.lower() == ".pack"


def split(dataset: DataSet, validation: float, seed: int = 1) -> tuple[list[Case], list[Case]]:
    """Training and validation cases of a data set, as :func:`split_cases`; of one that is derived from another nobody
    is held out."""
    return split_cases(dataset.cases, 0.0 if dataset.derived_from else validation, seed)


def split_cases(cases: Sequence[Case], validation: float, seed: int = 1) -> tuple[list[Case], list[Case]]:
    """Training and validation cases, all of a subject in one of both: the same for the same subjects and seed,
    whatever their order."""
    ordered = sorted({c.subject for c in cases})
    random.Random(seed).shuffle(ordered)
    count = round(len(ordered) * validation) if len(ordered) > 1 else 0
    held_out, by_name = {*ordered[:count]}, sorted(cases, key=lambda c: c.name)
    return [c for c in by_name if c.subject not in held_out], [c for c in by_name if c.subject in held_out]


def load_part(
    dataset: DataSet,
    validation: float,
    seed: int,
    cache: Path,
    *,
    max_validated: int = 4,
    regions: bool = False,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Part:
    """Split a data set and load it; one from a pack was split when it was packed, and needs no cache.

    Raises :class:`InputError` if nothing is left to learn from, :class:`OutputError` if the cache cannot be written.
    """
    if dataset.pack is not None:
        return load_packed(dataset, max_validated=max_validated, should_stop=should_stop)
    training, held_out = split(dataset, validation, seed)
    checked = held_out[:max_validated]
    share = len(training) / max(1, len(training) + len(checked))

    def second(report: Progress) -> None:
        on_progress(replace(report, fraction=share + (1 - share) * report.fraction))

    def first(report: Progress) -> None:
        on_progress(replace(report, fraction=share * report.fraction))

    samples = load_samples(dataset, training, cache, regions=regions, on_progress=first, should_stop=should_stop)
    if not samples:
        raise InputError(
            f"{dataset.name} has no annotated volume in its training part", "add volumes or lower --validation"
        )
    validated = load_samples(dataset, checked, cache, on_progress=second, should_stop=should_stop)
    return Part(dataset, samples, validated, subjects(training), subjects(held_out))


def subjects(cases: Iterable[Case]) -> list[str]:
    """Whose volumes these are, sorted."""
    return sorted({c.subject for c in cases})


def structures_of(parts: Sequence[Part]) -> list[str]:
    """All structures of a run, those that only consist of others included, in the order of the data sets."""
    names = list(dict.fromkeys(n for p in parts for n in p.dataset.labels.values()))
    return [*names, *(union for union, of in UNIONS.items() if union not in names and {*of} <= {*names})]


def remove_cache(cache: Path) -> None:
    """Take away what :func:`load_samples` has put into a folder, and the folder once it is empty; nothing else."""
    with contextlib.suppress(OSError):
        for made in cache.iterdir():
            if re.fullmatch(r".+-[0-9a-f]{12}", made.name) and made.is_dir():
                for folder in made.iterdir():
                    remove_sample(folder)
                _remove_empty(made)
        _remove_empty(cache)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def load_regions(sample: Sample, folder: Path, should_stop: ShouldStop = never) -> Regions:
    """The regions of a sample, memory-mapped from its folder in the cache, where they are made first if they are not
    there. Raises ``Stopped``, :class:`OutputError`."""
    paths = [folder / f"regions-{name}.npy" for name in REGIONS]
    for _ in range(2):
        try:
            found = [np.load(path, mmap_mode="r" if path is paths[0] else None) for path in paths]
        except (OSError, ValueError):
            found = []
        if found and found[0].shape == sample.grey.shape:
            return Regions(*found)
        made = grow(sample.grey, sample.slice_mm, RECIPE["spacing"], should_stop)
        try:
            for path, name in reversed(list(zip(paths, REGIONS, strict=True))):
                save_array(path, np.ascontiguousarray(getattr(made, name)))
        except OSError as error:
            raise system_problem(error) or OutputError(
                f"{folder} cannot be written", "free some space or choose another folder"
            ) from error
    return made


def mark_absent(parts: Sequence[Part], absent: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    """Take structures of other data sets as absent from all volumes of one: ``absent`` lists them by data set.

    What a volume shows is left out. Raises :class:`InputError` for a data set or structure that is not in the run.
    """
    known = {p.dataset.name: p for p in parts}
    for name, structures in absent.items():
        if name not in known:
            raise InputError(f"There is no data set '{name}' to be without structures", f"there is {quoted(known)}")
        unknown = sorted({*structures} - {*names})
        if unknown:
            raise InputError(f"No data set annotates {quoted(unknown)}", f"choose of {quoted(names, 120)}")
        for sample in known[name].training:
            new = [s for s in structures if s not in sample.annotated]
            sample.absent = (*sample.absent, *new)


def leave_out(parts: Sequence[Part], structures: Sequence[str]) -> list[Part]:
    """The same data sets as if nobody had annotated these structures: to their volumes' others they are background.

    Raises :class:`InputError` for a structure that no data set annotates, or if one has nothing left to learn from.
    """
    names = dict.fromkeys(n for p in parts for n in p.dataset.labels.values())
    unknown = sorted({*structures} - {*names})
    if unknown:
        raise InputError(f"No data set annotates {quoted(unknown)}", f"choose of {quoted(names, 120)}")

    def without(samples: Iterable[Sample]) -> list[Sample]:
        kept = []
        for s in samples:
            where = {n: slices for n, slices in s.where.items() if n not in structures}
            if where:
                kept.append(replace(s, where=where, absent=tuple(n for n in s.absent if n not in structures)))
        return kept

    left = []
    for p in parts:
        training = without(p.training)
        if not training:
            raise InputError(f"{p.dataset.name} has nothing left to learn from", "leave out less, or the data set")
        labels = {value: n for value, n in p.dataset.labels.items() if n not in structures}
        dataset = replace(p.dataset, labels=labels)
        left.append(replace(p, dataset=dataset, training=training, validation=without(p.validation)))
    return left


def load_samples(
    dataset: DataSet,
    cases: Sequence[Case],
    cache: Path,
    *,
    regions: bool = False,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> list[Sample]:
    """The cases' arrays, memory-mapped from ``cache``; what is not there yet is made first.

    Another recipe or label table makes a new cache, other files make a case anew. Progress is reported only while
    something is being made. Volumes that show no structure at all are left out, but where ``regions`` are wanted.
    Raises :class:`InputError` for a case that cannot be read, and ``Stopped``.
    """
    table = json.dumps([RECIPE, dataset.name, sorted(dataset.labels.items())])
    folder = Path(cache) / f"{dataset.file_name}-{hashlib.sha256(table.encode()).hexdigest()[:12]}"
    samples, made = [], False
    for n, case in enumerate(cases):
        check(should_stop)
        sample = _open(dataset, case, folder / case.name)
        if sample is None:
            message = f"Preparing {dataset.name}, volume {n + 1} of {len(cases)}: {case.name}"
            on_progress(Progress("cache", n / len(cases), message))
            made = True
            _prepare(dataset, case, folder / case.name, should_stop)
            sample = _open(dataset, case, folder / case.name)
        if sample is None:
            raise InputError(f"{case.name} changed while it was read", "start again")
        sample.subject = case.subject
        if regions:
            sample.regions = load_regions(sample, folder / case.name, should_stop)
        if sample.where or regions:
            samples.append(sample)
    if made:
        on_progress(Progress("cache", 1.0, f"Prepared {dataset.name}"))
    return samples


def _open(dataset: DataSet, case: Case, folder: Path) -> Sample | None:
    """The arrays in ``folder``, if they are whole and made from the files as they are."""
    try:
        files = _files(case)
    except OSError:
        return None
    sample = open_sample(folder, case.name, tuple(dataset.labels.values()), files)
    if sample is not None and dataset.absent_is_negative:
        sample.absent = tuple(n for n in sample.structures if n not in sample.where)
    return sample


def _prepare(dataset: DataSet, case: Case, folder: Path, should_stop: ShouldStop) -> None:
    """Bring one case to the working grid and write its arrays."""
    try:
        files = _files(case)
        volume = read_volume(case.image)
        labels = read_labels(case.label, volume.grid, source=volume.source)
    except PromptSegError as error:
        # One orientation for all of a data set's files would be a guess.
        remedy = _SAY_ORIENTATION if isinstance(error, OrientationError) else error.remedy
        raise type(error)(f"{dataset.name}, {case.name}: {error.problem}", remedy) from error
    except OSError as error:
        raise system_problem(error) or InputError(
            f"{dataset.name}, {case.name}: a file is gone", "complete the data set"
        ) from error
    values = values_in(dataset, case, labels)
    of_file = [values.get(value) for value in dataset.labels]

    def plane(n: int, k: int, axis: int) -> np.ndarray | None:
        value = of_file[n]
        return None if value is None else labels.plane(value, k, axis)

    write_sample(
        folder, volume, tuple(dataset.labels.values()), plane, files=files, notes=labels.notes, should_stop=should_stop
    )


def values_in(dataset: DataSet, case: Case, labels: LabelMap) -> dict[int, int]:
    """The values of a case's label map by the data set's. DICOM objects number structures as they like, and hold others
    as well: there, names count. Raises :class:`InputError` for labels that the data set does not name."""
    if not is_label_object(case.label):
        unknown = set(labels.values) - set(dataset.labels)
        if unknown:
            raise InputError(
                f"The labels of {case.name} hold {sorted(unknown)}, which dataset.json does not name", "add them there"
            )
        return {value: value for value in dataset.labels}
    there = {key(one.name): value for value, one in labels.names.items()}
    found = {value: there[key(name)] for value, name in dataset.labels.items() if key(name) in there}
    if not found:
        raise InputError(
            f"{case.label.name} of {case.name} has none of the structures that dataset.json names, but"
            f" {quoted(one.name for one in labels.names.values())}",
            "name them there as this file does",
        )
    return found


def _files(case: Case) -> list[list[int]]:
    """Size and time of a case's files: other files make the cached arrays anew."""
    inside = sorted(case.image.iterdir()) if case.image.is_dir() else [case.image]
    return [[s.st_size, s.st_mtime_ns] for s in (one.stat() for one in (*inside, case.label))]
