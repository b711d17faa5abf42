"""The tests for a real Slicer (``Testing/Slicer``), run on the stand-in with the shipped backbone and real teaching,
so that they are known to work before somebody with Slicer runs them. PythonQt itself is run in the host of
``Testing/PythonQt`` only.
"""

from __future__ import annotations

import importlib
import unittest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def cases(window, slicer, pump, tmp_path, monkeypatch):
    """The module with its test cases, where ``slicer`` has what the stand-in can give."""
    from standin.modules import Shown, modules_of, util_of

    from PromptSegLib.desktop import core
    from PromptSegLib.desktop import qprocess as process

    monkeypatch.setattr(core, "library_folder", lambda: tmp_path / "library")
    monkeypatch.syspath_prepend(str(ROOT / "PromptSeg"))
    monkeypatch.syspath_prepend(str(ROOT / "Testing" / "Slicer"))
    shown = Shown(importlib.import_module("PromptSeg").PromptSegWidget)
    monkeypatch.setattr(slicer, "modules", modules_of(slicer.mrmlScene), raising=False)
    for name, function in util_of(slicer.mrmlScene, shown, tmp_path).items():
        monkeypatch.setattr(slicer.util, name, function)
    yield importlib.import_module("test_promptseg")
    shown.close()
    pump(lambda: not process._LEAVING, 20)


def test_they_pass_on_the_stand_in(cases) -> None:
    found = unittest.defaultTestLoader.loadTestsFromModule(cases)
    outcome = unittest.TestResult()
    found.run(outcome)
    assert outcome.testsRun >= 10
    assert [reason for _test, reason in outcome.skipped] == [
        "strokes need slice views"
    ]  # this is without a main window
    assert outcome.wasSuccessful(), "\n".join(text for _test, text in (*outcome.errors, *outcome.failures))
