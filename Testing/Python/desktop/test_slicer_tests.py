"""The tests for a real Slicer (``Testing/Slicer``), run on the stand-in with the shipped backbone and real teaching,
so that they are known to work before somebody with Slicer runs them. PythonQt itself is run in the host of
``Testing/PythonQt`` only.
"""

from __future__ import annotations

import importlib
import sys
import unittest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "Testing" / "Slicer"
NAMES = sorted(path.stem for path in FOLDER.glob("test_*.py"))


@pytest.fixture
def shown(window, slicer, pump, tmp_path, monkeypatch):
    """The module, where ``slicer`` has what the stand-in can give, without a main window."""
    from standin.modules import Shown, modules_of, util_of

    from PromptSegLib.desktop import core
    from PromptSegLib.desktop import qprocess as process

    monkeypatch.setattr(core, "library_folder", lambda: tmp_path / "library")
    monkeypatch.syspath_prepend(str(ROOT / "PromptSeg"))
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("PromptSeg")
    module.registerSamples()
    made = Shown(module.PromptSegWidget)
    monkeypatch.setattr(slicer, "modules", modules_of(slicer.mrmlScene), raising=False)
    for name, function in util_of(slicer.mrmlScene, made, tmp_path).items():
        monkeypatch.setattr(slicer.util, name, function, raising=False)
    yield made
    made.close()
    pump(lambda: not process._LEAVING)


@pytest.fixture
def run():
    """Run a file of tests; gives the outcome."""

    def one(name: str) -> unittest.TestResult:
        outcome = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(name)).run(outcome)
        assert outcome.wasSuccessful(), "\n".join(text for _test, text in (*outcome.errors, *outcome.failures))
        return outcome

    yield one
    for name in (*NAMES, "promptseg_case"):
        sys.modules.pop(name, None)  # what is skipped is decided when they are read


@pytest.mark.parametrize("name", NAMES)
def test_they_pass_without_a_main_window(shown, run, name) -> None:
    outcome = run(name)
    assert outcome.testsRun > 3
    skipped = {reason for _test, reason in outcome.skipped}
    assert skipped == ({"a main window is needed"} if name == "test_on_screen" else set())


def test_they_pass_in_a_main_window(shown, run, slicer, monkeypatch) -> None:
    from standin.main_window import MainWindow

    main = MainWindow(slicer.mrmlScene, shown)
    for name, function in main.functions().items():
        monkeypatch.setattr(slicer.util, name, function, raising=False)
    outcome = run("test_on_screen")
    assert outcome.testsRun >= 7
    assert not outcome.skipped
    main.close()
