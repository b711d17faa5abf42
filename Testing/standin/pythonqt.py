"""PySide6 made to behave as PythonQt: properties are attributes, ``connect`` takes a signature, names are Slicer's.

Only what PromptSeg's own files and the tests for a real Slicer ask for is checked against the facts: Qt's calls and
those of the other tests are left alone.
"""

from __future__ import annotations

import contextlib
import linecache
import re
import shutil
import sys
import types
from typing import Any

from .binding import REAL, QtCore, QtGui, QtWidgets, gather
from .facts import facts, names_of, signals_of

_MODULES = (QtCore, QtGui, QtWidgets)
_OURS = re.compile(r"PromptSeg[/\\](PromptSegLib[/\\]desktop[/\\].+|PromptSeg)\.py$|Testing[/\\]Slicer[/\\]\w+\.py$")
_ALIKE = {"QScrollBar": "QSlider"}
"""What has the names of a class that is listed: both are a QAbstractSlider."""
_GETTERS = {"enabled": "isEnabled", "visible": "isVisible", "checked": "isChecked", "checkable": "isCheckable"}


def asked_by_us(name: str) -> bool:
    """Whether a line of the product writes ``.name``: Qt looks up virtual methods by itself, which is not asking."""
    frame = sys._getframe(2)
    path = frame.f_code.co_filename
    return bool(_OURS.search(path)) and f".{name}" in linecache.getline(path, frame.f_lineno)


def kind_of(cls: type) -> str:
    """The listed class that an instance of ``cls`` counts as: its own, or the nearest that is listed."""
    for one in cls.__mro__:
        for prefix in ("qt", "ctk", "slicer"):
            name = f"{prefix}.{_ALIKE.get(one.__name__, one.__name__)}"
            if names_of(name) is not None:
                return name
    return ""


class Property:
    """A Q_PROPERTY as an attribute that cannot be called."""

    def __init__(self, name: str, getter: Any, setter: Any) -> None:
        self.name, self.getter, self.setter = name, getter, setter

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return self.getter(instance) if self.getter else QtCore.QObject.property(instance, self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        if self.setter is not None:
            self.setter(instance, value)
        elif not QtCore.QObject.setProperty(instance, self.name, value):
            raise AttributeError(f"{type(instance).__name__}.{self.name} cannot be set")


def _patch(cls: type) -> None:
    """Give a class its properties as attributes."""
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        getter = getattr(cls, name, None) or getattr(cls, _GETTERS.get(name, f"is{name[0].upper()}{name[1:]}"), None)
        setter = getattr(cls, f"set{name[0].upper()}{name[1:]}", None)
        if isinstance(getter, Property) or not callable(getter):
            getter = None
        setattr(cls, name, Property(name, getter, setter))


_QT_CONNECT = QtCore.QObject.connect
_QT_START = None if REAL else QtCore.QProcess.start


def _start(self: QtCore.QProcess, program: str, arguments: Any = ()) -> None:
    """As from 3D Slicer on Linux, whose main thread is at nice 19: what it starts is, too."""
    if sys.platform == "linux" and shutil.which(program):
        program, arguments = "nice", ["-n", "19", program, *arguments]
    _QT_START(self, program, list(arguments))


def _qt_setattr(instance: Any, name: str, value: Any) -> None:
    from shiboken6 import Shiboken

    Shiboken.Object.__setattr__(instance, name, value)


def _connect(self: QtCore.QObject, signature: Any, *rest: Any) -> Any:
    """``widget.connect("clicked(bool)", f)``; Qt's own way of calling it, from inside, is left as it is."""
    if not isinstance(signature, str) or len(rest) != 1 or not signature[:1].isalpha():
        return _QT_CONNECT(signature, *rest)
    receiver = rest[0]
    known = signals_of(kind_of(type(self)))
    own = {str(method) for method in getattr(type(self), "signals", ())}
    if known is not None and signature not in known | own:
        raise AttributeError(f"{kind_of(type(self))} has no signal {signature}")
    name, _, rest = signature.partition("(")
    wanted = rest.rstrip(")")
    signal = getattr(self, name)
    if wanted in ("int", "QString", "bool") and "," not in wanted:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            signal = signal[{"int": int, "QString": str, "bool": bool}[wanted]]
    signal.connect(fitting(receiver))
    return True


def fitting(receiver: Any) -> Any:
    """PythonQt gives a receiver only as many arguments as it takes."""
    import inspect

    try:
        parameters = inspect.signature(receiver).parameters.values()
    except (TypeError, ValueError):
        return receiver
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return receiver
    most = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)

    def call(*arguments: Any) -> None:
        receiver(*arguments[:most])

    _FITTED.setdefault(id(receiver), []).append(call)
    return call


