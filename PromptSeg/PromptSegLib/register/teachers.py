"""What stays on this computer beside a taught prompt: the teacher's CT at 3 mm and the finished mask.

One safetensors file of a few MB, ``NAME.memory`` beside ``NAME.promptset``. It shows a patient, so it is never part of
an exported prompt, and deleting it only takes away the start in the next patient. A file from elsewhere is data: its
size, types, shapes and numbers are checked before anything is made of them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..progress import ShouldStop, never
from ..volumes.volume import Grid, Volume
from .picture import SPACING, Picture, Region, mask_in, picture_of

SUFFIX = ".memory"
FORMAT = "promptseg-memory-1"
MOST_BYTES = 128 * 2**20
MOST_TEACHERS, MOST_MASKS, MOST_SIDE, MOST_VOXELS = 16, 64, 2048, 40_000_000
HEIGHT_MM, REACH_MM = 700.0, 250.0
"""A CT that is taller than this is kept up to so far above and below the structures. Others are kept whole, so that all
structures of one teacher have one picture, and share one registration."""


@dataclass(frozen=True)
class Mask:
    """A finished mask: ``share`` (s, a, r) uint8, 255 where the structure fills a voxel, from voxel ``first`` of its
    picture on; ``quality`` is the Dice that it is believed to have, None if nothing tells."""

    share: np.ndarray
    first: tuple[int, int, int]
    quality: float | None = None

    def on(self, picture: Picture) -> np.ndarray:
        """On the whole picture, (S, A, R) float32 0..1."""
        out = np.zeros(picture.grey.shape, np.float32)
        box = tuple(slice(f, f + n) for f, n in zip(self.first, self.share.shape, strict=True))
        out[box] = self.share / np.float32(255)
        return out


@dataclass(frozen=True)
class Teacher:
    """One patient in whom structures were taught: the picture, and the masks by the structure's name."""

    picture: Picture
    masks: Mapping[str, Mask]

    @property
    def digest(self) -> str:
        """Tells one teacher's picture from another's."""
        text = repr((self.picture.grey.shape, np.round(self.picture.origin, 2).tolist(), self.picture.spacing))
        return hashlib.sha256(text.encode() + self.picture.grey.tobytes()).hexdigest()[:16]

    def region(self, name: str) -> Region | None:
        """Where a structure lies."""
        return Region.of(self.picture, self.masks[name].on(self.picture))


