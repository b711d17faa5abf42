"""What a scene should remember of the panel: kept in the module's parameter node, which is saved with the scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

ACCEPTED, FLAGGED = "accepted", "look again"


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
    def decisions(self) -> dict[str, str]:
        """What was decided of segments in the review, by segment id."""
        found = self.values("Decisions")
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def decide(self, segment_id: str, decision: str) -> None:
        """Keep a decision; an empty one takes it back."""
        known = {**self.decisions, segment_id: decision}
        self.set_values("Decisions", {k: v for k, v in known.items() if v})
