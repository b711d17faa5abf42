r"""Training data in one small file: for machines that keep little and have to start within seconds.

A ``.pack`` is a zip of one JSON and an ``.npz`` for each volume, with ``grey`` and ``labels`` as the cache has them.
Grey is stored as its second difference, along rows and columns, which deflates to about a tenth less. Files from others
are data: nothing is run, no name in the file leads anywhere, and sizes are checked before memory is taken.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import InputError, system_problem
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from .description import DataSet, check_labels
from .sample import RECIPE, Part, Sample, by_name, shown_in

FORMAT = "promptseg-pack-2"
MAX_BYTES = 2**30
"""Larger files are not read."""
MAX_VOXELS = 2**29
"""Of one volume; a pack may hold eight times as many."""
VALIDATED = 2
ENOUGH = 48
"""Slices are only left out where fewer volumes than this, and less than half, would fit with all of theirs."""
STEPS = (1, 2, 3, 4)
_MEMBERS = ("grey", "labels")
# What the libraries raise for bytes that are not what they should be.
_BROKEN = (
    *(OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


@dataclass(frozen=True)
class Packed:
    """What became of one data set: names of the volumes that are in the pack, of volumes and whole subjects that were
    left out, and ``every``: 1 for all slices, 2 for every second one. ``lost`` are structures that no packed volume
    shows."""

    name: str
    training: tuple[str, ...]
    validation: tuple[str, ...]
    left_out: tuple[str, ...]
    every: int
    lost: tuple[str, ...]

    def __str__(self) -> str:
        slices = "all slices" if self.every == 1 else f"one slice in {self.every}"
        text = f"{self.name}: {len(self.training)} volumes to learn from, {len(self.validation)} to check, {slices}"
        out = f"{text}; left out: {', '.join(self.left_out) or 'nothing'}"
        return f"{out}; no volume shows {', '.join(self.lost)}" if self.lost else out


def write_pack(
    parts: Sequence[Part],
    path: Path,
    max_bytes: int = 60_000_000,
    *,
    every: int | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> list[Packed]:
    """Write as much of ``parts`` as ``max_bytes`` hold, always the same for the same input, and say what is in it.

    Each data set gets an even share of the space; what it does not need goes to the others. Volumes are whole, unless
    too few would fit: then one slice in 2, 3 or 4 is kept, as ``every`` sets for all. At most two held-out volumes of
    each go in. Raises :class:`InputError` if not even one volume of a data set fits, :class:`OutputError` if the file
    cannot be written, and ``Stopped``; a file that was there before then stays.
    """
    if not parts or len({p.dataset.name for p in parts}) < len(parts):
        raise InputError("There is no data set to pack, or one twice", "name each data set once")
    smaller = sorted(range(len(parts)), key=lambda n: sum(s.grey.size for s in parts[n].training))
    left = max_bytes - _overhead(parts)
    chosen: dict[int, _Choice] = {}
    for turn, n in enumerate(smaller):

        def listen(share: float, message: str, turn: int = turn) -> None:
            on_progress(Progress("pack", (turn + share) / len(parts), message))

        chosen[n] = _choose(parts[n], left // (len(parts) - turn), every, listen, should_stop)
        left -= chosen[n].bytes
    entries = [_part_entry(part, chosen[n]) for n, part in enumerate(parts)]
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        manifest = json.dumps({"format": FORMAT, "recipe": RECIPE, "parts": entries}).encode()
        archive.writestr(zipfile.ZipInfo("pack.json"), manifest, zipfile.ZIP_DEFLATED)
        for n in range(len(parts)):
            for number, data in enumerate(chosen[n].data.values()):
                archive.writestr(zipfile.ZipInfo(_member(n, number)), data)
    return [_packed(part, chosen[n]) for n, part in enumerate(parts)]


def read_pack(path: Path, should_stop: ShouldStop = never) -> list[Part]:
    """Everything in a pack, in memory. Raises :class:`InputError` for what is damaged, foreign or of another recipe."""
    return [load_packed(dataset, should_stop=should_stop) for dataset in read_packed_sets(path)]


def read_packed_sets(path: Path) -> list[DataSet]:
    """The data sets of a pack, without their volumes. Raises :class:`InputError` as :func:`read_pack`."""
    return [dataset for dataset, _ in _manifest(Path(path))]


def load_packed(dataset: DataSet, *, max_validated: int = VALIDATED, should_stop: ShouldStop = never) -> Part:
    """The volumes of one of :func:`read_packed_sets`, whose structures may have been given other names since.

    Raises :class:`InputError` as :func:`read_pack`.
    """
    path = dataset.pack
    if path is None:
        raise InputError(f"{dataset.name} is not from a pack", "name a file that ends in .pack")
    numbered = {d.name: (n, entry) for n, (d, entry) in enumerate(_manifest(path))}
    if dataset.name not in numbered:
        raise InputError(f"{path.name} changed while it was read", "start again")
    n, entry = numbered[dataset.name]
    cases = entry["cases"]
    samples: dict[bool, list[Sample]] = {True: [], False: []}
    try:
        with zipfile.ZipFile(path) as archive:
            for number, case in enumerate(cases):
                check(should_stop)
                held_out = bool(case["validation"])
                if held_out and len(samples[True]) >= max_validated:
                    continue
                samples[held_out].append(_decode(archive.read(_member(n, number)), case, dataset))
    except _BROKEN as error:
        raise system_problem(error) or _damaged(path) from error
    if not any(s.where for s in samples[False]):
        raise InputError(f"{path.name} has no annotated volume of {dataset.name} to learn from", "write it again")
    names = sorted({case["subject"] for case in cases if not case["validation"]})
    learned, validated = ([s for s in samples[kind] if s.where] for kind in (False, True))
    return Part(dataset, learned, validated, names, list(entry["held_out"]))


@dataclass
class _Choice:
    """What of a part goes in: encoded samples by name, one slice in ``every``, and the bytes that they take."""

    every: int
    data: dict[str, bytes]
    samples: dict[str, tuple[bool, Sample]]
    bytes: int


def _choose(
    part: Part, share: int, every: int | None, listen: Callable[[float, str], None], should_stop: ShouldStop
) -> _Choice:
    """As many of the part's volumes as ``share`` bytes hold, in an order that is random but always the same."""
    training = sorted(part.training, key=lambda s: hashlib.sha256(s.name.encode()).digest())
    validation = part.validation[:VALIDATED]
    if every is None:
        probe = [*training[:3], *validation[:1]]
        sizes = []
        for sample in probe:
            check(should_stop)
            sizes.append(len(_encode(sample)))
        enough = min(len(training), max(1, math.ceil(len(training) / 2)), ENOUGH) + len(validation)
        fitting = [step for step in STEPS if share * step / float(np.mean(sizes)) >= enough]
        every = fitting[0] if fitting else STEPS[-1]
    choice = _Choice(every, {}, {}, 0)
    # One to learn from comes first: without it, those to check are of no use.
    order = [(False, s) for s in training[:1]] + [(True, s) for s in validation] + [(False, s) for s in training[1:]]
    missed = 0
    for n, (held_out, sample) in enumerate(order):
        check(should_stop)
        listen(n / len(order), f"Packing {part.dataset.name}: {sample.name}")
        thin = _thinned(sample, every)
        if not thin.where:
            continue
        data = _encode(thin)
        if choice.bytes + len(data) > share:
            missed += 1
            if missed > 2:  # these were not just large ones
                break
            continue
        choice.data[sample.name] = data
        choice.samples[sample.name] = (held_out, thin)
        choice.bytes += len(data)
    if all(held_out for held_out, _ in choice.samples.values()):
        raise InputError(
            f"No volume of {part.dataset.name} fits into its {share / 1e6:.1f} MB",
            "allow a larger file or pack fewer data sets",
        )
    return choice


