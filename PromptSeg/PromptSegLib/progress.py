"""How a long run tells where it is, and how it is told to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .errors import Stopped


@dataclass(frozen=True)
class Progress:
    """One report of a long run.

    ``stage`` is a short constant ("encode", "tune", ...), ``fraction`` the share of the *whole* run that is done
    (0..1), ``message`` a sentence for people, ``metrics`` plain numbers (a loss, a Dice) for plots.
    """

    stage: str
    fraction: float
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


def ignore(_: Progress) -> None:
    """Take note of nothing: the listener where nobody listens."""


def never() -> bool:
    """The default answer to "should I stop?"."""
    return False


def check(should_stop: ShouldStop) -> None:
    """Raise :class:`~PromptSegLib.errors.Stopped` if the user asked to stop. Call it at least five times a second."""
    if should_stop():
        raise Stopped


def part(listen: OnProgress, low: float, high: float) -> OnProgress:
    """A listener for a part of a run, from ``low`` to ``high`` of the whole."""

    def listener(progress: Progress) -> None:
        fraction = low + (high - low) * progress.fraction
        listen(Progress(progress.stage, fraction, progress.message, progress.metrics))

    return listener
