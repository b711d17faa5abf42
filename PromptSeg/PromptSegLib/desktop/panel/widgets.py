"""Buttons, texts and rows, made alike everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import qt
import slicer

RIGHT = qt.Qt.AlignRight | qt.Qt.AlignVCenter
"""Where numbers stand in a column."""
SCROLL_BAR = 16
"""Pixels that one takes."""


def chip(colour: Sequence[float], side: int = 12) -> Any:
    """A square of a colour (red, green, blue; 0 to 1), as an icon."""
    made = qt.QPixmap(side, side)
    made.fill(qt.QColor(*(round(255 * part) for part in colour)))
    return qt.QIcon(made)


def mark_icon(mark: str, side: int = 20) -> Any:
    """A letter or sign as an icon, in the colour of texts."""
    made = qt.QPixmap(side, side)
    made.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(made)
    font = qt.QFont(painter.font())
    font.setPixelSize(side - 2)
    painter.setFont(font)
    painter.setPen(qt.QPen(slicer.app.palette().color(qt.QPalette.ButtonText)))
    painter.drawText(0, 0, side, side, int(qt.Qt.AlignCenter), mark)
    painter.end()
    return qt.QIcon(made)


def show_boxes(tree: Any) -> None:
    """Have the boxes of a tree seen that are not ticked: on dark, Qt outlines them darker than what lies below."""
    former, palette = tree.palette, qt.QPalette(tree.palette)
    if palette.color(qt.QPalette.Base).lightness() < 128:
        palette.setColor(qt.QPalette.Window, palette.color(qt.QPalette.Text))  # the outline is a shade of it
        tree.setPalette(palette)
        for one in (tree.header(), tree.verticalScrollBar(), tree.horizontalScrollBar()):
            one.setPalette(former)


def button(text: str, tip: str, action: Any, key: str = "") -> Any:
    """A push button with a tip, which names its key."""
    made = qt.QPushButton(text)
    made.setToolTip(f"{tip} ({key})" if key else tip)
    made.connect("clicked()", action)
    return made


def text_label(text: str = "") -> Any:
    """A text that wraps, is never read as HTML (names and notes come from strangers' files), and asks for no width: a
    long line would widen Slicer's module panel, and lay out the views anew."""
    made = qt.QLabel()
    made.setTextFormat(qt.Qt.PlainText)
    made.setWordWrap(True)
    made.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Minimum)
    made.setMinimumHeight(
        int(made.fontMetrics().height())
    )  # what Qt takes for the least is the height if it were narrow
    made.setText(text)  # Qt then remembers that its height depends on its width
    return made


def make_room(label: Any, width: int) -> None:
    """Have a text of :func:`text_label` as high as it is in so many pixels, but for a scroll bar. A layout takes a line
    for its least height, and where there is little room the others would lie over what is beside it."""
    needed = int(label.heightForWidth(width - SCROLL_BAR)) if width > SCROLL_BAR else 0
    label.setMinimumHeight(max(int(label.fontMetrics().height()), needed))


def as_tip(text: str) -> str:
    """A text for a tool tip or a box, which Qt takes for HTML where it looks like it: so it is HTML, that shows it."""
    return f"<p>{escape(text).replace(chr(10), '<br>')}</p>"


def beside(*parts: Any) -> Any:
    """Widgets beside each other, as one."""
    made = qt.QWidget()
    layout = qt.QHBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    for one in parts:
        layout.addWidget(one)
    return made
