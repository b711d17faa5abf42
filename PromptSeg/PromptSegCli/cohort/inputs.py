"""From what the user names (folders, files, globs, CSV files, DICOM trees) to the volumes of a cohort."""

from __future__ import annotations

import contextlib
import csv
import glob
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PromptSegLib.errors import InputError, few, quoted, short, system_problem
from PromptSegLib.progress import OnProgress, Progress, ShouldStop, check, ignore, never
from PromptSegLib.spelling import spelled
from PromptSegLib.volumes.images import ENDINGS

from .items import Inputs, Item, Skipped, check_names, stamp_of, subject_of
from .series import SeriesHeader, choose, has_mark, read_header

_TABLES = (".csv", ".tsv")
_SEGMENTATION = (".seg.nrrd", ".seg.nrd")
_EVERY = 0.2
_MAX_TABLE = 64 * 2**20


@dataclass
class _Found:
    """What the arguments led to so far; ``tables`` are the items that CSV files list."""

    inputs: Inputs = field(default_factory=Inputs)
    headers: list[SeriesHeader] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    """Image files with the folder that their names count from."""
    seen: dict[int, bool] = field(default_factory=dict)
    """Files that were looked at, by the hash of their real path, and whether they are a volume or a part of one: there
    may be a million."""
    hits: int = 0
    looked_at: int = 0


