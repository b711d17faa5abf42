"""What is laid over the slice views in a review: uncertainty, or where two segmentations differ."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..errors import InputError, PromptSegError
from ..mrml import nodes, overlay, slices
from .logic import Logic
from .matching import matching

NONE, UNCERTAINTY, REFERENCE, ROUND = "", "uncertainty", "reference", "round"
Work = Generator[None, None, Any]


class Overlays:
    """One map at a time is shown; ``words`` has what the legend says: "uncertainty" and "differences" are titles,
    "ours", "theirs", "after" and "before" name what only one of the two segmentations has."""

    def __init__(self, logic: Logic, words: Mapping[str, str]) -> None:
        self._logic, self._words = logic, words
        self._work: Any = None
        self._maps: list[overlay.Box] = []
        self._kind: overlay.Kind | None = None
        self._volume: Any = None
        self.which = NONE

    def available(self, segmentation: Any, reference: Any) -> list[str]:
        """What there is to be shown, beside nothing."""
        found = [UNCERTAINTY] if self._logic.has_uncertainty else []
        if segmentation is not None and reference is not None and reference is not segmentation:
            found.append(REFERENCE)
        if sum(one.found is not None for one in self._logic.rounds[-2:]) == 2:
            found.append(ROUND)
        return found

    def show(
        self,
        which: str,
        volume: Any,
        segmentation: Any,
        reference: Any,
        opacity: float,
        on_error: Callable[[PromptSegError], None],
    ) -> None:
        """Show another map as soon as it is made, or none. What keeps it from being made is told."""
        self.end()
        self.which = which
        if which == UNCERTAINTY:
            self._logic.uncertainty(opacity)
        elif which == ROUND:
            self._show_round(volume, opacity)
        elif which == REFERENCE:
            title = self._words["differences"]
            kind = overlay.differences(title, self._words["ours"], self._words["theirs"])

            def done(maps: list[overlay.Box]) -> None:
                self._work = None
                if volume.GetScene() is not None:
                    self._maps, self._kind, self._volume = maps, kind, volume
                    self.fade(opacity)

            def failed(problem: PromptSegError) -> None:
                self._work, self.which = None, NONE
                on_error(problem)

            self._work = self._logic.service.steps(compare(volume, segmentation, reference), done, failed)

    def fade(self, opacity: float) -> None:
        """Show what is shown more or less strongly."""
        if self.which == UNCERTAINTY:
            self._logic.uncertainty(opacity)
        elif self._kind is not None and self._volume.GetScene() is not None:
            overlay.show(self._volume, self._maps, opacity, self._kind)

    @property
    def busy(self) -> bool:
        """Whether a map is being made."""
        return self._work is not None

    def end(self) -> None:
        """Take away what is shown."""
        if self._work is not None:
            self._work.cancel()
            self._work = None
        if self.which == UNCERTAINTY:
            self._logic.uncertainty(0)
        overlay.hide(self._volume)
        self._maps, self._kind, self._volume, self.which = [], None, None, NONE

    def _show_round(self, volume: Any, opacity: float) -> None:
        before, after = self._logic.rounds[-2:]
        if before.found is None or after.found is None:
            return
        boxes = [overlay.Box(one.mask, one.low) for one in (after.found, before.found)]
        self._maps, self._volume = [overlay.difference(boxes[0], boxes[1])], volume
        self._kind = overlay.differences(self._words["differences"], self._words["after"], self._words["before"])
        self.fade(opacity)


def compare(volume: Any, first: Any, second: Any) -> Work:
    """Maps of where two segmentations of a volume differ, one for each structure that both have, made step by step.

    Raises :class:`InputError` where they have none in common.
    """
    maps, contents = [], first.GetSegmentation()
    for identity in contents.GetSegmentIDs():
        segment = contents.GetSegment(identity)
        other = matching(segment, second)
        if not other or nodes.tag(segment, slices.TAG):  # drawn in a few slices only: no segmentation of it
            continue
        boxes = []
        for node, one in ((first, identity), (second, other)):
            boxes.append(overlay.Box(*nodes.segment_box(node, one, volume)))
            yield
        maps.append(overlay.difference(boxes[0], boxes[1]))
        yield
    if not maps:
        raise InputError(
            f"{first.GetName()} and {second.GetName()} have no structure in common",
            "give the same structures the same names in both",
        )
    return maps
