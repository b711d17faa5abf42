"""Runs on labelled volumes that were stopped before their end: each can be gone on with, in another session too.

A run is a folder that the worker keeps (it holds the volumes, at 2 mm and in 8 bits) and a file beside it that says
what it is about, with no name of a volume.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..anatomy.structure import Structure
from ..atomic import replacing
from ..errors import UNREADABLE, OutputError, PromptSegError, TakenError
from ..locked import is_locked
from ..worker.payload import get_structure, put_structure
from ..worker.protocol import structure as check_structure_json

FOLDER = "Unfinished"
_CHECKPOINT = "last.safetensors"
_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Run:
    """``datasets`` are paths, none for volumes of a scene; ``called`` is the structure's name there. ``kept`` is the
    text of the prompt that is in the library already, ``steps`` and ``dice`` are where the run stopped."""

    file: Path
    structure: Structure
    volumes: int
    datasets: tuple[str, ...] = ()
    called: str = ""
    kept: str = ""
    steps: int = 0
    dice: float | None = None

    @property
    def folder(self) -> Path:
        """What the worker keeps of it."""
        return self.file.with_suffix(".run")

    @property
    def started(self) -> bool:
        """Whether there is anything to go on from."""
        return (self.folder / _CHECKPOINT).is_file()


class Runs:
    """Those below a library's folder; ``library_folder()`` gives it, as it may be changed."""

    def __init__(self, library_folder: Any) -> None:
        self._library_folder = library_folder

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return Path(self._library_folder()) / FOLDER

    def unfinished(self) -> list[Run]:
        """What can be gone on with, by name."""
        found = [_read(file) for file in sorted(self.folder.glob("*.json"))]
        return [one for one in found if one is not None and one.started]

    def new(self, structure: Structure, volumes: int = 0, datasets: Sequence[str] = (), called: str = "") -> Run:
        """Begin one. Raises :class:`OutputError` where nothing can be kept."""
        self._sweep()
        stem = re.sub(r"[^\w-]+", "-", structure.name).strip("-")[:60] or "structure"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {self.folder} cannot be made ({error.strerror})", "choose another one in the self-check"
            ) from error
        number, name = 1, stem
        while True:
            run = Run(self.folder / f"{name}.json", structure, volumes, tuple(datasets), called)
            if not (run.file.exists() or run.folder.exists()):
                with contextlib.suppress(TakenError):  # another window began one at this moment
                    self._write(run, new=True)
                    return run
            number += 1
            name = f"{stem}-{number}"

    def _sweep(self) -> None:
        """Take away what was left behind before there was anything to go on from, a day ago or more: it holds volumes.
        Younger ones may be of another window that is at it."""
        for file in self.folder.glob("*.json"):
            run = _read(file)
            with contextlib.suppress(OSError):
                left = run is not None and not run.started and time.time() - file.stat().st_mtime > _DAY
                if run is not None and left and not is_locked(run.folder):
                    self.remove(run)

    def keep(self, run: Run, **changes: Any) -> Run:
        """Write what is known of a run, with changes, and give it. Raises :class:`OutputError`."""
        run = replace(run, **changes)
        self._write(run)
        return run

    @staticmethod
    def _write(run: Run, *, new: bool = False) -> None:
        told = {
            "structure": put_structure(run.structure), "volumes": run.volumes, "datasets": list(run.datasets),
            "called": run.called, "kept": run.kept, "steps": run.steps, "dice": run.dice,
        }  # fmt: skip
        with replacing(run.file, new=new) as file:
            file.write(json.dumps(told, indent=1).encode())

    def forget(self, run: Run) -> None:
        """Take a run away, with the volumes that it holds. Raises :class:`OutputError` where somebody is at it, as
        another 3D Slicer may be."""
        if is_locked(run.folder):
            raise OutputError(
                f"The run of {run.structure.name} is being worked on", "stop it, in the other 3D Slicer perhaps, first"
            )
        self.remove(run)

    def remove(self, run: Run) -> None:
        """Take a run away that is over."""
        shutil.rmtree(run.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            run.file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()  # once it is empty

    def tidy(self, run: Run) -> None:
        """Take a run away that has nothing to go on from."""
        if not run.started:
            self.remove(run)


def _read(file: Path) -> Run | None:
    """What a file says; None for one that says something else."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        check_structure_json(told["structure"], "structure")
        dice = told.get("dice")
        return Run(
            file, get_structure(told["structure"]), int(told["volumes"]), tuple(str(one) for one in told["datasets"]),
            str(told["called"]), str(told["kept"]), int(told["steps"]), None if dice is None else float(dice),
        )  # fmt: skip
    except (OSError, PromptSegError, *UNREADABLE):
        return None
