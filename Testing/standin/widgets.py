"""The few widgets of CTK and Slicer that the panel uses, over Qt's own and real MRML nodes."""

from __future__ import annotations

from typing import Any

from .binding import REAL, Connecting, QtCore, QtWidgets, Signal, listen
from .editor_look import Look


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
    """The nodes of a scene, by type.

    As the real one, it follows a scene that is read or closed only when the event loop turns again: until then, a node
    that came with the scene cannot be chosen, and choosing it does nothing.
    """

    currentNodeChanged = Signal(object)  # noqa: N815
    nodeAddedByUser = Signal(object)  # noqa: N815
    nodeAdded = Signal(object)  # noqa: N815

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self._scene, self._ids, self._tags, self._current, self._node = None, [], [], "", None
        self._listed: dict[str, Any] = {}
        self._nodeTypes, self._none, self._noneText = (), False, "None"
        self._late = QtCore.QTimer(self)
        self._late.setSingleShot(True)
        listen(self._late, "timeout()", lambda: self._fill())
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
                self._tags.append(scene.AddObserver(event, lambda *_: self._follow()))
        self._fill()

    def _follow(self) -> None:
        if self._scene.IsBatchProcessing() or self._late.isActive():
            self._late.start(0)
        else:
            self._fill()

    def mrmlScene(self) -> Any:
        return self._scene

    def addAttribute(self, *arguments: Any) -> None:
        self._fill()

    def currentNode(self) -> Any:
        if _GONE:
            raise ValueError("Trying to call 'currentNode' on a destroyed qMRMLNodeComboBox object")
        return self._node if self._node is not None and self._node.GetScene() is self._scene else None

    @property
    def currentNodeID(self) -> str:
        return self._current

    def setCurrentNodeID(self, identity: str) -> None:
        self._go(identity or "")

    def setCurrentNode(self, node: Any) -> None:
        if _GONE:
            raise ValueError("Trying to call 'setCurrentNode' on a destroyed qMRMLNodeComboBox object")
        listed = node is not None and any(one is node for one in self._listed.values())
        self._go(node.GetID() if listed else "")

    def nodeCount(self) -> int:
        return len([one for one in self._ids if one])

    def _fill(self) -> None:
        if _GONE:
            return
        found = []
        former, self._listed = self._listed, {}
        if self._scene is not None:
            for number in range(self._scene.GetNumberOfNodes()):
                node = self._scene.GetNthNode(number)
                exact = node.GetClassName() in self._nodeTypes
                if exact and not node.GetHideFromEditors():
                    found.append((node.GetID(), node.GetName()))
                    self._listed[node.GetID()] = node
        if self._none or not found:
            found.insert(0, ("", self._noneText))
        self.blockSignals(True)
        self.clear()
        self._ids = [identity for identity, _ in found]
        self.addItems([name for _, name in found])
        self.blockSignals(False)
        stays = self._current if self._listed.get(self._current) is self._node else ""
        self._go(stays or (self._ids[0] if not self._none else ""))
        for identity in self._ids:
            if identity and former.get(identity) is not self._listed[identity]:
                self.nodeAdded.emit(self._listed[identity])

    def _go(self, identity: str) -> None:
        if identity not in self._ids:
            identity = "" if "" in self._ids else (self._ids[0] if self._ids else "")
        if self._ids:
            self.setCurrentIndex(self._ids.index(identity))
        node = self._listed.get(identity)
        if node is not self._node:
            self._current, self._node = identity, node
            self.currentNodeChanged.emit(node)

    def _chosen(self, index: int) -> None:
        self._go(self._ids[index])


_GONE: list[bool] = []
"""Not empty while the application quits: widgets are destroyed before Python's ``cleanup`` is called."""


class _Effect:
    """Where one of the Segment Editor's effects stands: its parameters are attributes of the editor node, and one of
    the effect's own hides a common one of the same name for good."""

    def __init__(self, name: str, node: Any, options: Any = None) -> None:
        self.name, self._node, self._options = name, node, options

    def optionsFrame(self) -> Any:
        return self._options

    def parameter(self, name: str) -> str:
        own = self._node.GetAttribute(f"{self.name}.{name}")
        return own if own is not None else (self._node.GetAttribute(name) or "")

    def integerParameter(self, name: str) -> int:
        return int(self.parameter(name) or 0)


