"""Compare two label maps, structure by structure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import GridError, InputError
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..spelling import spelled
from ..volumes.labels import differences
from ..volumes.volume import Grid
from .metrics import ScoreRow, score


class Labels(Protocol):
    """What is needed of a label map; :class:`~PromptSegLib.volumes.labels.LabelMap` is one."""

    @property
    def array(self) -> np.ndarray:
        """(K, J, I) label values, 0 for the background."""

    @property
    def grid(self) -> Grid:
        """Where it lies."""

    @property
    def names(self) -> Mapping[int, Any]:
        """By value, what the file names: a string or anything with a ``name``."""

    def mask(self, value: int, /) -> np.ndarray:
        """Bool (K, J, I) of one label."""


@dataclass(frozen=True)
class StructureScore:
    """One structure: its name, its value in either label map, and how well they agree."""

    name: str
    segmentation_value: int
    reference_value: int
    score: ScoreRow

    def to_json(self) -> dict[str, Any]:
        """Plain fields for ``json.dumps``; what is not defined or infinite is ``None``."""
        return {
            "structure": self.name,
            "segmentation_value": self.segmentation_value,
            "reference_value": self.reference_value,
            **self.score.to_json(),
        }


@dataclass(frozen=True)
class MeanScore:
    """Means over structures; NaN where there is nothing to average.

    Dice and NSD are over the ``defined`` structures (present on either side), a missed one counting 0. HD95 and ASSD
    are in mm and over those that are finite, so read them together with ``missed``: how many structures only one side
    has.
    """

    dice: float
    hd95_mm: float
    assd_mm: float
    nsd_1mm: float
    nsd_2mm: float
    defined: int
    missed: int

    def to_json(self) -> dict[str, float | None]:
        """Plain fields for ``json.dumps``; what is not defined is ``None``."""
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}


@dataclass(frozen=True)
class Evaluation:
    """``rows`` in the order of the pairs, their ``mean``, and the structures ("name" or "label 3") without partner."""

    rows: tuple[StructureScore, ...]
    mean: MeanScore
    only_in_segmentation: tuple[str, ...]
    only_in_reference: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The rows, the mean and what was left out, as plain JSON."""
        return {
            "rows": [row.to_json() for row in self.rows],
            "mean": self.mean.to_json(),
            "only_in_segmentation": list(self.only_in_segmentation),
            "only_in_reference": list(self.only_in_reference),
        }


PAIRS = (
    "say which labels belong together (--pairs), for example 1:6 for label 1 of the segmentation and 6 of the reference"
)


def parse_pairs(text: str) -> dict[int, int]:
    """``"1:6,2:3"`` to ``{1: 6, 2: 3}``: value in the segmentation to value in the reference.

    Raises :class:`InputError` for anything else, for the background (0) and for a value that is given twice.
    """
    remedy = "write the value in the segmentation, a colon and the value in the reference, for example 1:6,2:3"
    pairs: dict[int, int] = {}
    for item in text.split(","):
        left, colon, right = (part.strip() for part in item.partition(":"))
        if not (colon and left.isdecimal() and right.isdecimal()):
            raise InputError(f"'{item.strip()}' is not a pair of label values", remedy)
        a, b = int(left), int(right)
        if a == 0 or b == 0:
            raise InputError(f"The pair {a}:{b} names label 0, which is the background", remedy)
        if a in pairs or b in pairs.values():
            raise InputError(f"The pair {a}:{b} uses a label that another pair uses", "give each label once")
        pairs[a] = b
    return pairs


