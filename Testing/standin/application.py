"""What is missing of the Slicer application: ``slicer.app``, the scene, slice views, bases of scripted modules."""

from __future__ import annotations

import os
import re
import sys
import types
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from . import pythonqt
from .binding import REAL, QtCore, QtGui, QtWidgets
from .facts import facts
from .sample_data import SampleDataLogic
from .widgets import CTK, SLICER

VIEWS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


class Application:
    """``slicer.app``: only names that the real one has."""

    def __init__(self, qapplication: QtWidgets.QApplication, folder: Path) -> None:
        self._qt, self._folder, self._manager = qapplication, folder, None
        self._listeners: dict[str, list[Any]] = {}
        self._locale, self._translators = "", []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in facts()["slicer_app"]:
            raise AttributeError(f"slicer.app has no {name} in 3D Slicer")
        return object.__getattribute__(self, name)

    @property
    def applicationVersion(self) -> str:
        return "5.13.0 (stand-in)"

    @property
    def slicerUserSettingsFilePath(self) -> str:
        return str(self._folder / "Slicer.ini")

    @property
    def temporaryPath(self) -> str:
        return str(self._folder)

    @property
    def applicationLocaleName(self) -> str:
        return self._locale

    def loadTranslations(self, folder: str) -> None:
        """Files for the language that is set, by the ends of their names: with its country, else without."""
        for ending in (self._locale, self._locale.partition("_")[0]):
            files = sorted(Path(folder).glob(f"*{ending}.qm")) if ending else []
            for path in files:
                translator = QtCore.QTranslator()
                if translator.load(str(path)):
                    QtCore.QCoreApplication.installTranslator(translator)
                    self._translators.append(translator)
            if files:
                return

    def translate(self, context: str, text: str) -> str:
        return str(QtCore.QCoreApplication.translate(context, text))

    def testingEnabled(self) -> bool:
        return True

    def processEvents(self) -> None:
        self._qt.processEvents()

    def connect(self, signature: str, receiver: Any) -> None:
        self._listeners.setdefault(signature, []).append(receiver)

    def disconnect(self, signature: str, receiver: Any) -> None:
        if receiver in self._listeners.get(signature, ()):
            self._listeners[signature].remove(receiver)

    def layoutManager(self) -> Any:
        return self._manager

    def palette(self) -> Any:
        return self._qt.palette()

    def clipboard(self) -> Any:
        return self._qt.clipboard()


class SliceWidget:
    """One slice view: a real ``vtkMRMLSliceNode`` and composite node, nothing drawn."""

    def __init__(self, scene: Any, name: str, orientation: str) -> None:
        self._node = scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        self._node.SetLayoutName(name)
        self._node.SetOrientationToDefault() if not hasattr(self._node, "SetOrientation") else None
        matrix = {"Axial": (-1, 0, 0, 0, 1, 0, 0, 0, 1), "Coronal": (-1, 0, 0, 0, 0, 1, 0, 1, 0),
                  "Sagittal": (0, 0, 1, -1, 0, 0, 0, 1, 0)}[orientation]  # fmt: skip
        to_ras = self._node.GetSliceToRAS()
        for row in range(3):
            for column in range(3):
                to_ras.SetElement(row, column, matrix[3 * row + column])
        self._node.UpdateMatrices()
        self._composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", name)
        self._composite.SetLayoutName(name)

    def mrmlSliceNode(self) -> Any:
        return self._node

    def mrmlSliceCompositeNode(self) -> Any:
        return self._composite


class LayoutManager:
    """The three slice views."""

    def __init__(self, scene: Any) -> None:
        self._views = {name: SliceWidget(scene, name, orientation) for name, orientation in VIEWS.items()}
        self._layout = 3

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in facts()["layoutManager"]:
            raise AttributeError(f"the layout manager has no {name} in 3D Slicer")
        return object.__getattribute__(self, name)

    @property
    def layout(self) -> int:
        return self._layout

    def setLayout(self, number: int) -> None:
        self._layout = number

    @property
    def threeDViewCount(self) -> int:
        return 1

    def threeDWidget(self, index: int) -> Any:
        view = types.SimpleNamespace(resetFocalPoint=lambda: setattr(self, "_centred", True))
        return types.SimpleNamespace(threeDView=lambda: view)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._views)

    def sliceWidget(self, name: str) -> Any:
        return self._views.get(name)

    def connect(self, *arguments: Any) -> None:
        pass


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent

    def getDefaultModuleDocumentationLink(self, docPage: Any = None) -> str:
        return ""


