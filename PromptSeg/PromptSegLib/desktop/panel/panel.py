"""The panel: volume above, three tabs in the order of work, and a line below that says where things are computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import PromptSegError
from ...mrml.correction import Correction
from ...mrml.taught import have_no_file
from .. import install
from ..logic import Logic
from ..panel_state import PanelState
from ..results import SegmentResult
from .check_page import CheckPage
from .panel_room import Room
from .review_tab import ReviewTab
from .segment_tab import SegmentTab
from .start_page import StartPage
from .teach_tab import TeachTab
from .view_watch import centre_on, show_volume
from .volume_box import VolumeBox
from .volumes_page import VolumesPage
from .widgets import as_tip, text_label

MARGIN = 5
KEYS = (("C", "mark_complete"), ("A", "mark_absent"), ("U", "mark_untouched"), ("N", "go_next"))
TEACH = 1
SHOWN = "abdomen-ct:liver"
"""What is segmented in the sample."""


class Panel:
    """``widget`` is what a module shows; ``parameter_node()`` gives the node that the scene remembers it by."""

    def __init__(self, logic: Logic, parameter_node: Callable[[], Any]) -> None:
        self.logic, self.state = logic, PanelState(parameter_node)
        self._shown = self._checking = False
        self._observed: list[int] = []
        self.widget = Room()
        self.volumes = VolumeBox(self.state, self._volume_chosen)
        self.start = StartPage(logic, self._sample_loaded)
        self.segment = SegmentTab(
            logic, self.state, self.volumes, self.ready, self._result, lambda: self.review.forget(), self._correct
        )
        self.teach = TeachTab(logic, self.state, self.volumes, self.ready, self._kept)
        self.sets = VolumesPage(logic, self.ready, self._kept, lambda: self._tab(int(self.tabs.currentIndex)))
        self.review = ReviewTab(logic, self.state, self.volumes, self.teach.watch, self.teach.rounds.toggle)
        self.tabs = qt.QTabWidget()
        self._parts: tuple[Any, ...] = (self.segment, self.teach, self.review)
        for number, title in enumerate((_("Segment"), _("Teach"), _("Review"))):
            page = qt.QWidget()
            inner = qt.QVBoxLayout(page)
            inner.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
            inner.addWidget(self._parts[number].widget, 1)
            if number == TEACH:  # two ways to teach: by drawing, and from volumes that are segmented already
                inner.addWidget(self.sets.widget, 1)
                inner.addWidget(self.sets.opener)
            self.tabs.addTab(page, title)
        self.tabs.connect("currentChanged(int)", self._tab)
        self.foot = text_label()
        self.check = CheckPage(logic, self.install, self._checked)
        self.check.widget.setVisible(False)
        self.opener = qt.QToolButton()
        self.opener.setToolTip(_("What is installed, what computes, and a report to copy"))
        self.opener.connect("clicked()", lambda: self.show_check(not self._checking))
        foot = qt.QHBoxLayout()
        foot.addWidget(self.foot, 1)
        foot.addWidget(self.opener)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)  # Slicer's module panel has none of its own
        layout.setSpacing(MARGIN)
        layout.addWidget(self.volumes.widget)
        layout.addWidget(self.start.widget, 1)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.check.widget, 1)
        layout.addLayout(foot)
        # Whatever is shown in it, the panel asks for no width: Slicer's follows the widest that it ever saw.
        self.widget.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
        self._say_opener()
        self._fit(0)
        self.widget.on_change = self._fold
        self._keys: list[Any] = []
        self.teach.editor.on_effect = self._free_keys
        self._say_where()

    def set_up(self) -> None:
        """Follow the scene from now on, whether the module is shown or not."""
        self._observe()
        have_no_file(slicer.mrmlScene)
        self.refresh()

    def enter(self) -> None:
        """The module is shown."""
        self._shown = True
        self._observe()
        self._make_keys()
        self.refresh()

    def exit(self) -> None:
        """Another module is shown: keys and views are given back; what runs goes on."""
        self._shown = False
        self.teach.exit()
        self.sets.exit()
        self.review.exit()
        for key in self._keys:
            key.setEnabled(False)

    def cleanup(self) -> None:
        """The panel goes. When the application quits, some of its widgets are gone already."""
        for tag in self._observed:
            slicer.mrmlScene.RemoveObserver(tag)
        self._observed = []
        self.logic.context.save_state = None
        keys, self._keys = self._keys, []  # they belong to the main window
        for part in (
            self.widget.cleanup,
            self.volumes.cleanup,
            self.teach.cleanup,
            self.exit,
            self.review.cleanup,
            *(key.deleteLater for key in keys),
        ):
            with contextlib.suppress(ValueError, RuntimeError):  # PythonQt's and PySide's word for a destroyed widget
                part()

    def refresh(self) -> None:
        """Show what the scene remembers."""
        self.widget.look()
        self.volumes.refresh(choose=self._shown)
        self._show_what_there_is()
        self.segment.structures.refresh()
        tab = min(TEACH + 1, max(0, self.state.number("Tab")))
        self.tabs.blockSignals(True)
        self.tabs.setCurrentIndex(tab)
        self.tabs.blockSignals(False)
        self.review.restore()
        self._tab(tab)

    def ready(self) -> bool:
        """Whether everything is there to compute; asks to install it where not."""
        wanted = install.wanted()
        if not wanted:
            return True
        if self.install():
            return True
        message = self._page_message()
        if not message.text:  # what went wrong is said already
            said = _("Nothing was installed. To compute, PromptSeg needs {names}.").format(names=install.listed(wanted))
            message.warn(said, _("Install"), lambda: self.install())
        return False

    def install(self) -> bool:
        """Ask, install what is missing, and say so; True if all is there."""
        message = self._page_message()
        message.clear()

        def going_on(text: str) -> None:
            message.tell(text)
            self.foot.setText(text)
            slicer.app.processEvents()  # or it would be seen when it is over

        try:
            done = install.install(tell=going_on)
            message.clear()
        except PromptSegError as problem:
            message.warn(problem)
            done = False
        self._say_where()
        return done

    def _page_message(self) -> Any:
        number = int(self.tabs.currentIndex)
        if self._checking:
            return self.check.message
        if number == TEACH and self.sets.shown:
            return self.sets.message
        return self.start.message if self.volumes.volume is None else self._parts[number].message

    # What is chosen

    def _volume_chosen(self) -> None:
        self._show_what_there_is()
        self.review.restore()
        if self._shown:
            show_volume(self.volumes.volume, self.volumes.segmentation)
            self._tab(int(self.tabs.currentIndex))
        self.segment.refresh()

    def _show_what_there_is(self) -> None:
        """Without a volume there is nothing to segment, to teach and to review: how to get one is all that is seen. The
        self-check takes the place of everything: below it, it would be out of sight."""
        there, checking = self.volumes.volume is not None or self.sets.running.running, self._checking
        self.start.show(not there)
        self.start.widget.setVisible(not there and not checking)
        self.tabs.setVisible(there and not checking)
        self.volumes.offer_segmentations(there)

    def _sample_loaded(self, node: Any) -> None:
        """Show on the sample what is done in every CT: tick, and press the button."""
        if self.volumes.volume not in (None, node):
            return
        self.volumes.choose_volume(node)
        self.segment.structures.tick(SHOWN)
        self.tabs.setCurrentIndex(0)
        self.segment.begin(_("Teach it a structure of your own: tab Teach."))

    def _tab(self, number: int) -> None:
        self.state.set_text("Tab", str(number))
        self._fit(number)
        if not self._shown:
            self.segment.refresh()
            return
        seen = -1 if self._checking else number
        if seen == TEACH and self.sets.shown:
            self.sets.enter()
        else:
            self.sets.exit()
        if seen == TEACH and not self.sets.shown:
            self.teach.enter()
        else:
            self.teach.exit()
            self.teach.watch.watch(self.state.text("View", "Red"), self.volumes.volume)
        if seen == TEACH + 1:
            self.review.enter()
        else:
            self.review.exit()
        self.segment.refresh()
        self._free_keys()

    def _fit(self, number: int) -> None:
        """The tab that is shown alone says how high the panel is: a hidden one would push its buttons out of sight."""
        for index, part in enumerate(self._parts):
            part.widget.setVisible(index == number and not (index == TEACH and self.sets.shown))
        self.sets.widget.setVisible(number == TEACH and self.sets.shown)

    def _fold(self, room: int) -> None:
        """There is more or less room than before."""
        for part in (self.volumes, self.teach, self.review):
            part.fit(room)

    def _free_keys(self) -> None:
        """The keys work where they mean something. With Draw, A closes the contour, as everywhere in Slicer."""
        seen = self._shown and not self._checking
        teaching = seen and int(self.tabs.currentIndex) == TEACH and not self.sets.shown
        for (name, _action), key in zip(KEYS, self._keys, strict=False):
            key.setEnabled(teaching and not (name == "A" and self.teach.editor.effect == "Draw"))

    def _result(self, result: SegmentResult) -> None:
        show_volume(self.volumes.volume, result.node)
        self._say_where()
        seen = (result.review or {}).get("structures", ())
        empty = {one["structure"] for one in seen if not one["volume_ml"]}
        pairs = zip(result.structures, result.segment_ids, strict=True)
        centre_on(result.node, (one for structure, one in pairs if structure.name not in empty))
        self.review.forget()

    def _correct(self, name: str, what: Correction) -> None:
        self.sets.open(False)
        self.tabs.setCurrentIndex(TEACH)
        self.teach.correct(name, what)

    def _kept(self, text: str) -> None:
        self.segment.structures.refresh()
        self.segment.structures.tick(text)

    def _say_where(self) -> None:
        wanted = install.wanted()
        where = _("Computed on this computer; nothing is sent.")
        if wanted:
            where += " " + _("To be installed when first needed: {names}.").format(names=install.listed(wanted))
        self.foot.setText(where)
        self.foot.setToolTip(as_tip(self.logic.context.device) if self.logic.context.device else "")

    def _checked(self) -> None:
        self._say_where()
        self.segment.structures.refresh()

    def show_check(self, on: bool) -> None:
        """Open the self-check, or go back to the tabs."""
        self._checking = on
        self.check.widget.setVisible(on)
        self._say_opener()
        self._show_what_there_is()
        self._tab(int(self.tabs.currentIndex))
        if on:
            self.check.begin()

    def _say_opener(self) -> None:
        text = _("Back") if self._checking else _("Self-check")
        self.opener.setText(text)
        self.opener.setAccessibleName(text)

    # Keys and scenes

    def _make_keys(self) -> None:
        if not self._keys:
            parent = slicer.util.mainWindow() or self.widget
            for key, action in KEYS:
                made = qt.QShortcut(qt.QKeySequence(key), parent)
                made.connect("activated()", getattr(self.teach, action))
                self._keys.append(made)

    def _observe(self) -> None:
        if not self._observed:
            scene = slicer.mrmlScene
            for event, action in (
                (scene.StartCloseEvent, self._closing),
                (scene.EndCloseEvent, self._closed),
                (scene.EndImportEvent, self._closed),
                (scene.NodeRemovedEvent, self._removed),
            ):
                self._observed.append(scene.AddObserver(event, action))

    def _closing(self, *_arguments: Any) -> None:
        self.teach.exit()
        self.review.exit()
        self.teach.editor.close_scene()
        self.logic.close_scene()
        for part in (*self._parts, self.sets):
            part.scene_closed()

    def _closed(self, *_arguments: Any) -> None:
        have_no_file(slicer.mrmlScene)
        self.refresh()

    def _removed(self, *_arguments: Any) -> None:
        """A node was removed: what is computed for it is of no use any more."""
        if not slicer.mrmlScene.IsClosing():
            self.logic.drop_orphans()
