"""The panel that 3D Slicer shows a module in: scrolled up and down alone, and as wide as anything that it ever held."""

from __future__ import annotations

from typing import Any

from .binding import QtCore, QtWidgets, listen

WIDTH, HEIGHT = 424, 576
"""What it leaves to a module in a window of 1280 x 800, in pixels."""


class ModulePanel(QtWidgets.QScrollArea):
    """Whenever the module asks for more width than ever before, the panel takes it for good: the slice views beside it
    are laid out anew."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.widest = WIDTH
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        self.setWidget(module)
        self.resize(WIDTH, HEIGHT)
        self._module = module
        self._look = QtCore.QTimer(self)
        listen(self._look, "timeout()", self._follow)
        self._look.start(1)

    def _follow(self) -> None:
        wanted = self._module.sizeHint.width()
        if wanted > self.widest:
            self.widest = wanted
            self.resize(wanted, HEIGHT)
