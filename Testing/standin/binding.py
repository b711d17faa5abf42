"""What the stand-in is made of: PySide6 with PythonQt's manners, or PythonQt itself (``Testing/PythonQt``)."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

REAL = "PythonQt" in sys.modules
"""Whether this is the binding that 3D Slicer has; the host puts its module there before anything else is run."""


def gather(*names: str) -> types.ModuleType:
    """All that some modules of PythonQt hold, as one: this is how 3D Slicer makes ``qt`` and ``ctk``."""
    found = types.ModuleType(names[0])
    for name in names:
        module = importlib.import_module(f"PythonQt.{name}")
        vars(found).update({one: getattr(module, one) for one in dir(module) if not one.startswith("__")})
    return found


if REAL:
    QtCore = QtGui = QtWidgets = gather("private", "QtCore", "QtGui", "QtNetwork", "QtUiTools")
else:
    from PySide6 import QtCore, QtGui, QtWidgets  # noqa: F401


class _Bound:
    """A signal of one widget."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name

    def emit(self, *values: Any) -> None:
        """Call who listens."""
        from .pythonqt import fitting

        for receiver in list(getattr(self._owner, f"_{self._name}_receivers", ())):
            fitting(receiver)(*values)


class _Signal:
    """A signal of a class that Python adds to a class of PythonQt."""

    def __init__(self, *_types: Any) -> None:
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> _Bound:
        return _Bound(instance, self._name)


class _Connecting:
    """Lets ``connect`` find the signals that Python added."""

    def connect(self, signature: str, receiver: Callable[..., Any]) -> bool:
        """As PythonQt's."""
        name = signature.partition("(")[0]
        if not isinstance(getattr(type(self), name, None), _Bound):
            return QtCore.QObject.connect(self, signature, receiver)
        setattr(self, f"_{name}_receivers", [*getattr(self, f"_{name}_receivers", ()), receiver])
        return True

    def disconnect(self, signature: str, *receiver: Any) -> bool:
        """As PythonQt's."""
        name = signature.partition("(")[0]
        if not isinstance(getattr(type(self), name, None), _Bound):
            return QtCore.QObject.disconnect(self, signature, *receiver)
        setattr(self, f"_{name}_receivers", [])
        return True


class _Plain:
    """PySide6's classes find their signals by themselves."""


Signal: Any = _Signal if REAL else QtCore.Signal
Connecting: Any = _Connecting if REAL else _Plain


def listen(widget: Any, signature: str, receiver: Callable[..., Any]) -> None:
    """Connect a signal of Qt's own."""
    if REAL:
        QtCore.QObject.connect(widget, signature, receiver)
    else:
        getattr(widget, signature.partition("(")[0]).connect(receiver)
