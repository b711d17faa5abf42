"""The volume and the segmentation at hand, and what is worth knowing of the volume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..panel_state import PanelState
from .panel_room import AMPLE
from .texts import describe
from .widgets import as_tip, text_label

AGAIN_MS, MAX_TRIES = 20, 100
"""A combo box that does not list a node yet, as after a scene was read, is asked again: for two seconds."""


def volume_of(segmentation: Any) -> str:
    """The id of the volume node that a segmentation was made of; empty where it does not say."""
    found = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
    return found.GetID() if found is not None else ""


class VolumeBox:
    """What is chosen is what the scene remembers; the combo boxes show it, and change it when a user chooses.

    They follow the scene later than our observers: after a scene was read, they do not list what came with it until the
    event loop turned again. What they show then is nobody's choice, and is not kept.

    ``on_change()`` is called when another volume or segmentation is chosen.
    """

    def __init__(self, state: PanelState, on_change: Callable[[], None]) -> None:
        self._state, self._on_change, self._quiet = state, on_change, False
        self.widget = qt.QWidget()
        self.volumes = self._selector("vtkMRMLScalarVolumeNode", "Volume", _("Volume"), _("Load a CT first"))
        self.segmentations = self._selector(
            "vtkMRMLSegmentationNode", "Segmentation", _("Segmentation"), _("New, made when needed")
        )
        self.segmentations.setToolTip(_("Where results go and where you draw; a new one is made when it is needed"))
        self._combos = ((self.volumes, "Volume"), (self.segmentations, "Segmentation"))
        self._newest, self._behind = "", 0
        self._known = "", ""
        self._later = self._timer(0, self._take_up)
        self._again = self._timer(AGAIN_MS, self._catch_up)
        # When a node is added, its image is not there yet.
        self.volumes.connect("nodeAdded(vtkMRMLNode*)", self._appeared)
        self._line = text_label()
        self._line.setAccessibleName(_("What the volume is"))
        self._labels = qt.QLabel(_("Volume:")), qt.QLabel(_("Segmentation:"))
        self._room, self._offered, self._warned = AMPLE, True, False
        self._grid = qt.QGridLayout(self.widget)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(4)
        self._lay_out()
        self._say("")

    def fit(self, room: int) -> None:
        """Take less height where there is little of it: both in one row, and a volume's size only in its tip."""
        self._room = room
        self._lay_out()
        self._describe()

    def _lay_out(self) -> None:
        grid, (volume, segmentation) = self._grid, self._labels
        for one in (volume, self.volumes, self._line, segmentation, self.segmentations):
            grid.removeWidget(one)
        ample = self._room == AMPLE
        for one in (self.volumes, self.segmentations):
            one.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        if ample:
            grid.addWidget(volume, 0, 0)
            grid.addWidget(self.volumes, 0, 1)
            grid.addWidget(self._line, 1, 0, 1, 2)
            grid.addWidget(segmentation, 2, 0)
            grid.addWidget(self.segmentations, 2, 1)
        else:
            grid.addWidget(self.volumes, 0, 0)
            grid.addWidget(self.segmentations, 0, 1)
            grid.addWidget(self._line, 1, 0, 1, 2)
        grid.setColumnStretch(0, 0 if ample else 1)
        self.offer_segmentations(self._offered)

    @staticmethod
    def _timer(interval: int, action: Callable[[], None]) -> Any:
        made = qt.QTimer()
        made.setSingleShot(True)
        made.setInterval(interval)
        made.connect("timeout()", action)
        return made

    def _selector(self, kind: str, role: str, name: str, empty: str) -> Any:
        combo = slicer.qMRMLNodeComboBox()
        combo.nodeTypes = [kind]
        combo.showChildNodeTypes = False  # label maps are kinds of volumes, and none to work on
        combo.addEnabled, combo.removeEnabled, combo.renameEnabled = False, False, False
        combo.noneEnabled = True
        combo.noneDisplay = empty
        combo.setAccessibleName(name)
        combo.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._chosen(role, node))
        return combo

    @property
    def volume(self) -> Any:
        """The volume node that is chosen, or None."""
        return self._state.reference("Volume")

    @property
    def segmentation(self) -> Any:
        """The segmentation node that is chosen, or None for a new one."""
        return self._state.reference("Segmentation")

    def choose_volume(self, node: Any) -> None:
        """After one was loaded."""
        self._choose("Volume", node)

    def choose_segmentation(self, node: Any) -> None:
        """After one was made."""
        self._choose("Segmentation", node)

    def offer_segmentations(self, on: bool) -> None:
        """Show the row of segmentations: without a volume it means nothing."""
        self._offered = on
        volume, segmentation = self._labels
        volume.setVisible(self._room == AMPLE)
        segmentation.setVisible(on and self._room == AMPLE)
        self.segmentations.setVisible(on)
        self._grid.setColumnStretch(1, int(on or self._room == AMPLE))

    def refresh(self, choose: bool = True) -> None:
        """Show what the scene remembers; with no volume remembered, the first that there is, unless ``choose`` is
        False."""
        if choose and self.volume is None:
            self._state.set_reference("Volume", self._first())
        self._behind = MAX_TRIES
        self._catch_up()
        self._note()
        self._describe()

    def cleanup(self) -> None:
        """The panel goes: nothing of this is called any more."""
        self._later.stop()
        self._again.stop()
        self._quiet = True

    def _catch_up(self) -> None:
        """Have the combo boxes show what is chosen, again and again while they do not list it."""
        listed = True
        self._quiet = True
        try:
            for combo, role in self._combos:
                if combo.mrmlScene() is not slicer.mrmlScene:
                    combo.setMRMLScene(slicer.mrmlScene)
                wanted = self._state.reference(role)
                if combo.currentNode() is not wanted:
                    combo.setCurrentNode(wanted)
                    listed = listed and combo.currentNode() is wanted
        finally:
            self._quiet = False
        self._behind = 0 if listed else self._behind - 1
        if self._behind > 0:
            self._again.start()

    def _first(self) -> Any:
        """The first volume that can be chosen and has an image; None if there is none."""
        scene, kind = slicer.mrmlScene, "vtkMRMLScalarVolumeNode"
        for number in range(scene.GetNumberOfNodesByClass(kind)):
            node = scene.GetNthNodeByClass(number, kind)
            if node.GetClassName() == kind and not node.GetHideFromEditors() and node.GetImageData() is not None:
                return node
        return None

    def _appeared(self, node: Any) -> None:
        self._newest = node.GetID()
        self._later.start()

    def _take_up(self) -> None:
        """A volume was loaded and none is chosen: it is the one to work on. A scene that is read says so itself."""
        scene = slicer.mrmlScene
        if self.volume is None and not scene.IsBatchProcessing():
            self.choose_volume(scene.GetNodeByID(self._newest))

    def _choose(self, role: str, node: Any) -> None:
        if self._state.reference(role) is node:
            return
        self._state.set_reference(role, node)
        self._behind = MAX_TRIES
        self._catch_up()
        self._changed(role)

    def _chosen(self, role: str, node: Any) -> None:
        """A combo box shows another node: a user chose it, or the one that it showed was removed."""
        if self._quiet or slicer.mrmlScene.IsBatchProcessing() or (self._behind and node is None):
            return
        self._state.set_reference(role, node)
        self._changed(role)

    def _changed(self, role: str) -> None:
        if role == "Volume":
            self._follow()
            self._describe()
        self._note()
        self._on_change()

    def _note(self) -> None:
        chosen = self.segmentation
        self._known = (chosen.GetID(), volume_of(chosen)) if chosen is not None else ("", "")

    def _volume_of(self, segmentation: Any) -> str:
        """The same as :func:`volume_of`, and for the one at hand also after its volume was removed."""
        identity, volume = self._known
        return volume_of(segmentation) or (volume if identity == segmentation.GetID() else "")

    def _follow(self) -> None:
        """A volume brings the segmentation that was made of it last, and takes it along when it goes: another volume's
        would be changed unseen."""
        volume, chosen = self.volume, self.segmentation
        here = volume.GetID() if volume is not None else ""
        of = self._volume_of(chosen) if chosen is not None else ""
        if of in ("", here) and (chosen is not None or not here):
            return
        scene, kind = slicer.mrmlScene, "vtkMRMLSegmentationNode"
        every = (scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind)))
        own = [one for one in every if not one.GetHideFromEditors() and here and volume_of(one) == here]
        self._state.set_reference("Segmentation", own[-1] if own else None)
        self._behind = MAX_TRIES
        self._catch_up()

    def _describe(self) -> None:
        line, warnings = describe(self.volume) if self.volume is not None else ("", [])
        said = [f"\u26a0 {one}" for one in warnings]
        self._say("\n".join([*([line] if line and self._room == AMPLE else []), *said]))
        self.volumes.setToolTip(as_tip("\n".join((_("The CT to work on"), *([line] if line else []), *said))))

    def _say(self, text: str) -> None:
        self._line.setText(text)
        self._line.setVisible(bool(text))