class ModuleWidget(QtWidgets.QWidget):
    """What holds a scripted module's widgets; ``isEntered`` says whether the module is the one that is shown."""

    isEntered = False  # noqa: N815


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None) -> None:
        self.parent = parent or ModuleWidget()
        layout = self.parent.layout()
        self.layout = layout if layout is not None else QtWidgets.QVBoxLayout(self.parent)
        self.layout.setContentsMargins(0, 0, 0, 0)  # the module panel adds none of its own

    def setup(self) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def onReload(self) -> None:
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        import slicer

        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetAttribute("ModuleName", self.moduleName)
            node.SetName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest:
    def delayDisplay(self, message: str, requestedDelay: Any = None, msec: Any = None) -> None:
        pass


def start(folder: Path) -> Application:
    """Qt, offscreen, and the modules that a scripted module imports; the scene comes with :func:`new_scene`."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    pythonqt.install(CTK)
    qapplication = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["slicer"])
    qapplication.setStyle("Fusion")
    qapplication.setFont(QtGui.QFont("DejaVu Sans", 9))
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(folder))
    QtCore.QCoreApplication.setOrganizationName("stand-in")
    QtCore.QCoreApplication.setApplicationName("Slicer")
    import slicer

    application = Application(qapplication, folder)
    slicer.app = application
    slicer.util.startupEnvironment = lambda: dict(os.environ)
    slicer.util.mainWindow = lambda verbose=True: None
    slicer.util.findChildren = find_children
    slicer.util.selectModule = select_module
    for name, cls in SLICER.items():
        setattr(slicer, name, cls)
    _module("slicer.i18n", tr=tr, translate=application.translate)
    bases = (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
    sys.modules["SampleData"] = types.ModuleType("SampleData")
    sys.modules["SampleData"].SampleDataLogic = SampleDataLogic  # type: ignore[attr-defined]
    _module("slicer.ScriptedLoadableModule", **{one.__name__: one for one in bases})
    return application


def tr(text: str) -> str:
    """As ``slicer.i18n.tr``: the caller's package and file are the context; placeholders must be the same."""
    import slicer

    path = Path(sys._getframe(1).f_code.co_filename)
    package = f"{path.parent.name}." if (path.parent / "__init__.py").is_file() else ""
    found = slicer.i18n.translate(package + path.stem, text)
    same = [set(re.findall(r"(?<!\{)\{([^\{\}]+)\}(?!\})", one)) for one in (text, found)]
    return found if same[0] == same[1] else text


def speak(application: Application, language: str) -> None:
    """Another language, as of the next window; empty for English."""
    for translator in application._translators:
        QtCore.QCoreApplication.removeTranslator(translator)
    application._locale, application._translators = language, []


def find_children(widget: Any = None, name: str = "", text: str = "", title: str = "", className: str = "") -> list:
    """``slicer.util.findChildren``, by object name and class: with the widget itself, and what comes last first."""
    found, left = [], [widget]
    while left:
        one = left.pop()
        left += QtCore.QObject.children(one)
        kind = one.className() if REAL else QtCore.QObject.metaObject(one).className()
        if all(not wanted or fnmatchcase(is_, wanted) for wanted, is_ in ((name, one.objectName), (className, kind))):
            found.append(one)
    return found


def select_module(module: Any) -> None:
    """As in a Slicer that was started without its main window."""
    raise RuntimeError("Could not find main window")


def new_scene(application: Application) -> Any:
    """An empty scene with slice views, as Slicer has it after the start."""
    import slicer

    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as Slicer's module Colors does
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(application.temporaryPath)
    scene.SetCacheManager(cache)
    scene.stand_in, scene.stand_in_cache = logic, cache  # kept alive with the scene
    slicer.mrmlScene = scene
    application._manager = LayoutManager(scene)
    return scene


DARK = {"Window": "#323232", "WindowText": "#e6e6e6", "Base": "#1e1e1e", "Text": "#e6e6e6", "Button": "#3a3a3a",
        "ButtonText": "#e6e6e6", "AlternateBase": "#262626", "Highlight": "#2a82da", "HighlightedText": "#ffffff",
        "PlaceholderText": "#8c8c8c", "Mid": "#282828", "Dark": "#1a1a1a", "Light": "#4a4a4a"}  # fmt: skip


def dark(application: Application, on: bool) -> None:
    """A dark or a light style, as far as palettes go; what is disabled is grey in both."""
    colours = application._qt.style().standardPalette()
    if on:
        for role, value in DARK.items():
            colours.setColor(getattr(QtGui.QPalette, role), QtGui.QColor(value))
        for role in ("WindowText", "Text", "ButtonText"):
            colours.setColor(QtGui.QPalette.Disabled, getattr(QtGui.QPalette, role), QtGui.QColor("#7a7a7a"))
    application._qt.setPalette(colours)


def _module(name: str, **contents: Any) -> None:
    made = types.ModuleType(name)
    vars(made).update(contents)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    setattr(sys.modules[parent], last, made)
