"""The report of a review from the panel: the page that ``promptseg review`` writes, or a table, made step by step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import check_writable, replacing
from ..mrml import nodes
from ..mrml.decisions import ACCEPTED, FLAGGED, decided_by, decision_of
from .looking import SEEN, count, now
from .pictures import PicturePlace, draw, places_of
from .sentences import spoken
from .structure_names import name_of

if TYPE_CHECKING:
    import numpy as np

    from ..review.page import Decision
    from ..review.wording import Wording

ENDINGS = (".html", ".csv")
CONTEXT = "review.page"
"""Of the page's texts, in the files of translations."""


def write_report(
    path: Path,
    rows: Sequence[dict[str, Any]],
    axis: int,
    volume: Any,
    segmentation: Any,
    reference: Any,
    title: str,
) -> Generator[None, None, Path]:
    """Write a review's rows, a page in the language of the window. Gives the path.

    Raises :class:`OutputError` for a name that ends in something else or a place that cannot be written to.
    """
    from ..review.findings import Review, StructureReview
    from ..review.page import COMPLETED, SIZE, About, Decision, page
    from ..review.page import FLAGGED as SAID_FLAGGED
    from ..review.png import data_uri
    from ..review.report_html import render
    from ..review.review_csv import csv_of

    check_writable(path, ENDINGS)
    yield
    decisions, words = {}, {ACCEPTED: COMPLETED, FLAGGED: SAID_FLAGGED}
    for row in rows:
        segment = segmentation.GetSegmentation().GetSegment(str(row["segment_id"]))
        made = decision_of(segment) if segment is not None else ""
        if made:
            decisions[str(row["structure"])] = Decision(words[made], *decided_by(segment))
    about = About(
        str(volume.GetName()), str(segmentation.GetName()), nodes.grid_of(volume), now(),
        "" if reference is None else str(reference.GetName()), decisions, count(rows), _slices(rows),
    )  # fmt: skip
    review = Review(tuple(StructureReview.from_json(row) for row in rows), axis)
    yield
    if path.suffix.lower() == ".csv":
        text = csv_of(review, about)
    else:
        pictures: dict[tuple[str, int], str] = {}

        def keep(place: PicturePlace, rgb: np.ndarray) -> None:
            pictures[place.structure, place.index] = data_uri(rgb)

        yield from draw(places_of(rows), volume, segmentation, axis, keep, size=SIZE, reference=reference)
        report = page(review, about, pictures, title, wording())
        yield
        text = render(report)
    yield
    with replacing(path) as handle:
        handle.write(text.encode("utf-8", "replace"))
    return path


def wording() -> Wording:
    """The language of the window, for a page."""
    import slicer
    from slicer.i18n import translate

    from ..review.wording import Wording

    language = str(slicer.app.applicationLocaleName or "en").partition("_")[0]
    return Wording(language, lambda text: str(translate(CONTEXT, text)) if text else "", spoken, name_of)


def _slices(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, int], Decision]:
    """What was decided of each slice that was looked at, by structure and slice."""
    from ..review import page

    words = {ACCEPTED: page.ACCEPTED, FLAGGED: page.FLAGGED, SEEN: page.SEEN}
    return {
        (str(row["structure"]), int(one["index"])): page.Decision(
            words[one["looked"]], str(one.get("by", "")), str(one.get("when", ""))
        )
        for row in rows
        for one in row["slices"]
        if one.get("looked") in words
    }
