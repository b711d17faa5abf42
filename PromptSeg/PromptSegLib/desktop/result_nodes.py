"""The worker's masks become segments of a node: all of them or none, with one state for undo."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from ..errors import PromptSegError
from ..mrml import nodes
from ..mrml.undo_snapshot import UndoSnapshot
from ..worker.jobs import Jobs
from ..worker.payload import Found, get_mask
from .context import check_there


def show_masks(
    jobs: Jobs,
    masks: Sequence[Mapping[str, Any]],
    node: Any,
    volume: Any,
    save_state: Callable[[], object] | None,
    taught: bool = False,
    before: UndoSnapshot | None = None,
) -> Generator[None, None, tuple[list[Found], list[str]]]:
    """Read the worker's masks one by one, then show them one by one, for Slicer draws each of them at once; if that
    is stopped, or fails, none is shown. Returns the masks and the ids of their segments.

    Raises :class:`InputError` where a node was removed meanwhile, or the segmentation does not belong to the volume.
    """
    if not node.GetSegmentation().GetNumberOfSegments():
        nodes.attach(node, volume)
    found, images = [], []
    for one in masks:
        found.append(get_mask(jobs, one))
        yield
        images.append(nodes.prepare(found[-1], node, volume))
        yield
    check_there(volume, node)
    nodes.check_belongs(node, volume)
    if save_state is not None:
        save_state()
        yield
    before, ids, complete = before or UndoSnapshot(node, made=False), [], False
    try:
        for result, image in zip(found, images, strict=True):
            check_there(volume, node)
            ids += nodes.show([result], node, volume, images=[image], taught=taught, before=before)
            yield
        complete = True
    finally:
        if not complete and node.GetScene() is not None:
            with contextlib.suppress(PromptSegError):
                before.bring_back()
    return found, ids
