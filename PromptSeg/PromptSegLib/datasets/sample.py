"""What the training loop gets of a data set: volumes on the working grid, and which structures are annotated there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import quoted
from .description import DataSet
from .regions import Regions

UNIONS = {
    "left lung": ("upper lobe of left lung", "lower lobe of left lung"),
    "right lung": ("upper lobe of right lung", "middle lobe of right lung", "lower lobe of right lung"),
}
"""Structures that some data sets annotate as a whole and others in parts."""
NEAR_MM, FAR_MM = 3.0, 12.0
"""How far the neighbours of a slice lie that come with it."""
RECIPE = {"version": 2, "spacing": 2.0}
"""How samples are made from volumes; a change makes a new cache, and packs have to be written again."""


@dataclass
class Sample:
    """One volume: ``grey`` and ``labels`` (N, H, W) uint8, slices from inferior to superior; ``labels`` hold 1 + index
    into ``structures``; ``where`` lists for each structure the slices that show it.

    ``absent`` are structures that are known not to be in the volume: there, all of it is background. What is neither
    in ``where`` nor in ``absent`` is not annotated and gives no loss. ``where`` may name one of :data:`UNIONS` whose
    parts are labelled. ``regions`` are parts of even grey that nobody annotated.
    """

    name: str
    grey: np.ndarray
    labels: np.ndarray
    structures: tuple[str, ...]
    slice_mm: float
    where: dict[str, np.ndarray] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    regions: Regions | None = None
    notes: tuple[str, ...] = ()
    """Sentences on what is odd about the volume, for instance that its values are no HU."""
    subject: str = ""
    """Whose volume it is: its own name where nothing else is said."""

    def __post_init__(self) -> None:
        self.subject = self.subject or self.name

    @property
    def known(self) -> set[str]:
        """The labelled structures that are annotated, themselves or as a part of a whole."""
        return {part for name in self.where for part in (name, *UNIONS.get(name, ()))}

    def values(self, name: str) -> list[int]:
        """The labels that make up a structure."""
        return [n + 1 for n, s in enumerate(self.structures) if s == name or s in UNIONS.get(name, ())]

    @property
    def annotated(self) -> tuple[str, ...]:
        """The structures of which every pixel is known to be inside or outside."""
        return (*self.where, *self.absent)


@dataclass
class Part:
    """One data set in a run: its samples to learn from, a few of those held out, and the names of all subjects of
    each."""

    dataset: DataSet
    training: list[Sample]
    validation: list[Sample]
    training_names: list[str]
    validation_names: list[str]


def shown_in(labels: np.ndarray, count: int) -> list[np.ndarray]:
    """For each of ``count`` structures the slices of ``labels`` (N, H, W) that show it.

    Under three pixels is a label's ragged end, not a slice to learn from.
    """
    pixels = np.stack([np.bincount(plane.ravel(), minlength=count + 1) for plane in labels])
    return [np.flatnonzero(pixels[:, n + 1] >= 3) for n in range(count)]


def with_unions(where: Mapping[str, np.ndarray], structures: Sequence[str]) -> dict[str, np.ndarray]:
    """The same, and the whole of those structures of which every part has a label."""
    out = dict(where)
    for union, parts in UNIONS.items():
        if union not in structures and set(parts) <= {*structures}:
            shown = [where[p] for p in parts if p in where]
            if shown:
                out[union] = np.unique(np.concatenate(shown))
    return out


def by_name(structures: Sequence[str], slices: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """:attr:`Sample.where` from the slices of each structure."""
    return {name: found for name, found in zip(structures, slices, strict=True) if len(found)}


def warnings_of_samples(samples: Iterable[Sample], limit: int = 5) -> list[str]:
    """Sentences on what is odd about volumes; the first ``limit`` of them, and the names of the others."""
    odd = [(s.name, sentence) for s in samples for sentence in s.notes]
    said = [sentence if name in sentence else f"{name}: {sentence}" for name, sentence in odd[:limit]]
    others = list(dict.fromkeys(name for name, _ in odd[limit:]))
    return [*said, f"The like is to be said of {quoted(others)}."] if others else said


def stacked(sample: Sample, slices: np.ndarray) -> np.ndarray:
    """Slices between their neighbours about 3 and 12 mm away, as a network takes them: (n, H, W, 5) float32, -1..1. A
    network of fewer channels takes those in the middle."""
    near, far = (max(1, round(mm / sample.slice_mm)) for mm in (NEAR_MM, FAR_MM))
    around = np.clip(slices[:, None] + np.array([-far, -near, 0, near, far]), 0, len(sample.grey) - 1)
    grey = np.asarray(sample.grey[around]).transpose(0, 2, 3, 1).astype(np.float32)
    return np.ascontiguousarray(grey / np.float32(127.5) - 1)