_FITTED: dict[int, list[Any]] = {}


def _disconnect(self: QtCore.QObject, signature: str, receiver: Any = None) -> bool:
    signal = getattr(self, signature.partition("(")[0])
    try:
        if receiver is None:
            signal.disconnect()
        for call in _FITTED.pop(id(receiver), [receiver] if receiver is not None else []):
            signal.disconnect(call)
    except (RuntimeError, TypeError):
        return False
    return True


def _getattribute(self: Any, name: str) -> Any:
    if not name.startswith("_") and asked_by_us(name):
        kind = kind_of(type(self))
        known = names_of(kind) if kind else None
        if known is not None and name not in known and not _is_own(self, name):
            raise AttributeError(f"{kind} has no {name} in 3D Slicer")
    return object.__getattribute__(self, name)


def _setattr(self: Any, name: str, value: Any) -> None:
    if not name.startswith("_") and asked_by_us(name):
        kind = kind_of(type(self))
        own_class = type(self).__module__.startswith("PromptSegLib")
        known = names_of(kind) if kind else None
        if known is not None and name not in known and not own_class:
            raise AttributeError(f"{kind} has no {name} in 3D Slicer to be set")
    _qt_setattr(self, name, value)


def _is_own(instance: Any, name: str) -> bool:
    """Whether a class of the product, or an instance of one, has the attribute by itself."""
    if name in getattr(instance, "__dict__", {}):
        return True
    return any(name in vars(one) for one in type(instance).__mro__ if one.__module__.startswith("PromptSegLib"))


class Module(types.ModuleType):
    """``qt`` or ``ctk``: only the names that Slicer's has."""

    def __init__(self, name: str, listed: str, places: tuple, more: dict[str, Any]) -> None:
        super().__init__(name)
        self._listed, self._places, self._more = frozenset(facts()[listed]), places, more

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._listed:
            raise AttributeError(f"{self.__name__} has no {name} in 3D Slicer")
        if name in self._more:
            return self._more[name]
        for place in self._places:
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(f"the stand-in has no {self.__name__}.{name}")


def _values() -> list[type]:
    """The listed classes that are no QObject: items, pens, colours, ..."""
    names = [kind.removeprefix("qt.") for kind in facts()["classes"] if kind.startswith("qt.")]
    found = [getattr(module, name) for name in names for module in _MODULES if hasattr(module, name)]
    return [cls for cls in found if not issubclass(cls, QtCore.QObject)]


def install(ctk: dict[str, Any]) -> None:
    """Make ``import qt`` and ``import ctk`` work; may be called again."""
    if REAL:
        sys.modules.setdefault("qt", QtCore)
        sys.modules.setdefault("ctk", gather("CTKWidgets"))
        return
    if isinstance(sys.modules.get("qt"), Module):
        return
    done = set()
    for module in _MODULES:
        for name in dir(module):  # classes come when they are asked for
            cls = getattr(module, name)
            if isinstance(cls, type) and issubclass(cls, QtCore.QObject) and cls not in done:
                done.add(cls)
    for cls in sorted(done, key=lambda c: len(c.__mro__)):
        _patch(cls)
    QtCore.QObject.connect = _connect
    QtCore.QObject.disconnect = _disconnect
    QtCore.QProcess.start = _start
    QtCore.QObject.__getattribute__ = _getattribute
    for cls in done:
        cls.__setattr__ = _setattr  # these classes have one of their own
    for cls in _values():
        cls.__getattribute__, cls.__setattr__ = _getattribute, _setattr
    for cls, name in ((QtWidgets.QDialog, "exec"), (QtWidgets.QMenu, "exec"), (QtCore.QCoreApplication, "exec")):
        cls.exec_ = getattr(cls, name)
    sys.modules["qt"] = Module("qt", "qt_names", _MODULES, {})
    sys.modules["ctk"] = Module("ctk", "ctk_names", (), ctk)
