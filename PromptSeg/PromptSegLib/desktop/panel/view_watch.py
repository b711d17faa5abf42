"""Which slice a view shows: watched, and gone to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import qt
import slicer

from ...errors import GridError, PromptSegError
from ...mrml import slice_views as views
from ...mrml.slices import paint_of

LAYOUT_MS = 50


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
        """Remove all observers of the slice views."""
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
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(LAYOUT_MS)
        self._settle: Callable[[], object] = lambda: None
        self._later.connect("timeout()", lambda: self._settle())

    @property
    def on(self) -> bool:
        """Whether the views are so now."""
        return bool(self._undo)

    def begin(self, segmentation: Any) -> None:
        """Arrange them: plane, zoom and position of each follow the other's. Nothing happens without views."""
        import vtk

        manager = slicer.app.layoutManager()
        display = segmentation.GetDisplayNode() if segmentation is not None else None
        if self.on or manager is None or display is None:
            return
        layout = int(manager.layout)
        left, right = (manager.sliceWidget(name).mrmlSliceNode() for name in ("Red", "Yellow"))
        former = vtk.vtkMatrix4x4()
        former.DeepCopy(right.GetSliceToRAS())
        view = tuple(right.GetFieldOfView()), tuple(right.GetXYZOrigin())
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        seen_in = [display.GetNthViewNodeID(n) for n in range(display.GetNumberOfViewNodeIDs())]
        busy: list[bool] = []

        def link(one: Any, other: Any) -> None:
            if not busy:
                busy.append(True)
                try:
                    self._copy(one, other)
                finally:
                    busy.clear()

        tags = [(one, one.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_, a=one, b=other: link(a, b)))
                for one, other in ((left, right), (right, left))]  # fmt: skip
        self._show_in(display, [left.GetID()])
        link(left, right)
        # A view gets its size, and another zoom with it, when the window is laid out anew.
        self._settle = lambda: link(left, right)
        self._later.start()
        self._undo = [
            *(lambda node=node, tag=tag: node.RemoveObserver(tag) for node, tag in tags),
            lambda: self._turn(right, former),
            lambda: right.SetFieldOfView(*view[0]),
            lambda: right.SetXYZOrigin(*view[1]),
            lambda: self._show_in(display, seen_in),
            lambda: manager.setLayout(layout),
        ]

    def end(self) -> None:
        """Back to how it was."""
        undo, self._undo = self._undo, []
        self._later.stop()
        for one in undo:
            one()

    @classmethod
    def _copy(cls, one: Any, other: Any) -> None:
        """Have another view show what one shows, as large: as many millimetres for each pixel."""
        mm, pixels, room = one.GetFieldOfView(), one.GetDimensions(), other.GetDimensions()
        same = min(*pixels[:2], *room[:2]) <= 1
        wide, high = (mm[n] if same else mm[n] / pixels[n] * room[n] for n in range(2))
        cls._turn(other, one.GetSliceToRAS())
        other.SetFieldOfView(wide, high, mm[2])
        other.SetXYZOrigin(*one.GetXYZOrigin())

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


def bring_into_view(volume: Any, segmentation: Any, segment_id: str, place: tuple[int, int]) -> None:
    """A segment is seen where one is, ``place`` being (axis, index) of the slice in view, or the views go to it."""
    show_volume(volume, segmentation)
    display = segmentation.GetDisplayNode()
    if display is not None:
        display.SetSegmentVisibility(segment_id, True)
    axis, index = place
    if axis >= 0 and index not in paint_of(segmentation, segment_id, volume).along(axis):
        centre_on(segmentation, [segment_id])


def centre_3d() -> None:
    """Have the 3D view look at what is shown in it."""
    manager = slicer.app.layoutManager()
    if manager is not None and manager.threeDViewCount > 0:
        manager.threeDWidget(0).threeDView().resetFocalPoint()


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
