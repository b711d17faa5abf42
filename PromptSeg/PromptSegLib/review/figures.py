"""Pictures for reports, as ``<svg>`` elements to stand in a page: CT slices with contours, and curves.

Colours are not written into the pictures: every line has a *role*, and the page's style sheet says how a role looks in
light, in dark and on paper. The roles are ``ours``, ``reference``, ``drawn``, ``fill`` and ``blend``.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import InputError
from ..volumes.volume import Grid
from .plain_text import escape

ROLES = ("ours", "reference", "drawn", "fill", "blend")
# Colours that matplotlib is given, to be found again in what it writes.
_STAND_INS = {"ink": "#010203", "faint": "#010204", **{role: f"#01030{n}" for n, role in enumerate(ROLES)}}
_DASHES = {"fill": (0, (5, 2)), "blend": (0, (1.5, 1.5))}
_MARKERS = {"ours": "o", "fill": "s", "blend": "^", "drawn": "D", "reference": "o"}


@dataclass(frozen=True)
class Plane:
    """How slices of a grid are laid on the screen: as radiologists look at them, with square millimetres.

    ``turn`` brings a slice (rows, cols) into position; ``spacing`` is in mm along the turned rows and columns; ``left``
    is the letter of the patient's side on the left of the picture.
    """

    axis: int
    transpose: bool
    flip: tuple[bool, bool]
    spacing: tuple[float, float]
    left: str
    name: str = "axial"
    """What such slices are called."""

    @classmethod
    def of(cls, grid: Grid, axis: int = 0) -> Plane:
        """For slices along array axis ``axis``, whichever way the grid lies."""
        cosines = np.asarray(grid.direction).reshape(3, 3)[:, ::-1]  # columns: array axes K, J, I in LPS
        steps = grid.spacing[::-1]
        inner = [n for n in range(3) if n != axis]
        # Axial and coronal pictures run to the patient's left, sagittal ones to the back; down is to the back or feet.
        through = int(np.argmax(np.abs(cosines[:, axis])))
        across = 1 if through == 0 else 0
        down = 1 if through == 2 else 2
        transpose = abs(cosines[across, inner[0]]) > abs(cosines[across, inner[1]])
        rows, cols = inner[::-1] if transpose else inner
        falls = cosines[down, rows] * (1 if down == 1 else -1)
        flip = (bool(falls < 0), bool(cosines[across, cols] < 0))
        name = ("sagittal", "coronal", "axial")[through]
        return cls(axis, bool(transpose), flip, (steps[rows], steps[cols]), "A" if through == 0 else "R", name)

    def turn(self, plane: np.ndarray) -> np.ndarray:
        """A native slice as it is shown."""
        shown = plane.T if self.transpose else plane
        return shown[:: -1 if self.flip[0] else 1, :: -1 if self.flip[1] else 1]

    def cut(self, array: np.ndarray, index: int) -> np.ndarray:
        """Slice ``index`` of an array (K, J, I) as it is shown."""
        return self.turn(array.take(index, axis=self.axis))


def frame(mask: np.ndarray, plane: Plane, margin_mm: float = 25.0, min_mm: float = 120.0) -> tuple[slice, slice]:
    """Rows and columns, as shown, of a square around all of a structure's mask (K, J, I), as far as the slice goes."""
    flat = plane.turn(np.any(mask, axis=plane.axis, keepdims=True).squeeze(plane.axis))
    if not flat.any():
        return slice(0, flat.shape[0]), slice(0, flat.shape[1])
    spans = [np.flatnonzero(flat.any(axis=1 - n)) for n in (0, 1)]
    lengths = [(span[-1] - span[0] + 1) * mm + 2 * margin_mm for span, mm in zip(spans, plane.spacing, strict=True)]
    side = max(*lengths, min_mm)
    box = []
    for span, mm, size in zip(spans, plane.spacing, flat.shape, strict=True):
        count = min(size, round(side / mm))
        first = min(max(0, round((span[0] + span[-1] + 1 - count) / 2)), size - count)
        box.append(slice(first, first + count))
    return box[0], box[1]


def window_for(values: np.ndarray) -> tuple[float, float]:
    """HU of black and white in which a structure with such values is usually looked at: lung, bone or soft tissue."""
    middle = float(np.median(values)) if values.size else 0.0
    centre, width = (-600.0, 1500.0) if middle < -400 else (350.0, 1300.0) if middle > 150 else (40.0, 400.0)
    return centre - width / 2, centre + width / 2


