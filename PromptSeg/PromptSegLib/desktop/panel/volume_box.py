"""The volume and the segmentation at hand, and what is worth knowing of the volume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..state import State
from .texts import describe


class VolumeBox:
    """``on_change()`` is called when another volume or segmentation is chosen."""

    def __init__(self, state: State, on_change: Callable[[], None]) -> None:
        self._state, self._on_change, self._quiet = state, on_change, False
        self.widget = qt.QWidget()
        self.volumes = self._selector("vtkMRMLScalarVolumeNode", "Volume", _("Volume"), _("Load a CT first"))
        self.volumes.setToolTip(_("The CT to work on"))
        self.segmentations = self._selector(
            "vtkMRMLSegmentationNode", "Segmentation", _("Segmentation"), _("New, made when needed")
        )
        self.segmentations.setToolTip(_("Where results go and where you draw; a new one is made when it is needed"))
        self._newest = ""
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.connect("timeout()", self._take_up)
        # When a node is added, its image is not there yet.
        self.volumes.connect("nodeAdded(vtkMRMLNode*)", self._appeared)
        self._line = qt.QLabel()
        self._line.setWordWrap(True)
        self._line.setAccessibleName(_("What the volume is"))
        form = qt.QFormLayout(self.widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(_("Volume"), self.volumes)
        form.addRow("", self._line)
        form.addRow(_("Segmentation"), self.segmentations)

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
        return self.volumes.currentNode()

    @property
    def segmentation(self) -> Any:
        """The segmentation node that is chosen, or None for a new one."""
        return self.segmentations.currentNode()

    def choose_segmentation(self, node: Any) -> None:
        """After one was made."""
        self.segmentations.setCurrentNode(node)

    def refresh(self) -> None:
        """Show what the scene remembers; with no volume remembered, the first that there is."""
        self._quiet = True
        try:
            for combo, role in ((self.volumes, "Volume"), (self.segmentations, "Segmentation")):
                if combo.mrmlScene() is not slicer.mrmlScene:
                    combo.setMRMLScene(slicer.mrmlScene)
                combo.setCurrentNode(self._state.reference(role))
            if self.volume is None:
                self.volumes.setCurrentNode(self._first())
        finally:
            self._quiet = False
        self._keep()
        self._describe()

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
            self.volumes.setCurrentNode(scene.GetNodeByID(self._newest))

    def _chosen(self, role: str, node: Any) -> None:
        if self._quiet:
            return
        self._keep()
        if role == "Volume":
            self._describe()
        self._on_change()

    def _keep(self) -> None:
        self._state.set_reference("Volume", self.volume)
        self._state.set_reference("Segmentation", self.segmentation)

    def _describe(self) -> None:
        if self.volume is None:
            self._line.setText(_("Load a CT, or take one from the module Sample Data (CTChest, CTACardio)."))
            return
        line, warnings = describe(self.volume)
        self._line.setText("\n".join([*([line] if line else []), *(f"\u26a0 {one}" for one in warnings)]))
