"""Teach from segmented volumes: a page of the tab Teach, in the place of drawing.

What is there is found in the scene: choose the structure, and the volumes in which it is segmented are listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import PromptSegError
from ...mrml.labelled_pairs import NO_VOLUME, Pair, pairs_of, structure_of, structures_in
from ...progress import Progress
from ..labelled_teaching import MIN_VOLUMES, OddValuesError, SetTaught
from ..logic import Logic
from ..runs import Run
from ..sentences import spoken
from ..structure_names import name_of
from . import texts
from .learning_curve import LearningCurve
from .message import Message
from .running import Running
from .widgets import as_tip, beside, button, show_boxes, text_label

MINUTES = 30
LATER_MS = 200
"""Nodes come in bursts: the list follows a little later."""


class VolumesPage:
    """``ready()`` asks for what has to be installed, ``on_kept(text)`` is called when something lies in the library,
    ``on_switch()`` when the page is opened or closed by its ``opener``."""

    def __init__(
        self, logic: Logic, ready: Callable[[], bool], on_kept: Callable[[str], None], on_switch: Callable[[], None]
    ) -> None:
        self._logic, self._ready, self._on_kept, self._on_switch = logic, ready, on_kept, on_switch
        self._teaching = logic.labelled
        self._pairs: list[tuple[Any, Pair]] = []
        self._chosen: dict[tuple[str, str], bool] = {}
        self._dataset: dict[str, Any] | None = None
        self._observed: list[int] = []
        self._open = False
        self.message = Message()
        self.running = Running(self.message, lambda: logic.context.device, lambda running: self._buttons())
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(LATER_MS)
        self._later.connect("timeout()", self.refresh)
        self._build()

    def _build(self) -> None:
        self.widget = qt.QWidget()
        self.opener = qt.QPushButton()
        self.opener.setToolTip(_("Learn from whole volumes that are segmented already, three or more"))
        self.opener.connect("clicked()", lambda: self.open(not self.shown))
        self.hint = text_label(
            _(
                "Tick volumes of different patients in which the structure is segmented. A quarter of them is held out "
                "and tells how well it is found."
            )
        )
        self.structure = qt.QComboBox()
        self.structure.setAccessibleName(_("Structure to learn"))
        self.structure.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self.structure.setMinimumContentsLength(12)
        self.structure.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.structure.connect("activated(int)", lambda index: self._list())
        tip = _("A data set on disk, in the layout of the Medical Segmentation Decathlon or of nnU-Net")
        self.folder = button(_("Folder ..."), tip, self._choose_folder)
        self.scene = button(_("Scene"), _("Back to the volumes of the scene"), self._forget_folder)
        self.tree = qt.QTreeWidget()
        self.tree.setColumnCount(2)
        self.tree.setHeaderLabels([_("Volume"), _("Segmentation")])
        self.tree.setAccessibleName(_("Segmented volumes"))
        show_boxes(self.tree)
        self.tree.setRootIsDecorated(False)
        self.tree.setMinimumHeight(96)
        self.tree.setColumnWidth(0, 190)
        self.tree.connect("itemChanged(QTreeWidgetItem*,int)", self._ticked)
        self.said = text_label()
        self.minutes = qt.QSpinBox()
        self.minutes.setRange(1, 1440)
        self.minutes.setValue(MINUTES)
        self.minutes.setPrefix(_("at most "))
        self.minutes.setSuffix(_(" min"))
        self.minutes.setAccessibleName(_("Minutes to learn at most"))
        self.minutes.setToolTip(_("It ends sooner when held-out volumes are no longer found better"))
        self.teach = button(_("Teach"), _("Learn the structure; the same button stops it"), self._pressed)
        self.curve = LearningCurve()
        self.curve.setVisible(False)
        self.unfinished = text_label()
        self.go_on = button(_("Go on"), _("Go on with this run for as long again"), self._go_on)
        tip = _("Forget this run, with the volumes that are kept for it; what it learned stays in My structures")
        self.remove = button(_("Forget"), tip, self._remove)
        self._rest = beside(self.unfinished, self.go_on, self.remove)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.hint)
        layout.addWidget(beside(qt.QLabel(_("Structure:")), self.structure, self.folder, self.scene))
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.said)
        layout.addWidget(beside(self.minutes, self.teach))
        for one in (self.running.widget, self.curve, self.message.widget, self._rest):
            layout.addWidget(one)
        layout.addStretch(0)
        self._buttons()

    @property
    def shown(self) -> bool:
        """Whether the page is open, in the place of drawing."""
        return self._open

    def open(self, on: bool) -> None:
        """Open the page, or go back to drawing."""
        self._open = on
        self._say_opener()
        self._on_switch()

    def enter(self) -> None:
        """The page is seen."""
        if not self._observed:
            scene = slicer.mrmlScene
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
                self._observed.append(scene.AddObserver(event, lambda *_: self._later.start()))
        self.refresh()

    def exit(self) -> None:
        """Something else is seen; what runs goes on."""
        self._later.stop()
        for tag in self._observed:
            slicer.mrmlScene.RemoveObserver(tag)
        self._observed = []

    def scene_closed(self) -> None:
        """The scene is gone; what is learned goes on, for its volumes were handed over."""
        self._chosen = {}
        if not self.running.running:
            self.message.clear()
        self.structure.clear()
        self._list()

    # What there is

    def refresh(self) -> None:
        """Show what there is now."""
        if self.running.running:
            return
        before = self._name
        names = [(one, 0) for one in self._dataset["structures"]] if self._dataset else structures_in(slicer.mrmlScene)
        self.structure.blockSignals(True)
        self.structure.clear()
        for name, count in names:
            said = name_of(name)
            self.structure.addItem(f"{said} ({count})" if count else said, name)
        known = [name for name, _count in names]
        self.structure.setCurrentIndex(known.index(before) if before in known else 0 if known else -1)
        self.structure.blockSignals(False)
        self._list()

    @property
    def _name(self) -> str:
        index = int(self.structure.currentIndex)
        return str(self.structure.itemData(index)) if index >= 0 else ""

    def _list(self) -> None:
        """The volumes of the structure that is chosen."""
        self.tree.blockSignals(True)
        self.tree.clear()
        self._pairs = []
        for pair in pairs_of(slicer.mrmlScene, self._name) if self._name and not self._dataset else ():
            item = qt.QTreeWidgetItem()
            item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
            item.setText(0, pair.volume.GetName() if pair.volume is not None else _("(not known)"))
            item.setText(1, pair.segmentation.GetName())
            usual = pair.volume is not None and not pair.found and not self._there(pair.volume)
            on = self._chosen.get(self._key(pair), usual)
            item.setCheckState(0, qt.Qt.Checked if on else qt.Qt.Unchecked)
            for column in (0, 1):
                item.setToolTip(column, as_tip(self._why(pair)))
            self.tree.addTopLevelItem(item)
            self._pairs.append((item, pair))
        self.tree.blockSignals(False)
        self._buttons()

    def _there(self, volume: Any) -> bool:
        """Whether the volume is ticked already, with another segmentation."""
        return any(pair.volume is volume and item.checkState(0) == qt.Qt.Checked for item, pair in self._pairs)

    @staticmethod
    def _why(pair: Pair) -> str:
        if pair.volume is None:
            return _("The segmentation does not say which volume it is of: {remedy}.").format(remedy=spoken(NO_VOLUME))
        if pair.found:
            return _("PromptSeg found this itself: tick it once you have checked it.")
        return f"{pair.volume.GetName()}, {pair.segmentation.GetName()}"

    @staticmethod
    def _key(pair: Pair) -> tuple[str, str]:
        return str(pair.segmentation.GetID()), str(pair.segment_id)

    @property
    def ticked(self) -> list[Pair]:
        """What would be learned from."""
        return [pair for item, pair in self._pairs if item.checkState(0) == qt.Qt.Checked]

    def _ticked(self, *_arguments: Any) -> None:
        for item, pair in self._pairs:
            self._chosen[self._key(pair)] = item.checkState(0) == qt.Qt.Checked
        self._buttons()

    def _buttons(self) -> None:
        """Everything as the state of things is."""
        busy, count = self.running.running, len(self.ticked)
        # What was chosen is not of the moment while it is learned from: how that goes is what is looked at.
        self.hint.setVisible(not busy)
        self.tree.setVisible(self._dataset is None and not busy)
        self.scene.setVisible(self._dataset is not None)
        for one in (self.structure, self.folder, self.scene, self.minutes):
            one.setEnabled(not busy)
        enough = self._dataset is not None or count >= MIN_VOLUMES
        learning = busy and self.running.job is not None and self.running.job.kind == "learn"
        self.teach.setText(_("Stop and keep best") if learning else _("Cancel") if busy else _("Teach"))
        self.teach.setEnabled(busy or (bool(self._name) and enough))
        self.said.setText(self._what(count))
        left = [] if busy else self._teaching.runs.unfinished()
        self._rest.setVisible(bool(left))
        if left:
            self.unfinished.setText(texts.unfinished(left[0]))
        self._say_opener()

    def _what(self, count: int) -> str:
        if self._dataset is not None:
            return _("Data set {name}: {n} volumes.").format(name=self._dataset["name"], n=self._dataset["volumes"])
        if not self._pairs:
            return _("No volume of the scene is segmented: load CTs with their segmentations, or choose a folder.")
        if count < MIN_VOLUMES:
            return _("{n} of {all} ticked; {least} are needed.").format(
                n=count, all=len(self._pairs), least=MIN_VOLUMES
            )
        return _("{n} of {all} ticked.").format(n=count, all=len(self._pairs))

    def _say_opener(self) -> None:
        text = _("Back to drawing slices") if self.shown else _("Teach from segmented volumes ...")
        if self.running.running and not self.shown:
            text = _("Learning from segmented volumes ...")
        self.opener.setText(text)
        self.opener.setAccessibleName(text)

    # A data set on disk

    def _choose_folder(self) -> None:
        folder = str(qt.QFileDialog.getExistingDirectory(self.widget, _("A data set, with its dataset.json"), ""))
        if folder:
            self._look_into(folder)

    def _look_into(self, folder: str) -> None:
        if self._ready():
            self.running.begin(
                lambda **listeners: self._teaching.describe(folder, **listeners),
                lambda told: self._described(folder, told),
                stopped=_("Stopped."),
            )

    def _described(self, folder: str, told: dict[str, Any]) -> None:
        self._dataset = {**told, "path": folder}
        self.refresh()

    def _forget_folder(self) -> None:
        self._dataset = None
        self.refresh()

    # Learning

    def _pressed(self) -> None:
        if not self.running.running:
            if self._ready():
                self._teach()
        elif self.running.job is not None and self.running.job.kind == "learn" and not self._stopping:
            self._stopping = True
            self.running.keep_best()
            self.teach.setText(_("Cancel"))  # should that take too long
        else:
            self.running.cancel()

    _stopping = False

    def _teach(self, odd: bool = False) -> None:
        pairs, name, data, minutes = self.ticked, self._name, self._dataset, int(self.minutes.value)

        def start(**listeners: Any) -> Any:
            if data is not None:
                return self._teaching.from_dataset(data["path"], name, minutes=minutes, **listeners)
            structure = structure_of(pairs[0])
            return self._teaching.from_scene(pairs, structure, minutes=minutes, odd=odd, **listeners)

        self._begin(start)

    def _go_on(self) -> None:
        left = self._teaching.runs.unfinished()
        if left and self._ready():
            minutes = int(self.minutes.value)
            self._begin(lambda **listeners: self._teaching.go_on(left[0], minutes=minutes, **listeners))

    def _begin(self, start: Callable[..., Any]) -> None:
        self._stopping = False
        self.curve.clear()
        self.curve.setVisible(True)
        self.running.begin(
            lambda **listeners: start(on_warning=self.message.warn, **listeners),
            self._done,
            self._progress,
            _("Stopped before anything was learned."),
            self._failed,
        )
        self.curve.setVisible(self.running.running)

    def _progress(self, report: Progress) -> None:
        if report.metrics:
            self.curve.add(report.metrics)

    def _failed(self, problem: PromptSegError) -> bool:
        """What is said of a problem that one may not want to be kept from; False for others."""
        self.curve.setVisible(False)
        if not isinstance(problem, OddValuesError):
            return False
        self.message.warn(problem, _("Teach all the same"), lambda: self._teach(odd=True))
        return True

    def _done(self, result: SetTaught) -> None:
        self.message.tell(texts.learned_from_volumes(result))
        self.refresh()
        self._on_kept(result.text)

    def _remove(self) -> None:
        left: list[Run] = self._teaching.runs.unfinished()
        if not left:
            return
        question = _("Forget the unfinished run of {name}? It cannot be gone on with then.").format(
            name=name_of(left[0].structure.name)
        )
        if slicer.util.confirmOkCancelDisplay(as_tip(question), windowTitle=_("Forget a run")):
            try:
                self._teaching.runs.forget(left[0])
            except PromptSegError as problem:
                self.message.warn(problem)
            self._buttons()
