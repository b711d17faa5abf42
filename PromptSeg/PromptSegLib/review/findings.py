"""What a review finds: per structure the volume, what looks odd, the slices that need review first, and how good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..errors import GridError
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..volumes.volume import Grid
from .metrics import ScoreRow, dice_per_slice, score
from .risk import mean_area, neighbour_change, slice_risk

T = TypeVar("T")

_JUMP = 0.5
"""A slice of which so much is not what its neighbours are is odd."""

MIN_RISK, MIN_CM2 = 0.02, 0.05
"""A slice of which less than this share of the structure's mean area may be wrong needs no review; what would be told
as "0.0 cm²" is not told."""


class OnDemand(Mapping[str, T]):
    """What is made when it is asked for: masks of all structures of a large volume may not fit into memory together."""

    def __init__(self, names: Sequence[str], make: Callable[[str], T]) -> None:
        self._names, self._make = names, make

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class SliceFinding:
    """One slice that needs review: ``why`` in words; ``dice`` where a reference is there, ``error_cm2`` (what may
    be wrong) where an uncertainty is there.

    ``risk`` is how much of it is wrong, or may be, as a share of the structure's mean area: slices of one structure,
    and of several, are sorted by it.
    """

    index: int
    why: str
    dice: float | None = None
    error_cm2: float | None = None
    risk: float = 0.0


@dataclass(frozen=True)
class StructureReview:
    """One structure. ``remarks`` are sentences about what looks odd, ``slices`` the ones to look at, the first most.

    ``estimate`` is the Dice to be expected of the slices that were not drawn, where that is known; ``score`` and
    ``per_slice`` (n,) Dice with NaN where nothing is on either side compare with a reference, None without one;
    ``error_cm2`` (n,) is what may be wrong in each slice, in cm^2.
    """

    name: str
    volume_ml: float
    remarks: tuple[str, ...]
    slices: tuple[SliceFinding, ...]
    estimate: float | None = None
    score: ScoreRow | None = None
    per_slice: np.ndarray | None = None
    error_cm2: np.ndarray | None = None
    uncertain_ml: float | None = None
    """All that may be wrong."""

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> StructureReview:
        """What :meth:`to_json` made, but for what is known of each slice that was not found; numbers that are missing
        are not defined."""
        found = row.get("score")
        slices = tuple(
            SliceFinding(int(s["index"]), str(s["why"]), s.get("dice"), s.get("error_cm2"), float(s.get("risk") or 0.0))
            for s in row["slices"]
        )
        return cls(
            str(row["structure"]), float(row["volume_ml"]), tuple(row["remarks"]), slices, row.get("estimate"),
            None if not found else ScoreRow.from_json(found),
            uncertain_ml=row.get("uncertain_ml", row.get("unsure_ml")),  # as scenes of earlier versions have it
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain fields for ``json.dumps``."""
        return {
            "structure": self.name,
            "volume_ml": round(self.volume_ml, 3),
            "remarks": list(self.remarks),
            "slices": [vars(one) for one in self.slices],
            "estimate": self.estimate,
            "uncertain_ml": self.uncertain_ml,
            "score": None if self.score is None else self.score.to_json(),
        }