def collect(
    texts: Sequence[str],
    output: Path,
    *,
    series: Sequence[str] = (),
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Inputs:
    """The volumes that ``texts`` name, in a fixed order, and what was left out.

    What lies in ``output`` is never taken. ``series`` are the rules of :func:`~.series_rules.unfit`. Raises
    :class:`InputError` for an argument that is not there or holds no CT, for a CSV file that cannot be used and for two
    volumes of one name, and ``Stopped``.
    """
    found = _Found()
    out = os.path.realpath(output)
    wanted: dict[str, str] = {}
    tables: list[Item] = []
    look = _looker(found, on_progress, should_stop)
    single: list[str] = []
    for text in texts:
        for path, base in _expanded(text):
            folder, uid = _series_of(path)
            if not os.path.exists(folder):  # noqa: PTH110 - a name may hold what no path may
                raise InputError(f"There is no file or folder {quoted([path])}", "check the name")
            if uid:
                wanted[uid] = ""
            if Path(folder).is_dir():
                if os.path.realpath(folder) == out:
                    raise InputError(f"{folder} is INPUT and -o at once", "choose another folder for the results")
                before = found.hits
                _walk(folder, base or folder, out, found, look, uid)
                if found.hits == before and not found.damaged:
                    raise InputError(*_nothing_in(folder, found, uid))
            elif folder.lower().endswith(_TABLES):
                tables += table(Path(folder))
            elif base:
                _take_named(folder, base, found, look)
            else:
                single.append(folder)
    if single:
        base = os.path.commonpath([os.path.dirname(os.path.abspath(one)) for one in single])  # noqa: PTH100, PTH120
        for one in single:
            _take_named(one, base, found, look)
    inputs = found.inputs
    for path, base in found.images.items():
        name = os.path.relpath(_without_ending(path), base)
        inputs.items.append(Item(subject_of(name), path, stamp=stamp_of([path])))
    _of_one_series(found.headers, wanted)
    choose(found.headers, found.damaged, wanted, inputs, series)
    if series and not found.headers:
        inputs.warnings.append("--series chooses among DICOM series, and there is none.")
    inputs.items += tables
    inputs.items.sort(key=lambda one: one.subject)
    _check(inputs, texts)
    return inputs


def _check(inputs: Inputs, texts: Sequence[str]) -> None:
    if not inputs.items:
        reasons = few([f"{one.what}: {one.reason}" for one in inputs.left_out], 2)
        why = f" ({reasons})" if reasons else ""
        raise InputError(
            f"There is no CT in {few([short(one, 100) for one in texts])}{why}",
            "name folders with NIfTI, NRRD or MHA files or with DICOM series of CT",
        )
    unique: dict[Item, None] = {}
    for one in inputs.items:
        if one in unique:
            inputs.left_out.append(Skipped(one.image, "listed twice"))
        unique[one] = None
    inputs.items = list(unique)
    check_names(inputs.items)


def _looker(found: _Found, on_progress: OnProgress, should_stop: ShouldStop) -> Callable[[], None]:
    """What is called for each file: lets the user stop, and says how far it is."""
    said = time.monotonic()

    def look() -> None:
        nonlocal said
        found.looked_at += 1
        check(should_stop)
        now = time.monotonic()
        if now - said > _EVERY:
            said = now
            on_progress(Progress("find", 0.0, f"Looking at files: {found.looked_at:,}"))

    return look


def _expanded(text: str) -> Iterator[tuple[str, str]]:
    """The paths that an argument means, and the folder that names count from; empty where that is to be found."""
    if os.path.lexists(text) or os.path.lexists(_series_of(text)[0]) or not glob.has_magic(text):
        yield text, ""
        return
    paths = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - absolute ones, too
    if not paths:
        raise InputError(f"Nothing is called {text}", "check the pattern and the folder")
    parts = Path(text).parts
    fixed = next(n for n, part in enumerate(parts) if glob.has_magic(part))
    for path in paths:
        yield path, str(Path(*parts[:fixed])) if fixed else "."


def _series_of(text: str) -> tuple[str, str]:
    """A folder and a series UID after ``#``; a ``#`` in a real name is left alone."""
    folder, mark, uid = text.rpartition("#")
    return (folder, uid) if mark and not os.path.lexists(text) and Path(folder).is_dir() else (text, "")


def _walk(top: str, base: str, out: str, found: _Found, look: Callable[[], None], uid: str = "") -> None:
    """Take up every file below a folder, once, whatever links lead where."""
    visited: set[str] = set()

    def unreadable(error: OSError) -> None:
        found.inputs.left_out.append(Skipped(str(error.filename), f"cannot be read ({error.strerror})"))

    for folder, below, names in os.walk(top, followlinks=True, onerror=unreadable):
        real = os.path.realpath(folder)
        if real in visited or real == out:
            below.clear()
            continue
        visited.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.upper() != "DICOMDIR":
                path = os.path.join(folder, name)  # noqa: PTH118 - a hundred thousand of them
                _take(path, base, found, look, uid, "" if os.path.islink(path) else f"{real}{os.sep}{name}")  # noqa: PTH114


def _take_named(path: str, base: str, found: _Found, look: Callable[[], None]) -> None:
    """One file that the user named: where it is nothing of ours, this is told."""
    before, known = found.hits, len(found.inputs.left_out) + len(found.damaged)
    _take(path, base, found, look)
    if found.hits == before and len(found.inputs.left_out) + len(found.damaged) == known:
        found.inputs.left_out.append(Skipped(path, "not an image that PromptSeg can read"))


def _take(path: str, base: str, found: _Found, look: Callable[[], None], uid: str = "", real: str = "") -> None:
    """One file: an image, a part of a DICOM series, or nothing of ours. ``real`` is its real path where that is
    known."""
    look()
    path = os.path.abspath(path)  # noqa: PTH100 - links stay what they are called
    key = hash(real or os.path.realpath(path))
    if key not in found.seen:
        found.seen[key] = _is_ours(path, base, found, uid)
    found.hits += found.seen[key]


def _is_ours(path: str, base: str, found: _Found, uid: str) -> bool:
    """Take up a file; whether it is a volume or a part of one."""
    lowered = path.lower()
    if lowered.endswith(_SEGMENTATION):
        found.inputs.left_out.append(Skipped(path, "a segmentation"))
    elif lowered.endswith(ENDINGS) and not _is_dicom(path):
        if not uid and not (lowered.endswith((".img", ".img.gz")) and _has_header(path)):
            found.images[path] = os.path.abspath(base)  # noqa: PTH100
            return True
    elif os.path.isfile(path):  # noqa: PTH113
        header = read_header(path)
        if isinstance(header, str):
            found.damaged[path] = header
        elif header is not None and (not uid or header.series == uid):
            found.headers.append(header)
            return True
    return False


def _is_dicom(path: str) -> bool:
    """Whether a file is DICOM by its content, whatever it is called: some archives call slices .img."""
    with contextlib.suppress(OSError):
        return has_mark(path)
    return False


def _has_header(path: str) -> bool:
    stem = _without_ending(path)
    return any(os.path.exists(stem + ending) for ending in (".hdr", ".hdr.gz", ".HDR"))  # noqa: PTH110


def _without_ending(path: str) -> str:
    lowered = path.lower()
    ending = max((one for one in ENDINGS if lowered.endswith(one)), key=len, default="")
    return path[: len(path) - len(ending)] if ending else path


def _of_one_series(headers: Sequence[SeriesHeader], wanted: dict[str, str]) -> None:
    """Say of a series that was asked for by name where there is none of that name."""
    there = {one.series for one in headers}
    for uid in wanted:
        if uid not in there:
            raise InputError(f"There is no DICOM series {short(uid)}", "check its UID")


def _nothing_in(folder: str, found: _Found, uid: str) -> tuple[str, str]:
    if uid:
        return f"{folder} holds no DICOM series {short(uid)}", "check its UID"
    if next(Path(folder).iterdir(), None) is None:
        return f"The folder {folder} is empty", "choose the folder that holds the images"
    below = [one.what for one in found.inputs.left_out if one.what.startswith(os.path.abspath(folder))]  # noqa: PTH100
    why = f"only {few(below, 2)}" if below else "no image in it or below it"
    return (
        f"The folder {folder} holds no CT: {why}",
        "choose one with NIfTI, NRRD or MHA files or with DICOM series",
    )


def table(path: Path) -> list[Item]:
    """The volumes that a CSV file lists: ``image``, and optionally ``subject``, ``prompts`` (several with semicolons)
    and ``reference``. Paths count from its folder. Raises :class:`InputError`."""
    rows, columns = _rows(path)
    if "image" not in columns:
        raise InputError(
            f"{path.name} has no column image (it has {few(sorted(filter(None, columns)), 6) or 'none'})",
            "call the column with the files image",
        )
    items: list[Item] = []
    places: dict[str, tuple[int, Item]] = {}
    for line, row in rows:
        image = row.get("image", "")
        if not image:
            raise InputError(f"Line {line} of {path.name} names no image", "fill it in or remove the line")
        placed = _placed(image, path.parent)
        reference = row.get("reference", "")
        reference = _placed(reference, path.parent) if reference else ""
        named, alone = row.get("subject", ""), _series_of(placed)[0] == placed
        subject = (
            subject_of(named) if named else subject_of(_without_ending(image if alone else image.rpartition("#")[0]))
        )
        files = [_series_of(placed)[0], *([reference] if reference else [])]
        prompts = tuple(part.strip() for part in _sets(row.get("prompts", ""), path.parent))
        item = Item(subject, placed, stamp=stamp_of(files), prompts=prompts, reference=reference)
        other, former = places.setdefault(spelled(subject), (line, item))
        if former != item:
            raise InputError(
                f"Lines {other} and {line} of {path.name} are different volumes called '{named or subject}'",
                "give each volume a subject of its own",
            )
        items.append(item)
    if not items:
        raise InputError(f"{path.name} lists no volume", "add a line for each image below the names of the columns")
    return items


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], set[str]]:
    """Lines with their numbers and values by lower-case column."""
    try:
        if path.stat().st_size > _MAX_TABLE:
            raise InputError(f"{path.name} is larger than any list of images", "choose the CSV file with the images")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not a CSV file in UTF-8", "save it as 'CSV UTF-8'") from error
    except OSError as error:
        raise system_problem(error) or InputError(
            f"{path} cannot be read ({error.strerror})", "check its permissions"
        ) from error
    if "\0" in text:  # UTF-16, or a spreadsheet
        raise InputError(f"{path.name} is not a CSV file in UTF-8", "save it as 'CSV UTF-8'")
    head = text.partition("\n")[0]
    mark = max("\t;,", key=head.count) if path.suffix.lower() != ".tsv" else "\t"
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        columns = [one.strip().lower() for one in next(reader, [])]
        rows = []
        for values in reader:
            if any(value.strip() for value in values):
                named = dict(zip(columns, (value.strip() for value in values), strict=False))
                rows.append((reader.line_num, named))
    except csv.Error as error:
        raise InputError(f"{path.name} is not a CSV file ({error})", "save it as 'CSV UTF-8'") from error
    return rows, set(columns)


