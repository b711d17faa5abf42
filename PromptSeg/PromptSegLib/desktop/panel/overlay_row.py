"""What is laid over the slices: chosen, faded, and explained by a legend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ...errors import PromptSegError
from ...mrml import overlay
from ..logic import Logic
from ..overlays import NONE, REFERENCE, ROUND, UNCERTAINTY, Overlays
from .painted import Painted
from .widgets import beside

HEIGHT, BAR = 20, 12
OPACITY = 60
"""Percent, before anything else was chosen."""


class Legend(Painted):
    """The colours of what is shown, and what they mean."""

    def __init__(self) -> None:
        super().__init__(HEIGHT)
        self._which, self._words = NONE, ("", "")

    def tell(self, which: str, words: tuple[str, str]) -> None:
        """Explain a map; ``words`` belong to its ends, or to its two colours."""
        self._which, self._words = which, words
        self.setAccessibleName(" - ".join(words))
        self.setVisible(which != NONE)
        self.update()

    def draw(self, painter: Any) -> None:
        """Paint everything."""
        ink = self.palette.color(qt.QPalette.WindowText)
        painter.setPen(ink)
        top, width = (HEIGHT - BAR) // 2, int(self.width)
        if self._which == UNCERTAINTY:
            low, high = self._words
            colours = overlay.gradient(64)
            side = max(width // 4, 8 + max(map(self.width_of, self._words)))
            foot = top + BAR - 1
            painter.drawText(side - 8 - self.width_of(low), foot, low)
            painter.drawText(width - side + 8, foot, high)
            edges = [side + round(n * (width - 2 * side) / len(colours)) for n in range(len(colours) + 1)]
            for x, end, colour in zip(edges, edges[1:], colours, strict=False):
                painter.fillRect(x, top, end - x, BAR, qt.QColor(*colour))
        else:
            for n, (colour, text) in enumerate(
                zip((overlay.FIRST_COLOUR, overlay.SECOND_COLOUR), self._words, strict=True)
            ):
                x = n * width // 2
                painter.fillRect(x, top, BAR, BAR, qt.QColor(*colour))
                painter.drawText(x + BAR + 5, top + BAR - 1, text)


class OverlayRow:
    """``nodes()`` gives (volume, segmentation, reference); ``on_error(problem)`` is told what went wrong, ``on_show()``
    is called when another legend is shown."""

    def __init__(
        self,
        logic: Logic,
        nodes: Callable[[], tuple[Any, Any, Any]],
        on_error: Callable[[PromptSegError], None],
        on_show: Callable[[], None],
    ) -> None:
        self._nodes, self._on_error, self._on_show = nodes, on_error, on_show
        logic.maps.title = _("Uncertainty (%)")
        words = {
            "differences": _("Differences"),
            "ours": _("only here (false positive)"),
            "theirs": _("only in the reference (false negative)"),
            "after": _("only after the last round"),
            "before": _("only before it"),
        }
        self.overlays = Overlays(logic, words)
        self._titles = {
            NONE: _("None"), UNCERTAINTY: _("Uncertainty"), REFERENCE: _("Differences"),
            ROUND: _("Last round's change"),
        }  # fmt: skip
        self._legends = {
            NONE: ("", ""),
            UNCERTAINTY: (_("rather sure"), _("uncertain")),
            REFERENCE: (_("false positive"), _("false negative")),
            ROUND: (_("new in this round"), _("gone in this round")),
        }
        self._keys: list[str] = []
        self.choice = qt.QComboBox()
        self.choice.setAccessibleName(_("Overlay"))
        self.choice.setToolTip(_("What is laid over the slices in colour"))
        self.choice.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(11)  # beside other buttons; its list is as wide as its texts
        self.choice.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self.choice.connect("activated(int)", self._chosen)
        self.opacity = qt.QSlider(qt.Qt.Horizontal)
        self.opacity.setRange(5, 100)
        self.opacity.setValue(OPACITY)
        self.opacity.setMinimumWidth(50)
        self.opacity.setMaximumWidth(70)
        self.opacity.setToolTip(_("How strongly it is laid over the slices"))
        self.opacity.setAccessibleName(_("Opacity of the overlay"))
        self.opacity.connect("valueChanged(int)", lambda value: self.overlays.fade(value / 100))
        self.legend = Legend()
        self.row = beside(qt.QLabel(_("Overlay:")), self.choice, self.opacity)
        self.refresh()

    def refresh(self) -> None:
        """Offer what there is."""
        _volume, segmentation, reference = self._nodes()
        keys = [NONE, *self.overlays.available(segmentation, reference)]
        if self.overlays.which not in keys:
            self.overlays.end()
        if keys != self._keys:
            self._keys = keys
            self.choice.blockSignals(True)
            self.choice.clear()
            self.choice.addItems([self._titles[key] for key in keys])
            self.choice.blockSignals(False)
        self.choice.setCurrentIndex(keys.index(self.overlays.which))
        self.row.setVisible(len(keys) > 1)
        self.opacity.setEnabled(self.overlays.which != NONE)
        self.legend.tell(self.overlays.which, self._legends[self.overlays.which])
        self._on_show()

    def show(self, which: str) -> None:
        """Lay another map over the slices, or none."""
        if which not in self._keys:
            return
        self.overlays.show(which, *self._nodes(), int(self.opacity.value) / 100, self._failed)
        self.refresh()

    def end(self) -> None:
        """Take away what is laid over the slice views."""
        self.overlays.end()
        self.refresh()

    def _chosen(self, number: int) -> None:
        self.show(self._keys[number])

    def _failed(self, problem: PromptSegError) -> None:
        self._on_error(problem)
        self.refresh()