def evaluate(
    segmentation: Labels,
    reference: Labels,
    pairs: Mapping[int, int] | None = None,
    skip_slices: Iterable[int] = (),
    axis: int = 0,
    *,
    remedy: str = PAIRS,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Evaluation:
    """Score every structure of ``pairs``, {value in the segmentation: value in the reference}, by :func:`score`.

    Without ``pairs``, they are those of :func:`partners`. A value that the segmentation does not hold is a missed
    structure, with Dice 0. Raises :class:`GridError` for label maps on different grids, :class:`InputError` when no
    structure has a partner (with ``remedy``), for a reference value that is not there, and for a slice that is not in
    the volume.
    """
    if not segmentation.grid.matches(reference.grid):
        raise GridError(
            f"The segmentation is on another grid than the reference: {differences(segmentation.grid, reference.grid)}",
            "resample one to the other's grid first, nearest neighbour",
        )
    ours, theirs = names_of(segmentation), names_of(reference)
    if pairs is None:
        pairs = partners(segmentation, reference, remedy)
    for value in pairs.values():
        if value not in theirs:
            if not theirs:
                raise InputError("The reference has no labels at all", "choose one that shows a structure")
            have = ", ".join(str(v) for v in sorted(theirs))
            raise InputError(f"Label {value} is not in the reference", f"choose from what it holds ({have})")

    skipped = tuple(skip_slices)
    rows = []
    for done, (a, b) in enumerate(pairs.items()):
        check(should_stop)
        name = ours[a] if a in segmentation.names and b not in reference.names else theirs[b]
        on_progress(Progress("evaluate", done / len(pairs), f"Comparing {name}"))
        spacing = reference.grid.spacing[::-1]
        found = segmentation.mask(a) if a in ours else np.zeros(reference.array.shape, dtype=bool)
        rows.append(StructureScore(name, a, b, score(found, reference.mask(b), spacing, skipped, axis)))
    on_progress(Progress("evaluate", 1.0, "Compared all structures"))
    return Evaluation(
        tuple(rows),
        _mean([row.score for row in rows]),
        tuple(name for value, name in ours.items() if value not in pairs),
        tuple(name for value, name in theirs.items() if value not in pairs.values()),
    )


def names_of(labels: Labels) -> dict[int, str]:
    """A name for each value that the label map holds or names, in order of value, each of them another: where several
    segments share a name, their values are said too."""
    present = set(np.flatnonzero(_histogram(labels.array)).tolist()) | set(labels.names)
    found = {int(value): _own_name(labels, value) or f"label {value}" for value in sorted(present - {0})}
    counts = Counter(found.values())
    return {v: f"{name} (label {v})" if counts[name] > 1 else name for v, name in found.items()}


def partners(segmentation: Labels, reference: Labels, remedy: str) -> dict[int, int]:
    """Which values belong together, {of the segmentation: of the reference}: those of equal name where both name
    theirs (case does not matter), else those of equal value.

    Several segments of one name belong together where their values are the same in both. Raises :class:`InputError`,
    with ``remedy``, where they are not, or where nothing has a partner.
    """
    if not (segmentation.names and reference.names):
        pairs = {value: value for value in names_of(segmentation) if value in names_of(reference)}
        what = "label value"
    else:
        pairs, what = {}, "name"
        ours, theirs = _by_name(segmentation), _by_name(reference)
        for name, values in ours.items():
            others = theirs.get(name, [])
            if len(values) == len(others) == 1 or values == others:
                pairs.update(zip(values, others, strict=True))
            elif others:
                side, several = ("segmentation", values) if len(values) > 1 else ("reference", others)
                called = _own_name(segmentation, values[0])
                raise InputError(
                    f"{len(several)} segments of the {side} are called '{called}' (labels {_listed(several)}), and it "
                    "does not follow which of them is meant",
                    remedy,
                )
    if not pairs:
        if not names_of(reference):
            raise InputError("The reference has no labels at all", "choose one that shows a structure")
        if not names_of(segmentation):
            first = next(iter(names_of(reference)))
            raise InputError(
                "The segmentation has no labels at all",
                f"say which it should have (--pairs), for example {first}:{first}: what is missing has the Dice 0",
            )
        raise InputError(f"The segmentation and the reference share no {what}", remedy)
    return pairs


def _own_name(labels: Labels, value: int) -> str:
    item = labels.names.get(value, "")
    return str(getattr(item, "name", item))


def _by_name(labels: Labels) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for value in sorted(labels.names):
        if value:
            found.setdefault(spelled(_own_name(labels, value)), []).append(value)
    return found


def _listed(values: Sequence[int]) -> str:
    *others, last = map(str, values)
    return f"{', '.join(others)} and {last}" if others else last


def _histogram(array: np.ndarray) -> np.ndarray:
    """Voxels per value, plane by plane: ``bincount`` makes 64-bit copies, ``unique`` sorts everything."""
    counts = np.zeros(int(array.max(initial=0)) + 1, dtype=np.int64)
    for plane in array:
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    return counts


def _mean(scores: list[ScoreRow]) -> MeanScore:
    defined = [row for row in scores if not math.isnan(row.dice)]
    found = [row for row in defined if math.isfinite(row.hd95_mm)]

    def mean(rows: list[ScoreRow], field: str) -> float:
        return float(np.mean([getattr(row, field) for row in rows])) if rows else math.nan

    return MeanScore(
        mean(defined, "dice"),
        mean(found, "hd95_mm"),
        mean(found, "assd_mm"),
        mean(defined, "nsd_1mm"),
        mean(defined, "nsd_2mm"),
        len(defined),
        len(defined) - len(found),
    )
