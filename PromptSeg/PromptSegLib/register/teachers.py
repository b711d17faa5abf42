"""What stays on this computer beside a taught prompt: the teacher's CT at 3 mm, finished mask and drawn slices.

One safetensors file of a few MB, ``NAME.memory`` beside ``NAME.promptset``. It shows a patient, so it is never part of
an exported prompt, and deleting it only takes away the start in the next patient. A file from elsewhere is data: its
size, types, shapes and numbers are checked before anything is made of them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UNREADABLE, GridError, InputError, PromptError, system_problem
from ..progress import ShouldStop, never
from ..prompts.library import MEMORY_SUFFIX, SUFFIX, asked, memory_beside
from ..volumes.volume import Grid, Volume
from .excerpt import Excerpt
from .picture import SPACING, Picture, Region, mask_in, picture_of, there_from

FORMAT = "promptseg-memory-1"
MAX_BYTES = 128 * 2**20
MAX_TEACHERS, MAX_MASKS, MAX_SIDE, MAX_VOXELS = 16, 64, 2048, 40_000_000
MAX_KEPT, MAX_USED = 8, 3
"""A file keeps so many patients, the latest ones; a structure is carried over from the latest of these."""
FAINT = 0.02
"""Less of a voxel is nothing."""
HEIGHT_MM, REACH_MM = 700.0, 250.0
"""A CT that is taller than this is kept up to so far above and below the structures. Others are kept whole, so that all
structures of one teacher have one picture, and share one registration."""


@dataclass(frozen=True)
class Mask:
    """A finished mask: ``share`` (s, a, r) uint8, 255 where the structure fills a voxel, from voxel ``first`` of its
    picture on; ``quality`` is the Dice that it is believed to have, None if nothing tells. Where the picture is an open
    reference CT, ``trust`` is how well the patient fitted it (:attr:`PairFit.trust`)."""

    share: np.ndarray
    first: tuple[int, int, int]
    quality: float | None = None
    trust: float | None = None

    def on(self, picture: Picture) -> np.ndarray:
        """On the whole picture, (S, A, R) float32 0..1."""
        out = np.zeros(picture.grey.shape, np.float32)
        box = tuple(slice(f, f + n) for f, n in zip(self.first, self.share.shape, strict=True))
        out[box] = self.share / np.float32(255)
        return out


@dataclass(frozen=True)
class Teacher:
    """One patient in whom structures were taught: the picture, and by the structure's name the masks and, where they
    were kept, the drawn slices. ``is_reference`` says that the picture is an open reference CT in the patient's place.
    """

    picture: Picture
    masks: Mapping[str, Mask]
    drawn: Mapping[str, Excerpt] = field(default_factory=dict)
    is_reference: bool = False

    @property
    def digest(self) -> str:
        """Tells one teacher's picture from another's."""
        return self.picture.digest

    @property
    def bytes(self) -> int:
        """How much a file needs for it."""
        drawn = sum(one.planes.nbytes + one.masks.nbytes for one in self.drawn.values())
        return self.picture.grey.nbytes + sum(mask.share.nbytes for mask in self.masks.values()) + drawn

    def is_same_patient(self, other: Teacher) -> bool:
        """Whether both are of one volume."""
        known, others = ({one.identity for one in each.drawn.values()} for each in (self, other))
        return bool(known & others) or self.digest == other.digest

    def without(self, names: Iterable[str]) -> Teacher | None:
        """The same without some structures; None if none is left."""
        masks = {name: mask for name, mask in self.masks.items() if name not in set(names)}
        drawn = {name: one for name, one in self.drawn.items() if name in masks}
        return Teacher(self.picture, masks, drawn) if masks else None

    def region(self, name: str) -> Region | None:
        """Where a structure lies."""
        return Region.of(self.picture, self.masks[name].on(self.picture))


@dataclass(frozen=True)
class Memory:
    """The teachers that a prompt set remembers."""

    teachers: Sequence[Teacher] = field(default_factory=tuple)

    def of(self, name: str) -> list[Teacher]:
        """Those in whom a structure was taught, the latest last."""
        return [one for one in self.teachers if name in one.masks]

    def drawn(self, name: str) -> list[Excerpt]:
        """The drawn slices of a structure, of all patients of whom they were kept."""
        return [one.drawn[name] for one in self.teachers if name in one.drawn]

    @property
    def names(self) -> list[str]:
        """The structures that are remembered."""
        return list(dict.fromkeys(name for one in self.teachers for name in one.masks))

    def called(self, name: str, former: str | None = None) -> Memory:
        """What is known of one structure alone, ``former`` or ``name``, under the name ``name``."""
        known = former or name
        return Memory(
            tuple(
                Teacher(one.picture, {name: one.masks[known]}, {name: one.drawn[known]} if known in one.drawn else {})
                for one in self.of(known)
            )
        )

    def joined(self, others: Iterable[Teacher]) -> Memory:
        """These and others, the latest last: what is known of a structure in one volume takes the place of what was,
        and the oldest patients go where there are too many for a file."""
        found = list(self.teachers)
        for new in others:
            rest = [one.without(new.masks) if one.is_same_patient(new) else one for one in found]
            found = [*(one for one in rest if one is not None), new]
        found = found[-MAX_KEPT:]
        while len(found) > 1 and sum(one.bytes for one in found) > MAX_BYTES // 2:
            found.pop(0)
        return Memory(tuple(found))

    def write(self, path: Path | str) -> None:
        """Write the file, complete or not at all. Raises :class:`OutputError`."""
        import torch

        from ..model.files import write_tensors

        tensors, entries = {}, []
        for n, one in enumerate(self.teachers):
            tensors[f"{n}/grey"] = torch.from_numpy(np.ascontiguousarray(one.picture.grey))
            masks = []
            for m, (name, mask) in enumerate(one.masks.items()):
                tensors[f"{n}/{m}"] = torch.from_numpy(np.ascontiguousarray(mask.share))
                known: dict[str, Any] = {"structure": name, "first": list(mask.first), "quality": mask.quality}
                excerpt = one.drawn.get(name)
                if excerpt is not None and excerpt.is_readable:
                    tensors[f"{n}/{m}/planes"] = torch.from_numpy(np.ascontiguousarray(excerpt.planes))
                    tensors[f"{n}/{m}/drawn"] = torch.from_numpy(np.ascontiguousarray(excerpt.masks))
                    known["drawn"] = excerpt.to_json()
                masks.append(known)
            entries.append({"origin": list(one.picture.origin), "spacing": one.picture.spacing, "masks": masks})
        write_tensors(Path(path), tensors, {"format": FORMAT, "memory": json.dumps({"teachers": entries})})

    @classmethod
    def read(cls, path: Path | str) -> Memory:
        """Read a file. Raises :class:`InputError` for anything that is not a whole, sensible one."""
        from ..model.files import read_header, read_tensors

        path = Path(path)
        own = path.suffix == MEMORY_SUFFIX  # who names another file is not to be told to delete it
        foreign = InputError(
            f"{path.name} is not a PromptSeg memory file, or it is damaged",
            "delete it, and teach the structure again" if own else f"choose the {MEMORY_SUFFIX} file beside a prompt",
        )
        try:
            size = path.stat().st_size
        except OSError as error:
            raise system_problem(error) or InputError(f"There is no memory file {path}", "check the name") from error
        if path.is_dir() or size > MAX_BYTES:
            raise foreign
        if not os.access(path, os.R_OK):
            raise InputError(f"{path} may not be read", "check its permissions")
        try:
            meta = read_header(path)
            if meta.get("format") != FORMAT:
                raise foreign
            entries = json.loads(meta["memory"])["teachers"]
            if not isinstance(entries, list) or not 0 < len(entries) <= MAX_TEACHERS:
                raise foreign
            _check_table(path)
            tensors, _ = read_tensors(path)
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            return cls(tuple(_teacher(entry, n, arrays, foreign) for n, entry in enumerate(entries)))
        except (InputError, GridError, *UNREADABLE) as error:
            raise foreign from error


def beside(prompts: Path | str) -> Path:
    """The memory file that goes with a ``.promptset`` file."""
    return memory_beside(prompts)


def remembered_by(wanted: Iterable[str | Mapping[str, Any]]) -> tuple[dict[str, list[Teacher]], list[str]]:
    """The patients that files beside prompts remember, by structure name, the latest :data:`MAX_USED` of each; and a
    sentence on each file that cannot be used. A structure's are those of the file that it is asked of, alone.

    ``wanted`` are what users ask for: a path, perhaps with ``:structure``, or ``{"file", "name"}``.
    """
    found: dict[str, list[Teacher]] = {}
    problems: list[str] = []
    read: dict[Path, Memory] = {}
    for one in wanted:
        path = memory_of(one)
        if path is None:
            continue
        try:
            memory = read[path] = read.get(path) or Memory.read(path)
        except InputError as error:
            problems.append(str(error))
            continue
        try:
            names = asked(one).keys()
        except PromptError:  # whoever asks for the prompts says so
            continue
        for name in names:
            found.setdefault(name, []).extend(memory.of(name))
    unique = {name: list({one.digest: one for one in teachers}.values()) for name, teachers in found.items()}
    return {name: teachers[-MAX_USED:] for name, teachers in unique.items() if teachers}, list(dict.fromkeys(problems))


def memory_of(wanted: str | Mapping[str, Any]) -> Path | None:
    """The memory file beside what a user asks for, if there is one."""
    text = wanted if isinstance(wanted, str) else str(wanted["file"])
    heads = [text]
    if isinstance(wanted, str):  # the file, or the file and a name, which may hold colons and be long itself
        heads += [text[:n] for n in range(len(text) - 1, 0, -1) if text[n] == ":"]
    file = next((head for head in heads if head.endswith(SUFFIX) and os.path.isfile(head)), None)  # noqa: PTH113
    path = None if file is None else memory_beside(file)
    return path if path is not None and path.is_file() else None


def remembered(
    volume: Volume,
    masks: Mapping[str, tuple[np.ndarray, float | None]],
    should_stop: ShouldStop = never,
    drawn: Mapping[str, Excerpt] | None = None,
) -> Teacher:
    """A teacher of ``masks`` (K, J, I) bool on the volume's grid, by structure name, each with its believed Dice, and
    what was ``drawn``.

    Raises :class:`InputError` if all are empty, and ``Stopped``.
    """
    picture = picture_of(volume, should_stop)
    return teacher_of(picture, masks, volume.grid, should_stop, drawn)


def teacher_of(
    picture: Picture,
    masks: Mapping[str, tuple[np.ndarray, float | None]],
    grid: Grid,
    should_stop: ShouldStop = never,
    drawn: Mapping[str, Excerpt] | None = None,
) -> Teacher:
    """What the next patient starts from: a picture, and by structure its mask (K, J, I) bool on ``grid`` with the Dice
    to be expected of it, and its drawn slices. Raises :class:`InputError` for an empty mask, and ``Stopped``."""
    shares = {name: mask_in(picture, mask, grid, should_stop) for name, (mask, _) in masks.items()}
    shares = {name: share for name, share in shares.items() if share.max() > FAINT}
    if not shares:
        raise InputError("There is nothing to remember: the mask is empty", "draw the structure first")
    there = np.flatnonzero(np.any([share > there_from(share) for share in shares.values()], 0).any((1, 2)))
    union = next(iter(shares.values()))
    tall = picture.spacing * len(union) > HEIGHT_MM
    reach = round(REACH_MM / picture.spacing) if tall else len(union)
    part = slice(max(0, int(there[0]) - reach), int(there[-1]) + 1 + reach)
    kept = picture.cut((part, slice(0, union.shape[1]), slice(0, union.shape[2])))
    found = {}
    for name, share in shares.items():
        share = share[part]
        spots = np.nonzero(share > FAINT)
        low = [int(s.min()) for s in spots]
        box = tuple(slice(v, int(s.max()) + 1) for v, s in zip(low, spots, strict=True))
        code = np.rint(255 * np.clip(share[box], 0, 1)).astype(np.uint8)
        found[name] = Mask(code, (low[0], low[1], low[2]), masks[name][1])
    return Teacher(kept, found, {name: one for name, one in (drawn or {}).items() if name in found})


def _check_table(path: Path) -> None:
    """Refuse shapes and types before any tensor is made."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        table = json.loads(file.read(length))
    total = 0
    for name, one in table.items():
        if name == "__metadata__":
            continue
        shape, dtype = one["shape"], "I16" if name.endswith("/planes") else "U8"
        sides = all(isinstance(n, int) and 0 < n <= MAX_SIDE for n in shape)
        if one["dtype"] != dtype or len(shape) != 3 or not sides:
            raise ValueError(name)
        total += math.prod(shape)
    if total > MAX_VOXELS * 2 or len(table) > 1 + MAX_TEACHERS * (1 + 3 * MAX_MASKS):
        raise ValueError("size")


