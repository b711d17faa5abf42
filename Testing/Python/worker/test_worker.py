"""A real worker process: what it computes is what the session computes, and nothing that happens to it is the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from waiting_worker import Worker, WorkerError

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.errors import Stopped
from PromptSegLib.prompts.library import pick, resolve
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.worker import client
from PromptSegLib.worker.jobs import is_alive
from PromptSegLib.worker.payload import put_annotations
from PromptSegLib.worker.process import PACKAGE, kill_tree

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


def wait_until(true, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(found)


@pytest.fixture(scope="module")
def local(engine_files, small):
    """A session in this process, to compare with."""
    from PromptSegLib.session import Session

    session = Session(engine_files[0], "cpu", 1)
    session.set_volume(small.volume)
    return session


@pytest.fixture
def quick(monkeypatch) -> None:
    """The second and third step of cancelling come soon."""
    monkeypatch.setattr(client, "RELEASE_AFTER", 0.2)
    monkeypatch.setattr(client, "TERMINATE_AFTER", 0.4)
    monkeypatch.setattr(client, "KILL_AFTER", 0.8)


def test_it_segments_as_the_session_does_and_leaves_no_file(worker, local, engine_files, small, drawn, same) -> None:
    text = str(engine_files[1])
    expected = local.segment(resolve(text).values(), drawn={"liver": drawn})
    worker.set_volume(small.volume)
    events: list = []
    found = worker.segment([text], {"liver": drawn}, maps=["probability"], review=True, on_event=events.append)
    assert [one.structure.name for one in found] == ["liver", "spleen"]
    for one in found:
        assert same(one, expected.mask(one.structure.name))
        assert one.millilitres == pytest.approx(expected.mask(one.structure.name).sum() * 0.025)
    assert found[0].mask.any()
    assert {event["event"] for event in events} >= {"stage", "progress", "artefact"}
    assert not any(event.get("stage") in ("load", "read") for event in events), "backbone and volume stay warm"
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert len(list(worker.jobs.root.iterdir())) == 1  # the volume's


def test_it_tunes_as_the_session_does(worker, local, small, drawn, same, tmp_path) -> None:
    worker.set_volume(small.volume)
    expected = local.tune(drawn, Structure("my liver"), steps=3, seed=4)
    events: list = []
    result = worker.tune(
        drawn, Structure("my liver"), tmp_path / "own.promptset",
        steps=3, seed=4, preview=True, review=True, suggest=1, on_event=events.append,
    )  # fmt: skip
    assert result["leave_one_slice_out_dice"] == pytest.approx(expected.leave_one_out_dice)
    assert len(result["left_out"]) == 2
    (prompt,) = resolve(str(tmp_path / "own.promptset")).values()
    for name, tensor in expected.prompt.tensors.items():
        assert np.array_equal(prompt.tensors[name].numpy(), tensor.half().float().numpy())
    mask = local.segment([expected.prompt], drawn={"my liver": drawn}).mask("my liver")
    assert same(result["masks"][0], mask)
    assert any(event["event"] == "preview" and event["ml"] >= 0 for event in events)
    losses = [event["metrics"]["loss"] for event in events if event["event"] == "metric" and "loss" in event["metrics"]]
    assert len(losses) >= 6
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    (looked,) = result["review"]["structures"]
    assert looked["volume_ml"] == pytest.approx(mask.sum() * 0.025, abs=1e-3)
    segmentation = local.segment([expected.prompt], drawn={"my liver": drawn})
    suggested = local.suggest(drawn, expected.prompt, segmentation=segmentation)
    assert [one["index"] for one in result["suggestions"]] == [one.index for one in suggested]
    given = put_annotations(worker.jobs, "s", drawn)
    again = worker.call("suggest", "s", annotations=given, prompt=str(tmp_path / "own.promptset"))["suggestions"]
    # The file keeps half precision: with it, two slices that are much alike may change places.
    assert [one["index"] for one in again] == [one.index for one in local.suggest(drawn, prompt)]
    worker.jobs.remove("s")


def test_a_further_round_goes_on_from_a_prompt(worker, local, small, drawn, tmp_path) -> None:
    worker.set_volume(small.volume)
    first, second = tmp_path / "1.promptset", tmp_path / "2.promptset"
    worker.tune(drawn, Structure("my liver"), first, steps=1)
    result = worker.tune(drawn, Structure("my liver"), second, steps=1, start_from=str(first))
    assert result["card"]["rounds"] == 2


def test_slices_of_another_plane_are_taught_anew_and_it_is_said(worker, small, kit, drawn, tmp_path) -> None:
    worker.set_volume(small.volume)
    first, second = tmp_path / "1.promptset", tmp_path / "2.promptset"
    worker.tune(drawn, Structure("my liver"), first, steps=0)
    coronal = SliceAnnotations.from_labels(small.labels, small.volume.grid, 1, [10, 14], axis=1)
    result = worker.tune(coronal, Structure("my liver"), second, steps=0, start_from=str(first))
    assert (result["card"]["plane"], result["card"]["rounds"]) == ("coronal", 1)
    assert result["notes"][0] == "The prompt before was learned in axial slices: taught anew in coronal ones."
    events: list = []
    given = put_annotations(worker.jobs, "s", coronal)
    worker.call("suggest", "s", annotations=given, prompt={"file": str(first)}, on_event=events.append)
    worker.jobs.remove("s")
    (said,) = (event["message"] for event in events if event["event"] == "warning")
    assert said.startswith("my liver was learned in axial slices, and these were drawn in coronal ones: ")


def test_a_structure_is_asked_for_by_its_file_and_name(worker, small, engine_files, tmp_path) -> None:
    (prompt,) = pick(engine_files[1], "liver").values()
    odd = [replace(prompt, structure=Structure(name)) for name in ("C7: body", "kidney, left", "a/b")]
    PromptSet.of("odd", odd).write(tmp_path / "odd: 1, 2.promptset")
    worker.set_volume(small.volume)
    wanted = [{"file": str(tmp_path / "odd: 1, 2.promptset"), "name": name} for name in ("a/b", "C7: body")]
    found = worker.call("segment", prompts=wanted)
    assert [one["structure"]["name"] for one in found["masks"]] == ["a/b", "C7: body"]


def test_it_lists_prompt_sets_and_says_which_are_damaged(worker, engine_files, tmp_path) -> None:
    (tmp_path / "own.promptset").write_bytes(engine_files[1].read_bytes())
    (tmp_path / "broken.promptset").write_bytes(engine_files[1].read_bytes()[:50])
    events: list = []
    sets = worker.call("prompts", folders=[str(tmp_path)], on_event=events.append)["sets"]
    own = [one for one in sets if not one["shipped"]]
    assert [one["file"] for one in own] == [str(tmp_path / "own.promptset")]
    assert [one["structure"]["name"] for one in own[0]["prompts"]] == ["liver", "spleen"]
    assert any("broken.promptset" in event["message"] for event in events if event["event"] == "warning")


def test_it_says_what_it_runs_on(worker) -> None:
    about = worker.call("info")
    assert about["device"] == "cpu"
    assert about["backbone"]["name"] == "tiny"
    assert about["versions"]["numpy"] == np.__version__
    assert about["problem"] is None


def test_a_problem_of_the_user_is_one_sentence_and_the_worker_stays(worker, small, kit, drawn, tmp_path) -> None:
    worker.set_volume(small.volume)
    pid = worker.process.pid
    with pytest.raises(WorkerError, match="There is no prompt set 'nothing'") as error:
        worker.segment(["nothing"])
    assert error.value.kind == "problem"
    with pytest.raises(WorkerError, match="constant"):
        worker.set_volume(type(small.volume)(np.zeros((4, 5, 6), np.int16), kit.make_phantom(1, (4, 5, 6)).volume.grid))
    other = type(drawn).from_labels(small.labels, kit.turn(small.labels, small.volume.grid, (0, 1, 2), (0,))[1], 1, [5])
    with pytest.raises(WorkerError, match="belong to another volume"):
        worker.tune(other, Structure("x"), tmp_path / "x.promptset")
    assert worker.tune(drawn, Structure("x"), tmp_path / "x.promptset", steps=0)["structure"]["name"] == "x"
    assert worker.process.pid == pid


def test_cancel_stops_tuning_within_a_second_and_the_worker_stays(worker, small, drawn, tmp_path) -> None:
    worker.set_volume(small.volume)
    pid, seen = worker.process.pid, []
    with pytest.raises(Stopped):
        worker.tune(
            drawn, Structure("x"), tmp_path / "x.promptset", steps=100_000, on_event=seen.append,
            should_stop=lambda: any(event["event"] == "metric" for event in seen),
        )  # fmt: skip
    assert not (tmp_path / "x.promptset").exists()
    assert worker.call("info")["device"] == "cpu"
    assert worker.process.pid == pid


def test_stop_and_keep_gives_the_best_prompt_so_far(worker, small, drawn, tmp_path) -> None:
    worker.set_volume(small.volume)

    def stop(event) -> None:
        if event["event"] == "metric" and event["metrics"].get("step", 0) >= 3:
            worker.conversation.cancel(event["id"], time.monotonic(), keep=True)

    result = worker.tune(drawn, Structure("x"), tmp_path / "x.promptset", steps=100_000, segment=True, on_event=stop)
    assert result["stopped"] is True
    assert result["steps"] == result["card"]["steps"]
    assert list(resolve(str(tmp_path / "x.promptset"))) == ["x"]
    assert len(result["masks"]) == 1


def test_stop_and_keep_while_the_first_mask_is_made_keeps_that(worker, small, drawn, tmp_path) -> None:
    """It was shown already, and nothing after it had begun."""
    worker.set_volume(small.volume)

    def stop(event) -> None:
        if event["event"] == "preview":
            worker.conversation.cancel(event["id"], time.monotonic(), keep=True)

    seen: list = []

    def listen(event) -> None:
        seen.append(event)
        stop(event)

    result = worker.tune(drawn, Structure("x"), tmp_path / "x.promptset", preview=True, segment=True, on_event=listen)
    assert any(event["event"] == "preview" for event in seen)
    assert result["stopped"] is True
    assert list(resolve(str(tmp_path / "x.promptset"))) == ["x"]


def test_what_libraries_print_does_not_reach_the_protocol(own_worker) -> None:
    noise = (
        "print('print')\nos.write(1, b'descriptor 1\\n')\nctypes.CDLL(None).puts(b'C library')\n"
        "ctypes.CDLL(None).fflush(None)\nos.system('echo child process')\nsys.stdout.flush()"
    )
    worker = own_worker(engine=noise, before="print('before')" if os.name != "posix" else "")
    assert worker.call("prompts")["sets"] is not None
    assert wait_until(lambda: worker._turn() or any("child" in line for line in worker.conversation.log))
    log = "\n".join(worker.conversation.log)
    assert all(text in log for text in ("print", "descriptor 1", "C library", "child process"))


def test_nothing_can_read_the_requests_away(own_worker) -> None:
    worker = own_worker(engine="assert sys.stdin.read() == ''")
    assert worker.call("prompts")["sets"] is not None
    assert worker.call("prompts")["sets"] is not None


@posix
@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os.abort()", "os._exit(3)", "ctypes.string_at(0)"])
def test_a_worker_that_dies_in_the_middle_gives_one_message_and_the_next_call_works(own_worker, how) -> None:
    once = f"if call.do == 'info':\n    call.emit('progress', fraction=0.5)\n    time.sleep(0.1)\n    {how}"
    worker = own_worker(engine=once)
    with pytest.raises(WorkerError, match="memory ran out" if "9" in how else "ended unexpectedly") as error:
        worker.call("info")
    assert error.value.kind == "worker"
    assert worker.call("prompts")["sets"] is not None


@posix
def test_a_worker_that_was_killed_while_idle_is_not_noticed(own_worker, small, engine_files) -> None:
    worker = own_worker()
    worker.set_volume(small.volume)
    first = worker.process.pid
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: worker.process.said.queue and worker.process.said.queue[-1][0] == "end")
    assert len(worker.segment([str(engine_files[1])])) == 2  # the new one reads the volume by itself
    assert worker.process.pid != first


def test_memory_that_runs_out_is_a_sentence(own_worker) -> None:
    worker = own_worker(engine="if call.do == 'info':\n    bytearray(2**60)")
    with pytest.raises(WorkerError, match="memory is not enough"):
        worker.call("info")
    pid = worker.process.pid
    assert worker.call("prompts")["sets"] is not None
    assert worker.process.pid == pid


def test_a_defect_is_told_as_one_with_its_place_in_the_log(own_worker) -> None:
    worker = own_worker(engine="if call.do == 'info':\n    raise KeyError('oops')")
    with pytest.raises(WorkerError, match=r"This is a defect in PromptSeg .*oops") as error:
        worker.call("info")
    assert error.value.kind == "defect"
    assert worker.call("prompts")["sets"] is not None
    assert any("KeyError" in line for line in worker.conversation.log)


@posix
def test_garbage_on_the_private_pipe_gives_one_message_and_the_next_call_works(own_worker) -> None:
    # Every descriptor is tried: this is what a library that writes wildly does.
    wild = (
        "for n in range(3, 40) if call.do == 'info' else ():\n"
        "    try:\n        os.write(n, b'\\x00wild\\n')\n    except OSError:\n        pass"
    )
    worker = own_worker(engine=wild)
    with pytest.raises(WorkerError, match="is no message"):
        worker.call("info")
    first = worker.process.pid
    assert worker.call("prompts")["sets"] is not None
    assert not is_alive(first)


def test_work_that_cannot_stop_does_not_keep_the_user_waiting(own_worker, tmp_path) -> None:
    go_on = tmp_path / "go on"
    body = f"if call.do == 'info':\n    while not os.path.exists({str(go_on)!r}):\n        time.sleep(0.02)"
    worker, seen = own_worker(engine=body), []
    with pytest.raises(Stopped):
        worker.call("info", on_event=seen.append, should_stop=lambda: bool(seen))
    pid = worker.process.pid
    go_on.touch()  # only now can it stop
    assert worker.call("prompts")["sets"] is not None
    assert worker.process.pid == pid


@posix
@pytest.mark.parametrize("hang", ["ctypes.PyDLL(None).sleep(60)", "os.kill(os.getpid(), signal.SIGSTOP)"])
def test_a_worker_that_hangs_is_ended_and_the_next_call_works(own_worker, quick, hang) -> None:
    # The first holds Python's lock: no thread of the worker answers. The second is not even terminated, only killed.
    worker = own_worker(engine=f"import signal\nif call.do == 'info':\n    {hang}")
    worker.call("prompts")
    first, began = worker.process.pid, []

    def stop() -> bool:
        began.append(time.monotonic())
        return began[-1] - began[0] > 0.3

    with pytest.raises(Stopped):
        worker.call("info", should_stop=stop)
    assert worker.call("prompts")["sets"] is not None
    assert worker.process.pid != first
    assert not is_alive(first)


@pytest.mark.parametrize("start", ["PromptSegLib.worker", "PromptSegCli worker"])
def test_garbage_in_gives_an_error_out(engine_files, python_path, start) -> None:
    words = [sys.executable, "-m", *start.split(), "--backbone", str(engine_files[0]), "--device", "cpu"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PACKAGE)
    process.stdin.write(b'\xff\xfe\nhello\n[]\n{"id": "1", "do": "dance"}\n{"id": "2", "do": "prompts"}\n')
    process.stdin.flush()
    events = [json.loads(process.stdout.readline()) for _ in range(7)]
    assert events[0]["event"] == "hello"
    errors = [event for event in events if event["event"] == "error"]
    assert [event["id"] for event in errors] == [None, None, None, "1"]
    assert "There is no request 'dance'" in errors[-1]["message"]
    assert [event["event"] for event in events if event["id"] == "2"] == ["stage", "done"]
    jobs = Path(events[0]["jobs"])
    assert jobs.is_dir()
    process.stdin.close()
    assert process.wait(5) == 0
    assert not jobs.exists()
    process.stdout.close()


@pytest.mark.parametrize("busy", ["time.sleep(60)", "while True: pass"])
def test_it_ends_when_its_input_closes_even_when_busy(own_worker, busy) -> None:
    worker = own_worker(engine=busy)
    worker.conversation.request("1", "info", {})
    assert wait_until(lambda: any(event["event"] == "stage" for event in worker._turn()))
    process, root = worker.process, worker.jobs.root
    process.close(patience=30)
    assert process._process.returncode == 0, "it left by itself"
    assert not root.exists()


@posix
def test_no_orphan_when_the_parent_is_killed(engine_files, python_path, tmp_path) -> None:
    code = (
        "import sys, time\nfrom waiting_worker import Worker\n"
        f"worker = Worker({str(engine_files[0])!r}, 'cpu', 1)\n"
        "worker.call('prompts')\nprint(worker.process.pid, worker.jobs.root, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid, root = parent.stdout.readline().split()
    assert is_alive(int(pid))
    assert Path(root).is_dir()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not is_alive(int(pid)) or _is_zombie(int(pid)))
    assert not Path(root).exists()


@posix
def test_killing_takes_the_children_along(tmp_path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    kill_tree(process.pid)
    assert process.wait(5) == -signal.SIGKILL
    assert wait_until(lambda: not is_alive(child) or _is_zombie(child))
    process.stdout.close()


def test_a_program_that_is_not_there_is_a_sentence(engine_files) -> None:
    with Worker(engine_files[0], python="/nowhere/python") as worker:
        with pytest.raises(WorkerError, match=r"cannot be started .*/nowhere/python"):
            worker.call("info")
        assert not worker.conversation.busy


def test_a_python_that_lacks_something_says_what(own_worker) -> None:
    worker = own_worker(before="raise ImportError('no numpy here')")
    with pytest.raises(WorkerError, match=r"did not start .*no numpy here"):
        worker.call("info")


def test_closing_leaves_nothing(own_worker) -> None:
    worker = own_worker()
    worker.jobs.write_array("1/a.npy", np.zeros(3))
    worker.call("prompts")
    pid, root = worker.process.pid, worker.jobs.root
    worker.close()
    assert not is_alive(pid)
    assert not root.exists()


def _is_zombie(process: int) -> bool:
    """Ended, but whoever adopted it has not looked yet."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_its_compute_threads_leave_their_cores_while_they_wait(monkeypatch, tmp_path) -> None:
    import os

    from PromptSegLib.worker import serve

    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that it is put back
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr(serve, "serve", lambda args: 0)
    assert serve.main(["--jobs", str(tmp_path)]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