class qMRMLSegmentEditorWidget(Connecting, QtWidgets.QFrame):  # noqa: N801
    """Where the real Segment Editor stands in Slicer: nodes and undo are real, its effects are not here.

    What it does by itself is done here too, in the same order: a segmentation that is set selects its first segment and
    its reference volume, and ends the effect; a segment that a program selects tells nobody; what is read-only has no
    effect.
    """

    currentSegmentIDChanged = Signal(str)  # noqa: N815

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self._scene = self._node = self._shown = None
        self._logic: Any = None
        self._tags: list[tuple[Any, int]] = []
        self._row, self._updating = "", False
        self._locked = False
        self._maskingSectionVisible, self._effectColumnCount = True, 2
        self.order: list[str] = []
        self._look = Look(self)

    for _name in ("segmentationNodeSelectorVisible", "sourceVolumeNodeSelectorVisible",
                  "specifyGeometryButtonVisible", "show3DButtonVisible", "addRemoveSegmentButtonsVisible",
                  "switchToSegmentationsButtonVisible", "undoEnabled", "maximumNumberOfUndoStates",
                  "effectButtonStyle", "effectColumnCount", "unorderedEffectsVisible", "autoShowSourceVolumeNode",
                  "jumpToSelectedSegmentEnabled", "maskingSectionVisible"):  # fmt: skip
        locals()[_name] = property(
            lambda self, n=_name: getattr(self, f"_{n}", None),
            lambda self, value, n=_name: self._set(n, value),
        )

    def _set(self, name: str, value: Any) -> None:
        setattr(self, f"_{name}", value)
        self._look.refresh()

    @property
    def readOnly(self) -> bool:
        return self._locked

    @readOnly.setter
    def readOnly(self, value: bool) -> None:
        self._locked = bool(value)
        if value:
            self.setActiveEffect(None)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._update()

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        import slicer

        assert self._scene is not None, "set the scene first"
        if node is self._node:
            return
        for what, tag in self._tags:
            what.RemoveObserver(tag)
        self._tags = []
        self._node = node
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLScene(self._scene)
        self._logic.SetSegmentEditorNode(node)
        if node is not None:
            if node.GetAttribute("BrushSphere") is None:  # the effects' defaults
                node.SetAttribute("BrushSphere", "0")
            self._tags.append((node, node.AddObserver("ModifiedEvent", lambda *_: self._update())))
        self._update()

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def _update(self) -> None:
        """The widget follows its node."""
        if self._scene is None or self._node is None or self._updating:
            return
        self._updating = True
        try:
            node = self._node.GetSegmentationNode()
            if node is not self._shown:
                self._shown, self._row = node, ""
                if node is not None:
                    self.setSourceVolumeNode(node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()))
                    segments = node.GetSegmentation().GetSegmentIDs()
                    if segments:
                        self._select(segments[0])
            chosen = self.currentSegmentID()
            there = node is not None and bool(chosen) and node.GetSegmentation().GetSegment(chosen) is not None
            self._select(chosen if there else "")
            # An editor that is hidden follows the effect of its node as well, and watches the views while it has one.
            if self._node.GetActiveEffectName() and not self._locked:
                self.setupViewObservations()
            else:
                self.removeViewObservations()
        finally:
            self._updating = False
        self._look.refresh()

    def _select(self, identity: str) -> None:
        """A row of the table of segments is selected, by the widget itself or by a click."""
        if identity == self._row:
            return
        self._row = identity
        if identity != self.currentSegmentID():
            self._node.SetSelectedSegmentID(identity or None)
            self.currentSegmentIDChanged.emit(identity)

    def setSegmentationNode(self, node: Any) -> None:
        assert self._node is not None or node is None, "set the segment editor node first"
        if self._node is None or self._node.GetSegmentationNode() is node:
            return
        self._node.SetAndObserveSegmentationNode(node)
        self.setActiveEffect(None)

    def segmentationNode(self) -> Any:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def setSourceVolumeNode(self, node: Any) -> None:
        assert self._node is not None, "set the segment editor node first"
        if self._node.GetSourceVolumeNode() is not node:
            self._node.SetAndObserveSourceVolumeNode(node)

    def sourceVolumeNode(self) -> Any:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    def setCurrentSegmentID(self, identity: str) -> None:
        if self._node is not None:
            self._node.SetSelectedSegmentID(identity)

    def currentSegmentID(self) -> str:
        return (self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    def saveStateForUndo(self) -> None:
        if self._logic is not None and hasattr(self._logic, "SaveStateForUndo"):
            self._logic.SaveStateForUndo()
        self._look.refresh()

    def undo(self) -> None:
        self._logic.Undo()
        self._look.refresh()

    def redo(self) -> None:
        self._logic.Redo()
        self._look.refresh()

    def setEffectNameOrder(self, names: Any) -> None:
        self.order = list(names)
        self._look.refresh()

    def effectNameOrder(self) -> list[str]:
        return self.order

    def effectByName(self, name: str) -> Any:
        there = name in self.order and self._node is not None
        return _Effect(name, self._node, self._look.frames.get(name)) if there else None

    def activeEffect(self) -> Any:
        return self.effectByName(self._node.GetActiveEffectName() or "") if self._node is not None else None

    def setActiveEffect(self, effect: Any) -> None:
        assert self._node is not None or effect is None, "set the segment editor node first"
        if self._node is not None:
            self._node.SetActiveEffectName(effect.name if effect is not None else "")

    def setActiveEffectByName(self, name: str) -> None:
        self.setActiveEffect(self.effectByName(name))

    def setupViewObservations(self) -> None:
        if self not in _WATCHING:
            _WATCHING.append(self)

    def removeViewObservations(self) -> None:
        if self in _WATCHING:
            _WATCHING.remove(self)

    def installKeyboardShortcuts(self, widget: Any = None) -> None:
        pass

    def uninstallKeyboardShortcuts(self) -> None:
        pass


_WATCHING: list[qMRMLSegmentEditorWidget] = []
"""The editors that watch the slice views, in the order in which they began to."""


def watching() -> qMRMLSegmentEditorWidget | None:
    """The editor that a stroke goes to; None where no effect is active."""
    one = _WATCHING[0] if _WATCHING else None
    return one if one is not None and one.activeEffect() is not None else None


def stroke(image: Any) -> Any:
    """A stroke in a slice view, which leaves ``image`` (a ``vtkOrientedImageData``) as the chosen segment's label map.

    The first editor that watches gets it, whichever is shown: it saves the state in its own history. Gives that editor.
    """
    one = _WATCHING[0]
    one.saveStateForUndo()
    image.Modified()  # the history tells by the time what was changed since
    segment = one.segmentationNode().GetSegmentation().GetSegment(one.currentSegmentID())
    segment.RemoveRepresentation("Binary labelmap")
    segment.AddRepresentation("Binary labelmap", image)
    one._look.refresh()
    return one


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
