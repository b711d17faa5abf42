"""DICOM trees of many patients and series: one pass over the headers, and the CT volumes among them.

Series are told apart by what their files say, not by folders: one folder may hold many series, and one series may be
spread over many folders.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PromptSegLib.errors import InputError, few, short
from PromptSegLib.volumes.dicom_file import (
    FRAMES,
    IMAGE_TYPE,
    MODALITY,
    POSITION,
    SERIES,
    SERIES_TEXT,
    SOP_CLASS,
    SOP_INSTANCE,
    Incomplete,
    is_dicom,
    read_elements,
)
from PromptSegLib.volumes.dicom_text import codec_of
from PromptSegLib.volumes.dicom_text import text as text_of

from .items import Inputs, Item, Skipped, digest_of, plain, stamp_of_values
from .series_rules import StudySeries, unfit

PATIENT_NAME, PATIENT_ID, BIRTH_DATE = 0x00100010, 0x00100020, 0x00100030
STUDY, STUDY_DATE, SERIES_NUMBER = 0x0020000D, 0x00080020, 0x00200011
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DAMAGED = "damaged or not copied completely"


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """What one file says of itself, as far as choosing needs it."""

    path: str
    size: int
    time: int
    instance: str
    content: int
    """Stands for all its elements but the pixels."""
    series: str
    modality: str
    kind: str
    image_type: tuple[str, ...]
    frames: int
    place: int
    """Stands for where its slice lies."""
    study: str
    date: str
    number: str
    text: str
    patient: str
    name: str
    born: str
    has_pixels: bool


def read_header(path: str) -> SeriesHeader | str | None:
    """What a file says; None for one that is not DICOM, a sentence for one that cannot be used."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a hundred thousand of them
        if not is_dicom(Path(path)):
            return None
        sure = has_mark(path)
        try:
            one = read_elements(Path(path))
        except Incomplete:
            return _DAMAGED if sure else None
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    of = one.elements
    values = sorted((tag, value) for tag, value in of.values.items() if tag >> 16 != 0x0002)
    content = int(digest_of([*values, one.pixels and one.pixels[2]])[:16], 16)

    def text(tag: int) -> str:
        return sys.intern(of.text(tag))  # shared by all files of a series, of which there may be a million

    return SeriesHeader(
        path, found.st_size, found.st_mtime_ns, of.text(SOP_INSTANCE), content,
        text(SERIES), text(MODALITY).upper(), text(SOP_CLASS), _kinds(text(IMAGE_TYPE)),
        of.integer(FRAMES, 1) or 1, hash(of.text(POSITION)), text(STUDY), text(STUDY_DATE), text(SERIES_NUMBER),
        sys.intern(text_of(of, SERIES_TEXT, codec_of(of))), text(PATIENT_ID), sys.intern(_name(text(PATIENT_NAME))),
        text(BIRTH_DATE), one.pixels is not None,
    )  # fmt: skip


@functools.lru_cache(1024)
def _kinds(text: str) -> tuple[str, ...]:
    return tuple(text.upper().split("\\"))


def has_mark(path: str) -> bool:
    """Whether a file says that it is DICOM. Raises ``OSError``."""
    with Path(path).open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _name(text: str) -> str:
    """A person's name for comparing: case and the marks between its parts differ between machines."""
    return " ".join(text.partition("=")[0].replace("^", " ").casefold().split())


def choose(
    headers: Sequence[SeriesHeader],
    damaged: dict[str, str],
    wanted: dict[str, str],
    found: Inputs,
    rules: Sequence[str] = (),
) -> None:
    """Add the CT series among ``headers`` to ``found``, and say of the others why they are left out.

    ``damaged`` has the files that cannot be used, and why: a series that lies beside one is refused, because a slice of
    it may be missing. ``wanted`` has, by series UID, what the user called a series that was asked for by name; those
    are taken whatever they are. ``rules`` choose among a study's CT series: see :func:`~.series_rules.unfit`. Raises
    :class:`InputError` where two patients share one patient ID.
    """
    groups: dict[tuple[str, str], list[SeriesHeader]] = {}
    for one in headers:
        groups.setdefault((one.patient, one.series or str(Path(one.path).parent)), []).append(one)
    beside: dict[str, str] = {}
    for path in sorted(damaged):
        beside.setdefault(str(Path(path).parent), path)
    taken: list[SeriesHeader] = []
    chosen = []
    for (_, uid), files in sorted(groups.items(), key=lambda group: group[1][0].path):
        kept, problem = _without_copies(sorted(files, key=_order), found)
        chosen.append((uid, kept, problem, "" if uid in wanted else left_out(kept)))
    original = {kept[0].study for _, kept, _, reason in chosen if not reason}
    alone = [kept for _, kept, _, reason in chosen if reason and _stands_in(kept, original)]
    if alone:
        found.warnings.append(
            f"{len(alone)} series are taken although they are derived, as their studies have no original CT:"
            f" {few([label(kept) for kept in alone], 2)}."
        )
    ours = {
        uid: StudySeries(uid, kept[0].study or uid, kept[0].text, kept[0].number, sum(one.frames for one in kept))
        for uid, kept, _, reason in chosen
        if uid not in wanted and (not reason or kept in alone)
    }
    other = unfit(tuple(ours.values()), rules)
    for uid, kept, problem, why in chosen:
        reason = other.get(uid, "" if kept in alone else why)
        if reason:
            found.left_out.append(Skipped(label(kept), reason))
            continue
        first = kept[0]
        odd = next((beside[p] for p in sorted({str(Path(one.path).parent) for one in kept}) if p in beside), "")
        if odd and not problem:
            problem = f"{odd}, beside its slices, is {damaged[odd]}; remove it or export the series again."
        taken.append(first)
        found.items.append(
            Item(
                wanted.get(uid) or subject(first),
                image=f"{_folder(kept)}#{uid}",
                files=tuple(one.path for one in kept),
                stamp=stamp_of_values((Path(one.path).name, one.size, one.time) for one in kept),
                problem=problem,
            )
        )
    lost = [path for path in sorted(damaged) if str(Path(path).parent) not in {_parent(one) for one in taken}]
    found.left_out += [Skipped(path, damaged[path]) for path in lost]
    _check_patients(taken, found)


