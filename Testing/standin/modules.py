"""``slicer.modules`` and what Slicer's util does with them and with scene files: what ``Testing/Slicer`` asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .binding import QtWidgets
from .facts import facts


class CoreModule:
    """A module of Slicer's own that has a logic and no window here."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic

    def logic(self) -> Any:
        return self._logic


class Modules:
    """``slicer.modules``: only names that a real one has."""

    def __init__(self, **found: CoreModule) -> None:
        self.__dict__.update(found)

    def __getattr__(self, name: str) -> Any:
        known = name in facts()["modules"]
        raise AttributeError(f"{'the stand-in' if known else '3D Slicer'} has no slicer.modules.{name}")


class Shown:
    """The one scripted module of the window: made when it is first asked for, entered when it is selected."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make, self._widget, self._open = make, None, False

    def widget(self, _module: Any = None) -> Any:
        if self._widget is None:
            self._widget = self._make()
            self._widget.setup()
        return self._widget

    def select(self, _module: Any = None) -> None:
        if not self._open:
            self._open = True
            parent = self.widget().parent
            parent.show()
            self.widget().enter()
            parent.isEntered = True

    def leave(self) -> None:
        if self._open:
            self._open = False
            self.widget().parent.isEntered = False
            self.widget().exit()

    def reload(self) -> Any:
        """As Slicer's Reload: ``cleanup`` and ``setup`` of a new one in the same place, and no ``enter``."""
        parent = self.widget().parent
        self._widget.cleanup()
        for child in list(parent.children()):
            if isinstance(child, QtWidgets.QWidget):
                child.setParent(None)
        self._widget = self._make(parent)
        self._widget.setup()
        return self._widget

    def close(self) -> None:
        if self._widget is not None:
            self._widget.cleanup()
            self._widget.parent.close()
            self._widget = None


def modules_of(scene: Any) -> Modules:
    """``slicer.modules`` over a scene that ``new_scene`` made."""
    import slicer

    application = slicer.vtkMRMLApplicationLogic()
    application.SetMRMLScene(scene)
    colours, volumes = slicer.vtkMRMLColorLogic(), slicer.vtkSlicerVolumesLogic()
    for name, one in (("Colors", colours), ("Volumes", volumes)):
        one.SetMRMLScene(scene)
        one.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, one)
    scene.stand_in_modules = (application, colours, volumes)  # kept alive with the scene
    return Modules(volumes=CoreModule(volumes), segmentations=CoreModule(scene.stand_in))


def util_of(scene: Any, shown: Shown, cache: Path) -> dict[str, Callable[..., Any]]:
    """Functions of ``slicer.util`` that need its managers of modules and files; bundles are unpacked in ``cache``."""
    import slicer

    files, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    files.SetRemoteCacheDirectory(str(cache))
    manager.SetCacheManager(files)
    scene.SetCacheManager(files)
    scene.SetDataIOManager(manager)
    scene.stand_in_files = (files, manager)

    def save(filename: str, properties: Any = None) -> bool:
        return bool(scene.WriteToMRB(filename, None))

    def load(filename: str, properties: Any = None) -> bool:
        return bool(scene.ReadFromMRB(filename, False))

    return {
        "getModuleWidget": shown.widget,
        "reloadScriptedModule": lambda _module: shown.reload(),
        "resetSliceViews": lambda: None,
        "saveScene": save,
        "loadScene": load,
    }