@dataclass(frozen=True)
class Memory:
    """The teachers that a prompt set remembers."""

    teachers: Sequence[Teacher] = field(default_factory=tuple)

    def of(self, name: str) -> list[Teacher]:
        """Those in whom a structure was taught."""
        return [one for one in self.teachers if name in one.masks]

    def write(self, path: Path | str) -> None:
        """Write the file, whole or not at all. Raises :class:`OutputError`."""
        import torch

        from ..model.files import write_tensors

        tensors, entries = {}, []
        for n, one in enumerate(self.teachers):
            tensors[f"{n}/grey"] = torch.from_numpy(np.ascontiguousarray(one.picture.grey))
            masks = []
            for m, (name, mask) in enumerate(one.masks.items()):
                tensors[f"{n}/{m}"] = torch.from_numpy(np.ascontiguousarray(mask.share))
                masks.append({"structure": name, "first": list(mask.first), "quality": mask.quality})
            entries.append({"origin": list(one.picture.origin), "spacing": one.picture.spacing, "masks": masks})
        write_tensors(Path(path), tensors, {"format": FORMAT, "memory": json.dumps({"teachers": entries})})

    @classmethod
    def read(cls, path: Path | str) -> Memory:
        """Read a file. Raises :class:`InputError` for anything that is not a whole, sensible one."""
        from ..model.files import read_header, read_tensors

        path = Path(path)
        foreign = InputError(
            f"{path.name} is not a PromptSeg memory file, or it is damaged", "delete it, and teach the structure again"
        )
        try:
            size = path.stat().st_size
        except OSError as error:
            raise InputError(f"There is no memory file {path}", "check the name") from error
        if path.is_dir() or size > MOST_BYTES:
            raise foreign
        try:
            meta = read_header(path)
            if meta.get("format") != FORMAT:
                raise foreign
            entries = json.loads(meta["memory"])["teachers"]
            if not isinstance(entries, list) or not 0 < len(entries) <= MOST_TEACHERS:
                raise foreign
            _check_table(path)
            tensors, _ = read_tensors(path)
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            return cls(tuple(_teacher(entry, n, arrays, foreign) for n, entry in enumerate(entries)))
        except (InputError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise foreign from error


def beside(prompts: Path | str) -> Path:
    """The memory file that goes with a ``.promptset`` file."""
    return Path(prompts).with_suffix(SUFFIX)


def remembered(
    volume: Volume, masks: Mapping[str, tuple[np.ndarray, float | None]], should_stop: ShouldStop = never
) -> Teacher:
    """A teacher of ``masks`` (K, J, I) bool on the volume's grid, by structure name, each with its believed Dice.

    Raises :class:`InputError` if all are empty, and ``Stopped``.
    """
    picture = picture_of(volume, should_stop)
    return teacher_of(picture, masks, volume.grid, should_stop)


def teacher_of(
    picture: Picture,
    masks: Mapping[str, tuple[np.ndarray, float | None]],
    grid: Grid,
    should_stop: ShouldStop = never,
) -> Teacher:
    """The same from a picture that was made already."""
    shares = {name: mask_in(picture, mask, grid, should_stop) for name, (mask, _) in masks.items()}
    union = np.max(np.stack(list(shares.values())), 0)
    there = np.flatnonzero((union > 0.25).any((1, 2)))
    if not len(there):
        raise InputError("There is nothing to remember: the mask is empty", "draw the structure first")
    tall = picture.spacing * len(union) > HEIGHT_MM
    reach = round(REACH_MM / picture.spacing) if tall else len(union)
    part = slice(max(0, int(there[0]) - reach), int(there[-1]) + 1 + reach)
    kept = picture.cut((part, slice(0, union.shape[1]), slice(0, union.shape[2])))
    found = {}
    for name, share in shares.items():
        share = share[part]
        spots = np.nonzero(share > 0.02)
        if not len(spots[0]) or not (share > 0.25).any():
            continue
        low = [int(s.min()) for s in spots]
        box = tuple(slice(v, int(s.max()) + 1) for v, s in zip(low, spots, strict=True))
        code = np.rint(255 * np.clip(share[box], 0, 1)).astype(np.uint8)
        found[name] = Mask(code, (low[0], low[1], low[2]), masks[name][1])
    return Teacher(kept, found)


def _check_table(path: Path) -> None:
    """Refuse shapes and types before any tensor is made."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        table = json.loads(file.read(length))
    total = 0
    for name, one in table.items():
        if name == "__metadata__":
            continue
        shape = one["shape"]
        if one["dtype"] != "U8" or len(shape) != 3 or not all(isinstance(n, int) and 0 < n <= MOST_SIDE for n in shape):
            raise ValueError(name)
        total += math.prod(shape)
    if total > MOST_VOXELS * 2 or len(table) > 1 + MOST_TEACHERS * (1 + MOST_MASKS):
        raise ValueError("size")


def _teacher(entry: Any, number: int, arrays: Mapping[str, np.ndarray], foreign: InputError) -> Teacher:
    grey = arrays[f"{number}/grey"]
    spacing = float(entry["spacing"])
    s, a, r = (float(v) for v in entry["origin"])
    sensible = all(math.isfinite(v) and abs(v) < 1e5 for v in (s, a, r)) and abs(spacing - SPACING) < 1e-6
    if not sensible or grey.size > MOST_VOXELS or min(grey.shape) < 4 or not 0 < len(entry["masks"]) <= MOST_MASKS:
        raise foreign
    masks = {}
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
    return Teacher(Picture(grey, (s, a, r), spacing), masks)
