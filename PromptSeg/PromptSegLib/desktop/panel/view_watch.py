"""Which slice a view shows: watched, and gone to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from ...errors import PromptSegError
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
