"""What a scene should remember of the panel: kept in the module's parameter node, which is saved with the scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import UNREADABLE

_HUGE = 1e30
KINDS = {
    "Volume": "vtkMRMLScalarVolumeNode", "Segmentation": "vtkMRMLSegmentationNode",
    "Reference": "vtkMRMLSegmentationNode", "Reviewed": "vtkMRMLSegmentationNode",
}  # fmt: skip
"""The roles that nodes have for the panel."""


class PanelState:
    """Reads and writes the parameter node that ``node`` gives; it is asked for each time, as scenes come and go."""

    def __init__(self, node: Callable[[], Any]) -> None:
        self._node = node

    def reference(self, role: str) -> Any:
        """The node in a role of :data:`KINDS`; None if there is none, or one of another kind: a scene may come from
        anybody."""
        node = self._node().GetNodeReference(role)
        return node if node is not None and node.GetClassName() == KINDS[role] else None

    def set_reference(self, role: str, node: Any) -> None:
        """Put a node into a role."""
        if self.reference(role) is not node:
            self._node().SetNodeReferenceID(role, node.GetID() if node is not None else None)

    def text(self, name: str, default: str = "") -> str:
        """A value as text."""
        return self._node().GetParameter(name) or default

    def set_text(self, name: str, value: str) -> None:
        """Keep a text in the parameter node, which is changed only where it has another."""
        if self.text(name) != value:
            self._node().SetParameter(name, value)

    def number(self, name: str, default: int = 0) -> int:
        """A value as a whole number; the default for one that is none."""
        try:
            return int(self.text(name, str(default)))
        except ValueError:
            return default

    def values(self, name: str) -> Any:
        """A list or table; None if there is none or it cannot be read."""
        try:
            return json.loads(self.text(name, "null"))
        except UNREADABLE:
            return None

    def set_values(self, name: str, values: Any) -> None:
        """Keep a list or table."""
        self.set_text(name, json.dumps(values, ensure_ascii=False))

    @property
    def ticked(self) -> list[str]:
        """The structures that are ticked, as prompt texts."""
        found = self.values("Structures")
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    @property
    def review(self) -> tuple[list[dict[str, Any]], int]:
        """(rows, axis) of the last review, if it was of the segmentation that is chosen now."""
        found, of = self.values("Review"), self.reference("Reviewed")
        if not isinstance(found, dict) or of is None or of is not self.reference("Segmentation"):
            return [], 0
        there = of.GetSegmentation()
        rows = found.get("rows")
        known = [one for one in rows if _is_row(one)] if isinstance(rows, list) else []
        axis = found.get("axis")
        return [one for one in known if there.GetSegment(one["segment_id"]) is not None], (
            axis if type(axis) is int and axis in (0, 1, 2) else 0
        )

    def keep_review(self, rows: list[dict[str, Any]], axis: int) -> None:
        """Keep what a review of the chosen segmentation found; no rows for none."""
        self.set_reference("Reviewed", self.reference("Segmentation") if rows else None)
        self.set_values("Review", {"rows": rows, "axis": axis} if rows else None)


def _is_row(row: Any) -> bool:
    """Whether this is a structure of a review, as :meth:`PanelState.keep_review` keeps it."""
    if not isinstance(row, dict) or not isinstance(row.get("score", {}), dict | None):
        return False
    lists = (row.get("remarks"), row.get("slices"))
    numbers = (row.get("volume_ml"), row.get("estimate") or 0.0, *(row.get("score") or {}).values())
    return (
        all(isinstance(row.get(key), str) for key in ("structure", "segment_id"))
        and all(isinstance(one, list) for one in lists)
        and is_number(row.get("volume_ml"))
        and all(one is None or is_number(one) or isinstance(one, str) for one in numbers)
        and (row.get("estimate") is None or is_number(row["estimate"]))
        and all(isinstance(one, str) for one in row["remarks"])
        and all(_is_slice(one) for one in row["slices"])
    )


def _is_slice(one: Any) -> bool:
    known = isinstance(one, dict) and is_index(one.get("index")) and isinstance(one.get("why"), str)
    told = known and all(isinstance(one.get(key, ""), str) for key in ("looked", "by", "when"))
    return told and is_number(one.get("risk") or 0.0)


def is_number(value: Any) -> bool:
    """Whether a scene told a number that one can show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE


def is_index(value: Any) -> bool:
    """Whether a scene told a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
