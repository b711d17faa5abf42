"""The rounds of teaching of each segment: compared, taken back, accepted, and kept in the scene.

The last round of every segment is kept in the scene too (:mod:`PromptSegLib.mrml.taught`), so that work goes on where
it was left when the scene is loaded again.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..anatomy.structure import Structure
from ..errors import PromptSegError
from ..mrml import nodes, sequences, taught
from ..prompts.library import memory_beside
from ..prompts.promptfile import read_header
from ..worker.payload import Found, bounding_box
from .context import Context, are_there
from .results import TeachResult

Where = tuple[Any, Any, str]
"""Volume, segmentation and the id of the segment that is drawn in."""


@dataclass
class _Rounds:
    """The rounds of one segment, the last one last; ``previous`` says that the one before it is shown."""

    rounds: list[TeachResult] = field(default_factory=list)
    previous: bool = False


class RoundHistory:
    """Each segment that is drawn in has rounds of its own; those of one are at hand."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._segments: dict[Where, _Rounds] = {}
        self._current: Where | None = None

    @property
    def at_hand(self) -> list[TeachResult]:
        """The rounds of the segment at hand, the last one last."""
        return [] if self._current is None else self._of(self._current).rounds

    @property
    def last(self) -> list[TeachResult]:
        """The last round of each segment that has any."""
        return [one.rounds[-1] for one in self._segments.values() if one.rounds]

    def take(self, volume: Any, segmentation: Any, segment_id: str) -> list[TeachResult]:
        """The rounds of this segment, which is at hand from now on; the last one may have come with the scene."""
        if volume is None or segmentation is None or not segment_id:
            return []
        self._current = (volume, segmentation, segment_id)
        return self.at_hand

    def taught_in(self, volume: Any, frame: int | None = None) -> dict[str, TeachResult]:
        """By name in lower case, the last round of each structure that was taught in a volume; of a sequence, in that
        frame, which is the one in view where none is named."""
        known = [where for where in self._segments if where[0] is volume]
        known += [(volume, *one) for one in taught.segments_of(volume) if (volume, *one) not in self._segments]
        there = [where for where in known if are_there(*where[:2])]
        rounds = [self._of(w).rounds for w in there if sequences.is_of_frame(w[1], w[2], volume, frame)]
        return {one[-1].structure.name.casefold(): one[-1] for one in rounds if one}

    def next_number(self, where: Where) -> int:
        """The number of a segment's next round; the first is 1."""
        rounds = self._of(where).rounds
        return rounds[-1].round + 1 if rounds else 1

    def add(self, where: Where, result: TeachResult) -> None:
        """Append a round to a segment's, and keep it in the scene."""
        self._of(where).rounds.append(result)
        self._of(where).previous = False
        self._remember(where)

    def accept(self, result: TeachResult, *, author: str = "", note: str = "") -> str:
        """Keep what a round learned in the user's library, and beside it what the next patient starts from; gives the
        text by which it is asked for from then on."""
        card = {key: value for key, value in (("author", author), ("note", note)) if value}
        memory = memory_beside(result.prompt)
        kept = memory if self._context.remembers and memory.is_file() else None
        return self._context.library.save(result.prompt, result.structure, memory=kept, **card)

    def where(self, result: TeachResult) -> Where | None:
        """The segment that a round is of; None where it is of none any more."""
        known = ((where, one) for where, of in self._segments.items() for one in of.rounds)
        return next((where for where, one in known if one is result), None)

    def undo(self) -> TeachResult | None:
        """Go back to the round before; gives it, None if there is none any more."""
        rounds = self.at_hand
        if self._current is not None and rounds:
            gone = rounds.pop()
            self._show(self._current, rounds[-1] if rounds else None, gone.structure)
            self._of(self._current).previous = False
            self._remember(self._current)
        return rounds[-1] if rounds else None

    def toggle(self) -> bool:
        """Show the round before instead of the last one, or the other way round; True when the last one is shown."""
        rounds = self.at_hand
        if self._current is None or not rounds:
            return True
        known = self._of(self._current)
        known.previous = not known.previous
        former = rounds[-2] if len(rounds) > 1 else None
        self._show(self._current, former if known.previous else rounds[-1], rounds[-1].structure)
        return not known.previous

    def show_last(self, where: Where, structure: Structure) -> None:
        """Show a segment's last round again; without one, no result of teaching the structure is shown."""
        rounds = self._of(where).rounds
        self._show(where, rounds[-1] if rounds else None, structure)

    def keep_prompt(self, file: str, number: int) -> Path:
        """What a round learned, where the end of its job does not remove it."""
        jobs = self._context.service.jobs
        kept, came = jobs.path(f"round-{jobs.new_id()}-{number}/prompt.promptset"), jobs.path(file)
        with contextlib.suppress(FileNotFoundError):  # where nothing is kept for the next patient
            memory_beside(came).replace(memory_beside(kept))
        came.replace(kept)
        return kept

    def forget(self) -> None:
        """The scene is gone, and the rounds with it."""
        for known in self._segments.values():
            for one in known.rounds:
                with contextlib.suppress(PromptSegError, OSError):
                    self._context.service.jobs.remove(Path(one.prompt).parent.name)
        self._segments, self._current = {}, None

    def _of(self, where: Where) -> _Rounds:
        """What is known of a segment; where nothing is, what the scene remembers."""
        if where not in self._segments:
            last = self._recalled(where)
            self._segments[where] = _Rounds([] if last is None else [last])
        return self._segments[where]

    def _remember(self, where: Where) -> None:
        """Keep the last round in the scene; none there if there is none any more."""
        rounds = self._segments[where].rounds
        if not rounds:
            taught.forget(*where)
            return
        last = rounds[-1]
        with contextlib.suppress(OSError):  # what was learned is gone, and so there is nothing to keep
            prompt = Path(last.prompt).read_bytes()
            taught.keep(*where, taught.Kept(last.round, last.result_segment_id, last.outcome, prompt))

    def _recalled(self, where: Where) -> TeachResult | None:
        """The round that came with the scene, if there is one."""
        volume, segmentation, _ = where
        jobs = self._context.service.jobs
        with contextlib.suppress(PromptSegError, OSError):
            kept = taught.kept(*where)
            if kept is None:
                return None
            file = jobs.path(f"round-{jobs.new_id()}/prompt.promptset")
            file.write_bytes(kept.prompt)
            self._bring_memory(file)
            entry = read_header(file).entries[0]
            result_id, found = kept.result_segment_id, None
            if segmentation.GetSegmentation().GetSegment(result_id) is not None:
                mask = nodes.segment_mask(segmentation, result_id, volume)
                box = bounding_box(mask)
                k, j, i = (part.start for part in box)
                found = Found(entry.structure, mask[box], (k, j, i), 0.0)
            return TeachResult(kept.round, entry.structure, str(file), result_id, entry.card, kept.outcome, found)
        return None

    def _bring_memory(self, prompt: Path) -> None:
        """Scenes hold no pictures of patients for later ones: what the library remembers of the same prompt is brought
        beside it."""
        known = self._context.library.memory_of(prompt) if self._context.remembers else None
        if known is not None:
            shutil.copyfile(known, memory_beside(prompt))

    def _show(self, where: Where, one: TeachResult | None, structure: Structure) -> None:
        """Show a round's mask in the segment of results, or take that segment away."""
        volume, segmentation, _ = where
        if not are_there(volume, segmentation):
            return
        save_state = self._context.save_state
        if one is not None and one.found is not None:
            nodes.show([one.found], segmentation, volume, save_state, taught=True)
            return
        contents = segmentation.GetSegmentation()
        for segment_id in contents.GetSegmentIDs():
            segment = contents.GetSegment(segment_id)
            if nodes.tag(segment, nodes.RESULT_TAG) == structure.name and nodes.is_taught(segment):
                if save_state is not None:
                    save_state()
                contents.RemoveSegment(segment_id)