@dataclass(frozen=True)
class Review:
    """Structures in the order in which they were given; slices count along array axis ``axis``."""

    structures: tuple[StructureReview, ...]
    axis: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain fields for ``json.dumps``."""
        return {"axis": self.axis, "structures": [one.to_json() for one in self.structures]}


@dataclass(frozen=True)
class Auxiliary:
    """What is known of one structure beside its mask: all on one grid, (K, J, I)."""

    uncertainty: np.ndarray | None = None
    reference: np.ndarray | None = None
    drawn: Sequence[int] = field(default_factory=tuple)
    """Slices that are as the user drew them: they need no look and do not count."""
    estimate: float | None = None


def review(
    masks: Mapping[str, np.ndarray],
    grid: Grid,
    auxiliary: Mapping[str, Auxiliary] | None = None,
    *,
    axis: int = 0,
    limit: int = 4,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Review:
    """Look at masks (K, J, I) bool by structure; ``limit`` slices of each are named.

    With a reference these are the ones in which most is wrong, else those in which most may be, by
    :func:`~PromptSegLib.review.risk.slice_risk`. Raises :class:`GridError` for arrays of another size, ``Stopped``.
    """
    auxiliary = auxiliary or {}
    found = []
    for n, (name, mask) in enumerate(masks.items()):
        check(should_stop)
        on_progress(Progress("review", n / max(1, len(masks)), f"Looking at {name}"))
        known = auxiliary.get(name, Auxiliary())
        for other in (mask, known.uncertainty, known.reference):
            if other is not None and other.shape != grid.shape:
                sizes = " instead of ".join(" x ".join(map(str, shape[::-1])) for shape in (other.shape, grid.shape))
                raise GridError(f"What belongs to '{name}' is not on the image's grid: {sizes}", "use one grid for all")
        found.append(_structure(name, mask.astype(bool, copy=False), grid, known, axis, limit, should_stop))
    on_progress(Progress("review", 1.0, "Looked at all structures"))
    return Review(tuple(found), axis)


def _structure(
    name: str, mask: np.ndarray, grid: Grid, known: Auxiliary, axis: int, limit: int, should_stop: ShouldStop
) -> StructureReview:
    spacing = grid.spacing[::-1]
    ml = float(np.prod(spacing)) / 1000
    row = per_slice = None
    found = slice_risk(mask, spacing, known.uncertainty, axis, should_stop)
    share, error_cm2 = found.share, found.error_cm2
    if error_cm2 is not None:
        error_cm2[list(known.drawn)] = 0
    if known.reference is not None:
        reference = known.reference.astype(bool, copy=False)
        row = score(mask, reference, spacing, known.drawn, axis)
        per_slice = dice_per_slice(mask, reference, axis)
        others = tuple(a for a in range(3) if a != axis)
        share = np.count_nonzero(mask ^ reference, axis=others) / max(1.0, mean_area(reference, axis))
    share[list(known.drawn)] = 0
    slices = _worst(share, found.change, per_slice, error_cm2, limit)
    volume = float(np.count_nonzero(mask)) * ml
    uncertain = None if error_cm2 is None else float(error_cm2.sum()) * spacing[axis] / 10
    remarks = _remarks(mask, neighbour_change(mask, axis), axis)
    return StructureReview(name, volume, remarks, slices, known.estimate, row, per_slice, error_cm2, uncertain)


def _worst(
    share: np.ndarray, change: np.ndarray, per_slice: np.ndarray | None, error_cm2: np.ndarray | None, limit: int
) -> tuple[SliceFinding, ...]:
    out = []
    for k in (int(k) for k in np.argsort(-share, kind="stable")[:limit] if share[k] >= MIN_RISK):
        dice = None if per_slice is None else float(per_slice[k])
        uncertain = None if error_cm2 is None else float(error_cm2[k])
        if dice is not None:
            why = f"Dice {dice:.2f}"
        else:
            differs, wrong = change[k] >= MIN_RISK / 2, uncertain is not None and uncertain >= MIN_CM2
            if differs and wrong:
                why = f"differs by {change[k]:.0%} from the adjacent slices, about {uncertain:.1f} cm² may be wrong"
            elif differs:
                why = f"differs by {change[k]:.0%} from the adjacent slices"
            elif wrong:
                why = f"about {uncertain:.1f} cm² may be wrong"
            else:
                continue  # a little of everything, which nobody would see
        out.append(SliceFinding(k, why, dice, uncertain, float(share[k])))
    return tuple(out)


def _remarks(mask: np.ndarray, jumps: np.ndarray, axis: int) -> tuple[str, ...]:
    if not mask.any():
        return ("Nothing was found.",)
    from scipy import ndimage  # not where a review is only shown: see :mod:`.thumbnails`

    remarks = []
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.sort(np.bincount(labels.ravel())[1:])[::-1]
    large = int((sizes >= 0.05 * sizes[0]).sum())
    if large > 1:
        remarks.append(f"It is in {large} separate parts.")
    elif count > 1:
        remarks.append("There is a speck beside it." if count == 2 else f"There are {count - 1} specks beside it.")
    faces = [bool(mask.take(end, axis=a).any()) for a in range(3) for end in (0, -1)]
    if any(faces):
        remarks.append("It touches the border of the image.")
    there = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
    gaps = int(there[-1] - there[0] + 1 - len(there))
    if gaps == 1:
        remarks.append("It is missing in 1 slice between others that show it.")
    elif gaps:
        remarks.append(f"It is missing in {gaps} slices between others that show it.")
    odd = [int(k) for k in np.flatnonzero(jumps > _JUMP)]
    if odd and not gaps:
        listed = ", ".join(map(str, odd[:5]))
        if len(odd) == 1:
            remarks.append(f"It changes abruptly at slice {listed}.")
        elif len(odd) <= 5:
            remarks.append(f"It changes abruptly at slices {listed}.")
        else:
            remarks.append(f"It changes abruptly at slices {listed} and others.")
    return tuple(remarks)
