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
from .wording import ENGLISH, Wording


def _(text: str) -> str:
    """Marks a text for translation; that it is looked up by a :class:`Wording`."""
    return text


WARNING = _("For research use only. Not a medical device, and not for diagnosis or treatment.")
SIZE = 240
"""Pixels of a picture."""
COMPLETED, ACCEPTED, FLAGGED, SEEN = _("Completed"), _("Accepted"), _("Flagged"), _("Looked at")
"""What is decided of a structure (completed, flagged) or of a slice."""
_MARKS = {ACCEPTED: "\u2713 ", FLAGGED: "\u2691 ", SEEN: "\u2022 "}
_AXES = ("K", "J", "I")


@dataclass(frozen=True)
class Decision:
    """What was decided of a structure or a slice, by whom and when; empty texts for what is not known."""

    decision: str = ""
    by: str = ""
    when: str = ""

    def told(self, wording: Wording = ENGLISH, mark: bool = False) -> str:
        """All of it in a line; with a mark that is seen without colours."""
        parts = (wording.text(self.decision) if self.decision else "", self.by, self.when)
        return (_MARKS.get(self.decision, "") if mark else "") + ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class About:
    """What a review is of: names, the volume's grid, and the time at which it is told (text, local time).

    ``decisions`` are by structure, ``slices`` by structure and slice; ``looked_at`` is (how many slices, of how many),
    where that is known.
    """

    volume: str
    segmentation: str
    grid: Grid
    when: str
    reference: str = ""
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    looked_at: tuple[int, int] | None = None
    slices: Mapping[tuple[str, int], Decision] = field(default_factory=dict)

    def rows(self, axis: int, wording: Wording = ENGLISH) -> list[tuple[str, str]]:
        """Terms with what there is to say."""
        say = wording.text
        i, j, k = self.grid.size
        x, y, z = self.grid.spacing
        plane = Plane.of(self.grid, axis).name
        voxels = say(_("{i} x {j} x {k} voxels of {x:.3g} x {y:.3g} x {z:.3g} mm"))
        counted = say(_("{plane}, counted along {axis} from 0"))
        rows = [
            (say(_("Date")), self.when),
            (say(_("Made by")), f"PromptSeg {__version__}"),
            (say(_("Volume")), self.volume),
            (say(_("Grid")), voxels.format(i=i, j=j, k=k, x=x, y=y, z=z)),
            (say(_("Segmentation")), self.segmentation),
            (say(_("Reference")), self.reference or say(_("none"))),
            (say(_("Slices")), counted.format(plane=wording.said(plane), axis=_AXES[axis])),
        ]
        if self.looked_at is not None:
            made = [one.decision for one in self.slices.values()]
            text = say(_("{n} of {of} slices that need review; {accepted} accepted, {flagged} flagged"))
            n, of = self.looked_at
            told = text.format(n=n, of=of, accepted=made.count(ACCEPTED), flagged=made.count(FLAGGED))
            rows.append((say(SEEN), told))
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


def page(review: Review, about: About, pictures: Pictures, title: str = "Review", wording: Wording = ENGLISH) -> Report:
    """The report; slices without a picture have none."""
    say = wording.text
    compared = any(one.score is not None for one in review.structures)
    sections = [Section(say(_("Structures")), [_table(review, about.decisions, wording)], _lead(compared, wording))]
    odd = [(wording.name(one.name), " ".join(map(wording.said, one.remarks))) for one in review.structures]
    if any(remarks for _name, remarks in odd):
        sections.append(Section(say(_("What looks odd")), [Terms("", [row for row in odd if row[1]])]))
    blocks = [
        _gallery(one, review.axis, about, pictures, wording)
        for one in review.structures
        if any((one.name, found.index) in pictures for found in one.slices)
    ]
    if blocks:
        sections.append(Section(say(_("Where to look")), blocks, [_order(compared, wording)]))
    charts = [picture for one in review.structures if (picture := _chart(one, review.axis, wording)) is not None]
    if charts:
        sections.append(Section(say(_("Slice by slice")), [Gallery("", charts, wide=True)]))
    sections.append(Section(say(_("What was reviewed")), [Terms("", about.rows(review.axis, wording))]))
    figures = [_key_figure(one, wording) for one in review.structures[:3]]
    footer = say(_("Made by PromptSeg {version}. Everything was computed on this computer."))
    return Report(
        title, _summary(len(review.structures), compared, about, wording), figures, sections, say(WARNING),
        footer.format(version=__version__), wording.language, say(_("Skip to the content")), say(_("Contents")),
        say(_("table")),
    )  # fmt: skip


def _summary(count: int, compared: bool, about: About, wording: Wording) -> str:
    say = wording.text
    what = say(_("1 structure of {volume}") if count == 1 else _("{n} structures of {volume}"))
    how = _("{what}, compared with a reference") if compared else _("{what}, looked at without a reference")
    said = say(how).format(what=what.format(n=count, volume=about.volume))
    return f"{said}, {about.when}." if about.when else f"{said}."