def left_out(files: Sequence[SeriesHeader]) -> str:
    """Why a series is not one to segment; empty for a CT volume."""
    first = files[0]
    if first.modality != "CT":
        return f"not CT ({first.modality})" if first.modality else "not CT (its modality is not given)"
    if all(one.kind.startswith(_SECONDARY_CAPTURE) for one in files):
        return "a secondary capture, a picture of a screen"
    if not any(one.has_pixels for one in files):
        return "no image"
    if all("LOCALIZER" in one.image_type for one in files):
        return "a scout view (localiser)"
    if all(one.image_type[0] == "DERIVED" for one in files):
        kind = "\\".join(first.image_type[:3])
        return f"derived from another series ({kind}); name it as FOLDER#{first.series} to segment it all the same"
    if sum(one.frames for one in files) < 2:
        return "a single slice"
    places = {one.place for one in files}
    if len(files) > 1 and len(places) == 1 and first.frames == 1:
        return f"{len(files)} slices at one place, as bolus tracking has"
    return ""


def _stands_in(files: Sequence[SeriesHeader], original: set[str]) -> bool:
    """Whether a derived series is all there is of a CT: compressed or anonymised ones call themselves so, too, while
    what is reformatted is secondary."""
    first = files[0]
    if first.study in original or first.modality != "CT" or first.image_type[0] != "DERIVED":
        return False
    if first.image_type[1:2] not in ((), ("",), ("PRIMARY",)) or "LOCALIZER" in first.image_type:
        return False
    return left_out([replace(one, image_type=("ORIGINAL",)) for one in files]) == ""


def subject(first: SeriesHeader) -> str:
    """Patient and series: the same for the same series whatever else is found, and no other's."""
    patient = plain(first.patient) if first.patient else f"unknown.{digest_of([first.study])[:6]}"
    series = "-".join(filter(None, (first.date, first.number)))
    return f"{patient}/{plain(series) if series else 'series'}.{digest_of([first.series])[:6]}"


def label(files: Sequence[SeriesHeader]) -> str:
    """A series as people look for it."""
    first = files[0]
    words = [f"series {first.number}" if first.number else "series", f"'{first.text}'" if first.text else ""]
    count = f"({len(files)} file{'s' * (len(files) != 1)})"
    return " ".join(filter(None, [*words, f"of {first.patient}" if first.patient else "", "in", _folder(files), count]))


def _order(one: SeriesHeader) -> tuple[str, int, str]:
    return str(Path(one.path).parent), len(Path(one.path).name), one.path  # "003.dcm" before "003 (1).dcm"


def _parent(one: SeriesHeader) -> str:
    return str(Path(one.path).parent)


def _folder(files: Sequence[SeriesHeader]) -> str:
    return os.path.commonpath([_parent(one) for one in files])


def _without_copies(files: Sequence[SeriesHeader], found: Inputs) -> tuple[list[SeriesHeader], str]:
    """A series without copies of one and the same file; and a sentence where two files of one identity differ."""
    seen: dict[str, SeriesHeader] = {}
    copies: dict[str, list[SeriesHeader]] = {}
    problem = ""
    for one in files:
        former = seen.setdefault(one.instance or one.path, one)
        if former is one:
            continue
        if former.content != one.content:
            problem = problem or (
                f"Two different files claim to be the same slice: {short(former.path, 120)} and {short(one.path, 120)};"
                " remove one of them."
            )
        else:
            copies.setdefault(_parent(one), []).append(one)
    kept = list(seen.values())
    for folder, twice in copies.items():
        where = sorted({_parent(seen[one.instance]) for one in twice})
        if where == [folder]:
            names = few([Path(one.path).name for one in twice])
            found.left_out.append(Skipped(f"{len(twice)} files in {folder}", f"copies in one folder: {names}"))
            continue
        found.left_out.append(Skipped(label(twice), f"the same series as in {few(where, 2)}"))
        found.warnings.append(
            f"{folder} and {few(where, 2)} hold the same series; it is segmented once, and one of them may be removed."
        )
    return kept, problem


def _check_patients(series: Sequence[SeriesHeader], found: Inputs) -> None:
    """Refuse two persons under one patient ID; say where two IDs have one name."""
    by_id: dict[str, SeriesHeader] = {}
    by_name: dict[tuple[str, str], SeriesHeader] = {}
    for one in series:
        if not one.patient:
            continue
        other = by_id.setdefault(one.patient, one)
        born = bool(one.born and other.born and one.born != other.born)
        if born or (bool(one.name and other.name and one.name != other.name) and one.born != other.born):
            raise InputError(
                f"Two different persons have the patient ID '{one.patient}', in {_parent(other)} and {_parent(one)}",
                "correct the ID, or list both in a CSV file with the columns image and subject",
            )
        if one.name:
            same = by_name.setdefault((one.name, one.born), one)
            if same.patient != one.patient:
                found.warnings.append(
                    f"The patients {same.patient} and {one.patient} have the same name; their results are kept apart"
                    " by patient ID."
                )
                by_name[one.name, one.born] = one