def _thinned(sample: Sample, every: int) -> Sample:
    """One slice in ``every``; a structure that is no longer shown is not annotated any more."""
    if every == 1:
        return sample
    labels = np.ascontiguousarray(sample.labels[::every])
    where = by_name(sample.structures, shown_in(labels, len(sample.structures)))
    where = {name: slices for name, slices in where.items() if name in sample.where}
    grey = np.ascontiguousarray(sample.grey[::every])
    return replace(sample, grey=grey, labels=labels, slice_mm=sample.slice_mm * every, where=where, regions=None)


def _encode(sample: Sample) -> bytes:
    zero = np.zeros((), np.uint8)
    grey = np.diff(np.diff(sample.grey, axis=1, prepend=zero), axis=2, prepend=zero)
    file = io.BytesIO()
    np.savez_compressed(file, grey=grey, labels=sample.labels)
    return file.getvalue()


def _decode(data: bytes, case: Mapping[str, Any], dataset: DataSet) -> Sample:
    """Raises one of many errors if ``data`` are not what the manifest says."""
    shape = tuple(case["shape"])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        plain = all(m.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for m in archive.infolist())
        if sorted(archive.namelist()) != [f"{what}.npy" for what in _MEMBERS] or not plain:
            raise ValueError("other arrays")
        differences, labels = (_array(archive, f"{what}.npy", shape) for what in _MEMBERS)
    structures = tuple(dataset.labels.values())
    if labels.max(initial=0) > len(structures):
        raise ValueError("labels without a name")
    grey = np.add.accumulate(np.add.accumulate(differences, 2, np.uint8), 1, np.uint8)
    absent = tuple(structures[n] for n in case["absent"])
    where = by_name(structures, shown_in(labels, len(structures)))
    if set(where) & set(absent):
        raise ValueError("both there and absent")
    return Sample(
        case["name"], grey, labels, structures, float(case["slice_mm"]), where, absent, subject=case["subject"]
    )