def _key_figure(one: StructureReview, wording: Wording) -> KeyFigure:
    say, name, volume = wording.text, wording.name(one.name), f"{_grouped(one.volume_ml, 1)} ml"
    if one.score is not None:
        return KeyFigure(_number(one.score.dice, 2), say(_("Dice, {name}")).format(name=name), volume)
    if one.estimate is not None:
        return KeyFigure(_number(one.estimate, 2), say(_("Expected Dice, {name}")).format(name=name), volume)
    return KeyFigure(volume, name)


def _lead(compared: bool, wording: Wording) -> list[str]:
    text = _("There is no reference here: these figures say what looks uncertain or odd, not what is wrong.")
    return [] if compared else [wording.text(text)]


def _table(review: Review, decisions: Mapping[str, Decision], wording: Wording) -> Table:
    say = wording.text
    columns = [_("Structure"), _("Volume (ml)")]
    scored = any(one.score is not None for one in review.structures)
    uncertain = any(one.error_cm2 is not None for one in review.structures)
    expected = any(one.estimate is not None for one in review.structures)
    columns += [_("May be wrong (ml)")] if uncertain else []
    columns += [_("Expected Dice")] if expected else []
    columns += [_("Reference (ml)"), _("Dice"), _("HD95 (mm)"), _("NSD 2 mm")] if scored else []
    columns += [_("Decision"), _("By")] if decisions else []
    rows = []
    for one in review.structures:
        cells = [wording.name(one.name), _grouped(one.volume_ml, 1)]
        if uncertain:
            cells.append("-" if one.uncertain_ml is None else _grouped(one.uncertain_ml, 1))
        if expected:
            cells.append("-" if one.estimate is None else _number(one.estimate, 2))
        if scored:
            s = one.score
            numbers = () if s is None else ((s.reference_ml, 1), (s.dice, 3), (s.hd95_mm, 1), (s.nsd_2mm, 3))
            cells += [_number(value, places) for value, places in numbers] or ["-"] * 4
        if decisions:
            made = decisions.get(one.name, Decision())
            cells += [say(made.decision) or "-", ", ".join(text for text in (made.by, made.when) if text) or "-"]
        rows.append([Cell(text) for text in cells])
    return Table("", [say(one) for one in columns], rows)


def _order(compared: bool, wording: Wording) -> str:
    if compared:
        return wording.text(_("The slices in which most differs from the reference, the worst first."))
    return wording.text(_("The slices in which most may be wrong, as a share of the structure, the worst first."))


def _gallery(one: StructureReview, axis: int, about: About, pictures: Pictures, wording: Wording) -> Gallery:
    say, name = wording.text, wording.name(one.name)
    shown = []
    for finding in one.slices:
        uri = pictures.get((one.name, finding.index))
        if uri is not None:
            why = wording.said(finding.why)
            alt = say(_("CT slice {n}: {name}, {why}")).format(n=finding.index, name=name, why=why)
            svg = _framed(uri, Plane.of(about.grid, axis).left, alt)
            title = say(_("Slice {axis} = {n}")).format(axis=_AXES[axis], n=finding.index)
            decided = about.slices.get((one.name, finding.index), Decision()).told(wording, mark=True)
            shown.append(ReportPicture(svg, title, why, decided))
    legend = [("ours", say(_("segmentation")))]
    legend += [("reference", say(_("reference")))] if one.score is not None else []
    return Gallery(name, shown, legend)


def _framed(uri: str, left: str, alt: str) -> str:
    """A square picture as an element of a page, with the letter of the patient's side on its left."""
    return (
        f'<svg class="slice" role="img" aria-label="{escape(alt)}" viewBox="0 0 100 100">'
        f'<image width="100" height="100" href="{uri}"/>'
        f'<text x="2" y="50" font-size="6">{escape(left)}</text></svg>'
    )


def _chart(one: StructureReview, axis: int, wording: Wording) -> ReportPicture | None:
    if find_spec("matplotlib") is None:  # the rest of the page needs nothing
        return None
    say, name = wording.text, wording.name(one.name)
    if one.per_slice is not None:
        values, label, top = one.per_slice, say(_("Dice")), (-0.03, 1.03)
    elif one.error_cm2 is not None:
        values, top = np.where(one.error_cm2 > 0, one.error_cm2, np.nan), None
        label = say(_("may be wrong (cm\u00b2)"))
    else:
        return None
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    text = say(_("{label} of each slice of {name}, from {low:.2f} to {high:.2f}"))
    alt = text.format(label=label, name=name, low=np.nanmin(values), high=np.nanmax(values))
    x = list(range(int(known[0]), int(known[-1]) + 1))
    series = [Series("ours", x, [float(values[k]) for k in x], points=True)]
    along = say(_("Slice ({axis})")).format(axis=_AXES[axis])
    return ReportPicture(chart(series, (along, label), alt, y_range=top), name)


def _number(value: float, places: int) -> str:
    if np.isnan(value):
        return "-"
    return "\u221e" if np.isinf(value) else _grouped(value, places)


def _grouped(value: float, places: int) -> str:
    """Thousands are set off by a narrow space, which is no decimal sign in any language."""
    return f"{value:,.{places}f}".replace(",", "\u202f")
