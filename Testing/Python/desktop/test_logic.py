"""Segmenting, reviewing and what may go wrong, from nodes to nodes, with a real worker process.

Qt is not run here: the same service is turned by a loop instead of a timer, and the worker is reached by ``subprocess``
instead of ``qt.QProcess``.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from PromptSegLib.errors import InputError, PromptError, PromptSegError, Stopped
from PromptSegLib.mrml import nodes
from PromptSegLib.prompts.library import resolve
from PromptSegLib.session import Session
from PromptSegLib.worker.service import wait


def names(node) -> list[str]:
    contents = node.GetSegmentation()
    return [contents.GetSegment(one).GetName() for one in contents.GetSegmentIDs()]


def test_a_segmentation_is_what_the_session_computes(desk, ct, phantom, engine_files) -> None:
    heard: list = []
    text = str(engine_files[1])
    job = desk.logic.segment(ct, [text], on_progress=heard.append)
    assert job.running
    assert not heard, "nothing happens within the call"
    result = job.wait()
    assert names(result.node) == ["liver", "spleen"]
    session = Session(engine_files[0], "cpu", 1)
    session.set_volume(phantom.volume)
    expected = session.segment(resolve(text).values())
    for segment_id, structure in zip(result.segment_ids, result.structures, strict=True):
        assert np.array_equal(nodes.segment_mask(result.node, segment_id, ct), expected.mask(structure.name))
    assert [one["structure"] for one in result.review["structures"]] == ["liver", "spleen"]
    fractions = [one.fraction for one in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    left = sorted(one.name for one in desk.service.jobs.root.iterdir())
    assert len(left) == 1, "only the volume stays"
    assert left[0].startswith("volume-")


def test_the_volume_is_sent_once_and_again_when_it_changes(desk, ct, engine_files) -> None:
    def sent() -> str:
        desk.logic.segment(ct, [f"{engine_files[1]}:liver"], review=False).wait()
        return next(one.name for one in desk.service.jobs.root.iterdir())

    first = sent()
    assert sent() == first
    ct.GetImageData().Modified()
    assert sent() != first


def test_a_second_result_replaces_the_first_and_nothing_that_was_drawn(desk, ct, taught, engine_files) -> None:
    node, drawn_id = taught
    before = nodes.segment_mask(node, drawn_id, ct)
    saved: list = []
    desk.logic.context.save_state = lambda: saved.append(names(node))
    for _ in range(2):
        desk.logic.segment(ct, [str(engine_files[1])], node).wait()
    assert names(node) == ["my liver", "liver", "spleen"]
    assert np.array_equal(nodes.segment_mask(node, drawn_id, ct), before)
    assert saved == [["my liver"], ["my liver", "liver", "spleen"]]


def test_what_is_unsure_is_laid_over_the_slices_and_taken_away(desk, ct, scene, engine_files) -> None:
    view = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    assert not desk.logic.has_uncertainty
    desk.logic.segment(ct, [str(engine_files[1])]).wait()
    assert desk.logic.has_uncertainty
    desk.logic.uncertainty(0.4)
    map_node = scene.GetNodeByID(view.GetForegroundVolumeID())
    assert view.GetForegroundOpacity() == pytest.approx(0.4)
    assert map_node.GetImageData().GetDimensions() == ct.GetImageData().GetDimensions()
    assert 50 < map_node.GetImageData().GetScalarRange()[1] <= 100  # percent
    assert not map_node.GetSaveWithScene()
    count = scene.GetNumberOfNodes()
    desk.logic.uncertainty(0.8)
    assert scene.GetNumberOfNodes() == count
    desk.logic.uncertainty(0)
    assert view.GetForegroundVolumeID() is None
    assert scene.GetNodeByID(map_node.GetID()) is None


def test_names_are_found_and_unknown_ones_are_told(desk, ct) -> None:
    with pytest.raises(PromptError, match=r"no prompt for 'toe'; choose of: .*liver"):
        desk.logic.segment(ct, ["toe"]).wait()
    with pytest.raises(PromptError, match="No structure was asked for"):
        desk.logic.segment(ct, []).wait()
    assert not desk.service.warm, "no worker was started for that"


def test_a_review_compares_with_a_reference_by_name(desk, ct, phantom) -> None:
    found, reference = nodes.new_segmentation(ct), nodes.new_segmentation(ct)
    every = range(len(phantom.labels))
    liver = phantom.labels == 1
    smaller = liver.copy()
    smaller[5] = False
    ids = [desk.draw(found, smaller, phantom.volume, "Liver", every)]
    ids.append(desk.draw(found, phantom.labels == 2, phantom.volume, "thing", every))
    desk.draw(reference, liver, phantom.volume, "liver", every)
    review = desk.logic.review(ct, found, reference=reference).wait()
    one, other = review["structures"]
    assert [one["segment_id"], other["segment_id"]] == ids
    both = 2 * smaller.sum() / (smaller.sum() + liver.sum())
    assert one["score"]["dice"] == pytest.approx(both)
    assert one["slices"][0]["index"] == 5
    assert other["score"] is None
    with pytest.raises(InputError, match="has no segment"):
        desk.logic.review(ct, nodes.new_segmentation(ct)).wait()


def test_cancelling_is_answered_within_a_second_and_leaves_nothing(make_desk, scene, phantom, engine_files) -> None:
    desk = make_desk("if call.do == 'segment': time.sleep(600)")
    ct = desk.add_ct(scene, phantom.volume)
    job = desk.logic.segment(ct, [str(engine_files[1])])
    wait(desk.service, lambda: not desk.service.warm)
    wait(desk.service, lambda: True, 1.0)
    before = scene.GetNumberOfNodes()
    job.cancel()
    with pytest.raises(Stopped):
        job.wait()  # not for what the worker does
    assert scene.GetNumberOfNodes() == before


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os.write(1, b'x'); os._exit(3)", "raise MemoryError"])
def test_a_worker_that_dies_is_one_message_and_the_next_click_works(
    make_desk, scene, phantom, engine_files, how
) -> None:
    flag = engine_files[0].with_name(f"died-{abs(hash(how))}")
    flag.unlink(missing_ok=True)
    first = (
        f"if call.do == 'segment' and not os.path.exists({str(flag)!r}):\n    open({str(flag)!r}, 'w').close(); {how}"
    )
    desk = make_desk(first)
    ct = desk.add_ct(scene, phantom.volume)
    problems: list = []
    job = desk.logic.segment(ct, [str(engine_files[1])], on_error=problems.append)
    with pytest.raises(PromptSegError, match=r"ended|memory"):
        job.wait()
    assert len(problems) == 1
    assert problems[0].remedy
    assert desk.logic.segment(ct, [str(engine_files[1])]).wait().segment_ids


def test_a_node_that_goes_meanwhile_is_one_message(desk, ct, scene, engine_files) -> None:
    node = nodes.new_segmentation(ct)
    job = desk.logic.segment(ct, [str(engine_files[1])], node)
    wait(desk.service, lambda: not desk.service.warm)
    scene.RemoveNode(node)
    with pytest.raises(InputError, match="removed meanwhile; choose another"):
        job.wait()


def test_closing_the_scene_ends_jobs_quietly(desk, ct, scene, engine_files) -> None:
    told: list = []
    job = desk.logic.segment(
        ct, [str(engine_files[1])], on_done=told.append, on_error=told.append, on_stopped=lambda: told.append("stopped")
    )
    wait(desk.service, lambda: not desk.service.warm)
    scene.Clear(0)
    desk.logic.close_scene()
    assert not job.running
    wait(desk.service, lambda: desk.service.active)
    assert told == ["stopped"]


def test_an_idle_worker_gives_its_memory_back_and_comes_again(make_desk, scene, phantom, engine_files) -> None:
    desk = make_desk(idle_after=0.2)
    ct = desk.add_ct(scene, phantom.volume)
    desk.logic.segment(ct, [str(engine_files[1])]).wait()
    pid = desk.service._process.pid
    wait(desk.service, lambda: desk.service.warm)
    assert not desk.service.warm
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, signal.SIGKILL)
        raise AssertionError("the worker still runs")
    assert desk.logic.segment(ct, [str(engine_files[1])]).wait().segment_ids


def test_the_self_check_says_what_computes(desk) -> None:
    info = desk.logic.self_check().wait()
    assert info["backbone"]["name"] == "tiny"
    assert info["device"] == "cpu"
    assert desk.logic.context.device == info["computer"]


def test_an_end_that_goes_wrong_is_told_all_the_same(desk) -> None:
    from PromptSegLib.desktop.job import Job

    done: list = []
    job = Job("segment", desk.service, on_done=done.append)
    job.finally_do(lambda: 1 / 0)
    job.finally_do(lambda: done.append("tidied"))
    job.finish("result")
    assert done == ["tidied", "result"]
    assert not job.running


def test_an_answer_that_cannot_be_used_ends_its_job_alone(desk, ct, engine_files, monkeypatch) -> None:
    """As where the folder of arrays is gone: the job says so, and the next one works."""
    said: list = []
    monkeypatch.setattr(desk.logic.context, "note_device", lambda event: 1 / 0)
    job = desk.logic.segment(ct, [str(engine_files[1])], on_error=said.append)
    with pytest.raises(PromptSegError, match="PromptSeg made a mistake"):
        job.wait()
    assert len(said) == 1
    monkeypatch.undo()
    assert len(desk.logic.segment(ct, [str(engine_files[1])]).wait().segment_ids) == 2


def test_results_are_shown_one_by_one_and_all_or_none(desk, ct, engine_files, monkeypatch) -> None:
    """Slicer draws what is shown at once: many structures in one go would make the window wait."""
    shown: list[int] = []
    show = nodes.show

    def one_by_one(results, *arguments, **more):
        shown.append(len(results))
        return show(results, *arguments, **more)

    monkeypatch.setattr(nodes, "show", one_by_one)
    node = nodes.new_segmentation(ct)
    saved: list[int] = []
    desk.logic.context.save_state = lambda: saved.append(node.GetSegmentation().GetNumberOfSegments())
    assert names(desk.logic.segment(ct, [str(engine_files[1])], node).wait().node) == ["liver", "spleen"]
    assert shown == [1, 1]
    assert saved == [0]
    desk.logic.undo_segmenting()
    job = None

    def stop_at_the_second(results, *arguments, **more):
        if names(node):
            job.cancel()
        return show(results, *arguments, **more)

    monkeypatch.setattr(nodes, "show", stop_at_the_second)
    job = desk.logic.segment(ct, [str(engine_files[1])], node)
    with pytest.raises(Stopped):
        job.wait()
    assert names(node) == []


def test_a_segmentation_that_goes_between_results_is_one_message(desk, ct, scene, engine_files, monkeypatch) -> None:
    node, show = nodes.new_segmentation(ct), nodes.show

    def removed(*arguments, **more):
        ids = show(*arguments, **more)
        scene.RemoveNode(node)
        return ids

    monkeypatch.setattr(nodes, "show", removed)
    with pytest.raises(InputError, match="removed meanwhile"):
        desk.logic.segment(ct, [str(engine_files[1])], node).wait()


def test_what_the_worker_noticed_on_the_way_is_told(make_desk, scene, phantom, engine_files) -> None:
    desk = make_desk("if call.do == 'segment': call.emit('warning', message='Noticed.')")
    desk.logic.library.import_file(engine_files[1])
    volume = phantom.volume
    odd = type(volume)((volume.voxels // 400).astype(volume.voxels.dtype), volume.grid, "odd")  # said of the volume
    job = desk.logic.segment(desk.add_ct(scene, odd), ["liver"], review=False)
    job.wait()
    assert job.warned == ["Noticed."], "what is wrong with the volume stands below its name"
