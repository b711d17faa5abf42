"""Data sets on disk: a ``dataset.json`` in the layout of the Medical Segmentation Decathlon or of nnU-Net.

Decathlon (Antonelli et al., Nature Communications 2022): ``labels`` maps values to names, ``training`` lists image and
label of each case. nnU-Net (Isensee et al., Nature Methods 2021; its "raw" layout): ``labels`` maps names to values,
and the cases are what lies in ``imagesTr/CASE_0000.ext`` and ``labelsTr/CASE.ext``. Both may say of themselves
``"absent_is_negative": true``: then a volume without a structure really lacks it; otherwise it is taken as not
annotated there.

Labels stand for structures, by name: "Kidney_L" of one set and "left kidney" of another share one prompt.

A patient may have several volumes: ``"subject": "name"`` in an entry of ``training`` says whose it is, or for all of
the set ``"subject_until": "_scan"`` that the subject is what stands before that text in a volume's name. Without
either, each volume is a subject of its own name. ``"derived_from": "other set"`` says that the subjects are those of
another data set.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..anatomy.terminology import find, key
from ..errors import InputError, short, system_problem
from ..spelling import spelled
from ..volumes.images import ENDINGS

MAX_LABELS = 255
"""Labels are kept as uint8, and 0 is the background."""
_CT = {"ct", "cta", "cbct", "cect", "ncct", "ldct"}


@dataclass(frozen=True)
class Case:
    """One annotated volume of a data set, on disk: ``image`` is a file, or the folder of a DICOM series. ``subject`` is
    the patient, of whom there may be others: the volume's name where nothing is said of it."""

    name: str
    image: Path
    label: Path
    subject: str = ""

    def __post_init__(self) -> None:
        if not self.subject:
            object.__setattr__(self, "subject", self.name)


@dataclass(frozen=True)
class DataSet:
    """A data set that was read and checked: ``labels`` maps file values to structure names.

    ``absent_is_negative``: what a volume does not hold is not there. ``pack`` is the file that holds the samples
    themselves, for a data set that was packed; it has no cases then. ``derived_from`` names the data set whose subjects
    these are: nothing of it is held out, and nobody of it may be held out there.
    """

    name: str
    labels: dict[int, str]
    cases: tuple[Case, ...]
    licence: str
    absent_is_negative: bool = False
    pack: Path | None = None
    derived_from: str = ""

    @property
    def file_name(self) -> str:
        """The name without what a file's name must not hold."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip("-.") or "dataset"


def read_dataset(path: Path) -> DataSet:
    """Read a ``dataset.json`` of either layout, or that of a folder.

    Raises :class:`InputError` for a missing or malformed file, one that names missing files, and what pre-training
    cannot use: other modalities than CT, several channels, regions, an "ignore" label.
    """
    path = Path(path)
    path = path / "dataset.json" if _is_dir(path) else path
    values = _read_json(path)
    nnunet = bool({"file_ending", "channel_names"} & set(values)) or ("training" not in values and "labels" in values)
    try:
        _check_modality(path, values)
        pairs, cases = (_nnunet if nnunet else _decathlon)(path, values)
        name = _text(values, "name") or path.resolve().parent.name
        licence = _text(values, "licence") or _text(values, "license") or "not stated"
        absent = values.get("absent_is_negative", False)
        if not isinstance(absent, bool):
            raise ValueError("absent_is_negative is neither true nor false")
        derived_from = _name(values, "derived_from")
        if derived_from and spelled(derived_from) == spelled(name):
            raise ValueError("derived_from is the name of the data set itself")
    except ValueError as error:
        layout = "nnU-Net's" if nnunet else "the Decathlon"
        raise InputError(
            f"{path} is not a usable dataset.json in {layout} layout: {error}", "correct it there"
        ) from error
    labels = check_labels(path, pairs)
    if not cases or not labels:
        raise InputError(f"{path} lists no training volume or no label", "a data set needs at least one of both")
    for case in cases:
        for file in (case.image, case.label):
            if not _is_file(file) and not (file is case.image and _is_dir(file)):
                raise InputError(
                    f"{path} names {short(file.name)}, which is not there", "complete the data set or remove the entry"
                )
    twice, count = Counter(c.name for c in cases).most_common(1)[0]
    if count > 1:
        raise InputError(f"{path} has more than one volume called {short(twice)!r}", "give each a name of its own")
    return DataSet(name, labels, tuple(cases), licence, absent, derived_from=derived_from)


def check_labels(path: Path, pairs: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Structure names by value, from a file's values and names; background (0) is dropped.

    Raises :class:`InputError` if a value is there twice, two labels mean one structure, or a name cannot be read.
    """
    labels: dict[int, str] = {}
    given: dict[str, str] = {}
    for value, name in pairs:
        name = name.strip()
        if value == 0:
            continue
        if not (name and name.isprintable() and len(name) <= 200):
            raise InputError(f"{path} has a label without a readable name", "name each label in plain text")
        if value in labels or not 0 < value <= 65535:
            problem = "more than one label" if value in labels else "a label"
            raise InputError(f"{path} has {problem} of the value {short(value)}", "number the labels from 1 to 65535")
        structure = find(name)
        same = key(structure.name if structure else name)
        if same in given:
            raise InputError(
                f"{path} has two labels for one structure, {given[same]!r} and {name!r}",
                "merge them or name them apart",
            )
        given[same] = name
        labels[value] = structure.name if structure else name
    if len(labels) > MAX_LABELS:
        raise InputError(f"{path} has {len(labels)} labels", f"keep at most {MAX_LABELS} in one data set")
    return labels


