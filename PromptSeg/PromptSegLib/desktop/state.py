"""What a scene should remember of the panel: kept in the module's parameter node, which is saved with the scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_ROW = {"structure", "segment_id", "volume_ml", "remarks", "slices"}


class State:
    """Reads and writes the parameter node that ``node`` gives; it is asked for each time, as scenes come and go."""

    def __init__(self, node: Callable[[], Any]) -> None:
        self._node = node

    def reference(self, role: str) -> Any:
        """The node in a role: "Volume", "Segmentation" or "Reference"; None if there is none."""
        return self._node().GetNodeReference(role)

    def set_reference(self, role: str, node: Any) -> None:
        """Put a node into a role."""
        if self.reference(role) is not node:
            self._node().SetNodeReferenceID(role, node.GetID() if node is not None else None)

    def text(self, name: str, default: str = "") -> str:
        """A value as text."""
        return self._node().GetParameter(name) or default

    def set_text(self, name: str, value: str) -> None:
        """Keep a value."""
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
        except ValueError:
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
        known = [one for one in rows if isinstance(one, dict) and one.keys() >= _ROW] if isinstance(rows, list) else []
        axis = found.get("axis")
        return [one for one in known if there.GetSegment(str(one["segment_id"])) is not None], (
            axis if axis in (0, 1, 2) else 0
        )

    def keep_review(self, rows: list[dict[str, Any]], axis: int) -> None:
        """Keep what a review of the chosen segmentation found; no rows for none."""
        self.set_reference("Reviewed", self.reference("Segmentation") if rows else None)
        self.set_values("Review", {"rows": rows, "axis": axis} if rows else None)
