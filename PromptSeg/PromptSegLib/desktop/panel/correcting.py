"""Correcting a result of a structure that was taught elsewhere: which slices first, and what was found as a draft."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ...mrml import nodes
from ...mrml.correction import Correction, begin, correction_of, take_draft
from ...volumes.preprocess import plane_of_axis
from ..panel_state import PanelState
from .volume_box import VolumeBox

PLANES = {"axial": "Red", "coronal": "Green", "sagittal": "Yellow"}


class Correcting:
    """What the segments of the segmentation at hand correct."""

    def __init__(self, state: PanelState, volumes: VolumeBox) -> None:
        self._state, self._volumes = state, volumes

    def begin(self, name: str, what: Correction) -> str:
        """Choose a new segment to correct in, and the view that shows its slices; gives its id."""
        identity = begin(self._volumes.segmentation, name, what)
        plane = plane_of_axis(nodes.grid_of(self._volumes.volume), what.axis)
        for key, value in (("Segment", identity), ("View", PLANES[plane]), ("Axis", str(what.axis))):
            self._state.set_text(key, value)
        return identity

    def suggestions(self, segment_id: str, axis: int) -> list[dict[str, Any]]:
        """The slices along an axis to correct first."""
        known = correction_of(self._volumes.segmentation, segment_id)
        return known.suggestions if known is not None and known.axis == axis else []

    def prompt(self, segment_id: str) -> tuple[str, str] | None:
        """The (file, name) of what found the result that a segment corrects; None for others, and where it is gone."""
        known = correction_of(self._volumes.segmentation, segment_id)
        return known.prompt if known is not None and Path(known.prompt[0]).is_file() else None

    def draft(self, segment_id: str, axis: int, index: int, save_state: Callable[[], object]) -> str:
        """Draw what was found in a slice, where nothing is drawn yet, and say so; empty where there is nothing."""
        known = correction_of(self._volumes.segmentation, segment_id)
        if known is None or known.axis != axis:
            return ""
        if not take_draft(self._volumes.segmentation, segment_id, self._volumes.volume, index, save_state):
            return ""
        return _("What was found is drawn: correct it and press Complete, or erase it and press Absent.")
