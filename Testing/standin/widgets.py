"""The few widgets of CTK and Slicer that the panel uses, over Qt's own and real MRML nodes."""

from __future__ import annotations

from typing import Any

from .binding import REAL, Connecting, QtCore, QtWidgets, Signal, listen


class ctkCollapsibleButton(QtWidgets.QWidget):  # noqa: N801
    """A heading that opens and closes what is below it."""

    contentsCollapsed = Signal(bool)  # noqa: N815

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self._head = QtWidgets.QToolButton(self)
        self._head.setToolButtonStyle(QtCore.Qt.ToolButtonTextBesideIcon)
        self._head.setArrowType(QtCore.Qt.DownArrow)
        self._head.setAutoRaise(True)
        self._head.setGeometry(0, 0, 400, 24)
        self._collapsed = False
        self._head.clicked.connect(lambda: setattr(self, "collapsed", not self._collapsed))
        self.setContentsMargins(0, 26, 0, 0)

    text = property(lambda self: self._head.text, lambda self, value: self._head.setText(value))

    def setText(self, value: str) -> None:
        self._head.setText(value)

    @property
    def collapsed(self) -> bool:
        return self._collapsed

    @collapsed.setter
    def collapsed(self, value: bool) -> None:
        self._collapsed = bool(value)
        self._head.setArrowType(QtCore.Qt.RightArrow if value else QtCore.Qt.DownArrow)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget) and child is not self._head:
                child.setVisible(not value)
        self.contentsCollapsed.emit(self._collapsed)


class ctkSearchBox(QtWidgets.QLineEdit):  # noqa: N801
    """A line with a magnifying glass."""

    showSearchIcon = property(lambda self: True, lambda self, value: None)  # noqa: N815


class qMRMLNodeComboBox(Connecting, QtWidgets.QComboBox):  # noqa: N801
    """The nodes of a scene, by type."""

    currentNodeChanged = Signal(object)  # noqa: N815
    nodeAddedByUser = Signal(object)  # noqa: N815

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self._scene, self._ids, self._tags, self._current = None, [], [], ""
        self._nodeTypes, self._none, self._noneText = (), False, "None"
        listen(self, "activated(int)", self._chosen)

    nodeTypes = property(lambda self: self._nodeTypes, lambda self, value: self._set("_nodeTypes", tuple(value)))  # noqa: N815
    noneEnabled = property(lambda self: self._none, lambda self, value: self._set("_none", bool(value)))  # noqa: N815
    noneDisplay = property(lambda self: self._noneText, lambda self, value: self._set("_noneText", value))  # noqa: N815
    for _name in ("addEnabled", "removeEnabled", "editEnabled", "renameEnabled", "selectNodeUponCreation", "baseName",
                  "showHidden", "showChildNodeTypes", "hideChildNodeTypes"):  # fmt: skip
        locals()[_name] = property(lambda self: None, lambda self, value: None)

    def _set(self, name: str, value: Any) -> None:
        setattr(self, name, value)
        self._fill()

    def setMRMLScene(self, scene: Any) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is not None:
            import slicer

            for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
                self._tags.append(scene.AddObserver(event, lambda *_: self._fill()))
        self._fill()

    def mrmlScene(self) -> Any:
        return self._scene

    def addAttribute(self, *arguments: Any) -> None:
        self._fill()

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    @property
    def currentNodeID(self) -> str:
        return self._current

    def setCurrentNodeID(self, identity: str) -> None:
        self._go(identity or "")

    def setCurrentNode(self, node: Any) -> None:
        self._go(node.GetID() if node is not None else "")

    def nodeCount(self) -> int:
        return len([one for one in self._ids if one])

    def _fill(self) -> None:
        import slicer  # noqa: F401

        found = []
        if self._scene is not None:
            for number in range(self._scene.GetNumberOfNodes()):
                node = self._scene.GetNthNode(number)
                exact = node.GetClassName() in self._nodeTypes
                if exact and not node.GetHideFromEditors():
                    found.append((node.GetID(), node.GetName()))
        if self._none or not found:
            found.insert(0, ("", self._noneText))
        self.blockSignals(True)
        self.clear()
        self._ids = [identity for identity, _ in found]
        self.addItems([name for _, name in found])
        self.blockSignals(False)
        wanted = self._current if self._current in self._ids else (self._ids[0] if not self._none else "")
        self._go(wanted)

    def _go(self, identity: str) -> None:
        if identity not in self._ids:
            identity = "" if "" in self._ids else (self._ids[0] if self._ids else "")
        if self._ids:
            self.setCurrentIndex(self._ids.index(identity))
        if identity != self._current:
            self._current = identity
            self.currentNodeChanged.emit(self.currentNode())

    def _chosen(self, index: int) -> None:
        self._go(self._ids[index])


