"""The desktop on real MRML nodes (slicer-core) and a real worker: its logic without Qt, its window on the stand-in."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib.anatomy.terminology import find
from PromptSegLib.annotations import SliceStatus
from PromptSegLib.desktop.catalogue import Library
from PromptSegLib.desktop.logic import Logic
from PromptSegLib.mrml import nodes, slices
from PromptSegLib.mrml.vtk_images import oriented_image
from PromptSegLib.worker.service import Piped, Service

TESTING = Path(__file__).resolve().parents[2]
HANGS = 1800
"""Seconds after which a test that waits for something ends: no promise of how long anything takes."""


@pytest.fixture(scope="session")
def application(slicer, tmp_path_factory):
    """The Slicer application's stand-in; skipped where Qt's libraries are not installed."""
    sys.path.insert(0, str(TESTING))
    try:
        from standin import application as standin
    except ImportError as error:
        pytest.skip(f"Qt cannot be loaded here ({error}); apt install libegl1 libgl1 libxkbcommon0 libdbus-1-3")
    finally:
        sys.path.remove(str(TESTING))
    return standin.start(tmp_path_factory.mktemp("settings"))


@pytest.fixture
def window(application, slicer):
    """An empty scene with slice views; gives the stand-in's application. No widget outlives the test."""
    from standin.application import new_scene

    new_scene(application)
    yield application
    slicer.mrmlScene.Clear(0)


@pytest.fixture
def pump(application):
    """Let the window live until something is true, however long a busy machine takes."""

    def until(true) -> None:
        end = time.monotonic() + HANGS
        while not true():
            assert time.monotonic() < end, "it hangs"
            application.processEvents()
            time.sleep(0.005)

    return until


class Desk:
    """A logic, and what a test does with it."""

    def __init__(self, service: Service, library: Library) -> None:
        self.service, self.logic = service, Logic(service, library)

    def add_ct(self, scene, volume):
        """A CT in the scene as a ``vtkMRMLScalarVolumeNode``."""
        return nodes.add_volume(scene, volume)

    def draw(self, node, mask, volume, name: str, chosen=()) -> str:
        """A segment as a user draws it: only in the slices ``chosen``, which are then complete."""
        import slicer

        segment = slicer.vtkSegment()
        segment.SetName(name)
        self.paint(segment, mask, volume, chosen)
        assert node.GetSegmentation().AddSegment(segment)
        return node.GetSegmentation().GetSegmentIdBySegment(segment)

    @staticmethod
    def paint(segment, mask, volume, chosen) -> None:
        """Have the mask in the slices ``chosen`` and in no other."""
        drawn = np.zeros_like(mask)
        drawn[list(chosen)] = mask[list(chosen)]
        segment.RemoveRepresentation("Binary labelmap")
        segment.AddRepresentation("Binary labelmap", oriented_image(drawn, (0, 0, 0), volume.grid.ijk_to_ras))


@pytest.fixture
def make_desk(engine_files, tmp_path) -> Iterator:
    """Make a desk whose worker computes with the tiny backbone; ``engine`` is code that stands before the real one."""
    made: list[Desk] = []

    def make(engine: str = "", **options) -> Desk:
        def start(words, env) -> Piped:
            if engine:
                body = "\n".join(f"    {line}" for line in engine.splitlines())
                code = (
                    "import os, sys, time\nfrom PromptSegLib.worker import engine, serve\nreal = engine.Engine.do\n"
                    f"def do(self, call):\n{body}\n    return real(self, call)\n"
                    "engine.Engine.do = do\nsys.exit(serve.main(sys.argv[1:]))\n"
                )
                words = [sys.executable, "-c", code, *words[list(words).index("--jobs") :]]
            return Piped(words, env)

        service = Service(start, backbone=engine_files[0], device="cpu", threads=1, **options)
        made.append(Desk(service, Library(tmp_path / "library")))
        return made[-1]

    yield make
    for one in made:
        one.logic.close()


@pytest.fixture
def desk(make_desk) -> Desk:
    """The usual one."""
    return make_desk()


@pytest.fixture
def phantom(kit):
    """A small CT with its labels."""
    return kit.make_phantom(5, (12, 32, 32))


@pytest.fixture
def ct(desk, scene, phantom):
    """The phantom's CT in the scene."""
    return desk.add_ct(scene, phantom.volume)


@pytest.fixture
def taught(desk, ct, phantom):
    """(segmentation, segment id): the liver drawn in two slices, and one that is known not to show it."""
    node = nodes.new_segmentation(ct)
    segment_id = desk.draw(node, phantom.labels == 1, phantom.volume, "my liver", (5, 7))
    for index in (5, 7):
        slices.mark(node, segment_id, ct, 0, index, SliceStatus.COMPLETE)
    slices.mark(node, segment_id, ct, 0, 0, SliceStatus.ABSENT)
    return node, segment_id


@pytest.fixture
def liver():
    """The structure of that name."""
    return find("liver")


@pytest.fixture
def module(window, engine_files, tmp_path, monkeypatch):
    """The module's widget over the tiny backbone, with a library of its own prompts."""
    import importlib
    import sys
    from pathlib import Path

    from PromptSegLib.desktop import core

    monkeypatch.setattr(core, "library_folder", lambda: tmp_path / "library")
    root = Path(core.__file__).resolve().parents[2]
    monkeypatch.syspath_prepend(str(root))
    code = importlib.import_module("PromptSeg")
    logic = code.PromptSegLogic
    monkeypatch.setattr(code, "PromptSegLogic", lambda: logic(backbone=str(engine_files[0]), threads=1))
    made = code.PromptSegWidget()
    made.setup()
    made.parent.resize(400, 860)
    made.parent.show()
    made.logic.core.library.import_file(engine_files[1])
    yield made
    made.cleanup()
    made.parent.close()
    sys.modules.pop("PromptSeg", None)


@pytest.fixture
def panel(module):
    return module.panel


@pytest.fixture
def loaded(module, desk, phantom, slicer):
    """The module shown, with a CT in the scene."""
    ct = desk.add_ct(slicer.mrmlScene, phantom.volume)
    module.enter()
    return ct


@pytest.fixture
def own(panel):
    """The text of the tiny backbone's liver."""
    return next(p.text for p in panel.logic.library.sets()[-1].prompts if p.structure.name == "liver")


@pytest.fixture
def paint(panel, phantom):
    """Draw the liver in some slices of the segment at hand, as the Segment Editor would."""

    def draw(*chosen: int) -> None:
        mask = np.zeros_like(phantom.labels == 1)
        mask[list(chosen)] = (phantom.labels == 1)[list(chosen)]
        segment = panel.volumes.segmentation.GetSegmentation().GetSegment(panel.teach.segment_id)
        segment.RemoveRepresentation("Binary labelmap")
        segment.AddRepresentation("Binary labelmap", oriented_image(mask, (0, 0, 0), phantom.volume.grid.ijk_to_ras))

    return draw


@pytest.fixture
def drawing(panel, loaded, paint):
    """The liver drawn in two slices that are marked complete; a slice without it marked absent."""
    panel.tabs.setCurrentIndex(1)
    panel.teach.name.setText("my liver")
    panel.teach.begin.click()
    paint(5, 7)
    for index in (5, 7):
        panel.teach._go(index)
        panel.teach.mark_complete()
    panel.teach._go(0)
    panel.teach.mark_absent()
    return panel.teach
