from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import OutputError
from PromptSegLib.review import teaching_report as teaching
from PromptSegLib.review.figures import Plane, Series, chart, frame, slice_picture, window_for
from PromptSegLib.review.report import (
    Cell,
    Gallery,
    KeyFigure,
    Report,
    ReportPicture,
    Section,
    Table,
    Terms,
)
from PromptSegLib.review.report_html import render, write_report
from PromptSegLib.review.report_style import STYLE
from PromptSegLib.review.teaching_report import Method, Taught
from PromptSegLib.volumes.volume import Grid, Volume

VOID = {"meta", "link", "br", "img", "hr", "input", "path", "use", "image"}


class Page(HTMLParser):
    """What is in a page: its tags with attributes, its text, and whether every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.tags if name == tag]


def box(k: slice, j: slice, i: slice, shape=(9, 24, 26)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[k, j, i] = True
    return mask


@pytest.fixture
def volume() -> Volume:
    voxels = np.random.default_rng(0).normal(40, 20, (9, 24, 26)).astype(np.float32)
    return Volume(voxels, Grid((26, 24, 9), spacing=(2.0, 2.0, 5.0)))


@pytest.fixture
def taught() -> Taught:
    reference = box(slice(1, 8), slice(6, 16), slice(8, 18))
    ours, fill = reference.copy(), reference.copy()
    ours[5, 6:11] = False  # half of one slice is missed
    fill[2:7] = False
    shown = [1, 4, 7]
    spacing = (5.0, 2.0, 2.0)
    methods = [
        Method.of("ours", "PromptSeg", ours, reference, spacing, shown),
        Method.of("fill", "Fill between slices", fill, reference, spacing, shown),
    ]
    left_out = {0: [0.5, 0.6], 5: [0.7, 0.9]}
    return Taught(Structure("left <kidney>"), shown, reference, methods, [(0, 0.9), (1, 0.4)], left_out, 0.8)


def sections(volume: Volume, taught: Taught) -> list[Section]:
    lessons = [taught]
    return [
        teaching.comparison(lessons, "All had the same slices."),
        teaching.shown_slices(volume, lessons),
        teaching.unshown_slices(volume, lessons),
        teaching.worst_slices(volume, lessons),
        teaching.slice_by_slice(lessons),
        teaching.learning(lessons),
        Section("Machine", [Terms("", [("Cores", "2 & more")])]),
    ]


@pytest.fixture
def report(volume, taught) -> Report:
    key = [KeyFigure("0.93", "Dice", "interpolation 0.1")]
    return Report("A <title>", "A summary.", key, sections(volume, taught), "Research use only.", "The end.")


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(report) -> None:
    text = render(report)
    page = Page(text)
    assert not re.search(r"https?:|<script|<link|@import|src=", text)
    for attrs in (attrs for _, attrs in page.tags):
        for name in ("href", "xlink:href"):
            assert attrs.get(name, "#").startswith(("#", "data:image/png;base64,"))
    for words in ("A <title>", "A summary.", "0.93", "interpolation 0.1", "Research use only.", "2 & more", "The end."):
        assert words in page.text
    assert "left <kidney>" not in text, "what comes from a file is never markup"
    assert "Left <kidney>" in page.text


def test_the_page_can_be_used_without_a_mouse_and_without_eyes(report) -> None:
    page = Page(render(report))
    assert page.all("html") == [{"lang": "en"}]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    for link in page.all("a"):
        assert link["href"][1:] in ids
    pictures = [svg for svg in page.all("svg") if "aria-hidden" not in svg]
    assert len(pictures) == 3 + 2 + 4 + 1 + 2
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 20 for svg in pictures)
    scrolled = [div for div in page.all("div") if div.get("class") == "scroll"]
    assert scrolled
    assert all(div["tabindex"] == "0" and div["aria-label"] for div in scrolled)
    assert {th["scope"] for th in page.all("th")} == {"col", "row"}


def test_the_page_adapts_to_dark_rooms_paper_and_small_screens(report) -> None:
    text = render(report)
    for rule in ("prefers-color-scheme: dark", "@media print", "@media (max-width", "width=device-width"):
        assert rule in text


def test_a_report_is_written_whole_or_not_at_all(report, tmp_path) -> None:
    write_report(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(report)
    with pytest.raises(OutputError, match="no folder"):
        write_report(tmp_path / "none" / "report.html", report)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_worst_slices_come_first_and_shown_ones_never(taught) -> None:
    assert taught.unshown() == [2, 3, 5, 6]
    assert taught.worst()[0] == 5
    assert set(taught.between()) == {2, 5}
    assert taught.interpolation.name == "Fill between slices"


def test_the_table_marks_the_best_of_each_column(taught) -> None:
    section = teaching.comparison([taught], "")
    (table,) = section.blocks
    ours, fill, reference = table.rows
    assert [cell.text for cell in ours[:2]] == ["PromptSeg", f"{taught.ours.score.dice:.3f}"]
    assert [cell.best for cell in ours] == [False, True, True, True, True, False]
    assert not any(cell.best for cell in fill)
    assert reference[-1].text == f"{taught.ours.score.reference_ml:.0f}"
    assert "K = 1, 4, 7" in table.note
    assert "on the 4 others" in table.note


def test_the_verdict_tells_who_is_nearer(taught) -> None:
    ours, fill = taught.methods
    assert "PromptSeg is nearer to the reference than Fill between slices" in teaching.verdict(taught)
    lost = Taught(taught.structure, taught.shown, taught.reference, [fill, ours])
    assert "interpolation is the better choice; PromptSeg is nearer" in teaching.verdict(lost)
    even = Taught(taught.structure, taught.shown, taught.reference, [ours, ours])
    assert "are level" in teaching.verdict(even)


def test_a_structure_that_was_missed_is_reported_too(volume, taught) -> None:
    nothing = Method.of("ours", "PromptSeg", box(slice(0), slice(0), slice(0)), taught.reference, (5, 2, 2), [1])
    missed = Taught(taught.structure, [1], taught.reference, [nothing, taught.methods[1]], left_out_dice=None)
    page = Page(render(Report("", "", [], sections(volume, missed))))
    assert "∞" in page.text
    assert not re.search(r"\bnan\b", page.text.lower())


def test_slices_are_shown_as_radiologists_see_them() -> None:
    """Patient's right on the left, front at the top, in whichever way the grid lies."""
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    plane = Plane.of(Grid((4, 3, 2), spacing=(1.0, 2.0, 5.0)))  # LPS: nothing to turn
    assert (plane.transpose, plane.flip, plane.left, plane.spacing) == (False, (False, False), "R", (2.0, 1.0))
    np.testing.assert_array_equal(plane.cut(array, 1), array[1])
    turned = Plane.of(Grid((4, 3, 2), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1)))
    np.testing.assert_array_equal(turned.cut(array, 1), array[1, ::-1, ::-1])
    swapped = Plane.of(Grid((4, 3, 2), spacing=(1.0, 2.0, 5.0), direction=(0, 1, 0, 1, 0, 0, 0, 0, -1)))
    np.testing.assert_array_equal(swapped.cut(array, 0), array[0].T)
    assert swapped.spacing == (1.0, 2.0)
    coronal = Plane.of(Grid((4, 3, 2)), axis=1)  # K runs to the head, which belongs to the top
    np.testing.assert_array_equal(coronal.cut(array, 2), array[::-1, 2])
    sagittal = Plane.of(Grid((4, 3, 2)), axis=2)
    np.testing.assert_array_equal(sagittal.cut(array, 3), array[::-1, :, 3])
    assert sagittal.left == "A"


