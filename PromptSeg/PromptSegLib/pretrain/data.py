"""Training data: data sets in the Medical Segmentation Decathlon layout, preprocessed once into memory-mapped arrays.

A structure that a volume does not hold is taken as not annotated there: it gives no loss, neither positive nor
negative.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError, OutputError, PromptSegError
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..volumes.io import read_labels, read_volume
from ..volumes.preprocess import WorkingVolume

RECIPE = {"version": 2, "spacing": 2.0}
"""What the cache was made with; a change makes a new cache."""


@dataclass(frozen=True)
class Case:
    """One annotated volume of a data set, on disk."""

    name: str
    image: Path
    label: Path


@dataclass(frozen=True)
class DataSet:
    """A ``dataset.json`` that was read and checked: ``labels`` maps file values to structure names."""

    name: str
    labels: dict[int, str]
    cases: tuple[Case, ...]
    licence: str

    @property
    def file_name(self) -> str:
        """The name without what a file's name must not hold."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip("-.") or "dataset"


def read_dataset(path: Path) -> DataSet:
    """Read ``dataset.json``. Raises :class:`InputError` for a missing or malformed file, or one that names missing
    files."""
    path = Path(path)
    path = path / "dataset.json" if path.is_dir() else path
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        labels = {int(v): str(n).strip() for v, n in values["labels"].items() if int(v) > 0}
        entries = [(str(e["image"]), str(e["label"])) for e in values["training"]]
    except OSError as error:
        raise InputError(f"{path} cannot be read", "name a dataset.json in the Decathlon layout") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a Decathlon dataset.json", "it needs labels and training, a list of image and label"
        ) from error
    cases = []
    for image, label in entries:
        case = Case(Path(image).name.split(".")[0], path.parent / image, path.parent / label)
        for file in (case.image, case.label):
            if not file.is_file():
                raise InputError(
                    f"{path} names {file.name}, which is not there", "complete the data set or remove the entry"
                )
        cases.append(case)
    if not cases or not labels:
        raise InputError(f"{path} lists no training volume or no label", "a data set needs at least one of both")
    for what, names in (("label", labels.values()), ("volume", (c.name for c in cases))):
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise InputError(f"{path} has more than one {what} called {name!r}", "give each a name of its own")
    if not all(n and n.isprintable() and len(n) <= 200 for n in labels.values()):
        raise InputError(f"{path} has a label without a readable name", "name each label in plain text")
    return DataSet(
        str(values.get("name", path.parent.name)), labels, tuple(cases), str(values.get("licence", "not stated"))
    )


def read_datasets(paths: Iterable[Path]) -> list[DataSet]:
    """:func:`read_dataset` of each. Raises :class:`InputError` also if two have one name."""
    read = [read_dataset(path) for path in paths]
    if not read:
        raise InputError("There is no data set to learn from", "name a dataset.json")
    name, count = Counter(d.file_name for d in read).most_common(1)[0]
    if count > 1:
        raise InputError(f"Two data sets are called {name}", "change the name in one dataset.json")
    return read


def split_cases(cases: Sequence[Case], validation: float, seed: int = 1) -> tuple[list[Case], list[Case]]:
    """Training and validation cases, by subject: the same for the same names and seed, whatever their order."""
    ordered = sorted(cases, key=lambda c: c.name)
    random.Random(seed).shuffle(ordered)
    held_out = round(len(ordered) * validation) if len(ordered) > 1 else 0
    return sorted(ordered[held_out:], key=lambda c: c.name), sorted(ordered[:held_out], key=lambda c: c.name)


@dataclass
class Sample:
    """One cached volume: ``grey`` and ``labels`` (N, H, W) uint8, slices from inferior to superior; ``labels`` hold
    1 + index into ``structures``; ``where`` lists for each structure the slices that show it."""

    name: str
    grey: np.ndarray
    labels: np.ndarray
    structures: tuple[str, ...]
    slice_mm: float
    where: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Part:
    """One data set in a run: its samples to learn from, a few of those held out, and the names of all cases of each."""

    dataset: DataSet
    training: list[Sample]
    validation: list[Sample]
    training_names: list[str]
    validation_names: list[str]