def _teacher(entry: Any, number: int, arrays: Mapping[str, np.ndarray], foreign: InputError) -> Teacher:
    grey = arrays[f"{number}/grey"]
    spacing = float(entry["spacing"])
    s, a, r = (float(v) for v in entry["origin"])
    sensible = all(math.isfinite(v) and abs(v) < 1e5 for v in (s, a, r)) and abs(spacing - SPACING) < 1e-6
    if not sensible or grey.size > MAX_VOXELS or min(grey.shape) < 1 or not 0 < len(entry["masks"]) <= MAX_MASKS:
        raise foreign
    masks, drawn = {}, {}
    for m, one in enumerate(entry["masks"]):
        share, name, quality = arrays[f"{number}/{m}"], one["structure"], one["quality"]
        x, y, z = one["first"]
        placed = all(
            isinstance(f, int) and not isinstance(f, bool) and f >= 0 and f + n <= side
            for f, n, side in zip((x, y, z), share.shape, grey.shape, strict=True)
        )
        named = isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() and name not in masks
        known = quality is None or (isinstance(quality, float) and 0 <= quality <= 1)
        if not (placed and named and known and share.max() > 0):
            raise foreign
        masks[name] = Mask(share, (x, y, z), quality)
        if one.get("drawn") is not None:
            planes, marked = arrays[f"{number}/{m}/planes"], arrays[f"{number}/{m}/drawn"]
            drawn[name] = Excerpt.from_parts(one["drawn"], planes, marked)
    return Teacher(Picture(grey, (s, a, r), spacing), masks, drawn)