def test_the_frame_is_square_in_mm_and_holds_the_structure() -> None:
    plane = Plane.of(Grid((100, 120, 5), spacing=(2.0, 1.0, 5.0)))
    mask = box(slice(1, 3), slice(40, 60), slice(30, 40), (5, 120, 100))
    rows, cols = frame(mask, plane, margin_mm=10, min_mm=10)
    assert (rows.stop - rows.start) * 1.0 == (cols.stop - cols.start) * 2.0 == 40
    assert rows.start <= 30 < 70 <= rows.stop + 0
    corner = frame(box(slice(1, 3), slice(0, 3), slice(0, 3), (5, 120, 100)), plane)
    assert corner[0].start == corner[1].start == 0
    assert frame(np.zeros_like(mask), plane) == (slice(0, 120), slice(0, 100))


def test_contours_lie_where_the_mask_is() -> None:
    plane = Plane.of(Grid((10, 8, 1), spacing=(2.0, 3.0, 1.0)))
    mask = np.zeros((8, 10), bool)
    mask[2:4, 5:8] = True
    image = np.zeros((8, 10))
    whole = (slice(0, 8), slice(0, 10))
    svg = slice_picture(image, [("ours", mask), ("drawn", mask & False)], plane, whole, 'a "quoted" slice', (-100, 100))
    (data,) = re.findall(r'class="line ours" d="([^"]+)"', svg)
    points = np.array([[float(v) for v in pair.split()] for pair in re.split("[MLZ]+", data) if pair])
    np.testing.assert_allclose(points.min(0), (10, 6))  # columns of 2 mm, rows of 3 mm, pixel edges
    np.testing.assert_allclose(points.max(0), (16, 12))
    assert "line drawn" not in svg
    assert 'viewBox="0 0 20.0 24.0"' in svg
    assert 'aria-label="a &quot;quoted&quot; slice"' in svg


