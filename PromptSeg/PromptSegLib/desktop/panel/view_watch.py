"""Which slice a view shows: watched, and gone to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slicer

from ...errors import GridError, PromptSegError
from ...mrml import views


class ViewWatch:
    """``on_slice(axis, index)`` is called when the watched view of ``volume`` moves; -1 for a view that is turned."""

    def __init__(self, on_slice: Callable[[int, int], None]) -> None:
        self._on_slice = on_slice
        self._node: Any = None
        self._tag = 0
        self._volume: Any = None
        self.name = ""

    @staticmethod
    def names() -> list[str]:
        """The slice views that there are."""
        manager = slicer.app.layoutManager()
        return [str(one) for one in manager.sliceViewNames()] if manager is not None else []

    def watch(self, name: str, volume: Any) -> None:
        """Watch another view, or none where there is none of that name."""
        self.stop()
        manager = slicer.app.layoutManager()
        widget = manager.sliceWidget(name) if manager is not None and name else None
        self.name, self._volume = name, volume
        if widget is not None and volume is not None:
            import vtk

            self._node = widget.mrmlSliceNode()
            self._tag = self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.tell())
            self.tell()

    def stop(self) -> None:
        """Watch nothing."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = self._volume = None

    @property
    def place(self) -> tuple[int, int]:
        """(axis, index) of the slice in view; (-1, -1) for a view that is turned or shows another volume."""
        if self._node is None or self._volume is None or self._volume.GetScene() is None:
            return -1, -1
        try:
            return views.slice_of(self._node, self._volume)
        except PromptSegError:
            return -1, -1

    @property
    def bent(self) -> GridError | None:
        """What to say of a volume that no view shows slices of, however it is turned."""
        try:
            if self._volume is not None:
                views.to_world(self._volume)
        except GridError as problem:
            return problem
        return None

    def tell(self) -> None:
        """Say where the view is now."""
        self._on_slice(*self.place)

    def align(self) -> None:
        """Turn the view to the volume's slices."""
        if self._node is not None and self._volume is not None:
            self._node.RotateToVolumePlane(self._volume)

    def go_to(self, axis: int, index: int) -> None:
        """Show a slice, in whichever view is along that axis."""
        manager = slicer.app.layoutManager()
        for name in [self.name, *self.names()] if manager is not None else ():
            widget = manager.sliceWidget(name) if name else None
            if widget is None or self._volume is None:
                continue
            try:
                if views.slice_of(widget.mrmlSliceNode(), self._volume)[0] == axis:
                    views.go_to(widget.mrmlSliceNode(), self._volume, axis, index)
                    return
            except PromptSegError:
                continue


class SideBySide:
    """The same slice in two views, the segmentation in the left one only; afterwards all is as it was."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    @property
    def on(self) -> bool:
        """Whether the views are so now."""
        return bool(self._undo)

    def begin(self, segmentation: Any) -> None:
        """Arrange them; nothing happens without views."""
        import vtk

        manager = slicer.app.layoutManager()
        display = segmentation.GetDisplayNode() if segmentation is not None else None
        if self.on or manager is None or display is None:
            return
        layout = int(manager.layout)
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        left, right = (manager.sliceWidget(name).mrmlSliceNode() for name in ("Red", "Yellow"))
        former = vtk.vtkMatrix4x4()
        former.DeepCopy(right.GetSliceToRAS())
        seen_in = [display.GetNthViewNodeID(n) for n in range(display.GetNumberOfViewNodeIDs())]

        def follow(*_: Any) -> None:
            self._turn(right, left.GetSliceToRAS())

        tag = left.AddObserver(vtk.vtkCommand.ModifiedEvent, follow)
        self._show_in(display, [left.GetID()])
        follow()
        self._undo = [
            lambda: left.RemoveObserver(tag),
            lambda: self._turn(right, former),
            lambda: self._show_in(display, seen_in),
            lambda: manager.setLayout(layout),
        ]

    def end(self) -> None:
        """Back to how it was."""
        undo, self._undo = self._undo, []
        for one in undo:
            one()

    @staticmethod
    def _turn(view: Any, matrix: Any) -> None:
        view.GetSliceToRAS().DeepCopy(matrix)
        view.UpdateMatrices()

    @staticmethod
    def _show_in(display: Any, views_of: list[str]) -> None:
        display.RemoveAllViewNodeIDs()
        for one in views_of:
            display.AddViewNodeID(one)


def centre_on(segmentation: Any, segment_ids: Iterable[str]) -> None:
    """Move all slice views to the middle of the first of these segments that holds anything."""
    for segment_id in segment_ids:
        centre = segmentation.GetSegmentCenterRAS(segment_id)
        if centre is not None:
            node = slicer.vtkMRMLSliceNode
            node.JumpAllSlices(segmentation.GetScene(), *centre, node.OffsetJumpSlice)
            return


def show_volume(volume: Any, segmentation: Any = None) -> None:
    """Put a volume into all slice views."""
    if slicer.app.layoutManager() is None or volume is None:
        return
    scene = volume.GetScene()
    kind = "vtkMRMLSliceCompositeNode"
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        scene.GetNthNodeByClass(number, kind).SetBackgroundVolumeID(volume.GetID())
    if segmentation is not None and segmentation.GetDisplayNode() is not None:
        segmentation.SetDisplayVisibility(True)