def load_part(
    dataset: DataSet,
    validation: float,
    seed: int,
    cache: Path,
    *,
    most_validated: int = 4,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Part:
    """Split a data set and load it. Raises :class:`InputError` if nothing is left to learn from."""
    training, held_out = split_cases(dataset.cases, validation, seed)
    samples, checked = (
        load_samples(dataset, cases, cache, on_progress=on_progress, should_stop=should_stop)
        for cases in (training, held_out[:most_validated])
    )
    if not samples:
        raise InputError(
            f"{dataset.name} has no annotated volume in its training part", "add volumes or lower --validation"
        )
    return Part(dataset, samples, checked, [c.name for c in training], [c.name for c in held_out])


def _prepare(dataset: DataSet, case: Case, folder: Path, should_stop: ShouldStop) -> None:
    """Bring one case to the working grid and write its arrays."""
    try:
        volume = read_volume(case.image)
        labels = read_labels(case.label, volume.grid)
    except PromptSegError as error:
        raise type(error)(f"{dataset.name}, {case.name}: {error.problem}", error.remedy) from error
    unknown = set(labels.values) - set(dataset.labels)
    if unknown:
        raise InputError(
            f"The labels of {case.name} hold {sorted(unknown)}, which dataset.json does not name", "add them there"
        )
    work = WorkingVolume(volume, spacing=RECIPE["spacing"])
    order = list(range(work.count))[:: work._slice_sign]
    grey = np.empty((work.count, *work.size), np.uint8)
    target = np.zeros_like(grey)
    for row, k in enumerate(order):
        check(should_stop)
        grey[row] = work.grey(k)
        plane = labels.array.take(k, axis=work.axis)
        for n, value in enumerate(dataset.labels):
            if (plane == value).any():
                target[row][work.mask_to_working(plane == value) > 0.5] = n + 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "grey.npy", grey)
        np.save(folder / "labels.npy", target)
        info = {"structures": list(dataset.labels.values()), "slice_mm": work.slice_mm, "files": _files(case)}
        (folder / "case.json").write_text(json.dumps(info))
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror}", "check the folder and its free space"
        ) from error


def _files(case: Case) -> list[list[int]]:
    """Size and time of a case's files: other files make the cached arrays anew."""
    return [[s.st_size, s.st_mtime_ns] for s in (case.image.stat(), case.label.stat())]


def _cached(case: Case, folder: Path) -> bool:
    """Whether the arrays in ``folder`` are whole and made from the files as they are."""
    try:
        info = json.loads((folder / "case.json").read_text())  # written last: an interrupted case is made again
    except (OSError, ValueError):
        return False
    return info.get("files", _files(case)) == _files(case)


def load_samples(
    dataset: DataSet,
    cases: Sequence[Case],
    cache: Path,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> list[Sample]:
    """The cases' arrays, memory-mapped from ``cache``; what is not there yet is made first."""
    key = hashlib.sha256(json.dumps([RECIPE, dataset.name, sorted(dataset.labels.items())]).encode()).hexdigest()[:12]
    samples = []
    for n, case in enumerate(cases):
        check(should_stop)
        folder = Path(cache) / f"{dataset.file_name}-{key}" / case.name
        if not _cached(case, folder):
            (folder / "case.json").unlink(missing_ok=True)
            on_progress(Progress("cache", 0.0, f"Preparing {case.name}, {n + 1} of {len(cases)}"))
            _prepare(dataset, case, folder, should_stop)
        info = json.loads((folder / "case.json").read_text())
        labels = np.load(folder / "labels.npy", mmap_mode="r")
        sample = Sample(
            case.name, np.load(folder / "grey.npy", mmap_mode="r"), labels, tuple(info["structures"]), info["slice_mm"]
        )
        # Under three pixels is a label's ragged end, not a slice to learn from.
        counts = np.stack([np.bincount(p.ravel(), minlength=len(sample.structures) + 1) for p in labels])
        for i, name in enumerate(sample.structures):
            slices = np.flatnonzero(counts[:, i + 1] >= 3)
            if len(slices):
                sample.where[name] = slices
        if sample.where:
            samples.append(sample)
    return samples
