"""The worker by ``QProcess`` and a ``QTimer``, on the stand-in: PySide6's classes, or PythonQt's in its host."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture
def core(window, engine_files):
    """The application's one core, computing with the tiny backbone."""
    from PromptSegLib.desktop.core import Core

    made = Core(str(engine_files[0]), 1)
    yield made
    made.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_request_is_answered_and_the_window_never_waits(core, pump) -> None:
    answers: list = []
    core.logic.self_check(on_done=answers.append)
    assert not answers
    assert core.logic.service.busy
    pump(lambda: answers)
    assert answers[0]["backbone"]["name"] == "tiny"
    assert core.logic.context.device


@pytest.mark.skipif(sys.platform != "linux", reason="only there 3D Slicer's window is at nice 19")
def test_the_worker_does_not_stand_back_behind_other_programs(core, pump, monkeypatch) -> None:
    from PromptSegLib import threads
    from PromptSegLib.desktop.install import report

    answers: list = []
    core.logic.self_check(on_done=answers.append)
    pump(lambda: answers)
    pid = core.service._process.pid
    assert os.getsid(pid) == pid != os.getsid(0), "a session of its own has a share of its own"
    shared = threads.SHARED_BY_SESSION.is_file() and threads.SHARED_BY_SESSION.read_text().strip() == "1"
    assert answers[0]["niceness"] == (0 if shared else os.getpriority(os.PRIO_PROCESS, pid))
    assert "SLICER_BACKGROUND_THREAD_PRIORITY=0" in report({**answers[0], "niceness": 19})
    assert "SLICER_BACKGROUND_THREAD_PRIORITY" not in report({**answers[0], "niceness": 0})
    monkeypatch.setattr(threads, "SHARED_BY_SESSION", threads.OWN_SESSION.with_name("none"))
    assert threads.niceness() == os.getpriority(os.PRIO_PROCESS, 0)


def test_a_killed_worker_is_one_message_and_the_next_request_works(core, pump) -> None:
    answers: list = []
    core.logic.self_check(on_done=answers.append)
    pump(lambda: answers)
    core.logic.self_check(on_error=answers.append)
    os.kill(core.service._process.pid, 9)
    pump(lambda: len(answers) == 2 or not core.service.busy)
    core.logic.self_check(on_done=answers.append)
    pump(lambda: isinstance(answers[-1], dict) and len(answers) > 1)


def test_closing_leaves_no_process_and_no_folder(core, pump) -> None:
    answers: list = []
    core.logic.self_check(on_done=answers.append)
    pump(lambda: answers)
    pid, folder = core.service._process.pid, core.service.jobs.root
    core.close()
    pump(lambda: not is_alive(pid))
    assert not folder.exists()


def test_a_python_that_cannot_be_started_is_told(window, pump, monkeypatch) -> None:
    from PromptSegLib.desktop import core as module

    monkeypatch.setattr(module, "python_executable", lambda: "/nowhere/PythonSlicer")
    made = module.Core()
    problems: list = []
    made.logic.self_check(on_error=problems.append)
    pump(lambda: problems)
    assert "did not start" in problems[0].problem or "cannot be started" in problems[0].problem
    made.close()