def share_names(labels: Sequence[dict[int, str]]) -> list[dict[int, str]]:
    """The same labels with one spelling for each structure that the terminology does not know: the first."""
    spelling: dict[str, str] = {}
    return [{value: spelling.setdefault(key(name), name) for value, name in one.items()} for one in labels]


def _read_json(path: Path) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice, count = Counter(k for k, _ in pairs).most_common(1)[0] if pairs else ("", 0)
        if count > 1:
            raise ValueError(f"it has {short(twice)!r} twice")
        return dict(pairs)

    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except OSError as error:
        raise system_problem(error) or InputError(
            f"{path} cannot be read", "name a dataset.json in the layout of the Decathlon or of nnU-Net"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON that can be read: {error}", "correct it or get it again") from error
    if not isinstance(values, dict) or not isinstance(values.get("labels"), dict):
        raise InputError(
            f"{path} is not a dataset.json: it has no labels",
            "it needs labels and training as in the Decathlon, or labels, channel_names and file_ending as in nnU-Net",
        )
    return values


def _decathlon(path: Path, values: dict[str, Any]) -> tuple[list[tuple[int, str]], list[Case]]:
    """Values with names, and cases. Raises :class:`ValueError` with what is wrong."""
    pairs = []
    for value, name in values["labels"].items():
        if not re.fullmatch(r"[0-9]{1,9}", value) or not isinstance(name, str):
            raise ValueError('labels are not numbers with names, such as {"1": "liver"}')
        pairs.append((int(value), name))
    training = values.get("training")
    if not isinstance(training, list):
        raise ValueError("training is not a list")
    cases: list[tuple[str, Path, Path, str]] = []
    for entry in training:
        files = [entry.get(what) for what in ("image", "label")] if isinstance(entry, dict) else []
        if not files or not all(isinstance(f, str) and Path(f).name for f in files):
            raise ValueError("an entry of training has not one image and one label")
        image, label = (path.parent / str(f) for f in files)
        # A DICOM series is a folder, often of the same name for each patient.
        inner = "-".join(image.parts[len(path.parent.parts) :]).lstrip(".-") or "case"
        name = inner if _is_dir(image) else _stem(image.name)
        cases.append((name, image, label, _name(entry, "subject")))
    return pairs, _with_subjects(values, cases)


def _with_subjects(values: dict[str, Any], cases: Sequence[tuple[str, Path, Path, str]]) -> list[Case]:
    """Cases from (name, image, label, subject or nothing), with subjects by ``subject_until`` where they have none;
    what is spelled alike is one. Raises :class:`ValueError` with what is wrong."""
    until = values.get("subject_until")
    if until is not None and not (isinstance(until, str) and until.strip()):
        raise ValueError("subject_until is not text")
    if until and cases and not any(until in name for name, *_ in cases):
        raise ValueError(f"subject_until is {short(until)!r}, which is in no volume's name")
    said = [subject or (name.split(until)[0].strip() if until else "") for name, _, _, subject in cases]
    if until and not all(said):
        raise ValueError(f"subject_until leaves nothing of the name {short(cases[said.index('')][0])!r}")
    spelling: dict[str, str] = {}
    for subject in filter(None, said):
        spelling.setdefault(spelled(subject), subject)
    return [
        Case(name, image, label, spelling.get(spelled(subject or name), ""))
        for (name, image, label, _), subject in zip(cases, said, strict=True)
    ]


def _is_dir(path: Path) -> bool:
    """Also for a name that no folder could have: a text of a file decides what is asked for."""
    return os.path.isdir(path)  # noqa: PTH112


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _nnunet(path: Path, values: dict[str, Any]) -> tuple[list[tuple[int, str]], list[Case]]:
    """As :func:`_decathlon`. Raises :class:`InputError` for regions, "ignore" and more channels than one."""
    pairs = []
    for name, value in values["labels"].items():
        if isinstance(value, list):
            raise InputError(
                f"{path} has regions, labels that consist of others, such as {short(name)!r}",
                "give each structure one value of its own",
            )
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError('labels are not names with numbers, such as {"liver": 1}')
        if name.strip().casefold() == "ignore":
            raise InputError(
                f"{path} has an ignore label, which pre-training does not know", "leave out the volumes that use it"
            )
        pairs.append((value, name))
    ending = values.get("file_ending")
    if not isinstance(ending, str) or ending.lower() not in ENDINGS:
        raise ValueError(f"file_ending is none of {', '.join(ENDINGS)}")
    found: dict[str, Path] = {}
    for file in _files(path.parent / "imagesTr", ending):
        match = re.fullmatch(r"(.+)_([0-9]{4})", file.name[: -len(ending)])
        if match is None:
            raise InputError(f"{file} has no channel in its name", f"call it CASE_0000{ending}")
        if int(match[2]):
            raise InputError(
                f"{path} has more than one channel, such as {short(file.name)}",
                "pre-training takes CT volumes of one channel",
            )
        found[match[1]] = file
    labels = {file.name[: -len(ending)]: file for file in _files(path.parent / "labelsTr", ending)}
    count = values.get("numTraining", len(found))
    if isinstance(count, bool) or not isinstance(count, int):
        raise ValueError("numTraining is not a number")
    if count != len(found):
        raise InputError(
            f"{path} says that there are {short(count)} training volumes, but imagesTr has {len(found)}",
            "complete the data set or correct numTraining",
        )
    folders = path.parent / "imagesTr", path.parent / "labelsTr"
    cases = [
        (n, found.get(n, folders[0] / f"{n}_0000{ending}"), labels.get(n, folders[1] / f"{n}{ending}"), "")
        for n in sorted({*found, *labels})
    ]
    return pairs, _with_subjects(values, cases)


def _files(folder: Path, ending: str) -> list[Path]:
    """The files in ``folder`` with that ending, sorted; hidden ones are some computer's own."""
    try:
        return sorted(f for f in folder.iterdir() if f.name.endswith(ending) and not f.name.startswith("."))
    except OSError as error:
        raise system_problem(error) or InputError(
            f"The folder {folder} cannot be read", "complete the data set"
        ) from error


def _check_modality(path: Path, values: dict[str, Any]) -> None:
    """Refuse what says that it is no CT, or that it has more than one channel."""
    for what in ("channel_names", "modality"):
        stated = values.get(what)
        if stated is None:
            continue
        names = [stated] if isinstance(stated, str) else stated.values() if isinstance(stated, dict) else None
        if names is None or not all(isinstance(n, str) for n in names):
            raise ValueError(f'{what} is not a table such as {{"0": "CT"}}')
        if len(names) > 1:
            raise InputError(
                f"{path} has more than one channel: {short(', '.join(names))}",
                "pre-training takes CT volumes of one channel",
            )
        for name in names:
            words = set(re.findall(r"[a-z]+", name.casefold()))
            if not (words & _CT or {"computed", "tomography"} <= words) or "pet" in words:
                raise InputError(f"{path} is of the modality {short(name)}, not CT", "choose a data set of CT volumes")


def _text(values: dict[str, Any], what: str) -> str:
    text = values.get(what, "")
    if not isinstance(text, str):
        raise ValueError(f"{what} is not text")
    return text.strip()


def _name(values: dict[str, Any], what: str) -> str:
    """A name that may be missing, but not empty."""
    text = _text(values, what)
    if what in values and not (text and text.isprintable() and len(text) <= 200):
        raise ValueError(f"{what} is not a readable name")
    return text


def _stem(name: str) -> str:
    """A file's name without its ending."""
    ending = max((e for e in ENDINGS if name.lower().endswith(e)), key=len, default="")
    stem = name[: len(name) - len(ending)] if ending else name.split(".")[0]
    return stem.lstrip(".") or "case"