def slice_picture(
    image: np.ndarray,
    contours: Sequence[tuple[str, np.ndarray]],
    plane: Plane,
    box: tuple[slice, slice],
    alt: str,
    window: tuple[float, float],
) -> str:
    """One CT slice (rows, cols, in HU, as shown) with contours: (role, mask) from the lowest to the topmost.

    ``window`` is the range of HU from black to white.
    """
    import matplotlib.image

    part = image[box].astype(np.float32)
    rows, cols = part.shape
    height, width = rows * plane.spacing[0], cols * plane.spacing[1]
    stream = io.BytesIO()
    grey = np.round(np.clip((part - window[0]) / (window[1] - window[0]), 0, 1) * 255).astype(np.uint8)
    matplotlib.image.imsave(stream, np.repeat(grey[..., None], 3, axis=2), format="png")
    png = base64.b64encode(stream.getvalue()).decode("ascii")
    lines = [(role, _contour(mask[box], plane.spacing)) for role, mask in contours]
    # All dark rims come first, so that none hides a line of another contour.
    paths = "".join(f'<path class="halo" d="{data}"/>' for _, data in lines if data)
    paths += "".join(f'<path class="line {role}" d="{data}"/>' for role, data in lines if data)
    size = 0.055 * width
    return (
        f'<svg class="slice" role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:.1f} {height:.1f}">'
        f'<image width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none"'
        f' href="data:image/png;base64,{png}"/>{paths}'
        f'<text x="{0.4 * size:.1f}" y="{height / 2:.1f}" font-size="{size:.1f}">{plane.left}</text></svg>'
    )


def _contour(mask: np.ndarray, spacing: tuple[float, float]) -> str:
    """The contour of a mask as SVG path data in mm; the rim of the picture counts as outside."""
    from matplotlib.figure import Figure

    if not mask.any():
        return ""
    lines = Figure().subplots().contour(np.pad(mask, 1).astype(np.float32), levels=[0.5]).allsegs[0]
    data = []
    for line in lines:
        points = (line - 0.5) * (spacing[1], spacing[0])  # the padding shifts by one, pixel centres by a half
        data.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z")
    return "".join(data)


def require_matplotlib() -> None:
    """Raise :class:`InputError` if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise InputError(
            "The pictures need the package matplotlib, which is not installed", "run pip install matplotlib"
        )


@dataclass(frozen=True)
class Series:
    """A curve: NaN leaves a gap. ``points`` marks each value, for slices; without it, a plain line."""

    role: str
    x: Sequence[float]
    y: Sequence[float]
    points: bool = False


def chart(
    series: Sequence[Series],
    labels: tuple[str, str],
    alt: str,
    *,
    marks: Sequence[float] = (),
    y_range: tuple[float, float] | None = None,
    width: float = 4.6,
) -> str:
    """Curves over one horizontal axis; ``labels`` name the axes, ``marks`` are upright lines, ``width`` is in inches.

    Raises :class:`InputError` if matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "promptseg", "font.size": 10.5, "axes.linewidth": 0.8}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, 2.7), layout="constrained")
        axes = figure.subplots()
        ink, faint = _STAND_INS["ink"], _STAND_INS["faint"]
        for mark in marks:
            axes.axvline(mark, color=_STAND_INS["drawn"], linewidth=5, alpha=0.35, zorder=0.5)
        for curve in series:
            line: dict[str, Any] = {"color": _STAND_INS[curve.role], "linewidth": 1.8 if curve.role == "ours" else 1.4}
            line |= {"linestyle": _DASHES.get(curve.role, "-"), "zorder": 3 if curve.role == "ours" else 2}
            if curve.points:
                line |= {"marker": _MARKERS[curve.role], "markersize": 4, "markeredgewidth": 0}
            axes.plot(curve.x, curve.y, **line)
        axes.set_xlabel(labels[0], color=ink)
        axes.set_ylabel(labels[1], color=ink)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if y_range:
            axes.set_ylim(*y_range)
        axes.grid(axis="y", color=faint, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(ink)
        axes.tick_params(colors=ink, length=3)
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return _for_a_page(stream.getvalue(), alt)


def _for_a_page(svg: str, alt: str) -> str:
    """Matplotlib's file as an element: colours by role, the page's font, no addresses and no names that a second chart
    would repeat.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", svg)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    for role, colour in _STAND_INS.items():
        svg = svg.replace(colour, f"var(--{role})")
    box = re.search(r'viewBox="([\d. ]+)"', svg)
    assert box, "matplotlib writes a viewBox"
    head = f'<svg class="chart" role="img" aria-label="{escape(alt)}" viewBox="{box[1]}">'
    return head + svg[svg.index(">") + 1 :]
