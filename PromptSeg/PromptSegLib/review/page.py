"""The page of a review, which ``promptseg review`` and 3D Slicer write alike: volumes and measures, what looks odd, the
worst slices as pictures, and what was reviewed, by whom and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np

from .. import __version__
from ..volumes.volume import Grid, Volume
from .figures import Plane, Series, chart, window_for
from .findings import Review, StructureReview
from .plain_text import escape
from .png import data_uri
from .report import Cell, Gallery, KeyFigure, Report, ReportPicture, Section, Table, Terms
from .thumbnails import OURS, REFERENCE, MaskBox, thumbnail

WARNING = "For research use only. Not a medical device, and not for diagnosis or treatment."
SIZE = 240
"""Pixels of a picture."""
_AXES = ("K", "J", "I")


@dataclass(frozen=True)
class Decision:
    """What was decided of a structure, in words, by whom and when; empty texts for what is not known."""

    decision: str = ""
    by: str = ""
    when: str = ""


@dataclass(frozen=True)
class About:
    """What a review is of: names, the volume's grid, and the time at which it is told (text, local time).

    ``decisions`` are by structure; ``looked_at`` is (how many slices, of how many), where that is known.
    """

    volume: str
    segmentation: str
    grid: Grid
    when: str
    reference: str = ""
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    looked_at: tuple[int, int] | None = None

    def rows(self, axis: int) -> list[tuple[str, str]]:
        """Terms with what there is to say."""
        i, j, k = self.grid.size
        x, y, z = self.grid.spacing
        plane = Plane.of(self.grid, axis).name
        rows = [
            ("Date", self.when),
            ("Made by", f"PromptSeg {__version__}"),
            ("Volume", self.volume),
            ("Grid", f"{i} x {j} x {k} voxels of {x:.3g} x {y:.3g} x {z:.3g} mm"),
            ("Segmentation", self.segmentation),
            ("Reference", self.reference or "none"),
            ("Slices", f"{plane}, counted along {_AXES[axis]} from 0"),
        ]
        if self.looked_at is not None:
            rows.append(("Looked at", f"{self.looked_at[0]} of {self.looked_at[1]} slices that need review"))
        return rows


Pictures = Mapping[tuple[str, int], str]
"""Square pictures by structure and slice, as addresses that hold them: :func:`~PromptSegLib.review.png.data_uri`."""


def pictures_of(
    review: Review,
    volume: Volume,
    masks: Mapping[str, np.ndarray],
    references: Mapping[str, np.ndarray] | None = None,
    size: int = SIZE,
) -> Pictures:
    """A picture of each slice that a review found; ``masks`` and ``references`` (K, J, I) bool by structure, as they
    were reviewed."""
    made = {}
    for one in review.structures:
        if not one.slices:
            continue
        mask, reference = masks[one.name], (references or {}).get(one.name)
        contours = [(MaskBox.of(mask), OURS)]
        contours += [] if reference is None else [(MaskBox.of(reference), REFERENCE)]
        window = window_for(volume.voxels[mask if reference is None else mask | reference])
        for found in one.slices:
            rgb = thumbnail(volume.voxels, volume.grid, review.axis, found.index, contours, window, size)
            made[one.name, found.index] = data_uri(rgb)
    return made


def page(review: Review, about: About, pictures: Pictures, title: str = "Review") -> Report:
    """The report; slices without a picture have none."""
    compared = any(one.score is not None for one in review.structures)
    sections = [Section("Structures", [_table(review, about.decisions)], _lead(review))]
    odd = [(one.name, " ".join(one.remarks)) for one in review.structures if one.remarks]
    if odd:
        sections.append(Section("What looks odd", [Terms("", odd)]))
    blocks = [
        _gallery(one, review.axis, about.grid, pictures)
        for one in review.structures
        if any((one.name, found.index) in pictures for found in one.slices)
    ]
    if blocks:
        sections.append(Section("Where to look", blocks, [_order(review)]))
    charts = [picture for one in review.structures if (picture := _chart(one, review.axis)) is not None]
    if charts:
        sections.append(Section("Slice by slice", [Gallery("", charts, wide=True)]))
    sections.append(Section("What was reviewed", [Terms("", about.rows(review.axis))]))
    figures = [_key_figure(one) for one in review.structures[:3]]
    summary = f"{len(review.structures)} structure{'s' * (len(review.structures) != 1)} of {about.volume}"
    summary += ", compared with a reference" if compared else ", looked at without a reference"
    summary += f", {about.when}." if about.when else "."
    footer = f"Made by PromptSeg {__version__}. Everything was computed on this computer."
    return Report(title, summary, figures, sections, WARNING, footer)


def _key_figure(one: StructureReview) -> KeyFigure:
    if one.score is not None:
        return KeyFigure(_number(one.score.dice, 2), f"Dice, {one.name}", f"{one.volume_ml:,.1f} ml")
    if one.estimate is not None:
        return KeyFigure(_number(one.estimate, 2), f"Expected Dice, {one.name}", f"{one.volume_ml:,.1f} ml")
    return KeyFigure(f"{one.volume_ml:,.1f} ml", one.name)


def _lead(review: Review) -> list[str]:
    if any(one.score is not None for one in review.structures):
        return []
    return ["There is no reference here: these figures say what looks uncertain or odd, not what is wrong."]


def _table(review: Review, decisions: Mapping[str, Decision]) -> Table:
    columns = ["Structure", "Volume (ml)"]
    scored = any(one.score is not None for one in review.structures)
    uncertain = any(one.error_cm2 is not None for one in review.structures)
    expected = any(one.estimate is not None for one in review.structures)
    columns += ["May be wrong (ml)"] if uncertain else []
    columns += ["Expected Dice"] if expected else []
    columns += ["Reference (ml)", "Dice", "HD95 (mm)", "NSD 2 mm"] if scored else []
    columns += ["Decision", "By"] if decisions else []
    rows = []
    for one in review.structures:
        cells = [one.name, f"{one.volume_ml:,.1f}"]
        if uncertain:
            cells.append("-" if one.uncertain_ml is None else f"{one.uncertain_ml:,.1f}")
        if expected:
            cells.append("-" if one.estimate is None else _number(one.estimate, 2))
        if scored:
            s = one.score
            numbers = () if s is None else ((s.reference_ml, 1), (s.dice, 3), (s.hd95_mm, 1), (s.nsd_2mm, 3))
            cells += [_number(value, places) for value, places in numbers] or ["-"] * 4
        if decisions:
            made = decisions.get(one.name, Decision())
            cells += [made.decision or "-", ", ".join(text for text in (made.by, made.when) if text) or "-"]
        rows.append([Cell(text) for text in cells])
    return Table("", columns, rows)


def _order(review: Review) -> str:
    if any(one.score is not None for one in review.structures):
        return "The slices in which most differs from the reference, the worst first."
    return "The slices in which most may be wrong, as a share of the structure, the worst first."


def _gallery(one: StructureReview, axis: int, grid: Grid, pictures: Pictures) -> Gallery:
    shown = []
    for finding in one.slices:
        uri = pictures.get((one.name, finding.index))
        if uri is not None:
            alt = f"CT slice {finding.index}: {one.name}, {finding.why}"
            svg = _framed(uri, Plane.of(grid, axis).left, alt)
            shown.append(ReportPicture(svg, f"Slice {_AXES[axis]} = {finding.index}", finding.why))
    legend = [("ours", "segmentation")] + ([("reference", "reference")] if one.score is not None else [])
    return Gallery(one.name, shown, legend)


def _framed(uri: str, left: str, alt: str) -> str:
    """A square picture as an element of a page, with the letter of the patient's side on its left."""
    return (
        f'<svg class="slice" role="img" aria-label="{escape(alt)}" viewBox="0 0 100 100">'
        f'<image width="100" height="100" href="{uri}"/>'
        f'<text x="2" y="50" font-size="6">{escape(left)}</text></svg>'
    )


def _chart(one: StructureReview, axis: int) -> ReportPicture | None:
    if find_spec("matplotlib") is None:  # the rest of the page needs nothing
        return None
    if one.per_slice is not None:
        values, label, top = one.per_slice, "Dice", (-0.03, 1.03)
    elif one.error_cm2 is not None:
        values, label, top = np.where(one.error_cm2 > 0, one.error_cm2, np.nan), "may be wrong (cm²)", None
    else:
        return None
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    alt = f"{label} of each slice of {one.name}, from {np.nanmin(values):.2f} to {np.nanmax(values):.2f}"
    x = list(range(int(known[0]), int(known[-1]) + 1))
    series = [Series("ours", x, [float(values[k]) for k in x], points=True)]
    return ReportPicture(chart(series, (f"Slice ({_AXES[axis]})", label), alt, y_range=top), one.name)


def _number(value: float, places: int) -> str:
    if np.isnan(value):
        return "-"
    return "∞" if np.isinf(value) else f"{value:,.{places}f}"