@pytest.mark.parametrize(("hu", "window"), [(-800, (-1350, 150)), (60, (-160, 240)), (500, (-300, 1000))])
def test_each_tissue_has_its_window(hu, window) -> None:
    assert window_for(np.full(5, hu)) == window


def test_a_chart_takes_its_colours_from_the_page() -> None:
    svg = chart([Series("ours", [0, 1, 2], [0.1, math.nan, 0.3], points=True)], ("Step", "Dice"), "a curve", marks=[1])
    Page(svg)
    assert "var(--ours)" in svg
    assert "var(--drawn)" in svg
    assert "Step" in svg
    assert not re.search(r"#01\d{4}|http|<style|<metadata|font-family", svg)


def test_charts_on_one_page_share_no_name(report) -> None:
    ids = [attrs["id"] for tag, attrs in Page(render(report)).tags if "id" in attrs and tag not in ("path", "clippath")]
    assert len(ids) == len(set(ids))


def test_an_empty_gallery_or_legend_is_no_error() -> None:
    blocks = [Gallery("", [ReportPicture("<svg></svg>", "one")]), Table("t", ["a"], [[Cell("x")]])]
    assert "one" in Page(render(Report("t", "", [], [Section("s", blocks)]))).text


def test_what_steers_a_page_or_turns_writing_is_a_question_mark() -> None:
    from PromptSegLib.review.plain_text import escape

    assert escape("e\u202egnp \x1b[31m \u200b\x00 <b>&'\n") == "e?gnp ?[31m ?? &lt;b&gt;&amp;&#x27;\n"
    page = render(Report("\u202eliver", "\x1b", (), ()))
    assert "?liver" in page
    assert all(c.isprintable() or c == "\n" for c in page)


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u202f"])
def test_a_space_between_thousands_stays_a_space(space) -> None:
    from PromptSegLib.review.plain_text import escape

    assert escape(f"3{space}268 ml") == f"3{space}268 ml"


def test_what_has_the_focus_is_seen() -> None:
    """A page is gone through without a mouse, too."""
    rule = next(line for line in STYLE.splitlines() if ":focus-visible" in line)
    assert "outline: 3px solid" in rule
