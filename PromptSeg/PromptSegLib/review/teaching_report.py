"""What a report says about structures that were taught in a few slices of a volume that has a reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy.structure import Structure
from ..volumes.volume import Volume
from .figures import Plane, Series, chart, frame, slice_picture, window_for
from .metrics import ScoreRow, dice_per_slice, score
from .report import Cell, Gallery, ReportPicture, Section, Table, Terms

_PICTURES = 4
_DECIMALS = {"dice": 3, "hd95_mm": 1, "assd_mm": 2, "nsd_2mm": 3}


@dataclass(frozen=True)
class Method:
    """One way to fill the slices that were not shown: ``role`` as in :mod:`.figures`, ``per_slice`` Dice (K,) with NaN
    where there is nothing on either side.
    """

    role: str
    name: str
    mask: np.ndarray
    score: ScoreRow
    per_slice: np.ndarray

    @classmethod
    def of(
        cls,
        role: str,
        name: str,
        mask: np.ndarray,
        reference: np.ndarray,
        spacing: Sequence[float],
        shown: Sequence[int],
    ) -> Method:
        """Compare a mask with the reference on the slices along K that were not shown."""
        return cls(role, name, mask, score(mask, reference, spacing, shown), dice_per_slice(mask, reference))


@dataclass(frozen=True)
class Taught:
    """A structure, the slices along K that were shown, the reference (K, J, I), and the methods, PromptSeg's first.

    ``losses`` lists (step, loss); ``left_out`` has, by step, the Dice of each slice while it was left out, and
    ``left_out_dice`` the mean at the step that was chosen.
    """

    structure: Structure
    shown: Sequence[int]
    reference: np.ndarray
    methods: Sequence[Method]
    losses: Sequence[tuple[int, float]] = ()
    left_out: Mapping[int, Sequence[float]] | None = None
    left_out_dice: float | None = None
    also: Sequence[Method] = ()
    """Methods that only the table shows, under PromptSeg's own line."""

    @property
    def ours(self) -> Method:
        """What PromptSeg made."""
        return self.methods[0]

    @property
    def interpolation(self) -> Method:
        """The other method that comes nearest to the reference."""
        return max(self.methods[1:], key=lambda m: m.score.dice)

    def unshown(self) -> list[int]:
        """The slices that count: not shown, and with something in the reference or in PromptSeg's mask."""
        return [int(k) for k in np.flatnonzero(np.isfinite(self.ours.per_slice)) if k not in self.shown]

    def all(self) -> list[Method]:
        """Every method, in the order of the table."""
        return [self.ours, *self.also, *self.methods[1:]]

    def between(self) -> list[int]:
        """Unshown slices, as far from the shown ones as they come, spread over the structure."""
        middles = [(a + b) // 2 for a, b in zip(self.shown, self.shown[1:], strict=False) if b - a > 1]
        chosen = middles or self.unshown()
        return [chosen[round(n)] for n in np.linspace(0, len(chosen) - 1, min(_PICTURES, len(chosen)))]

    def worst(self) -> list[int]:
        """Unshown slices with PromptSeg's lowest Dice, the worst first."""
        return sorted(self.unshown(), key=lambda k: float(self.ours.per_slice[k]))[:_PICTURES]


def verdict(taught: Taught) -> str:
    """One sentence: who is nearer to the reference."""
    ours, best, name = taught.ours.score.dice, taught.interpolation, _upper(taught.structure.name)
    theirs = best.score.dice
    numbers = f"Dice {_number(ours, 3)} against {_number(theirs, 3)}"
    if abs(ours - theirs) < 0.005:
        return f"{name}: PromptSeg and {best.name} are level ({numbers})."
    if ours > theirs:
        return f"{name}: PromptSeg is nearer to the reference than {best.name} ({numbers})."
    return f"{name}: here interpolation is the better choice; {best.name} is nearer than PromptSeg ({numbers})."


def comparison(results: Sequence[Taught], note: str) -> Section:
    """The tables of all methods, a structure each. ``note`` says what cannot be seen from the numbers."""
    lead = [verdict(taught) for taught in results]
    return Section("How good it is", [_table(taught) for taught in results], [*lead, note])


def _table(taught: Taught) -> Table:
    columns = ("Method", "Dice", "HD95 (mm)", "ASSD (mm)", "NSD 2 mm", "Volume (ml)")
    best = {
        field: (min if field.endswith("d_mm") or field == "hd95_mm" else max)(
            round(getattr(m.score, field), decimals) for m in taught.all()
        )
        for field, decimals in _DECIMALS.items()
    }
    rows = []
    for m in taught.all():
        cells = [Cell(_upper(m.name))]
        for field, decimals in _DECIMALS.items():
            value = getattr(m.score, field)
            cells.append(Cell(_number(value, decimals), round(value, decimals) == best[field]))
        rows.append([*cells, Cell(_number(m.score.prediction_ml, 0))])
    rows.append([Cell("Reference"), *[Cell("")] * len(_DECIMALS), Cell(_number(taught.ours.score.reference_ml, 0))])
    shown, others = ", ".join(map(str, taught.shown)), len(taught.unshown())
    note = (
        f"Taught from {len(taught.shown)} slices (K = {shown}), compared on the {others} others in which the reference "
        "or PromptSeg has the structure. The volume is that of the whole mask. Bold: the best of a column."
    )
    return Table(_upper(taught.structure.name), columns, rows, note)


def shown_slices(volume: Volume, results: Sequence[Taught]) -> Section:
    """What PromptSeg was given."""
    blocks = []
    for taught in results:
        artist = _Artist(volume, taught)
        pictures = [
            artist.picture(k, [("drawn", taught.reference)], "as it was shown", "", f"Slice {k}") for k in taught.shown
        ]
        blocks.append(
            Gallery(_upper(taught.structure.name), pictures, [("drawn", "drawn contour, shown to PromptSeg")])
        )
    lead = "These slices, and nothing else of the reference, were shown to PromptSeg and to the interpolations."
    return Section("What was shown", blocks, [lead])


def unshown_slices(volume: Volume, results: Sequence[Taught]) -> Section:
    """What came out half-way between the shown slices."""
    lead = (
        "Slices that were not shown, as far from the shown ones as there are: the hardest place for any interpolation."
    )
    return Section("What came out", [_overlays(volume, t, t.between()) for t in results], [lead])


def worst_slices(volume: Volume, results: Sequence[Taught]) -> Section:
    """Where to look twice."""
    lead = "The slices on which PromptSeg agrees least with the reference, the worst first."
    return Section("The worst slices", [_overlays(volume, t, t.worst(), ranked=True) for t in results], [lead])


def _overlays(volume: Volume, taught: Taught, slices: Sequence[int], ranked: bool = False) -> Gallery:
    artist = _Artist(volume, taught)
    pictures = []
    for n, k in enumerate(slices, 1):
        contours = [("ours", taught.ours.mask), ("reference", taught.reference)]
        dice, others = (_number(float(v), 2) for v in (taught.ours.per_slice[k], taught.interpolation.per_slice[k]))
        what = f"PromptSeg's contour over the reference, Dice {dice}"
        title = f"{n}. Slice {k}" if ranked else f"Slice {k}"
        pictures.append(artist.picture(k, contours, what, f"Dice {dice} (interpolation {others})", title))
    legend = [("ours", "PromptSeg"), ("reference", "reference")]
    return Gallery(_upper(taught.structure.name), pictures, legend)


def slice_by_slice(results: Sequence[Taught]) -> Section:
    """Dice along the volume."""
    pictures = []
    for taught in results:
        slices = list(range(len(taught.ours.per_slice)))
        curves = []
        for m in reversed(taught.methods):
            y = [math.nan if k in taught.shown else float(m.per_slice[k]) for k in slices]
            curves.append(Series(m.role, slices, y, points=True))
        name = taught.structure.name
        alt = f"Dice of each slice for {name}: " + "; ".join(_range(m, taught) for m in taught.methods)
        svg = chart(curves, ("Slice (K)", "Dice"), alt, marks=taught.shown, y_range=(-0.03, 1.03))
        pictures.append(ReportPicture(svg, _upper(name)))
    legend = [*((m.role, _upper(m.name)) for m in results[0].methods), ("mark", "slice that was shown")]
    lead = "Dice of every slice that was not shown. A gap means that neither side has the structure there."
    return Section("Slice by slice", [Gallery("", pictures, legend, wide=True)], [lead])


def _range(method: Method, taught: Taught) -> str:
    values = [float(method.per_slice[k]) for k in taught.unshown() if np.isfinite(method.per_slice[k])]
    return f"{method.name} from {min(values):.2f} to {max(values):.2f}" if values else f"{method.name} nowhere"


_HOW_LEARNED = (
    "PromptSeg takes the number of steps at which the network finds left-out slices best. Between the shown slices it "
    "then adds what their contours say; how far the network is trusted beside them is told by left-out slices."
)


def learning(results: Sequence[Taught]) -> Section:
    """The curves of tuning."""
    blocks = []
    for taught in results:
        name = taught.structure.name
        pictures = []
        if taught.losses:
            steps, losses = zip(*taught.losses, strict=True)
            alt = f"Loss while {name} was learned: from {losses[0]:.2f} to {losses[-1]:.2f} in {len(steps)} steps"
            svg = chart([Series("ours", steps, losses)], ("Step", "Loss"), alt)
            pictures.append(ReportPicture(svg, "Loss", "on all shown slices"))
        if taught.left_out:
            steps, means = zip(*sorted((s, float(np.nanmean(v))) for s, v in taught.left_out.items()), strict=True)
            chosen = taught.left_out_dice
            note = "" if chosen is None else f"; {chosen:.2f} with the contours, as it was chosen"
            alt = f"Leave-one-slice-out Dice while {name} was learned: from {means[0]:.2f} to {means[-1]:.2f}{note}"
            svg = chart([Series("ours", steps, means, points=True)], ("Step", "Dice"), alt, y_range=(-0.03, 1.03))
            pictures.append(
                ReportPicture(
                    svg, "Leave-one-slice-out Dice", f"of the network alone, mean over the slices left out{note}"
                )
            )
        if pictures:
            blocks.append(Gallery(_upper(name), pictures, wide=True))
    return Section("How it was learned", blocks, [_HOW_LEARNED])


def how_to_read() -> Section:
    """What the measures mean."""
    return Section("How to read this", [Terms("", _MEASURES)])


_MEASURES = (
    (
        "Dice",
        "How much of two masks overlaps: twice what they share over the sum of both, 1 for equal masks and 0 for masks "
        "that do not touch. Large structures reach high values easily; in small ones a rim of one voxel costs much. "
        "Read it beside the distances.",
    ),
    (
        "Leave-one-slice-out Dice",
        "PromptSeg learns from all shown slices but one and is measured on that one; then the next is left out. It "
        "needs nothing but what was drawn, so you get it for your own structures too. It is an estimate from few "
        "slices, and each of its runs had one slice less to learn from.",
    ),
    (
        "HD95, ASSD, NSD",
        "Distances between the two surfaces, in mm: of either surface, 95 % lies within HD95 of the other; ASSD is the "
        "mean distance. NSD 2 mm is the share of both surfaces that lies within 2 mm of the other, from 0 to 1.",
    ),
)


class _Artist:
    """Pictures of one structure, all of the same place."""

    def __init__(self, volume: Volume, taught: Taught) -> None:
        self._volume, self._name = volume, taught.structure.name
        self._plane = Plane.of(volume.grid)
        self._box = frame(taught.reference | taught.ours.mask, self._plane)
        self._window = window_for(volume.voxels[taught.reference])

    def picture(
        self, k: int, contours: Sequence[tuple[str, np.ndarray]], what: str, note: str, title: str
    ) -> ReportPicture:
        flat = [(role, self._plane.cut(mask, k)) for role, mask in contours]
        image = self._plane.cut(self._volume.voxels, k)
        alt = f"CT slice {k}: {self._name}, {what}"
        return ReportPicture(slice_picture(image, flat, self._plane, self._box, alt, self._window), title, note)


def headlines(results: Sequence[Taught]) -> Iterator[tuple[str, str, str]]:
    """For each structure: its mean Dice on slices not shown, what that is, and the better interpolation's."""
    for taught in results:
        theirs = _number(taught.interpolation.score.dice, 2)
        label = f"Dice, {taught.structure.name}"
        yield _number(taught.ours.score.dice, 2), label, f"Interpolation, same slices: {theirs}"


def _number(value: float, decimals: int) -> str:
    if math.isnan(value):
        return "-"
    return "∞" if math.isinf(value) else f"{value:,.{decimals}f}".replace(",", "\u202f")


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]
