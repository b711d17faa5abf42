"""How a command ended and what it said, for the tests that run commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CommandOutcome:
    """Exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output; fails if there is anything else."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> dict[str, Any]:
        """The last event, which must be a result."""
        last = self.events[-1]
        assert last["event"] == "result"
        return last
