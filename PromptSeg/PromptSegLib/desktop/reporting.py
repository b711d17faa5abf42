"""The report of a review from the panel: the page that ``promptseg review`` writes, or a table, made step by step."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import check_writable, replacing
from ..mrml import nodes
from ..mrml.decisions import decided_by, decision_of
from .looking import count, now
from .pictures import PicturePlace, draw, places_of

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".html", ".csv")


def write_report(
    path: Path,
    rows: Sequence[dict[str, Any]],
    axis: int,
    volume: Any,
    segmentation: Any,
    reference: Any,
    words: Mapping[str, str],
) -> Generator[None, None, Path]:
    """Write a review's rows; ``words`` say what decisions are called. Gives the path.

    Raises :class:`OutputError` for a name that ends in something else or a place that cannot be written to.
    """
    from ..review.findings import Review, StructureReview
    from ..review.page import SIZE, About, Decision, page
    from ..review.png import data_uri
    from ..review.report_html import render
    from ..review.review_csv import csv_of

    check_writable(path, ENDINGS)
    yield
    decisions = {}
    for row in rows:
        segment = segmentation.GetSegmentation().GetSegment(str(row["segment_id"]))
        made = decision_of(segment) if segment is not None else ""
        if made:
            decisions[str(row["structure"])] = Decision(words[made], *decided_by(segment))
    about = About(
        str(volume.GetName()), str(segmentation.GetName()), nodes.grid_of(volume), now(),
        "" if reference is None else str(reference.GetName()), decisions, count(rows),
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
        report = page(review, about, pictures, f"Review of {segmentation.GetName()}")
        yield
        text = render(report)
    yield
    with replacing(path) as handle:
        handle.write(text.encode("utf-8", "replace"))
    return path
