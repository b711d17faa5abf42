"""The page that ``promptseg review`` writes: volumes, what looks odd, the worst slices as pictures, slice by slice."""

from __future__ import annotations

import numpy as np

from .. import __version__
from ..volumes.volume import Volume
from .figures import Plane, Series, chart, frame, slice_picture, window_for
from .findings import Review, StructureReview
from .report import Cell, Facts, Gallery, KeyFigure, Picture, Report, Section, Table

_WARNING = "For research use only. Not a medical device, and not for diagnosis or treatment."
_AXES = ("K", "J", "I")


def page(
    review: Review,
    volume: Volume,
    masks: dict[str, np.ndarray],
    references: dict[str, np.ndarray] | None = None,
    title: str = "Review",
) -> Report:
    """The report; ``masks`` and ``references`` (K, J, I) bool by structure, as they were reviewed."""
    references = references or {}
    sections = [Section("Structures", [_table(review)], _lead(review))]
    odd = [(one.name, " ".join(one.remarks)) for one in review.structures if one.remarks]
    if odd:
        sections.append(Section("What looks odd", [Facts("", odd)]))
    blocks = [
        _pictures(one, review.axis, volume, masks[one.name], references.get(one.name))
        for one in review.structures
        if one.slices
    ]
    if blocks:
        sections.append(Section("Where to look", blocks, [_order(review)]))
    charts = [picture for one in review.structures if (picture := _chart(one, review.axis)) is not None]
    if charts:
        sections.append(Section("Slice by slice", [Gallery("", charts, wide=True)]))
    figures = [_key_figure(one) for one in review.structures[:3]]
    summary = f"{len(review.structures)} structure{'s' * (len(review.structures) != 1)} of {volume.name}"
    summary += ", compared with a reference." if references else ", looked at without a reference."
    footer = f"Made by PromptSeg {__version__}. Everything was computed on this computer."
    return Report(title, summary, figures, sections, _WARNING, footer)


def _key_figure(one: StructureReview) -> KeyFigure:
    if one.score is not None:
        return KeyFigure(_number(one.score.dice, 2), f"Dice, {one.name}", f"{one.volume_ml:,.1f} ml")
    if one.estimate is not None:
        return KeyFigure(_number(one.estimate, 2), f"Dice to be expected, {one.name}", f"{one.volume_ml:,.1f} ml")
    return KeyFigure(f"{one.volume_ml:,.1f} ml", one.name)


def _lead(review: Review) -> list[str]:
    if any(one.score is not None for one in review.structures):
        return []
    return ["There is no reference here: these figures say what looks unsure or odd, not what is wrong."]


def _table(review: Review) -> Table:
    columns = ["Structure", "Volume (ml)"]
    scored = any(one.score is not None for one in review.structures)
    unsure = any(one.doubt is not None for one in review.structures)
    expected = any(one.estimate is not None for one in review.structures)
    columns += ["May be wrong (ml)"] if unsure else []
    columns += ["Dice to be expected"] if expected else []
    columns += ["Reference (ml)", "Dice", "HD95 (mm)", "NSD 2 mm"] if scored else []
    rows = []
    for one in review.structures:
        cells = [one.name, f"{one.volume_ml:,.1f}"]
        if unsure:
            cells.append("-" if one.unsure_ml is None else f"{one.unsure_ml:,.1f}")
        if expected:
            cells.append("-" if one.estimate is None else _number(one.estimate, 2))
        if scored:
            s = one.score
            numbers = () if s is None else ((s.reference_ml, 1), (s.dice, 3), (s.hd95_mm, 1), (s.nsd_2mm, 3))
            cells += [_number(value, places) for value, places in numbers] or ["-"] * 4
        rows.append([Cell(text) for text in cells])
    return Table("", columns, rows)


def _order(review: Review) -> str:
    if any(one.score is not None for one in review.structures):
        return "The slices in which most differs from the reference, the worst first."
    return "The slices in which most may be wrong, as a share of the structure, the worst first."


def _pictures(
    one: StructureReview, axis: int, volume: Volume, mask: np.ndarray, reference: np.ndarray | None
) -> Gallery:
    plane = Plane.of(volume.grid, axis)
    both = mask if reference is None else mask | reference
    box, window = frame(both, plane), window_for(volume.voxels[both])
    pictures = []
    for finding in one.slices:
        outlines = [("ours", plane.cut(mask, finding.index))]
        if reference is not None:
            outlines.append(("reference", plane.cut(reference, finding.index)))
        alt = f"CT slice {finding.index}: {one.name}, {finding.why}"
        svg = slice_picture(plane.cut(volume.voxels, finding.index), outlines, plane, box, alt, window)
        pictures.append(Picture(svg, f"Slice {_AXES[axis]} = {finding.index}", finding.why))
    legend = [("ours", "segmentation")] + ([("reference", "reference")] if reference is not None else [])
    return Gallery(one.name, pictures, legend)


def _chart(one: StructureReview, axis: int) -> Picture | None:
    if one.per_slice is not None:
        values, label, top = one.per_slice, "Dice", (-0.03, 1.03)
    elif one.doubt is not None:
        values, label, top = np.where(one.doubt > 0, one.doubt, np.nan), "may be wrong (cm²)", None
    else:
        return None
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    alt = f"{label} of each slice of {one.name}, from {np.nanmin(values):.2f} to {np.nanmax(values):.2f}"
    x = list(range(int(known[0]), int(known[-1]) + 1))
    series = [Series("ours", x, [float(values[k]) for k in x], points=True)]
    return Picture(chart(series, (f"Slice ({_AXES[axis]})", label), alt, y_range=top), one.name)


def _number(value: float, places: int) -> str:
    if np.isnan(value):
        return "-"
    return "∞" if np.isinf(value) else f"{value:,.{places}f}"
