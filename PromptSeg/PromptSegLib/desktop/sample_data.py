"""Volumes to try PromptSeg with, of 3D Slicer's own samples. Nothing is downloaded until a user asks for one of them.

They are listed in the module Sample Data, whose logic downloads, checks, keeps and loads them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from ..progress import Progress

if TYPE_CHECKING:  # Slicer lists the samples when it starts: nothing else is loaded then
    from .job import Job
    from .logic import Logic

STORE = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"
SAMPLES = {
    "Abdomen CT": ("CTLiver", "e16eae0ae6fefa858c5c11e58f0f1bb81834d81b7102e021571056324ef6f37e"),
    "Chest CT": ("CT-chest", "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e"),
}
"""By name: file and checksum, of 3D Slicer's own testing data."""
FIRST = "Abdomen CT"
PAUSE = 0.005
"""Seconds that the window's thread lets the download have at a time: Slicer's Python runs no other thread meanwhile."""


def register(icon: str) -> None:
    """List the samples, with ``icon`` as their picture; does nothing where there is no Sample Data."""
    try:
        import SampleData
    except ImportError:
        return
    logic: Any = SampleData.SampleDataLogic
    for name, (file, checksum) in SAMPLES.items():
        logic.registerCustomSampleDataSource(
            category="PromptSeg",
            sampleName=name,
            uris=STORE + checksum,
            fileNames=f"{file}.nrrd",
            nodeNames=file,
            checksums=f"SHA256:{checksum}",
            thumbnailFileName=icon,
        )


def fetch(logic: Logic, name: str = FIRST, **listeners: Any) -> Job:
    """Load a sample, downloaded if it was not before. Gives a Job with its volume node, which is cancelled like any
    other; a part that was downloaded is removed."""
    job = logic.new_job("sample", listeners)
    download = _Download(name)

    def work() -> Generator[None, None, Any]:
        download.start()
        try:
            while download.is_alive():
                job.tell(Progress("sample", download.fraction, download.said))
                time.sleep(PAUSE)
                yield
        finally:
            download.stop = True
        return download.load()

    job.do_steps(work(), job.finish)
    return job


class _Ended(Exception):  # noqa: N818
    """The download was stopped."""


class _Download(threading.Thread):
    """Sample Data's own way to get a file, in a thread: it waits for the network."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        import SampleData

        file, self._checksum = SAMPLES[name]
        self._name, self._node, self._file = name, file, f"{file}.nrrd"
        self._logic: Any = SampleData.SampleDataLogic(lambda *_said: None)
        self._logic.reportHook = self._told
        self._path, self._problem = "", ""
        self._done = self._all = 0.0
        self.stop = False

    def run(self) -> None:
        """Download it, unless it is there already."""
        try:
            self._path = str(
                self._logic.downloadFileIntoCache(STORE + self._checksum, self._file, f"SHA256:{self._checksum}")
            )
        except _Ended:
            folder = slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()
            with contextlib.suppress(OSError):
                Path(folder, self._file).unlink()
        except Exception as problem:  # whatever it is: the window tells it
            self._problem = str(problem.__context__ or problem)

    def _told(self, blocks: int, size: int, total: int) -> None:
        if self.stop:
            raise _Ended
        self._done, self._all = float(min(blocks * size, max(total, 0))), float(max(total, 0))

    @property
    def fraction(self) -> float:
        """How much of it is there."""
        return self._done / self._all if self._all else 0.0

    @property
    def said(self) -> str:
        """What is going on."""
        if not self._all:
            return _("Asking for the sample")
        return _("Downloading the sample: {done:.0f} of {all:.0f} MB").format(
            done=self._done / 1e6, all=self._all / 1e6
        )

    def load(self) -> Any:
        """The volume node of what was downloaded. Raises :class:`InputError` where nothing was."""
        node = None
        if self._path and Path(self._path).is_file():  # what has another checksum was removed
            node = self._logic.loadNode(self._path, self._node, None, {})
        if node is None:
            name, why = self._name, self._problem
            raise InputError(
                f"{name} could not be downloaded ({why})" if why else f"{name} could not be downloaded",
                "check the connection to the internet and try again, or load a CT of your own",
            )
        return node
