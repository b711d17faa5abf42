"""Puts the parts together for 3D Slicer: one worker, one library, one logic for the whole application."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from ..prompts.library import remembers
from ..worker.service import Service
from .catalogue import Library
from .logic import Logic
from .qprocess import EventPump, QtProcess, end_all, python_executable

FOLDER_KEY, DEVICE_KEY, MEMORY_KEY = "PromptSeg/LibraryFolder", "PromptSeg/Device", "PromptSeg/RememberPatients"


class Core:
    """``logic`` with what drives it. Nothing is started until something is asked for; :meth:`close` ends all of it."""

    def __init__(self, backbone: str = "punet-ct", threads: int | None = None) -> None:
        device = str(qt.QSettings().value(DEVICE_KEY) or "auto")
        env = slicer.util.startupEnvironment()
        self.service = Service(
            QtProcess, backbone=backbone, device=device, threads=threads, python=python_executable(), env=env
        )
        self.event_pump = EventPump(self.service)
        self.logic = Logic(self.service, Library(library_folder()), pump=slicer.app.processEvents)
        self.logic.context.remembers = remembers_patients()
        slicer.app.connect("aboutToQuit()", self.close)

    def close(self) -> None:
        """Before the module is reloaded or the application quits; may be called again."""
        slicer.app.disconnect("aboutToQuit()", self.close)
        self.event_pump.stop()
        self.logic.close()
        end_all()


def choose_library_folder(folder: str) -> None:
    """Keep the user's own structures in another folder from now on."""
    qt.QSettings().setValue(FOLDER_KEY, folder)


def choose_to_remember(on: bool) -> None:
    """Whether pictures of patients are kept beside the user's own structures from now on, and used."""
    qt.QSettings().setValue(MEMORY_KEY, "on" if on else "off")


def remembers_patients() -> bool:
    """Whether they are: unless it was switched off."""
    return remembers() and str(qt.QSettings().value(MEMORY_KEY) or "on") != "off"


def library_folder() -> Path:
    """Where the user's own structures are kept: beside Slicer's settings unless another folder was chosen."""
    chosen = qt.QSettings().value(FOLDER_KEY)
    return Path(str(chosen)) if chosen else Path(str(slicer.app.slicerUserSettingsFilePath)).parent / "PromptSeg"