def _array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An uint8 array of that shape. Raises :class:`ValueError` for any other, before memory is taken for it."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        found, fortran, dtype = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else ((), True, None)
        if found != shape or fortran or dtype != np.uint8:
            raise ValueError("another shape or type")
        size = math.prod(shape)
        data = file.read(size + 1)  # to the end, where the checksum is compared
    if len(data) != size:
        raise ValueError("another length")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _part_entry(part: Part, choice: _Choice | None) -> dict[str, Any]:
    """A part in the manifest; without a choice with all its volumes, to know how long that can get."""
    dataset = part.dataset
    every = {s.name: (v, s) for v, some in ((False, part.training), (True, part.validation)) for s in some}
    samples = every if choice is None else choice.samples
    cases = [
        {
            "name": name,
            "subject": sample.subject,
            "validation": held_out,
            "shape": list(sample.grey.shape),
            "slice_mm": sample.slice_mm,
            "absent": [sample.structures.index(s) for s in sample.absent],
        }
        for name, (held_out, sample) in samples.items()
    ]
    return {
        "name": dataset.name,
        "licence": dataset.licence,
        "labels": {str(value): name for value, name in dataset.labels.items()},
        "absent_is_negative": dataset.absent_is_negative,
        "derived_from": dataset.derived_from,
        "held_out": part.validation_names,
        "cases": cases,
    }


def _overhead(parts: Sequence[Part]) -> int:
    """What the JSON and the zip's own tables take at most."""
    volumes = sum(len(p.training) + len(p.validation) for p in parts)
    return len(zlib.compress(json.dumps([_part_entry(p, None) for p in parts]).encode())) + 200 * (volumes + 4)