class qMRMLSegmentEditorWidget(Connecting, QtWidgets.QFrame):  # noqa: N801
    """Where the real Segment Editor stands in Slicer: nodes and undo are real, its effects are not here."""

    currentSegmentIDChanged = Signal(str)  # noqa: N815

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self._scene = self._node = None
        self._logic: Any = None
        self._label = QtWidgets.QLabel("Segment Editor (effects and segments as in 3D Slicer)", self)
        self._label.setAlignment(QtCore.Qt.AlignCenter)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self._label)
        self.setFrameShape(QtWidgets.QFrame.StyledPanel)
        self.setMinimumHeight(90)
        self.order: list[str] = []

    for _name in ("segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible", "maskingSectionVisible",
                  "specifyGeometryButtonVisible", "show3DButtonVisible", "addRemoveSegmentButtonsVisible",
                  "switchToSegmentationsButtonVisible", "undoEnabled", "maximumNumberOfUndoStates", "readOnly",
                  "effectButtonStyle", "effectColumnCount", "unorderedEffectsVisible", "autoShowSourceVolumeNode",
                  "jumpToSelectedSegmentEnabled"):  # fmt: skip
        locals()[_name] = property(
            lambda self, n=_name: getattr(self, f"_{n}", None),
            lambda self, value, n=_name: setattr(self, f"_{n}", value),
        )

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        import slicer

        assert self._scene is not None, "set the scene first"
        self._node = node
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLScene(self._scene)
        self._logic.SetSegmentEditorNode(node)

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        assert self._node is not None, "set the segment editor node first"
        if self._node.GetSegmentationNode() is not node:
            self._node.SetAndObserveSegmentationNode(node)

    def segmentationNode(self) -> Any:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def setSourceVolumeNode(self, node: Any) -> None:
        assert self._node is not None, "set the segment editor node first"
        if self._node.GetSourceVolumeNode() is not node:
            self._node.SetAndObserveSourceVolumeNode(node)

    def sourceVolumeNode(self) -> Any:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    def setCurrentSegmentID(self, identity: str) -> None:
        self._node.SetSelectedSegmentID(identity)
        self.currentSegmentIDChanged.emit(identity)

    def currentSegmentID(self) -> str:
        return (self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    def saveStateForUndo(self) -> None:
        if self._logic is not None and hasattr(self._logic, "SaveStateForUndo"):
            self._logic.SaveStateForUndo()

    def undo(self) -> None:
        self._logic.Undo()

    def redo(self) -> None:
        self._logic.Redo()

    def setEffectNameOrder(self, names: Any) -> None:
        self.order = list(names)

    def effectNameOrder(self) -> list[str]:
        return self.order

    def effectByName(self, name: str) -> Any:
        return None

    def activeEffect(self) -> Any:
        return None

    def setActiveEffect(self, effect: Any) -> None:
        pass

    def setActiveEffectByName(self, name: str) -> None:
        pass

    def setupViewObservations(self) -> None:
        pass

    def removeViewObservations(self) -> None:
        pass

    def installKeyboardShortcuts(self, widget: Any = None) -> None:
        pass

    def uninstallKeyboardShortcuts(self) -> None:
        pass


class qMRMLSegmentationShow3DButton(Connecting, QtWidgets.QPushButton):  # noqa: N801
    """The closed surface of a segmentation, on and off."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self.setCheckable(True)
        self.setText("Show 3D")
        self._node = None
        listen(self, "toggled(bool)", self._show)

    locked = property(lambda self: False, lambda self, value: None)

    def setSegmentationNode(self, node: Any) -> None:
        self._node = node

    def segmentationNode(self) -> Any:
        return self._node

    def _show(self, on: bool) -> None:
        if self._node is not None:
            if on:
                self._node.CreateClosedSurfaceRepresentation()
            else:
                self._node.RemoveClosedSurfaceRepresentation()


CTK = {} if REAL else {one.__name__: one for one in (ctkCollapsibleButton, ctkSearchBox)}
"""None of them where the real ones are there."""
SLICER = {one.__name__: one for one in (qMRMLNodeComboBox, qMRMLSegmentEditorWidget, qMRMLSegmentationShow3DButton)}
