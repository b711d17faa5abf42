"""One request being worked on, as those see it who do the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..progress import Progress


class Call(Protocol):
    """One request being worked on, as the engine sees it."""

    id: str
    do: str
    fields: Mapping[str, Any]

    def emit(self, event: str, **fields: Any) -> None:
        """Say something to the front end."""

    def on_progress(self, progress: Progress) -> None:
        """Say where the work is."""

    def should_stop(self) -> bool:
        """Whether the request was cancelled."""

    def should_finish(self) -> bool:
        """Whether it was cancelled, or the best so far is asked for."""