def _placed(text: str, folder: Path) -> str:
    """A path of a table, counted from the table's folder."""
    try:
        return os.path.abspath(folder / Path(text).expanduser())  # noqa: PTH100
    except (ValueError, RuntimeError) as error:
        raise InputError(f"'{short(text)}' is not a path", "correct it in the CSV file") from error


def _sets(text: str, folder: Path) -> list[str]:
    """The prompt sets of a line; a file beside the table is found there."""
    found = [part.strip() for part in text.split(";") if part.strip()] if text else []
    return [_beside(part, folder) for part in found]


def _beside(text: str, folder: Path) -> str:
    file, ending, rest = text.partition(".promptset")
    if not ending or Path(file).is_absolute():
        return text
    there = folder / f"{file}{ending}"
    return f"{there.absolute()}{rest}" if there.is_file() else text


def with_prompts(items: Sequence[Item], texts: Sequence[str]) -> list[Item]:
    """The items, those without prompts of their own with the common ones. Raises :class:`InputError` where neither
    is given."""
    common = tuple(texts)
    bare = next((one for one in items if not one.prompts), None)
    if bare is not None and not common:
        raise InputError(f"No prompts are given for {bare.subject}", "add --prompts, for example --prompts abdomen-ct")
    return [one if one.prompts else replace(one, prompts=common) for one in items]