def _packed(part: Part, choice: _Choice) -> Packed:
    names = {held_out: tuple(n for n, (v, _) in choice.samples.items() if v is held_out) for held_out in (True, False)}
    kept_subjects = {sample.subject for _, sample in choice.samples.values()}
    left_out = {*part.training_names, *part.validation_names} - kept_subjects
    left_out |= {s.name for s in part.training if s.name not in choice.samples and s.subject in kept_subjects}
    kept = {s for held_out, sample in choice.samples.values() if not held_out for s in sample.where}
    lost = tuple(n for n in part.dataset.labels.values() if n not in kept and any(n in s.where for s in part.training))
    return Packed(part.dataset.name, names[False], names[True], tuple(sorted(left_out)), choice.every, lost)


def _manifest(path: Path) -> list[tuple[DataSet, dict[str, Any]]]:
    """The data sets of a pack and what is said of each; everything is checked but the arrays themselves."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise system_problem(error) or InputError(
            f"There is no file {path}", "check the name and the folder"
        ) from error
    if not path.is_file() or size > MAX_BYTES:
        raise InputError(f"{path} is not a pack of training data", "name a file that ends in .pack")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("pack.json").file_size > 2**24:
                raise _damaged(path)
            values = json.loads(archive.read("pack.json"))
            members = sorted(archive.namelist())
            # A stored member is no larger than the file; only what is inside of it may grow.
            stored = all(m.compress_type == zipfile.ZIP_STORED for m in archive.infolist() if m.filename != "pack.json")
        if not values["format"].startswith("promptseg-pack-"):
            raise _damaged(path)
        if values["format"] != FORMAT or values["recipe"] != RECIPE:
            raise InputError(f"{path.name} was made by another version of PromptSeg", "write it again from the data")
        found = [(_packed_set(path, entry), entry) for entry in values["parts"]]
        voxels = sum(math.prod(case["shape"]) for _, entry in found for case in entry["cases"])
        expected = [_member(n, k) for n, (_, entry) in enumerate(found) for k in range(len(entry["cases"]))]
        names = [dataset.name for dataset, _ in found]
        if not found or voxels > 8 * MAX_VOXELS or members != sorted(["pack.json", *expected]) or not stored:
            raise _damaged(path)
        if len(set(names)) < len(names):
            raise _damaged(path)
    except _BROKEN as error:
        raise system_problem(error) or _damaged(path) from error
    return found


def _packed_set(path: Path, entry: Mapping[str, Any]) -> DataSet:
    """Raises one of many errors if ``entry`` is not what :func:`_part_entry` makes."""
    texts = [entry["name"], entry["licence"], entry["derived_from"], *entry["held_out"]]
    texts += [case[what] for case in entry["cases"] for what in ("name", "subject")]
    labels = check_labels(path, [(int(value), name) for value, name in entry["labels"].items()])
    names = [c["name"] for c in entry["cases"]]
    good = all(isinstance(t, str) and len(t) <= 10_000 for t in texts) and len(set(names)) == len(names)
    good = (
        good
        and isinstance(entry["held_out"], list)
        and isinstance(entry["absent_is_negative"], bool)
        and len(labels) == len(entry["labels"])
    )
    for case in entry["cases"]:
        shape, absent = case["shape"], case["absent"]
        good = good and isinstance(case["validation"], bool) and 0.01 <= float(case["slice_mm"]) <= 1000
        good = good and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
        good = good and math.prod(shape) <= MAX_VOXELS
        good = good and all(type(n) is int and 0 <= n < len(labels) for n in absent)
    learned, checked = ({c["subject"] for c in entry["cases"] if c["validation"] is v} for v in (False, True))
    good = good and not learned & {*checked, *entry["held_out"]} and checked <= {*entry["held_out"]}
    good = good and not (entry["derived_from"] and entry["held_out"])
    if not good or not labels:
        raise ValueError("not as it is written")
    return DataSet(
        entry["name"], labels, (), entry["licence"], entry["absent_is_negative"], path, entry["derived_from"]
    )


def _member(part: int, number: int) -> str:
    return f"{part}/{number}.npz"


def _damaged(path: Path) -> InputError:
    return InputError(f"{path.name} is not a whole pack of training data", "write or copy it again")
